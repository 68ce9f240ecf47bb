"""Work that is nice to others is nice in the server, too; elsewhere nobody's priority is touched."""

import os
from collections.abc import AsyncIterator

import pytest

from gateway.storage.server.connect import Connect
from gateway.storage.server.database import Connection
from gateway.storage.server.nice import WHO, be_nice
from tests.databases import VARIABLE

NICE = 19


def niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    if VARIABLE in os.environ:
        pytest.skip("the server may be on another machine")
    connection = await Connect(database_url)()
    yield connection
    await connection.close()


class Pooled:
    """A connection as a pooler shows it: the number of the session's process is not the one that was told at first."""

    def __init__(self, connection: Connection) -> None:
        self.fetchrow = connection.fetchrow

    def get_server_pid(self) -> int:
        return 1


async def test_a_session_becomes_as_nice_as_its_client(connection: Connection) -> None:
    await be_nice(connection, NICE)
    assert niceness(connection.get_server_pid()) == NICE


async def test_a_session_that_a_pooler_gives_to_others_afterwards_stays_as_it_is(connection: Connection) -> None:
    before = niceness(connection.get_server_pid())
    await be_nice(Pooled(connection), NICE)
    assert niceness(connection.get_server_pid()) == before != NICE


async def test_who_may_not_see_the_data_folder_changes_nothing_and_breaks_no_transaction(
    connection: Connection,
) -> None:
    await connection.execute("CREATE ROLE plain; SET ROLE plain")
    try:
        async with connection.transaction():
            await be_nice(connection, NICE)
            assert (await connection.fetchrow(WHO))["cluster"] is None
    finally:
        await connection.execute("RESET ROLE; DROP ROLE plain")
    assert niceness(connection.get_server_pid()) != NICE
