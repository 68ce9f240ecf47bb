"""Whether the rows of one key are too many by a rule, and from when to when. Pure: functions of recorded rows.

At any moment the rows of the window before it count: opened later than `window_s` before it, and not after it.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from gateway.domain.transaction_rules import Distinct, RuleKind, TransactionRule

__all__ = ["MAX_SHOWN_IDS", "Episode", "Fired", "SeenRow", "WouldHaveFired", "episodes"]

MAX_SHOWN_IDS: Final = 5


@dataclass(frozen=True, slots=True)
class SeenRow:
    """One row that fits a rule's filter. `card`: the same for one number, whoever uses it; None: it has none."""

    at: datetime
    kind: RuleKind
    object_id: UUID
    amount: int = 0
    user: str | None = None
    card: str | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which there were too many without a break: from the row that made them so until the window was past."""

    starts_at: datetime
    ends_at: datetime
    count: int
    """The most at once: rows, or what is different of them."""
    sum: int
    """The most at once, in fen."""
    objects: tuple[tuple[RuleKind, UUID], ...]
    """The newest rows in it."""


@dataclass(frozen=True, slots=True)
class Fired:
    """One time at which it would have told of a key."""

    shown: str
    card_id: UUID | None
    episode: Episode


@dataclass(frozen=True, slots=True)
class WouldHaveFired:
    """What a rule would have told in a period."""

    times: int
    keys: int
    newest: tuple[Fired, ...]


class _Window:
    """The rows that count at a moment."""

    def __init__(self, rule: TransactionRule) -> None:
        self._rule = rule
        self.rows: deque[SeenRow] = deque()
        self.sum = 0
        self._different: Counter[str] = Counter()
        self._first: deque[datetime] = deque()
        self._second_at: datetime | None = None

    @property
    def count(self) -> int:
        match self._rule.distinct:
            case None:
                return len(self.rows)
            case Distinct.KINDS:
                follows = self._first and self._second_at is not None and self._first[0] <= self._second_at
                return 2 if follows else min(len(self.rows), 1)
            case _:
                return len(self._different)

    @property
    def is_too_much(self) -> bool:
        rule = self._rule
        if rule.sum_at_least is not None:
            return self.sum >= rule.sum_at_least
        assert rule.at_least is not None
        return self.count >= rule.at_least

    def add(self, row: SeenRow) -> None:
        self.rows.append(row)
        self.sum += row.amount
        if (name := self._name(row)) is not None:
            self._different[name] += 1
        if self._rule.distinct is Distinct.KINDS:
            if row.kind is self._rule.filter.kinds[0]:
                self._first.append(row.at)
            else:
                self._second_at = row.at

    def drop(self) -> SeenRow:
        row = self.rows.popleft()
        self.sum -= row.amount
        if (name := self._name(row)) is not None:
            self._different[name] -= 1
            if not self._different[name]:
                del self._different[name]
        if self._rule.distinct is Distinct.KINDS:
            if row.kind is self._rule.filter.kinds[0]:
                self._first.popleft()
            elif self._second_at == row.at and all(other.kind is not row.kind for other in self.rows):
                self._second_at = None
        return row

    def _name(self, row: SeenRow) -> str | None:
        match self._rule.distinct:
            case Distinct.CARDS:
                return row.card
            case Distinct.USERS:
                return row.user
            case _:
                return None


def episodes(rule: TransactionRule, rows: Iterable[SeenRow]) -> list[Episode]:
    """Every time in which these rows, all of one key, are too many. Steps: two for each row."""
    length, window, found = timedelta(seconds=rule.window_s), _Window(rule), list[Episode]()
    starts_at: datetime | None = None
    count = total = 0
    newest: deque[SeenRow] = deque(maxlen=MAX_SHOWN_IDS)

    def leave_until(now: datetime | None) -> None:
        nonlocal starts_at
        while window.rows and (now is None or window.rows[0].at + length <= now):
            gone = window.drop()
            # Rows of one moment leave together.
            together = window.rows and window.rows[0].at == gone.at
            if starts_at is not None and not together and not window.is_too_much:
                found.append(Episode(starts_at, gone.at + length, count, total, _shown(newest)))
                starts_at = None

    for row in sorted(rows, key=lambda each: (each.at, _place(rule, each), each.object_id)):
        leave_until(row.at)
        window.add(row)
        if not window.is_too_much:
            continue
        if starts_at is None:
            starts_at, count, total = row.at, 0, 0
            newest.clear()
            newest.extend(reversed(list(islice(reversed(window.rows), MAX_SHOWN_IDS))))
        else:
            newest.append(row)
        count, total = max(count, window.count), max(total, window.sum)
    leave_until(None)
    return found


def _place(rule: TransactionRule, row: SeenRow) -> int:
    return rule.filter.kinds.index(row.kind)


def _shown(rows: Sequence[SeenRow] | deque[SeenRow]) -> tuple[tuple[RuleKind, UUID], ...]:
    return tuple((row.kind, row.object_id) for row in rows)
