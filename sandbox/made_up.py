"""Orders that nobody asked for: alike those of the books, so that a statement can tell of them in the same form."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Final

from sandbox.books import Books, Kind, Order
from sandbox.statements import RowKind, row_kind, starts_at

__all__ = ["MAX_AT_ONCE", "made_up", "number_like", "pattern_of", "series"]

MAX_AT_ONCE: Final = 200_000
NEW_DIGITS: Final = 10
NUMBER: Final = "99000000000000000000"
KINDS: Final[dict[RowKind, Kind]] = {"payment": "pay", "refund": "refund", "payout": "payout"}
SMALLEST, AMOUNTS = 100, 100_000


def pattern_of(books: Books, kind: RowKind) -> Order | None:
    """An order of the books that was done, for others of its kind to be like; None: there is none."""
    return next((one for one in books if row_kind(one) == kind and one.state in ("succeeded", "returned")), None)


def number_like(number: str, dice: Random) -> str:
    """Another number of the same form, where numbers may end with any digits."""
    digits = min(NEW_DIGITS, len(number))
    return number[: len(number) - digits] + f"{dice.randrange(10**digits):0{digits}d}"


def made_up(pattern: Order | None, kind: RowKind, order_no: str, amount: int, at: float, dice: Random) -> Order:
    """An order that was done at this moment. Without a pattern it has a masked card and nothing that was echoed."""
    if pattern is None:
        pattern = Order(order_no, KINDS[kind], amount, "CNY", "622202******0000", at, at, at, "", "")
    return replace(
        pattern,
        order_no=order_no,
        amount=amount,
        received_at=at,
        due_at=at,
        visible_at=at,
        state="succeeded",
        submissions=1,
        transaction_no=pattern.transaction_no and number_like(pattern.transaction_no, dice),
        finished_at=at,
        back_url="",
        callback="none",
        sends=0,
        echo=dict(pattern.echo),
        return_after_s=None,
        reason="",
        returned_at=None,
    )


def series(pattern: Order, kind: RowKind, prefix: str, count: int, day: date, day_cut: str) -> Iterator[Order]:
    """Orders spread evenly over a day: the first is `prefix` and 00000000 of 100 fen, each next one has a number and a
    fen more, and after 100,000 orders amounts begin again.
    """
    dice, starts = Random(prefix), starts_at(day, day_cut)  # noqa: S311  nothing here is a secret
    gap_s = (starts_at(day + timedelta(days=1), day_cut) - starts) / count
    for n in range(count):
        yield made_up(pattern, kind, f"{prefix}{n:08d}", SMALLEST + n % AMOUNTS, starts + n * gap_s, dice)
