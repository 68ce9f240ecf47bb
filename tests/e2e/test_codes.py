"""A code by SMS, over sockets: a card is signed once, a payment may want a code of its own, and who waits is let go.

Not tested here: what each word does to what waits (unit tests of `domain`), what two wishes at once do
(tests/storage/test_payer_acts.py), each provider's own way (tests/e2e/test_ways.py).
"""

from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.ids import CARD, PAYMENT, read
from tests.e2e.business import App, Shown
from tests.e2e.merchants import Change
from tests.e2e.waiting import until
from tests.e2e.world import World

SMS = AuthenticationMode.SMS
EACH = AuthenticationMode.SMS_EACH_PAYMENT


def by(mode: AuthenticationMode) -> Change:
    """The sample's merchant whose UnionPay channel authenticates so, and signs by SMS where that is wanted."""

    def change(merchant: MerchantContent) -> MerchantContent:
        channels = tuple(
            replace(channel, authentication={"*": mode}) for channel in merchant.channels if channel.code == "unionpay"
        )
        rules = tuple(rule for rule in merchant.rules if rule.channel == "unionpay")
        signer = "unionpay" if mode is SMS else None
        return replace(merchant, channels=channels, rules=rules, payout_rules=(), primary_signer=signer)

    return change


@pytest.fixture(scope="module")
async def signing(world: World) -> App:
    return await world.merchant(by(SMS))


@pytest.fixture(scope="module")
async def paying(world: World) -> App:
    return await world.merchant(by(EACH))


def charge(world: World, **changed: Any) -> Shown:
    return world.order(world.dear(), scene="quick_charge", **changed)


async def codes(world: World, phone: str) -> list[Shown]:
    return list((await world.control("GET", f"unionpay/sms?phone={phone}"))["sms"])


async def confirm(app: App, payment: Shown, code: str) -> Shown:
    answer = await app.call("POST", f"/v1/payments/{payment['id']}/confirm", {"sms_code": code})
    assert answer.status == 200, answer.raw
    return dict(answer.body)


def phone_of(world: World) -> str:
    return f"139{world.number():08d}"


async def test_a_new_card_is_signed_by_one_sms_and_the_next_payment_asks_for_nothing(
    world: World, signing: App
) -> None:
    phone = phone_of(world)
    order = charge(world, card=world.card() | {"phone": phone})
    waiting = await signing.pay(order)
    assert waiting["status"] == "requires_action"
    assert waiting["next_action"]["type"] == "sms_code"
    assert waiting["next_action"]["phone"] == f"139****{phone[-4:]}"
    [sms] = await codes(world, phone)
    paid = await confirm(signing, waiting, sms["code"])
    paid = await signing.final(paid["id"])
    assert (paid["status"], paid["next_action"]) == ("succeeded", None)
    again = await signing.pay_to_the_end(charge(world, card=order["card"], user_id=order["user_id"]))
    assert again["status"] == "succeeded"
    assert len(await codes(world, phone)) == 1
    events = await signing.told(paid["id"], 2)
    assert [(e["type"], e["sequence"]) for e in events] == [
        ("payment.requires_action", 1), ("payment.succeeded", 2),
    ]  # fmt: skip


async def test_a_payment_that_wants_a_code_of_its_own(world: World, paying: App) -> None:
    phone = phone_of(world)
    order = charge(world, card=world.card() | {"phone": phone})
    waiting = await paying.pay(order)
    assert waiting["status"] == "requires_action"
    wrong = await confirm(paying, waiting, "000000")
    assert (wrong["status"], wrong["failure"]) == ("requires_action", None)
    [sms] = await codes(world, phone)
    paid = await paying.final((await confirm(paying, waiting, f" {sms['code'][:3]} {sms['code'][3:]}"))["id"])
    assert paid["status"] == "succeeded"


async def test_three_wrong_codes_fail_it_and_nothing_was_charged(world: World, paying: App) -> None:
    waiting = await paying.pay(charge(world, card=world.card() | {"phone": phone_of(world)}))
    for _ in range(3):
        after = await confirm(paying, waiting, "000000")
    assert (after["status"], after["failure"]["code"]) == ("failed", "sms_code_wrong")
    assert (await confirm(paying, waiting, "123456"))["status"] == "failed"


