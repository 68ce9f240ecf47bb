"""Gateway processes at whose checkouts payers pay. Whatever a test does there, the books are sound after it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.server.engine import create_engine
from tests.databases import close
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
async def other(database_url: str, keys_of_tills: Keys, till: Till) -> AsyncIterator[Till]:
    """The same at a second process on the same database."""
    engine = create_engine(database_url, 4, application_name="other")
    yield Till(Process(engine, keys_of_tills, till.process.catalogue, carries_of=till.process.carries_of))
    await close(engine)
