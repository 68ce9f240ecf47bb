"""How decisions of the router are answered, and the routes that are recorded of them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.api.http.payment_answers import CardAnswer, FailureAnswer, LimitAnswer
from gateway.domain.failures import FailureCode
from gateway.domain.ids import ROUTE
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status

__all__ = ["RecordedRouteAnswer", "RecordedRoutePage", "RouteAnswer", "SeenChannel", "ShownRouteId"]

ShownRouteId = Annotated[str, shown_id(ROUTE)]


class AilingAnswer(AnswerModel):
    """What was known of a channel on which too few payments succeed, in the last `window_s` seconds; what failed by
    the payer's fault is not counted.

    One payment in `let_through` goes there all the same; null: none does now. `kept`: why it was not left out for it.
    """

    succeeded: int
    attempts: int
    rate_percent: Annotated[int | None, Field(description="rounded down; null without attempts")]
    window_s: int
    let_through: int | None
    switched_off: Annotated[bool, Field(description="closed until it is seen to work again")]
    kept: Literal["let_through", "last_available"] | None


class SeenChannel(AnswerModel):
    """One channel in a decision: the step that removed it and why, its fee in fen, its rank.

    `compared` is what step 6 ranks by: the fee, with `authentication_share` where the merchant spreads the fee of an
    authentication. The share is exact: whole fen, or a fraction as text such as `100/3`.
    """

    channel: str
    removed_by_step: int | None
    reason: str | None
    limit: Annotated[LimitAnswer | None, Field(description="for which it was removed, if it was one")]
    fee: int
    authentication_share: int | str
    compared: int
    rank: int | None
    ailing: Annotated[AilingAnswer | None, Field(description="null: it is well, or nobody wants it avoided")]


class RouteAnswer(AnswerModel):
    """A decision of the router: a channel or a refusal, and every channel it looked at."""

    chosen: str | None
    refusal: FailureCode | None
    chosen_by_step: int | None
    refused_by_step: int | None
    max_single_limit: int | None
    limit: Annotated[LimitAnswer | None, Field(description="of a refusal for a limit: which one")]
    max_amount_now: Annotated[
        int | None,
        Field(description="of a refusal for a limit: the most that one available channel would still take, in fen"),
    ]
    candidates: list[SeenChannel]
    config_version: int


class RecordedDecision(RouteAnswer):
    """The decision of a recorded route as it was made. `notes`: what did not count, and what is odd."""

    notes: list[str]


class RecordedRouteAnswer(AnswerModel):
    """A route that was decided and reserved for you to execute. Amounts and fees in fen."""

    id: ShownRouteId
    object: Literal["route"]
    merchant_order_no: str
    app: str
    scene: Scene
    user_id: str
    custody_user_no: str | None
    bank: str
    amount: int
    currency: str
    status: Literal[Status.OPEN, Status.SUCCEEDED, Status.FAILED]
    unreported: Annotated[bool, Field(description="its report is overdue: an anomaly; a report is still taken")]
    channel: str | None
    psp_code: Annotated[str | None, Field(description="custody: whom the bank is to charge through")]
    card: CardAnswer | None
    expected_fee: Annotated[int | None, Field(description="what the router counted with")]
    fee: Annotated[int | None, Field(description="what the payment company is owed; null until it is reported")]
    failure: FailureAnswer | None
    description: str | None
    report_before: Annotated[Time, Field(description="after it, without a report, it is an anomaly")]
    created_at: Time
    finished_at: Time | None
    business_day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    metadata: dict[str, Any]
    decision: RecordedDecision


class RecordedRoutePage(AnswerModel):
    """Recorded routes, newest first."""

    data: list[RecordedRouteAnswer]
    next: Annotated[ShownRouteId | None, Field(description="give it as `after` for the next page; null: no more")]
