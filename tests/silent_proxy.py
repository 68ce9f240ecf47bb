"""A TCP proxy before PostgreSQL that can be cut, or whose connections can fall silent: what is sent is swallowed,
nothing is reset.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

CHUNK = 65_536
GOODBYE = b"X\x00\x00\x00\x04"
"""PostgreSQL's message of a client that ends its session, which waits for no answer."""


@dataclass
class SilentProxy:
    """Where it listens, and what became of its connections."""

    port: int = 0
    opened: int = 0
    """Connections so far."""
    silent: set[int] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    """Silent ones to which something was sent all the same."""

    is_cut: bool = False
    refused: int = 0
    """Connections that were tried while it was cut."""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self) -> None:
        """The server is away: its connections are reset, and it takes no new ones."""
        self.is_cut = True
        while self._writers:
            self._writers.pop().transport.abort()

    def mend(self) -> None:
        """The server is there again."""
        self.is_cut = False

    def fall_silent(self) -> None:
        """From now on the connections that are open are dead, and do not say so. New ones work."""
        self.silent = set(range(1, self.opened + 1))

    def url(self, url: str) -> str:
        """The address of a server as it is reached through this proxy."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}{urlsplit(url).path}"


@contextlib.asynccontextmanager
async def silent_proxy(url: str) -> AsyncIterator[SilentProxy]:
    """A proxy before the server of a URL with a Unix socket."""
    target = f"{parse_qs(urlsplit(url).query)['host'][0]}/.s.PGSQL.5432"
    proxy, tasks = SilentProxy(), set[asyncio.Task[None]]()

    async def pump(number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, asks: bool) -> None:
        try:
            with contextlib.suppress(OSError):
                while chunk := await source.read(CHUNK):
                    if number in proxy.silent:
                        if asks and chunk != GOODBYE:
                            proxy.asked.add(number)
                        continue
                    sink.write(chunk)
                    await sink.drain()
        finally:
            sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if proxy.is_cut:
            proxy.refused += 1
            writer.transport.abort()
            return
        proxy._writers.append(writer)
        proxy.opened += 1
        number = proxy.opened
        server_reader, server_writer = await asyncio.open_unix_connection(target)
        pumps = (pump(number, reader, server_writer, asks=True), pump(number, server_reader, writer, asks=False))
        for each in pumps:
            task = asyncio.create_task(each)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
