"""`python -m benchmarks.reports [payments]`: how long a month's report and bill take among three months of payments.

The rows are made by the database itself: so many payments a month (a million), each with its decision, one in fifty
with an authentication, one in a hundred refunded. It measures no HTTP.
"""

import asyncio
import sys
import tempfile
import time
from datetime import date, datetime
from pathlib import Path
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import orjson
from rich.console import Console
from rich.table import Table

from gateway.domain.reports import By, Days
from gateway.storage.reading.reports import Reports
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import upgrade
from router.decide import decide
from router.facts import Candidate, ChannelFacts, LastAttempt, RouteRequest
from router.fees import FixedFee
from router.record import to_record

PAYMENTS: Final = 1_000_000
"""Of each month."""
USERS: Final = 200_000
MERCHANT: Final = UUID(int=0xA)
ZONE: Final = ZoneInfo("Asia/Shanghai")
BEGINS: Final = datetime(2026, 1, 1, tzinfo=ZONE)
MARCH: Final = Days(date(2026, 3, 1), date(2026, 3, 31))
TIMEOUT_MS: Final = 600_000
CHANNELS: Final = ("c-0", "c-1", "c-2", "c-3")
_ID: Final = (
    "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')"
    " || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid"
)
FILL: Final = (
    ("INSERT INTO merchants VALUES ($1, 'acme', 'Acme')", (MERCHANT,)),
    ("INSERT INTO users SELECT $1, 'u' || n, now() FROM generate_series(0, $2::int - 1) n", (MERCHANT, USERS)),
    (
        """INSERT INTO cards (merchant_id, card_id, user_id, data_key, elements, print, masked, bank, created_at)
        SELECT $1, md5(n::text)::uuid, 'u' || n, '', '', int4send(n), '622202*********0000', 'ICBC', now()
        FROM generate_series(0, $2::int - 1) n""",
        (MERCHANT, USERS),
    ),
)
PAYMENTS_SQL: Final = f"""
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, bank, amount,
    currency, status, channel, account, channel_order_no, expected_fee, fee, failure_code, failure_blame, metadata,
    customer_present, sequence, created_at, finished_at, business_day)
SELECT $1, {_ID}, 'shop', 'order-' || n, 'withhold', CASE WHEN n % 3 = 0 THEN 'quick_charge' ELSE 'withhold' END,
    'u' || n % $3::int, (ARRAY['ICBC','ABC','CMB','CCB','BOC'])[1 + n % 5], 100 + n % 90000, 'CNY',
    CASE WHEN n % 20 = 1 THEN 'failed' ELSE 'succeeded' END, 'c-' || n % 4, 'up-' || n % 4, h, 50,
    CASE WHEN n % 20 <> 1 THEN 50 END,
    CASE WHEN n % 20 = 1 THEN 'card_lost' END,
    CASE WHEN n % 20 = 1 THEN CASE WHEN n % 40 = 1 THEN 'payer' ELSE 'channel' END END, '{{}}', false, 1, at,
    at + (n % 5000) * interval '1 millisecond', (at AT TIME ZONE 'Asia/Shanghai')::date
FROM (SELECT n, md5('p' || n) AS h, $4::timestamptz + n * (interval '90 days' / $2::int) AS at
    FROM generate_series(0, $2::int - 1) n) made
"""
OTHERS: Final = (
    """INSERT INTO authentications (merchant_id, authentication_id, payment_id, user_id, card_id, bank, account,
        channel, status, fee, contradicts, created_at, finished_at)
    SELECT $1, md5('a' || payment_id::text)::uuid, payment_id, user_id, md5(substr(user_id, 2))::uuid, bank, account,
        channel, 'succeeded', 100, false, created_at, created_at
    FROM payments WHERE substr(channel_order_no, 1, 2) < '05'""",
    """INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at,
        recorded_at, state, questions, acknowledged, not_found, late_success, looks, ended_at)
    SELECT $1, authentication_id, 'authenticate', 1, authentication_id, channel, account, authentication_id::text,
        created_at, created_at, 'done', 0, false, 0, false, 0, created_at FROM authentications""",
    """INSERT INTO refunds (merchant_id, refund_id, app, merchant_order_no, payment_id, user_id, amount, currency,
        status, metadata, sequence, created_at, finished_at, business_day, channel, fee_returned)
    SELECT $1, md5('r' || payment_id::text)::uuid, app, 'r' || merchant_order_no, payment_id, user_id, 100, 'CNY',
        'succeeded', '{}', 1, created_at, created_at, business_day, channel, 5
    FROM payments WHERE status = 'succeeded' AND substr(channel_order_no, 1, 2) < '03'""",
)
REPORTS: Final = ((), (By.DAY,), (By.CHANNEL,), (By.DAY, By.CHANNEL), (By.DAY, By.CHANNEL, By.BANK, By.SCENE))


def _records() -> tuple[str, str]:
    """The decision of most payments, and the one of a user who is kept on the second best."""
    offers = [Candidate(code, "withhold", "ICBC", FixedFee(50 + 10 * place)) for place, code in enumerate(CHANNELS)]
    request = RouteRequest("u", "withhold", "ICBC", 1000, BEGINS)
    failed = {"c-0": ChannelFacts(last_attempt=LastAttempt("failed", "channel", BEGINS))}
    best, kept = (orjson.dumps(to_record(decide(request, offers, facts, 1))).decode() for facts in ({}, failed))
    return best, kept


async def _fill(dsn: str, payments: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement, values in FILL:
            await connection.execute(statement, *values)
        await connection.execute(PAYMENTS_SQL, MERCHANT, payments, USERS, BEGINS)
        await connection.execute(
            "INSERT INTO decisions SELECT $1, payment_id, CASE WHEN substr(channel_order_no, 1, 1) = '7' THEN $3::jsonb"
            " ELSE $2::jsonb END FROM payments ORDER BY payment_id",
            MERCHANT,
            *_records(),
        )
        for statement in OTHERS:
            await connection.execute(statement, MERCHANT)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _measure(server: EmbeddedPostgres, payments: int) -> None:
    console = Console(width=100)
    await upgrade(server.url)
    started = time.perf_counter()
    await _fill(server.dsn, 3 * payments)
    console.print(f"three months of {payments:,} payments made in {time.perf_counter() - started:.0f} s")
    engine = create_engine(server.url, 1, statement_timeout_ms=TIMEOUT_MS)
    try:
        reports, table = Reports(engine, ZONE), Table("March by", "rows", "first, s", "again, s")
        for by in REPORTS:
            taken, rows = [], 0
            for _ in range(2):
                started = time.perf_counter()
                rows = len([row async for row in reports.rows(MERCHANT, MARCH, by)])
                taken.append(time.perf_counter() - started)
            table.add_row(",".join(by) or "nothing", f"{rows:,}", *(f"{each:.1f}" for each in taken))
        started = time.perf_counter()
        bill = await reports.bill(MERCHANT, "c-1", MARCH)
        table.add_row("bill of a channel", f"{len(bill.lines)}", f"{time.perf_counter() - started:.1f}", "")
        console.print(table)
    finally:
        await engine.dispose()


def main() -> None:
    """Measure and print."""
    payments = int(sys.argv[1]) if len(sys.argv) > 1 else PAYMENTS
    with tempfile.TemporaryDirectory(prefix="sluice-reports-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder) / "pg", durable=False, tell=lambda _: None) as server:
            asyncio.run(_measure(server, payments))


if __name__ == "__main__":
    main()
