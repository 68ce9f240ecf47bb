"""A small HTTP/1.1 server: on two cores, whatever the counterparts burn is taken from the gateway that is measured."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final, cast

import uvloop

__all__ = ["MAX_REQUEST_BYTES", "Answerer", "Request", "content_length", "serve_until_told"]

MAX_REQUEST_BYTES: Final = 256 * 1024
BACKLOG: Final = 1024
HEAD_END: Final = b"\r\n\r\n"


class Request:
    """One request: its method and path as one word pair, its raw head, its body, and when it was read."""

    __slots__ = ("body", "head", "read_at", "what")

    def __init__(self, head: bytes, body: bytes, read_at: float) -> None:
        self.head, self.body, self.read_at = head, body, read_at
        self.what = head[: head.index(b" HTTP/")]

    def header(self, name: bytes) -> bytes:
        """The value of a header, or nothing; `name` in small letters."""
        small = self.head.lower()
        start = small.find(b"\r\n" + name + b":")
        if start < 0:
            return b""
        start += len(name) + 3
        end = self.head.find(b"\r\n", start)
        return self.head[start : end if end >= 0 else len(self.head)].strip()


Answerer = Callable[[Request], Awaitable[tuple[int, bytes]] | tuple[int, bytes]]
"""Gives status and JSON body, at once or later."""


def content_length(head: bytes) -> int:
    """The length that a head states, 0 without one."""
    small = head.lower()
    start = small.find(b"\r\ncontent-length:")
    if start < 0:
        return 0
    end = small.find(b"\r\n", start + 2)
    return int(small[start + 17 : end if end >= 0 else len(small)])


class _Connection(asyncio.Protocol):
    """One keep-alive connection; requests on it are answered in turn."""

    def __init__(self, answer: Answerer) -> None:
        self._answer = answer
        self._unread = b""
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has it all, and is none by its class

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while True:
            end = self._unread.find(HEAD_END)
            if end < 0:
                break
            head = self._unread[:end]
            whole = end + len(HEAD_END) + content_length(head)
            if len(self._unread) < whole:
                break
            body, self._unread = self._unread[end + len(HEAD_END) : whole], self._unread[whole:]
            self._take(Request(head, body, asyncio.get_running_loop().time()))
        if len(self._unread) > MAX_REQUEST_BYTES and self._transport:
            self._transport.close()

    def _take(self, request: Request) -> None:
        answer = self._answer(request)
        if isinstance(answer, tuple):
            self._write(*answer)
            return
        task = asyncio.ensure_future(self._later(answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, answer: Awaitable[tuple[int, bytes]]) -> None:
        self._write(*await answer)

    def _write(self, status: int, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


def serve_until_told(answer: Answerer, host: str, port: int) -> None:
    """Serve on uvloop until SIGTERM or SIGINT."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, ended.set)
        server = await loop.create_server(lambda: _Connection(answer), host, port, backlog=BACKLOG)
        await ended.wait()
        server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
