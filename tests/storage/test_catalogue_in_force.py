"""What is in force, told and kept: exported, planned against, shown, and the sample that never overwrites a change.

Not tested here: what applying does to each kind of row (test_catalogue), the texts alone (tests/unit).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalogue_file import CatalogueFile, CatalogueFileError, read_catalogue, written
from gateway.domain.catalogue import BUSINESS_ZONE
from gateway.domain.catalogue_content import CatalogueBusyError, MerchantContent, PayoutRuleContent, WindowContent
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import Day, PayoutWindow
from gateway.domain.windows import Repeats
from gateway.objects.catalogue import AccountNotes, catalogue_object
from gateway.ports import Assumption
from gateway.run.sample import BY_RUN, Sample, put_sample
from gateway.run.show import COLUMNS, catalogue_lines
from gateway.storage.catalogue.store import CatalogueStore
from router.fees import FixedFee
from tests.keys import new_keys
from tests.paying_out import EVERYBODY, pay_out

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SECRET = "whsec_" + "A" * 32
PATH = resources.files("gateway") / "samples/catalogue.toml"


@pytest.fixture
def sample(psp_keys: Path) -> Callable[..., CatalogueFile]:
    """The sample as it is read with these variables."""

    def read(**changed: str) -> CatalogueFile:
        environ = {"SLUICE_SANDBOX_PORT": "8090", "SLUICE_RECEIVER_PORT": "8070", "SLUICE_SANDBOX_KEYS": str(psp_keys)}
        with resources.as_file(PATH) as path:
            return read_catalogue(path, environ | {"SLUICE_RECEIVER_SECRET": SECRET} | changed)

    return read


@pytest.fixture
def store(engine: AsyncEngine) -> CatalogueStore:
    return CatalogueStore(engine, new_keys().ring)


async def put(store: CatalogueStore, content: CatalogueFile, **more: Any) -> Any:
    return await store.apply(content, "test", "a test", NOW, **more)


def with_merchant(content: CatalogueFile, **changes: Any) -> CatalogueFile:
    """The file with changes of its first merchant."""
    first, *others = content.merchants
    return replace(content, merchants=(replace(first, **changes), *others))


ASSUMED = Assumption("long_numbers", "Order numbers of 32 characters are taken.", since_first_version=True)
WINDOW = WindowContent("allinpay", NOW, NOW + timedelta(hours=1, microseconds=7), 'a "note"', Repeats.MONTHLY, ("ABC",))
OFFICE = PayoutWindow("08:30", "17:00", tuple(Day)[:5])
PAYOUTS = tuple(
    PayoutRuleContent("unionpay", PayeeType.PERSONAL, bank, True, FixedFee(100), 5, windows=(OFFICE,))
    for bank in ("*", "ICBC")
)


# --- exporting ---


async def test_an_exported_catalogue_can_be_applied_and_changes_nothing(
    store: CatalogueStore, sample: Callable[..., CatalogueFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay_out(monkeypatch, "unionpay", EVERYBODY)
    await put(store, with_merchant(sample(), windows=(WINDOW,), payout_rules=PAYOUTS))
    await store.set_channel(
        (await store.merchant_ids())["demo"], "unionpay", by="x", now=NOW, on=False, limits={"daily_total": 5}
    )
    text = written(await store.content(), BUSINESS_ZONE)
    (tmp_path / "exported.toml").write_text(text, encoding="utf-8")
    again = read_catalogue(tmp_path / "exported.toml", {}, await store.content())
    report = await put(store, again, only_at=await store.version())
    assert (report.changed, report.changes) == (False, ())
    for account in (account for merchant in sample().merchants for account in merchant.accounts):
        assert not [secret for secret in account.secrets.values() if secret in text]
    assert SECRET not in text


async def test_an_export_puts_back_the_payout_rules_that_were_in_force_then(
    store: CatalogueStore, sample: Callable[..., CatalogueFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay_out(monkeypatch, "unionpay", EVERYBODY)
    await put(store, with_merchant(sample(), payout_rules=PAYOUTS))
    before = await store.content()
    (tmp_path / "exported.toml").write_text(written(before, BUSINESS_ZONE), encoding="utf-8")
    mine = (await store.merchant_ids())["demo"]
    await store.change_payout_rule(mine, "unionpay", PayeeType.PERSONAL, "*", {"windows": ()}, by="x", now=NOW)
    await store.delete_payout_rule(mine, "unionpay", PayeeType.PERSONAL, "ICBC", by="x", now=NOW)
    plan = (await put(store, read_catalogue(tmp_path / "exported.toml", {}, before), dry=True)).plan()
    assert plan[:2] == ["+ payout rule demo: unionpay personal ICBC", "    enabled: yes"]
    assert plan[-3:-1] == [
        "~ payout rule demo: unionpay personal *",
        "    windows: none -> opens 08:30, closes 17:00, days mon, tue, wed, thu, fri",
    ]
    await put(store, read_catalogue(tmp_path / "exported.toml", {}, before))
    assert await store.content() == before


async def test_an_endpoint_that_had_left_the_file_does_not_come_back_by_an_export(
    store: CatalogueStore, sample: Callable[..., CatalogueFile], tmp_path: Path
) -> None:
    await put(store, sample())
    await put(store, with_merchant(sample(), endpoints=()))
    (tmp_path / "exported.toml").write_text(written(await store.content(), BUSINESS_ZONE))
    assert not (await put(store, read_catalogue(tmp_path / "exported.toml", {}, await store.content()))).changed


async def test_what_is_kept_must_be_in_force(
    store: CatalogueStore, sample: Callable[..., CatalogueFile], tmp_path: Path
) -> None:
    (tmp_path / "exported.toml").write_text(written(sample().merchants, BUSINESS_ZONE))
    with pytest.raises(CatalogueFileError) as caught:
        read_catalogue(tmp_path / "exported.toml", {}, await store.content())
    assert caught.value.problems[0] == (
        "merchants[0].accounts[0].secrets.merchant_private_key: nothing is in force that could be kept"
    )
    assert "merchants[0].endpoints[0].secrets: nothing is in force that could be kept" in caught.value.problems


async def test_secrets_that_changed_since_the_file_was_read_are_not_put_back(
    store: CatalogueStore, sample: Callable[..., CatalogueFile], tmp_path: Path
) -> None:
    await put(store, sample())
    (tmp_path / "exported.toml").write_text(written(await store.content(), BUSINESS_ZONE))
    read_at = await store.version()
    read = read_catalogue(tmp_path / "exported.toml", {}, await store.content())
    assert read.keeps
    ((merchant_id, (endpoint, *_)),) = (await store.load()).endpoints.items()
    await store.rotate_endpoint_secret(merchant_id, endpoint.endpoint_id, "whsec_" + "B" * 32, by="x", now=NOW)
    with pytest.raises(CatalogueBusyError, match="apply the file again"):
        await put(store, read, only_at=read_at)


# --- planning ---


async def test_a_plan_says_what_would_be_done_to_each_row_and_does_nothing(
    store: CatalogueStore, sample: Callable[..., CatalogueFile]
) -> None:
    await put(store, sample())
    before = await store.content()
    first = sample().merchants[0]
    channels = (replace(first.channels[0], on=False, authentication_fee=120), *first.channels[1:])
    accounts = (replace(first.accounts[0], secrets={**first.accounts[0].secrets, "root_certificate": "x"}),)
    wanted = with_merchant(
        sample(), channels=channels, accounts=(*accounts, *first.accounts[1:]), windows=(WINDOW,), rules=first.rules[1:]
    )
    plan = (await put(store, wanted, dry=True)).plan()
    assert "~ channel demo: unionpay" in plan
    assert plan[plan.index("~ channel demo: unionpay") + 1 :][:2] == [
        "    is_on: yes -> no",
        "    authentication_fee: 100 -> 120",
    ]
    assert plan[plan.index("~ account demo: unionpay_main") + 1] == "    secrets: others than before"
    assert "+ window demo: allinpay 2026-03-01T08:00:00+00:00" in plan
    assert "    repeats: monthly" in plan
    assert f"- rule demo: allinpay {first.rules[0].scene} {first.rules[0].bank}" in plan
    assert plan[-1].startswith("catalogue version 1 stays in force until the file is applied: ")
    assert (await store.version(), await store.content()) == (1, before)


async def test_a_plan_of_what_is_in_force_says_so(store: CatalogueStore, sample: Callable[..., CatalogueFile]) -> None:
    await put(store, sample())
    assert (await put(store, sample(), dry=True)).plan() == ["it changes nothing of catalogue version 1"]


async def test_no_plan_tells_a_secret_or_the_hash_of_a_key(
    store: CatalogueStore, sample: Callable[..., CatalogueFile]
) -> None:
    text = "\n".join((await put(store, sample(), dry=True)).plan())
    assert "+ account demo: unionpay_main" in text
    assert "    secrets: set" in text
    hidden = [key.key_hash.hex() for m in sample().merchants for app in m.apps for key in app.keys]
    hidden += [secret for m in sample().merchants for account in m.accounts for secret in account.secrets.values()]
    assert not [secret for secret in (*hidden, SECRET) if secret in text]
    assert await store.content() == []


# --- showing ---


async def test_everything_in_force_is_shown_within_80_columns_and_no_secret(
    store: CatalogueStore, sample: Callable[..., CatalogueFile]
) -> None:
    long = replace(sample().merchants[0].endpoints[0], code="long", url="https://example.com/" + "a" * 150)
    named = with_merchant(sample(), windows=(WINDOW,), name="很长的名字" * 15, endpoints=(long,), payout_rules=PAYOUTS)
    await put(store, named)
    catalogue, apps, history = await store.load(), await store.app_names(), await store.history(9)
    notes = AccountNotes(lambda _: (ASSUMED,), lambda account: f"{account.code} has none")
    lines = list(catalogue_lines(catalogue_object(catalogue, apps, history, NOW, notes)))
    assert max(map(cell_len, lines)) <= COLUMNS == 80
    text = "\n".join(lines)
    for shown in (
        "借款系统",
        "key sample",
        "unionpay_main  provider unionpay",
        "silent",
        "monthly",
        "banks ABC",
        "SHRCB",
        "unionpay  to personal payees",
        "single_limit 5",
        "from 08:30 to 17:00 on mon tue wed thu fri",
        "banks * ICBC",
        "no statements: unionpay_main has none",
        "assumes long_numbers (as the first version did): Order numbers of 32",
    ):
        assert shown in text
    assert "".join(line.strip() for line in lines).count("a" * 150) == 1
    assert SECRET not in text
    assert "PRIVATE KEY" not in text


# --- the sample ---


async def test_the_sample_is_put_in_force_once_and_follows_its_ports(
    store: CatalogueStore, sample: Callable[..., CatalogueFile]
) -> None:
    done = [await put_sample(store, sample(SLUICE_SANDBOX_PORT=port)) for port in ("8090", "8090", "9999", "8090")]
    assert done == [Sample.APPLIED, Sample.THERE, Sample.APPLIED, Sample.APPLIED]
    account = next(each for each in (await store.content())[0].accounts if each.provider == "unionpay")
    assert account.settings["base_url"] == "http://127.0.0.1:8090/unionpay"


@pytest.mark.parametrize("port", ["8090", "9999"])
@pytest.mark.parametrize("what", ["a channel", "a payout rule"])
async def test_what_somebody_changed_is_left_whatever_the_ports(
    store: CatalogueStore, sample: Callable[..., CatalogueFile], port: str, what: str
) -> None:
    await put_sample(store, sample())
    mine = (await store.merchant_ids())["demo"]
    if what == "a channel":
        await store.set_channel(mine, "allinpay", by="admin", now=NOW, on=False)
    else:
        at = (mine, "cpcn", PayeeType.CORPORATE, "*")
        await store.change_payout_rule(*at, {"windows": ()}, by="admin", now=NOW)
    edited = await store.content()
    for _ in range(2):
        assert await put_sample(store, sample(SLUICE_SANDBOX_PORT=port)) is Sample.LEFT
    assert await store.content() == edited


async def test_the_catalogue_of_somebody_else_with_the_same_merchant_is_left(
    store: CatalogueStore, sample: Callable[..., CatalogueFile]
) -> None:
    await put(store, CatalogueFile((MerchantContent("demo", "mine"),)))
    assert await put_sample(store, sample()) is Sample.LEFT
    assert [merchant.name for merchant in await store.content()] == ["mine"]


async def test_merchants_beside_the_sample_do_not_stop_it_from_following_its_ports(
    store: CatalogueStore, sample: Callable[..., CatalogueFile]
) -> None:
    await put_sample(store, sample())
    await put(store, CatalogueFile((MerchantContent("mine", "mine"),)))
    assert await put_sample(store, sample(SLUICE_SANDBOX_PORT="9999")) is Sample.APPLIED
    assert [merchant.code for merchant in await store.content()] == ["demo", "mine", "other"]


@pytest.mark.parametrize(("changed", "expected"), [(False, Sample.APPLIED), (True, Sample.LEFT)])
async def test_the_sample_of_the_version_before_is_known_while_nothing_came_after_it(
    store: CatalogueStore, sample: Callable[..., CatalogueFile], changed: bool, expected: Sample
) -> None:
    await store.apply(sample(), "sluice catalogue apply (me)", "the sample catalogue", NOW)
    if changed:
        await put(store, CatalogueFile((MerchantContent("mine", "mine"),)))
    assert await put_sample(store, sample(SLUICE_SANDBOX_PORT="9999")) is expected
    last = await store.last_change_by(BY_RUN)
    assert (last is None) is changed
