"""`python -m benchmarks.pages [payments]`: how long payers' pages take among a million payments.

The whole of `sluice run` stands on a database with that many payments, of users with cards and a history. Each kind of
page is opened for other users each time, one after the other, and in turns with a page of bare aiohttp: the ratio says
what a page of ours costs. Times are those of whole answers over a loopback socket.
"""

import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
from aiohttp import web
from rich.console import Console
from rich.table import Table

from benchmarks.search import DAYS, FILL, PAYMENTS, USERS_PER_MILLION
from gateway.run.development import Addresses, running_system
from gateway.settings import SAMPLE_API_KEY, Settings
from gateway.storage.server.embedded import EmbeddedPostgres

OPENED: Final = 200
"""How often each kind of page is opened."""
TRIED: Final = 40
"""Checkouts of each kind that need a try before they show it."""
NAMED: Final = re.compile(r'name="(form_token|turn)" value="([^"]*)"')
_FILLED: Final = slice(3, None)
"""Of `FILL`: without the merchant, its apps and accounts, which the sample catalogue has."""

Makes = Callable[["Payers", str], Awaitable[str]]
"""Makes a checkout of a user that shows a kind of page; its address."""


class Payers:
    """Opens checkouts as the sample app, and pages as browsers do."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Addresses) -> None:
        self._session, self._addresses, self._numbers = session, addresses, count(1)

    async def checkout(self, user: str) -> str:
        order = {
            "merchant_order_no": f"pages-{next(self._numbers)}",
            "user_id": user,
            "amount": 60_000,
            "currency": "CNY",
            "description": "充值",
            "return_url": f"{self._addresses.receiver}/",
        }
        headers = {"Authorization": f"Bearer {SAMPLE_API_KEY}"}
        async with self._session.post(f"{self._addresses.gateway}/v1/checkouts", json=order, headers=headers) as made:
            made.raise_for_status()
            return str((await made.json())["url"])

    async def choose(self, url: str, **fields: str) -> str:
        """Send the form of the first page; its address."""
        async with self._session.get(url) as page:
            hidden = dict(NAMED.findall(await page.text()))
        async with self._session.post(f"{url}/pay", data=hidden | fields, allow_redirects=False) as sent:
            assert sent.status == 303, await sent.text()
        return url

    async def card_of(self, issuer: str, digits: int, user: str, **fields: str) -> str:
        """Pay by a new card of so many digits."""
        url, number = await self.checkout(user), str(next(self._numbers)).zfill(digits - len(issuer))
        return await self.choose(
            url, card_no=issuer + number, holder_name="张三", id_type="id_card", id_no="11010519491231002X",
            phone=f"139{next(self._numbers):08d}", **fields,
        )  # fmt: skip

    async def seconds(self, url: str) -> float:
        began = time.perf_counter()
        async with self._session.get(url) as page:
            await page.read()
            assert page.status == 200, page.status
        return time.perf_counter() - began


async def _chooses(payers: Payers, user: str) -> str:
    return await payers.checkout(user)


async def _at_the_bank(payers: Payers, user: str) -> str:
    return await payers.choose(await payers.checkout(user), method="netbank", bank="ABC")


async def _types_a_code(payers: Payers, user: str) -> str:
    return await payers.card_of("622588", 16, user)


async def _has_paid(payers: Payers, user: str) -> str:
    return await payers.card_of("622202", 19, user)


KINDS: Final[dict[str, tuple[Makes, int]]] = {
    "choose: cards, a new card, banks": (_chooses, OPENED),
    "at the bank": (_at_the_bank, TRIED),
    "the code of an SMS": (_types_a_code, TRIED),
    "the result": (_has_paid, TRIED),
}


async def _fill(dsn: str, payments: int, users: int) -> None:
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)
    connection = await asyncpg.connect(dsn)
    try:
        merchant: UUID = await connection.fetchval("SELECT merchant_id FROM merchants WHERE code = 'demo'")
        named = (merchant, payments, users, first, timedelta(days=DAYS))
        for statement in FILL[_FILLED]:
            of_users = "int4send" in statement or "INTO users" in statement
            given: tuple[Any, ...] = (merchant, users) if of_users else named
            text = statement.replace("'shop'", "'loans'").replace("FROM payments", "FROM payments WHERE app <> ''")
            await connection.execute(text, *(given if "$2" in text else given[:1]))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _bare(_: web.Request) -> web.Response:
    return web.Response(body=b"<!doctype html><title>bare</title>" + b"x" * 8_000, content_type="text/html")


async def _measure(addresses: Addresses, users: int, console: Console) -> None:
    bare = web.Application()
    bare.router.add_get("/", _bare)
    runner = web.AppRunner(bare, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    plain = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    table = Table("page", "opened", "median", "p95", "bare: median", "times bare", title="milliseconds")
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            payers = Payers(session, addresses)
            for number, (name, (makes, times)) in enumerate(KINDS.items()):
                urls = [await makes(payers, f"u{(n * 7_919 + number) % users}") for n in range(times)]
                await asyncio.sleep(1.0)  # what was begun has its answer
                for url in urls[:10]:
                    await payers.seconds(url)
                taken, beside = [], []
                for n in range(OPENED):
                    taken.append(await payers.seconds(urls[n % len(urls)]) * 1000)
                    beside.append(await payers.seconds(plain) * 1000)
                taken.sort()
                median, usual = statistics.median(taken), statistics.median(beside)
                figures = (median, taken[int(len(taken) * 0.95)], usual, median / usual)
                table.add_row(name, str(OPENED), *(f"{each:.1f}" for each in figures))
    finally:
        await runner.cleanup()
    console.print(table)


def main() -> None:
    """Measure and print."""
    payments, console = int(sys.argv[1]) if len(sys.argv) > 1 else PAYMENTS, Console(width=120)
    users = max(1, payments * USERS_PER_MILLION // 1_000_000)
    with tempfile.TemporaryDirectory(prefix="sluice-pages-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder) / "pg", durable=False, tell=lambda _: None) as server:
            settings = Settings(
                database_url=server.url, data_dir=Path(folder) / "data", port=0, sandbox_port=0, receiver_port=0,
                log_level="error",
            )  # fmt: skip
            with running_system(settings, quiet=True) as (addresses, _):
                began = time.perf_counter()
                asyncio.run(_fill(server.dsn, payments, users))
                console.print(f"{payments} payments of {users} users made in {time.perf_counter() - began:.0f} s")
                asyncio.run(_measure(addresses, users, console))


if __name__ == "__main__":
    main()
