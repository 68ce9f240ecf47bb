"""The admin calls over HTTP, on a real PostgreSQL: what they show, what they change, what they refuse.

Not here: keys and limits around every call (gateway.api's own tests), and the store's rules (test_catalogue.py).
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.allinpay import Allinpay
from adapters.registry import PROVIDERS
from gateway.domain.blocks import BlockKind, blocked_value
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    ChannelContent,
    EndpointContent,
    KeyContent,
    MerchantContent,
    RuleContent,
    key_hash_of,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, OwnTerms, Product
from gateway.ports import Assumption, Declaration, Pay, SendSigningCode, Sign, Table
from gateway.storage.catalogue.blocks import BlockStore
from gateway.storage.catalogue.store import CatalogueStore
from router.fees import FixedFee
from router.limits import About, ChannelLimits, RuleLimits
from tests.paying_out import EVERYBODY, PERSONS, pay_out
from tests.storage.operator_client import KEYS, NOW, Client, answered, operator_client

TERMS = {
    Product.PAYMENT: OwnTerms(poll_gaps_s=(1.0, 2.5), not_found=NotFoundRule(3, 6.0)),
    Product.AUTHENTICATION: OwnTerms(answer_timeout_s=4.0),
}
SHOP = MerchantContent(
    code="shop",
    name="商店",
    apps=(AppContent("web", "Web", (KeyContent("first", key_hash_of("sk_first")),)),),
    endpoints=(EndpointContent("web", "web", "https://shop.example.com/a", None, False, ("whsec_hush",)),),
    accounts=(
        AccountContent("tl", "allinpay", {"url": "http://x", "assumed": ["sms_codes"]}, {"user_pass": "hush"}, TERMS),
    ),
    channels=(ChannelContent("tl", "tl", "通联", True, {"*": AuthenticationMode.NONE}, 0, ChannelLimits(5_000)),),
    rules=(RuleContent("tl", Scene.WITHHOLD, "ICBC", True, FixedFee(9)),),
)
CHANNEL = "/v1/admin/merchants/shop/channels/tl"
WINDOWS = f"{CHANNEL}/maintenance_windows"
WINDOW = {"starts_at": "2026-03-01T07:00:00Z", "ends_at": "2026-03-01T17:00:00+08:00", "note": "night"}


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[Client]:
    async with operator_client(engine, SHOP, MerchantContent("other", "Other")) as client:
        yield client


async def test_merchants_and_their_channels_are_listed(client: Client) -> None:
    merchants = await answered(await client.get("/v1/admin/merchants"))
    assert [merchant["code"] for merchant in merchants["data"]] == ["other", "shop"]
    channels = await answered(await client.get("/v1/admin/merchants/shop/channels"))
    assert channels["data"] == [
        {
            "object": "channel",
            "merchant": "shop",
            "code": "tl",
            "account": "tl",
            "provider": "allinpay",
            "name": "通联",
            "on": True,
            "in_maintenance": False,
            "authentication": {"*": "none"},
            "authentication_fee": 0,
            "authentication_fees": [],
            "daily_total": 5_000,
            "calls_at_once": None,
            "calls_per_second": None,
        }
    ]
    assert (await answered(await client.get("/v1/admin/merchants/other/channels")))["data"] == []


async def test_a_channel_is_switched_off_at_once(client: Client) -> None:
    changed = await answered(await client.patch(CHANNEL, json={"on": False}))
    assert (changed["on"], changed["daily_total"]) == (False, 5_000)
    channels = await answered(await client.get("/v1/admin/merchants/shop/channels"))
    assert channels["data"] == [changed]


ASSUMED = Assumption("sms_words", "The SMS names the merchant.", since_first_version=True)


class Signing(Allinpay):
    """An Allinpay that signs by SMS, as far as is known."""

    DECLARATION: ClassVar[Declaration] = replace(Allinpay.DECLARATION, assumptions=(ASSUMED,))
    COMMANDS: ClassVar[Table] = dict.fromkeys((SendSigningCode, Sign), Allinpay.pay)


async def test_who_signs_by_sms_is_named_changed_and_taken_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROVIDERS, "allinpay", Signing)
    shop = "/v1/admin/merchants/shop"
    for named in ({"primary_signer": "tl"}, {"primary_signers": {"ICBC": "tl"}}, {"primary_signer": "no"}):
        problem = await answered(await client.patch(shop, json=named), 422)
        assert [error["field"] for error in problem["errors"]] == list(named)
    await answered(await client.patch(CHANNEL, json={"authentication": {"ICBC": "sms", "*": "none"}}))
    whole: dict[str, Any] = {"primary_signer": "tl", "primary_signers": {"ICBC": "tl"}, "sms_per_phone_and_day": 3}
    changed = await answered(await client.patch(shop, json=whole))
    assert {name: changed[name] for name in whole} == whole
    problem = await answered(await client.patch(CHANNEL, json={"authentication": {"*": "none"}}), 422)
    assert len(problem["errors"]) == 2
    changed = await answered(await client.patch(shop, json={"primary_signer": None, "sms_per_phone_and_day": None}))
    assert (changed["primary_signer"], changed["primary_signers"], changed["sms_per_phone_and_day"]) == (
        None,
        {"ICBC": "tl"},
        10,
    )
    shown = (await answered(await client.get("/v1/admin/catalogue")))["merchants"][1]["accounts"][0]["assumptions"]
    assert shown == [{"name": "sms_words", "meaning": "The SMS names the merchant.", "by": "first_version"}]


@pytest.mark.parametrize("limit", RuleLimits.each(), ids=lambda limit: limit.name)
async def test_every_limit_of_a_rule_is_taken_within_its_bounds_and_shown(client: Client, limit: About) -> None:
    address = f"{CHANNEL}/rules/withhold/ICBC"
    put = await answered(await client.put(address, json={"fee": 1, limit.name: limit.most}))
    assert put[limit.name] == limit.most
    assert {put[other.name] for other in RuleLimits.each() if other != limit} == {None}
    (shown,) = (await answered(await client.get(f"{CHANNEL}/rules")))["data"]
    assert shown == put
    for wrong in (0, limit.most + 1, "1", 1.5):
        problem = await answered(await client.put(address, json={"fee": 1, limit.name: wrong}), 422)
        assert [error["field"] for error in problem["errors"]] == [limit.name]


@pytest.mark.parametrize("limit", ChannelLimits.each(), ids=lambda limit: limit.name)
async def test_every_limit_of_a_channel_is_set_removed_and_otherwise_left(client: Client, limit: About) -> None:
    changed = await answered(await client.patch(CHANNEL, json={limit.name: limit.most}))
    assert changed[limit.name] == limit.most
    changed = await answered(await client.patch(CHANNEL, json={"name": "another"}))
    assert (changed["name"], changed[limit.name]) == ("another", limit.most)
    assert (await answered(await client.patch(CHANNEL, json={limit.name: None})))[limit.name] is None


async def test_the_terms_of_an_account_are_shown_whole_and_those_of_payments_flat_beside_them(
    client: Client,
) -> None:
    account = (await answered(await client.get("/v1/admin/catalogue")))["merchants"][1]["accounts"][0]
    assert account["terms"] == {
        "authentication": {"answer_timeout_s": 4.0},
        "payment": {"poll_gaps_s": [1.0, 2.5], "not_found": {"answers": 3, "over_s": 6.0}},
    }
    assert account["poll_gaps_s"] == [1.0, 2.5]
    assert (account["not_found_answers"], account["not_found_over_s"], account["answer_timeout_s"]) == (3, 6.0, None)


async def test_null_removes_the_daily_total_and_leaves_other_fields(client: Client) -> None:
    changed = await answered(await client.patch(CHANNEL, json={"daily_total": None, "name": None, "on": None}))
    assert (changed["daily_total"], changed["name"], changed["on"]) == (None, "通联", True)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"on": "yes"}, "on", None),
        ({"daily_total": 0}, "daily_total", "must be at least 1"),
        ({"colour": "red"}, "colour", "is not known here; leave it out"),
        (
            {"authentication": {"*": "silent"}},
            "authentication",
            "allinpay cannot authenticate by silent: it has no authenticate and no ask_authentication",
        ),
        ({"authentication": {"XX": "none"}}, "authentication", "must have known bank codes and * only"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(
    client: Client, change: dict[str, Any], field: str, message: str | None
) -> None:
    problem = await answered(await client.patch(CHANNEL, json=change), 422)
    assert problem["errors"][0]["field"] == field
    assert message in (None, problem["errors"][0]["message"])
    assert (await answered(await client.get("/v1/admin/catalogue")))["version"] == 1


async def test_a_maintenance_window_opens_shows_and_is_removed(client: Client) -> None:
    window = await answered(await client.post(WINDOWS, json=WINDOW), 201)
    assert window["id"].startswith("mw_")
    assert (window["starts_at"], window["ends_at"]) == ("2026-03-01T07:00:00.000Z", "2026-03-01T09:00:00.000Z")
    assert (await answered(await client.get(WINDOWS)))["data"] == [window]
    channels = await answered(await client.get("/v1/admin/merchants/shop/channels"))
    assert channels["data"][0]["in_maintenance"]
    removed = await answered(await client.delete(f"{WINDOWS}/{window['id']}"))
    assert removed == {"object": "maintenance_window", "removed": True}
    assert (await answered(await client.get(WINDOWS)))["data"] == []
    await answered(await client.delete(f"{WINDOWS}/{window['id']}"), 404)


async def test_a_window_may_repeat_for_some_banks_and_scenes(client: Client) -> None:
    limited = {"repeats": "weekly", "banks": ["ICBC", "ABC", "ICBC"], "scenes": ["withhold"]}
    window = await answered(await client.post(WINDOWS, json=WINDOW | limited), 201)
    assert (window["repeats"], window["banks"], window["scenes"]) == ("weekly", ["ABC", "ICBC"], ["withhold"])
    assert (await answered(await client.get(WINDOWS)))["data"] == [window]
    channels = await answered(await client.get("/v1/admin/merchants/shop/channels"))
    assert not channels["data"][0]["in_maintenance"]


@pytest.mark.parametrize(
    ("said", "field", "code"),
    [
        ({"repeats": "daily", "ends_at": "2026-03-02T15:00:00+08:00"}, "ends_at", "out_of_range"),
        ({"repeats": "yearly"}, "repeats", "not_one_of"),
        ({"banks": []}, "banks", "too_few"),
        ({"banks": ["NOBANK"]}, "banks.0", "bank"),
        ({"scenes": ["gambling"]}, "scenes.0", "not_one_of"),
    ],
)
async def test_a_window_that_cannot_be_is_refused(client: Client, said: dict[str, Any], field: str, code: str) -> None:
    problem = await answered(await client.post(WINDOWS, json=WINDOW | said), 422)
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]


async def test_a_window_that_ends_before_it_starts_is_refused(client: Client) -> None:
    problem = await answered(await client.post(WINDOWS, json=WINDOW | {"ends_at": WINDOW["starts_at"]}), 422)
    assert problem["errors"][0] == {"field": "ends_at", "code": "order", "message": "must be after starts_at"}


async def test_a_rule_is_put_found_replaced_and_removed(client: Client) -> None:
    address = f"{CHANNEL}/rules/withhold/CMB"
    rule = await answered(await client.put(address, json={"fee": {"type": "percent", "rate": "0.001"}, "priority": 2}))
    assert rule["fee"] == {"type": "percent", "rate": "0.001"}
    assert (rule["enabled"], rule["priority"], rule["single_limit"]) == (True, 2, None)
    assert (await answered(await client.get(f"{CHANNEL}/rules?bank=CMB")))["data"] == [rule]
    assert len((await answered(await client.get(f"{CHANNEL}/rules?scene=withhold")))["data"]) == 2
    await answered(await client.put(address, json={"fee": 7, "single_limit": 100}))
    (again,) = (await answered(await client.get(f"{CHANNEL}/rules?bank=CMB")))["data"]
    assert (again["fee"], again["priority"], again["single_limit"]) == ({"type": "fixed", "amount": 7}, 0, 100)
    assert (rule["daily_insufficient_by"], again["daily_insufficient_by"]) == ("user", "user")
    counted = {"fee": 7, "daily_insufficient_limit": 2, "daily_insufficient_by": "card"}
    assert (await answered(await client.put(address, json=counted)))["daily_insufficient_by"] == "card"
    problem = await answered(await client.put(f"{CHANNEL}/rules/netbank_charge/CMB", json=counted), 422)
    assert [error["field"] for error in problem["errors"]] == ["scene"]
    await answered(await client.delete(address))
    await answered(await client.delete(address), 404)


async def test_a_scene_that_the_provider_cannot_pay_is_refused(client: Client) -> None:
    problem = await answered(await client.put(f"{CHANNEL}/rules/netbank_charge/CMB", json={"fee": 7}), 422)
    assert problem["errors"][0]["message"] == "allinpay cannot pay netbank_charge, only quick_charge, withhold"


async def test_a_scene_that_does_not_fit_how_cards_are_authenticated_is_refused_from_either_side(
    client: Client,
) -> None:
    why = "allinpay pays quick_charge from authenticated cards alone: its authentication cannot be none"
    address = f"{CHANNEL}/rules/quick_charge/ICBC"
    problem = await answered(await client.put(address, json={"fee": 7}), 422)
    assert [(error["field"], error["message"]) for error in problem["errors"]] == [("scene", why)]
    await answered(await client.patch(CHANNEL, json={"authentication": {"ICBC": "sms", "*": "none"}}))
    await answered(await client.put(address, json={"fee": 7}))
    problem = await answered(await client.patch(CHANNEL, json={"authentication": {"*": "none"}}), 422)
    told = [(error["field"], error["message"]) for error in problem["errors"]]
    assert told == [("authentication", f"a rule leads here: {why}")]


async def test_a_rule_of_a_provider_without_a_command_that_it_needs_is_refused_by_name(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mute(Allinpay):
        COMMANDS: ClassVar[Table] = {Pay: Allinpay.pay}

    monkeypatch.setitem(PROVIDERS, "allinpay", Mute)
    problem = await answered(await client.put(f"{CHANNEL}/rules/withhold/CMB", json={"fee": 7}), 422)
    assert problem["errors"] == [
        {"field": "scene", "code": "unsupported", "message": "allinpay cannot pay: it has no ask_payment"}
    ]


async def test_prices_of_later_days_are_said_shown_and_refused_by_their_place(client: Client) -> None:
    address = f"{CHANNEL}/rules/withhold/CMB"
    later = [
        {"effective_from": "2026-05-01", "fee": 6},
        {"effective_from": "2026-04-01", "fee": {"fixed": {"amount": 5}}},
    ]
    rule = await answered(await client.put(address, json={"fee": 7, "fees": later}))
    assert rule["fees"] == [
        {"effective_from": "2026-04-01", "fee": {"type": "fixed", "amount": 5}},
        {"effective_from": "2026-05-01", "fee": {"type": "fixed", "amount": 6}},
    ]
    assert (await answered(await client.get(f"{CHANNEL}/rules?bank=CMB")))["data"] == [rule]
    channel = await answered(await client.patch(CHANNEL, json={"authentication_fees": later[:1]}))
    assert channel["authentication_fees"] == later[:1]
    assert (await answered(await client.patch(CHANNEL, json={"authentication_fee": 3})))["authentication_fees"] != []
    assert (await answered(await client.patch(CHANNEL, json={"authentication_fees": []})))["authentication_fees"] == []
    twice = await answered(await client.put(address, json={"fee": 7, "fees": [later[0], later[0]]}), 422)
    assert [(error["field"], error["code"]) for error in twice["errors"]] == [("fees", "repeated")]
    for day in ("2026-02-30", "2026-4-1", 20260401, None, "2026-04-01T00:00:00Z"):
        said = {"fee": 7, "fees": [{"effective_from": day, "fee": 6}]}
        problem = await answered(await client.put(address, json=said), 422)
        assert [error["field"] for error in problem["errors"]] == ["fees.0.effective_from"]


PAYOUTS = f"{CHANNEL}/payout_rules"
OFFICE = {"opens": "08:30", "closes": "17:00", "days": ["fri", "mon"]}


async def test_a_payout_rule_is_put_found_changed_replaced_and_removed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay_out(monkeypatch, "allinpay", EVERYBODY)
    address, early = f"{PAYOUTS}/personal/*", {"opens": "00:00", "closes": "08:00"}
    said = {"fee": 100, "single_limit": 500, "daily_limit": 800, "windows": [OFFICE, early]}
    rule = await answered(await client.put(address, json=said))
    every_day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    assert rule == {
        "object": "payout_rule",
        "channel": "tl",
        "payee": "personal",
        "bank": "*",
        "enabled": True,
        "fee": {"type": "fixed", "amount": 100},
        "fees": [],
        "single_limit": 500,
        "daily_limit": 800,
        "windows": [early | {"days": every_day}, OFFICE | {"days": ["mon", "fri"]}],
    }
    icbc = await answered(await client.put(f"{PAYOUTS}/corporate/ICBC", json={"fee": 7}))
    assert (icbc["single_limit"], icbc["daily_limit"], icbc["windows"]) == (None, None, None)
    assert (await answered(await client.get(PAYOUTS)))["data"] == [icbc, rule]
    for search, found in (("?payee=corporate", [icbc]), ("?bank=*", [rule]), ("?payee=corporate&bank=*", [])):
        assert (await answered(await client.get(PAYOUTS + search)))["data"] == found
    whole = await answered(await client.get("/v1/admin/catalogue"))
    assert (whole["version"], whole["merchants"][1]["payout_rules"]) == (3, [icbc, rule])
    changed = await answered(await client.patch(address, json={"enabled": False, "single_limit": None}))
    assert changed == rule | {"enabled": False, "single_limit": None}
    changed = await answered(await client.patch(address, json={"windows": None, "fee": None, "enabled": None}))
    assert changed == rule | {"enabled": False, "single_limit": None, "windows": None}
    replaced = await answered(await client.put(address, json={"fee": 9}))
    assert (await answered(await client.get(f"{PAYOUTS}?bank=*")))["data"] == [replaced]
    assert (replaced["enabled"], replaced["daily_limit"], replaced["fee"]["amount"]) == (True, None, 9)
    assert await answered(await client.delete(address)) == {"object": "payout_rule", "removed": True}
    await answered(await client.delete(address), 404)
    await answered(await client.patch(address, json={}), 404)


WRONG_PAYOUT_RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"fee": -1}, "fee", "fee"),
    ({"single_limit": 0}, "single_limit", "out_of_range"),
    ({"daily_limit": 2**63}, "daily_limit", "out_of_range"),
    ({"priority": 1}, "priority", "unknown_field"),
    ({"windows": []}, "windows", "too_few"),
    ({"windows": [OFFICE | {"opens": "8:30"}]}, "windows.0.opens", "wrong_format"),
    ({"windows": [OFFICE | {"closes": "24:01"}]}, "windows.0.closes", "wrong_format"),
    ({"windows": [OFFICE | {"closes": "08:30"}]}, "windows.0.closes", "order"),
    ({"windows": [OFFICE | {"days": []}]}, "windows.0.days", "too_few"),
    ({"windows": [OFFICE | {"days": ["someday"]}]}, "windows.0.days.0", "not_one_of"),
    ({"windows": [OFFICE | {"days": ["mon", "mon"]}]}, "windows.0.days", "repeated"),
    ({"windows": [OFFICE, OFFICE]}, "windows", "repeated"),
]


async def test_a_payout_rule_that_cannot_be_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    pay_out(monkeypatch, "allinpay", EVERYBODY)
    for said, field, code in WRONG_PAYOUT_RULES:
        for refused in (client.put, client.patch):
            problem = await answered(await refused(f"{PAYOUTS}/personal/*", json={"fee": 7} | said), 422)
            assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)], said


async def test_payouts_that_the_provider_cannot_make_have_no_rule_but_one_that_is_there_can_be_switched_off(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay_out(monkeypatch, "allinpay", EVERYBODY)
    address = f"{PAYOUTS}/corporate/*"
    await answered(await client.put(address, json={"fee": 7}))
    for payees, why in ((PERSONS, "allinpay pays out to personal payees alone"), (None, "allinpay has no payouts")):
        pay_out(monkeypatch, "allinpay", payees)
        problem = await answered(await client.put(address, json={"fee": 8}), 422)
        assert problem["errors"] == [{"field": "payee", "code": "unsupported", "message": why}]
    assert not (await answered(await client.patch(address, json={"enabled": False})))["enabled"]


async def test_the_whole_catalogue_is_shown_without_a_secret(client: Client) -> None:
    await answered(await client.patch(CHANNEL, json={"on": False}))
    response = await client.get("/v1/admin/catalogue")
    text = await response.text()
    assert "hush" not in text
    assert key_hash_of("sk_first").hex() not in text
    catalogue = await response.json()
    assert catalogue["version"] == 2
    assert [(change["version"], change["changed_by"], change["note"]) for change in catalogue["history"]] == [
        (2, "admin", "channel tl off"),
        (1, "test", "a file"),
    ]
    shop = catalogue["merchants"][1]
    assert shop["apps"][0]["keys"][0]["label"] == "first"
    assert shop["accounts"][0]["secrets"] == ["user_pass"]
    assert shop["endpoints"][0]["secrets"] == 1
    assert [rule["bank"] for rule in shop["rules"]] == ["ICBC"]


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("GET", "/v1/admin/merchants/nobody/channels", None),
        ("PATCH", "/v1/admin/merchants/other/channels/tl", {"on": False}),
        ("GET", "/v1/admin/merchants/other/channels/tl/rules", None),
        ("POST", "/v1/admin/merchants/shop/channels/no/maintenance_windows", WINDOW),
        ("DELETE", f"{WINDOWS}/mw_01h2xcejqtf2nbrexx3vqjhp41", None),
        ("DELETE", f"{WINDOWS}/%00", None),
        ("PUT", f"{CHANNEL}/rules/gambling/CMB", {"fee": 7}),
        ("PUT", f"{CHANNEL}/rules/withhold/XXX", {"fee": 7}),
        ("DELETE", f"{CHANNEL}/rules/withhold/CMB", None),
        ("GET", "/v1/admin/merchants/other/channels/tl/payout_rules", None),
        ("PUT", f"{CHANNEL}/payout_rules/lender/CMB", {"fee": 7}),
        ("PUT", f"{CHANNEL}/payout_rules/personal/XXX", {"fee": 7}),
        ("PATCH", f"{CHANNEL}/payout_rules/personal/*", {"enabled": False}),
        ("DELETE", f"{CHANNEL}/payout_rules/personal/*", None),
    ],
)
async def test_what_is_not_there_is_a_404(client: Client, method: str, address: str, body: object) -> None:
    problem = await answered(await client.request(method, address, json=body), 404)
    assert problem["code"] == "not_found"


async def test_an_apps_key_opens_no_admin_call(client: Client) -> None:
    response = await client.get("/v1/admin/catalogue", headers={"Authorization": "Bearer sk_first"})
    await answered(response, 403)


async def test_the_admin_calls_are_in_the_openapi_document(client: Client) -> None:
    document = await answered(await client.get("/openapi.json"))
    paths = {path for path in document["paths"] if path.startswith("/v1/admin/")}
    base = "/v1/admin/merchants/{merchant}/channels/{channel}"
    assert paths == {
        "/v1/admin/catalogue",
        "/v1/admin/merchants",
        "/v1/admin/merchants/{merchant}",
        "/v1/admin/merchants/{merchant}/accounts/{account}",
        "/v1/admin/merchants/{merchant}/balances",
        "/v1/admin/merchants/{merchant}/balances/{account}/ask",
        "/v1/admin/merchants/{merchant}/cards",
        "/v1/admin/merchants/{merchant}/channels",
        "/v1/admin/merchants/{merchant}/silent_refusals",
        "/v1/admin/merchants/{merchant}/silent_refusals/{account}/{bank}/clear",
        "/v1/admin/merchants/{merchant}/transaction_rules",
        "/v1/admin/merchants/{merchant}/transaction_rules/test",
        "/v1/admin/merchants/{merchant}/transaction_rules/{rule}",
        base,
        f"{base}/maintenance_windows",
        f"{base}/maintenance_windows/{{window}}",
        f"{base}/rules",
        f"{base}/rules/{{scene}}/{{bank}}",
        f"{base}/payout_rules",
        f"{base}/payout_rules/{{payee}}/{{bank}}",
        "/v1/admin/merchants/{merchant}/endpoints",
        "/v1/admin/merchants/{merchant}/endpoints/{endpoint}/stop",
        "/v1/admin/merchants/{merchant}/endpoints/{endpoint}/start",
        "/v1/admin/merchants/{merchant}/endpoints/{endpoint}/discard",
        "/v1/admin/merchants/{merchant}/blocks",
        "/v1/admin/merchants/{merchant}/blocks/search",
        "/v1/admin/merchants/{merchant}/blocks/{block}/remove",
        "/v1/admin/merchants/{merchant}/block_proposals",
        "/v1/admin/merchants/{merchant}/reports",
        "/v1/admin/merchants/{merchant}/reports.csv",
        "/v1/admin/merchants/{merchant}/channels/{channel}/bill",
        "/v1/admin/merchants/{merchant}/channels/{channel}/bill.csv",
        "/v1/admin/merchants/{merchant}/payouts",
        "/v1/admin/merchants/{merchant}/payouts/{id}/confirm",
        "/v1/admin/merchants/{merchant}/payouts/{id}/refuse",
        "/v1/admin/merchants/{merchant}/block_proposals/{proposal}/accept",
        "/v1/admin/merchants/{merchant}/block_proposals/{proposal}/reject",
        "/v1/admin/merchants/{merchant}/dead_letters",
        "/v1/admin/merchants/{merchant}/differences",
        "/v1/admin/merchants/{merchant}/differences.csv",
        "/v1/admin/merchants/{merchant}/differences/reopen",
        "/v1/admin/merchants/{merchant}/differences/resolve",
        "/v1/admin/merchants/{merchant}/reconciliation/days",
        "/v1/admin/merchants/{merchant}/reconciliation/days/{account}/{day}",
        "/v1/admin/merchants/{merchant}/reconciliation/days/{account}/{day}/close",
        "/v1/admin/merchants/{merchant}/reconciliation/days/{account}/{day}/fee-proposals",
        "/v1/admin/merchants/{merchant}/reconciliation/days/{account}/{day}/run",
        "/v1/admin/merchants/{merchant}/reconciliation/days/{account}/{day}/statement",
        "/v1/admin/merchants/{merchant}/events/{id}/redeliver",
        "/v1/admin/merchants/{merchant}/routes",
        "/v1/admin/health/channels",
        "/v1/admin/merchants/{merchant}/channels/{channel}/switch_on",
        "/v1/admin/merchants/{merchant}/alerts",
        "/v1/admin/merchants/{merchant}/alerts/{id}/acknowledge",
        "/v1/admin/merchants/{merchant}/anomalies",
        "/v1/admin/merchants/{merchant}/anomalies/{id}/resolve",
        "/v1/admin/merchants/{merchant}/observations",
        "/v1/admin/merchants/{merchant}/payments",
    }


async def test_payments_are_found_and_what_cannot_be_read_is_said(client: Client) -> None:
    nothing: dict[str, Any] = {"data": [], "next": None, "cut": False, "narrow": None}
    for asked in ("", "?card=622202*1234", "?card=6222021234", "?day=2026-03-01&amount=10000000000",
                  "?id=card_01h2xcejqtf2nbrexx3vqjhp41", "?id=ano_01h2xcejqtf2nbrexx3vqjhp41&status=closed",
                  "?channel_order_no=01a2158d42c373baa0245dce8d4b161e&app=web&channel=tl", "?user_id=u1&limit=1",
                  "?merchant_order_no=a~1&channel_transaction_no=T/1"):  # fmt: skip
        assert await answered(await client.get(f"/v1/admin/merchants/shop/payments{asked}")) == nothing
    refused = {
        "id": ["pay_7", "ep_01h2xcejqtf2nbrexx3vqjhp41", "7"],
        "card": ["6222020000001234567", "622202", "622202*567"],
        "day": ["2026-02-30", "20260301", "today"],
        "amount": ["0", "1.5", "10000000001"],
        "status": ["paid"],
        "channel_order_no": ["", "a b", "n" * 129],
        "order": ["1"],
        "after": ["evt_01h2xcejqtf2nbrexx3vqjhp41"],
    }
    for field, texts in refused.items():
        for text in texts:
            answer = await client.get("/v1/admin/merchants/shop/payments", params={field: text})
            problem = await answered(answer, 422)
            assert [error["field"] for error in problem["errors"]] == [field]
            assert len(text) < 8 or text not in str(problem)
    await answered(await client.get("/v1/admin/merchants/nobody/payments"), 404)


# --- the block list ---

AT = "/v1/admin/merchants/shop"
PHONE = {"kind": "phone", "value": "138 0013 8000"}
WORD = {"by": "ann", "note": "seen"}


async def test_values_are_blocked_found_and_unblocked_and_shown_masked(client: Client) -> None:
    passport = {"kind": "id_no", "value": "e12345678", "id_type": "passport"}
    said = {"values": [PHONE, passport], "reason": "stolen", "by": "ann", "expires_at": "2026-03-01T16:00:00+08:00"}
    added = (await answered(await client.post(f"{AT}/blocks", json=said), 201))["data"]
    assert added[0] == {
        "object": "block",
        "id": added[0]["id"],
        "kind": "phone",
        "value": "138****8000",
        "reason": "stolen",
        "by_file": False,
        "added_by": "ann",
        "added_at": "2026-03-01T08:00:00.000Z",
        "expires_at": "2026-03-01T08:00:00.000Z",
        "expired": True,
    }
    page = await answered(await client.get(f"{AT}/blocks?limit=1"))
    rest = await answered(await client.get(f"{AT}/blocks?limit=1&after={page['next']}"))
    assert sorted((*page["data"], *rest["data"]), key=lambda block: block["id"]) == sorted(added, key=lambda b: b["id"])
    assert rest["next"] is None
    assert (await answered(await client.get(f"{AT}/blocks?kind=id_no")))["data"] == [added[1]]
    assert (await answered(await client.post(f"{AT}/blocks/search", json=PHONE)))["data"] == [added[0]]
    assert await answered(await client.post(f"{AT}/blocks/{added[0]['id']}/remove", json=WORD)) == added[0]
    assert (await answered(await client.post(f"{AT}/blocks/search", json=PHONE)))["data"] == []
    assert (await answered(await client.get("/v1/admin/merchants/other/blocks")))["data"] == []
    catalogue = await answered(await client.get("/v1/admin/catalogue"))
    assert [(change["changed_by"], change["note"]) for change in catalogue["history"][:2]] == [
        ("ann", "unblocked: phone 138****8000: seen"),
        ("ann", "blocked: 2 values"),
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"values": [PHONE | {"value": "12345"}]}, "values.0.value"),
        ({"values": [PHONE, {"kind": "card", "value": "6222021001112222"}]}, "values.1.kind"),
        ({"values": [PHONE | {"id_type": "passport"}]}, "values.0.value"),
        ({"values": []}, "values"),
        ({"values": [PHONE] * 501}, "values"),
        ({"reason": " "}, "reason"),
        ({"by": None}, "by"),
        ({"expires_at": "2026-03-01"}, "expires_at"),
    ],
)
async def test_what_cannot_be_blocked_is_refused_in_both_languages_and_not_repeated(
    client: Client, changes: dict[str, Any], field: str
) -> None:
    body = {"values": [PHONE], "reason": "stolen", "by": "ann"} | changes
    response = await client.post(f"{AT}/blocks", json=body, headers={"Accept-Language": "zh"})
    problem = await answered(response, 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert field in problem["detail"]
    assert "12345" not in str(problem)


async def test_a_proposal_is_accepted_or_rejected_by_a_person(client: Client, engine: AsyncEngine) -> None:
    store = CatalogueStore(engine, KEYS.ring)
    shop, now = (await store.merchant_ids())["shop"], NOW
    blocks = BlockStore(engine, KEYS.order, store.change)
    for number in range(2):
        wanted = blocked_value(BlockKind.PHONE, f"1380013800{number}")
        assert await blocks.propose(shop, wanted, reason="many cards", by="rule many_cards", now=now)
    newer, older = (await answered(await client.get(f"{AT}/block_proposals")))["data"]
    assert (newer["object"], newer["value"], newer["state"]) == ("block_proposal", "138****8001", "proposed")
    block = await answered(await client.post(f"{AT}/block_proposals/{newer['id']}/accept", json=WORD))
    assert (block["object"], block["value"], block["reason"], block["added_by"]) == (
        "block",
        "138****8001",
        "many cards",
        "ann",
    )
    rejected = await answered(await client.post(f"{AT}/block_proposals/{older['id']}/reject", json=WORD))
    assert (rejected["state"], rejected["decided_by"], rejected["note"]) == ("rejected", "ann", "seen")
    assert (await answered(await client.get(f"{AT}/block_proposals?state=rejected")))["data"] == [rejected]
    assert (await answered(await client.get(f"{AT}/block_proposals")))["data"] == []
    for what in (f"block_proposals/{newer['id']}/accept", "block_proposals/nothing/reject", "blocks/blk_x/remove"):
        await answered(await client.post(f"{AT}/{what}", json=WORD), 404)
