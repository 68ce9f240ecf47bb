"""What operators change takes effect within a second on every gateway, and limits hold end to end.

Not here: every way of the nine steps (the router's own tests); when a channel is degraded, and how what was switched
off comes back by itself (tests/storage/test_switched_channels.py).
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.e2e.business import App, Shown
from tests.e2e.merchants import only, with_spare
from tests.e2e.processes import Crowd
from tests.e2e.waiting import PATIENCE_S, until
from tests.e2e.world import World

WITHIN_S = 20.0
"""One second is promised; the rest is for a machine that does other things too."""


async def chosen_at(world: World, app: App, amount: int) -> Shown:
    """What the router says at a gateway now."""
    question = {"user_id": world.user(), "scene": "withhold", "amount": amount, "bank": "ICBC"}
    return dict((await app.call("POST", "/v1/routes", question)).body)


async def chosen_everywhere(world: World, apps: list[App], expected: str | None, within_s: float = WITHIN_S) -> None:
    """Wait until every gateway would choose this channel."""
    for app in apps:

        async def look(app: App = app) -> bool | None:
            return (await chosen_at(world, app, 20_000))["chosen"] == expected or None

        await until(look, f"change of the choice to {expected} at {app.gateway}", within_s)


DEGRADED = """
INSERT INTO alerts (merchant_id, alert_id, kind, about, severity, detail, raised_at, last_at, times)
SELECT merchant_id, $2::uuid, 'channel_degraded', $3, 'critical', '{}', now(), now(), 1 FROM merchants WHERE code = $1
"""


async def everywhere(crowd: Crowd) -> tuple[str, list[App]]:
    """A new merchant's code, and its app at every gateway."""
    app = await crowd.world.merchant()
    apps = [await crowd.world.knows(app.at(address)) for address in crowd.addresses]
    return await crowd.world.code_of(app), [app, *apps]


async def test_a_channel_that_is_switched_off_takes_nothing_more(
    crowd: Crowd,
) -> None:
    world = crowd.world
    code, apps = await everywhere(crowd)
    await chosen_everywhere(world, apps, "allinpay")
    path = f"/merchants/{code}/channels/allinpay"
    assert (await world.admin("PATCH", path, {"on": False})).body["on"] is False
    await chosen_everywhere(world, apps, "unionpay")
    payment = await apps[1].pay_to_the_end(world.order(world.cheap()))
    assert payment["channel"] == "unionpay"
    decision = await apps[0].get(f"/v1/payments/{payment['id']}/decision")
    [hidden] = [one for one in decision["candidates"] if one["channel"] == "allinpay"]
    assert hidden["removed_by_step"] == 1
    await world.admin("PATCH", path, {"on": True})
    await chosen_everywhere(world, apps, "allinpay")


async def test_a_maintenance_window_takes_effect_and_ends(crowd: Crowd) -> None:
    world = crowd.world
    code, apps = await everywhere(crowd)
    path = f"/merchants/{code}/channels/allinpay/maintenance_windows"
    now = datetime.now(UTC)
    window = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(hours=1)).isoformat(), "note": "test"}
    made = await world.admin("POST", path, window)
    assert made.status == 201, made.raw
    await chosen_everywhere(world, apps, "unionpay")
    assert (await world.admin("DELETE", f"{path}/{made.body['id']}")).status == 200
    await chosen_everywhere(world, apps, "allinpay")


async def test_without_any_channel_the_payment_is_refused(world: World) -> None:
    app = await world.merchant()
    code = await world.code_of(app)
    for channel in ("allinpay", "unionpay"):
        await world.admin("PATCH", f"/merchants/{code}/channels/{channel}", {"on": False})
    payment = await app.pay(world.order())
    assert (payment["status"], payment["failure"]["code"]) == ("failed", "no_channel_available")


async def test_a_rule_that_is_changed_changes_the_choice(crowd: Crowd) -> None:
    world = crowd.world
    code, apps = await everywhere(crowd)
    rule: dict[str, Any] = {"fee": {"type": "fixed", "amount": 1}, "single_limit": 5_000_000}
    path = f"/merchants/{code}/channels/unionpay/rules/withhold/ICBC"
    assert (await world.admin("PUT", path, rule)).status == 200
    await chosen_everywhere(world, apps, "unionpay")
    assert (await world.admin("DELETE", path)).status == 200
    await chosen_everywhere(world, apps, "allinpay")


