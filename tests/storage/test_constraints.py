"""Every constraint of `tables`, violated by raw SQL: the database itself refuses what must not be, by name.

A world with one valid row in each table is the start; each case copies a row and breaks one thing. Keys come from the
tables' own description; what a CHECK refuses is written here. Not tested here: NOT NULL, indexes, who writes the rows.
"""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
)

from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.tables import cards, metadata
from tests.unit.domain.samples import NOW, later

MERCHANT, PAYMENT, ATTEMPT, CARD, EVENT, ENDPOINT = (UUID(int=n) for n in range(1, 7))
Row = dict[str, Any]

WORLD: dict[str, Row] = {
    "schema_versions": {"revision": "9999", "tolerates": "9998", "applied_at": NOW},
    "catalogue_versions": {"version": 1, "changed_at": NOW, "changed_by": "me", "note": ""},
    "merchants": {"code": "acme", "name": "Acme"},
    "apps": {"code": "shop", "name": "Shop"},
    "api_keys": {"key_id": uuid4(), "app": "shop", "label": "", "key_hash": b"h", "created_at": NOW},
    "endpoints": {
        "endpoint_id": ENDPOINT,
        "code": "e",
        "app": "shop",
        "url": "https://example.com",
        "allow_private": False,
        "secrets": b"",
    },
    "accounts": {"code": "up-1", "provider": "mock", "settings": "{}", "secrets": b"", "terms": "{}"},
    "channels": {
        "code": "up",
        "account": "up-1",
        "name": "UP",
        "is_on": True,
        "authentication": "{}",
        "authentication_fee": 0,
        "limits": "{}",
    },
    "maintenance_windows": {
        "window_id": uuid4(),
        "channel": "up",
        "starts_at": NOW,
        "ends_at": later(seconds=1),
        "note": "",
    },
    "route_rules": {
        "channel": "up",
        "scene": "withhold",
        "bank": "ICBC",
        "enabled": True,
        "fee": "{}",
        "priority": 0,
        "limits": "{}",
    },
    "users": {"user_id": "u1", "created_at": NOW},
    "cards": {
        "card_id": CARD,
        "user_id": "u1",
        "data_key": b"k",
        "elements": b"e",
        "print": b"p",
        "masked": "622202******1234",
        "bank": "ICBC",
        "created_at": NOW,
    },
    "agreements": {
        "card_id": CARD,
        "account": "up-1",
        "agreement_no": b"",
        "key_version": 0,
        "status": "active",
        "verified_at": NOW,
    },
    "payments": {
        "payment_id": PAYMENT,
        "app": "shop",
        "merchant_order_no": "o1",
        "body_hash": b"",
        "hash_version": 0,
        "hash_form": 2,
        "kind": "withhold",
        "scene": "withhold",
        "user_id": "u1",
        "card_id": CARD,
        "bank": "ICBC",
        "amount": 1000,
        "currency": "CNY",
        "status": "processing",
        "channel": "up",
        "decision": "{}",
        "metadata": "{}",
        "customer_present": False,
        "sequence": 0,
        "due_kind": "poll",
        "due_at": NOW,
        "created_at": NOW,
        "business_day": date(2026, 3, 5),
    },
    "attempts": {
        "attempt_id": ATTEMPT,
        "payment_id": PAYMENT,
        "channel": "up",
        "account": "up-1",
        "stage": "paying",
        "submitted_at": NOW,
        "polls": 0,
        "acknowledged": False,
        "not_found": 0,
        "late_success": False,
    },
    "authentications": {
        "authentication_id": uuid4(),
        "payment_id": PAYMENT,
        "card_id": CARD,
        "account": "up-1",
        "channel": "up",
        "status": "processing",
        "fee": 100,
        "contradicts": False,
        "created_at": NOW,
    },
    "channel_usage": {
        "user_id": "u1",
        "channel": "up",
        "business_day": date(2026, 3, 5),
        "reserved": 0,
        "succeeded": 0,
        "insufficient": 0,
    },
    "last_attempts": {
        "user_id": "u1",
        "channel": "up",
        "attempt_id": ATTEMPT,
        "status": "succeeded",
        "finished_at": NOW,
    },
    "observations": {
        "observation_id": uuid4(),
        "payment_id": PAYMENT,
        "source": "poll",
        "says": "unknown",
        "observed_at": NOW,
    },
    "anomalies": {
        "anomaly_id": uuid4(),
        "payment_id": PAYMENT,
        "kind": "late_success",
        "detail": "",
        "source": "poll",
        "found_at": NOW,
    },
    "events": {
        "event_id": EVENT,
        "app": "shop",
        "type": "payment.failed",
        "object": "payment",
        "object_id": PAYMENT,
        "sequence": 1,
        "body": b"{}",
        "deliveries": 1,
        "created_at": NOW,
    },
    "deliveries": {
        "event_id": EVENT,
        "endpoint_id": ENDPOINT,
        "status": "pending",
        "tries": 0,
        "due_at": NOW,
    },
}

