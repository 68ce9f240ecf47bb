"""The wire: one HTTP exchange over an aiohttp session, and the only place that decides what was *not sent*.

Not sent is a fact about bytes, not about the class of an exception: nothing of the request was handed to a connection.
So a name that does not resolve, a refusal, a silent SYN, TLS that fails or never answers are `NotSentError`. From the
moment that writing begins everything is `AnswerLostError`: a server that hung up, a timeout, an answer cut or too big,
interim answers without end, whatever is not recognised.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
import httpx
from aiohttp.connector import Connection
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed, wait_random
from yarl import URL

from gateway.connector import BoundedConnector, words_of
from gateway.ports import AnswerLostError, NotSentError, Transport, TransportError

__all__ = ["MAX_BODY_BYTES", "AiohttpTransport", "retry_not_sent"]

MAX_BODY_BYTES: Final = 1024 * 1024
"""An answer about orders is a few KB. Statements, which are bigger, are another transport's business."""
KEEP_ALIVE_S: Final = 10.0
"""Idle connections are dropped sooner than PSPs drop them: a request on a dead one would be unknown for nothing."""
CONNECTIONS: Final = 1256
"""More than the caller ever has under way: a request that waited for a connection would be unknown, though unsent."""
DNS_CACHE_S: Final = 10

TRIES: Final = 3
TRIES_WITHIN_S: Final = 5.0
"""From the first try on: later than that others may already be asking about the order."""
WAITS_S: Final = (0.1, 0.3)
JITTER_S: Final = 0.1

_PHASES: Final = ("connect", "read", "write", "pool")
_NOT_OURS_TO_ADD: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
# The body is decoded here: httpx would decode it a second time, without a bound.
_DECODED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class AiohttpTransport(httpx.AsyncBaseTransport):
    """A `ports.Transport` that is an `httpx.AsyncBaseTransport` too. Close it with `aclose` or `async with`.

    A request is sent exactly once, whatever its method, follows no redirect, keeps no cookie and uses no proxy.
    """

    def __init__(
        self,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        keep_alive_s: float = KEEP_ALIVE_S,
        connections: int = CONNECTIONS,
    ) -> None:
        self._max_body_bytes, self._keep_alive_s, self._connections = max_body_bytes, keep_alive_s, connections
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Send and read the whole answer. Raises NotSentError, AnswerLostError; ValueError without timeouts."""
        return await self._exchange(request, self._read)

    async def download(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        """The same of an answer that is big: its body goes to a file. A `ports.statements.Download`."""

        async def kept(answer: aiohttp.ClientResponse) -> bytes:
            size = 0
            with to.open("wb") as file:
                async for piece in answer.content.iter_any():
                    size += len(piece)
                    if size > max_bytes:
                        answer.close()
                        raise AnswerLostError(f"the answer is above {max_bytes} bytes")
                    file.write(piece)
            return b""

        return await self._exchange(request, kept)

    async def _exchange(
        self, request: httpx.Request, read: Callable[[aiohttp.ClientResponse], Awaitable[bytes]]
    ) -> httpx.Response:
        timeout = _timeout(request)
        session = self._session or self._open()
        body = await request.aread()
        try:
            async with session.request(
                request.method,
                URL(str(request.url), encoded=True),
                data=body or None,
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
                skip_auto_headers=_NOT_OURS_TO_ADD,
                allow_redirects=False,
                timeout=timeout,
            ) as answer:
                content = await read(answer)
        except TransportError:
            raise
        except Exception as error:
            raise AnswerLostError(f"no answer: {words_of(error)}") from error
        headers = [
            (name, value) for name, value in answer.raw_headers if name.decode("latin-1").lower() not in _DECODED
        ]
        return httpx.Response(answer.status, headers=headers, content=content, request=request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same for an `httpx.AsyncClient`; the errors stay ours."""
        return await self(request)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        """On the first call, since a session belongs to the loop that runs."""
        self._session = aiohttp.ClientSession(
            connector=BoundedConnector(
                limit=self._connections,
                keepalive_timeout=self._keep_alive_s,
                ttl_dns_cache=DNS_CACHE_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=True,
            middlewares=(_once,),
            request_class=_Request,
        )
        return self._session

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """Leaving the `async with` of a half-read answer closes its connection."""
        pieces, size = [], 0
        async for piece in answer.content.iter_any():
            size += len(piece)
            if size > self._max_body_bytes:
                answer.close()
                raise AnswerLostError(f"the answer is above {self._max_body_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)


class _Request(aiohttp.ClientRequest):
    """Knows whether any of it may have been written."""

    is_begun = False

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Called with a connection that is made; what comes from here on may have reached the server.

        Nothing is written to one that is known to be gone again.
        """
        if conn.transport is None or conn.transport.is_closing():
            raise aiohttp.ClientConnectionResetError("gone before anything was written")
        self.is_begun = True
        return await super().send(conn)


async def _once(
    request: aiohttp.ClientRequest, handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
) -> aiohttp.ClientResponse:
    """Turn errors into ours below the place where aiohttp would send an idempotent request again on its own."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        assert isinstance(request, _Request)
        if request.is_begun:
            raise AnswerLostError(f"no answer: {words_of(error)}") from error
        raise NotSentError(f"not connected: {words_of(error)}") from error


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    """All four phases of httpx must be said. The whole exchange may take connect + read.

    The limit of connecting covers the name, the connection and TLS, and ends before the total: what was never
    connected is told by it, as not sent. aiohttp has no limit for writing alone: it lies within the total.
    """
    said = request.extensions.get("timeout") or {}
    connect, read, _, _ = (_seconds(said.get(phase), phase) for phase in _PHASES)
    return aiohttp.ClientTimeout(total=connect + read, connect=connect, sock_connect=connect, sock_read=read)


def _seconds(value: object, phase: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ValueError(f"the request states no {phase} timeout")
    return float(value)


def retry_not_sent(
    transport: Transport,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """The same transport, trying again what was not sent, and nothing else: the same request, TRIES times in all.

    No try begins later than TRIES_WITHIN_S after the first. `clock` tells seconds.
    """
    policy = retry(
        retry=retry_if_exception_type(NotSentError),
        stop=stop_after_attempt(TRIES - 1),
        wait=wait_fixed(WAITS_S[1]) + wait_random(0, JITTER_S),
        sleep=sleep,
        reraise=True,
    )

    async def call(request: httpx.Request) -> httpx.Response:
        began = clock()
        try:
            return await transport(request)  # nearly every call: the policy costs as much as the rest of it
        except NotSentError as error:
            first = error
        await sleep(WAITS_S[0])

        async def in_time() -> httpx.Response:
            if clock() - began > TRIES_WITHIN_S:
                raise _TooLateError from first
            return await transport(request)

        try:
            return await policy(in_time)()
        except _TooLateError:
            raise first from None

    return call


class _TooLateError(Exception):
    """No more tries: the time for them is over."""
