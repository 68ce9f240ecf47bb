"""What operators say by HTTP of how things are watched: transaction rules, `watch` of a merchant, channels' health.

Each on a real PostgreSQL; what cannot be is refused with its field and the cure. And the same words in files: what was
exported is applied again and changes nothing. Not here: what rules find (test_transactions), rates (test_rates).
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalogue_file import read_catalogue, written
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    CatalogueFile,
    ChannelContent,
    KeyContent,
    MerchantContent,
    key_hash_of,
)
from gateway.domain.payees import PayeeType
from gateway.domain.transaction_rules import MAX_RULES, RuleKey, RuleKind, TransactionFilter, TransactionRule
from gateway.domain.watch_settings import watch_from_json
from gateway.ports.transactions import RuleTooWideError
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.watching.rates import RateStore
from gateway.storage.watching.transactions import TransactionStore
from tests.databases import database_on
from tests.storage.operator_client import KEYS, NOW, Client, answered, operator_client
from tests.storage.transaction_world import samples

SHOP = MerchantContent(
    "shop",
    "商店",
    apps=(AppContent("web", "Web", (KeyContent("first", key_hash_of("sk_first")),)),),
    accounts=(AccountContent("tl", "allinpay", {"url": "http://x"}, {"user_pass": "hush"}),),
    channels=(ChannelContent("tl", "tl", "通联", True, {"*": AuthenticationMode.NONE}, 0),),
)
MINE = "/v1/admin/merchants/shop"
RULES = f"{MINE}/transaction_rules"
DECLINES = {
    "name": "短时间内连续被拒",
    "key": "user",
    "at_least": 5,
    "window_s": 600,
    "filter": {"statuses": ["failed"], "failure_blames": ["payer"], "channels": ["tl"], "apps": ["web"]},
}
TRIAL = {"from": "2026-02-22T00:00:00+08:00", "to": "2026-03-01T00:00:00+08:00", "rule": DECLINES}


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[Client]:
    async with operator_client(engine, SHOP) as client:
        yield client


async def version(client: Client) -> int:
    return int((await answered(await client.get("/v1/admin/catalogue")))["version"])


async def test_a_rule_is_put_listed_replaced_switched_and_removed(client: Client) -> None:
    put = await answered(await client.put(f"{RULES}/declines", json=DECLINES))
    assert put == {
        "object": "transaction_rule",
        "code": "declines",
        "name": "短时间内连续被拒",
        "enabled": True,
        "filter": {**DECLINES["filter"], "kinds": ["payment"]},  # type: ignore[dict-item]
        "key": "user",
        "distinct": None,
        "window_s": 600,
        "at_least": 5,
        "sum_at_least": None,
        "then": "alert",
    }
    await answered(
        await client.put(f"{RULES}/big", json={"name": "b", "key": "app", "sum_at_least": 9, "window_s": 60})
    )
    assert [rule["code"] for rule in (await answered(await client.get(RULES)))["data"]] == ["big", "declines"]
    replaced = await answered(await client.put(f"{RULES}/declines", json={**DECLINES, "at_least": 6, "filter": {}}))
    assert (replaced["at_least"], replaced["filter"]) == (6, {"kinds": ["payment"]})
    off = await answered(await client.patch(f"{RULES}/declines", json={"enabled": False}))
    assert off == {**replaced, "enabled": False}
    assert await version(client) == 5
    assert (await answered(await client.delete(f"{RULES}/declines")))["removed"]
    assert [rule["code"] for rule in (await answered(await client.get(RULES)))["data"]] == ["big"]
    for gone in (client.patch(f"{RULES}/declines", json={"enabled": True}), client.delete(f"{RULES}/declines")):
        assert (await answered(await gone, 404))["code"] == "not_found"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"window_s": 31_536_000}, "window_s", "at most 604800"),
        ({"window_s": 604_800, "key": "channel"}, "window_s", "must be 1 to 86400 seconds with the key channel"),
        ({"window_s": 0}, "window_s", "at least 1"),
        ({"at_least": 1_001}, "at_least", "at most 1000"),
        ({"at_least": 0.8}, "at_least", ""),
        ({"at_least": None}, "at_least", "must be given, or sum_at_least"),
        ({"sum_at_least": 100}, "at_least", "and not both"),
        ({"at_least": None, "sum_at_least": 10**14}, "sum_at_least", "at most"),
        ({"key": "user", "distinct": "users"}, "distinct", "can never be two with the key user"),
        ({"distinct": "cards", "at_least": 1}, "at_least", "must be 2 or more"),
        ({"key": "payee"}, "key", "payee is of payouts alone"),
        ({"key": "bank", "then": "propose_block"}, "then", "takes a key that can be blocked"),
        ({"then": "block"}, "then", ""),
        ({"threshold": 5}, "threshold", "is not known here"),
        ({"name": ""}, "name", ""),
        ({"filter": {"share_of_single_limit": 101}}, "filter.share_of_single_limit", "at most 100"),
        ({"filter": {"amount_from": 2, "amount_to": 1}}, "filter.amount_to", "must not be below amount_from"),
        ({"filter": {"statuses": ["fialed"]}}, "filter.statuses.0", ""),
        ({"filter": {"banks": ["XXX"]}}, "filter.banks.0", "is not a bank code known here"),
        ({"filter": {"channels": ["nope"]}}, "filter.channels", "there is no channel nope"),
        ({"filter": {"apps": ["web", "nope"]}}, "filter.apps", "there is no app nope"),
        ({"filter": {"kinds": []}}, "filter.kinds", ""),
        ({"filter": {"colour": "red"}}, "filter.colour", "is not known here"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_by_its_field_when_it_is_put_and_when_it_is_tried(
    client: Client, change: dict[str, Any], field: str, said: str
) -> None:
    wrong = {**DECLINES, **change}
    for method, address, body, path in (
        ("PUT", f"{RULES}/declines", wrong, field),
        ("POST", f"{RULES}/test", {**TRIAL, "rule": wrong}, f"rule.{field}"),
    ):
        problem = await answered(await client.request(method, address, json=body), 422)
        assert [error["field"] for error in problem["errors"]] == [path]
        assert said in problem["errors"][0]["message"]
    assert await version(client) == 1


@pytest.mark.parametrize("code", ["Declines", "d" * 41, "1st", "a b"])
async def test_a_code_that_cannot_be_is_refused(client: Client, code: str) -> None:
    problem = await answered(await client.put(f"{RULES}/{code}", json=DECLINES), 422)
    assert [error["field"] for error in problem["errors"]] == ["code"]


async def test_a_merchant_has_so_many_rules_and_replaces_one_of_them_still(client: Client, engine: AsyncEngine) -> None:
    many = tuple(TransactionRule(f"r{number}", "r", RuleKey.APP, 60, at_least=9) for number in range(MAX_RULES))
    of_many = MerchantContent("many", "Many", transaction_rules=many)
    await CatalogueStore(engine, KEYS.ring).apply(CatalogueFile((of_many,)), "test", "a file", NOW)
    rules = "/v1/admin/merchants/many/transaction_rules"
    whole = {"name": "r", "key": "app", "at_least": 8, "window_s": 60}
    problem = await answered(await client.put(f"{rules}/one-more", json=whole), 409)
    assert f"at most {MAX_RULES} transaction rules: remove one" in problem["detail"]
    assert (await answered(await client.put(f"{rules}/r0", json=whole)))["at_least"] == 8


async def test_a_rule_that_was_never_broken_would_not_have_fired(client: Client) -> None:
    told = await answered(await client.post(f"{RULES}/test", json=TRIAL))
    assert told == {"object": "transaction_rule_trial", "times": 0, "keys": 0, "data": []}


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"to": "2026-03-26T00:00:00+08:00"}, "to", "must be after from, by at most 31 days"),
        ({"to": "2026-02-22T00:00:00+08:00"}, "to", "must be after from"),
        ({"from": "2026-02-22T00:00:00"}, "from", ""),
        ({"from": "last week"}, "from", ""),
        ({"rule": None}, "rule", ""),
    ],
)
async def test_a_trial_of_days_that_cannot_be_is_refused(
    client: Client, change: dict[str, Any], field: str, said: str
) -> None:
    problem = await answered(await client.post(f"{RULES}/test", json={**TRIAL, **change}), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert said in problem["errors"][0]["message"]


async def test_a_trial_that_is_too_wide_is_refused_with_the_reason_and_the_cure(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rows(*_: Any) -> Any:
        raise RuleTooWideError("test", "its rows take longer to read than a read may")

    monkeypatch.setattr(TransactionStore, "rows", rows)
    everything = {"name": "all", "key": "user", "at_least": 1, "window_s": 604_800}
    problem = await answered(await client.post(f"{RULES}/test", json={**TRIAL, "rule": everything}), 422)
    [error] = problem["errors"]
    assert (error["field"], error["code"]) == ("rule", "out_of_range")
    assert "take longer to read than a read may; a shorter period or a narrower filter helps" in error["message"]


async def test_how_channels_are_watched_is_set_shown_and_taken_back(client: Client) -> None:
    own = [{"channel": "tl", "bank": "ICBC", "below_percent": 50}]
    wanted = {"by": ["bank", "channel"], "window_s": 600, "at_least": 30, "own": own}
    changed = await answered(await client.patch(MINE, json={"watch": {**wanted, "below_percent": 60}}))
    assert changed["watch"] == wanted  # 60 is the default
    assert (await answered(await client.patch(MINE, json={"sms_per_phone_and_day": 3})))["watch"] == wanted
    seen = (await answered(await client.get("/v1/admin/health/channels")))["data"]
    assert [(each["window_s"], each["at_least"]) for each in seen] == [(600, 30)]
    assert (await answered(await client.patch(MINE, json={"watch": None})))["watch"] == {}


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        ({"window_s": 31_536_000}, "window_s must be a whole number from 60 to 14400"),
        ({"window_s": 900.0}, "window_s must be a whole number"),
        ({"below_percent": 101}, "below_percent must be a whole number from 1 to 100"),
        ({"below_percent": 0.6}, "below_percent must be a whole number from 1 to 100"),
        ({"back_at_percent": 120}, "back_at_percent must be a whole number from 1 to 100"),
        ({"below_percent": 80, "back_at_percent": 70}, "back_at_percent must not be less than below_percent"),
        ({"unresolved_after_s": 900}, "unresolved_after_s must be less than window_s"),
        ({"at_least": 0}, "at_least must be a whole number from 1"),
        ({"by": ["bank"]}, "by must be some of scene, bank, channel"),
        ({"by": ["channel", "channel"]}, "by must be some of scene, bank, channel"),
        ({"by": "channel"}, "by must be some of scene, bank, channel"),
        ({"own": [{"below_percent": 50}]}, "own[0] must name a scene, a bank or a channel"),
        ({"own": [{"channel": "tl"}]}, "own[0] must say at least one of window_s"),
        ({"own": [{"channel": "tl", "below_percent": 99}]}, "own[0].back_at_percent must not be less"),
        ({"own": [{"channel": "tl", "at_least": 1}] * 1_001}, "own must be a list of at most 1000"),
        ({"treshold": 60}, "treshold is not known here"),
        ("often", "must be a table"),
    ],
)
async def test_a_watch_that_cannot_be_is_refused_with_the_cure(client: Client, watch: object, said: str) -> None:
    problem = await answered(await client.patch(MINE, json={"watch": watch}), 422)
    assert [error["field"] for error in problem["errors"]] == ["watch"]
    assert said in problem["errors"][0]["message"]
    assert await version(client) == 1


async def test_a_channel_without_traffic_has_no_rate_and_that_is_null(client: Client, engine: AsyncEngine) -> None:
    answer = await client.get("/v1/admin/health/channels")
    [unseen] = (await answered(answer))["data"]
    none = {"attempts": 0, "succeeded": 0, "rate": None}
    assert (unseen["raw"], unseen["channel_fault"], unseen["traffic"]) == (none, none, "none")
    assert (unseen["scene"], unseen["bank"], unseen["channel"], unseen["seen_at"]) == ("*", "*", "tl", None)
    assert "NaN" not in await answer.text()

    shop: UUID = (await CatalogueStore(engine, KEYS.ring).merchant_ids())["shop"]
    rates = RateStore(database_on(engine))
    seen = {**unseen, "scene": "withhold", "bank": "ICBC", "traffic": "low"}
    for name in ("merchant", "seen_at"):
        del seen[name]
    assert await rates.take(shop, "channels", UUID(int=1), NOW, NOW - NOW)
    assert await rates.say(shop, "channels", UUID(int=1), [seen], NOW)
    [told] = (await answered(await client.get("/v1/admin/health/channels")))["data"]
    assert told == {**seen, "merchant": "shop", "seen_at": "2026-03-01T08:00:00.000Z"}


async def test_an_app_reads_no_health_and_changes_no_rule(client: Client) -> None:
    headers = {"Authorization": "Bearer sk_first"}
    await answered(await client.get("/v1/admin/health/channels", headers=headers), 403)
    await answered(await client.put(f"{RULES}/declines", json=DECLINES, headers=headers), 403)


async def test_what_was_said_by_http_is_exported_and_applied_again_and_changes_nothing(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    watch = {"by": ["channel"], "window_s": 600, "own": [{"channel": "tl", "bank": "ICBC", "below_percent": 50}]}
    payouts = TransactionFilter((RuleKind.PAYOUT,), banks=("ICBC",), payee_types=(PayeeType.PERSONAL,), amount_from=2)
    mine = TransactionRule("out", "多笔代付", RuleKey.PAYEE, 60, sum_at_least=5, filter=payouts)
    shop = MerchantContent("shop", "商店", apps=SHOP.apps, transaction_rules=(mine, *samples().values()))
    async with operator_client(engine, shop) as client:
        await answered(await client.patch(MINE, json={"watch": watch}))
        rule = {**DECLINES, "enabled": False, "filter": {"statuses": ["failed", "closed"], "apps": ["web"]}}
        await answered(await client.put(f"{RULES}/mine", json=rule))
        store, file = CatalogueStore(engine, KEYS.ring), tmp_path / "exported.toml"
        before = await store.content()
        assert (before[0].watch, len(before[0].transaction_rules)) == (watch_from_json(watch), 8)
        file.write_text(written(before, ZoneInfo("Asia/Shanghai")), encoding="utf-8")
        report = await store.apply(read_catalogue(file, {}, before), "test", "exported", NOW)
        assert (report.changed, await store.content()) == (False, before)
