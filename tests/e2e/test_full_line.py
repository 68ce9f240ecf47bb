"""Withholds that stand in line, over sockets: a channel of one call at once, and a sandbox that answers as PSPs do.

Not tested here: who sends which, and crashes (tests/storage/test_line.py).
"""

import asyncio
from dataclasses import replace

from gateway.domain.catalogue_content import MerchantContent
from router.limits import ChannelLimits
from tests.e2e.business import App, Shown, path_of
from tests.e2e.merchants import only
from tests.e2e.waiting import until
from tests.e2e.world import World

MANY = 12


def narrow(merchant: MerchantContent) -> MerchantContent:
    """Only Allinpay, and one call at once there."""
    channels = tuple(replace(channel, limits=ChannelLimits(calls_at_once=1)) for channel in merchant.channels)
    return replace(only("allinpay")(merchant), channels=channels)


async def test_withholds_that_find_no_place_are_answered_at_once_and_paid_when_there_is_one(world: World) -> None:
    app = await world.merchant(narrow)
    orders = [world.order() for _ in range(MANY)]
    answers = await asyncio.gather(*(app.call("POST", path_of(order), order) for order in orders))
    assert [answer.status for answer in answers] == [201] * MANY
    assert "processing" in {answer.body["status"] for answer in answers}
    paid = await until(lambda: all_ended(app, [answer.body["id"] for answer in answers]), "end of the line", 60.0)
    assert {payment["status"] for payment in paid} == {"succeeded"}
    sent = [await world.transactions("allinpay", payment["channel_order_no"]) for payment in paid]
    assert [(len(rows), rows[0]["submissions"]) for rows in sent] == [(1, 1)] * MANY
    events = await world.sql(
        "SELECT object_id, count(*) FROM events WHERE type = 'payment.succeeded' AND object_id IN"
        " (SELECT payment_id FROM payments WHERE merchant_order_no = ANY($1::text[])) GROUP BY object_id",
        [order["merchant_order_no"] for order in orders],
    )
    assert [row[1] for row in events] == [1] * MANY
    assert await world.differences(paid) == []


async def test_a_time_to_send_before_that_is_past_is_refused_and_nothing_is_recorded(world: World) -> None:
    app = await world.merchant(narrow)
    order = world.order(send_before="2020-01-01T00:00:00Z")
    assert (await app.call("POST", "/v1/withholds", order)).status == 422
    assert await world.sql("SELECT 1 FROM orders WHERE merchant_order_no = $1", order["merchant_order_no"]) == []


async def all_ended(app: App, ids: list[str]) -> list[Shown] | None:
    found = [(await app.call("GET", f"/v1/payments/{each}")).body for each in ids]
    return found if all(payment["finished_at"] for payment in found) else None
