"""How a decision of the router is answered."""

from typing import Annotated

from pydantic import Field

from gateway.api.http.answers import AnswerModel
from gateway.api.http.payment_answers import LimitAnswer
from gateway.domain.failures import FailureCode

__all__ = ["RouteAnswer", "SeenChannel"]


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
