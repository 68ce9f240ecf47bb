"""The sandbox can be told every fee of the sample catalogue, and then takes what the router reckons with, to the fen.

Not those of withholds at Baofoo, which does not learn what a card that is bound is charged for.
"""

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue_file import read_catalogue
from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.payees import PayeeType
from gateway.domain.scenes import Scene
from gateway.run.demo.fees import FIRMS, KINDS, USUAL_KINDS, fees_said, schedule_of
from router.fees import Fee, fee_for
from sandbox.books import Order
from sandbox.fees import Fees
from tests.unit.router.strategies import fees

AMOUNTS = (1, 249, 250, 4_999, 10_000, 10_249, 10_250, 50_000, 199_999, 1_000_000, 1_000_001, 5_000_000)
NOT_TOLD = ("baofoo", Scene.WITHHOLD)
SECRET = "whsec_" + "QUJD" * 8


def order(kind: Any, amount: int, echo: dict[str, str]) -> Order:
    return Order("S1", kind, amount, "CNY", "622202******1234", 0.0, 0.0, 0.0, "", "", echo=echo)


@pytest.fixture(scope="module")
def demo(psp_keys: Path) -> MerchantContent:
    around = {
        "SLUICE_SANDBOX_PORT": "8090",
        "SLUICE_SANDBOX_KEYS": str(psp_keys),
        "SLUICE_RECEIVER_PORT": "8070",
        "SLUICE_RECEIVER_SECRET": SECRET,
    }
    with resources.as_file(resources.files("gateway") / "samples/catalogue.toml") as path:
        return read_catalogue(path, around).merchants[0]


@pytest.fixture(scope="module")
def desks(demo: MerchantContent) -> dict[str, Fees]:
    """The fees of each provider, as it was told them."""
    told: dict[str, Fees] = {}
    for provider, said in fees_said(demo).items():
        told[provider] = Fees()
        told[provider].say(said)
    return told


def test_a_statement_takes_what_the_rules_of_payments_say(demo: MerchantContent, desks: dict[str, Fees]) -> None:
    providers = {account.code: account.provider for account in demo.accounts}
    channels = {channel.code: channel for channel in demo.channels}
    compared = set()
    for rule in demo.rules:
        channel = channels[rule.channel]
        provider = providers[channel.account]
        if (provider, rule.scene) == NOT_TOLD:
            continue
        wanted = KINDS.get((provider, rule.scene)) or USUAL_KINDS[rule.scene]
        echo = {**wanted.get("echo", {}), "company": channel.psp_code or ""}
        for kind in wanted["kinds"]:
            for amount in AMOUNTS:
                assert desks[provider].of("payment", order(kind, amount, echo)) == fee_for(rule.fee, amount), rule
        compared.add(rule.channel)
    assert compared == {rule.channel for rule in demo.rules}


def test_a_statement_takes_what_the_rules_of_payouts_say(demo: MerchantContent, desks: dict[str, Fees]) -> None:
    providers = {account.code: account.provider for account in demo.accounts}
    accounts = {channel.code: channel.account for channel in demo.channels}
    for rule in demo.payout_rules:
        provider = providers[accounts[rule.channel]]
        echo = dict(FIRMS.get(provider, {})) if rule.payee == PayeeType.CORPORATE else {}
        for amount in AMOUNTS:
            assert desks[provider].of("payout", order("payout", amount, echo)) == fee_for(rule.fee, amount), rule


@given(fees(), st.integers(1, 10**9))
def test_any_fee_of_the_router_is_the_same_in_a_statement(fee: Fee, amount: int) -> None:
    told = Fees()
    told.say({"payment": schedule_of(fee)})
    assert told.of("payment", order("withhold", amount, {})) == fee_for(fee, amount)
