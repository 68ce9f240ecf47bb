"""Statements that are asked again and again find their rows by an index, however much lies in the tables.

Many objects of which one in a hundred has something due, and PostgreSQL's own plans: the one for these values, and the
one for any values, which it keeps once a statement has been prepared and run a few times. Not tested here: what the
statements return.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from gateway.domain.ids import ObjectKind
from gateway.ports import PaymentFilter
from gateway.storage.reading.reader import _search
from gateway.storage.writing import (
    authentications,
    deliveries,
    due,
    facts,
    orders,
    payments,
    reading_pages,
    refunding,
    refunds,
    with_work,
)
from gateway.storage.writing.observations import READ_ANOMALIES
from tests.databases import Server, connected, own_url

MERCHANT = UUID(int=0xA)
MANY = 20_000
LATER = datetime(2100, 1, 1, tzinfo=UTC)
FILL = (
    "INSERT INTO users SELECT $1, 'u' || n, now() FROM generate_series(0, 999) n",
    """
INSERT INTO cards (merchant_id, card_id, user_id, data_key, elements, print, masked, bank, created_at)
SELECT $1, gen_random_uuid(), user_id, '', '', convert_to(user_id, 'UTF8'), '6222', 'ICBC', now() FROM users""",
    f"""
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, card_id, bank, amount,
    currency, status, channel, account, channel_order_no, authentication_id, metadata, customer_present, sequence,
    due_at, created_at, finished_at, business_day)
SELECT $1, gen_random_uuid(), 'shop', 'o-' || n, 'withhold', 'withhold', user_id, card_id, bank, 1000, 'CNY',
    CASE WHEN n % 100 = 0 THEN 'processing' ELSE 'succeeded' END, 'up', 'up-1', 'n-' || n, gen_random_uuid(), '{{}}',
    false, 1, CASE WHEN n % 100 = 0 THEN now() END, now(), CASE WHEN n % 100 <> 0 THEN now() END, current_date
FROM generate_series(1, {MANY}) n JOIN cards ON user_id = 'u' || n % 1000""",
    """
INSERT INTO orders SELECT $1, app, merchant_order_no, 'payment', payment_id, '', 0, 2 FROM payments""",
    """
INSERT INTO authentications (merchant_id, authentication_id, payment_id, user_id, card_id, bank, account, channel,
    status, fee, contradicts, due_at, created_at, finished_at)
SELECT $1, authentication_id, payment_id, user_id, card_id, bank, channel_order_no, channel, status, 0, false, due_at,
    created_at, finished_at FROM payments""",
    """
INSERT INTO refunds (merchant_id, refund_id, app, merchant_order_no, payment_id, user_id, amount, currency, status,
    metadata, sequence, due_at, created_at, finished_at, business_day)
SELECT $1, gen_random_uuid(), app, merchant_order_no, payment_id, user_id, 10, 'CNY', status, '{}', 1, due_at,
    created_at, finished_at, business_day FROM payments""",
    """
INSERT INTO outflows SELECT $1, payment_id, amount, 10, 0, 0 FROM payments""",
    """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks, ended_at)
SELECT $1, object_id, verb, 1, object_id, 'up', 'up-1', merchant_order_no, created_at, created_at, 10,
    CASE status WHEN 'processing' THEN 'open' ELSE 'done' END, 0, false, 0, false, 0, finished_at
FROM (SELECT payment_id AS object_id, 'pay' AS verb, merchant_order_no, status, created_at, finished_at FROM payments
    UNION ALL SELECT refund_id, 'refund', merchant_order_no, status, created_at, finished_at FROM refunds)
    AS objects""",
    """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
SELECT $1, payment_id, 'shop', 'payment.succeeded', 'payment', payment_id, 1, '', 1, created_at
FROM payments""",
    """
INSERT INTO deliveries (merchant_id, event_id, endpoint_id, status, tries, due_at, delivered_at)
SELECT $1, payment_id, gen_random_uuid(), CASE WHEN due_at IS NULL THEN 'delivered' ELSE 'pending' END, 0, due_at,
    CASE WHEN due_at IS NULL THEN created_at END FROM payments""",
    """