async def test_a_wrong_code_to_sign_is_counted_in_what_the_payment_shows_and_told_in_its_timeline(
    world: World, signing: App
) -> None:
    waiting = await signing.pay(charge(world, card=world.card() | {"phone": phone_of(world)}))
    left = [(await confirm(signing, waiting, "000000"))["next_action"] for _ in range(2)]
    assert [action["tries_left"] for action in left] == [2, 1]
    failed = await confirm(signing, waiting, "000000")
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "sms_code_wrong")
    timeline = (await signing.get(f"/v1/payments/{waiting['id']}/timeline"))["data"]
    said = [one["says"] for one in timeline if one["what"] == "channel_said"]
    assert said[0] == "signing_code_sent"
    assert set(said[1:]) == {"authentication_declined"}


async def test_a_withhold_has_nobody_to_type_a_code(world: World, signing: App, paying: App) -> None:
    for app, code in ((signing, "card_needs_signing"), (paying, "no_channel_available")):  # UnionPay has no such code
        failed = await app.pay(world.order(world.dear()))
        assert (failed["status"], failed["failure"]["code"]) == ("failed", code)


async def test_who_waits_for_a_code_is_let_go_by_the_app(world: World, signing: App, paying: App) -> None:
    for app in (signing, paying):
        waiting = await app.pay(charge(world, card=world.card() | {"phone": phone_of(world)}))
        answer = await app.call("POST", f"/v1/payments/{waiting['id']}/close")
        assert (answer.status, answer.body["status"], answer.body["closed_reason"]) == (200, "closed", "by_app")
        assert answer.body["failure"] is None


async def test_a_payment_that_nobody_confirms_expires(world: World, signing: App, paying: App) -> None:
    for app in (signing, paying):
        waiting = await app.pay(charge(world, card=world.card() | {"phone": phone_of(world)}))
        for table in ("payments", "authentications"):  # as if its time had passed
            await world.sql(f"UPDATE {table} SET until_at = now() WHERE payment_id = $1 AND until_at IS NOT NULL",
                            read(PAYMENT, waiting["id"]))  # fmt: skip

        async def look(app: App = app, waiting: Shown = waiting) -> Shown | None:
            now = await app.payment(waiting["id"])
            return now if now["status"] == "closed" else None

        closed = await until(look, "expiry")
        assert closed["closed_reason"] == "expired"


async def test_an_app_authenticates_a_card_and_lists_and_unbinds_it(world: World, signing: App) -> None:
    phone, user = phone_of(world), world.user()
    order = {"merchant_order_no": f"sign-{world.number()}", "user_id": user, "card": world.card() | {"phone": phone}}
    opened = await signing.call("POST", "/v1/authentications", order)
    assert (opened.status, opened.body["status"]) == (201, "requires_action")
    again = await signing.call("POST", "/v1/authentications", order)
    assert (again.status, again.body["id"]) == (200, opened.body["id"])
    path = f"/v1/authentications/{opened.body['id']}"
    early = await signing.call("POST", f"{path}/resend-sms")
    assert (early.status, early.body["code"]) == (409, "resend_too_soon")
    [sms] = await codes(world, phone)
    done = await signing.call("POST", f"{path}/confirm", {"sms_code": sms["code"]})
    assert (done.status, done.body["status"]) == (200, "succeeded"), done.body
    [card] = (await signing.get(f"/v1/cards?user_id={user}"))["data"]
    assert card["signed_on"] == ["unionpay"]
    paid = await signing.pay_to_the_end(world.order(world.dear(), user_id=user, card=None, card_id=card["id"]))
    assert paid["status"] == "succeeded"
    gone = await signing.call("DELETE", f"/v1/cards/{card['id']}")
    assert gone.status == 200
    assert (await signing.get(f"/v1/cards?user_id={user}"))["data"] == []
    assert (await signing.call("GET", f"/v1/cards/{card['id']}")).status == 404

    async def unbound() -> bool | None:
        [row] = await world.sql("SELECT ended FROM unbindings WHERE card_id = $1", read(CARD, card["id"]))
        return row["ended"] == "unbound" or None

    await until(unbound, "the end of its agreement")
