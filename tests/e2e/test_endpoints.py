"""Endpoints of business systems: slow, gone, failing, rotated, subscribed; dead letters and sending again.

Waits of the schedule are taken off the row by hand. Not here: the schedule itself, addresses, redirects (the workers'
and the flow's own tests).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from gateway.domain.catalogue_content import EndpointContent, MerchantContent
from gateway.domain.ids import PAYMENT, read
from gateway.flows.notify import TRIES_MAX
from tests.e2e.business import App, Shown
from tests.e2e.merchants import Change, endpoint_at, new_secret
from tests.e2e.waiting import until
from tests.e2e.world import World, served


@dataclass
class Hook:
    """An endpoint that answers as the test wants it to. While `open` is not set it answers nothing."""

    secret: str = field(default_factory=new_secret)
    address: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.arrived.append((dict(request.headers), body))
        await self.open.wait()
        return web.Response(status=self.status, headers=self.headers)

    def types(self) -> list[str]:
        """The types of the events that arrived and verify."""
        return [Webhook(self.secret).verify(body, dict(headers))["type"] for headers, body in self.arrived]


@contextlib.asynccontextmanager
async def hooked() -> AsyncIterator[Hook]:
    hook = Hook()
    hook.open.set()
    app = web.Application()
    app.router.add_post("/", hook.take)
    async with served(app) as address:
        hook.address = f"{address}/"
        yield hook


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with hooked() as hook:
        yield hook


@pytest.fixture
async def other_hook() -> AsyncIterator[Hook]:
    async with hooked() as hook:
        yield hook


def told_at(*endpoints: EndpointContent) -> Change:
    def change(merchant: MerchantContent) -> MerchantContent:
        return replace(merchant, endpoints=endpoints)

    return change


async def delivery_of(app: App, payment: Shown, status: str | None = None, tries: int | None = None) -> Shown:
    """The only delivery of the payment's only event, once it is so far."""

    async def look() -> Shown | None:
        events = await app.events(payment["id"])
        if not events or not events[0]["deliveries"]:
            return None
        [delivery] = events[0]["deliveries"]
        is_so = status in (None, delivery["status"]) and tries in (None, delivery["tries"])
        return {"event": events[0]["id"], **delivery} if is_so else None

    return await until(look, f"delivery that is {status} after {tries} tries")


async def the_wait_is_over(world: World, payment: Shown, **columns: Any) -> None:
    """Make the delivery of the payment's event due now."""
    also = "".join(f", {name} = {value}" for name, value in columns.items())
    await world.sql(
        f"UPDATE deliveries SET due_at = now() - interval '1 s'{also} WHERE status = 'pending' AND event_id IN"
        " (SELECT event_id FROM events WHERE object_id = $1)",
        read(PAYMENT, payment["id"]),
    )


async def test_a_slow_endpoint_does_not_delay_another(world: World, hook: Hook, other_hook: Hook) -> None:
    slow = endpoint_at(hook.address, hook.secret, code="slow")
    quick = endpoint_at(other_hook.address, other_hook.secret, code="quick")
    app = await world.merchant(told_at(slow, quick))
    hook.open.clear()
    orders = 40
    await asyncio.gather(*(app.pay(world.order(20_000)) for _ in range(orders)))

    async def all_at_the_quick_one() -> bool | None:
        return len(other_hook.arrived) == orders or None

    await until(all_at_the_quick_one, "delivery of everything at the quick endpoint")
    assert not hook.open.is_set()
    assert 0 < len(hook.arrived) < orders
    hook.open.set()

    async def all_at_the_slow_one() -> bool | None:
        return len(hook.types()) == orders or None

    await until(all_at_the_slow_one, "delivery of everything at the slow endpoint")


async def test_an_endpoint_that_fails_is_tried_again(world: World, hook: Hook) -> None:
    app = await world.merchant(told_at(endpoint_at(hook.address, hook.secret)))
    hook.status = 500
    payment = await app.pay(world.order())
    failed = await delivery_of(app, payment, "pending", tries=1)
    assert (failed["last_status"], failed["delivered_at"]) == (500, None)
    hook.status = 200
    await the_wait_is_over(world, payment)
    await delivery_of(app, payment, "delivered", tries=2)
    (first, body), (second, same_body) = hook.arrived
    assert (first["webhook-id"], body) == (second["webhook-id"], same_body)


@pytest.mark.parametrize("status", [301, 302, 404, 503])
async def test_only_2xx_is_success(world: World, hook: Hook, status: int) -> None:
    app = await world.merchant(told_at(endpoint_at(hook.address, hook.secret)))
    hook.status, hook.headers = status, {"Location": world.receiver.address}
    failed = await delivery_of(app, await app.pay(world.order()), "pending", tries=1)
    assert failed["last_status"] == status


