"""How payouts are answered, and how it is said why one is refused."""

from typing import Annotated, Any, Final, Literal, cast
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.api.http.field_codes import FieldCode
from gateway.api.http.payment_answers import FailureAnswer
from gateway.api.http.problems import FieldError, Problem, ProblemCode, bad_fields, conflict
from gateway.domain.ids import PAYOUT
from gateway.domain.outcomes import ReturnReason, Suspicion
from gateway.domain.payees import PayeeType
from gateway.domain.payouts import Hold
from gateway.domain.statuses import Status
from gateway.flows.payout_acts import PayoutRefusedError

__all__ = ["PayoutAnswer", "PayoutPage", "refused"]


class ShownPayeeAnswer(AnswerModel):
    """Whom it goes to."""

    type: PayeeType
    account_no: Annotated[str, Field(description="masked")]
    bank: str


class SettlesAnswer(AnswerModel):
    """What it pays on."""

    payments: Annotated[int, Field(description="of how many payments")]
    amount: Annotated[int, Field(description="the sum of their parts, in fen")]


class PayoutAnswer(AnswerModel):
    """A payout. `status` is processing, succeeded, failed, or returned: it succeeded and the money came back."""

    id: Annotated[str, shown_id(PAYOUT)]
    object: Literal["payout"]
    merchant_order_no: str
    app: str
    channel: str
    account: ShownPayeeAnswer
    amount: int
    currency: str
    purpose: str
    status: Literal[Status.PROCESSING, Status.SUCCEEDED, Status.FAILED, Status.RETURNED]
    held_for: Annotated[
        Hold | None,
        Field(
            description="what it waits for before it is paid: app, its release; suspicion, an operator's word to the "
            "payment company; window, the time in which its channel may send it"
        ),
    ]
    suspicion: Annotated[Suspicion | None, Field(description="what the payment company suspects")]
    held_until: Annotated[Time | None, Field(description="when its hold ends by itself")]
    settles: SettlesAnswer
    channel_order_no: Annotated[str | None, Field(description="our number at the payment company")]
    channel_transaction_no: Annotated[str | None, Field(description="the payment company's number")]
    fee: Annotated[int | None, Field(description="what the payment company is owed, in fen; null until it is paid")]
    expected_fee: int | None
    failure: FailureAnswer | None
    returned: Annotated[ReturnReason | None, Field(description="why the money came back")]
    created_at: Time
    finished_at: Time | None
    channel_finished_at: Time | None
    business_day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    metadata: dict[str, Any]


class PayoutPage(BaseModel):
    """Payouts, newest first."""

    data: list[PayoutAnswer]
    next: str | None


_FIELDS: Final[dict[str, str]] = {
    "no_payout_rule": "is carried by no payout rule of this channel: name another, or an operator adds one",
    "not_found": "is not a channel of this merchant",
    "payout_rule_disabled": "is switched off in this channel's payout rules: name another, or wait for an operator",
    "payouts_not_supported": "has no payouts",
    "unsupported": "cannot be paid by this channel's payment company",
    "missing": "is needed by this channel's payment company",
    "text": "has a character that this channel's payment company cannot write",
}
_DETAILS: Final[dict[str, str]] = {
    "account_unusable": "The channel's account cannot be used now: an operator looks at /readyz.",
    "amount_exceeds_rest": "A payment has less left than its part: `left`, in fen. Nothing was recorded.",
    "cannot_be_confirmed": "The payment company gave nothing to confirm it with. Refuse it, or record its word.",
    "channel_off": "The channel is switched off, or in maintenance. Nothing was recorded: send it again later.",
    "payment_has_anomaly": "A payment has an open anomaly, its own or of what left it: an operator resolves it.",
    "payment_not_succeeded": "A payment has not succeeded, so nothing of it can be paid on.",
    "payout_limit_exceeded": "The channel's payout rule takes `left` fen now, and no more. Nothing was recorded.",
    "payout_not_allowed": "The channel's payout rules carry it no more. It stays held, until they do or it is refused.",
    "payout_not_held": "The payout is not held any more, so this cannot be done. Ask for its state.",
    "settle_conflict": "A payment is settled by this payout already, with another amount.",
    "settles_exceed_payout": "The parts are more than the payout. `left` is what it has room for, in fen.",
    "settles_incomplete": "The parts are not the whole payout yet. `left` is what lacks, in fen.",
}


def refused(error: PayoutRefusedError, parts: dict[UUID, int], *, was_taken: bool = False) -> Problem:
    """The problem of a payout that is refused. `parts`: by payment, its place among the request's settles.

    `was_taken`: it was recorded before, so that no field of this request is wrong.
    """
    if error.field is not None and was_taken:
        return conflict("payout_not_allowed", _DETAILS["payout_not_allowed"])
    if error.field is not None:
        return bad_fields([FieldError(error.field, cast("FieldCode", error.code), _FIELDS[error.code])])
    place = parts.get(error.payment_id) if error.payment_id is not None else None
    if error.code == "not_found":
        return bad_fields([FieldError(f"settles.{place}.payment", "not_found", "is not a payment of this app")])
    more = {} if error.left is None else {"left": error.left}
    if place is not None:
        more["part"] = place
    return conflict(cast("ProblemCode", error.code), _DETAILS[error.code], **more)
