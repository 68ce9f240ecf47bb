"""A gateway whose way to the database is cut or falls silent: what it answers meanwhile, and what it recorded after.

Not here: a server that is killed (test_database_crash), and each cause by itself (tests/storage/test_comes_again,
tests/storage/test_failover).
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.e2e.business import path_of
from tests.e2e.conftest import NewDatabase
from tests.e2e.waiting import until
from tests.e2e.world import World, new_world
from tests.silent_proxy import SilentProxy, silent_proxy

ORDERS = 30
READS = 8
ADMIN_READS = ("/catalogue", "/merchants/demo/dead_letters", "/merchants/demo/anomalies", "/merchants/demo/channels")


@pytest.fixture(scope="module")
async def proxy_and_world(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[tuple[SilentProxy, World]]:
    """A gateway without workers, so that nobody but the one who sent asks a PSP."""
    url = await new_database()
    async with silent_proxy(url) as proxy, new_world(proxy.url(url), psp_keys, workers=False) as world:
        yield proxy, world
        assert world.system is not None
        assert await world.system.doctor() == []


@pytest.fixture
async def proxy(proxy_and_world: tuple[SilentProxy, World]) -> SilentProxy:
    return proxy_and_world[0]


@pytest.fixture
async def world(proxy_and_world: tuple[SilentProxy, World]) -> World:
    return proxy_and_world[1]


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_the_first_reads_after_a_cut_are_answered(proxy: SilentProxy, world: World, how: str) -> None:
    paid = await world.app.pay(world.order())
    path = f"/v1/payments/{paid['id']}"
    await asyncio.gather(*(world.app.get(path) for _ in range(READS)))  # every connection was used
    if how == "cut":
        proxy.cut()
        proxy.mend()
    else:
        proxy.fall_silent()
    answers = await asyncio.gather(
        *(world.app.call("GET", path) for _ in range(READS)), *(world.admin("GET", each) for each in ADMIN_READS)
    )
    assert [answer.status for answer in answers[:READS]] == [200] * READS
    assert [answer.status for answer in answers[READS:]] == [200] * len(ADMIN_READS)


async def test_nobody_is_refused_when_the_address_points_at_another_server(proxy: SilentProxy, world: World) -> None:
    await asyncio.gather(*(world.app.pay(world.order()) for _ in range(READS)))
    silent = proxy.opened
    proxy.fall_silent()
    payments = await asyncio.gather(*(world.app.pay(world.order()) for _ in range(ORDERS)))
    assert len({payment["id"] for payment in payments}) == ORDERS
    # Not each of the dead connections was waited for.
    assert len(proxy.asked) < silent
    assert await world.differences(payments) == []


async def test_a_database_that_is_away_has_a_word_of_its_own(proxy: SilentProxy, world: World) -> None:
    order = world.order()
    paid = await world.app.pay(world.order())
    proxy.cut()
    try:
        for answer in (
            await world.app.call("GET", f"/v1/payments/{paid['id']}"),
            await world.app.call("GET", "/v1/payments?limit=1"),
            await world.app.call("POST", path_of(order), order),
            await world.admin("GET", "/merchants/demo/dead_letters"),
        ):
            assert (answer.status, answer.body["code"]) == (503, "database_unavailable"), answer.raw
            assert int(answer.headers["Retry-After"]) > 0
            assert "waiting" not in answer.body["detail"]
    finally:
        proxy.mend()
    assert (await world.app.get(f"/v1/payments/{paid['id']}"))["id"] == paid["id"]
    assert (await world.app.pay(order))["merchant_order_no"] == order["merchant_order_no"]


async def test_what_a_psp_answered_while_the_database_was_away_is_recorded(proxy: SilentProxy, world: World) -> None:
    order = world.order(world.cheap())
    await world.fault("allinpay", "delay", order["amount"], seconds=2)
    sent = asyncio.create_task(world.app.call("POST", path_of(order), order))

    async def is_there() -> bool | None:
        return any(row["amount"] == order["amount"] for row in await world.transactions("allinpay")) or None

    await until(is_there, "order at its provider")
    with capture_logs() as said:
        proxy.cut()

        async def held_back() -> bool | None:
            return any("comes again" in line["event"] for line in said) or None

        await until(held_back, "word that could not be recorded")
        proxy.mend()
    answer = await sent
    assert answer.status in {200, 201, 202}, answer.raw
    payment = await world.app.final(answer.body["id"])
    assert payment["status"] == "succeeded"
