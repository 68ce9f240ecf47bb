"""Payouts end to end at Allinpay and LianLian: sent once, asked about, held, settled, and given back.

Not here: every word (tests/unit), what runs at once on the books (tests/storage), the wire (tests/adapters).
"""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.catalogue import AuthenticationMode
from tests.e2e.business import Answer, App, Shown
from tests.e2e.signers import Signer, merchant_with
from tests.e2e.waiting import until
from tests.e2e.world import World

FINAL = {"succeeded", "failed", "returned"}
AMOUNTS = itertools.count(70_001)
"""Each its own: faults are matched by it, and LianLian suspects what it saw before."""
DUE = "UPDATE payouts SET due_at = created_at WHERE merchant_order_no = $1 RETURNING 1"


@pytest.fixture(scope="module")
async def app(world: World) -> App:
    """A merchant with a channel at Allinpay, which pays, and one at LianLian."""
    allinpay = Signer("allinpay", "allinpay", AuthenticationMode.NONE, 10)
    return await merchant_with(world, allinpay, Signer("lianlian", "lianlian", AuthenticationMode.SMS, 20))


def order(world: World, channel: str, amount: int | None = None, **changed: Any) -> Shown:
    number = world.number()
    account = {"type": "personal", "account_no": f"62220210011{number:08d}", "name": "张三", "bank": "ICBC"}
    asked: Shown = {
        "merchant_order_no": f"payout-{number}",
        "channel": channel,
        "amount": next(AMOUNTS) if amount is None else amount,
        "currency": "CNY",
        "account": account | changed.pop("account", {}),
        "purpose": "放款",
    }
    return asked | changed


async def opened(app: App, asked: Shown) -> Shown:
    answer = await app.call("POST", "/v1/payouts", asked)
    assert answer.status == 201, answer.raw
    return dict(answer.body)


async def now(app: App, payout: Shown) -> Shown:
    return dict(await app.get(f"/v1/payouts/{payout['id']}"))


async def comes_to(app: App, payout: Shown, *statuses: str) -> Shown:
    async def look() -> Shown | None:
        found = await now(app, payout)
        return found if found["status"] in statuses else None

    return await until(look, f"{statuses} of {payout['id']}")


async def held(app: App, payout: Shown) -> Shown:
    async def look() -> Shown | None:
        found = await now(app, payout)
        return found if found["held_for"] == "suspicion" else None

    return await until(look, f"a suspicion of {payout['id']}")


async def comes_back(world: World, payout: Shown, reason: str) -> None:
    """The bank gives it back now."""
    asked = {"order_no": payout["channel_order_no"], "reason": reason}
    await world.control("POST", f"{payout['channel']}/returns", asked)


async def decide(world: World, app: App, payout: Shown, how: str) -> Answer:
    code = await world.code_of(app)
    return await world.admin("POST", f"/merchants/{code}/payouts/{payout['id']}/{how}")


async def paid(world: World, app: App, amount: int) -> Shown:
    payment = await app.pay_to_the_end(world.order(amount))
    assert payment["status"] == "succeeded", payment["failure"]
    return payment


async def test_a_payout_is_sent_once_and_told_and_its_payee_is_shown_masked(world: World, app: App) -> None:
    asked = order(world, "allinpay", metadata={"loan": 7})
    payout = await opened(app, asked)
    done = await comes_to(app, payout, *FINAL)
    assert (done["status"], done["failure"], done["metadata"]) == ("succeeded", None, {"loan": 7})
    number = asked["account"]["account_no"]
    assert done["account"] == {
        "type": "personal", "bank": "ICBC", "account_no": f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}",
    }  # fmt: skip
    (event,) = await app.told(done["id"])
    assert (event["type"], event["body"]["data"]) == ("payout.succeeded", done)
    (row,) = await world.transactions("allinpay", done["channel_order_no"])
    assert (row["kind"], row["amount"], row["submissions"]) == ("payout", asked["amount"], 1)
    again = await app.call("POST", "/v1/payouts", asked)
    assert (again.status, again.headers["Idempotent-Replayed"], again.body) == (200, "true", done)
    other = await app.call("POST", "/v1/payouts", asked | {"amount": 1})
    assert (other.status, other.body["code"]) == (409, "order_conflict")


