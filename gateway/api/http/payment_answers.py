"""How payments are answered, to apps and operators alike."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.api.http.searching import CutPage
from gateway.domain.codes import ClosedReason, Purpose
from gateway.domain.failures import Advice, Blame, FailureCode
from gateway.domain.ids import CARD, CHECKOUT, PAYMENT
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status

__all__ = [
    "CardAnswer",
    "FailureAnswer",
    "LimitAnswer",
    "NextActionAnswer",
    "PaymentAnswer",
    "PaymentPage",
    "PaymentStatus",
    "ShownPaymentId",
    "TryOfAnswer",
]

ShownPaymentId = Annotated[str, shown_id(PAYMENT)]
PaymentStatus = Literal[Status.PROCESSING, Status.REQUIRES_ACTION, Status.SUCCEEDED, Status.FAILED, Status.CLOSED]
"""Those that a payment, and an authentication, can have."""


class CardAnswer(AnswerModel):
    """A card as it may be shown."""

    id: Annotated[str, shown_id(CARD)]
    masked: Annotated[str, Field(examples=["622202******1234"])]
    bank: str


class LimitAnswer(AnswerModel):
    """A limit that is in the way, by its name in the catalogue. All in fen; of `daily_insufficient_limit`, times."""

    kind: Annotated[
        Literal[
            "single_limit",
            "daily_limit",
            "daily_insufficient_limit",
            "daily_total",
            "card_single_limit",
            "card_daily_limit",
        ],
        Field(description="daily_total: of all users of the channel; card_…: of the card number, whoever uses it"),
    ]
    limit: int
    left: Annotated[int, Field(description="of the limit, now")]
    in_flight: Annotated[
        int | None,
        Field(description="of what is used, what has no result yet; null: not known, in decisions of before"),
    ]


class FailureAnswer(AnswerModel):
    """Why a payment failed, who is to blame, and what to do. `message` is in the language of `Accept-Language`.

    `limit` and `max_amount_now` are told where the router refused for a limit.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    code: FailureCode
    blame: Blame
    message: str
    advice: Advice
    channel_code: str | None
    channel_message: str | None
    limit: LimitAnswer | None = None
    max_amount_now: Annotated[
        int | None, Field(description="the most that one available channel would still take, in fen; 0: none would")
    ] = None


class NextActionAnswer(AnswerModel):
    """What the payer must do, of what is `requires_action`: type the code of an SMS."""

    type: Literal["sms_code"]
    purpose: Annotated[Purpose, Field(description="sign: the code binds the card; pay: it pays this payment")]
    phone: Annotated[str, Field(description="where the SMS goes, masked", examples=["138****8000"])]
    expires_at: Annotated[Time | None, Field(description="until when the code can be typed")]
    resends_left: Annotated[int, Field(description="how many more SMS may be asked for")]
    tries_left: Annotated[int, Field(description="how many more wrong codes there may be: with the last one it fails")]
    expired: Annotated[bool, Field(description="too late, and whether something was paid is being found out")]


class FormAnswer(AnswerModel):
    """A form that the payer's browser sends to the payment company, signed already: in this charset, in this order."""

    action: str
    method: Literal["GET", "POST"]
    charset: Literal["utf-8", "gbk"]
    fields: dict[str, str]


class RedirectAnswer(AnswerModel):
    """The payer pays on a page of a bank or a payment company."""

    type: Literal["redirect"]
    url: Annotated[str, Field(description="our page, which brings their browser there: it always works")]
    expires_at: Annotated[Time | None, Field(description="until when it can be paid")]
    expired: Annotated[bool, Field(description="too late, and whether something was paid is being found out")]
    form: Annotated[
        FormAnswer | None, Field(description="the same, for apps that send it themselves; in answers, not in events")
    ] = None


class TryOfAnswer(AnswerModel):
    """The checkout that this is a try of; while it is `open` the payer may try again."""

    id: Annotated[str, shown_id(CHECKOUT)]
    status: Literal[Status.OPEN, Status.SUCCEEDED, Status.EXPIRED, Status.CANCELED]


class PaymentAnswer(AnswerModel):
    """A payment. Amounts and fees in fen."""

    id: ShownPaymentId
    object: Literal["payment"]
    kind: Kind
    merchant_order_no: str
    app: str
    scene: Scene
    user_id: str
    bank: str
    amount: int
    currency: str
    status: PaymentStatus
    channel: str | None
    channel_order_no: Annotated[str | None, Field(description="our number at the payment company")]
    channel_transaction_no: Annotated[str | None, Field(description="the payment company's number")]
    card: CardAnswer | None
    fee: Annotated[
        int | None, Field(description="what the payment company is owed; null until the money is known to have moved")
    ]
    expected_fee: Annotated[int | None, Field(description="what the router counted with")]
    authentication_fee: Annotated[
        int | None, Field(description="what the authentication costs that this payment started; null: none was sent")
    ]
    failure: FailureAnswer | None
    next_action: Annotated[
        NextActionAnswer | RedirectAnswer | None,
        Field(description="what the payer must do now, while the status is requires_action"),
    ]
    closed_reason: Annotated[ClosedReason | None, Field(description="why it is `closed`; a closed one has no failure")]
    description: str | None
    created_at: Time
    finished_at: Time | None
    channel_finished_at: Time | None
    business_day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    refunded: Annotated[int, Field(description="by refunds that are in flight or succeeded")]
    settled: Annotated[int, Field(description="paid on to others")]
    corrects: Annotated[str | None, Field(description="the payment whose money it takes as paid")]
    checkout: TryOfAnswer | None
    metadata: dict[str, Any]


class PaymentPage(CutPage):
    """Payments, newest first."""

    data: list[PaymentAnswer]
    next: Annotated[ShownPaymentId | None, Field(description="give it as `after` for the next page; null: no more")]
