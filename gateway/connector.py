"""aiohttp's connector, for servers that may do anything: PSPs and endpoints of notifications.

aiohttp reads interim answers (1xx) for as long as a server sends them; one that sends nothing else would keep a core
busy for ever. Here a server has a few of them.
"""

import os
import ssl
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

__all__ = ["INTERIM_ANSWERS", "BoundedConnector", "words_of"]

INTERIM_ANSWERS: Final = 16


def words_of(error: BaseException) -> str:
    """What went wrong on the wire, for people: no class name, no URL, no address."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause, error:
        case _, aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case TimeoutError(), _:
            return "no answer in time"
        case _, aiohttp.ClientConnectorDNSError():
            return "the name does not resolve"
        case _, aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "TLS failed"
        case ssl.SSLError(), _:
            return "TLS failed"
        case OSError(errno=int(number)), _ if number > 0:
            return os.strerror(number)
        case _, aiohttp.ServerDisconnectedError():
            return "the server hung up"
        case _, aiohttp.ClientPayloadError():
            return "the answer was cut, or cannot be decoded"
        case _, aiohttp.ClientResponseError():
            return "the answer is not readable as HTTP"
    return "the connection failed"


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
