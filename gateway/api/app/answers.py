"""What the calls answer, as models: for the OpenAPI document, and for tests that hold the answers to it.

They are not used to render: handlers answer the domain's own objects.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.domain.failures import Advice, Blame, FailureCode
from gateway.domain.ids import CARD, ENDPOINT, EVENT, PAYMENT
from gateway.domain.payments import Status
from gateway.domain.scenes import Kind, Scene

__all__ = [
    "DeliveryAnswer",
    "EventAnswer",
    "EventPage",
    "PaymentAnswer",
    "PaymentDecision",
    "PaymentPage",
    "RouteAnswer",
    "Timeline",
]


_PaymentId = Annotated[str, shown_id(PAYMENT)]
_EventId = Annotated[str, shown_id(EVENT)]


class CardAnswer(AnswerModel):
    """A card as it may be shown."""

    id: Annotated[str, shown_id(CARD)]
    masked: Annotated[str, Field(examples=["622202******1234"])]
    bank: str


class FailureAnswer(AnswerModel):
    """Why a payment failed, who is to blame, and what to do. `message` is in the language of `Accept-Language`."""

    code: FailureCode
    blame: Blame
    message: str
    advice: Advice
    channel_code: str | None
    channel_message: str | None


class PaymentAnswer(AnswerModel):
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
    created_at: Time
    finished_at: Time | None
    channel_finished_at: Time | None
    business_day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    metadata: dict[str, Any]


class PaymentPage(AnswerModel):
    """Payments, newest first."""

    data: list[PaymentAnswer]
    next: Annotated[_PaymentId | None, Field(description="give it as `after` for the next page; null: no more")]


class SeenChannel(AnswerModel):
    """One channel in a decision: the step that removed it and why, its fee in fen, its rank."""

    channel: str
    removed_by_step: int | None
    reason: str | None
    fee: int
    rank: int | None


class RouteAnswer(AnswerModel):
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


class Happening(AnswerModel):
    """One thing that happened; the other fields depend on `what`."""

    model_config = ConfigDict(extra="allow")

    at: Time
    what: str


class Timeline(AnswerModel):
    """Everything that happened to a payment, oldest first."""

    data: list[Happening]


class DeliveryAnswer(AnswerModel):
    """How an event reached one endpoint."""

    endpoint: Annotated[str, shown_id(ENDPOINT)]
    status: Literal["pending", "delivered", "dead"]
    tries: int
    due_at: Time | None
    last_status: int | None
    last_error: str | None
    delivered_at: Time | None


class EventAnswer(AnswerModel):
    """An event: `body` is what every delivery sends."""

    id: _EventId
    object: Literal["event"]
    type: str
    object_id: str
    sequence: int
    created_at: Time
    body: dict[str, Any]
    deliveries: list[DeliveryAnswer]


class EventPage(AnswerModel):
    """Events, newest first."""

    data: list[EventAnswer]
    next: Annotated[_EventId | None, Field(description="give it as `after` for the next page; null: no more")]
