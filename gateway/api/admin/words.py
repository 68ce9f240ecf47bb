"""Words of PSPs that operators have in writing: what ends a payment, a refund or a payout that stays unknown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, WithJsonSchema, model_validator

from gateway.api.admin.anomalies import says_something
from gateway.api.admin.fields import MAX_NAME, MAX_NOTE
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import Amount, Lines, OneLine, RequestModel, wrong
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import Catalogue
from gateway.domain.failures import OURS, FailureCode
from gateway.domain.ids import PAYMENT, PAYOUT, REFUND, IdError, ObjectKind, read_object
from gateway.domain.outcomes import Declined, NotFound, Outcome, Returned, ReturnReason, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.flows.operator_word import NothingSentError
from gateway.objects.payments import payment_object
from gateway.objects.payouts import payout_object
from gateway.objects.refunds import refund_object
from gateway.ports import Recorded

__all__ = ["WordCalls", "Words"]

ABOUT = (
    "For a payment, a refund or a payout that stays `processing` because its payment company cannot be asked any more, "
    "or says nothing final: record what it told you in writing. It is kept with your name and note (source "
    "`operator`) and does what an answer of the payment company would do; on what is final already, a contrary word is "
    "an anomaly."
)
_KINDS = frozenset({ObjectKind.PAYMENT, ObjectKind.REFUND, ObjectKind.PAYOUT})


class Words(Protocol):
    """Records words of PSPs: a `flows.operator_word.OperatorWord`."""

    async def record(
        self, merchant_id: UUID, kind: ObjectKind, object_id: UUID, outcome: Any, *, by: str, note: str
    ) -> Recorded | None: ...


def _object(value: object) -> tuple[ObjectKind, UUID]:
    try:
        kind, object_id = read_object(value if isinstance(value, str) else "")
    except IdError:
        raise wrong("id", f"must be an id {PAYMENT}_…, {REFUND}_… or {PAYOUT}_…") from None
    if kind not in _KINDS:
        raise wrong("id", f"must be an id {PAYMENT}_…, {REFUND}_… or {PAYOUT}_…")
    return kind, object_id


if TYPE_CHECKING:
    ObjectId: TypeAlias = tuple[ObjectKind, UUID]
else:
    ObjectId = Annotated[tuple[ObjectKind, UUID], PlainValidator(_object), WithJsonSchema({"type": "string"})]
Text = Annotated[OneLine, Field(min_length=1, max_length=MAX_NAME), AfterValidator(says_something)]


class WordRequest(RequestModel):
    """What a payment company told in writing. `succeeded` needs `amount`, `declined` a `failure_code`."""

    object_id: ObjectId
    says: Literal["succeeded", "declined", "not_received", "returned"]
    amount: Amount | None = None
    failure_code: Annotated[FailureCode, Field(strict=False)] | None = None
    return_reason: Annotated[ReturnReason, Field(strict=False)] | None = None
    channel_transaction_no: Text | None = None
    channel_code: Text | None = None
    by: Annotated[Text, Field(description="who says so")]
    note: Annotated[
        Lines,
        Field(min_length=1, max_length=MAX_NOTE, description="where it stands: a letter, a mail, a statement"),
        AfterValidator(says_something),
    ]

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        needed = {"succeeded": "amount", "declined": "failure_code", "returned": "return_reason"}.get(self.says)
        if needed is not None and getattr(self, needed) is None:
            raise wrong("missing", f"is needed where it says {self.says}", field=needed)
        for name in {"amount", "failure_code", "return_reason"} - {needed}:
            if getattr(self, name) is not None:
                raise wrong("unwanted", f"does not go with {self.says}", field=name)
        if self.failure_code in OURS:
            raise wrong("unwanted", "is what only Sluice says: name the payment company's reason", field="failure_code")
        if self.says == "returned" and self.object_id[0] is ObjectKind.PAYMENT:
            raise wrong("unwanted", "is for refunds and payouts: a payment does not come back", field="says")
        return self

    def outcome(self) -> Outcome:
        """The word, as an adapter would have read it."""
        code, number = self.channel_code, self.channel_transaction_no
        if self.says == "succeeded":
            return Succeeded(self.amount, number, channel_code=code)
        if self.says == "declined":
            assert self.failure_code is not None
            return Declined(self.failure_code, code, channel_transaction_no=number)
        if self.says == "returned":
            assert self.return_reason is not None
            return Returned(self.return_reason, code)
        return NotFound(code)


class HeardAnswer(BaseModel):
    """How the payment, the refund or the payout stands after the word."""

    object: Literal["payment", "refund", "payout"]
    id: str
    status: Status
    failure_code: FailureCode | None
    channel_transaction_no: str | None
    returned: ReturnReason | None


@dataclass(frozen=True, slots=True)
class WordCalls:
    """The call of words. `catalogue`: the one in force."""

    words: Words
    catalogue: Callable[[], Catalogue]

    def routes(self) -> list[Route]:
        """The route of words."""
        return [
            Route(
                "POST",
                f"{MERCHANT}/observations",
                self.record,
                "record what a payment company told in writing",
                TAGS,
                {200: Answer(HeardAnswer, "the payment, refund or payout as it is now")},
                scope="admin",
                body=WordRequest,
                problems=(409,),
                path_about=MERCHANT_ABOUT,
                description=ABOUT,
            )
        ]

    async def record(self, call: Call) -> Reply:
        merchant, said = merchant_of(self.catalogue(), call), call.body
        kind, object_id = said.object_id
        try:
            recorded = await self.words.record(
                merchant.merchant_id, kind, object_id, said.outcome(), by=said.by, note=said.note
            )
        except NothingSentError:
            detail = "Nothing of it was ever sent, so no payment company can have said anything of it."
            raise conflict("nothing_sent", detail) from None
        if recorded is None:
            raise not_found(kind)
        return Reply(_shown(recorded.object))


def _shown(about: Payment | Refund | Payout | Authentication) -> dict[str, Any]:
    assert not isinstance(about, Authentication), "words are of money that moves"
    match about:
        case Payment():
            shown = payment_object(about)
        case Refund():
            shown = refund_object(about)
        case Payout():
            shown = payout_object(about)
    return {
        "object": shown["object"],
        "id": shown["id"],
        "status": about.status,
        "failure_code": about.failure.code if about.failure else None,
        "channel_transaction_no": shown["channel_transaction_no"],
        "returned": shown.get("returned"),
    }
