"""What comes of a payment on a page of a bank: paid, cancelled, short of money, left, late, given up, over.

Each way of paying on a page is played through our own page and the mock bank's, by a browser without a browser. Not
here: what the way back brings (test_ways_back), what pages look like (tests/pages), single words (tests/unit).
"""

import asyncio

import pytest

from tests.e2e.business import App, Shown
from tests.e2e.on_pages import OFTEN, WAYS, Visit, Way, asked_for, back_of, follow, open_page, paged_app, run_out
from tests.e2e.waiting import until
from tests.e2e.world import World

EACH = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
NETBANK, QUICK = WAYS["netbank"], WAYS["custody quick"]
BIG, LIMIT = 60_000, 100_000
"""One payment of this size is all that a payer may have in a day."""


@pytest.fixture(scope="session")
async def hasty(world: World) -> App:
    """Asks often, and has a small limit."""
    return await paged_app(world, asks=OFTEN, daily_limit=LIMIT)


async def types(app: App, payment: Shown, count: int) -> list[str]:
    """What the business system was told, in order and without a gap."""
    events = await app.told(payment["id"], count)
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    return [event["type"].removeprefix("payment.") for event in events]


async def at_the_bank(world: World, visit: Visit) -> Shown:
    [order] = await world.transactions(visit.way.provider, visit.number)
    return order


async def asked_again(world: World, payment: Shown) -> None:
    """Its PSP is asked twice more."""

    async def questions() -> int:
        [row] = await world.sql("SELECT questions FROM intents WHERE number = $1", payment["channel_order_no"])
        return int(row["questions"])

    enough = await questions() + 2

    async def look() -> bool | None:
        return await questions() >= enough or None

    await until(look, f"more questions about {payment['id']}")


# Paid, or not


@EACH
async def test_a_payer_pays_and_comes_back(world: World, patient: App, way: Way) -> None:
    visit = await open_page(world, patient, way)
    shown = f"{visit.amount // 100:,}.{visit.amount % 100:02d}"
    assert shown in visit.bill.text
    paid = await visit.browser.press(visit.bill, "pay")
    landed = await visit.browser.press(paid, "back")
    assert landed.url == back_of(world).replace("payment=x", f"payment={visit.payment['id']}")
    final = await patient.final(visit.payment["id"])
    assert (final["status"], final["fee"], final["next_action"]) == ("succeeded", final["expected_fee"], None)
    assert await types(patient, final, 2) == ["requires_action", "succeeded"]
    order = await at_the_bank(world, visit)
    assert (order["state"], order["amount"]) == ("succeeded", visit.amount)


@EACH
async def test_who_cancels_may_still_pay_in_another_tab(world: World, patient: App, way: Way) -> None:
    visit = await open_page(world, patient, way)
    other_tab = await follow(world, way, visit.payment)
    await visit.browser.press(visit.bill, "cancel")
    assert (await patient.payment(visit.payment["id"]))["status"] == "requires_action"
    await other_tab.browser.press(other_tab.bill, "pay")
    final = await patient.final(visit.payment["id"])
    assert final["status"] == "succeeded"
    assert await types(patient, final, 2) == ["requires_action", "succeeded"]


@EACH
async def test_not_enough_money_fails_only_where_the_bank_says_so(world: World, patient: App, way: Way) -> None:
    visit = await open_page(world, patient, way)
    await visit.browser.press(visit.bill, "insufficient")
    if not way.is_quick:
        assert (await patient.payment(visit.payment["id"]))["status"] == "requires_action"
        await visit.browser.press(await visit.browser.open(visit.bill.url), "pay")
        assert (await patient.final(visit.payment["id"]))["status"] == "succeeded"
        return
    final = await patient.final(visit.payment["id"])
    failure = final["failure"]
    assert (final["status"], failure["code"], failure["blame"], failure["advice"]) == (
        "failed", "insufficient_balance", "payer", "change_card",
    )  # fmt: skip
    zh = await patient.call("GET", f"/v1/payments/{final['id']}", **{"Accept-Language": "zh-CN"})
    assert "余额" in zh.body["failure"]["message"]
    assert "余额" not in failure["message"]


# Left, and late


