"""A second way to the classes: a matcher in plain Python, written from what reconciliation promises, not from its SQL.

It knows all books and all lines at once, looks at one after the other and is slow. The order of what fits a number
equally well is nobody's promise; it is the same here as there, so that the answers can be compared.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from gateway.domain.statements import LineKind, StatementLine, day_of, ends_at
from tests.storage.reconciling_desk import DAY, ZONE

__all__ = ["Entry", "Found", "NaiveMatcher"]

NEAR: Final = timedelta(minutes=30)
SIDES: Final = {LineKind.PAYMENT: "in", LineKind.RETURN: "back"}
TAKES: Final = ("open", "done", "returned")


@dataclass(slots=True, eq=False)
class Entry:
    """An attempt, a refund or a payout of ours. `done_at`: the PSP's word of when; `ended_at`: when we heard."""

    number: str
    verb: str
    amount: int
    state: str
    sent: datetime
    done_at: datetime | None = None
    ended_at: datetime | None = None
    fee: int | None = None
    turn: int = 1
    of: str | None = None

    @property
    def took(self) -> bool:
        return self.state in TAKES

    def moment(self, side: str) -> datetime:
        """When its money moved."""
        if side == "back" and self.ended_at:
            return self.ended_at
        if self.state == "returned":
            return self.done_at or self.sent
        return self.done_at or self.ended_at or self.sent

    def stands(self, side: str) -> str:
        """What our books say of that side of it."""
        if self.state == "open":
            return "unknown"
        if side == "back":
            return {"returned": "paid", "done": "unknown"}.get(self.state, "dead")
        return "paid" if self.took else "dead"


