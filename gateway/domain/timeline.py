"""What happened to a payment, as values: each has its time, and together, in order of time, they are its timeline."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.codes import Purpose
from gateway.domain.events import RecordedDelivery
from gateway.domain.failures import Failure
from gateway.domain.intents import Verb
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status

__all__ = [
    "AnomalyFound",
    "AnomalyResolved",
    "AuthenticationFinished",
    "AuthenticationStarted",
    "ChannelSaid",
    "CodeSubmitted",
    "Delivery",
    "EventWritten",
    "Happening",
    "PaymentFinished",
    "PaymentOpened",
    "RefundAsked",
    "Routed",
    "SmsAsked",
    "Submitted",
    "TimelinePage",
    "TimelinePosition",
    "WaitedForAuthentication",
]


@dataclass(frozen=True, slots=True)
class PaymentOpened:
    """The order was recorded as a payment. `amount` in fen."""

    at: datetime
    kind: Kind
    scene: Scene
    amount: int


@dataclass(frozen=True, slots=True)
class Routed:
    """The router chose a channel or refused, at which of its steps, by which version of the catalogue."""

    at: datetime
    chosen: str | None
    chosen_by_step: int | None
    refusal: str | None
    refused_by_step: int | None
    config_version: int | None


@dataclass(frozen=True, slots=True)
class WaitedForAuthentication:
    """Its card was being authenticated for another payment already."""

    at: datetime
    channel: str
    payment_id: UUID | None


@dataclass(frozen=True, slots=True)
class RefundAsked:
    """Money was to go back. `amount` in fen."""

    at: datetime
    refund_id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class AuthenticationStarted:
    """The card was to be bound first, for a fee in fen."""

    at: datetime
    channel: str
    fee: int


@dataclass(frozen=True, slots=True)
class AuthenticationFinished:
    """How binding the card ended, with the PSP's own words."""

    at: datetime
    channel: str
    status: str
    channel_code: str | None
    channel_message: str | None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The intent that moves the money was recorded: from then on it may have been sent. `number`: ours at the PSP."""

    at: datetime
    channel: str
    number: str


@dataclass(frozen=True, slots=True)
class SmsAsked:
    """An SMS with a code was asked for."""

    at: datetime
    channel: str
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class CodeSubmitted:
    """The code that signs the card was submitted. One that pays is a `Submitted`."""

    at: datetime
    channel: str


@dataclass(frozen=True, slots=True)
class ChannelSaid:
    """An observation: what the PSP said, and how it reached us."""

    at: datetime
    source: str
    verb: Verb
    object_id: UUID
    """Whose intent it was about."""
    says: str
    channel_code: str | None
    channel_message: str | None
    note: str | None = None
    """Who had the PSP's word in writing, and where it stands."""
    times: int = 1
    """How often it was said. Again and again the same word says nothing new, and is counted."""
    last_at: datetime | None = None
    """When it was said last, where it was said more than once."""
    took_s: int | None = None
    """Whole seconds since it was sent, where this word was its end."""
    after_end_s: int | None = None
    """Whole seconds since its end, where it had ended before: a late word, or one more question that told nothing."""


@dataclass(frozen=True, slots=True)
class PaymentFinished:
    """The payment became final."""

    at: datetime
    status: Status
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class AnomalyFound:
    """An observation contradicted what is recorded."""

    at: datetime
    kind: str
    detail: str
    source: str


@dataclass(frozen=True, slots=True)
class AnomalyResolved:
    """An operator's word on an anomaly."""

    at: datetime
    kind: str
    by: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class EventWritten:
    """The change was put down to be told."""

    at: datetime
    event_id: UUID
    type: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the delivery of an event stands. When a try failed is not kept: what is not delivered stands at its event."""

    at: datetime
    event_id: UUID
    stands: RecordedDelivery


Happening = (
    PaymentOpened
    | Routed
    | AuthenticationStarted
    | AuthenticationFinished
    | Submitted
    | SmsAsked
    | CodeSubmitted
    | ChannelSaid
    | PaymentFinished
    | RefundAsked
    | WaitedForAuthentication
    | AnomalyFound
    | AnomalyResolved
    | EventWritten
    | Delivery
)


@dataclass(frozen=True, slots=True, order=True)
class TimelinePosition:
    """Where an entry stands in a timeline. `rank`: of what happened at one moment the cause comes first."""

    at: datetime
    rank: int
    tie: int
    """Tells entries of one kind and moment apart."""


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Some of a timeline, oldest first. `last`: where it ends; None: there is no more."""

    happened: list[Happening]
    last: TimelinePosition | None
