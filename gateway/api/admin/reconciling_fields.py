"""Fields and refusals that the calls of reconciliation share."""

import re
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from gateway.api.admin.anomalies import says_something
from gateway.api.admin.fields import MAX_NAME, MAX_NOTE
from gateway.api.http.fields import Lines, OneLine, wrong
from gateway.api.http.problems import Problem, conflict, not_found
from gateway.domain.differences import DifferenceState
from gateway.domain.reconciled import Class, DayClosedError, DayNotClosableError, OtherStatementError
from gateway.ports import TransportError, UnusableAccountError
from gateway.ports.statements import StatementNotReadyError, StatementRefusedError
from reconciliation.day_runs import REFUSALS, RunInProgressError
from reconciliation.running import DayNotOverError, NoStatementsError

__all__ = ["REFUSED", "ByText", "ClassName", "Day", "NoteText", "StateName", "day_of_path", "one_of", "refusal_of"]

REFUSED = (*REFUSALS, RunInProgressError)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

NoteText = Annotated[Lines, Field(min_length=1, max_length=MAX_NOTE), AfterValidator(says_something)]
ByText = Annotated[
    OneLine, Field(min_length=1, max_length=MAX_NAME, description="who says so"), AfterValidator(says_something)
]
NameT = TypeVar("NameT", bound=StrEnum)


def _day(value: object) -> date:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise wrong("wrong_format", "must be a day such as 2026-01-31")


def one_of(names: type[NameT]) -> Any:
    """One of some names."""

    def read_text(value: object) -> NameT:
        try:
            return names(value if isinstance(value, str) else "")
        except ValueError:
            raise wrong("not_one_of", f"must be one of {', '.join(names)}") from None

    return Annotated[names, PlainValidator(read_text), WithJsonSchema({"type": "string", "enum": list(names)})]


if TYPE_CHECKING:
    Day: TypeAlias = date
    ClassName: TypeAlias = Class
    StateName: TypeAlias = DifferenceState
else:
    Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
    ClassName, StateName = one_of(Class), one_of(DifferenceState)


def day_of_path(text: str) -> date:
    """The day that an address names. Raises a 404 problem."""
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise not_found("day") from None


def refusal_of(error: Exception) -> Problem:
    """Why a day was not run, or not closed. Nothing was changed."""
    match error:
        case StatementRefusedError():
            place = {"file": error.file, "line": error.line, "column": error.column, "reason": error.reason}
            return Problem(422, "statement_refused", f"Nothing was loaded: {error}.", more=place)
        case OtherStatementError():
            detail = f"{error}. To replace it, say why: replace_note."
            return conflict("other_statement", detail, version=error.version)
        case StatementNotReadyError():
            return conflict("statement_not_ready", f"There is no statement so far: {error}.")
        case DayClosedError():
            return conflict("day_closed", f"{error}.")
        case DayNotClosableError():
            return conflict("day_not_closable", f"{error}.")
        case DayNotOverError():
            return conflict("day_not_over", f"{error}.")
        case NoStatementsError():
            return conflict("no_statements", f"{error}.")
        case UnusableAccountError():
            return conflict("account_unusable", f"{error}.")
        case RunInProgressError():
            return conflict("run_in_progress", f"{error}.")
        case TransportError():
            return Problem(502, "channel_unreachable", f"The statement could not be fetched: {error}.")
    raise AssertionError(type(error).__name__)
