"""Refunds end to end at Allinpay, Baofoo and CPCN: lost answers, failures days later, and notices that end no payment.

What is the same at every payment company is in `test_refunds`, every code and letter in tests/adapters.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import MerchantContent
from tests.e2e.business import App, Shown
from tests.e2e.merchants import account_with
from tests.e2e.on_pages import WAYS, open_page, paged_app, tell_where_to_call
from tests.e2e.signers import Signer, merchant_with, new_phone, paid
from tests.e2e.waiting import until
from tests.e2e.world import World

WAYS_TO_PAY: Mapping[str, tuple[Signer, str]] = {
    "allinpay": (Signer("allinpay", "allinpay", AuthenticationMode.NONE, 1), "withhold"),
    "baofoo": (Signer("baofoo", "baofoo", AuthenticationMode.SMS, 1), "quick_charge"),
    "cpcn": (Signer("cpcn", "cpcn", AuthenticationMode.SILENT, 1), "quick_charge"),
}
ONCE = frozenset({"cpcn"})
"""Who gives a payment back once, whatever is left of it."""
FAILS: Mapping[str, tuple[str, str]] = {
    "allinpay": ("3008", "merchant_balance_short"),
    "baofoo": ("BF00103", "merchant_balance_short"),
    "cpcn": ("51", "channel_refused"),
}
"""A balance that is short, and what is said of it: of a refund it is nobody's but the merchant's."""
PAID = 50_000
OF_THE_REFUND = {"operation": "refund"}
SOURCES = (
    "SELECT o.source FROM observations o JOIN intents i ON i.object_id = o.object_id AND i.verb = o.verb "
    "WHERE i.number = $1 ORDER BY o.observed_at"
)


@pytest.fixture(scope="module", params=WAYS_TO_PAY)
async def at(request: pytest.FixtureRequest, world: World) -> tuple[str, App]:
    """A payment company, and an app whose payments all go there."""
    return request.param, await app_at(world, request.param)


async def app_at(world: World, provider: str) -> App:
    signer, _ = WAYS_TO_PAY[provider]
    signs = signer.mode is AuthenticationMode.SMS
    return await merchant_with(world, signer, primary=signer.code if signs else None)


async def payment_at(world: World, provider: str, app: App) -> Shown:
    signer, scene = WAYS_TO_PAY[provider]
    present = True if signer.mode is AuthenticationMode.SMS else None
    card = {**world.card(), "phone": new_phone(world)}
    payment = (await paid(world, app, world.order(PAID, scene=scene, card=card, customer_present=present))).payment
    assert (payment["status"], payment["channel"]) == ("succeeded", provider), payment["failure"]
    return payment


async def theirs(world: World, provider: str, refund: Shown) -> Shown:
    [order] = await world.transactions(provider, refund["channel_order_no"])
    return order


async def left(app: App, payment: Shown) -> int:
    now = await app.payment(payment["id"])
    return int(now["amount"] - now["refunded"])


async def test_a_refund_whose_answer_is_lost_stays_taken_is_sent_once_and_found_by_asking(
    world: World, at: tuple[str, App]
) -> None:
    provider, app = at
    payment, amount = await payment_at(world, provider, app), 1000 + world.number()
    await world.fault(provider, "reset_after", amount, match=OF_THE_REFUND)
    if provider == "baofoo":
        await world.fault(provider, "lose_callback", amount)
    answer = await app.refund(payment, amount)
    assert (answer.status, answer.body["status"]) == (201, "processing"), answer.raw
    over = await app.refund(payment, PAID - amount + 1)
    assert (over.status, over.body["code"], over.body["left"]) == (409, "amount_exceeds_rest", PAID - amount)
    again = await app.refund(payment, amount, merchant_order_no=answer.body["merchant_order_no"])
    assert (again.status, again.body["id"]) == (200, answer.body["id"])
    done = await app.refunded(answer.body["id"])
    assert (done["status"], done["failure"]) == ("succeeded", None)
    row = await theirs(world, provider, done)
    assert (row["kind"], row["amount"], row["state"], row["submissions"]) == ("refund", amount, "succeeded", 1)
    assert row["original"] == payment["channel_order_no"]
    [event] = await app.told(done["id"])
    assert event["type"] == "refund.succeeded"
    rest = await app.refunded((await app.refund(payment, PAID - amount)).body["id"])
    if provider in ONCE:
        assert (rest["status"], rest["failure"]["code"]) == ("failed", "channel_refused")
        assert await left(app, payment) == PAID - amount
    else:
        assert rest["status"] == "succeeded"
        assert (await app.refund(payment, 1)).body["left"] == 0
    assert await app.payment(payment["id"]) == payment | {"refunded": PAID - await left(app, payment)}


async def test_a_refund_that_fails_in_the_end_frees_its_sum(world: World, at: tuple[str, App]) -> None:
    provider, app = at
    payment, amount = await payment_at(world, provider, app), 2000 + world.number()
    code, failure = FAILS[provider]
    await world.fault(provider, "decline", amount, code=code, when="final", match=OF_THE_REFUND)
    taken = (await app.refund(payment, amount)).body
    assert taken["status"] == "processing"
    failed = await app.refunded(taken["id"])
    assert (failed["status"], failed["failure"]["code"]) == ("failed", failure)
    [event] = await app.told(failed["id"])
    assert event["type"] == "refund.failed"
    assert await left(app, payment) == PAID
    anew = await app.refunded((await app.refund(payment, PAID)).body["id"])
    assert anew["status"] == "succeeded"


async def test_at_baofoo_a_notice_ends_the_refund_alone_and_one_that_nobody_asked_for_is_kept(world: World) -> None:
    app = await app_at(world, "baofoo")
    payment = await payment_at(world, "baofoo", app)
    events = await app.events(payment["id"])
    await unhurried(world, app, "baofoo")
    amount = 3000 + world.number()
    await world.fault("baofoo", "reset_after", amount, match=OF_THE_REFUND)
    taken = (await app.refund(payment, amount)).body
    assert (taken["status"], taken["channel_transaction_no"]) == ("processing", None)
    done = await app.refunded(taken["id"])
    # The notice knows our number alone, and brings theirs.
    row = await theirs(world, "baofoo", done)
    assert (done["status"], done["channel_transaction_no"]) == ("succeeded", row["transaction_no"])
    number = done["channel_order_no"]
    assert [row["source"] for row in await world.sql(SOURCES, number)] == ["answer", "callback"]
    assert await app.payment(payment["id"]) == payment | {"refunded": amount}
    assert await app.events(payment["id"]) == events
    await told_of_nobody(world, "baofoo", number, "succeeded", amount)


async def test_at_cpcn_a_20_about_a_refund_that_names_its_payment_fails_the_refund_alone(
    world: World, net: App
) -> None:
    visit = await open_page(world, net, WAYS["netbank at cpcn"])
    await visit.browser.press(visit.bill, "pay")
    payment = await net.final(visit.payment["id"])
    assert payment["status"] == "succeeded"
    await world.fault("cpcn", "decline", 700, code="91", when="final", times=1, match=OF_THE_REFUND)
    failing = (await net.refund(payment, 700)).body
    made = (await net.refund(payment, payment["amount"] - 700)).body
    failed, done = await net.refunded(failing["id"]), await net.refunded(made["id"])
    assert (failed["status"], failed["failure"]["channel_code"]) == ("failed", "20")
    assert done["status"] == "succeeded"
    for refund in (failed, done):
        assert [row["source"] for row in await world.sql(SOURCES, refund["channel_order_no"])] == ["answer", "callback"]
    rest = await net.refunded((await net.refund(payment, 700)).body["id"])
    assert rest["status"] == "succeeded"
    assert await net.payment(payment["id"]) == payment | {"refunded": payment["amount"]}
    assert [event["type"] for event in await net.events(payment["id"])][-1] == "payment.succeeded"
    assert not await world.sql("SELECT 1 FROM anomalies WHERE object_id IN (SELECT object_id FROM intents "
                               "WHERE number = $1)", payment["channel_order_no"])  # fmt: skip
    await told_of_nobody(world, "cpcn", failed["channel_order_no"], "declined", None)


@pytest.fixture
async def net(world: World, patient: App) -> AsyncIterator[App]:
    """An app whose payers pay on CPCN's pages, and which CPCN calls for as long as this test lasts."""
    app = await paged_app(world, settings={"cpcn": {"assumed": ["page_states", "refund_states"]}})
    await unhurried(world, app, "cpcn")
    url = f"{app.gateway}/callbacks/{await world.code_of(app)}.cpcn_main"
    await world.control("POST", "cpcn/notice_url", {"url": url})
    yield app
    await tell_where_to_call(world, patient)


