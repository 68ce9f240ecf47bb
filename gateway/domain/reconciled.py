"""A day that was held against the PSP's statement: the classes of its lines and entries, and its sums. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

__all__ = [
    "NEAR_CUT",
    "Class",
    "ClassTotals",
    "DayClosedError",
    "DayFilter",
    "DayNotClosableError",
    "Loading",
    "MissingDay",
    "OpenSums",
    "OtherStatementError",
    "ReconciledDay",
    "StatementVersion",
    "Totals",
    "Word",
]

NEAR_CUT: Final = timedelta(minutes=30)
"""What one side alone has so near to the end of the PSP's day is held for the next statement."""


class Class(StrEnum):
    """What a line of theirs, or an entry of ours, turned out to be: exactly one."""

    MATCHED = "matched"
    SETTLED = "settled"  # ours was unknown, and their line says how it ended
    LOST = "lost"  # ours was unknown, and two statements are without it: they never had it
    LONG = "long"  # 长款: paid at theirs; nothing of ours, or failed or closed
    SHORT = "short"  # 短款: paid at ours; no line of theirs
    STATUS_MISMATCH = "status_mismatch"  # paid at ours; their line says that it was not done
    DUPLICATE = "duplicate"  # one more line for an order that has its line
    AMOUNT_MISMATCH = "amount_mismatch"
    FEE_MISMATCH = "fee_mismatch"
    RETURNED = "returned"  # it came back, matched to its payout or refund
    SUSPENSE = "suspense"  # 存疑: held for the next statement

    @property
    def needs_person(self) -> bool:
        """Whether somebody has to look: it is neither agreed nor waiting."""
        return self not in _OVER


_OVER: Final = frozenset({Class.MATCHED, Class.SETTLED, Class.LOST, Class.RETURNED, Class.SUSPENSE})


class Word(StrEnum):
    """What our books are to hear of a line or of its absence."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    RETURNED = "returned"
    NOT_RECEIVED = "not_received"


@dataclass(frozen=True, slots=True)
class ClassTotals:
    """One class of a day: counts, and signed sums in fen. `…held`: what earlier days had held and this day let go."""

    theirs: int = 0
    theirs_amount: int = 0
    ours: int = 0
    ours_amount: int = 0
    unknown: int = 0
    """Of ours, without an amount so far."""
    theirs_held: int = 0
    theirs_held_amount: int = 0
    ours_held: int = 0
    ours_held_amount: int = 0
    theirs_fee: int = 0
    ours_fee: int = 0
    """Without those whose line says nothing of fees."""

    @property
    def apart(self) -> int:
        """By how much theirs is more than ours in this class today, in fen."""
        return self.theirs_amount - self.ours_amount


@dataclass(frozen=True, slots=True)
class Totals:
    """A day's sums by class, and each side in all as it was counted another way."""

    classes: Mapping[Class, ClassTotals] = field(default_factory=dict)
    theirs: int = 0
    """Lines of the statement."""
    theirs_amount: int = 0
    ours: int = 0
    ours_amount: int = 0

    def wrong(self) -> list[str]:
        """Where the classes do not add up to what each side has: the run is wrong, not the books. Empty: they do."""
        sums = {
            "lines of theirs": (sum(each.theirs for each in self.classes.values()), self.theirs),
            "fen of theirs": (sum(each.theirs_amount for each in self.classes.values()), self.theirs_amount),
            "entries of ours": (sum(each.ours for each in self.classes.values()), self.ours),
            "fen of ours": (sum(each.ours_amount for each in self.classes.values()), self.ours_amount),
        }
        return [f"{what}: {found} by class, {said} in all" for what, (found, said) in sums.items() if found != said]

    def afterwards(self) -> "Totals":
        """What the statement settled is ours afterwards: it was in no sum of ours while it was unknown."""
        settled = self.classes.get(Class.SETTLED, ClassTotals())
        return replace(self, ours=self.ours + settled.ours, ours_amount=self.ours_amount + settled.ours_amount)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        told = {name.value: asdict(each) for name, each in self.classes.items()}
        return {
            "classes": told,
            "theirs": self.theirs,
            "theirs_amount": self.theirs_amount,
            "ours": self.ours,
            "ours_amount": self.ours_amount,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Totals":
        """Read what `to_json` wrote."""
        classes = {Class(name): ClassTotals(**each) for name, each in told["classes"].items()}
        return cls(classes, told["theirs"], told["theirs_amount"], told["ours"], told["ours_amount"])


@dataclass(frozen=True, slots=True)
class ReconciledDay:
    """One account's day after its comparison."""

    account: str
    day: date
    statement_id: UUID
    version: int
    totals: Totals
    balanced: bool
    ran_at: datetime
    ran_by: str
    closed_at: datetime | None = None
    closed_by: str | None = None
    is_new: bool = True
    """False: it had been compared with this very statement before, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class OpenSums:
    """What is open of a day in one class: differences, and the amounts of both sides in fen, unsigned."""

    count: int
    theirs_amount: int
    ours_amount: int


@dataclass(frozen=True, slots=True)
class StatementVersion:
    """A statement that was loaded for a day. `replaced_at`: since when another one is in force."""

    statement_id: UUID
    version: int
    sha256: str
    files: tuple[str, ...]
    lines: int
    amount: int
    loaded_at: datetime
    loaded_by: str
    note: str | None
    replaced_at: datetime | None


@dataclass(frozen=True, slots=True)
class MissingDay:
    """A day that is over and whose statement is not there. `due_at`: when it is asked for again."""

    account: str
    day: date
    due_at: datetime | None
    tries: int
    reason: str | None
    late: bool


@dataclass(frozen=True, slots=True)
class DayFilter:
    """Which days are wanted, the newest first, after the day and account `after`."""

    account: str | None = None
    since: date = date.min
    until: date = date.max
    after: tuple[date, str] | None = None
    limit: int = 50


class OtherStatementError(Exception):
    """The day has another statement in force: only a person's word replaces it. Nothing was loaded."""

    def __init__(self, account: str, day: date, version: int, loaded_at: datetime) -> None:
        super().__init__(
            f"{account} has another statement of {day} in force: version {version}, "
            f"loaded {loaded_at:%Y-%m-%d %H:%M} UTC"
        )
        self.account, self.day, self.version, self.loaded_at = account, day, version, loaded_at


class DayNotClosableError(Exception):
    """A day cannot be closed now; the message says what is to be done first."""


class DayClosedError(Exception):
    """The day, or a later one that would have to be compared anew, is closed. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Loading:
    """A statement to be loaded, and who has it loaded. `replaces`: why it takes the place of another; None: it does
    not."""

    statement_id: UUID
    merchant_id: UUID
    account: str
    day: date
    day_cut: time
    files: Sequence[str]
    sha256: str
    by: str
    at: datetime
    replaces: str | None = None
