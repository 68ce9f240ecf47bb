"""Reading which differences a test wants, and choosing the orders by chance where it names none."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sandbox.calls import BadRequestError, day_asked, moment
from sandbox.differences import DIFFERENCES, Difference, DifferenceRefusedError, Name, Of
from sandbox.made_up import NUMBER, made_up, number_like, pattern_of
from sandbox.statements import RowKind, StatementRow, day_of, starts_at

if TYPE_CHECKING:
    from sandbox.provider import Provider

__all__ = ["MAX_ASKED", "plant"]

MAX_ASKED: Final = 1000
MAX_COUNT: Final = 10_000
MAX_FEN: Final = 10**12
MAX_SEED: Final = 2**32
MAX_NUMBER_CHARS: Final = 64
MAX_TRIES: Final = 100
DAY: Final = timedelta(days=1)
NAMES: Final = {"difference", "order_no", "of", "by", "day", "count", "seed", "kind", "amount", "at"}
OF_LONG: Final = {"amount", "at"}
MADE_UP: Final[tuple[RowKind, ...]] = ("payment", "refund", "payout")
BIGGEST_MADE_UP: Final = 100_000

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: Name
    order_no: str | None
    of: Of
    by: int
    day: date | None
    count: int
    seed: int
    kind: RowKind | None
    amount: int | None
    at: float | None

    @property
    def dice(self) -> Random:
        return Random(f"{self.seed} {self.name} {self.day} {self.at}")  # noqa: S311  to be repeated, not to be secret


def plant(provider: "Provider", asked: Any) -> list[Difference]:
    """Plant all that is asked for, or nothing. Raises BadRequestError, DifferenceRefusedError."""
    if not isinstance(asked, list) or not 1 <= len(asked) <= MAX_ASKED:
        raise BadRequestError(f"the body must be a list of 1 to {MAX_ASKED} differences")
    wanted = [_read(one) for one in asked]
    differences, planted = provider.statements.differences, []
    try:
        for one in wanted:
            for difference in _chosen(provider, one):
                differences.plant(difference)
                planted.append(difference)
    except DifferenceRefusedError:
        for difference in planted:
            differences.take_back(difference)
        raise
    return planted


def _chosen(provider: "Provider", wanted: _Wanted) -> Iterator[Difference]:
    if wanted.name == "not_paid" and not provider.states_failures:
        raise DifferenceRefusedError(f"the statements of {provider.name} have no rows of what was not done")
    if wanted.name == "fee" and not provider.states_fees:
        raise DifferenceRefusedError(f"the statements of {provider.name} say nothing of fees")
    if wanted.name == "long":
        yield from _long(provider, wanted)
    elif wanted.order_no is not None:
        yield _of_order(provider, wanted, wanted.order_no)
    else:
        yield from _by_chance(provider, wanted)


def _of_order(provider: "Provider", wanted: _Wanted, order_no: str) -> Difference:
    order = provider.books.get(order_no)
    if order is None or order.state == "failed" or order.kind == "open_card":
        raise DifferenceRefusedError(f"{order_no} is no order that moves money")
    if wanted.of == "return" and order.returned_at is None:
        raise DifferenceRefusedError(f"{order_no} did not come back")
    if wanted.name == "amount" and order.amount + wanted.by < 0:
        raise DifferenceRefusedError(f"{order_no} has {order.amount} fen: by must not lead below zero")
    at = order.returned_at if wanted.of == "return" else order.finished_at
    if wanted.day is not None and (at is None or day_of(at, provider.day_cut) != wanted.day):
        raise DifferenceRefusedError(f"{order_no} has no row on {wanted.day}")
    return Difference(wanted.name, order_no, wanted.of, wanted.by)


def _by_chance(provider: "Provider", wanted: _Wanted) -> Iterator[Difference]:
    if wanted.day is None:
        raise BadRequestError("without order_no a day must be given")
    statements = provider.statements

    def may_be(row: StatementRow) -> bool:
        return (
            row.paid
            and (row.kind == "return") == (wanted.of == "return")
            and wanted.kind in (None, row.kind)
            and (wanted.name != "amount" or row.amount + wanted.by >= 0)
            and statements.differences.of(row.number, wanted.of) is None
        )

    free = sorted(row.number for row in statements.of_books(wanted.day) if may_be(row))
    if len(free) < wanted.count:
        raise DifferenceRefusedError(f"{wanted.day} has {len(free)} rows for {wanted.name}, not {wanted.count}")
    for order_no in wanted.dice.sample(free, wanted.count):
        yield Difference(wanted.name, order_no, wanted.of, wanted.by)


def _long(provider: "Provider", wanted: _Wanted) -> Iterator[Difference]:
    known = None if wanted.order_no is None else provider.books.get(wanted.order_no)
    if known is not None:
        if known.state != "failed":
            raise DifferenceRefusedError(f"{known.order_no} is {known.state}: only one that failed can be long")
        if wanted.at is not None or wanted.amount is not None or wanted.kind is not None:
            raise BadRequestError(f"{known.order_no} is in the books: it has its own kind, amount and time")
        yield Difference("long", known.order_no)
        return
    if wanted.day is None and wanted.at is None:
        raise BadRequestError("a row that nobody asked for must be given a day, or a time: at")
    dice, kind = wanted.dice, wanted.kind or "payment"
    pattern = pattern_of(provider.books, kind)
    for _ in range(wanted.count):
        order_no = wanted.order_no or _new_number(provider, NUMBER if pattern is None else pattern.order_no, dice)
        amount = wanted.amount if wanted.amount is not None else dice.randint(1, BIGGEST_MADE_UP)
        at = wanted.at if wanted.at is not None else _some_time(provider, cast("date", wanted.day), dice)
        yield Difference("long", order_no, order=made_up(pattern, kind, order_no, amount, at, dice))


def _new_number(provider: "Provider", like: str, dice: Random) -> str:
    for _ in range(MAX_TRIES):
        number = number_like(like, dice)
        if provider.books.get(number) is None and provider.statements.differences.of(number, "success") is None:
            return number
    raise DifferenceRefusedError(f"no number like {like} is free")


def _some_time(provider: "Provider", day: date, dice: Random) -> float:
    starts, ends = (starts_at(on, provider.day_cut) for on in (day, day + DAY))
    return float(dice.randrange(int(starts), int(ends)))


def _read(told: Any) -> _Wanted:
    if not isinstance(told, dict) or not told.keys() <= NAMES:
        raise BadRequestError(f"a difference must be an object of {', '.join(sorted(NAMES))}")
    name = told.get("difference")
    if name not in DIFFERENCES:
        raise BadRequestError(f"difference must be one of {', '.join(DIFFERENCES)}")
    needs_by, is_long = name in ("amount", "fee"), name == "long"
    by = _whole(told, "by", -MAX_FEN, MAX_FEN, 0)
    if needs_by != (by != 0):
        raise BadRequestError("by is the fen that an amount or a fee differs by, and not 0; no other takes it")
    if not is_long and told.keys() & OF_LONG:
        raise BadRequestError(f"{name} takes no {', '.join(sorted(OF_LONG))}")
    order_no, count = told.get("order_no"), _whole(told, "count", 1, MAX_COUNT, 1)
    if order_no is not None and (not isinstance(order_no, str) or not 0 < len(order_no) <= MAX_NUMBER_CHARS):
        raise BadRequestError("order_no must be a text")
    if order_no is not None and count != 1:
        raise BadRequestError("either order_no or count")
    of = _one_of(told, "of", ("success", "return")) or "success"
    kind = _one_of(told, "kind", MADE_UP)
    if of == "return" and (is_long or kind is not None):
        raise BadRequestError("of return: what came back, of whatever kind, and never long")
    return _Wanted(
        name=name,
        order_no=order_no,
        of=cast("Of", of),
        by=by,
        day=_given(told, "day", day_asked),
        count=count,
        seed=_whole(told, "seed", 0, MAX_SEED, 0),
        kind=cast("RowKind | None", kind),
        amount=_given(told, "amount", lambda _: _whole(told, "amount", 1, MAX_FEN, 1)),
        at=_given(told, "at", lambda value: moment(value, "at")),
    )


def _given(told: Mapping[str, Any], name: str, read: Callable[[Any], Read]) -> Read | None:
    return None if told.get(name) is None else read(told[name])


def _whole(told: Mapping[str, Any], name: str, lowest: int, highest: int, usual: int) -> int:
    value = told.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise BadRequestError(f"{name} must be a whole number from {lowest} to {highest}")
    return value


def _one_of(told: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str | None:
    value = told.get(name)
    if value is not None and value not in allowed:
        raise BadRequestError(f"{name} must be one of {', '.join(allowed)}")
    return value
