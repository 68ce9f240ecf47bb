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
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from gateway.domain.ids import ObjectKind
from gateway.ports import PaymentFilter
from gateway.storage.reading import references, search
from gateway.storage.reading.cards import OF_USER
from gateway.storage.reading.open_payments import OPEN_PAYMENTS
from gateway.storage.writing import (
    authentications,
    checkout_books,
    checkouts,
    claims,
    codes,
    deliveries,
    due,
    facts,
    held,
    in_flight,
    leaving,
    low_water,
    orders,
    paying_out,
    payments,
    payout_books,
    payouts,
    reading_pages,
    refunding,
    refunds,
    reporting,
    routes,
    settling,
    totals,
    trying,
    unbinding,
    unresolved,
    with_work,
)
from gateway.storage.writing.observations import COUNT_AGAIN, READ_ANOMALIES
from tests.databases import REPLICA, Server, connected, own_url

MERCHANT = UUID(int=0xA)
MANY = 20_000
LATER = datetime(2100, 1, 1, tzinfo=UTC)
FILL = (
    "INSERT INTO merchants VALUES ($1, 'acme', 'Acme')",
    "INSERT INTO apps SELECT $1, code, code FROM unnest(ARRAY['books', 'shop']) code",
    "INSERT INTO accounts SELECT $1, code, 'p', '{}', '', '{}' FROM unnest(ARRAY['up-1', 'up-2']) code",
    "INSERT INTO users SELECT $1, 'u' || n, now() FROM generate_series(0, 999) n",
    """
INSERT INTO cards (merchant_id, card_id, user_id, data_key, elements, print, number_print, masked, bank, created_at)
SELECT $1, gen_random_uuid(), user_id, '', '', convert_to(user_id, 'UTF8'), convert_to(user_id, 'UTF8'),
    user_id || '*1234', 'ICBC', now() FROM users""",
    f"""
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, card_id, bank, amount,
    currency, status, channel, account, channel_order_no, authentication_id, metadata, customer_present, sequence,
    due_at, created_at, finished_at, business_day)
SELECT $1, gen_random_uuid(), CASE WHEN n % 1000 = 0 THEN 'books' ELSE 'shop' END, 'o-' || n, 'withhold',
    'withhold', user_id, card_id, bank, 1000, 'CNY',
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
INSERT INTO payouts (merchant_id, payout_id, app, merchant_order_no, channel, account, payee_type, payee_masked,
    payee_bank, payee, data_key, amount, currency, purpose, status, intent_ordinal, parts, settles, metadata, sequence,
    due_at, created_at, finished_at, business_day)
SELECT $1, refund_id, app, 'p' || merchant_order_no, 'up', 'up-1', 'personal', '', 'ICBC', '', '', 10, 'CNY', '',
    status, 1, 1, 10, '{}', 1, due_at, created_at, finished_at, business_day FROM refunds""",
    """
INSERT INTO settles SELECT $1, refund_id, payment_id, 10, 10 FROM refunds""",
    """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks, ended_at, channel_transaction_no)
SELECT $1, object_id, verb, 1, object_id, 'up', 'up-1', merchant_order_no, created_at, created_at, 10,
    CASE status WHEN 'processing' THEN 'open' ELSE 'done' END, 0, false, 0, false, 0, finished_at,
    't-' || merchant_order_no
FROM (SELECT payment_id AS object_id, 'pay' AS verb, merchant_order_no, status, created_at, finished_at FROM payments
    UNION ALL SELECT refund_id, 'refund', merchant_order_no, status, created_at, finished_at FROM refunds)
    AS objects""",
    f"""
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
SELECT $1, lpad(to_hex(n), 32, '0')::uuid, 'shop', 'payment.succeeded', 'payment', lpad(to_hex(n), 32, '0')::uuid, 1,
    '', 1, now() FROM generate_series(1, {MANY}) n""",
    """
INSERT INTO deliveries (merchant_id, event_id, endpoint_id, status, tries, due_at, delivered_at)
SELECT merchant_id, event_id, lpad(to_hex(n % 4), 32, '0')::uuid, status, 1,
    CASE WHEN status = 'pending' THEN now() END, CASE WHEN status = 'delivered' THEN now() END
FROM (SELECT merchant_id, event_id, row_number() OVER (ORDER BY event_id) AS n,
    CASE row_number() OVER (ORDER BY event_id) % 7 WHEN 0 THEN 'pending' WHEN 1 THEN 'held' WHEN 2 THEN 'dead'
        ELSE 'delivered' END AS status FROM events WHERE merchant_id = $1) AS e""",
    """
INSERT INTO anomalies (merchant_id, anomaly_id, object, object_id, kind, detail, source, found_at)
SELECT $1, payment_id, 'payment', payment_id, 'late_success', '', 'poll', created_at FROM payments""",
    f"""
INSERT INTO channel_totals SELECT $1, current_date, gen_random_uuid(), 'up', n FROM generate_series(1, {MANY}) n""",
    f"""
INSERT INTO code_counts (merchant_id, phone_print, business_day, sent)
SELECT $1, convert_to('p' || n, 'UTF8'), current_date, 1 FROM generate_series(1, {MANY}) n""",
    f"""
INSERT INTO card_totals SELECT $1, current_date, convert_to('n' || n, 'UTF8'), 'up', n
FROM generate_series(1, {MANY}) n""",
    """
INSERT INTO routes (merchant_id, route_id, app, merchant_order_no, scene, user_id, card_id, bank, amount, currency,
    status, channel, account, late_success, metadata, sequence, report_before, until_at, created_at, finished_at,
    business_day)
SELECT $1, payment_id, app, merchant_order_no, scene, user_id, card_id, bank, amount, currency,
    CASE WHEN due_at IS NULL THEN 'succeeded' ELSE 'open' END, channel, account, false, '{}', 0, created_at, due_at,
    created_at, finished_at, business_day FROM payments""",
    """
INSERT INTO decisions SELECT $1, route_id, '{}' FROM routes""",
    """
INSERT INTO checkouts (merchant_id, checkout_id, app, merchant_order_no, purpose, user_id, amount, currency, methods,
    return_url, status, won_by, tries, codes, sequence, expires_at, until_at, created_at, finished_at, metadata)
SELECT $1, payment_id, app, merchant_order_no, 'pay', user_id, amount, 'CNY', '{quick}', '',
    CASE WHEN due_at IS NULL THEN 'succeeded' ELSE 'open' END, CASE WHEN due_at IS NULL THEN payment_id END, 1, 0, 1,
    created_at, due_at, created_at, finished_at, '{}' FROM payments""",
    "UPDATE payments SET checkout_id = payment_id WHERE merchant_order_no LIKE '%7'",
    """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
SELECT $1, payment_id, app, 'payment.' || status, 'payment', payment_id, 1, '', 0, created_at FROM payments""",
    """
INSERT INTO observations (merchant_id, observation_id, object_id, verb, source, says, observed_at)
SELECT $1, gen_random_uuid(), payment_id, 'pay', 'poll', 'processing', created_at FROM payments""",
)

