"""The snapshot in memory when its source fails. Following a real database: tests/storage/test_catalogue.py."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.domain.catalogue import Catalogue
from gateway.storage.catalogue.watch import CatalogueWatch


class Source:
    """A store whose looks are counted, and which can go away."""

    def __init__(self) -> None:
        self.newest, self.away, self.looks = 1, False, 0
        self.looked = asyncio.Condition()

    async def version(self) -> int:
        async with self.looked:
            self.looks += 1
            self.looked.notify_all()
        if self.away:
            raise OSError("no route to the database")
        return self.newest

    async def load(self) -> Catalogue:
        return Catalogue(self.newest)

    async def look(self, more: int = 2) -> None:
        """Wait until the watch has looked again, and had time to make something of it."""
        goal = self.looks + more
        async with asyncio.timeout(60), self.looked:
            await self.looked.wait_for(lambda: self.looks >= goal)


async def test_the_last_snapshot_stays_while_the_database_is_away_and_that_is_said_once() -> None:
    source = Source()
    watch = CatalogueWatch(source, interval_s=0.001)
    with capture_logs() as said:
        await watch.start()
        try:
            source.away, source.newest = True, 2
            await source.look(5)
            assert (watch.current.version, watch.away) == (1, True)
            source.away = False
            await source.look(3)
            assert (watch.current.version, watch.away) == (2, False)
        finally:
            await watch.stop()
    events: list[Any] = [line["event"] for line in said]
    assert events.count("catalogue cannot be read, the last one stays") == 1
    assert events.count("catalogue can be read again") == 1
    assert "no route" not in str(said)


async def test_starting_without_a_database_fails() -> None:
    source = Source()

    async def broken() -> Catalogue:
        raise OSError("away")

    source.load = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="away"):
        await CatalogueWatch(source).start()


async def test_a_listener_that_fails_does_not_keep_the_others_from_hearing() -> None:
    watch, heard = CatalogueWatch(Source()), []

    def fail(_: Catalogue) -> None:
        raise RuntimeError("a bug")

    watch.on_change(fail)
    watch.on_change(lambda catalogue: heard.append(catalogue.version))
    with capture_logs():
        await watch.refresh_now()
        await watch.refresh_now()
    assert heard == [1]
