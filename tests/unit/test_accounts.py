"""The accounts in force: when an adapter is built anew, and what its settings change.

Over adapters that are fakes. Not tested here: what each adapter checks (tests/adapters), calling them (test_calls).
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from adapters.account import AccountError, account_settings, declared
from adapters.registry import PROVIDERS
from gateway.domain.callback_names import short_name
from gateway.domain.catalogue import Account, Catalogue, Merchant
from gateway.domain.terms import NEVER, NotFoundRule, OwnTerms, Product, Terms
from gateway.ports import (
    PLACE_WITHIN_S,
    AccountSettings,
    AssumedHere,
    Assumption,
    Pay,
    Provider,
    Transport,
    UnusableAccountError,
)
from gateway.run.providers import TRY_AGAIN_S, AdapterProviders
from tests.unit.domain.samples import MERCHANT_ID, card_elements
from tests.unit.flows.ports_in_memory import FakeProvider

OTHER_ID = UUID(int=0xB)
BASE = "https://gateway.example"
SECRET = "not-to-be-seen"
UP = Account(MERCHANT_ID, "up-1", "mock", {"mer_id": "777"}, secrets={"key": SECRET})


async def no_wire(request: httpx.Request) -> httpx.Response:
    raise AssertionError("building an adapter sends nothing")


class Builder:
    """Builds fakes that declare what their account's settings say; refuses accounts with the setting `broken`."""

    def __init__(self) -> None:
        self.built: list[FakeProvider] = []
        self.fails: Exception | None = None
        self.assumptions: tuple[Assumption, ...] = ()
        self.callback_url_chars: int | None = None

    def __call__(self, account: AccountSettings, transport: Transport) -> Provider:
        assert transport is no_wire
        if self.fails is not None:
            raise self.fails
        if "broken" in account.settings:
            raise AccountError(account, "mer_id", "is missing")
        provider = FakeProvider()
        provider.declaration = replace(
            declared(account, provider.declaration),
            assumptions=self.assumptions,
            callback_url_chars=self.callback_url_chars,
        )
        self.built.append(provider)
        return provider


class World:
    """Providers over a builder, and the catalogues that they take."""

    def __init__(self) -> None:
        self.builder, self.version, self.now = Builder(), 0, 0.0
        self.accounts = AdapterProviders(no_wire, BASE, self.builder, lambda: self.now)

    def take(self, *accounts: Account) -> Catalogue:
        self.version += 1
        merchants = (Merchant(MERCHANT_ID, "acme", "Acme"), Merchant(OTHER_ID, "other", "Other"))
        catalogue = Catalogue(self.version, merchants=merchants, accounts=accounts)
        self.accounts.take(catalogue)
        return catalogue

    @property
    def builds(self) -> int:
        return len(self.builder.built)

    def up(self) -> Provider:
        return self.accounts.provider(MERCHANT_ID, "up-1")


@pytest.fixture
def world() -> World:
    return World()


# --- building ---


@pytest.mark.parametrize("longer", [0, 1])
def test_an_account_whose_psp_cannot_be_told_where_to_call_is_refused_with_the_cure(world: World, longer: int) -> None:
    address = f"{BASE}/c/{short_name('acme', 'up-1')}"
    world.builder.callback_url_chars = len(address) - longer
    with capture_logs() as logs:
        world.take(UP)
    if not longer:
        assert world.accounts.notify_url(MERCHANT_ID, "up-1") == address
        assert world.up() is world.builder.built[-1]
        return
    assert world.accounts.unusable(MERCHANT_ID) == {"up-1"}
    (said,) = [each["reason"] for each in logs if each["event"] == "account cannot be used"]
    assert said == (
        f"account up-1: callbacks have an address of {len(address)} characters and mock takes {len(address) - 1}: "
        "shorten SLUICE_PUBLIC_URL"
    )


def test_a_psp_is_told_the_long_address_as_long_as_it_takes_it(world: World) -> None:
    address = f"{BASE}/callbacks/acme.up-1"
    world.builder.callback_url_chars = len(address)
    world.take(UP)
    assert world.accounts.notify_url(MERCHANT_ID, "up-1") == address


