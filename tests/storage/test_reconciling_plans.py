"""A day is compared by reading that day, however many days lie in the tables; and a million lines as few are.

PostgreSQL's own plans: the one for these values, and the one for any values. Not tested here: what it finds.
"""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from gateway.storage.reconciling.comparing import COMPARE, ENTRIES
from gateway.storage.reconciling.store import MANY_LINES
from tests.databases import REPLICA, Server, connected, own_url
from tests.storage.reconciling_desk import ACCOUNT, DAY, MERCHANT, at

DAYS, A_DAY = 60, 1_000
FILL = (
    """
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, bank, amount, currency,
    status, channel, account, channel_order_no, fee, metadata, customer_present, sequence, created_at, finished_at,
    business_day)
SELECT $1, gen_random_uuid(), 'shop', 'n-' || n, 'withhold', 'withhold', 'u', 'ICBC', 1000, 'CNY', 'succeeded', 'up',
    $2, 'n-' || n, 3, '{}', false, 0, at, at, (at AT TIME ZONE 'Asia/Shanghai')::date
FROM (SELECT n, $3::timestamptz + n * ($4::interval / $5::int) AS at FROM generate_series(0, $5::int - 1) n) made""",
    """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks, ended_at)
SELECT merchant_id, payment_id, 'pay', 1, payment_id, channel, account, channel_order_no, created_at, created_at,
    amount, 'done', 0, false, 0, false, 0, finished_at FROM payments ORDER BY created_at""",
)
LINES = """
INSERT INTO statement_lines (merchant_id, statement_id, ordinal, line, kind, side, number, amount, paid)
SELECT $1, $2, n, n, 'payment', 'in', 'twice-' || n / 2, 1000, true FROM generate_series(1, $3::int) n"""
STATEMENT = UUID(int=7)


@pytest.fixture(scope="module")
async def connection(postgres: Server, template: str) -> AsyncIterator[Any]:
    """A connection to a database of this module in which sixty days lie, and a statement that nobody has counted."""
    async with own_url(postgres, template) as url:
        connection = await connected(url)
        await connection.execute("SET random_page_cost = 1.1")  # as on the embedded server, and on any disk of today
        await connection.execute(REPLICA)  # our rows stand alone here
        first = at("00:00", -DAYS // 2)
        await connection.execute(FILL[0], MERCHANT, ACCOUNT, first, timedelta(days=DAYS), DAYS * A_DAY)
        await connection.execute(FILL[1])
        await connection.execute("VACUUM ANALYZE")
        await connection.execute(LINES, MERCHANT, STATEMENT, A_DAY)
        await connection.execute(MANY_LINES.replace("LOCAL", ""))
        yield connection
        await connection.close()


def values(again: list[str] | None = None) -> tuple[Any, ...]:
    day = (at("00:00"), at("00:00", 1))
    cuts = (at("23:30"), at("00:30"), False, datetime.now(UTC), time(0), "Asia/Shanghai")
    return (MERCHANT, ACCOUNT, DAY, *day, STATEMENT, *cuts, again)


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize("plan_for", ["custom", "generic"])
async def test_the_entries_of_a_day_are_found_by_the_small_indexes_of_time(connection: Any, plan_for: str) -> None:
    await connection.execute(f"SET plan_cache_mode = force_{plan_for}_plan")
    lines = await connection.fetch(f"EXPLAIN (COSTS OFF) {ENTRIES}", *values()[:5])
    plan = "\n".join(line[0] for line in lines)
    assert {"intents_recorded_idx", "intents_ended_idx"} <= set(re.findall(r"Bitmap Index Scan on (\w+)", plan)), plan
    assert {"intents", "payments"}.isdisjoint(re.findall(r"Seq Scan on (\w+)", plan)), plan


@pytest.mark.parametrize("again", [None, [f"twice-{n}" for n in range(A_DAY // 2)]], ids=["unknown", "known"])
@pytest.mark.parametrize("plan_for", ["custom", "generic"])
async def test_a_comparison_reads_rows_of_a_few_days_and_no_line_once_for_each_other(
    connection: Any, plan_for: str, again: list[str] | None
) -> None:
    await connection.execute(f"SET plan_cache_mode = force_{plan_for}_plan")
    turn = connection.transaction()
    await turn.start()
    try:
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {COMPARE}", *values(again))
    finally:
        await turn.rollback()
    plan = orjson.loads(told)[0]["Plan"]
    for node in nodes(plan):
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
        read += node.get("Rows Removed by Index Recheck", 0)
        # A range of the index is a megabyte: some thousands of rows before and after those that are meant.
        assert read * node["Actual Loops"] < DAYS * A_DAY / 3, node
