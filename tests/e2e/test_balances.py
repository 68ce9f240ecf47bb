"""What accounts have, end to end at LianLian: payouts until it is short, told once, asked by people, shown as metrics.

Not here: several processes, PSPs that hang, what is forgotten (tests/storage); the wire (tests/adapters).
"""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain.catalogue import AuthenticationMode
from gateway.workers import balances as worker
from sandbox.balances import PLENTY
from tests.e2e.business import App, Shown
from tests.e2e.signers import Signer, merchant_with
from tests.e2e.waiting import until
from tests.e2e.world import World

DUE = "UPDATE balances SET due_at = since_at WHERE account = 'lianlian' AND merchant_id = $1 RETURNING account"
MERCHANT = "SELECT merchant_id FROM merchants WHERE code = $1"
AMOUNTS = itertools.count(60_001)


@pytest.fixture
async def app(world: World) -> AsyncIterator[App]:
    """A merchant with an account that tells what it has and one that does not; afterwards it has plenty again."""
    lianlian = Signer("lianlian", "lianlian", AuthenticationMode.SMS, 20)
    yield await merchant_with(world, lianlian, Signer("unionpay", "unionpay", AuthenticationMode.SILENT, 10))
    await world.control("POST", "lianlian/balance", {"for_payouts": PLENTY, "for_refunds": PLENTY})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of the log that are about balances, by their level."""
    lines: list[str] = []

    class Log:
        def warning(self, event: str, **about: object) -> None:
            lines.append(f"warning {about['account']} {event.split()[-1]}")

        def info(self, event: str, **about: object) -> None:
            lines.append(f"info {about['account']} {event.split()[-1]}")

    monkeypatch.setattr(worker, "log", Log())
    return lines


async def pays_out(world: World, app: App) -> Shown:
    number, amount = world.number(), next(AMOUNTS)
    account = {"type": "personal", "account_no": f"62220210017{number:08d}", "name": "张三", "bank": "ICBC"}
    asked = {"merchant_order_no": f"balance-{number}", "channel": "lianlian", "amount": amount, "currency": "CNY"}
    payout = (await app.call("POST", "/v1/payouts", {**asked, "account": account, "purpose": "放款"})).body

    async def look() -> Shown | None:
        found = dict(await app.get(f"/v1/payouts/{payout['id']}"))
        return found if found["status"] != "processing" else None

    return await until(look, f"the end of {payout['id']}")


async def test_payouts_run_short_of_money_and_it_is_told_once_and_once_when_there_is_enough_again(
    world: World, app: App, told: list[str]
) -> None:
    base = f"/merchants/{await world.code_of(app)}"
    [row] = await world.sql(MERCHANT, await world.code_of(app))

    async def shown() -> Shown:
        (found,) = [
            each
            for each in (await world.admin("GET", f"{base}/balances")).body["data"]
            if each["account"] == "lianlian"
        ]
        return dict(found)

    async def asked_again(**wanted: Any) -> Shown:
        """What the worker's next question came to, once it stands so."""
        before = (await shown())["asked_at"]

        async def is_due() -> bool | None:
            return bool(await world.sql(DUE, row["merchant_id"])) or None

        await until(is_due, "an account that the worker keeps")

        async def look() -> Shown | None:
            found = await shown()
            fits = found["asked_at"] != before and all(found[name] == value for name, value in wanted.items())
            return found if fits else None

        return await until(look, f"a balance with {wanted}")

    answer = await world.admin("PATCH", f"{base}/accounts/lianlian", {"balance_alert_below": 50_000})
    assert (answer.status, answer.body["balance_alert_below"]) == (200, 50_000), answer.raw
    await world.control("POST", "lianlian/balance", {"for_payouts": 100_000, "for_refunds": 7})
    fine = await asked_again(low=False)
    assert (fine["for_payouts"], fine["for_refunds"], fine["total"], fine["failure"]) == (100_000, 7, None, None)

    assert (await pays_out(world, app))["status"] == "succeeded"
    short = await pays_out(world, app)
    assert (short["status"], short["failure"]["code"]) == ("failed", "merchant_balance_short")
    low = await asked_again(low=True)
    assert low["for_payouts"] == 100_000 - 60_001
    await asked_again(low=True)
    assert told == ["warning lianlian in"]
    async with world.session.get(f"{world.gateway}/metrics") as metrics:
        labels = f'account="lianlian",merchant="{await world.code_of(app)}"'
        assert f"sluice_account_balance_low{{{labels}}} 1.0" in await metrics.text()

    # An answer that is none leaves what is known as it is, and says so.
    fault = await world.fault("lianlian", "garbage", body="truncated", match={"operation": "query_balance"})
    bad = await asked_again()
    await world.control("DELETE", f"lianlian/faults/{fault}")
    assert (bad["for_payouts"], bad["stated_at"] < bad["asked_at"], bad["low"]) == (39_999, True, True)
    assert bad["failure"]["outcome"] == "unknown"

    await world.control("POST", "lianlian/balance", {"for_payouts": 900_000})
    await asked_again(low=False, for_payouts=900_000, failure=None)
    await asked_again(low=False)
    assert told == ["warning lianlian in", "info lianlian more"]
    assert (await pays_out(world, app))["status"] == "succeeded"


async def test_people_ask_what_an_account_has_and_are_told_why_one_states_nothing(world: World, app: App) -> None:
    base = f"/merchants/{await world.code_of(app)}"
    await world.control("POST", "lianlian/balance", {"for_payouts": 12_345})
    [row] = await world.sql(MERCHANT, await world.code_of(app))

    async def now() -> bool:
        """Asked a moment ago by the worker, it is not asked again at once."""
        await world.sql("UPDATE balances SET asked_at = since_at - interval '1 hour', stated_at = NULL, for_payouts = "
                        "NULL, for_refunds = NULL WHERE merchant_id = $1 AND asked_at IS NOT NULL RETURNING account",
                        row["merchant_id"])  # fmt: skip
        answer = await world.admin("POST", f"{base}/balances/lianlian/ask")
        assert answer.status == 200, answer.raw
        return bool(answer.body["for_payouts"] == 12_345 and answer.body["age_s"] < 60)

    async def look() -> bool | None:
        return await now() or None

    await until(look, "a fresh balance")
    listed = {each["account"]: each for each in (await world.admin("GET", f"{base}/balances")).body["data"]}
    assert listed["lianlian"]["why_not_asked"] is None
    assert (listed["unionpay"]["why_not_asked"], listed["unionpay"]["low"]) == ("unionpay states no balance", None)
    assert (await world.admin("POST", f"{base}/balances/unionpay/ask")).status == 409
    assert (await world.admin("POST", f"{base}/balances/nobody/ask")).status == 404
    for body, status in (
        ({"balance_alert_below": 0}, 422), ({"balance_alert_below": "5"}, 422), ({"balance_alert_below": 1.5}, 422),
        ({"other": 1}, 422), ({}, 200), ({"balance_alert_below": 5}, 200), ({"balance_alert_below": None}, 200),
    ):  # fmt: skip
        answer = await world.admin("PATCH", f"{base}/accounts/lianlian", body)
        assert answer.status == status, (body, answer.raw)
    never = await world.admin("PATCH", f"{base}/accounts/unionpay", {"balance_alert_below": 5})
    assert (never.status, never.body["errors"][0]["field"]) == (422, "balance_alert_below")
    assert "lianlian" not in [
        each["account"]
        for each in (await world.admin("GET", f"{base}/balances")).body["data"]
        if each["balance_alert_below"]
    ]
