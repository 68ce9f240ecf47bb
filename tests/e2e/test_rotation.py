"""The card ring is rotated under load, two processes restarting one after the other, as docs/operations.md says.

During all of it repeated orders give no 409 and no second payment, no card is doubled, and nothing is unreadable. Not
tested here: rotations that are done in the wrong order (tests/storage/test_cards).
"""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from gateway.run.keys import key_environment
from gateway.settings import SAMPLE_API_KEY, Settings
from tests.e2e.business import App, Shown
from tests.e2e.conftest import NewDatabase
from tests.e2e.processes import GatewayProcess, gateway_processes
from tests.e2e.waiting import until
from tests.e2e.world import World, new_key, new_world

CARDS = 24
SENDERS = 2
SOME_ORDERS = 12
PATIENCE_S = 60.0
TRY_AGAIN_S = 0.05
BREATH_S = 0.25
"""Between two rounds of a sender: the load is steady, and leaves room for what restarts."""
DOTS = "·•‧・･"


@dataclass
class Load:
    """Orders of known and new cards, each sent to both processes, and again later; every answer is looked at."""

    world: World
    apps: Sequence[App]
    cards: list[tuple[str, Shown]]
    taken: dict[str, tuple[Shown, str]] = field(default_factory=dict)
    """Order number → the order and its payment's id."""
    wrong: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def send(self) -> None:
        """Until it ends: a new order, the same again to the other process, and an old one to both."""
        while not self.ended.is_set():
            number = next(self._numbers)
            user_id, card = self.cards[number % len(self.cards)]
            typed = card | {"holder_name": card["holder_name"].replace("·", DOTS[number % len(DOTS)])}
            amount = self.world.cheap() if number % 2 else self.world.dear()
            order = self.world.order(amount, user_id=user_id, card=typed, bank="ICBC")
            await self._both(order, number)
            old = list(self.taken.values())[number * 7 % len(self.taken)][0]
            await self._both(old, number)
            await asyncio.sleep(BREATH_S)

    async def so_many_more(self) -> None:
        """Wait until some more orders were taken."""
        enough = len(self.taken) + SOME_ORDERS

        async def look() -> bool | None:
            assert self.wrong == []
            return len(self.taken) >= enough or None

        await until(look, f"{enough} orders", PATIENCE_S)

    async def _both(self, order: Shown, number: int) -> None:
        for app in (self.apps[number % 2], self.apps[1 - number % 2]):
            await self._send(app, order)

    async def _send(self, app: App, order: Shown) -> None:
        while True:
            try:
                answer = await app.call("POST", "/v1/withholds", order)
            except aiohttp.ClientError:  # it restarts
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            break
        order_no = order["merchant_order_no"]
        known = self.taken.get(order_no)
        if answer.status not in (200, 201) or (known and (answer.status, answer.body["id"]) != (200, known[1])):
            self.wrong.append(f"{order_no}: {answer.status} {answer.raw!r}")
        elif not known:
            self.taken[order_no] = (order, answer.body["id"])


async def test_a_rolling_rotation_under_load_doubles_nothing_and_loses_nothing(
    new_database: NewDatabase, psp_keys: Path
) -> None:
    one, two = f"1:{new_key()}", f"2:{new_key()}"
    # The gateway of this process only makes the merchants: what follows is between two others.
    async with new_world(await new_database(), psp_keys, workers=False, ring=f"{one},{two}") as world:
        await _rotate(world, one, two)


async def _rotate(world: World, one: str, two: str) -> None:
    def with_ring(ring: str, primary: int | None) -> Settings:
        return world.settings.model_copy(update={"card_keys": SecretStr(ring), "card_primary": primary})

    async with gateway_processes(world, 2, with_ring(one, None)) as processes:
        cards = [(world.user(), world.card() | {"holder_name": f"买买提·艾力{n}"}) for n in range(CARDS)]
        load = Load(world, [App(world, process.address, SAMPLE_API_KEY) for process in processes], cards)
        senders = [asyncio.create_task(load.send()) for _ in range(SENDERS)]
        try:
            await load.so_many_more()
            for ring, primary in ((f"{one},{two}", None), (f"{one},{two}", 2)):
                await _roll(world, processes, with_ring(ring, primary))
                await load.so_many_more()
            said = await asyncio.to_thread(_command, with_ring(f"{one},{two}", 2), "cards", "rewrap")
            assert "key 1: nothing is under it, it can leave the ring" in said
            await load.so_many_more()
            await _roll(world, processes, with_ring(two, None))
            await load.so_many_more()
        finally:
            load.ended.set()
            await asyncio.gather(*senders)
        assert load.wrong == []
        for number, (order, payment_id) in enumerate(load.taken.values()):
            answer = await load.apps[number % 2].call("POST", "/v1/withholds", order)
            assert (answer.status, answer.body["id"]) == (200, payment_id)
        assert not [line for process in processes for line in process.lines if "does not open" in line]
    rows = await world.sql("SELECT user_id, count(*) AS cards FROM cards GROUP BY user_id")
    assert {row["cards"] for row in rows} == {1}
    assert len(rows) == min(CARDS, len(load.taken))
    twice = "SELECT 1 FROM authentications GROUP BY card_id, account HAVING count(*) > 1"
    assert await world.sql(twice) == []

    async def at_rest() -> bool | None:
        (row,) = await world.sql("SELECT count(*) AS found FROM payments WHERE due_at IS NOT NULL")
        return row["found"] == 0 or None

    await until(at_rest, "every payment's end", PATIENCE_S)
    assert world.system is not None
    assert await world.system.doctor() == []


async def _roll(world: World, processes: list[GatewayProcess], settings: Settings) -> None:
    """Restart one after the other; the other one takes the orders meanwhile."""
    for process in processes:
        await process.end()
        process.use(settings)
        process.start()
        await process.ready(world.session)


def _command(settings: Settings, *words: str) -> str:
    environment = os.environ | key_environment(settings) | {"SLUICE_DATABASE_URL": settings.database_url or ""}
    done = subprocess.run(
        [sys.executable, "-m", "gateway.run.cli", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
