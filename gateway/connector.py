"""aiohttp's connector, for servers that may do anything: PSPs and endpoints of notifications.

aiohttp reads interim answers (1xx) for as long as a server sends them, and parses all that has come before anybody
looks at the first; one that sends nothing else would keep a core busy. Here what comes before the final head is bounded
in number and in bytes, and read in small slices. Its time is bounded by the request's own timeouts.
"""

import os
import ssl
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

__all__ = ["HEADS_MAX_BYTES", "INTERIM_ANSWERS", "BoundedConnector", "words_of"]

INTERIM_ANSWERS: Final = 16
HEADS_MAX_BYTES: Final = 64 * 1024
"""Of all heads before the body, the final one included."""
SLICE_BYTES: Final = 2048
"""So much is parsed before the bounds are looked at; most heads are shorter."""


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
    """A connector whose connections raise `aiohttp.ClientPayloadError` and close when heads come without end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment]


class _Protocol(ResponseHandler):
    __slots__ = ("_before_body", "_heads", "_is_final")

    def set_response_params(self, **params: Any) -> None:
        """Called for each request that the connection carries."""
        self._heads = self._before_body = 0
        self._is_final = False
        super().set_response_params(**params)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """One head has been parsed."""
        self._heads += 1
        self._is_final = self._is_final or data[0].code >= 200
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: those of heads in slices, those of a body as they are."""
        start = 0
        while self._parser is not None and not self._is_final and start < len(data):
            piece = data[start : start + SLICE_BYTES]
            start += len(piece)
            self._before_body += len(piece)
            super().data_received(piece)
            if self._heads > INTERIM_ANSWERS + 1 or (not self._is_final and self._before_body > HEADS_MAX_BYTES):
                self._give_up()
                return
        if start < len(data) or not data:
            heads = self._heads
            super().data_received(data[start:])
            if self._heads > heads:
                self._give_up()  # a head behind the final one: nobody asked for it

    def _give_up(self) -> None:
        self.set_exception(aiohttp.ClientPayloadError("heads without end"))
        if self.transport is not None:
            self.transport.abort()