def test_an_account_that_did_not_change_keeps_its_adapter(world: World) -> None:
    world.take(UP)
    before = world.up()
    world.take(replace(UP, settings=dict(UP.settings), secrets=dict(UP.secrets)))
    assert world.up() is before
    assert world.builds == 1


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"mer_id": "778"}},
        {"secrets": {"key": "another"}},
        {"provider": "another"},
        {"terms": {Product.PAYMENT: OwnTerms(poll_gaps_s=(1.0,))}},
        {"terms": {Product.PAYMENT: OwnTerms(answer_timeout_s=10.0)}},
        {"terms": {Product.AUTHENTICATION: OwnTerms(answer_timeout_s=10.0)}},
        {"terms": {Product.PAYMENT: OwnTerms(not_found=NotFoundRule(5, 60.0))}},
    ],
    ids=str,
)
def test_an_account_that_changed_is_built_anew_and_the_others_are_not(world: World, change: dict[str, Any]) -> None:
    beside = replace(UP, code="up-2")
    world.take(UP, beside)
    old, untouched = world.up(), world.accounts.provider(MERCHANT_ID, "up-2")
    world.take(replace(UP, **change), beside)
    assert world.up() is not old
    assert world.accounts.provider(MERCHANT_ID, "up-2") is untouched
    assert world.builds == 3


def test_accounts_of_two_merchants_under_one_code_are_two(world: World) -> None:
    world.take(UP, replace(UP, merchant_id=OTHER_ID))
    assert world.up() is not world.accounts.provider(OTHER_ID, "up-1")


def test_an_account_that_cannot_be_built_keeps_its_old_adapter_and_terms_and_that_is_said(world: World) -> None:
    world.take(UP)
    old, terms = world.up(), world.accounts.terms(MERCHANT_ID, "up-1", Product.PAYMENT)
    with capture_logs() as said:
        world.take(replace(UP, settings={"broken": True}, terms=_said(poll_gaps_s=(9.0,))))
    assert world.up() is old
    assert world.accounts.terms(MERCHANT_ID, "up-1", Product.PAYMENT) == terms
    (line,) = said
    assert (line["log_level"], line["account"]) == ("error", "up-1")
    assert "mer_id is missing" in line["reason"]
    assert SECRET not in str(line)


def test_an_account_that_was_put_right_is_built(world: World) -> None:
    with capture_logs():
        world.take(replace(UP, settings={"broken": True}))
        with pytest.raises(UnusableAccountError, match="account up-1 has no adapter"):
            world.up()
        world.take(UP)
    assert world.up().declaration.provider == "mock"


def test_an_account_that_was_put_back_as_it_was_keeps_its_adapter(world: World) -> None:
    world.take(UP)
    old = world.up()
    with capture_logs():
        world.take(replace(UP, settings={"broken": True}))
    world.take(UP)
    assert world.up() is old


def test_an_account_that_cannot_be_built_holds_up_no_other(world: World) -> None:
    with capture_logs():
        world.take(replace(UP, code="bad", settings={"broken": True}), UP)
    assert world.up().declaration.provider == "mock"
    with pytest.raises(KeyError, match="account bad has no adapter"):
        world.accounts.provider(MERCHANT_ID, "bad")


# --- what is assumed ---


def test_what_each_account_assumes_is_listed_by_the_settings_that_it_is_used_with(world: World) -> None:
    old = Assumption("old", "As ever.", since_first_version=True)
    new, other = Assumption("new", "Not said.", frozenset({Pay})), Assumption("other", "Nor this.", frozenset({Pay}))
    world.builder.assumptions = (old, new, other)
    saying = replace(UP, code="up-2", settings={"assumed": ["new"]})
    world.take(UP, saying)
    told = [AssumedHere("acme.up-1", old), AssumedHere("acme.up-2", old), AssumedHere("acme.up-2", new)]
    assert world.accounts.assumptions() == told
    with capture_logs():
        world.take(UP, replace(saying, settings={"broken": True}))
    assert world.accounts.assumptions() == told, "it goes on by its old settings"


# --- what cannot be used ---

BROKEN = replace(UP, code="bad", settings={"broken": True})


def test_an_account_without_an_adapter_is_named_for_its_merchant_and_no_other(world: World) -> None:
    with capture_logs():
        world.take(BROKEN, UP)
    assert world.accounts.unusable(MERCHANT_ID) == {"bad"}
    assert not world.accounts.unusable(OTHER_ID)
    assert world.accounts.cannot_be_built() == ["acme.bad"]


def test_an_account_that_goes_on_by_its_old_settings_is_used_and_said(world: World) -> None:
    world.take(UP)
    with capture_logs():
        world.take(replace(UP, settings={"broken": True}))
    assert not world.accounts.unusable(MERCHANT_ID)
    assert world.accounts.cannot_be_built() == ["acme.up-1"]


def test_an_account_that_was_put_right_or_taken_away_is_named_no_more(world: World) -> None:
    other = replace(BROKEN, code="worse")
    with capture_logs():
        world.take(BROKEN, other)
        assert world.accounts.unusable(MERCHANT_ID) == {"bad", "worse"}
        world.take(replace(BROKEN, settings={}))
    assert not world.accounts.unusable(MERCHANT_ID)
    assert world.accounts.cannot_be_built() == []


