"""Models of what the calls of days answer."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.api.http.answers import AnswerModel, Time
from gateway.domain.reconciled import Class

__all__ = ["DayAnswer", "DayPage", "DayRunning", "OneDayAnswer"]

ClassField = Annotated[Class, Field(alias="class", serialization_alias="class")]


class ClassSums(AnswerModel):
    """One class of a day. Sums are signed by kind (payments and returns +, refunds and payouts -), in fen.

    `unknown`: of `ours`, without an amount so far. `…_held`: what earlier days had held and this one let go. `apart`:
    by how much theirs is more.
    """

    kind: ClassField
    theirs: int
    theirs_amount: int
    ours: int
    ours_amount: int
    unknown: int
    apart: int
    theirs_held: int
    theirs_held_amount: int
    ours_held: int
    ours_held_amount: int
    theirs_fee: int
    ours_fee: int


class SumsInAll(AnswerModel):
    """Each side in all, counted another way than by its classes."""

    theirs: int
    theirs_amount: int
    ours: int
    ours_amount: int
    apart: int
    theirs_fee: int
    ours_fee: int


class OpenInClass(AnswerModel):
    """What is open of a day in one class: amounts are unsigned."""

    kind: ClassField
    count: int
    theirs_amount: int
    ours_amount: int


class MissingAnswer(AnswerModel):
    """A day that is over, whose statement is not there. `late`: it has stayed away for hours."""

    account: str
    day: str
    due_at: Annotated[Time | None, Field(description="when it is asked for again")]
    tries: int
    reason: str | None
    late: bool


class DayAnswer(AnswerModel):
    """One account's day against its statement. `open` counts what waits for a person; `suspense` waits for the next
    statement. `wrong`: where the sums do not balance; empty: they do."""

    object: Literal["reconciled_day"]
    account: str
    day: str
    state: Literal["done"]
    statement_version: int
    classes: list[ClassSums]
    in_all: SumsInAll
    balanced: bool
    wrong: list[str]
    open: int
    open_by_class: list[OpenInClass]
    ran_at: Time
    ran_by: str
    closed_at: Time | None
    closed_by: str | None


class StatementAnswer(AnswerModel):
    """A statement that was loaded. `replaced_at`: since when another version is in force."""

    version: int
    files: list[str]
    sha256: str
    lines: int
    amount: Annotated[int, Field(description="signed sum of what it says was paid, in fen")]
    loaded_at: Time
    loaded_by: str
    note: str | None
    replaced_at: Time | None


class OneDayAnswer(DayAnswer):
    """A day with every statement that was loaded for it, the newest first."""

    statements: list[StatementAnswer]
    missing: Annotated[list[MissingAnswer], Field(description="days of this account without a statement")]
    running: Annotated[bool, Field(description="it is being run just now, by the process that answers")]


class DayPage(AnswerModel):
    """Days, the newest first."""

    data: list[DayAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]
    missing: Annotated[
        list[MissingAnswer], Field(description="days without a statement, the newest first, at most 200")
    ]


class DayRunning(AnswerModel):
    """The run goes on. Read the day later, or ask for the run again: it is waited for."""

    state: Literal["running"]
    account: str
    day: str