@EACH
@pytest.mark.parametrize("opened", [True, False], ids=["opened", "never opened"])
async def test_who_leaves_frees_the_limit_only_where_the_psp_ends_the_order(
    world: World, hasty: App, way: Way, opened: bool
) -> None:
    left = await asked_for(world, hasty, way, amount=BIG)
    if opened:
        await follow(world, way, left)
    again = await asked_for(world, hasty, way, amount=BIG, user_id=left["user_id"])
    assert (again["status"], again["failure"]["code"]) == ("failed", "daily_limit_exceeded")
    assert (again["failure"]["advice"], again["failure"]["limit"]["in_flight"]) == ("retry_later", BIG)
    expired = await run_out(world, hasty, left)
    if way.ends:
        final = await hasty.final(left["id"])
        assert (final["status"], final["closed_reason"], final["failure"]) == ("closed", "expired", None)
        assert await types(hasty, final, 2) == ["requires_action", "closed"]
    else:
        await asked_again(world, left)
        expired = await hasty.payment(left["id"])
        assert (expired["status"], expired["next_action"]["expired"]) == ("requires_action", True)
        assert "form" not in expired["next_action"]
    third = await asked_for(world, hasty, way, amount=BIG, user_id=left["user_id"])
    assert (third["status"] == "requires_action") is way.ends


@EACH
async def test_paid_after_the_time_is_over(world: World, patient: App, way: Way) -> None:
    """Where it was closed that is an anomaly; else it succeeds."""
    visit = await open_page(world, patient, way)
    expired = await run_out(world, patient, visit.payment)
    assert expired["status"] == ("closed" if way.ends else "requires_action")
    paid = await visit.browser.press(visit.bill, "pay")
    for _ in range(2):
        landed = await visit.browser.press(paid, "back")
        assert landed.url == back_of(world).replace("payment=x", f"payment={visit.payment['id']}")
    told = ["requires_action", "closed", "anomaly"] if way.ends else ["requires_action", "succeeded"]
    assert await types(patient, visit.payment, len(told)) == told
    after = await patient.payment(visit.payment["id"])
    assert (after["status"], after["fee"]) == (told[1], after["expected_fee"])
    if way.ends:
        *_, event = await patient.events(visit.payment["id"])
        assert event["body"]["anomaly"]["kind"] == "late_success"


# Given up by the app


@EACH
async def test_an_app_gives_up_what_the_psp_can_give_up(world: World, patient: App, way: Way) -> None:
    visit = await open_page(world, patient, way)
    answer = await patient.call("POST", f"/v1/payments/{visit.payment['id']}/close")
    if not way.cancels:
        assert (answer.status, answer.body["code"]) == (409, "may_be_paid")
        await visit.browser.press(visit.bill, "pay")
        assert (await patient.final(visit.payment["id"]))["status"] == "succeeded"
        return
    assert (answer.status, answer.body["status"], answer.body["closed_reason"]) == (200, "closed", "by_app")
    assert await types(patient, visit.payment, 2) == ["requires_action", "closed"]
    again = await patient.call("POST", f"/v1/payments/{visit.payment['id']}/close")
    assert (again.status, again.body["status"]) == (200, "closed")
    # The bank's page is still open in another tab, and ours too.
    assert "撤销" in (await visit.browser.press(visit.bill, "pay")).text
    assert (await at_the_bank(world, visit))["state"] == "failed"
    ours = await visit.browser.open(visit.payment["next_action"]["url"])
    assert ours.url == back_of(world).replace("payment=x", f"payment={visit.payment['id']}")
    assert (await patient.payment(visit.payment["id"]))["status"] == "closed"


async def test_what_no_payer_has_opened_cannot_be_given_up_since_it_can_be_opened_still(
    world: World, patient: App
) -> None:
    payment = await asked_for(world, patient, NETBANK)
    answer = await patient.call("POST", f"/v1/payments/{payment['id']}/close")
    assert (answer.status, answer.body["code"]) == (409, "may_be_paid")
    visit = await follow(world, NETBANK, payment)
    await visit.browser.press(visit.bill, "pay")
    assert (await patient.final(payment["id"]))["status"] == "succeeded"


async def test_what_was_paid_meanwhile_is_not_closed_but_found_paid(world: World, patient: App) -> None:
    visit = await open_page(world, patient, NETBANK)
    await world.fault("yeepay", "lose_callback", visit.amount)
    await visit.browser.press(visit.bill, "pay")
    answer = await patient.call("POST", f"/v1/payments/{visit.payment['id']}/close")
    assert (answer.status, answer.body["code"]) == (409, "not_waiting")
    assert (await patient.payment(visit.payment["id"]))["status"] == "succeeded"


