"""Money: an integer of fen with a currency. There are no floats here and no rounding."""

CURRENCY = "CNY"
"""The only currency today; amounts are in fen (1/100 yuan)."""

MAX_AMOUNT = 10_000_000_000
"""The largest amount of one payment, in fen (100 million yuan): UnionPay's statement has room for 12 digits."""


def yuan(fen: int) -> str:
    """Write fen as yuan for people: 128800 -> '1288.00'."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"
