"""The transport against real sockets: what is not sent, what is lost, and that nothing is ever sent twice.

Not tested here: proxies, HTTP/2 (not spoken), and the speed of the transport.
"""

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from adapters.http import MAX_BODY_BYTES, TRIES, AiohttpTransport, retry_not_sent
from gateway import connector
from gateway.connector import HEADS_MAX_BYTES
from gateway.ports import AnswerLostError, NotSentError
from tests.adapters.certificates import identity

Script = Callable[["Psp", asyncio.StreamWriter], Awaitable[None]]
SOON_S = 0.05
AMPLE_S = 10.0


@dataclass
class Psp:
    """A raw server: it reads each request whole, counts it, and lets the script answer."""

    script: Script
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length:" in line
                ]
                self.requests.append(head + await reader.readexactly(lengths[0] if lengths else 0))
                self.read.set()
                await self.script(self, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()


@asynccontextmanager
async def a_psp(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Psp]:
    psp = Psp(script)
    server = await asyncio.start_server(psp.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    psp.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/pay"
    try:
        yield psp
    finally:
        server.close()


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    async with AiohttpTransport() as made:
        yield made


def a_request(url: str, *, method: str = "POST", read_s: float = AMPLE_S, connect_s: float = AMPLE_S) -> httpx.Request:
    timeout = httpx.Timeout(read_s, connect=connect_s).as_dict()
    content = b"orderId=1" if method == "POST" else None
    return httpx.Request(method, url, content=content, extensions={"timeout": timeout})


def answering(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> Script:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers])

    async def script(psp: Psp, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await writer.drain()
        if length is not None:
            writer.close()

    return script


async def resetting(psp: Psp, writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.close()


async def closing(psp: Psp, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def hanging(psp: Psp, writer: asyncio.StreamWriter) -> None:
    """Answer nothing and go back to reading, which ends when the client hangs up."""


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# Whole answers


async def test_an_answer_is_read_whole_and_the_request_arrives_as_it_was(transport: AiohttpTransport) -> None:
    async with a_psp(answering(b"respCode=00", "X-One: 1")) as psp:
        response = await transport(a_request(psp.url + "?a=%2Fb"))
    assert (response.status_code, response.content, response.headers["x-one"]) == (200, b"respCode=00", "1")
    head, _, body = psp.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /pay?a=%2Fb HTTP/1.1\r\n")
    assert body == b"orderId=1"
    assert b"accept-encoding" not in head.lower()


async def test_an_answer_of_any_status_is_an_answer_and_a_redirect_is_not_followed(transport: AiohttpTransport) -> None:
    for status in ("500 Oops", "302 Found", "204 None"):
        async with a_psp(answering(b"", "Location: http://127.0.0.1:1/", status=status)) as psp:
            assert (await transport(a_request(psp.url))).status_code == int(status[:3])
        assert len(psp.requests) == 1


async def test_a_compressed_answer_is_decoded_once(transport: AiohttpTransport) -> None:
    async with a_psp(answering(gzip.compress(b"respCode=00"), "Content-Encoding: gzip")) as psp:
        assert (await transport(a_request(psp.url))).content == b"respCode=00"


async def test_cookies_are_not_kept(transport: AiohttpTransport) -> None:
    async with a_psp(answering(b"ok", "Set-Cookie: session=1; Path=/")) as psp:
        await transport(a_request(psp.url))
        await transport(a_request(psp.url))
    assert not [request for request in psp.requests if b"cookie" in request.lower()]


async def test_a_proxy_named_by_the_environment_is_not_used(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    async with a_psp(answering(b"ok")) as psp:
        assert (await transport(a_request(psp.url))).content == b"ok"


async def test_it_serves_an_httpx_client_too() -> None:
    async with a_psp(answering(b"ok")) as psp, httpx.AsyncClient(transport=AiohttpTransport()) as client:
        assert (await client.post(psp.url, content=b"x")).text == "ok"


@pytest.mark.parametrize("missing", ["connect", "read", "write", "pool"])
async def test_a_request_without_every_timeout_is_refused(transport: AiohttpTransport, missing: str) -> None:
    timeouts = httpx.Timeout(1).as_dict() | {missing: None}
    request = httpx.Request("POST", "http://127.0.0.1:1/", extensions={"timeout": timeouts})
    with pytest.raises(ValueError, match=missing):
        await transport(request)
    with pytest.raises(ValueError, match="connect"):
        await transport(httpx.Request("POST", "http://127.0.0.1:1/"))


# Not sent


async def test_a_refused_connection_is_not_sent(transport: AiohttpTransport) -> None:
    with pytest.raises(NotSentError):
        await transport(a_request(f"http://127.0.0.1:{closed_port()}/?secret=1"))


async def test_a_name_that_does_not_resolve_is_not_sent(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_such_name(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
    with pytest.raises(NotSentError):
        await transport(a_request("http://psp.invalid/"))


async def test_a_server_that_speaks_no_tls_is_not_sent(transport: AiohttpTransport) -> None:
    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(chatter, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotSentError):
            await transport(a_request(f"https://127.0.0.1:{port}/"))


async def test_a_certificate_that_nobody_vouches_for_is_not_sent(transport: AiohttpTransport, tmp_path: Path) -> None:
    stranger = identity("127.0.0.1", bits=2048)
    (tmp_path / "key").write_text(stranger.key_pem)
    (tmp_path / "certificate").write_text(stranger.pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    async with a_psp(answering(b"ok"), tls) as psp:
        with pytest.raises(NotSentError):
            await transport(a_request(psp.url))
    assert not psp.requests


async def test_a_name_whose_servers_never_answer_is_not_sent(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def for_ever(*_: object, **__: object) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", for_ever)
    with pytest.raises(NotSentError):
        await transport(a_request("http://psp.invalid/", connect_s=SOON_S))


async def test_a_connection_that_nobody_accepts_is_not_sent(transport: AiohttpTransport) -> None:
    # A full backlog drops what comes after it: the SYN is never answered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        with pytest.raises(NotSentError):
            await transport(a_request(f"http://127.0.0.1:{deaf.getsockname()[1]}/", connect_s=SOON_S))
        for filler in fillers:
            filler.close()


async def test_tls_that_never_answers_is_not_sent(transport: AiohttpTransport) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotSentError):
            await transport(a_request(f"https://127.0.0.1:{port}/", connect_s=SOON_S))


async def test_tls_that_drips_is_not_sent(transport: AiohttpTransport) -> None:
    """Something always comes, and the handshake never ends."""

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"
        )  # a record with a ServerHello, both far from whole
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"\x00")
                await writer.drain()
                await asyncio.sleep(SOON_S / 10)

    server = await asyncio.start_server(dripping, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotSentError):
            await transport(a_request(f"https://127.0.0.1:{port}/", connect_s=SOON_S))


@pytest.mark.parametrize("says", [b"", b"\x16", b"\x15\x03\x03\x00\x02\x02\x28"], ids=["nothing", "half", "an alert"])
async def test_a_server_that_hangs_up_during_the_handshake_is_not_sent(
    transport: AiohttpTransport, says: bytes
) -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(says)
        writer.close()

    server = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotSentError):
            await transport(a_request(f"https://127.0.0.1:{port}/"))


async def test_a_connection_that_is_gone_before_anything_is_written_is_not_sent(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = aiohttp.TCPConnector.connect

    async def late(self: aiohttp.TCPConnector, *args: Any, **known: Any) -> Any:
        connection = await connect(self, *args, **known)
        assert connection.transport is not None
        connection.transport.abort()
        return connection

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", late)
    server = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotSentError):
            await transport(a_request(f"http://127.0.0.1:{port}/"))


# Lost


@pytest.mark.parametrize("script", [resetting, closing, answering(b"half", length=100)])
async def test_an_answer_that_breaks_off_is_lost_and_was_asked_for_once(
    transport: AiohttpTransport, script: Script
) -> None:
    for method in ("POST", "GET"):
        async with a_psp(script) as psp:
            with pytest.raises(AnswerLostError):
                await transport(a_request(psp.url, method=method))
        assert len(psp.requests) == 1


async def test_a_silent_server_is_lost(transport: AiohttpTransport) -> None:
    async with a_psp(hanging) as psp:
        with pytest.raises(AnswerLostError):
            await transport(a_request(psp.url, read_s=SOON_S))
        await asyncio.wait_for(psp.hung_up.wait(), AMPLE_S)


async def test_a_body_that_drips_is_lost_when_the_whole_takes_too_long(transport: AiohttpTransport) -> None:
    async def dripping(psp: Psp, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(SOON_S / 10)

    async with a_psp(dripping) as psp:
        with pytest.raises(AnswerLostError):
            await transport(a_request(psp.url, connect_s=SOON_S, read_s=2 * SOON_S))


@pytest.mark.parametrize(
    "script",
    [
        answering(b"." * (MAX_BODY_BYTES + 1)),
        answering(gzip.compress(b"." * (MAX_BODY_BYTES + 1)), "Content-Encoding: gzip"),
    ],
)
async def test_an_answer_that_is_too_big_is_lost(transport: AiohttpTransport, script: Script) -> None:
    async with a_psp(script) as psp:
        with pytest.raises(AnswerLostError):
            await transport(a_request(psp.url))


async def test_a_server_may_send_a_few_interim_answers_first(transport: AiohttpTransport) -> None:
    async def script(psp: Psp, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 3)
        await answering(b"ok")(psp, writer)

    async with a_psp(script) as psp:
        for _ in range(2):
            assert (await transport(a_request(psp.url))).content == b"ok"
    assert psp.connections == 1


async def test_interim_answers_without_end_are_lost_at_once(transport: AiohttpTransport) -> None:
    async def script(psp: Psp, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()

    async with a_psp(script) as psp:
        with pytest.raises(AnswerLostError):
            await asyncio.wait_for(_call(transport, a_request(psp.url)), AMPLE_S)
        await asyncio.wait_for(psp.hung_up.wait(), AMPLE_S)


@pytest.mark.parametrize("piece", [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
async def test_of_answers_without_end_only_the_first_are_parsed(
    transport: AiohttpTransport, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = 0
    real = connector._Protocol.feed_data

    def counted(self: connector._Protocol, *message: Any) -> None:
        nonlocal parsed
        parsed += 1
        real(self, *message)

    async def script(psp: Psp, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(piece * 10_000)
            await writer.drain()

    monkeypatch.setattr(connector._Protocol, "feed_data", counted)
    async with a_psp(script) as psp:
        with contextlib.suppress(AnswerLostError):
            await asyncio.wait_for(_call(transport, a_request(psp.url)), AMPLE_S)
        await asyncio.wait_for(psp.hung_up.wait(), AMPLE_S)
    assert parsed < 200


async def test_heads_of_many_bytes_are_lost(transport: AiohttpTransport) -> None:
    field = b"X-Long: " + b"x" * 8000 + b"\r\n"
    script = answering(b"ok", *([field.decode().strip()] * (HEADS_MAX_BYTES // len(field) + 1)))
    async with a_psp(script) as psp:
        with pytest.raises(AnswerLostError):
            await transport(a_request(psp.url))


@pytest.mark.parametrize("garbage", [b"\x00\x01\x02\r\n\r\n", b"HTTP/9.9 abc\r\n\r\n", b"220 smtp ready\r\n"])
async def test_what_is_not_http_is_lost(transport: AiohttpTransport, garbage: bytes) -> None:
    async def script(psp: Psp, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await writer.drain()
        writer.close()

    async with a_psp(script) as psp:
        with pytest.raises(AnswerLostError):
            await transport(a_request(psp.url))
    assert len(psp.requests) == 1


async def test_errors_say_nothing_of_the_query(transport: AiohttpTransport) -> None:
    with pytest.raises(NotSentError) as refused:
        await transport(a_request(f"http://127.0.0.1:{closed_port()}/?card=6222020200098761234"))
    assert "6222" not in str(refused.value)


# Kept connections


async def test_a_connection_is_kept_and_used_again(transport: AiohttpTransport) -> None:
    async with a_psp(answering(b"ok")) as psp:
        for _ in range(3):
            await transport(a_request(psp.url))
    assert (len(psp.requests), psp.connections) == (3, 1)


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
async def test_a_kept_connection_that_dies_under_a_request_is_lost_and_nothing_is_sent_again(
    transport: AiohttpTransport, method: str
) -> None:
    async def once_only(psp: Psp, writer: asyncio.StreamWriter) -> None:
        await (answering(b"ok") if len(psp.requests) == 1 else closing)(psp, writer)

    async with a_psp(once_only) as psp:
        await transport(a_request(psp.url, method=method))
        with pytest.raises(AnswerLostError):
            await transport(a_request(psp.url, method=method))
    assert (len(psp.requests), psp.connections) == (2, 1)


async def test_a_connection_that_the_psp_closed_while_it_was_idle_is_replaced(transport: AiohttpTransport) -> None:
    async with a_psp(answering(b"ok", "Connection: close")) as psp:
        await transport(a_request(psp.url))
        assert (await transport(a_request(psp.url))).content == b"ok"
    assert psp.connections == 2


async def test_a_connection_is_dropped_when_it_was_idle_too_long() -> None:
    async with a_psp(answering(b"ok")) as psp, AiohttpTransport(keep_alive_s=SOON_S) as transport:
        await transport(a_request(psp.url))
        await asyncio.wait_for(psp.hung_up.wait(), AMPLE_S)


async def test_cancelling_closes_the_connection(transport: AiohttpTransport) -> None:
    async with a_psp(hanging) as psp:
        call = asyncio.create_task(_call(transport, a_request(psp.url)))
        await asyncio.wait_for(psp.read.wait(), AMPLE_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(psp.hung_up.wait(), AMPLE_S)


async def _call(transport: AiohttpTransport, request: httpx.Request) -> httpx.Response:
    return await transport(request)


# Trying again


@dataclass
class Scripted:
    """A transport whose answers are written down."""

    answers: list[httpx.Response | Exception]
    sent: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_what_was_not_sent_is_tried_again_as_the_same_request() -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    wire = Scripted([NotSentError("refused"), NotSentError("refused"), httpx.Response(200)])
    request = a_request("http://psp.test/")
    assert (await retry_not_sent(wire, sleep=wait)(request)).status_code == 200
    assert [sent is request for sent in wire.sent] == [True] * TRIES
    assert 0.1 <= waits[0] <= 0.2
    assert 0.3 <= waits[1] <= 0.4


async def test_trying_again_has_an_end_and_the_error_stays_ours() -> None:
    async def wait(seconds: float) -> None:
        pass

    wire = Scripted([NotSentError("refused")] * (TRIES + 1))
    with pytest.raises(NotSentError):
        await retry_not_sent(wire, sleep=wait)(a_request("http://psp.test/"))
    assert len(wire.sent) == TRIES


@pytest.mark.parametrize(("connecting_s", "tries"), [(1.0, 3), (3.0, 2), (5.5, 1)])
async def test_no_try_begins_later_than_five_seconds_after_the_first(connecting_s: float, tries: int) -> None:
    now = 0.0
    wire = Scripted([NotSentError("silent")] * TRIES)

    async def slowly(request: httpx.Request) -> httpx.Response:
        nonlocal now
        now += connecting_s
        return await wire(request)

    async def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    with pytest.raises(NotSentError):
        await retry_not_sent(slowly, sleep=wait, clock=lambda: now)(a_request("http://psp.test/"))
    assert len(wire.sent) == tries


@pytest.mark.parametrize("error", [AnswerLostError("timeout"), ValueError("a bug")])
async def test_nothing_else_is_tried_again(error: Exception) -> None:
    wire = Scripted([error, httpx.Response(200)])
    with pytest.raises(type(error)):
        await retry_not_sent(wire)(a_request("http://psp.test/"))
    assert len(wire.sent) == 1
