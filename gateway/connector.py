"""aiohttp's connector, for servers that may do anything: PSPs and endpoints of notifications.

aiohttp reads interim answers (1xx) for as long as a server sends them; one that sends nothing else would keep a core
busy for ever. Here a server has a few of them.
"""

from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

__all__ = ["INTERIM_ANSWERS", "BoundedConnector"]

INTERIM_ANSWERS: Final = 16


class BoundedConnector(aiohttp.TCPConnector):
    """A connector whose connections raise `aiohttp.ClientPayloadError` at the interim answer that is one too many."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment]


class _Protocol(ResponseHandler):
    __slots__ = ("_heads",)

    def set_response_params(self, **params: Any) -> None:
        """Called for each request that the connection carries."""
        self._heads = 0
        super().set_response_params(**params)

    async def read(self) -> tuple[RawResponseMessage, StreamReader]:
        """The next head, interim or final."""
        self._heads += 1
        if self._heads > INTERIM_ANSWERS + 1:
            raise aiohttp.ClientPayloadError("too many interim answers")
        return await super().read()