FINAL: Row = {"due_at": None, "due_kind": None, "finished_at": NOW}
FAILED: Row = FINAL | {"status": "failed", "failure_code": "card_frozen", "failure_blame": "payer"}

REFUSED_BY_CHECKS: dict[str, list[Row]] = {
    "channels_fee_check": [{"authentication_fee": -1}],
    "maintenance_windows_order_check": [{"ends_at": NOW}],
    "cards_elements_check": [{"elements": None}, {"erased_at": NOW, "data_key": None, "print": None}],
    "cards_erased_check": [
        {"erased_at": NOW, "elements": None},
        {"erased_at": NOW, "elements": None, "data_key": None, "print": None, "phone_print": b"p"},
    ],
    "cards_fingerprint_check": [{"fingerprint": b"f"}, {"key_version": 1}],
    "cards_same_as_check": [{"same_as": CARD}, {"same_as": CARD, "print": None, "fingerprint": b"f", "key_version": 1}],
    "agreements_number_check": [{"agreement_no": None}],
    "agreements_status_check": [{"status": "perhaps"}],
    "agreements_void_check": [{"status": "void"}, {"voided_at": NOW}],
    "payments_amount_check": [{"amount": 0}, {"amount": -1}],
    "payments_status_check": [FINAL | {"status": "perhaps"}],
    "payments_due_check": [
        {"due_at": None, "due_kind": None},
        {"due_kind": None},
        {"due_at": None},
        {"status": "succeeded", "finished_at": NOW},
    ],
    "payments_due_kind_check": [{"due_kind": "perhaps"}],
    "payments_lease_check": [FINAL | {"status": "succeeded", "lease_until": NOW}],
    "payments_finished_check": [{"finished_at": NOW}, FINAL | {"status": "succeeded", "finished_at": None}],
    "payments_failure_check": [
        FAILED | {"failure_code": None, "failure_blame": None},
        FAILED | {"status": "succeeded"},
        {"failure_code": "card_frozen", "failure_blame": "payer"},
    ],
    "payments_blame_check": [FAILED | {"failure_blame": None}, {"failure_blame": "payer"}],
    "payments_channel_check": [{"channel": None}, FINAL | {"status": "succeeded", "channel": None}],
    "attempts_stage_check": [{"stage": "perhaps"}],
    "authentications_status_check": [{"status": "perhaps", "finished_at": NOW}],
    "authentications_finished_check": [{"finished_at": NOW}, {"status": "succeeded"}],
    "channel_usage_sign_check": [{"reserved": -1}, {"succeeded": -1}, {"insufficient": -1}],
    "last_attempts_status_check": [{"status": "closed"}],
    "deliveries_status_check": [{"status": "perhaps", "due_at": None}],
    "deliveries_due_check": [{"due_at": None}, {"status": "dead"}],
    "deliveries_delivered_check": [{"delivered_at": NOW}, {"status": "delivered", "due_at": None}],
}


