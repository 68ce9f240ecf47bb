"""The catalogue in memory: one snapshot per process, read again within a second of a change."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from gateway.domain.catalogue import Catalogue
from gateway.logs import get

__all__ = ["CatalogueWatch", "Source"]

INTERVAL_S = 0.5
READ_WITHIN_S = 10.0
"""A database that answers no sooner counts as away."""

Listener = Callable[[Catalogue], None]
log = get(__name__)


class Source(Protocol):
    """Where snapshots come from: a CatalogueStore."""

    async def version(self) -> int: ...

    async def load(self) -> Catalogue: ...


class CatalogueWatch:
    """Holds the snapshot in force. When the database is away the last one stays, and payments go on by it."""

    def __init__(self, store: Source, interval_s: float = INTERVAL_S) -> None:
        self._store, self._interval_s = store, interval_s
        self._current: Catalogue | None = None
        self._listeners: list[Listener] = []
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._away = False

    @property
    def current(self) -> Catalogue:
        """The snapshot in force. Only after `start` or `refresh_now`."""
        assert self._current is not None, "the catalogue has not been read yet"
        return self._current

    @property
    def away(self) -> bool:
        """Whether the last look at the database failed, so that the snapshot may be old."""
        return self._away

    def on_change(self, callback: Listener) -> None:
        """Call this with every new snapshot, the first one included."""
        self._listeners.append(callback)

    async def start(self) -> None:
        """Read the catalogue and keep looking for changes. Raises what the database raises."""
        await self.refresh_now()
        self._task = asyncio.create_task(self._watch(), name="catalogue watch")

    async def stop(self) -> None:
        """Look no more; the last snapshot stays."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def refresh_now(self) -> Catalogue:
        """Read the catalogue if it changed. Raises what the database raises."""
        async with self._reading, asyncio.timeout(READ_WITHIN_S):
            if self._current is None or await self._store.version() != self._current.version:
                self._take(await self._store.load())
        return self.current

    def _take(self, snapshot: Catalogue) -> None:
        self._current = snapshot
        log.info("catalogue in force", catalogue_version=snapshot.version)
        for listener in self._listeners:
            try:
                listener(snapshot)
            except Exception:
                # A listener that fails must not keep the others, or the next change, from being heard.
                log.exception("a listener to the catalogue failed", catalogue_version=snapshot.version)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.refresh_now()
            except Exception as error:  # noqa: BLE001 -- whatever keeps it from being read, the last one stays
                self._say_away(error)
            else:
                self._say_back()

    def _say_away(self, error: Exception) -> None:
        if not self._away:
            log.warning("catalogue cannot be read, the last one stays", error_type=type(error).__name__)
        self._away = True

    def _say_back(self) -> None:
        if self._away:
            log.info("catalogue can be read again", catalogue_version=self.current.version)
        self._away = False
