"""The catalogue in a real PostgreSQL: files put in force, small changes, versions, and the snapshot that follows them.

Not here: what a file may say (unit/test_catalogue_file.py) and the HTTP calls (storage/test_admin_calls.py).
"""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import ApiKey, AuthenticationMode, Catalogue, MaintenanceWindow, RouteRule
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    CatalogueFile,
    CatalogueRefusedError,
    ChannelContent,
    EndpointContent,
    KeyContent,
    MerchantContent,
    NotInCatalogueError,
    PayoutRuleContent,
    RuleContent,
    WindowContent,
    key_hash_of,
)
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import Day, PayoutRule, PayoutWindow
from gateway.domain.prices import Price
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, OwnTerms, Product
from gateway.domain.windows import Repeats
from gateway.storage.catalogue.store import CatalogueStore, new_id
from gateway.storage.catalogue.watch import CatalogueWatch
from gateway.storage.keys import DecryptionError, KeyRing
from gateway.storage.tables import accounts, endpoints
from router.fees import FixedFee, PercentFee, parse_fee
from router.limits import ChannelLimits, RuleLimits
from tests.keys import new_keys

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SECRETS = ("whsec_new", "whsec_old")
FEE = parse_fee({"type": "percent", "rate": "0.002", "min": 20})
LIMITS = RuleLimits(100, 200, 3, 400)
TERMS = {Product.PAYMENT: OwnTerms((1.0, 2.5), NotFoundRule(3, 6.0), 10.0)}
ICBC = RuleContent("tl", Scene.WITHHOLD, "ICBC", True, FEE, 3, LIMITS)
WINDOW = WindowContent("tl", NOW, NOW + timedelta(hours=1), "rest")
OFFICE = PayoutWindow("08:30", "17:00", tuple(Day)[:5])
ALL_FIRMS = PayoutRuleContent("tl", PayeeType.CORPORATE, "*", True, FEE, 500, 900, (OFFICE,))
LATER = (Price(date(2026, 4, 1), FixedFee(8)), Price(date(2027, 1, 1), FixedFee(7)))
SHOP = MerchantContent(
    code="shop",
    name="商店",
    last_attempt_max_age_s=86_400,
    unresolved_counts_after_s=600,
    authentication_spread=12,
    primary_signer="tl",
    primary_signers={"ICBC": "up"},
    sms_per_phone_and_day=4,
    apps=(AppContent("web", "Web", (KeyContent("first", key_hash_of("sk_first")),)),),
    endpoints=(EndpointContent("web", "web", "https://shop.example.com/a", ("payment.failed",), False, SECRETS),),
    accounts=(
        AccountContent("tl", "allinpay", {"url": "http://x"}, {"user_pass": "hush"}, TERMS, balance_alert_below=70_000),
    ),
    channels=(
        ChannelContent(
            "tl",
            "tl",
            "通联",
            True,
            {"*": AuthenticationMode.NONE},
            100,
            ChannelLimits(5_000),
            authentication_fees=(Price(date(2026, 4, 1), 80),),
        ),
    ),
    windows=(WINDOW,),
    rules=(replace(ICBC, fees=LATER), replace(ICBC, bank="ABC", daily_insufficient_by="card")),
    payout_rules=(
        replace(ALL_FIRMS, fees=LATER),
        PayoutRuleContent("tl", PayeeType.PERSONAL, "ICBC", False, FixedFee(9)),
    ),
)


def ring() -> KeyRing:
    return new_keys().ring


@pytest.fixture
def store(engine: AsyncEngine) -> CatalogueStore:
    return CatalogueStore(engine, ring())


async def put(store: CatalogueStore, *merchants: MerchantContent) -> Catalogue:
    """Put these merchants in force and read what is there then."""
    await store.apply(CatalogueFile(merchants), "test", "a file", NOW)
    return await store.load()


async def test_an_empty_catalogue_has_version_zero(store: CatalogueStore) -> None:
    catalogue = await store.load()
    assert (catalogue.version, await store.version(), catalogue.merchants) == (0, 0, {})


