"""kill -9 of a gateway under load: nobody is charged twice, nothing is lost, everybody is told, the books are equal.

Payments of both providers, several of one new card at once, and refunds of what was paid; payouts at five companies, by
which payments are settled, beside refunds of the same, suspected by one of them, and given back. `make hunt` kills more
often.

Clients do what the API tells them to: what was not answered is sent again with the same number. Only the leases of the
dead process are cut short by hand (they last a minute); every other time passes as it does in production.
Not here: a machine that loses its power (the tests' database is not durable).
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDatabase
from tests.e2e.load import PAYING, all_is_well, cut_leases_short, orders_of
from tests.e2e.load_of_payouts import ASKED_AFTERWARDS, PayingOut, settlements_add_up
from tests.e2e.merchants import that_pays_out
from tests.e2e.processes import GatewayProcess, gateway_processes
from tests.e2e.world import QUICK_TERMS, World, new_world

KILLS = int(os.environ.get("SLUICE_HUNT_KILLS", "2"))
KILL_EVERY = 80
"""Orders that are answered between two kills."""
ORDERS = KILL_EVERY * (KILLS + 1)


@pytest.fixture
async def fragile(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[tuple[World, GatewayProcess]]:
    """A world whose only workers are those of one gateway process."""
    terms = {**QUICK_TERMS, "answer_timeout_s": 2.0}
    async with new_world(await new_database(), psp_keys, terms, workers=False) as world:
        await world.apply(that_pays_out(world.merchants["demo"]))
        async with gateway_processes(world, 1) as [process]:
            yield world, process


async def test_a_gateway_that_is_killed_under_load_charges_nobody_twice_and_loses_nothing(
    fragile: tuple[World, GatewayProcess],
) -> None:
    world, process = fragile
    load = PayingOut(world, [process.address])

    async def killed() -> None:
        process.kill()
        await cut_leases_short(world)
        process.start()

    async def kills() -> None:
        for kill in range(KILLS):
            await load.so_many_answered(KILL_EVERY // 2 + KILL_EVERY * kill)
            await killed()

    await load.run(orders_of(world, ORDERS), kills)
    assert load.sent_again > 0
    assert load.refunded
    given_back = await load.banks_give_back(await load.to_the_end())
    await killed()
    payouts = await load.all_back(given_back)
    await all_is_well(world, load, ORDERS, payouts)
    await settlements_add_up(world)
    assert {payout["channel"] for payout in payouts if payout["status"] == "succeeded"} == set(PAYING)
    assert {payout["channel"] for payout in payouts if payout["status"] == "returned"} == set(ASKED_AFTERWARDS)