@pytest.mark.parametrize("channel", ["allinpay", "lianlian"])
async def test_a_payout_whose_answer_is_lost_is_never_sent_again_and_found_by_asking(
    world: World, app: App, channel: str
) -> None:
    asked = order(world, channel)
    await world.fault(channel, "reset_after", asked["amount"], match={"operation": "payout"})
    payout = await opened(app, asked)
    assert payout["status"] in {"processing", "succeeded"}
    done = await comes_to(app, payout, *FINAL)
    assert done["status"] == "succeeded"
    (row,) = await world.transactions(channel, done["channel_order_no"])
    assert row["submissions"] == 1
    assert len(await app.told(done["id"])) == 1


async def test_a_payout_comes_back_days_later_with_its_reason_and_what_it_settled_is_free(
    world: World, app: App
) -> None:
    payments = [await paid(world, app, 20_000 + n) for n in range(2)]
    total = sum(payment["amount"] for payment in payments)
    payout = await opened(app, order(world, "allinpay", total, hold=True))
    assert (payout["held_for"], payout["channel_order_no"]) == ("app", None)
    path = f"/v1/payouts/{payout['id']}"
    for payment in payments:
        early = await app.call("POST", f"{path}/release") if payment is payments[1] else None
        assert early is None or (early.status, early.body["code"], early.body["left"]) == (
            409, "settles_incomplete", payment["amount"],
        )  # fmt: skip
        part = {"payment": payment["id"], "amount": payment["amount"]}
        for again in ({"settles": [part]}, {"settles": [part]}):
            answer = await app.call("POST", f"{path}/settles", again)
            assert answer.status == 200, answer.raw
    assert answer.body["settles"] == {"payments": 2, "amount": total}
    assert (await app.call("POST", f"{path}/release")).status == 200
    done = await comes_to(app, payout, "succeeded", "failed")
    assert done["status"] == "succeeded"
    assert [(await app.payment(payment["id"]))["settled"] for payment in payments] == [20_000, 20_001]
    over = await app.call("POST", "/v1/refunds", {"merchant_order_no": f"r-{world.number()}",
                                                  "payment": payments[0]["id"], "amount": 1})  # fmt: skip
    assert over.status in {409, 422}  # nothing is left, and Allinpay has no refunds
    await comes_back(world, done, "payee_account_abnormal")
    assert await world.sql(DUE, done["merchant_order_no"])  # instead of waiting for days
    back = await comes_to(app, payout, "returned")
    assert back["returned"] == "payee_account_abnormal"
    assert [event["type"] for event in await app.told(back["id"], 2)] == ["payout.succeeded", "payout.returned"]
    assert [(await app.payment(payment["id"]))["settled"] for payment in payments] == [0, 0]


async def test_success_then_cancel_by_two_notices_is_two_events(world: World, app: App) -> None:
    payout = await opened(app, order(world, "lianlian"))
    done = await comes_to(app, payout, "succeeded")
    await comes_back(world, done, "payee_name_mismatch")
    back = await comes_to(app, payout, "returned")
    assert back["returned"]  # a notice does not say why
    events = await app.told(back["id"], 2)
    assert [(event["type"], event["sequence"]) for event in events] == [("payout.succeeded", 1), ("payout.returned", 2)]


async def test_cancel_that_is_heard_before_success_is_the_same_two_events(world: World) -> None:
    """The first notice is lost, and nobody asks in between."""
    app = await world.merchant(lianlian={"poll_gaps_s": (60.0,)})
    asked = order(world, "lianlian")
    await world.fault("lianlian", "lose_callback", asked["amount"])
    payout = await opened(app, asked)

    async def paid_there() -> bool | None:
        (row,) = await world.transactions("lianlian", payout["channel_order_no"])
        return row["state"] == "succeeded" or None

    await until(paid_there, "success at LianLian")
    assert (await now(app, payout))["status"] == "processing"
    await comes_back(world, payout, "bank_rejected")
    back = await comes_to(app, payout, "returned")
    assert [event["type"] for event in await app.told(back["id"], 2)] == ["payout.succeeded", "payout.returned"]
    # What was lost comes after all: it says nothing new.
    await world.control("POST", "lianlian/callbacks", {"order_no": payout["channel_order_no"]})
    assert await now(app, payout) == back


