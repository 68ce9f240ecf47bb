"""What the router's refusal means to who asked: the failure that is kept with the payment. Pure."""

from dataclasses import replace

from gateway.domain.failures import Advice, Failure, FailureCode, failure
from router.decision import Decision
from router.left import Told
from router.reasons import Refusal

__all__ = ["refusal_of"]


def refusal_of(decision: Decision) -> Failure | None:
    """Why the router refused, with the limit that it tells, and what helps; None: it did not."""
    if decision.refusal is None:
        return None
    why = failure(FailureCode(decision.refusal))
    if decision.refusal is Refusal.NO_CHANNEL_AVAILABLE and not decision.candidates:
        return replace(why, advice=Advice.NONE)  # no rule at all: another time is no better
    told = decision.told
    if told is None:
        return why
    return replace(why, advice=_advice(why, told), limit=told.limit, max_amount_now=told.max_amount_now)


def _advice(why: Failure, told: Told) -> Advice:
    if told.in_flight_only:
        return Advice.RETRY_LATER
    if told.other_card_helps:
        return Advice.CHANGE_CARD
    if why.code is FailureCode.CARD_LIMIT_EXCEEDED and told.limit.kind == "card_single_limit":
        return Advice.CHANGE_AMOUNT  # every card has the same, every day
    return why.advice
