"""An app that executes elsewhere, over sockets: it asks for routes, reports, and the next decision knows.

Not here: every report and what races with it (tests/unit, tests/storage).
"""

import asyncio
from typing import Any

from tests.e2e.business import Answer, App, Shown
from tests.e2e.merchants import only
from tests.e2e.world import World

OVERDUE = """
UPDATE routes SET report_before = created_at, until_at = created_at WHERE merchant_order_no = $1 AND status = 'open'
"""


async def record(app: App, order: Shown, **more: Any) -> Answer:
    """Ask for a route of an order."""
    return await app.call("POST", "/v1/routes", order | {"record": True} | more)


async def recorded(app: App, order: Shown, **more: Any) -> Shown:
    """A route that must be new."""
    answer = await record(app, order, **more)
    assert answer.status == 201, answer.raw
    return dict(answer.body)


async def report(app: App, route: Shown, status: str, **said: Any) -> Answer:
    """Say how it ended."""
    return await app.call("POST", f"/v1/routes/{route['id']}/result", {"status": status, **said})


async def test_what_is_reported_decides_where_the_next_one_goes(world: World) -> None:
    app, user, card = world.app, world.user(), world.card()
    sent = len(await world.transactions("allinpay"))

    def order() -> Shown:
        return world.order(world.cheap(), user_id=user, card=card)

    first = await recorded(app, order())
    assert (first["status"], first["channel"], first["decision"]["chosen_by_step"]) == ("open", "allinpay", 7)
    assert (await report(app, first, "failed", failure_code="card_frozen")).status == 200
    second = await recorded(app, order())
    assert (second["channel"], second["decision"]["chosen_by_step"]) == ("allinpay", 8)
    failed = await report(app, second, "failed", failure_code="channel_unavailable", channel_message="停机")
    assert (failed.body["failure"]["blame"], failed.body["failure"]["channel_message"]) == ("channel", "停机")
    third = await recorded(app, order())
    assert (third["channel"], third["decision"]["chosen_by_step"]) == ("unionpay", 9)
    # A payment of the same user switches, too; and the routes have sent nothing.
    assert (await app.get(f"/v1/routes/{third['id']}"))["status"] == "open"
    dry = await app.call("POST", "/v1/routes", {n: v for n, v in order().items() if n != "merchant_order_no"})
    assert (dry.body["chosen"], dry.body["chosen_by_step"]) == ("unionpay", 9)
    assert (await report(app, third, "succeeded", fee=88)).body["fee"] == 88
    assert len(await world.transactions("allinpay")) == sent
    assert await app.events(first["id"]) == []


async def test_a_number_is_one_order_of_an_app_whatever_it_is_for(world: World) -> None:
    order = world.order(world.cheap())
    route = await recorded(world.app, order)
    again = await record(world.app, order)
    assert (again.status, again.headers["Idempotent-Replayed"], again.body) == (200, "true", route)
    for other in (await record(world.app, order | {"amount": 1}), await world.app.call("POST", "/v1/withholds", order)):
        assert (other.status, other.body["code"]) == (409, "order_conflict")
    stranger = await world.merchant()
    assert (await stranger.call("GET", f"/v1/routes/{route['id']}")).status == 404
    assert (await report(stranger, route, "succeeded")).status == 404


async def test_fifty_at_once_reserve_what_one_users_limit_takes(world: World) -> None:
    app = await world.merchant(only("allinpay", daily_limit=100_000))
    user, card = world.user(), world.card()

    def order() -> Shown:
        return world.order(10_000, user_id=user, card=card)

    routes = await asyncio.gather(*(recorded(app, order()) for _ in range(50)))
    opened = [route for route in routes if route["status"] == "open"]
    assert len(opened) == 10
    assert {route["failure"]["code"] for route in routes if route["failure"]} == {"daily_limit_exceeded"}
    done = await asyncio.gather(*(report(app, route, "failed", failure_code="card_lost") for route in opened[:4]))
    assert {answer.status for answer in done} == {200}
    freed = [await recorded(app, order()) for _ in range(5)]
    assert [route["status"] for route in freed] == ["open"] * 4 + ["failed"]


async def test_an_unreported_route_is_told_as_an_anomaly_and_a_later_report_is_taken(world: World) -> None:
    order = world.order(world.cheap())
    route = await recorded(world.app, order, report_within_s=60)
    await world.sql(OVERDUE, order["merchant_order_no"])  # instead of waiting a minute
    (event,) = await world.app.told(route["id"])
    assert (event["type"], event["sequence"], event["body"]["anomaly"]["kind"]) == ("route.anomaly", 1, "unreported")
    shown = event["body"]["data"]
    assert (shown["id"], shown["status"], shown["unreported"], "decision" in shown) == (
        route["id"], "open", True, False,
    )  # fmt: skip
    found = (await world.admin("GET", "/merchants/demo/anomalies")).body["data"]
    (anomaly,) = [each for each in found if each["object_id"] == route["id"]]
    assert (anomaly["kind"], anomaly["source"]) == ("unreported", "clock")
    listed = (await world.admin("GET", "/merchants/demo/routes?unreported=true")).body
    assert (route["id"] in [each["id"] for each in listed["data"]], listed["next"]) == (True, None)
    done = await report(world.app, route, "succeeded")
    assert (done.status, done.body["status"], done.body["unreported"]) == (200, "succeeded", False)
    contrary = await report(world.app, route, "failed", failure_code="card_lost")
    assert (contrary.status, contrary.body["code"]) == (409, "result_conflict")
    told = await world.app.told(route["id"], 2)
    assert [each["body"]["anomaly"]["kind"] for each in told] == ["unreported", "late_failure"]
