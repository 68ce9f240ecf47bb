"""The catalogue's rules of payouts, for a wiring that asks none yet: whom a channel pays, how much, and when."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from gateway.domain.catalogue import Catalogue
from gateway.domain.payout_rules import PayoutRefusal, opens_at, why_not
from gateway.flows.payout_acts import PayoutRefusedError, RuleAnswer, RuleQuestion
from router.fees import fee_for

__all__ = ["rules_of"]


def rules_of(catalogue: Callable[[], Catalogue], zone: ZoneInfo) -> Callable[[RuleQuestion], RuleAnswer]:
    """What the rules of a catalogue say of a payout."""

    def answer(asked: RuleQuestion) -> RuleAnswer:
        rule = catalogue().payout_rule(asked.merchant_id, asked.channel, asked.kind, asked.bank)
        why = why_not(rule, asked.amount, asked.used_today, asked.now, zone)
        if rule is None or why not in {None, PayoutRefusal.WINDOW_CLOSED}:
            return RuleAnswer(PayoutRefusedError("payout_limit_exceeded"))
        return RuleAnswer(None, opens_at(rule, asked.now, zone) if why else None, fee_for(rule.fee, asked.amount))

    return answer