Side = tuple[Entry, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What one line, or one entry without a line, is. `held`: what earlier days had held of either side."""

    name: str
    side: str
    line: StatementLine | None
    entry: Entry | None
    line_held: bool = False
    entry_held: bool = False
    of_today: bool = False
    stays: bool = False


@dataclass(slots=True)
class NaiveMatcher:
    """Compares an account's days, in their order."""

    entries: list[Entry]
    cut: time
    compared: set[int] = field(default_factory=set)
    counted_on: dict[Side, int] = field(default_factory=dict)
    """On which day an entry was of the day, or was first met."""
    met: dict[Side, bool] = field(default_factory=dict)
    """What has its line, and whether that says paid."""
    held_lines: list[StatementLine] = field(default_factory=list)
    held: dict[Side, str] = field(default_factory=dict)
    """Of ours, what waits for its line: `suspense` or `short`."""

    def compares(self, day: int, lines: Iterable[StatementLine]) -> list[Found]:
        """What each line and each entry of a day is, and each that was held."""
        named = self._named(day, list(lines))
        today = self._entries(day)
        waiting = dict.fromkeys([*today, *self.held])
        found: list[Found] = []
        groups: dict[tuple[str, str], list[tuple[StatementLine, bool]]] = defaultdict(list)
        for line, was_held in [*((line, True) for line in self.held_lines), *((line, False) for line in named)]:
            side = SIDES.get(line.kind, "out")
            if line.number is None:
                found.append(Found(self._alone(day, line, was_held), side, line, None, was_held))
            else:
                groups[side, line.number].append((line, was_held))
        for (side, number), rivals in groups.items():
            (best, was_held), *rest = sorted(
                rivals, key=lambda each: self._fit(each[0], each[1], SIDES.get(each[0].kind, "out"))
            )
            found += [Found("duplicate" if o.paid else "matched", side, o, None, held) for o, held in rest]
            entry = self._order(best, side, number, waiting)
            what = (entry, side) if entry else None
            own = what in waiting
            name = self._of_line(day, best, was_held, entry, side, own)
            found.append(Found(name, side, best, entry, was_held, what in self.held, what in today))
            if what:
                waiting.pop(what, None)
        for entry, side in waiting:
            found.append(self._without_line(day, entry, side, (entry, side) in today))
        self._remember(day, found)
        return found

    def resolves(self) -> None:
        """A person closes all that is short: it does not wait for its line any more."""
        self.held = {what: name for what, name in self.held.items() if name != "short"}

    def _entries(self, day: int) -> list[Side]:
        sides = [(each, "in" if each.verb == "pay" else "out") for each in self.entries if each.took]
        sides += [(each, "back") for each in self.entries if each.state == "returned"]
        return [
            (each, side)
            for each, side in sides
            if _day(each.moment(side)) == day and self.counted_on.get((each, side), day) == day
        ]

    def _named(self, day: int, lines: list[StatementLine]) -> list[StatementLine]:
        """A refund's line that names its payment alone gets the number of that payment's refund of its amount. (Here a
        payment has one.)"""
        groups: dict[tuple[str, int], list[int]] = defaultdict(list)
        for n, line in enumerate(lines):
            if line.number is None and line.original and SIDES.get(line.kind, "out") == "out":
                groups[line.original, line.amount].append(n)
        for (original, amount), places in groups.items():
            refunds = [e for e in self.entries if e.verb == "refund" and e.of == original and e.amount == amount]
            paid = [n for n in places if lines[n].paid]
            if refunds and (refunds[0].took or not paid):
                first = min(paid or places, key=lambda n: (_least(lines[n]), n))
                lines[first] = lines[first]._replace(number=refunds[0].number)
        return lines

    def _orders(self, line: StatementLine, side: str, number: str | None) -> list[Entry]:
        verbs = ("pay",) if side == "in" else ("refund", "payout")
        orders = [e for e in self.entries if e.number == number and e.verb in verbs and _may_be_of(line, e)]
        return sorted(orders, key=lambda e: (e.took, e.turn), reverse=True)

    def _order(self, line: StatementLine, side: str, number: str, waiting: Mapping[Side, None]) -> Entry | None:
        """What a number of theirs is at ours: the newest try that took, else the newest."""
        orders = self._orders(line, side, number)
        # One that waits goes before one of another day.
        mine = [e for e in orders if (e, side) in waiting]
        last = max((e.turn for e in self.entries if e.number == number), default=0)
        mine = [e for e in mine if e.took or e.turn == last]
        return next(iter([*mine, *orders]), None)

    def _fit(self, line: StatementLine, was_held: bool, side: str) -> tuple[object, ...]:
        order = next(iter(self._orders(line, side, line.number)), None)
        return (
            not line.paid,
            order is None or line.amount != order.amount,
            order is None or line.fee is None or order.fee is None or side == "back" or line.fee != order.fee,
            not was_held,
            _least(line),
        )

    def _alone(self, day: int, line: StatementLine, was_held: bool) -> str:
        if not line.paid:
            return "matched"
        near = line.at is not None and line.at >= self._end(day) - NEAR
        return "suspense" if near and not was_held else "long"

    def _of_line(self, day: int, line: StatementLine, was_held: bool, entry: Entry | None, side: str, own: bool) -> str:
        if entry is None:
            return self._alone(day, line, was_held)
        stands = entry.stands(side)
        has_line = None if own else self.met.get((entry, side))
        if not own and stands == "paid" and _day(entry.moment(side)) > day and not was_held:
            return "suspense"  # our next day has it
        if not line.paid:
            if side == "back" and stands == "unknown":
                return "matched"  # it did not come back, and here neither
            return {"paid": "status_mismatch", "unknown": "settled"}.get(stands, "matched")
        if stands == "dead":
            return "long"
        if has_line or (has_line is not None and stands == "paid"):
            return "duplicate"
        if line.amount != entry.amount:
            return "amount_mismatch"
        if side == "back":
            return "returned"
        if stands == "unknown":
            return "settled"
        differs = line.fee is not None and entry.fee is not None and line.fee != entry.fee
        return "fee_mismatch" if differs else "matched"

    def _without_line(self, day: int, entry: Entry, side: str, of_today: bool) -> Found:
        was_held = self.held.get((entry, side))
        stands, moment = entry.stands(side), entry.moment(side)
        if was_held == "short":
            name = "short"
        elif stands == "paid":
            near_end = moment >= self._end(day) - NEAR
            unasked = not was_held and moment < self._end(day - 1) + NEAR and day - 1 not in self.compared
            name = "suspense" if near_end or unasked else "short"
        elif stands == "unknown":
            sent_on = (day_of(entry.sent, self.cut) - DAY).days
            both = {sent_on, sent_on + 1} <= self.compared | {day}
            name = "lost" if both else "suspense"
        else:
            name = "matched"
        return Found(name, side, None, entry, False, was_held is not None, of_today, stays=name == was_held)

    def _remember(self, day: int, found: list[Found]) -> None:
        self.compared.add(day)
        self.held_lines = [each.line for each in found if each.line and each.name == "suspense"]
        for each in found:
            what = (each.entry, each.side) if each.entry else None
            nothing = each.line and (each.name == "suspense" or (each.name == "matched" and not each.line.paid))
            if what is None or (nothing and not each.entry_held and not each.of_today):
                continue
            self.held.pop(what, None)
            self.counted_on.setdefault(what, day)
            if each.line:
                self.met[what] = self.met.get(what, False) or each.line.paid
            elif each.name in ("suspense", "short"):
                self.held[what] = each.name

    def _end(self, day: int) -> datetime:
        return ends_at(DAY + timedelta(days=day), self.cut)


def counts(found: Iterable[Found]) -> dict[str, str]:
    """As `reconciling_desk.counted` tells them."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for each in found:
        sum_ = sums[each.name]
        if each.line:
            sum_["theirs held" if each.line_held else "theirs"] += 1
        if each.entry_held and not each.stays:
            sum_["ours held"] += 1
        if each.of_today and not each.entry_held and each.entry:
            if each.entry.stands(each.side) == "paid" or each.name == "settled":
                sum_["ours"] += 1
            else:
                sum_["unknown"] += 1
    told = {}
    for name, sum_ in sums.items():
        held = f" ({sum_['theirs held']}/{sum_['ours held']})" if sum_["theirs held"] or sum_["ours held"] else ""
        unknown = f"+{sum_['unknown']}?" if sum_["unknown"] else ""
        if sum_.total():
            told[name] = f"{sum_['theirs']}/{sum_['ours']}{unknown}{held}"
    return told


def _may_be_of(line: StatementLine, entry: Entry) -> bool:
    """What was refused before a later try was sent says nothing of that try; without a time, nothing of an open one."""
    if line.paid or entry.turn == 1:
        return True
    return line.at >= entry.sent if line.at else entry.state != "open"


def _least(line: StatementLine) -> tuple[object, ...]:
    late = datetime.max.replace(tzinfo=ZONE)
    no = line.transaction_no
    return (no is None, no or "", line.at or late, line.amount, line.fee is None, line.fee or 0)


def _day(moment: datetime) -> int:
    day: date = moment.astimezone(ZONE).date()
    return (day - DAY).days
