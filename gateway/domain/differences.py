"""Differences (差错): what a day's comparison left for people, with its life and the remedy that is proposed. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from gateway.domain.ids import ObjectKind
from gateway.domain.intents import OBJECT_OF, Verb
from gateway.domain.reconciled import Class, Word

__all__ = [
    "Difference",
    "DifferenceFilter",
    "DifferenceState",
    "Ours",
    "Remedy",
    "Standing",
    "Theirs",
    "ours_of",
    "remedy_of",
]


class DifferenceState(StrEnum):
    """Where the life of a difference stands."""

    OPEN = "open"
    RESOLVED = "resolved"
    SUPERSEDED = "superseded"  # a corrected statement took the place of the one that showed it


class Remedy(StrEnum):
    """What is proposed; a person decides."""

    RESOLVE_ANOMALY = "resolve_anomaly"  # our books know the contradiction: refund it, take it as paid, or explain it
    ASK_PSP = "ask_psp"  # ours alone, or another sum: the PSP must say where the money is
    FIND_ORIGIN = "find_origin"  # an order that nobody here asked for: somebody else uses the account, or a test
    CLAIM_BACK = "claim_back"  # done twice there: the second is to be undone
    CHECK_FEE_RULE = "check_fee_rule"
    WAIT = "wait"  # the next statement decides


@dataclass(frozen=True, slots=True)
class Theirs:
    """The line of the statement. Amounts in fen."""

    line: int
    kind: str
    amount: int
    paid: bool
    fee: int | None
    transaction_no: str | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ours:
    """Our entry as it stood when it was compared. Amounts in fen."""

    object: ObjectKind
    object_id: UUID
    amount: int
    state: str
    fee: int | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of theirs, or entry of ours, that is no plain match."""

    difference_id: UUID
    account: str
    day: date
    kind: Class
    state: DifferenceState
    number: str | None
    theirs: Theirs | None
    ours: Ours | None
    word: Word | None
    told_at: datetime | None
    became: Class | None
    became_on: date | None
    found_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    note: str | None
    history: tuple[dict[str, Any], ...] = ()
    anomaly_id: UUID | None = None
    """An open anomaly of the same object, which is resolved first."""

    @property
    def remedy(self) -> Remedy | None:
        """What is proposed for what is open."""
        return remedy_of(self) if self.state is DifferenceState.OPEN else None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a difference stands. `by_statement`: a later statement resolved it, no person."""

    state: DifferenceState
    kind: Class
    by_statement: bool


_REMEDIES: Final = {
    Class.SHORT: Remedy.ASK_PSP,
    Class.STATUS_MISMATCH: Remedy.RESOLVE_ANOMALY,
    Class.AMOUNT_MISMATCH: Remedy.RESOLVE_ANOMALY,
    Class.DUPLICATE: Remedy.CLAIM_BACK,
    Class.FEE_MISMATCH: Remedy.CHECK_FEE_RULE,
    Class.SUSPENSE: Remedy.WAIT,
}


def remedy_of(difference: Difference) -> Remedy:
    """The proposal for a difference that is open."""
    if difference.kind is Class.LONG:
        return Remedy.FIND_ORIGIN if difference.ours is None else Remedy.RESOLVE_ANOMALY
    return _REMEDIES.get(difference.kind, Remedy.ASK_PSP)


@dataclass(frozen=True, slots=True)
class DifferenceFilter:
    """Which differences are wanted; None: all. In order of their ids, after `after`."""

    account: str | None = None
    day: date | None = None
    kind: Class | None = None
    state: DifferenceState | None = None
    object_id: UUID | None = None
    after: UUID | None = None
    limit: int = 50


def ours_of(verb: str, object_id: UUID, amount: int, state: str, fee: int | None, done_at: datetime | None) -> Ours:
    """Of the columns of an intent."""
    return Ours(OBJECT_OF[Verb(verb)], object_id, amount, state, fee, done_at)
