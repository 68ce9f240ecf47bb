"""Money: an integer of fen with a currency. There are no floats here and no rounding."""

from typing import Self

__all__ = ["CURRENCY", "MAX_AMOUNT", "WrittenFloat", "yuan"]

CURRENCY = "CNY"
"""The only currency today; amounts are in fen (1/100 yuan)."""

MAX_AMOUNT = 10_000_000_000
"""The largest amount of one payment, in fen (100 million yuan): UnionPay's statement has room for 12 digits."""


def yuan(fen: int) -> str:
    """Write fen as yuan for people: 128800 -> '1288.00'."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


class WrittenFloat(float):
    """A number with a decimal point from a file or a request, which as text is still what was written: a rate is read
    from that to its last digit."""

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made._text = text
        return made

    def __str__(self) -> str:
        return self._text
