"""Gateway processes at whose checkouts payers pay. Whatever a test does there, the books are sound after it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.storage.payers import that_can
from tests.storage.tills import Till, till_place
from tests.unit.domain.samples import NOW


@pytest.fixture(scope="session")
def keys_of_tills() -> Keys:
    return new_keys()


@pytest.fixture
async def till(engine: AsyncEngine, keys_of_tills: Keys) -> AsyncIterator[Till]:
    till = Till(Process(engine, keys_of_tills, till_place(), carries_of=that_can()))
    yield till
    assert await examine(engine, NOW) == []


@pytest.fixture
async def other(other_engine: AsyncEngine, keys_of_tills: Keys, till: Till) -> Till:
    """The same at a second process on the same database."""
    return Till(Process(other_engine, keys_of_tills, till.process.catalogue, carries_of=till.process.carries_of))