async def test_what_was_put_in_force_is_read_again(store: CatalogueStore) -> None:
    catalogue = await put(store, SHOP)
    shop = catalogue.merchants_by_code["shop"]
    mine = shop.merchant_id
    assert mine.version == 7
    assert (catalogue.version, shop.name, shop.last_attempt_max_age) == (1, "商店", timedelta(days=1))
    assert catalogue.unresolved_counts_after(mine) == timedelta(minutes=10)
    assert shop.authentication_spread == 12
    assert [catalogue.primary_of(mine, bank) for bank in ("ICBC", "ABC")] == ["up", "tl"]
    assert shop.sms_per_phone_and_day == 4
    key = catalogue.keys[key_hash_of("sk_first")]
    assert (key.merchant_id, key.app, key.label) == (mine, "web", "first")
    (endpoint,) = catalogue.endpoints[mine]
    assert (endpoint.app, endpoint.secrets, endpoint.stopped) == ("web", SECRETS, False)
    assert endpoint.event_types == frozenset({"payment.failed"})
    account = catalogue.accounts[mine, "tl"]
    assert (account.provider, account.settings, account.secrets) == (
        "allinpay",
        {"url": "http://x"},
        {"user_pass": "hush"},
    )
    assert (account.terms, account.balance_alert_below) == (TERMS, 70_000)
    channel = catalogue.channels[mine, "tl"]
    assert (channel.account, channel.name, channel.on) == ("tl", "通联", True)
    assert (channel.authentication_fee, channel.limits) == (100, ChannelLimits(5_000))
    assert channel.mode("ICBC") is AuthenticationMode.NONE
    assert catalogue.rests(mine, "tl", NOW)
    (rule,) = catalogue.rules_for(mine, Scene.WITHHOLD, "ICBC")
    assert rule == RouteRule(mine, "tl", Scene.WITHHOLD, "ICBC", True, FEE, 3, LIMITS, fees=LATER)
    assert isinstance(rule.fee, PercentFee)
    (by_card,) = catalogue.rules_for(mine, Scene.WITHHOLD, "ABC")
    assert by_card == replace(rule, bank="ABC", daily_insufficient_by="card", fees=())
    firms = PayoutRule(mine, "tl", PayeeType.CORPORATE, "*", True, FEE, 500, 900, (OFFICE,), LATER)
    person = PayoutRule(mine, "tl", PayeeType.PERSONAL, "ICBC", False, FixedFee(9))
    assert catalogue.payout_rules_of(mine, "tl") == [firms, person]
    assert catalogue.payout_rule(mine, "tl", PayeeType.CORPORATE, "ABC") == firms


async def test_a_merchant_that_says_nothing_of_signing_has_no_primary_signer_and_ten_sms_a_day(
    store: CatalogueStore,
) -> None:
    catalogue = await put(store, MerchantContent("shop", "商店"))
    (shop,) = catalogue.merchants.values()
    assert (catalogue.primary_of(shop.merchant_id, "ICBC"), shop.sms_per_phone_and_day) == (None, 10)


async def test_what_is_in_force_is_told_whole_as_a_file_would_say_it(store: CatalogueStore) -> None:
    await put(store, SHOP)
    (told,) = await store.content()
    assert told == replace(SHOP, rules=SHOP.rules[::-1])


async def test_the_same_content_again_changes_nothing(store: CatalogueStore) -> None:
    before = await put(store, SHOP)
    report = await store.apply(CatalogueFile((SHOP,)), "test", "again", NOW + timedelta(days=1))
    assert (report.changed, report.version) == (False, 1)
    assert report.lines() == ["nothing changed: catalogue version 1 stays in force"]
    assert [change.note for change in await store.history(9)] == ["a file"]
    assert (await store.load()).windows == before.windows


async def test_the_report_counts_what_changed(store: CatalogueStore) -> None:
    report = await store.apply(CatalogueFile((SHOP,)), "test", "a file", NOW)
    assert report.lines() == [
        "catalogue version 1 is in force",
        "1 merchants added",
        "1 apps added",
        "1 keys added",
        "1 endpoints added",
        "1 accounts added",
        "1 channels added",
        "1 windows added",
        "2 rules added",
        "2 payout rules added",
    ]


