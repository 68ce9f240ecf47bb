"""`python -m benchmarks.search [payments]`: how long operators' and apps' searches take among a million payments.

The rows are made by the database itself, spread over 90 days: one in a hundred failed, one in a thousand of a second
app. Each search is asked for often, for other values each time, and once for what is not there.
"""

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from rich.console import Console
from rich.table import Table

from gateway.domain.statuses import Status
from gateway.ports import Found, PaymentFilter, Reference
from gateway.storage.reading.reader import Reader
from gateway.storage.reading.references import OperatorSearch
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import upgrade

PAYMENTS: Final = 1_000_000
USERS_PER_MILLION: Final = 200_000
DAYS: Final = 90
ASKED: Final = 100
"""How often each search is asked for."""
MERCHANT: Final = UUID(int=0xA)
ZONE: Final = ZoneInfo("Asia/Shanghai")

_ID: Final = (
    "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')"
    " || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid"
)
FILL: Final = (
    "INSERT INTO merchants VALUES ($1, 'acme', 'Acme')",
    "INSERT INTO apps SELECT $1, code, code FROM unnest(ARRAY['shop', 'books']) code",
    "INSERT INTO accounts SELECT $1, 'up-' || n, 'unionpay', '{}', '', '{}' FROM generate_series(1, 4) n",
    "INSERT INTO users SELECT $1, 'u' || n, now() FROM generate_series(0, $2::int - 1) n",
    """
INSERT INTO cards (merchant_id, card_id, user_id, data_key, elements, print, masked, bank, created_at)
SELECT $1, md5(n::text)::uuid, 'u' || n, '', '', int4send(n),
    '6222' || lpad((n % 50)::text, 2, '0') || '*********' || lpad((n / 50 % 10000)::text, 4, '0'), 'ICBC', now()
FROM generate_series(0, $2::int - 1) n""",
    f"""
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, card_id, bank, amount,
    currency, status, channel, account, channel_order_no, expected_fee, fee, failure_code, failure_blame, metadata,
    customer_present, sequence, created_at, finished_at, business_day)
SELECT $1, {_ID}, CASE WHEN n % 1000 = 7 THEN 'books' ELSE 'shop' END, 'order-' || n, 'withhold', 'withhold',
    'u' || n % $3::int, md5((n % $3::int)::text)::uuid, 'ICBC', 100 + n % 90000, 'CNY',
    CASE WHEN n % 100 = 1 THEN 'failed' ELSE 'succeeded' END, 'c-' || n % 4, 'up-' || 1 + n % 4, h, 50, 50,
    CASE WHEN n % 100 = 1 THEN 'card_lost' END, CASE WHEN n % 100 = 1 THEN 'payer' END, '{{}}', false, 1, at, at,
    (at AT TIME ZONE 'Asia/Shanghai')::date
FROM (SELECT n, md5('p' || n) AS h, $4::timestamptz + n * ($5::interval / $2::int) AS at
    FROM generate_series(0, $2::int - 1) n) made""",
    "INSERT INTO orders SELECT $1, app, merchant_order_no, 'payment', payment_id, '', 0, 2 FROM payments",
    """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks, ended_at, channel_transaction_no)
SELECT $1, payment_id, 'pay', 1, payment_id, channel, account, channel_order_no, created_at, created_at, amount,
    CASE status WHEN 'failed' THEN 'declined' ELSE 'done' END, 0, false, 0, false, 0, finished_at,
    't-' || substr(merchant_order_no, 7) FROM payments""",
    """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
SELECT $1, payment_id, app, 'payment.' || status, 'payment', payment_id, 1, '', 0, created_at FROM payments""",
)

Search = Callable[[int], Awaitable[Found[Any]]]
"""Asks for what the payment of this number has; a number beyond all of them asks for what is not there."""