INSERT INTO anomalies (merchant_id, anomaly_id, object, object_id, kind, detail, source, found_at)
SELECT $1, payment_id, 'payment', payment_id, 'late_success', '', 'poll', created_at FROM payments""",
)

M, ID, AT, NONE = f"'{MERCHANT}'", "gen_random_uuid()", "now()", "ARRAY[]::text[]"
IDS = f"ARRAY[{ID}, {ID}]"
TO_CLAIM = (M, AT, "64", AT, NONE)
BY_ORDER = _search(MERCHANT, "shop", PaymentFilter(merchant_order_no="o-77")).compile(
    dialect=asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]
)
GIVEN = [BY_ORDER.params[name] for name in BY_ORDER.positiontup or ()]

STATEMENTS: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "GET /v1/payments?merchant_order_no=": (
        str(BY_ORDER),
        tuple(str(value) if isinstance(value, int) else f"'{value}'" for value in GIVEN),
        {"orders_pkey", "payments_pkey"},
    ),
    "WITH_WORK": (
        with_work.statement(due.WITH_WORK, 8),
        (AT, *[M] * 8),
        {"payments_due_idx", "authentications_due_idx", "refunds_due_idx"},
    ),
    "WITH_WORK, deliveries": (with_work.statement(deliveries.WITH_WORK, 8), (AT, *[M] * 8), {"deliveries_due_idx"}),
    "CLAIM_PAYMENTS": (due.CLAIM_PAYMENTS, TO_CLAIM, {"payments_due_idx"}),
    "CLAIM_AUTHENTICATIONS": (due.CLAIM_AUTHENTICATIONS, TO_CLAIM, {"authentications_due_idx"}),
    "CLAIM_REFUNDS": (due.CLAIM_REFUNDS, TO_CLAIM, {"refunds_due_idx", "intents_pkey"}),
    "FIND_INTENT": (
        due.FIND_INTENT,
        (M, "'up-1'", "'o-77'", "'pay'"),
        {"intents_number_key", "payments_pkey", "refunds_pkey"},
    ),
    "FIND_UNSENT": (due.FIND_UNSENT, (M, ID, "'up-1'", "'n-77'"), {"payments_pkey"}),
    "FIND_OBJECT": (due.FIND_OBJECT[ObjectKind.REFUND][1], (M, ID), {"refunds_pkey"}),
    "HAS_INTENT": (due.HAS_INTENT, (M, ID, "'pay'"), {"intents_pkey"}),
    "payments_by_id": (payments._BY_ID, (M, IDS), {"payments_pkey", "intents_pkey"}),
    "authentications_by_id": (authentications._BY_ID, (M, IDS), {"authentications_pkey", "intents_pkey"}),
    "refunds_by_id": (refunds._BY_ID, (M, IDS), {"refunds_pkey", "intents_pkey"}),
    "READ_PAYMENTS": (reading_pages.READ_PAYMENTS, (M, IDS), {"payments_pkey", "intents_pkey"}),
    "READ_PAYMENTS_AND_WAITING": (
        reading_pages.READ_PAYMENTS_AND_WAITING,
        (M, IDS, IDS),
        {"payments_pkey", "payments_authentication_idx", "intents_pkey"},
    ),
    "READ_ORDERS": (orders.READ_ORDERS, (M, "ARRAY['shop']", "ARRAY['o-77']"), {"orders_pkey"}),
    "READ_FACTS": (
        facts.READ_FACTS,
        (M, "ARRAY['u1']", "current_date", "ARRAY['u1'::bytea]", IDS, "ARRAY['shop']", "ARRAY['o-1']", "ARRAY['6']"),
        {"orders_pkey", "cards_print_key", "authentications_open_key"},
    ),
    "LOCK_PAYMENTS": (refunding.LOCK_PAYMENTS, (M, IDS), {"payments_pkey"}),
    "READ_OPEN_ANOMALIES": (refunding.READ_OPEN_ANOMALIES, (M, IDS), {"anomalies_kind_key"}),
    "READ_ANOMALIES": (READ_ANOMALIES, (M, IDS), {"anomalies_kind_key"}),
}
"""The text, values for it, and the indexes that it must use."""

SMALL = {"agreements", "channel_usage", "last_attempts"}
"""They are empty here, so how they are read says nothing."""


@pytest.fixture(scope="module")
async def connection(postgres: Server, template: str) -> AsyncIterator[Any]:
    """A connection to a database of this module with many objects."""
    async with own_url(postgres, template) as url:
        connection = await connected(url)
        await connection.execute("SET random_page_cost = 1.1")  # as on the embedded server, and on any disk of today
        for statement in FILL:
            await connection.execute(statement, MERCHANT)
        await connection.execute("ANALYZE")
        yield connection
        await connection.close()


@pytest.mark.parametrize("looks", [due.WITH_WORK, deliveries.WITH_WORK])
@pytest.mark.parametrize("plan_for", ["custom", "generic"])
async def test_a_look_for_work_reads_one_row_however_much_is_due(
    connection: Any, looks: tuple[str, ...], plan_for: str
) -> None:
    others = [UUID(int=0xB + n) for n in range(15)]
    await connection.execute(f"SET plan_cache_mode = force_{plan_for}_plan")
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {with_work.statement(looks, 16)}"
    plan = json.loads(await connection.fetchval(explain, LATER, MERCHANT, *others))[0]["Plan"]
    reads = [node for node in nodes(plan) if "Relation Name" in node]
    assert len(reads) == 16 * len(looks)
    assert sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in reads) == len(looks)
    assert await with_work.merchants_with_work(connection, looks, [*others, *others, MERCHANT], LATER) == [MERCHANT]


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize("size", with_work.SIZES)
def test_a_list_of_work_stays_prepared(size: int) -> None:
    """asyncpg throws away what is longer than its `max_cacheable_statement_size`."""
    assert max(len(with_work.statement(looks, size)) for looks in (due.WITH_WORK, deliveries.WITH_WORK)) < 15 * 1024


@pytest.mark.parametrize("plan_for", ["custom", "generic"])
@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_statement_finds_its_rows_by_an_index(connection: Any, name: str, plan_for: str) -> None:
    sql, values, indexes = STATEMENTS[name]
    await connection.execute(f"SET plan_cache_mode = force_{plan_for}_plan")
    await connection.execute(f"PREPARE asked AS {sql}")
    try:
        lines = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE asked ({', '.join(values)})")
    finally:
        await connection.execute("DEALLOCATE asked")
    plan = "\n".join(line[0] for line in lines)
    used = re.findall(r"(?:Scan using|Bitmap Index Scan on) (\w+)", plan)
    assert indexes <= set(used), plan
    assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= SMALL, plan
