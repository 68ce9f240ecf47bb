"""Stories of a card on several channels: who may send SMS, who refuses it, and where the next payment goes.

Not here: each provider's own way (test_ways), codes one by one (test_codes).
"""

import asyncio

from prometheus_client import REGISTRY

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.ids import PAYMENT, read
from tests.e2e.business import App, Shown
from tests.e2e.processes import Crowd
from tests.e2e.signers import Signer, inbox, merchant_with, new_phone, paid
from tests.e2e.world import World

NONE, SILENT, SMS = AuthenticationMode.NONE, AuthenticationMode.SILENT, AuthenticationMode.SMS
SIGNS = Signer("signs", "unionpay", SMS, fee=50)
SMS_WANTED, FIRST_CODE_EXPIRED, REFUSED_BY_UNIONPAY, REFUSED_BY_ALLINPAY = "9801", "9802", "9811", "9812"
TWO_PHONES, RESERVED_PHONE, OTHER_PHONE = "9804", "13800009804", "13900009804"


def charge(world: World, like: Shown | None = None, **changed: object) -> Shown:
    """A quick charge: a new one of the same card and user, if `like` is given."""
    same = {name: like[name] for name in ("user_id", "card")} if like else {}
    return world.order(world.dear(), **({"scene": "quick_charge"} | same | changed))


async def charges(world: World, payment: Shown) -> list[Shown]:
    """What any provider was asked to pay of it; amounts are of one payment only."""
    rows = [row for name in ("unionpay", "allinpay", "baofoo") for row in await world.transactions(name)]
    return [row for row in rows if row["amount"] == payment["amount"]]


async def disagreements(world: World, app: App) -> float:
    """How many this merchant has had at any account."""
    code = await world.code_of(app)
    [row] = await world.sql("SELECT merchant_id FROM merchants WHERE code = $1", code)
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    mine = (s for s in samples if s.name == "sluice_disagreements_total")
    return sum(sample.value for sample in mine if sample.labels["merchant"] == str(row["merchant_id"]))


async def test_a_new_card_two_payments_at_once_and_a_code_that_expires_are_one_signing_on_one_channel(
    crowd: Crowd,
) -> None:
    world = crowd.world
    app = await merchant_with(world, SIGNS, Signer("cheap", "allinpay", SMS, fee=1), primary="signs")
    gateways = [await world.knows(app.at(address)) for address in crowd.addresses]
    phone = new_phone(world)
    orders = [charge(world, card=world.card(FIRST_CODE_EXPIRED) | {"phone": phone})]
    orders.append(charge(world, like=orders[0]))
    taken = await asyncio.gather(*(gateway.pay(order) for gateway, order in zip(gateways, orders, strict=True)))
    waiting, refused = sorted(taken, key=lambda payment: payment["status"] != "requires_action")
    assert (waiting["status"], refused["failure"]["code"]) == ("requires_action", "signing_in_progress")
    [sms] = await inbox(world, phone)

    # Its code is too old at the PSP: the payer may still ask for another, and does not.
    answer = await gateways[0].call("POST", f"/v1/payments/{waiting['id']}/confirm", {"sms_code": sms["code"]})
    assert (answer.status, answer.body["status"]) == (200, "requires_action")
    for table in ("payments", "authentications"):  # as if its time had passed
        statement = f"UPDATE {table} SET until_at = now() WHERE payment_id = $1 AND until_at IS NOT NULL"
        await world.sql(statement, read(PAYMENT, waiting["id"]))
    assert (await gateways[1].final(waiting["id"]))["closed_reason"] == "expired"

    again = await paid(world, gateways[1], charge(world, like=orders[0]))
    assert (again.payment["status"], again.purposes) == ("succeeded", ["sign"])
    more = await paid(world, gateways[0], charge(world, like=orders[0]))
    assert (more.payment["status"], more.payment["channel"], more.purposes) == ("succeeded", "signs", [])

    log = await inbox(world, phone)
    assert [(each["provider"], each["purpose"]) for each in log] == [("unionpay", "sign")] * 2
    signed = [row for row in await world.transactions("unionpay") if row["kind"] == "open_card"]
    assert [row["state"] for row in signed if row["order_no"] in {each["order_no"] for each in log}] == ["succeeded"]
    for payment in (waiting, refused):
        assert await charges(world, payment) == []


async def test_a_card_signed_elsewhere_that_the_cheapest_channel_refuses_silently(world: World) -> None:
    chosen, signs = Signer("chosen", "unionpay", SILENT, fee=1), Signer("signs", "allinpay", SMS, fee=50)
    app = await merchant_with(world, chosen, signs, primary="signs")
    order = charge(world, card=world.card(REFUSED_BY_UNIONPAY) | {"phone": new_phone(world)})
    asked = {"merchant_order_no": f"sign-{world.number()}", "user_id": order["user_id"], "card": order["card"]}
    opened = await app.call("POST", "/v1/authentications", asked)
    [sms] = await inbox(world, order["card"]["phone"])
    path = f"/v1/authentications/{opened.body['id']}/confirm"
    assert (await app.call("POST", path, {"sms_code": sms["code"]})).body["status"] == "succeeded"
    await refused_at_first_and_then_paid_elsewhere(world, app, order, "signs")
    assert len(await inbox(world, order["card"]["phone"])) == 1