M, ID, AT = f"'{MERCHANT}'", "gen_random_uuid()", "now()"
BEGINNING = f"'{low_water.BEGINNING.isoformat()}'"
IDS = f"ARRAY[{ID}, {ID}]"
ENDPOINT = f"'{UUID(int=1)}'::uuid"
LATE = f"'{UUID(int=0xFFFF << 112)}'"
TO_CLAIM = (M, AT, AT, "ARRAY['up', 'tl']", "ARRAY[64, 32]", BEGINNING)
WORD = "'x'"
DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]


def asked(sql: str, **values: str) -> tuple[str, tuple[str, ...]]:
    """A statement with names for its values, as asyncpg gets it; the names with the same values everywhere."""
    known = {"merchant": M, "ids": IDS, "id": ID, "given": WORD, "limit": "51", "lowest": f"'{LOWEST}'::uuid"}
    known |= {"below": f"'{HIGHEST}'::uuid", "app": "'books'", "user": "null", "status": "'closed'", "type": "'x'"}
    made = text(sql).compile(dialect=DIALECT)
    return str(made), tuple((known | values)[name] for name in made.positiontup or ())


LOWEST, HIGHEST = search._ALL_IDS
LOOK_AT_USER = search._LOOK.format(at_place="AND p.user_id = place.value")
LOOK_AT_APP = search._LOOK.format(at_place="AND p.app = place.value")
FILTERS = search._filters(PaymentFilter(status="closed"), by_card=False)[0]  # type: ignore[arg-type]
AT_USER = {"values": "ARRAY['u7']", "cards": "ARRAY[null]::uuid[]"}
AT_APP = {"values": "ARRAY['books']", "cards": "ARRAY[null]::uuid[]"}


WORDS = """json_to_recordset($2::json) AS v (observation_id UUID, object_id UUID, verb TEXT, source TEXT, says TEXT,
    channel_code TEXT, channel_message TEXT, note TEXT, times INTEGER, last_at TIMESTAMP WITH TIME ZONE,
    last_ids UUID[], perhaps_known_of UUID)"""