async def test_what_the_file_leaves_out_goes_but_nothing_that_payments_name_is_deleted(store: CatalogueStore) -> None:
    await put(store, SHOP)
    catalogue = await put(store, MerchantContent("shop", "商店"))
    mine = catalogue.merchants_by_code["shop"].merchant_id
    assert catalogue.keys == {}
    assert catalogue.endpoints[mine][0].stopped
    assert (mine, "tl") in catalogue.accounts
    assert not catalogue.channels[mine, "tl"].on
    assert (catalogue.windows, catalogue.rules) == ({}, {})
    assert await store.app_names() == {(mine, "web"): "Web"}


async def test_what_came_back_into_the_file_comes_back(store: CatalogueStore) -> None:
    first = await put(store, SHOP)
    await put(store, MerchantContent("shop", "商店"))
    report = await store.apply(CatalogueFile((SHOP,)), "test", "back", NOW)
    assert report.warnings == ("the key first of app web had been revoked and is live again",)
    catalogue = await store.load()
    mine = catalogue.merchants_by_code["shop"].merchant_id
    assert catalogue.keys == first.keys
    assert catalogue.endpoints == first.endpoints
    assert catalogue.channels[mine, "tl"].on


async def test_merchants_that_the_file_does_not_name_stay_as_they_are(store: CatalogueStore) -> None:
    await put(store, SHOP)
    catalogue = await put(store, MerchantContent("other", "Other"))
    assert set(catalogue.merchants_by_code) == {"shop", "other"}
    assert len(catalogue.rules) == 2


async def test_a_rule_that_differs_is_changed_and_the_others_are_not(store: CatalogueStore) -> None:
    await put(store, SHOP)
    changed = replace(SHOP, rules=(replace(ICBC, fee=FixedFee(7)), SHOP.rules[1], replace(ICBC, bank="CCB")))
    report = await store.apply(CatalogueFile((changed,)), "test", "rules", NOW)
    assert report.counts == {"rules added": 1, "rules changed": 1}


async def test_windows_that_repeat_or_are_limited_come_back_as_they_were_put(store: CatalogueStore) -> None:
    nightly = replace(WINDOW, repeats=Repeats.DAILY, banks=("ABC", "ICBC"), scenes=(Scene.WITHHOLD,))
    await put(store, replace(SHOP, windows=(WINDOW, nightly)))
    before = await store.load()
    report = await store.apply(CatalogueFile((replace(SHOP, windows=(nightly, WINDOW)),)), by="test", note="", now=NOW)
    assert not report.changed
    ((mine, _),) = before.windows
    tomorrow = NOW + timedelta(days=1, minutes=1)
    closed = [before.in_maintenance(mine, "tl", Scene.WITHHOLD, bank, tomorrow) for bank in ("ICBC", "CMB")]
    assert closed == [True, False]
    assert not before.in_maintenance(mine, "tl", Scene.QUICK_CHARGE, "ICBC", tomorrow)
    assert (before.rests(mine, "tl", NOW), before.rests(mine, "tl", tomorrow)) == (True, False)


