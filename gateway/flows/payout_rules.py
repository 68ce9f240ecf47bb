"""The payout rules of the catalogue in force, as payouts ask about them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.catalogue import ANY_BANK, Catalogue
from gateway.domain.failures import Advice, Failure, FailureCode, failure
from gateway.domain.payout_rules import PayoutRefusal, PayoutRule, opens_at, why_not
from gateway.flows.payout_acts import PayoutRefusedError, PayoutRules, RuleAnswer, RuleQuestion
from router.fees import fee_for

__all__ = ["rules_in_force"]


def rules_in_force(catalogue: Callable[[], Catalogue], zone: ZoneInfo) -> PayoutRules:
    """What the catalogue says at the moment of each question. `zone`: of its windows and of the business day."""

    def answer(asked: RuleQuestion) -> RuleAnswer:
        current = catalogue()
        rule = current.payout_rule(asked.merchant_id, asked.channel, asked.kind, asked.bank)
        if rule is None:
            return RuleAnswer(_refused(PayoutRefusal.NO_RULE, field=_not_covered(current, asked)))
        fee = fee_for(rule.fee_on(asked.now.astimezone(zone).date()), asked.amount)
        match why_not(rule, asked.amount, asked.used_today, asked.now, zone):
            case None:
                return RuleAnswer(expected_fee=fee)
            case PayoutRefusal.WINDOW_CLOSED:
                return RuleAnswer(opens_at=opens_at(rule, asked.now, zone), expected_fee=fee)
            case PayoutRefusal.RULE_DISABLED as why:
                return RuleAnswer(_refused(why, field="account.type" if rule.bank == ANY_BANK else "account.bank"))
            case why:
                return RuleAnswer(_refused(why, left=_left(rule, asked.used_today)))

    return answer


def _refused(why: PayoutRefusal, *, field: str | None = None, left: int | None = None) -> PayoutRefusedError:
    return PayoutRefusedError(_CODES[why], field=field, left=left, fails_as=_FAILURES[why])


def _not_covered(catalogue: Catalogue, asked: RuleQuestion) -> str:
    """What of a request the channel's rules do not name."""
    rules = catalogue.payout_rules_of(asked.merchant_id, asked.channel)
    if not rules:
        return "channel"
    return "account.bank" if any(rule.payee is asked.kind for rule in rules) else "account.type"


def _left(rule: PayoutRule, used_today: int) -> int:
    """The most that one payout may take now, in fen."""
    limits = (rule.single_limit, None if rule.daily_limit is None else max(rule.daily_limit - used_today, 0))
    return min(limit for limit in limits if limit is not None)


_CODES: Final[dict[PayoutRefusal, str]] = {
    PayoutRefusal.NO_RULE: "no_payout_rule",
    PayoutRefusal.RULE_DISABLED: "payout_rule_disabled",
    PayoutRefusal.SINGLE_LIMIT_EXCEEDED: "payout_limit_exceeded",
    PayoutRefusal.DAILY_LIMIT_EXCEEDED: "payout_limit_exceeded",
}
_FAILURES: Final[dict[PayoutRefusal, Failure]] = {
    # Where there is no rule at all, another time is no better.
    PayoutRefusal.NO_RULE: replace(failure(FailureCode.NO_CHANNEL_AVAILABLE), advice=Advice.NONE),
    PayoutRefusal.RULE_DISABLED: failure(FailureCode.NO_CHANNEL_AVAILABLE),
    PayoutRefusal.SINGLE_LIMIT_EXCEEDED: failure(FailureCode.SINGLE_LIMIT_EXCEEDED),
    PayoutRefusal.DAILY_LIMIT_EXCEEDED: failure(FailureCode.DAILY_LIMIT_EXCEEDED),
}
"""What a payout that waited for its window fails with."""
