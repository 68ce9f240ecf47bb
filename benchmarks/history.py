"""`python -m benchmarks.history`: what a limit over all users, or over all who use a card number, costs after history.

Orders are opened by the gateway's own store, 64 at a time, on a merchant with many rows of usage of that day: without
such limits and with them, in turns. It measures no PSP and no HTTP; only the ratio says something.
"""

import argparse
import asyncio
import base64
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from rich.console import Console
from rich.table import Table
from uuid_utils.compat import uuid7

from gateway.domain.cards import CardElements
from gateway.domain.catalogue import ANY_BANK, Account, AuthenticationMode, Catalogue, Channel, Merchant, RouteRule
from gateway.domain.orders import Order
from gateway.domain.scenes import Kind, Scene
from gateway.domain.terms import Product, Terms
from gateway.flows.opening import Opening
from gateway.run.rooms import ProcessRooms
from gateway.storage.keys import Keys
from gateway.storage.server.database import Database
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.migrate import upgrade
from gateway.storage.writing.opening import OpeningStore
from router import ChannelLimits, FixedFee, RuleLimits

FLUSH: Final = 64
MERCHANT: Final = UUID(int=1)
BANK: Final = "ICBC"
MUCH: Final = 10**15
ZONE: Final = ZoneInfo("Asia/Shanghai")
HISTORY: Final = """
INSERT INTO channel_usage (merchant_id, user_id, channel, business_day, reserved, succeeded, insufficient)
SELECT $1, 'before-' || n, 'tl', $2, 0, 1000, 0 FROM generate_series(1, $3::int) n
"""
WITHOUT: Final = "no such limit"
LIMITS: Final = {
    WITHOUT: (ChannelLimits(), RuleLimits()),
    "daily_total": (ChannelLimits(daily_total=MUCH), RuleLimits()),
    "card_daily_limit": (ChannelLimits(), RuleLimits(card_daily_limit=MUCH)),
}


def _catalogue(of_channel: ChannelLimits, of_rule: RuleLimits) -> Catalogue:
    none = {ANY_BANK: AuthenticationMode.NONE}
    channel = Channel(MERCHANT, "tl", "tl-1", "tl", on=True, authentication=none, limits=of_channel)
    rule = RouteRule(MERCHANT, "tl", Scene.WITHHOLD, BANK, True, FixedFee(50), limits=of_rule)
    merchant, account = Merchant(MERCHANT, "acme", "Acme"), Account(MERCHANT, "tl-1", "mock", {})
    return Catalogue(1, merchants=(merchant,), accounts=(account,), channels=(channel,), rules=(rule,), endpoints=())


def _opening(number: int) -> Opening:
    card = CardElements(f"622202{number % 5000:013d}", "张三", "11010519491231002X", "13800000000")
    order = Order(
        merchant_id=MERCHANT,
        app="shop",
        merchant_order_no=f"o-{number}",
        kind=Kind.WITHHOLD,
        scene=Scene.WITHHOLD,
        user_id=f"u-{number % 5000}",
        amount=1000,
        currency="CNY",
        bank=BANK,
        bank_by_bin=BANK,
        card=card,
        card_id=None,
        customer_present=False,
        description=None,
        metadata={},
        return_url=None,
        expires_in_s=None,
        body=b"",
    )
    return Opening(order, uuid7(), uuid7(), uuid7(), uuid7(), uuid7(), datetime.now(UTC))


def _terms(merchant_id: UUID, account: str, product: Product) -> Terms:  # noqa: ARG001 -- the same for all
    return Terms(poll_gaps_s=(60.0,), not_found=None, answer_timeout_s=20.0)


class _Side:
    """A store that routes by one catalogue; all sides share the database."""

    def __init__(self, database: Database, keys: Keys, limits: tuple[ChannelLimits, RuleLimits]) -> None:
        known = _catalogue(*limits)
        self._rooms = ProcessRooms(16 * FLUSH, lambda *_: 2 * FLUSH)
        self._store = OpeningStore(
            database,
            keys,
            lambda: known,
            _terms,
            ZONE,
            None,
            lambda: datetime.now(UTC),
            self._rooms,
            lambda *_: (),
        )

    async def per_second(self, first: int, orders: int) -> float:
        openings = [_opening(first + n) for n in range(orders)]
        began = time.perf_counter()
        for start in range(0, orders, FLUSH):
            for result in await self._store.flush(openings[start : start + FLUSH]):
                if isinstance(result, Exception):
                    raise result
            for opening in openings[start : start + FLUSH]:
                self._rooms.leave(opening.payment_id)
        return orders / (time.perf_counter() - began)


async def _measure(server: EmbeddedPostgres, rows: int, orders: int, rounds: int) -> dict[str, float]:
    await upgrade(server.url)
    connection = await asyncpg.connect(server.dsn)
    today = datetime.now(ZONE).date()
    await connection.execute(HISTORY, MERCHANT, today, rows, timeout=600)
    await connection.execute("ANALYZE")
    await connection.close()
    database = Database(server.url, 8)
    ring, order_key = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    keys = Keys.parse(f"1:{ring}", None, order_key)
    sides = {name: _Side(database, keys, limits) for name, limits in LIMITS.items()}
    told: dict[str, list[float]] = {name: [] for name in LIMITS}
    number = 0
    # The round before the first warms up, and makes good what was not counted.
    for measured in range(-1, rounds):
        for name, side in sides.items():
            speed = await side.per_second(number, orders)
            number += orders
            if measured >= 0:
                told[name].append(speed)
    await database.close()
    return {name: statistics.median(speeds) for name, speeds in told.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of usage before (default %(default)s)")
    parser.add_argument("--orders", type=int, default=1_280, help="of one turn (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-history-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder / "pg", durable=True, tell=lambda _: None) as server:
            told = asyncio.run(_measure(server, asked.rows, asked.orders, asked.rounds))
    table = Table(title=f"{asked.rows:,} rows of usage of today, medians of {asked.rounds} turns")
    for heading in ("limit", "orders per second", "of those without"):
        table.add_column(heading)
    for what, speed in told.items():
        table.add_row(what, f"{speed:,.0f}", f"{speed / told[WITHOUT]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
