"""kill -9 of PostgreSQL under load: what was answered is in the books, nobody is charged twice, the books are equal.

The database here is a durable one of the test's own. Not here: a machine that loses its power.
"""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
from structlog.testing import capture_logs

from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.migrate import upgrade
from tests.e2e.business import Shown, path_of
from tests.e2e.waiting import until
from tests.e2e.world import PROVIDERS, World, new_world

ORDERS = 80
AT_ONCE = 20
KILL_AFTER = 25
TRY_AGAIN_S = 0.1
MAX_TRIES = 400


async def test_a_database_that_is_killed_under_load_loses_nothing_that_was_answered(
    short_folder: Path, psp_keys: Path
) -> None:
    # What is logged meanwhile is long, and dear to draw.
    with capture_logs(), EmbeddedPostgres(short_folder / "pg-crash", tell=lambda _: None) as server:
        await upgrade(server.url)
        async with new_world(server.url, psp_keys) as world:
            answered: dict[str, str] = {}
            refused: list[int] = []
            room = asyncio.Semaphore(AT_ONCE)

            async def send(order: Shown) -> None:
                async with room:
                    for _ in range(MAX_TRIES):
                        try:
                            answer = await world.app.call("POST", path_of(order), order)
                        except aiohttp.ClientError:
                            answer = None
                        if answer is not None and answer.status in (200, 201):
                            answered[order["merchant_order_no"]] = answer.body["id"]
                            return
                        refused.append(answer.status if answer else 0)
                        await asyncio.sleep(TRY_AGAIN_S)
                raise AssertionError("the gateway never came back")

            async def kill() -> None:
                async def so_many() -> bool | None:
                    return len(answered) >= KILL_AFTER or None

                await until(so_many, f"{KILL_AFTER} answers")
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)

                async def noticed() -> bool | None:
                    return bool(refused) or None

                await until(noticed, "answer without a database")
                server.stop()
                server.start()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(kill())
                for number in range(ORDERS):
                    tasks.create_task(send(world.order(world.cheap() if number % 2 else world.dear())))

            assert set(refused) <= {503, 500, 0}
            payments = [await world.app.final(payment_id, 60.0) for payment_id in answered.values()]
            assert len({payment["id"] for payment in payments}) == ORDERS
            await never_twice(world, payments)
            assert await world.differences(payments) == []
            assert world.system is not None
            assert await world.system.doctor() == []


async def never_twice(world: World, payments: list[Shown]) -> None:
    """Each order is at its provider once at most, and nothing is there that we do not have."""
    rows = [row for provider in PROVIDERS for row in await world.transactions(provider)]
    assert {row["submissions"] for row in rows} == {1}
    ours = {payment["channel_order_no"] for payment in payments}
    assert {row["order_no"] for row in rows if row["kind"] != "open_card"} <= ours
