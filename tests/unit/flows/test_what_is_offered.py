"""What a checkout offers its payer, and why something cannot be chosen. Nothing is recorded, nothing is promised.

Not here: the router's own steps (tests/unit/router), what the page shows of it (tests/api/test_cashier_pages).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.domain.blocks import BlockKind
from gateway.domain.carrying import Carries, Ways, carries_all
from gateway.domain.catalogue import Account, AuthenticationMode, Catalogue, Channel, MaintenanceWindow, Merchant
from gateway.domain.checkouts import Checkout, Method, opened
from gateway.domain.failures import Advice, FailureCode
from gateway.domain.scenes import Scene
from gateway.flows.offers import Offer, Offers, offers_for
from gateway.flows.route import ABLE, Unable
from gateway.ports import ShownCard, UserFacts
from router.facts import ChannelFacts
from tests.unit.domain.samples import BANK, MERCHANT_ID, NOW, channel, checkout_order, later, rule

OTHER = "ABC"
QUICK, NETBANK = Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE
CUSTODY, ANY_AT_CUSTODY = Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE


def a_checkout(**known: Any) -> Checkout:
    """Of 10.00 yuan."""
    return opened(checkout_order(**known), UUID(int=9), NOW)


def a_card(bank: str = BANK, *accounts: str) -> ShownCard:
    return ShownCard(uuid4(), "u1", "622202******1234", bank, NOW, accounts)


def market(*rules: Any, channels: Sequence[Channel] | None = None, **known: Any) -> Catalogue:
    """One merchant with these rules, and the channels that they name."""
    channels = channels or [channel(each) for each in dict.fromkeys(each.channel for each in rules)]
    return Catalogue(
        7,
        merchants=(Merchant(MERCHANT_ID, "acme", "Acme", **known.pop("merchant", {})),),
        accounts=tuple(Account(MERCHANT_ID, each.account, "mock", {}) for each in channels),
        channels=tuple(channels),
        rules=rules,
        **known,
    )


def offered(
    catalogue: Catalogue, *cards: ShownCard, facts: UserFacts | None = None, carries: Carries | None = None, **more: Any
) -> Offers:
    unable = more.pop("unable", ABLE)
    carries_of = carries_all if carries is None else lambda merchant_id, account: carries
    checkout = a_checkout(**more)
    return offers_for(checkout, cards, facts or UserFacts(), catalogue, lambda *_: unable, carries_of, NOW)


def why(offer: Offer) -> FailureCode | None:
    return offer.refusal.code if offer.refusal else None


def test_everything_that_a_rule_carries_is_offered_in_the_order_of_methods_and_banks() -> None:
    rules = [rule("up", scene=QUICK, bank=each) for each in (BANK, OTHER)]
    rules += [rule("up", scene=NETBANK, bank=each) for each in (BANK, OTHER)]
    rules += [rule("up", scene=CUSTODY), rule("up", scene=ANY_AT_CUSTODY, bank="ANY")]
    everything = offered(market(*rules))
    assert [(each.method, each.bank) for each in everything.banks] == [
        (Method.NETBANK, OTHER),
        (Method.NETBANK, BANK),
        (Method.CUSTODY_QUICK, BANK),
        (Method.CUSTODY_NETBANK, "ANY"),
    ]
    assert everything.new_card
    assert [each.bank for each in everything.card_banks] == [OTHER, BANK]
    assert all(each.offer.is_open for each in (*everything.banks, *everything.card_banks))


def test_only_the_methods_that_the_app_named_are_offered() -> None:
    catalogue = market(rule("up", scene=QUICK), rule("up", scene=NETBANK))
    only_page = offered(catalogue, a_card(), methods=(Method.NETBANK,))
    assert (only_page.cards, only_page.new_card, only_page.card_banks) == ((), False, ())
    assert len(only_page.banks) == 1
    only_card = offered(catalogue, a_card(), methods=(Method.QUICK,))
    assert (only_card.banks, len(only_card.cards), only_card.new_card) == ((), 1, True)


def test_where_no_rule_takes_cards_no_new_one_may_be_typed_and_known_ones_say_so() -> None:
    shown = offered(market(rule("up", scene=NETBANK)), a_card())
    assert (shown.new_card, shown.card_banks) == (False, ())
    [card] = shown.cards
    assert card.offer.refusal is not None
    assert (why(card.offer), card.offer.refusal.advice) == (FailureCode.NO_CHANNEL_AVAILABLE, Advice.NONE)


def test_a_rule_that_is_switched_off_offers_nothing() -> None:
    shown = offered(market(rule("up", scene=QUICK, enabled=False), rule("up", scene=NETBANK, enabled=False)))
    assert (shown.new_card, shown.card_banks, shown.banks) == (False, (), ())


@pytest.mark.parametrize(("limit", "code"), [(999, FailureCode.SINGLE_LIMIT_EXCEEDED), (1000, None), (None, None)])
def test_an_amount_above_the_single_limit_is_shown_with_the_reason_and_the_limit(
    limit: int | None, code: FailureCode | None
) -> None:
    [bank] = offered(market(rule("up", scene=NETBANK, single_limit=limit))).banks
    assert (why(bank.offer), bank.offer.single_limit) == (code, limit)
    if bank.offer.refusal:
        assert bank.offer.refusal.max_amount_now == 999


def test_the_limit_that_is_shown_is_the_largest_of_the_channels_that_are_there() -> None:
    rules = [rule("up", scene=NETBANK, single_limit=2000), rule("tl", scene=NETBANK, single_limit=5000)]
    [both] = offered(market(*rules)).banks
    assert both.offer.single_limit == 5000
    [one] = offered(market(*rules, channels=[channel("up"), channel("tl", on=False)])).banks
    assert one.offer.single_limit == 2000
    [none] = offered(market(*rules, rule("yp", scene=NETBANK))).banks
    assert none.offer.single_limit is None, "one of them has no limit"


def test_a_cards_own_single_limit_is_shown_for_cards_and_not_for_pages() -> None:
    limits = {"single_limit": 5000, "card_single_limit": 2000}
    shown = offered(market(rule("up", scene=QUICK), rule("up", scene=NETBANK), channels=[channel("up")]))
    assert shown.banks[0].offer.single_limit is None
    rules = [rule("up", scene=each, **limits) for each in (QUICK, NETBANK)]
    shown = offered(market(*rules))
    assert (shown.card_banks[0].offer.single_limit, shown.banks[0].offer.single_limit) == (2000, 5000)


def test_what_the_user_has_paid_today_counts() -> None:
    catalogue = market(rule("up", scene=QUICK, daily_limit=3000), rule("up", scene=NETBANK, daily_limit=3000))
    for used, code in ((2000, None), (2001, FailureCode.DAILY_LIMIT_EXCEEDED)):
        facts = UserFacts({"up": ChannelFacts(used_today=used)})
        shown = offered(catalogue, a_card(), facts=facts)
        offers = [*(each.offer for each in shown.cards), *(each.offer for each in (*shown.card_banks, *shown.banks))]
        assert {why(each) for each in offers} == {code}


def test_a_user_on_the_block_list_is_offered_nothing_and_is_told_no_limit() -> None:
    catalogue = market(rule("up", scene=QUICK, single_limit=5000), rule("up", scene=NETBANK, single_limit=5000))
    shown = offered(catalogue, a_card(), facts=UserFacts(blocked=(BlockKind.USER,)))
    offers = [*(each.offer for each in shown.cards), *(each.offer for each in (*shown.card_banks, *shown.banks))]
    assert {(why(each), each.single_limit) for each in offers} == {(FailureCode.BLOCKED, None)}


@pytest.mark.parametrize("hidden", ["off", "maintenance", "unusable", "full", "unsupported"])
def test_what_a_channel_cannot_do_now_is_shown_before_it_is_tried(hidden: str) -> None:
    window = MaintenanceWindow(MERCHANT_ID, uuid4(), "up", later(minutes=-1), later(minutes=1))
    catalogue = market(
        rule("up", scene=NETBANK, single_limit=5000),
        channels=[channel("up", on=hidden != "off")],
        windows=(window,) if hidden == "maintenance" else (),
    )
    unable = Unable(["up-1"] if hidden == "unusable" else (), ["up"] if hidden == "full" else ())
    carries = Carries(banks=frozenset({OTHER})) if hidden == "unsupported" else None
    [bank] = offered(catalogue, unable=unable, carries=carries).banks
    assert not bank.offer.is_open
    assert bank.offer.single_limit is None


def test_a_card_that_nobody_may_sign_now_is_offered_where_it_is_bound() -> None:
    """`up` signs by SMS, and is not the primary: only cards that have an agreement there can pay on it."""
    catalogue = market(
        rule("up", scene=QUICK),
        channels=[channel("up", AuthenticationMode.SMS), channel("tl", AuthenticationMode.SMS)],
        merchant={"primary_signer": "tl"},
    )
    carries = Carries(ways=Ways(signs=True))
    shown = offered(catalogue, a_card(BANK), a_card(BANK, "up-1"), carries=carries)
    assert [(each.card.accounts, why(each.offer)) for each in shown.cards] == [
        (("up-1",), None),
        ((), FailureCode.CARD_NEEDS_SIGNING),
    ]
    assert why(shown.card_banks[0].offer) is FailureCode.CARD_NEEDS_SIGNING


def test_cards_that_can_be_used_come_first_and_else_stay_as_they_were() -> None:
    catalogue = market(rule("up", scene=QUICK, bank=BANK))
    cards = [a_card(OTHER), a_card(BANK), a_card("CMB"), a_card(BANK)]
    shown = offered(catalogue, *cards)
    assert [each.card for each in shown.cards] == [cards[1], cards[3], cards[0], cards[2]]


def test_offers_do_not_change_with_what_was_tried_before() -> None:
    catalogue = market(rule("up", scene=QUICK), rule("up", scene=NETBANK))
    tried = replace(a_checkout(), tries=3, codes=4)
    fresh = offers_for(a_checkout(), (), UserFacts(), catalogue, lambda *_: ABLE, carries_all, NOW)
    assert offers_for(tried, (), UserFacts(), catalogue, lambda *_: ABLE, carries_all, NOW) == fresh