async def _fill(dsn: str, payments: int, users: int, first: datetime) -> list[UUID]:
    """Make the rows; the ids of the payments, oldest first."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in FILL:
            named = (MERCHANT, payments, users, first, timedelta(days=DAYS))
            given = (MERCHANT, users) if "int4send" in statement or "INTO users" in statement else named
            await connection.execute(statement, *(given if "$2" in statement else given[:1]))
        await connection.execute("VACUUM ANALYZE")
        rows = await connection.fetch("SELECT payment_id FROM payments ORDER BY payment_id")
        return [UUID(int=row[0].int) for row in rows]
    finally:
        await connection.close()


def _searches(
    reader: Reader, search: OperatorSearch, ids: list[UUID], first: datetime, users: int
) -> dict[str, Search]:
    now = first + timedelta(days=DAYS)

    def of(n: int) -> UUID:
        return ids[n] if n < len(ids) else UUID(int=n)

    def find(by: Reference, **wanted: Any) -> Awaitable[Found[Any]]:
        return search.find(MERCHANT, by, PaymentFilter(limit=51, **wanted), now)

    def user(n: int) -> str:
        return f"u{n % users if n < len(ids) else n}"

    def card_ends(n: int) -> tuple[str, str]:
        return (f"6222{n % users % 50:02}", f"{n % users // 50 % 10_000:04}") if n < len(ids) else ("999999", "1234")

    def day(n: int) -> date:
        return (first + timedelta(days=DAYS) * n / len(ids)).astimezone(ZONE).date()

    def listed(**wanted: Any) -> Awaitable[Found[Any]]:
        return reader.payments(MERCHANT, "shop", PaymentFilter(limit=51, **wanted))

    none = Reference()
    return {
        "id of a payment": lambda n: find(Reference(object_id=("pay", of(n)))),
        "id of an event": lambda n: find(Reference(object_id=("evt", of(n)))),
        "order number": lambda n: find(Reference(merchant_order_no=f"order-{n}")),
        "our number at the PSP": lambda n: find(Reference(channel_order_no=of(n).hex if n >= len(ids) else _number(n))),
        "the PSP's number": lambda n: find(Reference(channel_transaction_no=f"t-{n}")),
        "user": lambda n: find(none, user_id=user(n)),
        "card, first six and last four": lambda n: find(Reference(card_ends=card_ends(n))),
        "day": lambda n: find(none, business_day=day(n)),
        "user and amount": lambda n: find(none, user_id=user(n), amount=100 + n % 90_000),
        "the last 24 h": lambda _: find(none, before=None),
        "day and status failed": lambda n: find(none, business_day=day(n), status=Status.FAILED),
        "day and an amount": lambda n: find(none, business_day=day(n), amount=100 + n % 90_000),
        "app: newest": lambda _: listed(),
        "app: order number": lambda n: listed(merchant_order_no=f"order-{n}"),
        "app: a status of nothing (cut)": lambda _: listed(status=Status.CLOSED),
        "small app: newest": lambda _: reader.payments(MERCHANT, "books", PaymentFilter(limit=51)),
        "app: events of a type of nothing (cut)": lambda _: reader.events(
            MERCHANT, "shop", of=None, event_type="payment.closed", before=None, limit=51
        ),
    }


def _number(n: int) -> str:
    return md5(f"p{n}".encode(), usedforsecurity=False).hexdigest()


def _others(payments: int) -> Iterator[int]:
    """Numbers of payments all over the table."""
    return ((n * 7_919) % payments for n in count(1))


def _cpu_s(server: EmbeddedPostgres) -> float:
    """What this process and the server's connections have used. A busy machine makes waits longer, not this."""
    used = time.process_time()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        if words[1] == str(server.pid):
            used += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return used


async def _timed(search: Search, numbers: Iterator[int], times: int) -> tuple[list[float], int]:
    taken, found = [], 0
    for _ in range(times):
        n = next(numbers)
        started = time.perf_counter()
        found += len((await search(n)).page)
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken), found


async def _measure(server: EmbeddedPostgres, payments: int) -> None:
    console, users = Console(width=120), max(1, payments * USERS_PER_MILLION // 1_000_000)
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)
    await upgrade(server.url)
    started = time.perf_counter()
    ids = await _fill(server.dsn, payments, users, first)
    console.print(f"{payments} payments of {users} users made in {time.perf_counter() - started:.0f} s")
    pool = create_engine(server.url, 4)
    engine = pool.execution_options(isolation_level="AUTOCOMMIT")  # as the gateway reads
    try:
        reader = Reader(engine, None, None, ZONE)  # type: ignore[arg-type]
        searches = _searches(reader, OperatorSearch(engine, ZONE), ids, first, users)
        table = Table("search", "median", "p99", "CPU", "found", "of nothing: median", "CPU", title="milliseconds")
        for name, search in searches.items():
            await _timed(search, _others(payments), 10)
            marks = [_cpu_s(server)]
            taken, found = await _timed(search, _others(payments), ASKED)
            marks.append(_cpu_s(server))
            nothing, _ = await _timed(search, count(payments + 10), ASKED)
            marks.append(_cpu_s(server))
            used = [(after - before) / ASKED * 1000 for before, after in itertools.pairwise(marks)]
            figures = (statistics.median(taken), taken[int(len(taken) * 0.99)], used[0], found / ASKED)
            of_nothing = (statistics.median(nothing), used[1])
            table.add_row(name, *(f"{each:.1f}" for each in (*figures, *of_nothing)))
        console.print(table)
    finally:
        await pool.dispose()


def main() -> None:
    """Measure and print."""
    payments = int(sys.argv[1]) if len(sys.argv) > 1 else PAYMENTS
    with tempfile.TemporaryDirectory(prefix="sluice-search-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder) / "pg", durable=False, tell=lambda _: None) as server:
            asyncio.run(_measure(server, payments))


if __name__ == "__main__":
    main()