async def test_a_suspicion_is_held_until_an_operator_confirms_it(world: World, app: App) -> None:
    first = order(world, "lianlian")
    await comes_to(app, await opened(app, first), "succeeded")
    second = await opened(app, first | {"merchant_order_no": f"payout-{world.number()}"})
    waits = await held(app, second)
    assert (waits["status"], waits["suspicion"]) == ("processing", "duplicate")
    code = await world.code_of(app)
    listed = (await world.admin("GET", f"/merchants/{code}/payouts?held_for=suspicion")).body["data"]
    assert waits["id"] in [each["id"] for each in listed]
    answer = await decide(world, app, second, "confirm")
    assert (answer.status, answer.body["held_for"]) == (200, None), answer.raw
    done = await comes_to(app, second, *FINAL)
    assert done["status"] == "succeeded"
    assert (await decide(world, app, second, "confirm")).body["code"] == "payout_not_held"
    (row,) = await world.transactions("lianlian", done["channel_order_no"])
    assert (row["state"], row["submissions"]) == ("succeeded", 1)


async def test_a_suspicion_that_is_right_ends_as_not_confirmed_and_nothing_is_paid(world: World, app: App) -> None:
    first = order(world, "lianlian")
    await comes_to(app, await opened(app, first), "succeeded")
    second = await opened(app, first | {"merchant_order_no": f"payout-{world.number()}"})
    await held(app, second)
    answer = await decide(world, app, second, "refuse")
    assert (answer.status, answer.body["status"], answer.body["failure"]["code"]) == (200, "failed", "not_confirmed")
    (event,) = await app.told(second["id"])
    assert event["type"] == "payout.failed"
    (row,) = await world.transactions("lianlian", answer.body["channel_order_no"])
    assert row["state"] != "succeeded"


async def test_a_payout_that_is_refused_frees_what_it_settles(world: World, app: App) -> None:
    payment = await paid(world, app, next(AMOUNTS))
    await world.fault("allinpay", "decline", payment["amount"], code="3008", match={"operation": "payout"})
    parts = [{"payment": payment["id"], "amount": payment["amount"]}]
    payout = await opened(app, order(world, "allinpay", payment["amount"], settles=parts))
    failed = await comes_to(app, payout, *FINAL)
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "merchant_balance_short")
    assert (await app.payment(payment["id"]))["settled"] == 0


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"channel": "nobody"}, "channel", "not_found"),
        ({"account": {"bank": "ICBC", "type": "corporate"}}, "account.branch", "missing"),
        ({"account": {"name": "李䶮"}}, "account.name", "text"),
        ({"account": {"account_no": "1"}}, "account.account_no", "wrong_format"),
        ({"amount": 0}, "amount", "out_of_range"),
        ({"amount": "100"}, "amount", "wrong_type"),
    ],
)
async def test_what_cannot_be_paid_out_is_refused_and_nothing_is_recorded(
    world: World, app: App, changes: Shown, field: str, code: str
) -> None:
    plain = {name: value for name, value in changes.items() if name != "account"}
    asked = order(world, "allinpay", account=changes.get("account", {})) | plain
    answer = await app.call("POST", "/v1/payouts", asked)
    assert answer.status == 422, answer.raw
    assert [(error["field"], error["code"]) for error in answer.body["errors"]] == [(field, code)]
    assert not await world.sql("SELECT 1 FROM payouts WHERE merchant_order_no = $1", asked["merchant_order_no"])


