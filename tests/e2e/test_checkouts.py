"""Checkouts as apps use them, over a whole system: open, read, cancel, and what their tries' numbers mean.

The payer's way through our pages is in tests/pages; what becomes of a checkout in tests/storage.
"""

from typing import Any

import pytest

from gateway.settings import SAMPLE_KEYS
from tests.browsing import Browser, Page, fields_of
from tests.e2e.business import App, Shown
from tests.e2e.on_pages import WAYS, follow
from tests.e2e.waiting import until
from tests.e2e.world import World


def asked(world: World, **changed: Any) -> Shown:
    body = {
        "merchant_order_no": f"recharge-{world.number()}",
        "user_id": world.user(),
        "amount": 20_000 + world.number(),
        "currency": "CNY",
        "description": "充值",
        "return_url": f"{world.receiver.address}/back",
    }
    return {name: value for name, value in (body | changed).items() if value is not None}


async def opened(world: World, app: App, **changed: Any) -> Shown:
    answer = await app.call("POST", "/v1/checkouts", asked(world, **changed))
    assert answer.status == 201, answer.raw
    return dict(answer.body)


async def goes_to_the_bank(world: World, checkout: Shown, bank: str) -> None:
    """Its payer chooses the page of a bank."""
    browser = Browser(world.session)
    page = await browser.open(checkout["url"])
    form = _form(page, "netbank")
    kept = {name: value for name, value in fields_of(form).items() if name != "bank"}
    await browser.submit(f"{checkout['url']}/pay", kept | {"bank": bank})


def _form(page: Page, method: str) -> Any:
    return next(form for form in page.root.iter("form") if fields_of(form).get("method") == method)


async def test_an_app_opens_a_checkout_and_sends_the_order_again(world: World) -> None:
    app, body = world.app, asked(world)
    first = await app.call("POST", "/v1/checkouts", body)
    again = await app.call("POST", "/v1/checkouts", body)
    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (201, 200, "true")
    assert first.body == again.body == await app.get(f"/v1/checkouts/{first.body['id']}")
    assert first.body["status"] == "open"
    assert first.body["url"].startswith(f"{world.gateway}/checkout/")
    assert first.body["methods"] == ["quick", "netbank", "custody_quick", "custody_netbank"]
    for changed in ({"amount": 1}, {"methods": ["quick"]}, {"expires_in_s": 60}, {"description": "另一个"}):
        other = await app.call("POST", "/v1/checkouts", body | changed)
        assert (other.status, other.body["code"]) == (409, "order_conflict"), changed


async def test_another_apps_checkout_is_not_there(world: World) -> None:
    checkout = await opened(world, world.app)
    path = f"/v1/checkouts/{checkout['id']}"
    for key in SAMPLE_KEYS[1:]:
        stranger = App(world, world.gateway, key)
        assert (await stranger.call("GET", path)).status == 404
        assert (await stranger.call("POST", f"{path}/cancel", {})).status == 404
    unknown = App(world, world.gateway, "sk_test_unknown")
    assert (await unknown.call("GET", path)).status == 401
    assert (await world.app.call("GET", "/v1/checkouts/pay_01kjp4c580e199c4kxscnnnfx6")).status == 404
    assert (await world.app.get(path))["status"] == "open"


async def test_payers_are_sent_back_to_hosts_of_the_app_alone(world: World) -> None:
    for url in ("https://evil.test/", "https://127.0.0.1.evil.test/", "https://x@127.0.0.1/", "http://evil.test/"):
        answer = await world.app.call("POST", "/v1/checkouts", asked(world, return_url=url))
        assert (answer.status, [each["field"] for each in answer.body["errors"]]) == (422, ["return_url"]), url