async def unhurried(world: World, app: App, provider: str) -> None:
    """From now on nothing is asked about: words come by themselves."""
    assert world.system is not None
    code = await world.code_of(app)
    content = await world.system.catalogue_store.content()

    def calm(merchant: MerchantContent) -> MerchantContent:
        return replace(merchant, accounts=tuple(
            account_with(each, {"poll_gaps_s": (600.0,)}) if each.provider == provider else each
            for each in merchant.accounts
        ))  # fmt: skip

    await world.apply(*(calm(each) for each in content if each.code == code))


async def told_of_nobody(world: World, provider: str, number: str, says: str, amount: int | None) -> None:
    """The same notice, about an order that is not in the books any more: it is acknowledged, and kept as what it is."""
    await world.sql("UPDATE intents SET number = 'x' || number WHERE number = $1", number)
    try:
        answered = await world.control("POST", f"{provider}/callbacks", {"order_no": number})
        assert answered["statuses"] == [200], answered

        async def kept() -> list[Any] | None:
            return await world.sql("SELECT verb, says, amount FROM strays WHERE number = $1", number)

        [row] = await until(kept, "the stray word")
        assert (row["verb"], row["says"], row["amount"]) == ("refund", says, amount)
    finally:
        await world.sql("UPDATE intents SET number = substr(number, 2) WHERE number = 'x' || $1", number)