async def test_a_bank_that_takes_what_was_given_up_makes_a_late_success(world: World, patient: App) -> None:
    visit = await open_page(world, patient, NETBANK)
    assert (await patient.call("POST", f"/v1/payments/{visit.payment['id']}/close")).status == 200
    await world.fault("yeepay", "pay_closed", visit.amount)
    await visit.browser.press(visit.bill, "pay")
    assert await types(patient, visit.payment, 3) == ["requires_action", "closed", "anomaly"]
    assert (await patient.payment(visit.payment["id"]))["status"] == "closed"


# The payment company behind the custody bank


@pytest.mark.parametrize("scene", ["custody_quick_charge", "custody_withhold"])
async def test_a_card_that_is_bound_and_refused_at_payment_makes_the_next_payment_switch(
    world: World, patient: App, scene: str
) -> None:
    user, amount = world.user(), 50_000 + world.number()
    card = {"user_no": user, "card_no": f"622202020{world.number():06d}9821", "authorised": ["RECHARGE"]}
    bound = await world.control("POST", "lanmao/users", card)
    assert [each["passed"] for each in bound["tries"]] == [False, True]

    async def paid() -> Shown:
        if scene == "custody_withhold":
            order = world.order(amount, scene=scene, bank="ICBC", card=None, user_id=user)
            return await patient.pay_to_the_end(order)
        payment = await asked_without_account(user)
        visit = await follow(world, QUICK, payment)
        await visit.browser.press(visit.bill, "pay")
        return await patient.final(payment["id"])

    async def asked_without_account(user: str) -> Shown:
        return await patient.pay(world.order(amount, scene=scene, bank="ICBC", card=None, user_id=user))

    refused, switched = await paid(), await paid()
    failure = refused["failure"]
    assert (refused["status"], refused["channel"], failure["code"], failure["blame"], failure["channel_code"]) == (
        "failed", "custody_yeepay", "authentication_rejected", "channel", "P82",
    )  # fmt: skip
    assert (switched["status"], switched["channel"]) == ("succeeded", "custody_fuiou")
    # The fee is that of the payment company, which was the dearer one.
    assert (refused["expected_fee"], refused["fee"]) == (round_half_up(amount, 20), None)
    assert switched["fee"] == switched["expected_fee"] == round_half_up(amount, 25)
    decision = await patient.get(f"/v1/payments/{switched['id']}/decision")
    assert (decision["chosen"], decision["chosen_by_step"]) == ("custody_fuiou", 9)
    assert {each["channel"]: each["fee"] for each in decision["candidates"] if each["fee"] is not None} == {
        "custody_yeepay": refused["expected_fee"],
        "custody_fuiou": switched["expected_fee"],
    }


def round_half_up(amount: int, per_10_000: int) -> int:
    return (amount * per_10_000 + 5_000) // 10_000


async def test_a_payer_without_a_card_at_the_custody_bank_is_told_to_bind_one(world: World, patient: App) -> None:
    payment = await patient.pay(world.order(scene="custody_quick_charge", bank="ICBC", card=None))
    browser = (await follow(world, QUICK, payment)).browser
    failed = await patient.final(payment["id"])
    failure = failed["failure"]
    assert (failure["code"], failure["blame"], failure["advice"]) == ("custody_not_bound", "payer", "sign_card")
    zh = {"Accept-Language": "zh"}
    for headers, words in ((zh, "支付未成功"), ({}, "Not paid")):
        page = await world.call("GET", payment["next_action"]["url"], headers=headers)
        assert (page.status, words in page.raw.decode()) == (200, True)
    assert browser.sent


async def test_five_tabs_at_once_are_one_payment(world: World, patient: App) -> None:
    visit = await open_page(world, patient, NETBANK)
    tabs = [await follow(world, NETBANK, visit.payment) for _ in range(4)]
    assert {tab.bill.url for tab in tabs} == {visit.bill.url}
    await asyncio.gather(*(tab.browser.press(tab.bill, "pay") for tab in tabs))
    final = await patient.final(visit.payment["id"])
    assert final["status"] == "succeeded"
    assert await types(patient, final, 2) == ["requires_action", "succeeded"]
    [order] = await world.transactions("yeepay", visit.number)
    assert (order["state"], order["submissions"]) == ("succeeded", 5)