async def test_410_stops_the_endpoint_and_what_is_for_it_is_held_until_somebody_starts_it(
    world: World, hook: Hook
) -> None:
    app = await world.merchant(told_at(endpoint_at(hook.address, hook.secret, code="hook")))
    of_endpoint = f"/merchants/{await world.code_of(app)}/endpoints"
    word = {"by": "li", "note": "their server is back"}
    hook.status = 410
    payments = [await app.pay(world.order())]
    held = await delivery_of(app, payments[0], "held")
    assert (held["tries"], held["last_status"], held["due_at"]) == (1, 410, None)
    [state] = (await world.admin("GET", of_endpoint)).body["data"]
    assert (state["state"], state["stopped_because"]) == ("stopped", "it answered 410")

    arrived = len(hook.arrived)
    payments += [await app.pay(world.order()) for _ in range(2)]
    for payment in payments:
        await delivery_of(app, payment, "held")
    assert len(hook.arrived) == arrived
    again = await app.call("POST", f"/v1/events/{held['event']}/redeliver")
    assert (again.status, again.body["code"], again.body["held"]) == (409, "endpoints_stopped", 1)

    hook.status = 200
    started = await world.admin("POST", f"{of_endpoint}/hook/start", word)
    assert (started.status, started.body["state"]) == (200, "running")
    for payment in payments:
        delivered = await delivery_of(app, payment, "delivered")
        assert delivered["tries"] == 1


async def test_what_is_held_goes_to_the_url_that_the_endpoint_has_next(
    world: World, hook: Hook, other_hook: Hook
) -> None:
    merchants: list[MerchantContent] = []

    def change(merchant: MerchantContent) -> MerchantContent:
        merchants.append(replace(merchant, endpoints=(endpoint_at(hook.address, hook.secret),)))
        return merchants[0]

    app = await world.merchant(change)
    hook.status = 410
    payment = await app.pay(world.order())
    await delivery_of(app, payment, "held")
    await world.apply(replace(merchants[0], endpoints=(endpoint_at(other_hook.address, other_hook.secret),)))
    await delivery_of(app, payment, "delivered")
    assert other_hook.types() == ["payment.succeeded"]


async def test_a_dead_letter_is_seen_and_can_be_sent_again(world: World, hook: Hook) -> None:
    app = await world.merchant(told_at(endpoint_at(hook.address, hook.secret)))
    hook.status = 500
    payment = await app.pay(world.order())
    await delivery_of(app, payment, "pending", tries=1)
    await the_wait_is_over(world, payment, tries=TRIES_MAX - 1)
    dead = await delivery_of(app, payment, "dead")
    assert (dead["tries"], dead["last_status"], dead["due_at"]) == (TRIES_MAX, 500, None)
    hook.status = 200
    assert (await app.call("POST", f"/v1/events/{dead['event']}/redeliver")).body == {"deliveries": 1, "held": 0}
    await delivery_of(app, payment, "delivered")


async def test_two_secrets_sign_while_one_is_rotated(world: World, hook: Hook) -> None:
    old, new = new_secret(), new_secret()
    merchants: list[MerchantContent] = []

    def change(merchant: MerchantContent) -> MerchantContent:
        merchants.append(replace(merchant, endpoints=(endpoint_at(hook.address, new, old),)))
        return merchants[0]

    app = await world.merchant(change)
    await delivery_of(app, await app.pay(world.order()), "delivered")
    headers, body = hook.arrived.pop()
    assert Webhook(old).verify(body, dict(headers)) == Webhook(new).verify(body, dict(headers))

    await world.apply(replace(merchants[0], endpoints=(endpoint_at(hook.address, new),)))
    await delivery_of(app, await app.pay(world.order()), "delivered")
    headers, body = hook.arrived.pop()
    Webhook(new).verify(body, dict(headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(body, dict(headers))


async def test_an_endpoint_of_the_merchant_gets_what_it_subscribes_to(
    world: World, hook: Hook, other_hook: Hook
) -> None:
    risk = EndpointContent("risk", None, hook.address, ("payment.failed",), True, (hook.secret,))
    everything = endpoint_at(other_hook.address, other_hook.secret)
    app = await world.merchant(told_at(risk, everything))
    paid = await app.pay(world.order(20_000))
    failed = await app.pay(world.order(20_000, card=world.card(tail="3008")))
    assert (paid["status"], failed["status"]) == ("succeeded", "failed")
    await app.told(paid["id"])
    await app.told(failed["id"])
    assert hook.types() == ["payment.failed"]
    assert sorted(other_hook.types()) == ["payment.failed", "payment.succeeded"]


async def test_a_private_address_is_not_called_unless_it_is_allowed(world: World, hook: Hook) -> None:
    endpoint = replace(endpoint_at(hook.address, hook.secret), allow_private=False)
    app = await world.merchant(told_at(endpoint))
    refused = await delivery_of(app, await app.pay(world.order()), "pending", tries=1)
    assert refused["last_status"] is None
    assert refused["last_error"]
    assert hook.arrived == []
