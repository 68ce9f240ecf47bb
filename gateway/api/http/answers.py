"""Answers that are no resource's own: problems, redeliveries, and what every answer's model has in common.

Models of answers describe them for the OpenAPI document and for tests; handlers answer the objects themselves.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.api.http.field_codes import FieldCode
from gateway.api.http.problems import ProblemCode

__all__ = [
    "AnswerModel",
    "FieldProblem",
    "ProblemAnswer",
    "Redelivery",
    "Time",
    "shown_id",
]

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="UTC, RFC 3339")]


def shown_id(prefix: str) -> Any:
    """The field of an id as people see it: `pay_…`."""
    return Field(pattern=rf"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")


class AnswerModel(BaseModel):
    """Fields may be added to answers later; none is ever taken away or changed in meaning."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class FieldProblem(AnswerModel):
    """One field that is not right."""

    field: str
    code: FieldCode
    message: str


class ProblemAnswer(AnswerModel):
    """An error (RFC 9457). `code` is stable; `title` and `detail` are for people."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)  # what is known is said

    type: str
    title: str
    status: int
    code: ProblemCode
    detail: str
    errors: list[FieldProblem]
    left: Annotated[int | None, Field(description="of amount_exceeds_rest: what the payment has left, in fen")] = None
    held: Annotated[int | None, Field(description="of endpoints_stopped: notifications of it that are held")] = None
    retry_after_s: Annotated[int | None, Field(description="of resend_too_soon and may_be_paid: how long to wait")] = (
        None
    )
    file: Annotated[str | None, Field(description="of statement_refused: which file")] = None
    line: Annotated[int | None, Field(description="of statement_refused: its line, from 1")] = None
    column: Annotated[int | str | None, Field(description="of statement_refused: from 1, or its name")] = None
    reason: Annotated[str | None, Field(description="of statement_refused: what is wrong there")] = None
    version: Annotated[int | None, Field(description="of other_statement: which one is in force")] = None
    request_id: str


class Redelivery(AnswerModel):
    """How many deliveries were made due now, and how many are held."""

    deliveries: int
    held: Annotated[int, Field(description="for endpoints that are stopped: they are sent when those start again")]
