"""Opening a connection: to whichever host of the address takes writes, each tried a bounded time."""

from typing import Any

import asyncpg

from gateway.database_url import one_per_host

__all__ = ["CONNECT_WITHIN_S", "Connect"]

CONNECT_WITHIN_S = 10.0
NEXT_HOST = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)
"""It is away, silent, starting, or a standby."""


class Connect:
    """Connects to one of an address's hosts, beginning with the one that answered last.

    Each has an equal share of the time, so that one which swallows everything does not hide the others.
    """

    def __init__(self, url: str, within_s: float = CONNECT_WITHIN_S) -> None:
        """Raises DatabaseUrlError."""
        self._hosts = one_per_host(url)
        self._within_s = within_s
        self._last = 0

    async def __call__(self, _: None = None, **told: Any) -> Any:
        """A connection of asyncpg, which takes `told` (a pool also passes an address: none).

        Raises what the last host's try raised: OSError where it is away.
        """
        count, first = len(self._hosts), self._last
        for turn in range(count):
            at = (first + turn) % count
            try:
                connection = await asyncpg.connect(self._hosts[at], **told, timeout=self._within_s / count)
            except NEXT_HOST as error:
                if turn == count - 1 and isinstance(error, asyncpg.TargetServerAttributeNotMatched):
                    raise ConnectionError("none of its hosts takes writes") from None
                if turn == count - 1:
                    raise
            else:
                self._last = at
                return connection
        raise AssertionError("an address has a host")

    def for_engine(self, **told: Any) -> Any:
        """The same for SQLAlchemy's engines, which also pass what they read in the URL: here it is known already."""

        async def creator(**_: Any) -> Any:
            return await self(**told)

        return creator