async def test_an_app_cancels_a_checkout_and_its_page_says_so(world: World) -> None:
    checkout = await opened(world, world.app)
    path = f"/v1/checkouts/{checkout['id']}/cancel"
    for _ in range(2):
        answer = await world.app.call("POST", path, {})
        assert (answer.status, answer.body["status"], answer.body["url"]) == (200, "canceled", checkout["url"])
    page = await Browser(world.session).open(checkout["url"])
    assert page.status == 200
    assert not [form for form in page.root.iter("form") if "/pay" in str(form.get("action"))]
    [event] = await world.app.told(checkout["id"])
    assert event["type"] == "checkout.canceled"
    [arrived] = world.receiver.of(event["id"])
    assert checkout["id"].encode() in arrived.body
    assert b'"url"' not in arrived.body
    assert checkout["url"].encode() not in arrived.body


async def test_what_may_be_paid_at_a_bank_is_not_canceled_and_what_was_paid_is_not_either(
    world: World, patient: App
) -> None:
    way = WAYS["netbank at unionpay"]  # it takes no wish to give an order up
    checkout = await opened(world, patient)
    await goes_to_the_bank(world, checkout, str(way.bank))
    path = f"/v1/checkouts/{checkout['id']}"
    refused = await patient.call("POST", f"{path}/cancel", {})
    assert (refused.status, refused.body["code"]) == (409, "may_be_paid")
    [payment] = (await patient.get(path))["payments"]
    assert payment["merchant_order_no"] == f"{checkout['merchant_order_no']}~1"
    assert payment["checkout"] == {"id": checkout["id"], "status": "open"}
    visit = await follow(world, way, payment)
    bank = await visit.browser.press(visit.bill, "pay")
    back = await visit.browser.press(bank, "back")
    assert back.url.partition("?")[0] == checkout["url"], "the payer comes back to the checkout"

    async def succeeded() -> Shown | None:
        now = dict(await patient.get(path))
        return now if now["status"] == "succeeded" else None

    after = await until(succeeded, "the end of the checkout")
    assert [each["status"] for each in after["payments"]] == ["succeeded"]
    late = await patient.call("POST", f"{path}/cancel", {})
    assert (late.status, late.body["code"]) == (409, "not_waiting")


async def test_what_the_payer_can_give_up_at_the_bank_is_given_up_when_the_app_cancels(
    world: World, patient: App
) -> None:
    way = WAYS["netbank"]
    checkout = await opened(world, patient)
    await goes_to_the_bank(world, checkout, str(way.bank))
    path = f"/v1/checkouts/{checkout['id']}"
    [payment] = (await patient.get(path))["payments"]
    await follow(world, way, payment)  # its PSP has the order, and nobody has paid it
    canceled = await patient.call("POST", f"{path}/cancel", {})
    assert (canceled.status, canceled.body["status"]) == (200, "canceled"), canceled.raw
    assert [each["status"] for each in canceled.body["payments"]] == ["closed"]


async def test_the_number_of_a_try_is_taken_and_others_with_the_mark_are_not_an_apps(
    world: World, patient: App
) -> None:
    checkout = await opened(world, patient)
    await goes_to_the_bank(world, checkout, str(WAYS["netbank"].bank))
    of_try = f"{checkout['merchant_order_no']}~1"
    taken = await patient.call("POST", "/v1/withholds", world.order(merchant_order_no=of_try))
    assert (taken.status, taken.body["code"]) == (409, "order_conflict")
    free = await patient.call("POST", "/v1/withholds", world.order(merchant_order_no=f"{of_try}2"))
    assert (free.status, [each["field"] for each in free.body["errors"]]) == (422, ["merchant_order_no"])
    [found] = (await patient.get(f"/v1/payments?merchant_order_no={of_try}"))["data"]
    assert found["checkout"]["id"] == checkout["id"]


@pytest.mark.parametrize("token", ["", "x", "A" * 64, "é" * 64])
async def test_a_guessed_address_shows_nothing(world: World, token: str) -> None:
    assert (await world.call("GET", f"{world.gateway}/checkout/{token}")).status == 404