async def test_a_card_bound_elsewhere_that_the_primary_channel_sends_no_sms_for(world: World) -> None:
    chosen, silent = Signer("chosen", "allinpay", SMS, fee=1), Signer("silent", "unionpay", SILENT, fee=50)
    app = await merchant_with(world, chosen, silent, primary="chosen")
    order = charge(world, card=world.card(REFUSED_BY_ALLINPAY) | {"phone": new_phone(world)})
    absent = await app.pay_to_the_end(charge(world, like=order, scene="withhold"))
    assert (absent["status"], absent["channel"]) == ("succeeded", "silent")
    await refused_at_first_and_then_paid_elsewhere(world, app, order, "silent")
    assert await inbox(world, order["card"]["phone"]) == []


async def refused_at_first_and_then_paid_elsewhere(world: World, app: App, order: Shown, elsewhere: str) -> None:
    """The card is bound `elsewhere`; the channel `chosen`, the cheapest, refuses it."""
    failed = await app.pay_to_the_end(order)
    assert (failed["status"], failed["channel"]) == ("failed", "chosen")
    assert (failed["failure"]["code"], failed["failure"]["blame"]) == ("authentication_rejected", "channel")
    assert await charges(world, failed) == []
    [told] = await app.told(failed["id"])
    assert (told["type"], told["sequence"]) == ("payment.failed", 1)
    assert await disagreements(world, app) == 1

    switched = await app.pay_to_the_end(charge(world, like=order))
    assert (switched["status"], switched["channel"]) == ("succeeded", elsewhere)
    [charged] = await charges(world, switched)
    assert (charged["state"], charged["submissions"]) == ("succeeded", 1)


async def test_a_card_that_nobody_verified_is_the_payers_and_the_channel_stays(world: World) -> None:
    app = await merchant_with(
        world, Signer("cheap", "unionpay", SILENT, fee=1), Signer("dear", "allinpay", SMS, fee=50), primary="dear"
    )
    order = charge(world, card=world.card(REFUSED_BY_UNIONPAY) | {"phone": new_phone(world)})
    for each in (order, charge(world, like=order)):
        failed = await app.pay_to_the_end(each)
        assert (failed["failure"]["code"], failed["failure"]["blame"]) == ("authentication_rejected", "payer")
        assert (failed["channel"], await charges(world, failed)) == ("cheap", [])
    assert await disagreements(world, app) == 0


async def test_a_card_that_either_of_two_phones_binds_pays_with_the_reserved_one_alone(world: World) -> None:
    app = await merchant_with(world, SIGNS, primary="signs")
    user, card = world.user(), world.card(TWO_PHONES)
    wrong = await paid(world, app, charge(world, user_id=user, card=card | {"phone": OTHER_PHONE}))
    assert (wrong.payment["status"], wrong.purposes) == ("failed", ["sign"])
    assert (wrong.payment["failure"]["code"], wrong.payment["failure"]["blame"]) == ("id_mismatch", "payer")
    assert [row["state"] for row in await charges(world, wrong.payment)] == ["failed"]
    assert await disagreements(world, app) == 1
    # The same number under another phone is another card: it is signed for itself, where the first one was.
    right = await paid(world, app, charge(world, user_id=user, card=card | {"phone": RESERVED_PHONE}))
    assert (right.payment["status"], right.purposes, right.payment["channel"]) == ("succeeded", ["sign"], "signs")
    assert await disagreements(world, app) == 1


async def test_a_card_that_nobody_verified_disagrees_with_nobody_when_it_is_refused(world: World) -> None:
    app = await merchant_with(world, Signer("tl", "allinpay", NONE, fee=1))
    refused = await app.pay_to_the_end(charge(world, scene="withhold", card=world.card(TWO_PHONES)))
    assert (refused["status"], refused["failure"]["code"]) == ("failed", "name_mismatch")
    assert await disagreements(world, app) == 0


async def test_a_silent_way_that_turns_out_to_need_an_sms_asks_the_payer_where_cards_are_signed(world: World) -> None:
    app = await merchant_with(world, Signer("up", "unionpay", SILENT, fee=1), primary="up")
    order = charge(world, card=world.card(SMS_WANTED) | {"phone": new_phone(world)})
    first = await paid(world, app, order)
    assert (first.payment["status"], first.purposes) == ("succeeded", ["sign"])
    again = await paid(world, app, charge(world, like=order))
    assert (again.payment["status"], again.purposes) == ("succeeded", [])
