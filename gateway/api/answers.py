"""What the calls answer, as models: for the OpenAPI document, and for tests that hold the answers to it.

They are not used to render: handlers answer the domain's own objects.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.failures import Advice, Blame, FailureCode
from gateway.domain.ids import CARD, ENDPOINT, EVENT, PAYMENT
from gateway.domain.payments import Status
from gateway.domain.scenes import Kind, Scene

__all__ = [
    "DeliveryAnswer",
    "EventAnswer",
    "EventPage",
    "Health",
    "PaymentAnswer",
    "PaymentDecision",
    "PaymentPage",
    "ProblemAnswer",
    "ReadinessAnswer",
    "Redelivery",
    "RouteAnswer",
    "Timeline",
]


def _id(prefix: str) -> Any:
    return Field(pattern=rf"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")


_Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="UTC, RFC 3339")]
_PaymentId = Annotated[str, _id(PAYMENT)]
_EventId = Annotated[str, _id(EVENT)]


class _Answer(BaseModel):
    """Fields may be added to answers later; none is ever taken away or changed in meaning."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class FieldProblem(_Answer):
    """One field that is not right."""

    field: str
    code: str
    message: str


class ProblemAnswer(_Answer):
    """An error (RFC 9457). `code` is stable; `title` and `detail` are for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem]
    request_id: str


class CardAnswer(_Answer):
    """A card as it may be shown."""

    id: Annotated[str, _id(CARD)]
    masked: Annotated[str, Field(examples=["622202******1234"])]
    bank: str


class FailureAnswer(_Answer):
    """Why a payment failed, who is to blame, and what to do. `message` is in the language of `Accept-Language`."""

    code: FailureCode
    blame: Blame
    message: str
    advice: Advice
    channel_code: str | None
    channel_message: str | None


class PaymentAnswer(_Answer):
    """A payment. Amounts and fees in fen."""

    id: _PaymentId
    object: Literal["payment"]
    kind: Kind
    merchant_order_no: str
    app: str
    scene: Scene
    user_id: str
    bank: str
    amount: int
    currency: str
    status: Status
    channel: str | None
    channel_order_no: Annotated[str | None, Field(description="our number at the payment company")]
    channel_transaction_no: Annotated[str | None, Field(description="the payment company's number")]
    card: CardAnswer | None
    fee: int | None
    failure: FailureAnswer | None
    next_action: dict[str, Any] | None
    description: str | None
    created_at: _Time
    finished_at: _Time | None
    channel_finished_at: _Time | None
    business_day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    metadata: dict[str, Any]


class PaymentPage(_Answer):
    """Payments, newest first."""

    data: list[PaymentAnswer]
    next: Annotated[_PaymentId | None, Field(description="give it as `after` for the next page; null: no more")]


class SeenChannel(_Answer):
    """One channel in a decision: the step that removed it and why, its fee in fen, its rank."""

    channel: str
    removed_by_step: int | None
    reason: str | None
    fee: int
    rank: int | None


class RouteAnswer(_Answer):
    """A decision of the router: a channel or a refusal, and every channel it looked at."""

    chosen: str | None
    refusal: FailureCode | None
    chosen_by_step: int | None
    refused_by_step: int | None
    max_single_limit: int | None
    candidates: list[SeenChannel]
    config_version: int


class PaymentDecision(RouteAnswer):
    """The decision of a payment as it was made then, in sentences, and the record it can be made again from."""

    payment: _PaymentId
    explanation: list[str]
    record: dict[str, Any]


class Happening(_Answer):
    """One thing that happened; the other fields depend on `what`."""

    model_config = ConfigDict(extra="allow")

    at: _Time
    what: str


class Timeline(_Answer):
    """Everything that happened to a payment, oldest first."""

    data: list[Happening]


class DeliveryAnswer(_Answer):
    """How an event reached one endpoint."""

    endpoint: Annotated[str, _id(ENDPOINT)]
    status: Literal["pending", "delivered", "dead"]
    tries: int
    due_at: _Time | None
    last_status: int | None
    last_error: str | None
    delivered_at: _Time | None


class EventAnswer(_Answer):
    """An event: `body` is what every delivery sends."""

    id: _EventId
    object: Literal["event"]
    type: str
    object_id: str
    sequence: int
    created_at: _Time
    body: dict[str, Any]
    deliveries: list[DeliveryAnswer]


class EventPage(_Answer):
    """Events, newest first."""

    data: list[EventAnswer]
    next: Annotated[_EventId | None, Field(description="give it as `after` for the next page; null: no more")]


class Redelivery(_Answer):
    """How many deliveries were made due now."""

    deliveries: int


class Health(_Answer):
    """The process runs."""

    status: Literal["ok"]


class ReadinessAnswer(_Answer):
    """Whether the process can take payments now. `ticks`: how many seconds ago each job last ran."""

    ready: bool
    database: bool
    migrations: bool
    ticks: dict[str, float | None]
