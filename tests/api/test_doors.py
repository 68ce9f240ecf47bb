"""The doors over real sockets: what a flood, a drip or a bomb at them costs, and what every answer says of itself.

Not tested here: TLS and a proxy in front.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateway.api.application import build_app
from gateway.api.http import dispatch
from gateway.api.http.runner import CONNECTIONS_MAX, ProblemRunner, connections_for_clients
from tests.api.client import Client
from tests.api.fakes import FakeGateway

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = (
    b"POST /v1/withholds HTTP/1.1\r\nHost: x\r\n"
    b"Authorization: Bearer sk_test_shop\r\nContent-Type: application/json\r\n"
)
SOON_S = 5.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Door:
    """A server, and every connection that was made to it."""

    place: tuple[str, int]
    made: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> Connection:
        reader, writer = await asyncio.open_connection(*self.place)
        self.made.append(writer)
        return reader, writer

    async def leave(self) -> None:
        for writer in self.made:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self.made), return_exceptions=True)


@asynccontextmanager
async def serving(gateway: FakeGateway, *, connections: int = 100, idle_s: float = 60.0) -> AsyncIterator[Door]:
    runner = ProblemRunner(
        build_app(gateway.api()), connections=connections, idle_s=idle_s, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        door = Door(runner.addresses[0])
        yield door
        await door.leave()
    finally:
        await runner.cleanup()


async def said(connection: Connection, sent: bytes) -> bytes:
    """The head of the answer to `sent`; empty when the connection was closed instead."""
    reader, writer = connection
    writer.write(sent)
    async with asyncio.timeout(SOON_S):
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            return error.partial if isinstance(error, asyncio.IncompleteReadError) else b""


async def closed(connection: Connection) -> None:
    """Wait until the server has hung up."""
    async with asyncio.timeout(SOON_S):
        while await connection[0].read(1000):
            pass


@pytest.mark.parametrize("path", [b"/v1/withholds", b"/healthz", b"/callbacks/a.b", b"/nothing/there"])
async def test_a_bomb_is_never_inflated(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, path: bytes) -> None:
    inflated: list[int] = []
    before = zlib.decompressobj

    def watched(*words: object, **more: object) -> object:
        inflated.append(1)
        return before(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(zlib, "decompressobj", watched)
    bomb = zlib.compress(bytes(10_000_000))
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % (path, len(bomb))
    async with serving(gateway) as door:
        answer = await said(await door.connect(), head + bomb)
    assert answer.split()[1] in {b"401", b"404", b"405", b"415"}
    assert not inflated


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"identity", b"x-unknown"])
async def test_a_body_in_any_content_encoding_is_refused(gateway: FakeGateway, encoding: bytes) -> None:
    head = POST + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 2\r\n\r\n"
    async with serving(gateway) as door:
        answer = await said(await door.connect(), head + b"{}")
    assert b" 415 " in answer.splitlines()[0]
    assert b"application/problem+json" in answer


async def test_idle_and_dripping_connections_are_closed(gateway: FakeGateway) -> None:
    async with serving(gateway, idle_s=0.2) as door:
        idle, dripping = [await door.connect() for _ in range(2)]
        drops = asyncio.create_task(_drip(dripping[1], HEALTH))
        await asyncio.gather(closed(idle), closed(dripping))
        drops.cancel()


async def _drip(writer: asyncio.StreamWriter, text: bytes) -> None:
    for letter in text * 100:
        writer.write(bytes([letter]))
        await asyncio.sleep(0.05)


async def test_a_body_that_drips_is_answered_and_its_connection_closed(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "BODY_WITHIN_S", 0.1)
    async with serving(gateway) as door:
        connection = await door.connect()
        assert b" 408 " in (await said(connection, POST + b"Content-Length: 100\r\n\r\n{"))
        await closed(connection)


async def test_beyond_the_bound_the_longest_idle_makes_room_for_who_comes(gateway: FakeGateway) -> None:
    async with serving(gateway, connections=3) as door:
        flood = [await door.connect() for _ in range(3)]
        newcomer = await door.connect()
        assert b" 200 " in await said(newcomer, HEALTH)
        await closed(flood[0])
        assert b" 200 " in await said(flood[2], HEALTH)


async def test_a_flood_of_connections_never_keeps_a_client_out(gateway: FakeGateway) -> None:
    async with serving(gateway, connections=50) as door:
        for _ in range(10):
            flood = [await door.connect() for _ in range(60)]
            client = await door.connect()
            assert b" 200 " in await said(client, HEALTH)
            await door.leave()
            assert len(flood) == 60


def test_half_of_the_open_files_are_kept_for_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (400, 400))
    assert connections_for_clients() == 200
    monkeypatch.setattr("resource.getrlimit", lambda _: (1_000_000, 1_000_000))
    assert connections_for_clients() == CONNECTIONS_MAX


@pytest.mark.parametrize("path", ["/v1/payments", "/healthz", "/nothing", "/docs"])
async def test_every_answer_is_careful(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["Server"] == "Sluice"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    for rule in ("frame-ancestors 'none'", "base-uri 'none'", "form-action"):
        assert rule in headers["Content-Security-Policy"]


async def test_an_answer_below_the_application_is_careful_too(gateway: FakeGateway) -> None:
    async with serving(gateway) as door:
        head = await said(await door.connect(), b"nonsense\r\n\r\n")
    assert b"\r\nServer: Sluice\r\n" in head
    assert b"aiohttp" not in head


@pytest.mark.parametrize("path", ["/healthz", "/v1/payments", "/openapi.json"])
async def test_head_is_get_without_its_body(client: Client, path: str) -> None:
    got, head = await client.get(path), await client.send("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