def pick(look: str) -> str:
    return search._PICK.format(places=search._PLACES, look=look, most=20_000, filters=FILTERS)


def looked_to(look: str) -> str:
    return search._LOOKED_TO.format(places=search._PLACES, look=look, most=20_000)


STATEMENTS: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "an order number of an app": (*asked(search._ORDER, number="'o-77'"), {"orders_pkey"}),
    "payments of a user": (*asked(pick(LOOK_AT_USER), **AT_USER), {"payments_user_idx"}),
    "payments of an app": (*asked(pick(LOOK_AT_APP), **AT_APP), {"payments_app_idx"}),
    "how far a search of a user came": (*asked(looked_to(LOOK_AT_USER), **AT_USER), {"payments_user_idx"}),
    "how far a search of an app came": (*asked(looked_to(LOOK_AT_APP), **AT_APP), {"payments_app_idx"}),
    "payments that were found": (
        str(search._BY_ID.compile(dialect=DIALECT)),
        (M, IDS),
        {"payments_pkey", "intents_pkey"},
    ),
    "events of a type": (*asked(search._PICK_EVENTS.format(most=20_000)), {"events_app_idx"}),
    "how far a search of events came": (*asked(search._EVENTS_LOOKED_TO.format(most=20_000)), {"events_app_idx"}),
    "an order number of a merchant": (*asked(references._BY_NUMBER["merchant_order_no"]), {"orders_pkey"}),
    "our number at a PSP": (*asked(references._BY_NUMBER["channel_order_no"]), {"intents_number_key"}),
    "a PSP's number": (*asked(references._BY_NUMBER["channel_transaction_no"]), {"intents_transaction_idx"}),
    "our number, never sent": (*asked(references._NEVER_SENT), {"payments_pkey"}),
    "an event's object": (*asked(references._TOLD["evt"], given=ID), {"events_pkey"}),
    "an anomaly's object": (*asked(references._TOLD["ano"], given=ID), {"anomalies_pkey"}),
    "payments of refunds": (*asked(references._PAYMENTS_OF[ObjectKind.REFUND]), {"refunds_pkey"}),
    "payments of authentications": (
        *asked(references._PAYMENTS_OF[ObjectKind.AUTHENTICATION]),
        {"payments_authentication_idx", "authentications_pkey"},
    ),
    "a card": (*asked(references._CARD, given=ID), {"cards_pkey"}),
    "cards that look alike": (*asked(references._CARDS, masked="ARRAY['u7*1234', 'u8*1234']"), {"cards_masked_idx"}),
    "WITH_WORK": (
        with_work.statement(claims.WITH_WORK, 8),
        (AT, BEGINNING, *[M] * 8),
        {"payments_due_idx", "authentications_due_idx", "refunds_due_idx", "payouts_due_idx"},
    ),
    "WITH_WORK, deliveries": (
        with_work.statement(deliveries.WITH_WORK, 8),
        (AT, BEGINNING, *[M] * 8),
        {"deliveries_due_idx"},
    ),
    "OLDEST_DUE": (
        claims.OLDEST_DUE,
        (M, BEGINNING),
        {"payments_due_idx", "authentications_due_idx", "refunds_due_idx", "payouts_due_idx"},
    ),
    "the oldest delivery": (deliveries.OLDEST_DUE, (M, BEGINNING), {"deliveries_due_idx"}),
    "CLAIM of deliveries": (
        deliveries.CLAIM,
        (M, AT, AT, f"ARRAY[{ENDPOINT}]", "ARRAY[64]", BEGINNING),
        {"deliveries_endpoint_idx", "deliveries_pkey", "events_pkey"},
    ),
    "DUE_CHANNELS": (
        claims.DUE_CHANNELS,
        (M, AT, BEGINNING, "ARRAY['up', 'tl']"),
        {
            "payments_channel_due_idx",
            "authentications_channel_due_idx",
            "refunds_channel_due_idx",
            "payouts_channel_due_idx",
        },
    ),
    "CLAIM_PAYMENTS": (claims.CLAIM_PAYMENTS, TO_CLAIM, {"payments_channel_due_idx"}),
    "CLAIM_AUTHENTICATIONS": (claims.CLAIM_AUTHENTICATIONS, TO_CLAIM, {"authentications_channel_due_idx"}),
    "CLAIM_REFUNDS": (claims.CLAIM_REFUNDS, TO_CLAIM, {"refunds_channel_due_idx"}),
    "CLAIM_PAYOUTS": (claims.CLAIM_PAYOUTS, TO_CLAIM, {"payouts_channel_due_idx"}),
    "CLAIM_HELD": (payout_books.CLAIM_HELD, (M, AT, AT, "64"), {"payouts_until_idx"}),
    "FREE_OUTFLOWS": (settling.FREE_OUTFLOWS, (M, IDS), {"settles_pkey", "outflows_pkey"}),
    "TAKE_PARTS": (settling.TAKE_PARTS, (M, ID), {"settles_pkey", "outflows_pkey"}),
    "TAKE_OUTFLOWS": (settling.TAKE_OUTFLOWS, (M, ID), {"settles_pkey", "outflows_pkey"}),
    "READ_DAYS_OF": (settling.READ_DAYS_OF, (M, IDS), {"payouts_pkey"}),
    "READ_PARTS": (paying_out.READ_PARTS, (M, IDS, IDS), {"settles_payment_idx"}),
    "PAYOUTS_BY_ID": (payouts._BY_ID, (M, IDS), {"payouts_pkey", "intents_pkey"}),
    "FIND_INTENT": (
        due.FIND_INTENT,
        (M, "'up-1'", "'o-77'", "'pay'"),
        {"intents_number_key", "payments_pkey", "refunds_pkey"},
    ),
    "FIND_UNSENT": (due.FIND_UNSENT, (M, ID, "'up-1'", "'n-77'"), {"payments_pkey"}),
    "FIND_OBJECT": (due.FIND_OBJECT[ObjectKind.REFUND][1], (M, ID), {"refunds_pkey"}),
    "READ_CONTINUATION": (
        due.READ_CONTINUATION,
        (M, ID, "'n-77'"),
        {"authentications_pkey", "cards_pkey", "intents_pkey"},
    ),
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
    "READ_TOTALS": (
        totals.READ_TOTALS,
        (M, "current_date", LATE, LATE, "ARRAY['n1', 'n2']::bytea[]"),
        {"channel_totals_pkey", "card_totals_pkey"},
    ),
    "READ_IN_FLIGHT": (
        in_flight.READ_IN_FLIGHT,
        (M, "ARRAY['up']", "current_date", "ARRAY['n1', 'n2']::bytea[]"),
        {"payments_channel_due_idx", "routes_channel_idx"},
    ),
    "ROUTES_BY_ID": (routes._BY_ID, (M, IDS), {"routes_pkey", "decisions_pkey"}),
    "CHECKOUTS_BY_ID": (checkouts._BY_ID, (M, IDS), {"checkouts_pkey"}),
    "PAYMENTS_OF_CHECKOUTS": (checkouts._PAYMENTS, (M, IDS), {"payments_checkout_idx", "checkouts_pkey"}),
    "SIGNINGS_OF_CHECKOUTS": (checkouts._SIGNINGS, (M, IDS), {"authentications_checkout_idx", "checkouts_pkey"}),
    "WITH_WORK, checkouts": (
        with_work.statement(checkout_books.WITH_CHECKOUTS, 8),
        (AT, BEGINNING, *[M] * 8),
        {"checkouts_until_idx"},
    ),
    "CLAIM_CHECKOUTS": (checkout_books.CLAIM_CHECKOUTS, (M, AT, AT, "64"), {"checkouts_until_idx"}),
    "CARDS_OF_USER": (OF_USER, (M, "'u1'", "10"), {"cards_print_key", "payments_user_idx"}),
    "READ_CARDS_OF_AN_HOUR": (trying.READ_CARDS, (M, "ARRAY['u1']", AT), {"cards_print_key"}),
    "CLAIM_ROUTES": (routes.CLAIM_ROUTES, (M, AT, AT, "64"), {"routes_until_idx"}),
    "READ_VERIFIERS": (reporting.READ_VERIFIERS, (M, IDS), {"cards_pkey"}),
    "READ_NUMBER_PRINTS": (reporting.READ_NUMBER_PRINTS, (M, IDS), {"cards_pkey"}),
    "READ_UNRESOLVED": (
        unresolved.READ_UNRESOLVED,
        (M, "ARRAY['u1', 'u2']", IDS),
        {"payments_user_idx", "intents_pkey"},
    ),
    "OPEN_PAYMENTS": (
        OPEN_PAYMENTS.replace(":merchant_id", "$1").replace(":most", "$2"),
        (M, "10000"),
        {"payments_due_idx"},
    ),
    "LOCK_PAYMENTS": (refunding.LOCK_PAYMENTS, (M, IDS), {"payments_pkey"}),
    "READ_OPEN_ANOMALIES": (leaving.READ_OPEN_ANOMALIES, (M, IDS), {"anomalies_money_key", "settles_payment_idx"}),
    "READ_LEFT_BEFORE": (leaving.READ_LEFT_BEFORE, (M, IDS), {"payments_corrects_key", "outflows_pkey"}),
    "READ_UNCOUNTED": (leaving.READ_UNCOUNTED, (M, IDS), {"settles_payment_idx"}),
    "READ_TAKEN": (leaving.READ_TAKEN, (M, IDS), {"payments_corrects_key"}),
    "COUNT_AGAIN": (COUNT_AGAIN.format(rows=WORDS), (M, "'[]'"), {"observations_object_idx", "observations_pkey"}),
    "REDELIVER": (deliveries.REDELIVER, (M, ENDPOINT, AT), {"deliveries_pkey"}),
    "MISPLACED": (held.MISPLACED, (M, AT), {"deliveries_held_idx", "deliveries_endpoint_idx"}),
    "HOLD": (held.HOLD, (M, ENDPOINT, AT, "100"), {"deliveries_endpoint_idx"}),
    "RELEASE": (held.RELEASE, (M, ENDPOINT, AT, "100", AT), {"deliveries_held_idx"}),
    "DISCARD": (held.DISCARD, (M, ENDPOINT, "'old'", "100"), {"deliveries_held_idx"}),
    "HELD": (held.HELD, (M, f"ARRAY[{ENDPOINT}]", "100"), {"deliveries_held_idx"}),
    "READ_PHONES": (codes.READ_PHONES, (M, IDS, "current_date"), {"cards_pkey", "code_counts_pkey"}),
    "READ_SENT": (codes.READ_SENT, (M, "ARRAY['u1'::bytea]", "current_date"), {"code_counts_pkey"}),
    "READ_SMS": (codes.READ_SMS, (M, IDS), {"intents_pkey"}),
    "IN_USE": (
        unbinding.IN_USE,
        (M, "'u1'", IDS),
        {"authentications_open_key"},
    ),
    "READ_ANOMALIES": (READ_ANOMALIES, (M, IDS), {"anomalies_money_key"}),
}
"""The text, values for it, and the indexes that it must use."""