def fresh(table: Table, name: str) -> Any:
    """A value that no row has yet."""
    kind = table.c[name].type
    if isinstance(kind, Uuid):
        return uuid4()
    if isinstance(kind, LargeBinary):
        return uuid4().bytes
    if isinstance(kind, Integer):
        return 99
    return uuid4().hex


def columns(constraint: Any) -> set[str]:
    return set(constraint.columns.keys()) - {"merchant_id"}


def of_kind(table: Table, *kinds: type) -> list[Any]:
    return sorted((c for c in table.constraints if isinstance(c, kinds)), key=lambda c: str(c.name))


def a_copy(table: Table, but_for: set[str]) -> Row:
    """The table's row again, its keys fresh but for these columns."""
    keys = {name for key in of_kind(table, PrimaryKeyConstraint, UniqueConstraint) for name in columns(key)}
    plain = {
        name for name in keys - but_for if name in WORLD[table.name] and table.c[name].type.python_type is not date
    }
    row = {"merchant_id": MERCHANT} if "merchant_id" in table.c else {}
    if table.name == "merchants" and "merchant_id" not in but_for:
        row["merchant_id"] = uuid4()
    return row | WORLD[table.name] | {name: fresh(table, name) for name in plain}


def dangling(table: Table, key: ForeignKeyConstraint) -> Row:
    """A row that refers by this key to what is not there, and by all others to what is."""
    others = {name for other in of_kind(table, ForeignKeyConstraint) if other is not key for name in columns(other)}
    nowhere: Row = {name: fresh(table, name) for name in columns(key)} or {"merchant_id": uuid4(), "app": None}
    row = a_copy(table, others) | nowhere
    return {name: row[name] for name in row if name in table.c}


def violations() -> list[Any]:
    """For each constraint the rows that break it, and nothing that is checked before it."""
    cases = []
    for table in metadata.sorted_tables:
        cases += [
            (key.name, table, a_copy(table, set(key.columns.keys()))) for key in of_kind(table, PrimaryKeyConstraint)
        ]
        cases += [(key.name, table, a_copy(table, columns(key))) for key in of_kind(table, UniqueConstraint)]
        cases += [(key.name, table, dangling(table, key)) for key in of_kind(table, ForeignKeyConstraint)]
        cases += [
            (check.name, table, a_copy(table, set()) | broken)
            for check in of_kind(table, CheckConstraint)
            for broken in REFUSED_BY_CHECKS[str(check.name)]
        ]
    cases.append(("cards_print_key", cards, a_copy(cards, set())))  # a unique index of some rows, so no constraint
    return [pytest.param(table.name, row, str(name), id=f"{name}-{n}") for n, (name, table, row) in enumerate(cases)]


async def insert(connection: Any, table: str, row: Row) -> None:
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


@pytest.fixture(scope="module")
async def world(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Any]:
    """A connection to a database of this module in which one valid row of everything stands."""
    administrator = await asyncpg.connect(postgres.dsn.replace("@/sluice?", "@/postgres?"))
    await administrator.execute(f"CREATE DATABASE constraints TEMPLATE {template} STRATEGY FILE_COPY")
    connection = await asyncpg.connect(postgres.dsn.replace("@/sluice?", "@/constraints?"))
    for table in metadata.sorted_tables:
        merchant = {"merchant_id": MERCHANT} if "merchant_id" in table.c else {}
        await insert(connection, table.name, merchant | WORLD[table.name])
    yield connection
    await connection.close()
    await administrator.execute("DROP DATABASE constraints WITH (FORCE)")
    await administrator.close()


@pytest.mark.parametrize(("table", "row", "constraint"), violations())
async def test_a_row_that_breaks_a_constraint_is_refused_by_its_name(
    world: Any, table: str, row: Row, constraint: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        async with world.transaction():
            await insert(world, table, row)
    assert refused.value.constraint_name == constraint


def test_every_check_is_violated_here_and_every_table_has_a_row() -> None:
    checks = {str(c.name) for table in metadata.sorted_tables for c in of_kind(table, CheckConstraint)}
    assert checks == REFUSED_BY_CHECKS.keys()
    assert {table.name for table in metadata.sorted_tables} == WORLD.keys()