async def test_a_repeating_window_goes_by_the_clock_of_the_business_zone(engine: AsyncEngine) -> None:
    night = datetime(2026, 3, 1, 23, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    window = replace(WINDOW, starts_at=night, ends_at=night + timedelta(hours=1), repeats=Repeats.WEEKLY)
    store = CatalogueStore(engine, ring(), zone=ZoneInfo("Europe/Berlin"))
    await put(store, replace(SHOP, windows=(window,)))
    catalogue = await store.load()
    ((mine, _),) = catalogue.windows
    # In summer the same time on the wall is another one in UTC.
    summer = datetime(2026, 7, 5, 23, 45, tzinfo=ZoneInfo("Europe/Berlin"))
    assert catalogue.rests(mine, "tl", summer)
    assert not catalogue.rests(mine, "tl", summer + timedelta(hours=1))


async def test_a_window_keeps_its_id_while_it_stays_the_same(store: CatalogueStore) -> None:
    before = await put(store, SHOP)
    another = replace(WINDOW, note="another")
    after = await put(store, replace(SHOP, windows=(WINDOW, another)))
    (mine,) = before.merchants
    (kept,) = before.windows[mine, "tl"]
    assert kept in after.windows[mine, "tl"]
    assert {window.note for window in after.windows[mine, "tl"]} == {"rest", "another"}


async def test_another_merchants_key_is_refused_and_nothing_changes(store: CatalogueStore) -> None:
    await put(store, SHOP)
    thief = MerchantContent("thief", "T", apps=(AppContent("a", "A", SHOP.apps[0].keys),))
    with pytest.raises(CatalogueRefusedError, match="the key first of app a of thief already belongs to another merch"):
        await put(store, thief)
    assert set((await store.load()).merchants_by_code) == {"shop"}


async def test_an_account_never_changes_its_provider(store: CatalogueStore) -> None:
    await put(store, SHOP)
    moved = replace(SHOP, accounts=(replace(SHOP.accounts[0], provider="unionpay"),))
    with pytest.raises(CatalogueRefusedError, match="the account tl of shop is of provider allinpay for ever"):
        await put(store, moved)


async def test_an_account_never_changes_whose_it_is(store: CatalogueStore) -> None:
    settings = {"url": "http://x", "merchant_id": "100000000000001"}
    account = replace(SHOP.accounts[0], settings=settings, identity=frozenset({"merchant_id"}))
    await put(store, replace(SHOP, accounts=(account,)))
    words = (
        "account tl of shop: merchant_id cannot change, since open payments would be asked for at a merchant number "
        "that never had them: give the new contract a code of its own"
    )
    for others in ({"url": "http://x"}, {**settings, "merchant_id": "100000000000002"}):
        with pytest.raises(CatalogueRefusedError, match=f"^{words}$"):
            await put(store, replace(SHOP, accounts=(replace(account, settings=others),)))
    assert (await store.load()).version == 1


async def test_an_account_that_left_the_file_keeps_whose_it_is(store: CatalogueStore) -> None:
    account = replace(SHOP.accounts[0], settings={"merchant_id": "1"}, identity=frozenset({"merchant_id"}))
    await put(store, replace(SHOP, accounts=(account,)))
    await put(store, MerchantContent("shop", "商店"))
    with pytest.raises(CatalogueRefusedError, match="merchant_id cannot change"):
        await put(store, replace(SHOP, accounts=(replace(account, settings={"merchant_id": "2"}),)))


async def test_the_addresses_and_keys_of_an_account_may_change(store: CatalogueStore) -> None:
    account = replace(
        SHOP.accounts[0], settings={"url": "http://x", "merchant_id": "1"}, identity=frozenset({"merchant_id"})
    )
    await put(store, replace(SHOP, accounts=(account,)))
    moved = replace(account, settings={"url": "http://y", "merchant_id": "1"}, secrets={"user_pass": "new"})
    (now,) = (await put(store, replace(SHOP, accounts=(moved,)))).accounts.values()
    assert (now.settings["url"], now.secrets) == ("http://y", {"user_pass": "new"})


async def test_secrets_are_encrypted_and_open_nowhere_else(store: CatalogueStore, engine: AsyncEngine) -> None:
    await put(store, SHOP)
    async with engine.connect() as connection:
        blobs = [
            await connection.scalar(select(accounts.c.secrets)),
            await connection.scalar(select(endpoints.c.secrets)),
        ]
    assert not any(secret in bytes(blob or b"") for blob in blobs for secret in (b"hush", b"whsec_"))
    with pytest.raises(DecryptionError, match="secrets of endpoint:shop:web: "):
        await CatalogueStore(engine, ring()).load()


async def test_secrets_are_sealed_anew_when_their_key_is_gone(store: CatalogueStore, engine: AsyncEngine) -> None:
    await put(store, SHOP)
    other = CatalogueStore(engine, ring())
    report = await other.apply(CatalogueFile((SHOP,)), "test", "new ring", NOW)
    assert report.counts == {"endpoints changed": 1, "accounts changed": 1}
    assert (await other.load()).version == 2


async def test_changes_at_the_same_moment_each_make_a_version_of_their_own(store: CatalogueStore) -> None:
    await put(store, SHOP)
    others = [MerchantContent(f"m{number}", "M") for number in range(5)]
    reports = await asyncio.gather(
        *(store.apply(CatalogueFile((content,)), "test", content.code, NOW) for content in others)
    )
    assert sorted(report.version for report in reports) == [2, 3, 4, 5, 6]
    assert len((await store.load()).merchants) == 6


# Small changes


async def test_a_channel_is_switched_off_and_on(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    assert await store.set_channel(mine, "tl", by="admin", now=NOW, on=False) == 2
    assert await store.set_channel(mine, "tl", by="admin", now=NOW, on=False) == 2
    assert not (await store.load()).channels[mine, "tl"].on
    assert await store.set_channel(mine, "tl", by="admin", now=NOW, on=True) == 3
    assert [(change.changed_by, change.note) for change in await store.history(2)] == [
        ("admin", "channel tl on"),
        ("admin", "channel tl off"),
    ]


async def test_the_other_fields_of_a_channel_change_one_by_one(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    modes = {"ICBC": AuthenticationMode.NONE}
    await store.set_channel(
        mine,
        "tl",
        by="admin",
        now=NOW,
        name="N",
        authentication=modes,
        authentication_fee=0,
        limits={"daily_total": None},
    )
    channel = (await store.load()).channels[mine, "tl"]
    assert channel.on
    assert (channel.name, channel.authentication, channel.authentication_fee, channel.limits) == (
        "N",
        modes,
        0,
        ChannelLimits(),
    )


async def test_prices_of_later_days_are_put_changed_and_taken_away(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    assert (await store.load()).channels[mine, "tl"].authentication_fees == (Price(date(2026, 4, 1), 80),)
    (icbc,) = (await store.load()).rules_for(mine, Scene.WITHHOLD, "ICBC")
    assert icbc.fees == LATER
    await store.put_rule(replace(icbc, fees=LATER[1:]), by="admin", now=NOW)
    assert (await store.load()).rules_for(mine, Scene.WITHHOLD, "ICBC")[0].fees == LATER[1:]
    changed = await store.change_payout_rule(mine, "tl", PayeeType.CORPORATE, "*", {"fees": ()}, by="admin", now=NOW)
    assert changed.fees == ()
    await store.set_channel(mine, "tl", by="admin", now=NOW, authentication_fees=())
    await store.set_channel(mine, "tl", by="admin", now=NOW, on=False)
    assert (await store.load()).channels[mine, "tl"].authentication_fees == ()


async def test_windows_come_and_go(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    window = MaintenanceWindow(mine, new_id(), "tl", NOW + timedelta(days=1), NOW + timedelta(days=2), "night")
    await store.add_window(window, by="admin", now=NOW)
    assert window in (await store.load()).windows[mine, "tl"]
    await store.remove_window(mine, window.window_id, by="admin", now=NOW)
    assert window not in (await store.load()).windows[mine, "tl"]


async def test_a_rule_is_put_replaced_and_removed(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    rule = RouteRule(mine, "tl", Scene.WITHHOLD, "CMB", True, FixedFee(5))
    assert await store.put_rule(rule, by="admin", now=NOW) == 2
    assert await store.put_rule(rule, by="admin", now=NOW) == 2
    assert await store.put_rule(replace(rule, enabled=False), by="admin", now=NOW) == 3
    assert (await store.load()).rules_for(mine, Scene.WITHHOLD, "CMB") == [replace(rule, enabled=False)]
    await store.delete_rule(mine, "tl", Scene.WITHHOLD, "CMB", by="admin", now=NOW)
    assert (await store.load()).rules_for(mine, Scene.WITHHOLD, "CMB") == []


async def test_a_payout_rule_is_put_replaced_changed_and_removed(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    at = (mine, "tl", PayeeType.PERSONAL, "CMB")
    rule = PayoutRule(*at, True, FixedFee(5), windows=(OFFICE,))
    assert await store.put_payout_rule(rule, by="admin", now=NOW) == 2
    assert await store.put_payout_rule(rule, by="admin", now=NOW) == 2
    assert await store.put_payout_rule(replace(rule, daily_limit=7), by="admin", now=NOW) == 3
    changes = {"enabled": False, "daily_limit": None, "windows": ()}
    changed = await store.change_payout_rule(*at, changes, by="admin", now=NOW)
    assert changed == replace(rule, enabled=False, windows=())
    assert (await store.load()).payout_rule(*at) == changed
    await store.change_payout_rule(*at, {"enabled": False}, by="admin", now=NOW)
    assert await store.version() == 4
    await store.delete_payout_rule(*at, by="admin", now=NOW)
    assert (await store.load()).payout_rule(*at) is None
    assert [(change.version, change.note) for change in await store.history(4)] == [
        (5, "payout rule tl personal CMB removed"),
        (4, "payout rule tl personal CMB changed: daily_limit, enabled, windows"),
        (3, "payout rule tl personal CMB"),
        (2, "payout rule tl personal CMB"),
    ]


async def test_two_who_change_a_payout_rule_at_once_are_both_heard(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    at = (mine, "tl", PayeeType.CORPORATE, "*")
    changes: list[dict[str, object]] = [{"enabled": False}, {"single_limit": 1}, {"daily_limit": 2}, {"windows": ()}]
    await asyncio.gather(*(store.change_payout_rule(*at, each, by="x", now=NOW) for each in changes))
    assert (await store.load()).payout_rule(*at) == PayoutRule(*at, False, FEE, 1, 2, fees=LATER)
    assert await store.version() == 1 + len(changes)


async def test_payout_rules_that_the_file_leaves_out_go_with_their_channel_too(store: CatalogueStore) -> None:
    await put(store, SHOP)
    changed = replace(ALL_FIRMS, enabled=False, windows=())
    report = await store.apply(CatalogueFile((replace(SHOP, payout_rules=(changed,)),)), "test", "a file", NOW)
    assert report.counts == {"payout rules removed": 1, "payout rules changed": 1}
    report = await store.apply(CatalogueFile((SHOP,)), "test", "back again", NOW)
    assert report.counts == {"payout rules added": 1, "payout rules changed": 1}
    assert await store.content() == [replace(SHOP, rules=SHOP.rules[::-1])]
    without = replace(SHOP, channels=(), windows=(), rules=(), payout_rules=(), primary_signer=None, primary_signers={})
    catalogue = await put(store, without)
    (mine,) = catalogue.merchants
    assert (catalogue.channels[mine, "tl"].on, catalogue.payout_rules_of(mine, "tl")) == (False, [])


async def test_a_stopped_endpoint_stays_stopped_until_its_address_changes(store: CatalogueStore) -> None:
    first = await put(store, SHOP)
    (mine,) = first.merchants
    endpoint = first.endpoints[mine][0].endpoint_id
    assert await store.stop_endpoint(mine, endpoint, "it answered 410", NOW) == 2
    assert await store.stop_endpoint(mine, endpoint, "again", NOW) == 2
    report = await store.apply(CatalogueFile((replace(SHOP, name="S"),)), "test", "same address", NOW)
    assert report.warnings == ("the endpoint web of shop stays stopped: it answered 410",)
    moved = replace(SHOP, endpoints=(replace(SHOP.endpoints[0], url="https://shop.example.com/b"),))
    (again,) = (await put(store, moved)).endpoints[mine]
    assert (again.endpoint_id, again.stopped) == (endpoint, False)


async def test_a_new_secret_stands_beside_the_one_before_it(store: CatalogueStore) -> None:
    first = await put(store, SHOP)
    (mine,) = first.merchants
    endpoint = first.endpoints[mine][0].endpoint_id
    await store.rotate_endpoint_secret(mine, endpoint, "whsec_newest", by="admin", now=NOW)
    assert (await store.load()).endpoints[mine][0].secrets == ("whsec_newest", "whsec_new")


async def test_keys_are_added_and_revoked(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants
    key = ApiKey(mine, new_id(), "web", "second", key_hash_of("sk_second"))
    await store.add_key(key, by="admin", now=NOW)
    assert (await store.load()).keys[key.key_hash] == key
    await store.revoke_key(mine, key.key_id, by="admin", now=NOW)
    assert key.key_hash not in (await store.load()).keys
    with pytest.raises(CatalogueRefusedError, match="make a new one"):
        await store.add_key(replace(key, key_id=new_id()), by="admin", now=NOW)


NO_RULE = PayoutRule(new_id(), "tl", PayeeType.PERSONAL, "*", True, FEE)
Change = Callable[[CatalogueStore], Awaitable[object]]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("channel", lambda s: s.set_channel(new_id(), "tl", by="x", now=NOW, on=False)),
        ("channel", lambda s: s.put_rule(RouteRule(new_id(), "tl", Scene.WITHHOLD, "ABC", True, FEE), by="x", now=NOW)),
        ("rule", lambda s: s.delete_rule(new_id(), "tl", Scene.WITHHOLD, "ABC", by="x", now=NOW)),
        ("channel", lambda s: s.put_payout_rule(NO_RULE, by="x", now=NOW)),
        ("payout rule", lambda s: s.change_payout_rule(new_id(), "tl", PayeeType.PERSONAL, "*", {}, by="x", now=NOW)),
        ("payout rule", lambda s: s.delete_payout_rule(new_id(), "tl", PayeeType.PERSONAL, "*", by="x", now=NOW)),
        ("maintenance window", lambda s: s.remove_window(new_id(), new_id(), by="x", now=NOW)),
        ("endpoint", lambda s: s.stop_endpoint(new_id(), new_id(), "gone", NOW)),
        ("endpoint", lambda s: s.rotate_endpoint_secret(new_id(), new_id(), "whsec_x", by="x", now=NOW)),
        ("app", lambda s: s.add_key(ApiKey(new_id(), new_id(), "web", "l", b"h"), by="x", now=NOW)),
        ("key", lambda s: s.revoke_key(new_id(), new_id(), by="x", now=NOW)),
    ],
)
async def test_what_is_not_there_cannot_be_changed(store: CatalogueStore, what: str, change: Change) -> None:
    with pytest.raises(NotInCatalogueError) as caught:
        await change(store)
    assert caught.value.what == what
    assert await store.version() == 0


# The snapshot


async def test_a_watch_follows_changes_of_another_process(store: CatalogueStore) -> None:
    watch = CatalogueWatch(store, interval_s=0.01)
    heard: asyncio.Queue[int] = asyncio.Queue()
    watch.on_change(lambda catalogue: heard.put_nowait(catalogue.version))
    await watch.start()
    try:
        assert await heard.get() == 0
        await store.apply(CatalogueFile((SHOP,)), "test", "a file", NOW)
        assert await asyncio.wait_for(heard.get(), 60) == 1
        assert watch.current.version == 1
    finally:
        await watch.stop()


async def test_a_snapshot_that_was_replaced_is_freed_at_once(store: CatalogueStore) -> None:
    """Tens of thousands of rules: with a circle in them they would stay until the collector looks at everything."""
    watch = CatalogueWatch(store)
    await put(store, SHOP)
    await watch.refresh_now()
    first = weakref.ref(watch.current)
    await put(store, replace(SHOP, name="other"))
    gc.disable()
    try:
        await watch.refresh_now()
        assert (watch.current.version, first()) == (2, None)
    finally:
        gc.enable()


async def test_reading_while_others_change_shows_whole_versions_only(store: CatalogueStore) -> None:
    (mine,) = (await put(store, SHOP)).merchants

    async def change() -> None:
        for number in range(10):
            await store.set_channel(mine, "tl", by="x", now=NOW, authentication_fee=1_000 + number)

    changing = asyncio.create_task(change())
    while not changing.done():
        catalogue = await store.load()
        fee = catalogue.channels[mine, "tl"].authentication_fee
        assert fee == (100 if catalogue.version == 1 else 998 + catalogue.version)
    await changing


async def test_reading_leaves_the_connection_as_it_was(store: CatalogueStore, engine: AsyncEngine) -> None:
    await asyncio.gather(*(store.load() for _ in range(4)))
    async with engine.connect() as connection:
        assert await connection.scalar(text("SHOW transaction_isolation")) == "read committed"
        assert await connection.scalar(text("SHOW transaction_read_only")) == "off"