async def test_what_the_rules_in_force_do_not_carry_is_refused_and_nothing_is_recorded(world: World) -> None:
    app = await merchant_with(world, Signer("allinpay", "allinpay", AuthenticationMode.NONE, 10))
    code = await world.code_of(app)
    rules = f"/merchants/{code}/channels/allinpay/payout_rules"
    limits = {"fee": 100, "single_limit": 50_000, "daily_limit": 80_000}
    for bank, more in (("CMB", {}), ("ABC", {"enabled": False}), ("CCB", {"windows": closed_now()})):
        assert (await world.admin("PUT", f"{rules}/personal/{bank}", limits | more)).status == 200
    assert (await world.admin("DELETE", f"{rules}/corporate/*")).status == 200
    firm = {"type": "corporate", "branch": "西湖支行", "cnaps": "102331002222", "province": "浙江", "city": "杭州"}
    for account, amount, said in (
        (firm, 1, ("account.type", "no_payout_rule")),
        ({"bank": "ABC"}, 1, ("account.bank", "payout_rule_disabled")),
        ({"bank": "CMB"}, 50_001, ("payout_limit_exceeded", 50_000)),
    ):
        for hold in (False, True):
            asked = order(world, "allinpay", amount, account=account, hold=hold)
            answer = await app.call("POST", "/v1/payouts", asked)
            assert answer.status == (422 if "." in str(said[0]) else 409), answer.raw
            told = [(error["field"], error["code"]) for error in answer.body["errors"]]
            assert (told or [(answer.body["code"], answer.body["left"])]) == [said]
            assert not await world.sql("SELECT 1 FROM payouts WHERE merchant_order_no = $1", asked["merchant_order_no"])
    waits = await opened(app, order(world, "allinpay", 50_000, account={"bank": "CCB"}))
    assert (waits["held_for"], waits["channel_order_no"], waits["expected_fee"]) == ("window", None, 100)
    assert (await world.admin("PATCH", f"{rules}/personal/CCB", {"windows": None, "fee": 90})).status == 200
    await world.sql("UPDATE payouts SET until_at = created_at WHERE merchant_order_no = $1", waits["merchant_order_no"])
    done = await comes_to(app, waits, *FINAL)
    assert (done["status"], done["fee"]) == ("succeeded", 90)


async def test_while_its_channel_rests_a_held_payout_is_not_sent(world: World) -> None:
    app = await merchant_with(world, Signer("allinpay", "allinpay", AuthenticationMode.NONE, 10))
    waits = await opened(app, order(world, "allinpay", hold=True))
    channel = f"/merchants/{await world.code_of(app)}/channels/allinpay"
    at = datetime.now(UTC)
    rest = {"starts_at": at.isoformat(), "ends_at": (at + timedelta(hours=1)).isoformat()}
    window = await world.admin("POST", f"{channel}/maintenance_windows", rest)
    assert window.status == 201, window.raw
    path = f"/v1/payouts/{waits['id']}/release"
    refused = await app.call("POST", path)
    assert (refused.status, refused.body["code"]) == (409, "channel_off")
    assert await now(app, waits) == waits
    ended = await world.admin("DELETE", f"{channel}/maintenance_windows/{window.body['id']}")
    assert ended.status == 200, ended.raw
    assert (await app.call("POST", path)).status == 200
    assert (await comes_to(app, waits, *FINAL))["status"] == "succeeded"


def closed_now() -> list[Shown]:
    """A window that is closed now, and opens some time."""
    hour = (datetime.now(ZoneInfo("Asia/Shanghai")).hour + 12) % 24
    return [{"opens": f"{hour:02d}:00", "closes": f"{hour:02d}:30"}]


async def test_a_channel_without_payouts_says_so(world: World) -> None:
    app = await merchant_with(world, Signer("jd", "jd", AuthenticationMode.SMS_EACH_PAYMENT, 10))
    answer = await app.call("POST", "/v1/payouts", order(world, "jd"))
    assert [error["code"] for error in answer.body["errors"]] == ["payouts_not_supported"]


async def test_another_apps_payouts_and_payments_are_not_there(world: World, app: App) -> None:
    payout, payment = await opened(app, order(world, "allinpay", hold=True)), await paid(world, app, 5_000)
    stranger = await merchant_with(world, Signer("allinpay", "allinpay", AuthenticationMode.NONE, 10))
    path = f"/v1/payouts/{payout['id']}"
    assert (await stranger.call("GET", path)).status == 404
    assert (await stranger.call("POST", f"{path}/release")).status == 404
    theirs = order(world, "allinpay", 5_000, settles=[{"payment": payment["id"], "amount": 5_000}])
    answer = await stranger.call("POST", "/v1/payouts", theirs)
    assert [error["field"] for error in answer.body["errors"]] == ["settles.0.payment"]