@pytest.mark.parametrize("error", [AccountError(account_settings(BROKEN), "key", "is expired"), OSError("no file")])
def test_what_stands_in_the_way_for_a_while_is_tried_again_and_said_once(world: World, error: Exception) -> None:
    with capture_logs() as said:
        world.builder.fails = error
        world.take(UP)
        for _ in range(5):
            world.now += TRY_AGAIN_S
            assert world.accounts.unusable(MERCHANT_ID) == {"up-1"}
        world.builder.fails = None
        assert world.accounts.unusable(MERCHANT_ID) == {"up-1"}
        world.now += TRY_AGAIN_S
        assert not world.accounts.unusable(MERCHANT_ID)
    assert world.up().declaration.provider == "mock"
    assert [line["event"] for line in said] == ["account cannot be used", "account can be used again"]


# --- what the contract says ---


def _said(product: Product = Product.PAYMENT, **otherwise: Any) -> dict[Product, OwnTerms]:
    return {product: OwnTerms(**otherwise)}


RULE = NotFoundRule(3, 300.0)


@pytest.mark.parametrize(
    ("otherwise", "terms"),
    [
        ({}, Terms((1.0,), RULE, 30.0)),
        ({"poll_gaps_s": (2.0, 20.0)}, Terms((2.0, 20.0), RULE, 30.0)),
        ({"not_found": NotFoundRule(5, 60.0)}, Terms((1.0,), NotFoundRule(5, 60.0), 30.0)),
        ({"not_found": NEVER}, Terms((1.0,), None, 30.0)),
        ({"answer_timeout_s": 12.5}, Terms((1.0,), RULE, 12.5)),
    ],
    ids=str,
)
def test_the_terms_of_a_product_follow_the_contract_and_those_of_others_do_not(
    world: World, otherwise: dict[str, Any], terms: Terms
) -> None:
    world.take(UP)
    before = world.accounts.terms(MERCHANT_ID, "up-1", Product.AUTHENTICATION)
    world.take(replace(UP, terms=_said(**otherwise)))
    assert world.accounts.terms(MERCHANT_ID, "up-1", Product.PAYMENT) == terms
    assert world.accounts.terms(MERCHANT_ID, "up-1", Product.AUTHENTICATION) == before


def test_a_contract_may_say_a_not_found_rule_where_the_provider_has_none(world: World) -> None:
    world.take(replace(UP, terms=_said(Product.AUTHENTICATION, not_found=RULE)))
    assert world.accounts.terms(MERCHANT_ID, "up-1", Product.AUTHENTICATION).not_found == RULE


def test_the_longest_call_is_the_longest_of_all_accounts_and_products_with_the_wait_for_a_place(world: World) -> None:
    slow = replace(UP, code="slow", terms=_said(Product.AUTHENTICATION, answer_timeout_s=90.0))
    world.take(UP, slow)
    assert world.accounts.longest_call_s() == 90.0 + PLACE_WITHIN_S
    world.take(UP, replace(slow, terms=_said(answer_timeout_s=5.0)))
    assert world.accounts.longest_call_s() == 30.0 + PLACE_WITHIN_S


def test_callbacks_come_to_an_address_that_carries_the_merchant_and_leads_back_to_the_account(world: World) -> None:
    catalogue = world.take(UP, replace(UP, merchant_id=OTHER_ID))
    urls = [world.accounts.notify_url(merchant_id, "up-1") for merchant_id in (MERCHANT_ID, OTHER_ID)]
    assert urls == [f"{BASE}/callbacks/acme.up-1", f"{BASE}/callbacks/other.up-1"]
    for url, merchant_id in zip(urls, (MERCHANT_ID, OTHER_ID), strict=True):
        account = catalogue.account_of_callback(url.rpartition("/")[2])
        assert account is not None
        assert (account.merchant_id, account.code) == (merchant_id, "up-1")


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_residence_permits_are_carried_where_the_protocol_has_a_word_for_them_or_the_account_assumes_it(
    provider: str,
) -> None:
    declaration = PROVIDERS[provider].DECLARATION
    permit = replace(card_elements(), id_no="810000199408230021")
    bank = min(declaration.carries.banks or {"ICBC"})

    def why_not(*assumed: str) -> str | None:
        account = AccountSettings("a-1", provider, {"assumed": list(assumed)}, {})
        return declared(account, declaration).carries.why_not(bank, permit)

    about = [each for each in declaration.assumptions if each.name == "residence_permits"]
    if not about or about[0].since_first_version:
        assert why_not() is None
    else:
        assert about[0].residence_permits
        assert why_not() == "id_type_unsupported"
    if about:
        assert why_not("residence_permits") is None
    assert (
        declared(AccountSettings("a-1", provider, {}, {}), declaration).carries.why_not(bank, card_elements()) is None
    )
