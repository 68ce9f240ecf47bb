"""Worlds: one for most tests, and databases for those that need one of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest

from gateway.domain import clocks
from tests.databases import Server, copy_of
from tests.e2e.business import App
from tests.e2e.on_pages import paged_app, tell_where_to_call
from tests.e2e.processes import Crowd, gateway_processes
from tests.e2e.world import World, new_world

_numbers = count(1)
NewDatabase = Callable[[], Awaitable[str]]


@pytest.fixture(autouse=True)
def a_measured_clock_is_believed_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateways in this process stand still while tests run that are no coroutines, longer than its minute."""
    monkeypatch.setattr(clocks, "MAX_AGE_S", 3600.0)


@pytest.fixture(scope="session")
def new_database(postgres: Server, template: str) -> NewDatabase:
    """Makes migrated databases that live as long as the server."""

    async def make() -> str:
        return await copy_of(postgres, template, f"e2e_{next(_numbers)}")

    return make


@pytest.fixture(scope="session")
async def world(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[World]:
    """The world of most tests. Leaving it, the books are examined: no test may have broken them."""
    async with new_world(await new_database(), psp_keys) as world:
        yield world
        assert world.system is not None
        assert await world.system.doctor() == []


@pytest.fixture(scope="session")
async def patient(world: World) -> App:
    """A merchant whose payers pay on pages. Until their time is over nothing is asked: words come by themselves."""
    app = await paged_app(world)
    await tell_where_to_call(world, app)
    return app


@pytest.fixture(scope="module")
async def crowd(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[Crowd]:
    """Three gateways on one database: one in this process, and two in processes of their own.

    Apart from `world`, so that a merchant there is known to everybody as soon as it is made. It ends with the module:
    three gateways that have nothing to do take a twentieth of a processor.
    """
    async with new_world(await new_database(), psp_keys) as world, gateway_processes(world, 2) as processes:
        yield Crowd(world, [process.address for process in processes])
        assert world.system is not None
        assert await world.system.doctor() == []