async def test_too_many_short_balances_stop_the_user_for_the_day(world: World) -> None:
    app = await world.merchant(only("unionpay", daily_insufficient_limit=2))
    user = world.user()
    for _ in range(2):
        payment = await app.pay_to_the_end(world.order(20_000, user_id=user, card=world.card(tail="0064")))
        assert payment["failure"]["code"] == "insufficient_balance"
    third = await app.pay(world.order(20_000, user_id=user))
    assert third["failure"]["code"] == "daily_insufficient_balance_exceeded"
    other = await app.pay_to_the_end(world.order(20_000))
    assert other["status"] == "succeeded"


async def test_a_failure_that_is_the_payers_does_not_switch_the_channel(world: World) -> None:
    user = world.user()
    card = world.card(tail="3008")
    first = await world.app.pay(world.order(world.cheap(), user_id=user, card=card))
    assert (first["channel"], first["failure"]["code"]) == ("allinpay", "insufficient_balance")
    second = await world.app.pay(world.order(world.cheap(), user_id=user))
    assert (second["channel"], second["status"]) == ("allinpay", "succeeded")
    decision = await world.app.get(f"/v1/payments/{second['id']}/decision")
    assert decision["chosen_by_step"] == 8


async def test_a_failed_payment_gives_its_daily_room_back(world: World) -> None:
    app = await world.merchant(only("unionpay", daily_limit=20_000))
    user = world.user()
    failed = await app.pay_to_the_end(world.order(20_000, user_id=user, card=world.card(tail="0064")))
    assert failed["status"] == "failed"
    paid = await app.pay_to_the_end(world.order(20_000, user_id=user))
    assert paid["status"] == "succeeded"
    refused = await app.pay(world.order(1, user_id=user))
    assert refused["failure"]["code"] == "daily_limit_exceeded"


async def test_a_refusal_of_a_card_that_another_account_verified_is_the_channels_fault(world: World) -> None:
    app = await world.merchant(with_spare)
    code = await world.code_of(app)
    user, card = world.user(), world.card()
    await world.admin("PATCH", f"/merchants/{code}/channels/spare", {"on": False})
    verified = await app.pay_to_the_end(world.order(world.dear(), user_id=user, card=card))
    assert (verified["status"], verified["channel"]) == ("succeeded", "unionpay")

    await world.admin("PATCH", f"/merchants/{code}/channels/spare", {"on": True})
    await world.fault("unionpay", "decline", code="66", times=1, match={"operation": "authenticate"})
    refused = await app.pay(world.order(world.dear(), user_id=user, card=card))
    assert (refused["channel"], refused["failure"]["code"]) == ("spare", "authentication_rejected")
    assert refused["failure"]["blame"] == "channel"
    switched = await app.pay_to_the_end(world.order(world.dear(), user_id=user, card=card))
    assert (switched["status"], switched["channel"]) == ("succeeded", "unionpay")


async def test_every_gateway_avoids_what_the_watch_of_one_switched_off_until_an_operator_ends_it(crowd: Crowd) -> None:
    world, (code, apps) = crowd.world, await everywhere(crowd)
    await chosen_everywhere(world, apps, "allinpay")
    watch = {"by": ["channel"], "switch_off": True}
    assert (await world.admin("PATCH", f"/merchants/{code}", {"watch": watch})).status == 200
    await world.sql(DEGRADED, code, uuid4(), "*/*/allinpay")
    await chosen_everywhere(world, apps, "unionpay", PATIENCE_S)  # the watch looks every ten seconds
    told = [one for one in (await chosen_at(world, apps[0], 20_000))["candidates"] if one["channel"] == "allinpay"]
    assert [(one["reason"], one["ailing"]["switched_off"]) for one in told] == [("channel_switched_off", True)]

    async def switch() -> Any:
        health = (await world.admin("GET", "/health/channels")).body["data"]
        (found,) = [each for each in health if (each["merchant"], each["channel"]) == (code, "allinpay")]
        return found["switch"]

    assert (await switch())["state"] == "resting"
    ended = await world.admin("POST", f"/merchants/{code}/channels/allinpay/switch_on", {"by": "operator li"})
    assert ended.body == {"data": [{"scene": "*", "bank": "*", "channel": "allinpay"}]}
    await chosen_everywhere(world, apps, "allinpay")
    assert ((await switch())["state"], (await switch())["on_by"]) == ("on", "operator li")
