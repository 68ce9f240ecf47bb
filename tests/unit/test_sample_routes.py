"""For each of the router's nine steps the sample catalogue has a request that this step decides: the table of
docs/catalogue.md, "The sample, step by step".

Not here: the steps themselves (tests/unit/router), and that payments go where decisions say (tests/e2e).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from uuid import UUID

import pytest

from adapters.registry import offer_for
from gateway.catalogue_file import read_catalogue
from gateway.domain.carrying import Carries
from gateway.domain.catalogue import Account, Catalogue, Channel, Merchant, RouteRule
from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.payees import PayeeType
from gateway.domain.scenes import Scene
from gateway.flows.route import Payer, candidates_for
from gateway.ports.providers import ways_of
from router.decide import Decision, decide
from router.facts import ChannelFacts, LastAttempt, RouteRequest

MERCHANT = UUID(int=1)
NOW = datetime(2026, 3, 5, 4, tzinfo=UTC)
Facts = Mapping[str, ChannelFacts]


def failed(blame: str, ago: timedelta = timedelta(hours=1)) -> ChannelFacts:
    return ChannelFacts(last_attempt=LastAttempt("failed", blame, NOW - ago))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Asked:
    """One request; `present`: its payer is there. What was done before stands in `facts`."""

    scene: Scene
    bank: str
    amount: int
    facts: Facts = field(default_factory=dict)
    present: bool = False


@pytest.fixture(scope="module")
def sample(psp_keys: Path) -> MerchantContent:
    environ = {
        "SLUICE_SANDBOX_PORT": "1",
        "SLUICE_RECEIVER_PORT": "2",
        "SLUICE_SANDBOX_KEYS": str(psp_keys),
        "SLUICE_RECEIVER_SECRET": "whsec_" + "QUJD" * 8,
    }
    with resources.as_file(resources.files("gateway") / "samples/catalogue.toml") as path:
        return read_catalogue(path, environ).merchants[0]


def decided(sample: MerchantContent, asked: Asked) -> Decision:
    """What the router says by the sample, to somebody whose card was signed nowhere."""
    channels = tuple(
        Channel(MERCHANT, c.code, c.account, c.name, c.on, c.authentication, c.authentication_fee, c.limits)
        for c in sample.channels
    )
    age = timedelta(seconds=sample.last_attempt_max_age_s or 0)
    merchant = Merchant(
        MERCHANT, sample.code, sample.name, last_attempt_max_age=age,
        primary_signer=sample.primary_signer, primary_signers=sample.primary_signers,
    )  # fmt: skip
    catalogue = Catalogue(
        1,
        merchants=(merchant,),
        accounts=tuple(Account(MERCHANT, each.code, each.provider, each.settings) for each in sample.accounts),
        channels=channels,
        rules=[
            RouteRule(MERCHANT, r.channel, r.scene, r.bank, r.enabled, r.fee, r.priority, r.limits)
            for r in sample.rules
        ],
    )
    offers = {account.code: offer_for(account) for account in sample.accounts}

    def carries(_: UUID, account: str) -> Carries:
        offer = offers[account]
        known: Carries = offer.declaration.carries
        return Carries(
            known.banks, known.charset, known.id_types, ways_of(offer.declaration, offer.commands),
            known.residence_permits, known.page_banks,
        )  # fmt: skip

    payer = Payer(present=asked.present)
    candidates = candidates_for(catalogue, MERCHANT, asked.scene, asked.bank, payer, NOW, carries_of=carries)
    request = RouteRequest("u1", asked.scene, asked.bank, asked.amount, NOW, asked.present, age)
    return decide(request, candidates, asked.facts, 1)


WITHHOLD, QUICK = Scene.WITHHOLD, Scene.QUICK_CHARGE
NO_BALANCE = ChannelFacts(insufficient_today=3)
USED_UP = {"allinpay": ChannelFacts(used_today=1_800_000), "unionpay": ChannelFacts(used_today=19_800_000)}


@pytest.mark.parametrize(
    ("step", "asked", "refusal"),
    [
        (1, Asked(QUICK, "CMB", 10_000), "card_needs_signing"),
        (1, Asked(WITHHOLD, "CDB", 10_000), "no_channel_available"),
        (2, Asked(WITHHOLD, "ICBC", 6_000_000), "single_limit_exceeded"),
        (3, Asked(WITHHOLD, "ICBC", 400_000, USED_UP), "daily_limit_exceeded"),
        (4, Asked(WITHHOLD, "ICBC", 10_000, dict.fromkeys(("allinpay", "unionpay"), NO_BALANCE)),
         "daily_insufficient_balance_exceeded"),
        (5, Asked(WITHHOLD, "ICBC", 600_000, {"unionpay": NO_BALANCE}), "no_eligible_channel"),
    ],
)  # fmt: skip
def test_steps_1_to_5_refuse_what_no_channel_can_take(
    sample: MerchantContent, step: int, asked: Asked, refusal: str
) -> None:
    told = decided(sample, asked)
    assert (told.refused_by_step, told.refusal) == (step, refusal)


@pytest.mark.parametrize(
    ("asked", "chosen", "step", "others"),
    [
        # 1: cards of SPDB are signed at Baofoo, the cheapest, only with their payers.
        (Asked(WITHHOLD, "SPDB", 10_000), "allinpay", 7, {"baofoo": (1, "needs_signing")}),
        # 5: above Allinpay's single limit, used up there today, and three times without balance there.
        (Asked(WITHHOLD, "ICBC", 600_000), "unionpay", 5, {"allinpay": (5, "single_limit_exceeded")}),
        (Asked(WITHHOLD, "ICBC", 10_000, {"allinpay": ChannelFacts(used_today=1_995_000)}), "unionpay", 5,
         {"allinpay": (5, "daily_limit_exceeded")}),
        (Asked(WITHHOLD, "ICBC", 10_000, {"allinpay": NO_BALANCE}), "unionpay", 5,
         {"allinpay": (5, "daily_insufficient_balance_exceeded")}),
        # 7: the lower fee, and nobody was there before, or it went well, or too long ago.
        (Asked(WITHHOLD, "ICBC", 10_000), "allinpay", 7, {}),
        (Asked(WITHHOLD, "ICBC", 80_000), "unionpay", 7, {}),
        (Asked(WITHHOLD, "ICBC", 10_000, {"allinpay": ChannelFacts(last_attempt=LastAttempt("succeeded"))}),
         "allinpay", 7, {}),
        (Asked(WITHHOLD, "ICBC", 10_000, {"allinpay": failed("channel", timedelta(hours=25))}), "allinpay", 7, {}),
        # 8: it failed there, and the payer is to blame.
        (Asked(WITHHOLD, "ICBC", 10_000, {"allinpay": failed("payer")}), "allinpay", 8, {}),
        # 9: it failed there and the payer is not to blame; then at both.
        (Asked(WITHHOLD, "ICBC", 10_000, {"allinpay": failed("channel")}), "unionpay", 9, {}),
        (Asked(WITHHOLD, "ICBC", 10_000, dict.fromkeys(("allinpay", "unionpay"), failed("channel"))), "allinpay", 9,
         {}),
    ],
)  # fmt: skip
def test_steps_5_and_7_to_9_choose(
    sample: MerchantContent, asked: Asked, chosen: str, step: int, others: dict[str, tuple[int, str]]
) -> None:
    told = decided(sample, asked)
    assert (told.chosen, told.chosen_by_step) == (chosen, step)
    seen = {each.channel: (each.removed_by_step, each.reason) for each in told.trace if each.removed_by_step}
    assert seen == others


def test_step_6_ranks_by_fee_and_where_that_is_the_same_by_priority(sample: MerchantContent) -> None:
    for amount, ranked in (
        (49_700, [("allinpay", 99), ("unionpay", 100)]),
        (50_000, [("unionpay", 100), ("allinpay", 100)]),  # the same fee: the larger priority
        (50_300, [("unionpay", 100), ("allinpay", 101)]),
    ):
        told = decided(sample, Asked(WITHHOLD, "ICBC", amount))
        assert [(seen.channel, seen.fee) for seen in told.ranked] == ranked
        assert told.chosen == ranked[0][0]


def test_it_has_rules_for_every_scene_and_a_dozen_banks(sample: MerchantContent) -> None:
    assert {rule.scene for rule in sample.rules} == set(Scene)
    assert len({rule.bank for rule in sample.rules}) >= 12


def test_every_channel_that_can_pay_out_has_payout_rules_for_everybody_whom_it_can_pay(sample: MerchantContent) -> None:
    accounts = {account.code: account for account in sample.accounts}
    can = {
        (channel.code, payee)
        for channel in sample.channels
        for payee in PayeeType
        if offer_for(accounts[channel.account]).why_not_pay_out(payee) is None
    }
    ruled = {(rule.channel, rule.payee) for rule in sample.payout_rules if rule.enabled and rule.bank == "*"}
    assert ruled == can
    assert len(can) == 9  # UnionPay pays no firms
