"""What apps read of a call that failed on the wire: words, never the name of a class. Real sockets.

Not tested here: what was sent and what was not (tests/adapters/test_http.py).
"""

import asyncio
import re
import socket

import httpx
import pytest

from adapters.http import AiohttpTransport
from gateway.connector import words_of
from gateway.ports import TransportError
from gateway.run.supervising import free_port

CLASS_NAME = re.compile(r"[A-Z][a-z]+[A-Z]|Error|Exception|http://|127\.0\.0\.1")


async def told(url: str) -> str:
    timeout = httpx.Timeout(0.5).as_dict()
    async with AiohttpTransport() as transport:
        with pytest.raises(TransportError) as failed:
            await transport(httpx.Request("POST", url, content=b"x", extensions={"timeout": timeout}))
    return str(failed.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "no answer: the server hung up"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no answer: the answer is not readable as HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "no answer: the answer was cut, or cannot be decoded"),
        (None, "no answer: no answer in time"),
    ],
)
async def test_a_server_that_answers_badly_is_told_in_words(answer: bytes | None, words: str) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nx")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        said = await told(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert said == words
    assert not CLASS_NAME.search(said.replace("HTTP", ""))


async def test_a_server_that_is_not_there_is_told_in_words() -> None:
    assert await told(f"http://127.0.0.1:{free_port()}/") == "not connected: Connection refused"


async def test_a_name_that_nobody_has_is_told_in_words() -> None:
    assert await told("http://nobody.invalid/") == "not connected: the name does not resolve"


async def test_tls_that_fails_is_told_in_words() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(16)
        writer.write(b"HTTP/1.1 400 no\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        said = await told(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert said == "not connected: TLS failed"


async def test_a_silent_server_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        said = await told(f"https://127.0.0.1:{silent.getsockname()[1]}/")
    assert said == "not connected: no connection in time"


def test_whatever_it_is_no_class_is_named() -> None:
    for error in (
        RuntimeError("secret"),
        ValueError(),
        OSError(),
        OSError(0, "x"),
        asyncio.IncompleteReadError(b"", 1),
    ):
        assert words_of(error) == "the connection failed"
