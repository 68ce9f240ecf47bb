"""A payment goes to a channel that can carry its card: nobody learns from a failed payment what was known before.

Not tested here: each kind of what cannot be carried (tests/unit/flows/test_carrying.py).
"""

from typing import Any

from tests.e2e.world import World


async def decision(world: World, payment: dict[str, Any]) -> dict[str, Any]:
    got = await world.app.call("GET", f"/v1/payments/{payment['id']}/decision")
    assert got.status == 200
    found: dict[str, Any] = got.body["record"]
    return found


def hidden(found: dict[str, Any]) -> dict[str, str]:
    return {seen["channel"]: seen["reason"] for seen in found["trace"] if seen.get("removed_by_step") == 1}


async def test_a_name_that_one_channel_cannot_write_is_paid_by_another(world: World) -> None:
    order = world.order(world.cheap())
    order["card"]["holder_name"] = "王㛃"
    paid = (await world.app.call("POST", "/v1/withholds", order)).body
    assert paid["channel"] == "unionpay"
    assert hidden(await decision(world, paid)) == {"allinpay": "name_unwritable"}
    question = {name: order[name] for name in ("user_id", "scene", "amount", "card")}
    told = (await world.app.call("POST", "/v1/routes", question)).body
    assert {seen["channel"]: seen["reason"] for seen in told["candidates"]}["allinpay"] == "name_unwritable"


async def test_a_passport_and_an_old_id_card_are_paid(world: World) -> None:
    for paper in ({"id_type": "passport", "id_no": "E12345678"}, {"id_no": "110101900307777"}):
        for amount in (world.cheap(), world.dear()):
            order = world.order(amount)
            order["card"] |= paper
            taken = await world.app.call("POST", "/v1/withholds", order)
            assert (taken.status, taken.body["failure"]) == (201, None)
            assert (await world.app.call("POST", "/v1/withholds", order)).body["id"] == taken.body["id"]


async def test_a_check_digit_that_does_not_fit_is_a_note_in_the_trace(world: World) -> None:
    order = world.order(world.cheap()) | {"bank": "COMM"}
    order["card"]["card_no"] = "60142800000000000"
    taken = await world.app.call("POST", "/v1/withholds", order)
    assert (taken.status, taken.body["failure"], taken.body["bank"]) == (201, None, "COMM")
    notes = (await decision(world, taken.body))["notes"]
    assert "the card number's last digit does not fit the others (Luhn)" in notes
