"""What the payout rules in force mean for a payout: its fee, when it may be sent, or why not, and what it fails with.

Not here: what a rule says at which moment (tests/unit/domain/test_payout_rules), days and locks (tests/storage).
"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.catalogue import Catalogue
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import PayoutRefusal, PayoutRule, PayoutWindow
from gateway.flows.payout_acts import PayoutRefusedError, RuleQuestion
from gateway.flows.payout_rules import rules_in_force
from router.fees import PercentFee
from tests.unit.domain.samples import MERCHANT_ID

STRANGER = UUID(int=5)
ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 5, 4, tzinfo=UTC)  # in Shanghai
RULE = PayoutRule(MERCHANT_ID, "tl", PayeeType.PERSONAL, "*", True, PercentFee(Decimal("0.001"), min=1), 50_000, 80_000)
ABC = replace(RULE, bank="ABC", enabled=False)
ICBC = replace(RULE, bank="ICBC", single_limit=None)
CCB = replace(RULE, bank="CCB", windows=(PayoutWindow("08:00", "12:00"),))
FIRMS = replace(RULE, payee=PayeeType.CORPORATE, bank="ICBC", enabled=True, single_limit=None, daily_limit=None)
CLOSED = replace(RULE, channel="off", enabled=False)
EVERY = (RULE, ABC, ICBC, CCB, FIRMS, CLOSED)


def question(amount: int = 50_000, used_today: int = 0, **known: Any) -> RuleQuestion:
    base = RuleQuestion(MERCHANT_ID, "tl", PayeeType.PERSONAL, "CMB", amount, used_today, NOON)
    return replace(base, **known)


def refusal(asked: RuleQuestion) -> PayoutRefusedError:
    told = rules_in_force(lambda: Catalogue(1, payout_rules=EVERY), ZONE)(asked)
    assert told.refusal is not None
    assert (told.opens_at, told.expected_fee) == (None, None)
    return told.refusal


@pytest.mark.parametrize(
    ("asked", "fee"),
    [
        (question(50_000, 30_000), 50),  # to both limits exactly
        (question(1), 1),
        (question(80_000, bank="ICBC"), 80),
        (question(10**12, 10**12, kind=PayeeType.CORPORATE, bank="ICBC"), 10**9),
    ],
)
def test_what_its_rule_carries_may_be_sent_now_at_its_fee(asked: RuleQuestion, fee: int) -> None:
    told = rules_in_force(lambda: Catalogue(1, payout_rules=EVERY), ZONE)(asked)
    assert (told.refusal, told.opens_at, told.expected_fee) == (None, None, fee)


def test_outside_its_windows_it_is_told_when_the_next_one_opens() -> None:
    told = rules_in_force(lambda: Catalogue(1, payout_rules=EVERY), ZONE)(question(bank="CCB"))
    assert told.refusal is None
    assert (told.opens_at, told.expected_fee) == (datetime(2026, 3, 6, tzinfo=UTC), 50)  # 08:00 in Shanghai


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (question(channel="up"), "no_payout_rule", "channel"),
        (question(channel="off", kind=PayeeType.CORPORATE), "no_payout_rule", "account.type"),
        (question(kind=PayeeType.CORPORATE), "no_payout_rule", "account.bank"),
        (question(merchant_id=STRANGER), "no_payout_rule", "channel"),  # of another merchant
        (question(bank="ABC"), "payout_rule_disabled", "account.bank"),
        (question(channel="off"), "payout_rule_disabled", "account.type"),
    ],
)
def test_what_no_rule_carries_is_refused_by_the_field_that_is_not_covered(
    asked: RuleQuestion, code: str, field: str
) -> None:
    told = refusal(asked)
    assert (told.code, told.field, told.left) == (code, field, None)


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (question(50_001), 50_000),
        (question(50_001, 70_000), 10_000),  # no more than the day has left either
        (question(40_000, 40_001), 39_999),
        (question(1, 80_000), 0),
        (question(1, 90_000), 0),  # a rule was made smaller, or money moved after all
        (question(80_001, bank="ICBC"), 80_000),
        (question(50_001, bank="CCB"), 50_000),  # no window makes it smaller
    ],
)
def test_above_a_limit_it_is_told_what_the_rule_takes_now(asked: RuleQuestion, left: int) -> None:
    told = refusal(asked)
    assert (told.code, told.field, told.left) == ("payout_limit_exceeded", None, left)


@pytest.mark.parametrize(
    ("asked", "failure", "advice"),
    [
        (question(channel="up"), "no_channel_available", "none"),
        (question(bank="ABC"), "no_channel_available", "retry_later"),
        (question(50_001), "single_limit_exceeded", "change_amount"),
        (question(1, 80_000), "daily_limit_exceeded", "retry_tomorrow"),
    ],
)
def test_a_payout_that_was_taken_before_fails_with_what_is_true_now(
    asked: RuleQuestion, failure: str, advice: str
) -> None:
    told = refusal(asked).fails_as
    assert told is not None
    assert (told.code, told.advice, told.blame) == (failure, advice, "platform")


def test_the_catalogue_is_looked_at_for_each_question() -> None:
    current = [Catalogue(1, payout_rules=(RULE,)), Catalogue(2, payout_rules=(replace(RULE, enabled=False),))]
    rules = rules_in_force(lambda: current.pop(0), ZONE)
    assert rules(question()).refusal is None
    told = rules(question()).refusal
    assert told is not None
    assert told.code == "payout_rule_disabled"


def test_every_reason_to_refuse_has_a_code_and_a_failure() -> None:
    """Those that end by waiting have none: they hold the payout."""
    from gateway.flows import payout_rules

    codes, failures = vars(payout_rules)["_CODES"], vars(payout_rules)["_FAILURES"]
    assert set(codes) == set(failures) == set(PayoutRefusal) - {PayoutRefusal.WINDOW_CLOSED}
