"""Refunds: open one, read it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field

from gateway.api.app.order_numbers import refuse_number_of_try
from gateway.api.app.payments import REPLAYED, FailureAnswer, ShownPaymentId
from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.api.http.fields import Amount, Description, Metadata, OrderNumber, RequestModel, id_field
from gateway.api.http.needs import RefundsFlow
from gateway.api.http.problems import FieldError, bad_fields, conflict, not_found
from gateway.api.http.refund_answers import exceeds_rest, not_refundable
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.ids import ANOMALY, PAYMENT, REFUND, IdError, read, show
from gateway.domain.orders import RefundOrder
from gateway.domain.outcomes import ReturnReason
from gateway.domain.statuses import Status
from gateway.objects.refunds import refund_object
from gateway.ports import AmountExceedsRestError, OrderConflictError, PaymentNotRefundableError, Reading

__all__ = ["RefundAnswer", "RefundCalls", "RefundRequest"]

TAGS = ("refunds",)
OPENING = (
    "Money back to the payer, whole or in parts, on the channel that took it. The amounts of the refunds of a payment "
    "that are in flight or succeeded never exceed it: `amount_exceeds_rest` tells in `left` what is left, in fen, and "
    "takes no order number. `(app, merchant_order_no)` is the idempotency key for ever, in the space of payments' own "
    "numbers: sending again is always safe."
)

if TYPE_CHECKING:
    PaymentId: TypeAlias = UUID
    AnomalyId: TypeAlias = UUID
else:
    PaymentId = id_field(PAYMENT)
    AnomalyId = id_field(ANOMALY)


class RefundRequest(RequestModel):
    """A refund (退款) of a payment. `merchant_order_no` is the refund's own; `amount` in fen."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "merchant_order_no": "refund-0001",
                    "payment": "pay_01jd2h8e1nfhs8kv1m5y7x9f3b",
                    "amount": 10_000,
                    "reason": "贷款取消",
                }
            ]
        }
    )

    merchant_order_no: OrderNumber
    payment: PaymentId
    amount: Amount
    reason: Description | None = None
    anomaly: Annotated[
        AnomalyId | None,
        Field(
            description="the anomaly (`late_success`, `paid_twice`, `transaction_mismatch`) whose money is to go back;"
            " it is resolved by that. Without it the money of a payment that succeeded goes back."
        ),
    ] = None
    metadata: Metadata = Field(default_factory=dict)


class RefundAnswer(AnswerModel):
    """A refund. `status` is processing, succeeded, failed, or returned: it succeeded and the money came back."""

    id: Annotated[str, shown_id(REFUND)]
    object: Literal["refund"]
    merchant_order_no: str
    app: str
    payment: ShownPaymentId
    user_id: str
    amount: int
    currency: str
    status: Literal[Status.PROCESSING, Status.SUCCEEDED, Status.FAILED, Status.RETURNED]
    reason: str | None
    channel: str
    channel_order_no: Annotated[str, Field(description="our number at the payment company")]
    channel_transaction_no: Annotated[str | None, Field(description="the payment company's number")]
    failure: FailureAnswer | None
    returned: Annotated[ReturnReason | None, Field(description="why the money came back")]
    fee_returned: Annotated[
        int | None, Field(description="what the payment company gave back of its fee; null: it did not say")
    ]
    created_at: Time
    finished_at: Time | None
    channel_finished_at: Time | None
    business_day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    anomaly: Annotated[str | None, Field(description="the anomaly whose money it gives back, ano_…")]
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RefundCalls:
    """The calls of refunds."""

    refunds: RefundsFlow
    reading: Reading

    def routes(self) -> list[Route]:
        """The routes of refunds."""
        opened = {
            201: Answer(RefundAnswer, "Opened; `status` says how it stands."),
            200: Answer(
                RefundAnswer,
                "This order was opened before; the refund as it is now.",
                headers={REPLAYED: "always `true`"},
            ),
        }
        about = {"id": "the refund's id, ref_…"}
        return [
            Route("POST", "/v1/refunds", self.open, "Open a refund (退款)", TAGS, opened,
                  body=RefundRequest, problems=(409, 503), description=OPENING),
            Route("GET", "/v1/refunds/{id}", self.refund, "Read a refund", TAGS,
                  {200: Answer(RefundAnswer, "The refund as it is now.")}, path_about=about),
        ]  # fmt: skip

    async def open(self, call: Call) -> Reply:
        asked: RefundRequest = call.body
        await refuse_number_of_try(self.reading, call.caller, asked.merchant_order_no)
        order = RefundOrder(
            merchant_id=call.caller.merchant_id,
            app=call.caller.app,
            merchant_order_no=asked.merchant_order_no,
            payment_id=asked.payment,
            amount=asked.amount,
            reason=asked.reason,
            metadata=asked.metadata,
            body=_canonical_body(asked),
            anomaly_id=asked.anomaly,
            resolved_by=f"app {call.caller.app}" if asked.anomaly is not None else "",
            note=asked.reason or f"refund {asked.merchant_order_no}",
        )
        try:
            opened = await self.refunds.open(order)
        except OrderConflictError:
            detail = "This merchant_order_no was used before with other content. Use a new one for a new refund."
            raise conflict("order_conflict", detail) from None
        except AmountExceedsRestError as error:
            raise exceeds_rest(error.left) from None
        except PaymentNotRefundableError as error:
            raise not_refundable(error.code) from None
        if opened is None:
            raise bad_fields([FieldError("payment", "not_found", "is not a payment of this app")])
        body = refund_object(opened.refund, call.language)
        return Reply(body, headers={REPLAYED: "true"}) if opened.replayed else Reply(body, status=201)

    async def refund(self, call: Call) -> Reply:
        try:
            refund_id = read(REFUND, call.path["id"])
        except IdError:
            raise not_found("refund") from None
        found = await self.reading.refund(call.caller.merchant_id, call.caller.app, refund_id)
        if found is None:
            raise not_found("refund")
        return Reply(refund_object(found, call.language))


def _canonical_body(asked: RefundRequest) -> bytes:
    """The request in one form, so that two requests that mean the same are the same bytes."""
    said = asked.model_dump(exclude_none=True, exclude_defaults=True) | {"payment": show(PAYMENT, asked.payment)}
    if asked.anomaly is not None:
        said["anomaly"] = show(ANOMALY, asked.anomaly)
    return orjson.dumps({"refund": said}, option=orjson.OPT_SORT_KEYS)