SMALL = {"agreements", "second_outflows", "channel_usage", "endpoints", "last_attempts", "apps", "accounts"}
"""They are empty or short here, so how they are read says nothing."""


@pytest.fixture(scope="module")
async def connection(postgres: Server, template: str) -> AsyncIterator[Any]:
    """A connection to a database of this module with many objects."""
    async with own_url(postgres, template) as url:
        connection = await connected(url)
        await connection.execute("SET random_page_cost = 1.1")  # as on the embedded server, and on any disk of today
        await connection.execute(REPLICA)  # to look at each foreign key takes longer than to write the rows
        for statement in FILL:
            await connection.execute(statement, *([MERCHANT] if "$1" in statement else []))
        await connection.execute("RESET session_replication_role")
        await connection.execute("ANALYZE")
        yield connection
        await connection.close()


@pytest.mark.parametrize("looks", [claims.WITH_WORK, deliveries.WITH_WORK])
@pytest.mark.parametrize("plan_for", ["custom", "generic"])
async def test_a_look_for_work_reads_one_row_however_much_is_due(
    connection: Any, looks: tuple[str, ...], plan_for: str
) -> None:
    others = [UUID(int=0xB + n) for n in range(15)]
    await connection.execute(f"SET plan_cache_mode = force_{plan_for}_plan")
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {with_work.statement(looks, 16)}"
    plan = json.loads(await connection.fetchval(explain, LATER, low_water.BEGINNING, MERCHANT, *others))[0]["Plan"]
    reads = [node for node in nodes(plan) if "Relation Name" in node]
    assert len(reads) == 16 * len(looks)
    assert sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in reads) == len(looks)
    everybody, begin = [*others, *others, MERCHANT], low_water.BEGINNING
    assert await with_work.merchants_with_work(connection, looks, everybody, LATER, begin) == [MERCHANT]


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize("size", with_work.SIZES)
def test_a_list_of_work_stays_prepared(size: int) -> None:
    """asyncpg throws away what is longer than its `max_cacheable_statement_size`."""
    assert max(len(with_work.statement(looks, size)) for looks in (claims.WITH_WORK, deliveries.WITH_WORK)) < 15 * 1024


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
    used = re.findall(r"(?:Scan(?: Backward)? using|Bitmap Index Scan on) (\w+)", plan)
    assert indexes <= set(used), plan
    assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= SMALL, plan
