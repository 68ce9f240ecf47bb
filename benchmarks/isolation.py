"""`python -m benchmarks.isolation`: what one thing that is held, floods or never ends costs everybody else.

Each trouble is put on and taken off again while the same load goes on, in turns, in one run: the ratio says what is
left of the others' payments. The gateway promises nine tenths.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import socket
import statistics
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

import asyncpg
from rich.console import Console
from rich.table import Table

from benchmarks.stage import HOST, Stage, apply, staged
from gateway.domain.catalogue_content import EndpointContent
from gateway.run.supervising import free_port, interruptible
from gateway.storage.server.embedded import EmbeddedPostgres

HELD_USER: Final = "u000000000"
BODIES_PER_S: Final = 20
"""Of 58 kB each, which is little for a stranger to send."""
INFLATED_BYTES: Final = 60_000_000
SETTLE_S: Final = 1.5
"""From a change of the catalogue until it is in force."""


@contextlib.asynccontextmanager
async def held_row(stage: Stage) -> AsyncIterator[None]:
    """Somebody holds the row of one of the users that pay."""
    connection = await asyncpg.connect(stage.dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM users WHERE user_id = $1 FOR UPDATE", HELD_USER)
            yield
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def endless_answers(stage: Stage) -> AsyncIterator[None]:
    """An endpoint of the merchant answers each notification with interim answers (1xx) that never end."""
    port = free_port(HOST)
    server = _process(_answer_without_end, port)
    [merchant, *others] = stage.content.merchants
    endless = EndpointContent("endless", None, f"http://{HOST}:{port}/", None, True, merchant.endpoints[0].secrets)
    with_it = replace(merchant, endpoints=(*merchant.endpoints, endless))
    try:
        await apply(stage.url, stage.ring, replace(stage.content, merchants=(with_it, *others)))
        await asyncio.sleep(SETTLE_S)
        yield
    finally:
        await apply(stage.url, stage.ring, stage.content)
        server.kill()
        server.join()
        await asyncio.sleep(SETTLE_S)


@contextlib.asynccontextmanager
async def deflated_bodies(stage: Stage) -> AsyncIterator[None]:
    """A stranger without a key sends small bodies that would be large if anybody inflated them."""
    stranger = _process(_send_deflated, stage.port)
    try:
        yield
    finally:
        stranger.kill()
        stranger.join()


def _process(target: Callable[[int], None], port: int) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=(port,), daemon=True)
    process.start()
    return process


def _answer_without_end(port: int) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 500)
                await writer.drain()

    async def serve() -> None:
        async with await asyncio.start_server(answer, HOST, port) as server:
            await server.serve_forever()

    asyncio.run(serve())


def _send_deflated(port: int) -> None:
    body = zlib.compress(b"0" * INFLATED_BYTES, 9)
    head = (
        f"POST /nowhere HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Encoding: deflate\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    while True:
        time.sleep(1 / BODIES_PER_S)
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 5) as connection:
            connection.sendall(head + body)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong, and for how many of the payments it may."""

    words: str
    put_on: Callable[[Stage], AbstractAsyncContextManager[None]]


TROUBLES: Final = {
    "row": Trouble("a user's row is held", held_row),
    "endless": Trouble("an endpoint's answer never ends", endless_answers),
    "deflate": Trouble(f"a stranger sends {BODIES_PER_S} deflated bodies a second", deflated_bodies),
}


async def taken_per_s(stage: Stage, concurrency: int, seconds: float) -> float:
    """Payments taken per second. What is refused as an overload is not counted."""
    told = await asyncio.to_thread(stage.load, concurrency, 0.0, seconds, range(2_000))
    return float(told["statuses"].get("201", 0) / told["seconds"])


async def measure(names: list[str], rounds: int, concurrency: int, seconds: float, folder: Path, out: Console) -> None:
    """Measure the troubles of these names and print the table."""
    table = Table(
        "trouble", "quiet /s", "with it /s", "ratio", title=f"{rounds} rounds of {seconds:g} s each way, medians"
    )
    with EmbeddedPostgres(folder / "postgres") as server:
        async with staged(server, folder, "hmac", processes=1, profile=False) as stage:
            await taken_per_s(stage, concurrency, seconds)
            for name in names:
                quiet, troubled = [], []
                for number in range(rounds):
                    out.print(f"{TROUBLES[name].words}, round {number + 1}", highlight=False)
                    quiet.append(await taken_per_s(stage, concurrency, seconds))
                    async with TROUBLES[name].put_on(stage):
                        troubled.append(await taken_per_s(stage, concurrency, seconds))
                before, during = statistics.median(quiet), statistics.median(troubled)
                table.add_row(TROUBLES[name].words, f"{before:.0f}", f"{during:.0f}", f"{during / before:.2f}")
    Console().print(table)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("--only", choices=TROUBLES, action="append", help="may be given several times")
    parser.add_argument("--rounds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--at", type=int, default=64, metavar="N", help="at once (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (default %(default)s)")
    chosen = parser.parse_args()
    with interruptible(), tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        Path(folder).chmod(0o711)
        names = chosen.only or list(TROUBLES)
        asyncio.run(measure(names, chosen.rounds, chosen.at, chosen.seconds, Path(folder), Console(stderr=True)))


if __name__ == "__main__":
    main()
