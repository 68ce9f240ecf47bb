"""The way out, over real sockets on loopback: what is sent, where it may go, and how little is read.

Not tested here: TLS, the operating system's own resolver, and addresses outside this machine (only how they count).
"""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.flows.notify import Answer, NoAnswer, Reply
from gateway.workers import egress as egress_module
from gateway.workers.addresses import Place, place_of
from gateway.workers.egress import BODY_MAX_BYTES, Egress, UrlRefusedError, read_url
from tests.workers.receiver import Handler, Receiver, answering, receiving

BODY = '{"description": "代扣"}'.encode()
HEADERS = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
REFUSED = NoAnswer("nothing was sent: address not allowed")


class Names:
    """A resolver of the test's own: answers in turn, then the last for ever; counts how often it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress()
    yield egress
    await egress.close()


async def post(egress: Egress, url: str, *, allow_private: bool = True) -> Reply:
    return await egress.send(url, HEADERS, BODY, allow_private=allow_private)


async def post_by(names: Names, url: str, *, allow_private: bool) -> Reply:
    egress = Egress(names)
    try:
        return await post(egress, url, allow_private=allow_private)
    finally:
        await egress.close()


# --- what is sent and read ---


@pytest.mark.parametrize("status", [200, 204, 302, 410, 500])
async def test_the_status_is_the_answer(egress: Egress, status: int) -> None:
    async with receiving(answering(status)) as receiver:
        assert await post(egress, receiver.url()) == Answer(status)
    [seen] = receiver.seen
    assert seen.body == BODY
    assert seen.headers["content-type"] == "application/json"
    assert HEADERS.items() <= seen.headers.items()


@pytest.mark.parametrize(
    "target",
    [
        "/x?sp=%2Fa",
        "/x?a=%e4%b8%ad&b=1+2&c=~%7E",
        "/a//b/%2e%2E/c;d=1",
        "/x?q='*()!$,/:@",
        "/x?",
        "/x??",
        "/x?a=b?",
        "/a/../b/./c?d=../e",
        "/x?&&=&",
        "/%zz%",
        "/x|y^z{}?[]=<>`",
        "//h/x",
        "/",
    ],
)
async def test_an_address_goes_out_byte_for_byte(egress: Egress, target: str) -> None:
    lines: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await reader.readline())
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await post(egress, f"http://127.0.0.1:{port}{target}") == Answer(204)
    assert lines == [f"POST {target} HTTP/1.1\r\n".encode()]


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://shop.example", "http://shop.example/"),
        ("http://shop.example?a=%2f", "http://shop.example/?a=%2f"),
        ("HTTP://Shop.Example:80/X", "http://Shop.Example/X"),
        ("http://shop.example/路?sp=%2F&to=中&x=%e4?", "http://shop.example/%E8%B7%AF?sp=%2F&to=%E4%B8%AD&x=%e4?"),
        ("http://bücher.example:81/x?sp=%2Fa", "http://xn--bcher-kva.example:81/x?sp=%2Fa"),
        ("http://[2001:db8::1]:81/?", "http://[2001:db8::1]:81/?"),
        ("http://shop.example/x?#part", "http://shop.example/x?"),
    ],
)
def test_only_what_is_not_ascii_is_encoded_for_the_wire(url: str, sent: str) -> None:
    asked = read_url(url)
    assert f"{asked.scheme}://{asked.host_port_subcomponent}{asked.raw_path_qs}" == sent


async def test_an_endpoint_that_sends_interim_answers_without_end_is_given_up(egress: Egress) -> None:
    closed = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            while True:
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
                await writer.drain()
        except ConnectionError:
            closed.set()
        writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reply = await asyncio.wait_for(post(egress, f"http://127.0.0.1:{port}/"), 5)
        await asyncio.wait_for(closed.wait(), 5)
    assert isinstance(reply, NoAnswer)


async def test_retry_after_comes_along(egress: Egress) -> None:
    async with receiving(answering(503, **{"Retry-After": "120"})) as receiver:
        assert await post(egress, receiver.url()) == Answer(503, "120")


async def test_a_redirect_to_a_metadata_address_is_not_followed(egress: Egress) -> None:
    async with receiving(answering(302, Location="http://169.254.169.254/latest/meta-data/")) as receiver:
        assert await post(egress, receiver.url()) == Answer(302)
        assert len(receiver.seen) == 1


async def test_a_redirect_to_the_receiver_itself_is_not_followed(egress: Egress) -> None:
    async with receiving(answering(307, Location="/other")) as receiver:
        assert await post(egress, receiver.url()) == Answer(307)
        assert [seen.path for seen in receiver.seen] == ["/hook"]


async def test_cookies_are_not_kept(egress: Egress) -> None:
    async with receiving(answering(200, **{"Set-Cookie": "a=b"})) as receiver:
        await post(egress, receiver.url())
        await post(egress, receiver.url())
        assert all("cookie" not in seen.headers for seen in receiver.seen)


def peers(ports: list[int], size: int) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.Response(body=b"x" * size)

    return answer


@pytest.mark.parametrize(("size", "connections"), [(0, 1), (100, 1), (BODY_MAX_BYTES, 1), (100_000, 2), (5_000_000, 2)])
async def test_a_connection_is_used_again_unless_the_body_is_too_long(
    egress: Egress, size: int, connections: int
) -> None:
    ports: list[int] = []
    async with receiving(peers(ports, size)) as receiver:
        assert [await post(egress, receiver.url()) for _ in range(2)] == [Answer(200), Answer(200)]
    assert len(set(ports)) == connections


async def test_a_body_that_never_ends_is_not_waited_for(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_module, "BODY_WITHIN_S", 0.05)

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.Event().wait()
        return response

    async with receiving(drip) as receiver:
        assert await post(egress, receiver.url()) == Answer(200)


async def test_an_endpoint_that_hangs_is_given_up(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_module, "ANSWER_WITHIN_S", 0.2)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async with receiving(hang) as receiver:
        assert await post(egress, receiver.url()) == NoAnswer("no answer within 0.2 s")


async def test_nobody_listening_is_no_answer(egress: Egress) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        reply = await post(egress, f"http://127.0.0.1:{unheard.getsockname()[1]}/")
    assert reply == NoAnswer("no connection: Connection refused")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000])
async def test_what_does_not_speak_http_is_no_answer(egress: Egress, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(BODY)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        reply = await post(egress, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert isinstance(reply, NoAnswer)
    assert reply.error.startswith("no readable answer: ")


# --- where it may go ---


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def test_loopback_needs_leave(egress: Egress, receiver: Receiver) -> None:
    assert await post(egress, receiver.url(), allow_private=False) == REFUSED
    assert receiver.seen == []
    assert await post(egress, receiver.url(), allow_private=True) == Answer(200)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::7f00:1]", "[64:ff9b::7f00:1]"])
async def test_an_address_in_the_url_is_checked_too(egress: Egress, receiver: Receiver, host: str) -> None:
    assert await post(egress, receiver.url(host=host), allow_private=False) == REFUSED


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0"])
async def test_an_address_in_disguise_is_refused_even_with_leave(egress: Egress, receiver: Receiver, host: str) -> None:
    assert isinstance(await post(egress, receiver.url(host=host), allow_private=True), NoAnswer)
    assert receiver.seen == []


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "100.100.100.200", "0.0.0.0", "[::]"]
)
async def test_metadata_addresses_are_refused_whatever_the_endpoint_may(
    egress: Egress, receiver: Receiver, host: str
) -> None:
    assert await post(egress, receiver.url(host=host), allow_private=True) == REFUSED


async def test_a_name_that_leads_inside_is_refused(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"])
    assert await post_by(names, receiver.url(host="shop.example"), allow_private=False) == REFUSED
    assert receiver.seen == []


async def test_a_name_that_leads_inside_is_reached_by_an_endpoint_that_may(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"])
    assert await post_by(names, receiver.url(host="shop.example"), allow_private=True) == Answer(200)
    assert receiver.seen[0].headers["host"] == f"shop.example:{receiver.port}"


async def test_one_forbidden_address_refuses_the_whole_name(receiver: Receiver) -> None:
    names = Names(["127.0.0.1", "169.254.169.254"])
    assert await post_by(names, receiver.url(host="shop.example"), allow_private=True) == REFUSED
    assert receiver.seen == []


async def test_a_name_is_looked_up_once_and_reached_where_it_was_checked(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    assert await post_by(names, receiver.url(host="rebind.example"), allow_private=True) == Answer(200)
    assert names.asked == 1
    assert len(receiver.seen) == 1


async def test_a_connection_that_one_endpoint_may_have_is_not_lent_to_another(receiver: Receiver) -> None:
    egress = Egress(Names(["127.0.0.1"]))
    url = receiver.url(host="shop.example")
    assert await post(egress, url, allow_private=True) == Answer(200)
    assert await post(egress, url, allow_private=False) == REFUSED
    assert len(receiver.seen) == 1
    await egress.close()


async def test_a_name_without_addresses_is_no_answer() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    egress = Egress(unknown)
    assert await post(egress, "http://nowhere.example/") == NoAnswer("nothing was sent: the name does not resolve")
    await egress.close()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("8.8.8.8", Place.PUBLIC),
        ("2001:4860:4860::8888", Place.PUBLIC),
        ("::ffff:8.8.8.8", Place.PUBLIC),
        ("64:ff9b::8.8.8.8", Place.PUBLIC),
        ("10.0.0.1", Place.PRIVATE),
        ("172.31.255.255", Place.PRIVATE),
        ("192.168.0.1", Place.PRIVATE),
        ("127.255.0.1", Place.PRIVATE),
        ("100.64.0.1", Place.PRIVATE),
        ("192.0.2.1", Place.PRIVATE),
        ("198.18.0.1", Place.PRIVATE),
        ("::1", Place.PRIVATE),
        ("fc00::1", Place.PRIVATE),
        ("192.0.0.8", Place.PRIVATE),
        ("192.88.99.1", Place.PRIVATE),
        ("198.51.100.7", Place.PRIVATE),
        ("203.0.113.7", Place.PRIVATE),
        ("100::1", Place.PRIVATE),
        ("2001::1", Place.PRIVATE),
        ("2001:db8::1", Place.PRIVATE),
        ("3fff::1", Place.PRIVATE),
        ("5f00::1", Place.PRIVATE),
        ("4000::1", Place.PRIVATE),
        ("::ffff:0:10.0.0.1", Place.PRIVATE),
        ("::ffff:0:8.8.8.8", Place.PUBLIC),
        ("::ffff:0:169.254.169.254", Place.NEVER),
        ("2002:808:808::", Place.PUBLIC),
        ("100.63.255.255", Place.PUBLIC),
        ("100.128.0.0", Place.PUBLIC),
        ("172.32.0.0", Place.PUBLIC),
        ("198.20.0.0", Place.PUBLIC),
        ("2001:200::", Place.PUBLIC),
        ("fec0::1", Place.PRIVATE),
        ("::ffff:10.0.0.1", Place.PRIVATE),
        ("::10.0.0.1", Place.PRIVATE),
        ("64:ff9b::10.0.0.1", Place.PRIVATE),
        ("2002:a00:1::", Place.PRIVATE),
        ("0.0.0.0", Place.NEVER),
        ("0.1.2.3", Place.NEVER),
        ("169.254.169.254", Place.NEVER),
        ("169.254.0.23", Place.NEVER),
        ("100.100.100.200", Place.NEVER),
        ("168.63.129.16", Place.NEVER),
        ("192.0.0.192", Place.NEVER),
        ("224.0.0.1", Place.NEVER),
        ("255.255.255.255", Place.NEVER),
        ("::", Place.NEVER),
        ("fe80::1", Place.NEVER),
        ("fe80::1%eth0", Place.NEVER),
        ("fd00:ec2::254", Place.NEVER),
        ("fd00:ec2::254%eth0", Place.NEVER),
        ("ff02::1", Place.NEVER),
        ("::ffff:169.254.169.254", Place.NEVER),
        ("::169.254.169.254", Place.NEVER),
        ("64:ff9b::169.254.169.254", Place.NEVER),
        ("64:ff9b:1::a9fe:a9fe", Place.NEVER),
        ("2002:a9fe:a9fe::", Place.NEVER),
        ("127.1", Place.NEVER),
        ("", Place.NEVER),
    ],
)
def test_where_an_address_leads(address: str, place: Place) -> None:
    assert place_of(address) is place


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/hook",
        "/hook",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "http:///hook",
        "http://shop.example:0/",
        "http://shop.example:99999/",
        "http://user@shop.example/",
        "http://@shop.example/",
        "http://shop.example\\@127.0.0.1/",
        f"http://{'ü' * 70}.example/",
        "http://user:password@shop.example/",
        "http://[::1/",
        "http://shop.example/a b",
        "http://shop.example/a\r\nX-Injected: 1",
        "http://shop.example/\x7f",
    ],
)
async def test_a_url_that_is_not_an_endpoint_is_refused_and_not_repeated(egress: Egress, url: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        read_url(url)
    assert "password" not in str(caught.value)
    reply = await post(egress, url)
    assert isinstance(reply, NoAnswer)
    assert reply.error.startswith("nothing was sent: ")
