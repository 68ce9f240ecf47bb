"""The rows of anomalies on a real server: listing the open and the resolved, resolving once.

Not tested here: who writes them (test_recording.py), and the calls (test_admin_books.py).
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly
from gateway.domain.ids import ObjectKind
from gateway.storage.tables import anomalies
from gateway.storage.writing.anomalies import OPEN, AnomalyStore
from tests.databases import database_on
from tests.storage.delivery_rows import MERCHANT, OTHER_MERCHANT

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


async def anomaly(
    engine: AsyncEngine, number: int, merchant_id: UUID = MERCHANT, kind: ObjectKind = ObjectKind.PAYMENT
) -> None:
    """An open anomaly whose id, and whose object's id, is this number."""
    row: dict[str, Any] = {
        "merchant_id": merchant_id,
        "anomaly_id": UUID(int=number),
        "object": kind,
        "object_id": UUID(int=number),
        "kind": "late_success",
        "detail": "paid at the channel, failed here",
        "source": "callback",
        "found_at": NOW,
    }
    async with engine.begin() as connection:
        await connection.execute(insert(anomalies).values(row))


def numbers(found: list[RecordedAnomaly]) -> list[int]:
    return [one.anomaly_id.int for one in found]


async def test_open_anomalies_are_listed_newest_first_page_by_page(engine: AsyncEngine) -> None:
    store = AnomalyStore(database_on(engine))
    for number in (1, 2, 3):
        await anomaly(engine, number)
    await anomaly(engine, 4, OTHER_MERCHANT)
    first = await store.anomalies(MERCHANT, 2)
    assert numbers(first) == [3, 2]
    assert first[0] == RecordedAnomaly(
        UUID(int=3),
        ObjectKind.PAYMENT,
        UUID(int=3),
        "late_success",
        "paid at the channel, failed here",
        "callback",
        NOW,
        None,
        None,
        None,
    )
    assert numbers(await store.anomalies(MERCHANT, 2, first[-1].anomaly_id)) == [1]


async def test_an_anomaly_of_a_refund_names_the_refund(engine: AsyncEngine) -> None:
    store = AnomalyStore(database_on(engine))
    await anomaly(engine, 1, kind=ObjectKind.REFUND)
    [found] = await store.anomalies(MERCHANT, 2)
    assert (found.object, found.object_id) == (ObjectKind.REFUND, UUID(int=1))
    resolved = await store.resolve(MERCHANT, UUID(int=1), by="li", note="seen", now=LATER)
    assert resolved is not None
    assert (resolved.object, resolved.object_id) == (ObjectKind.REFUND, UUID(int=1))


async def test_a_resolved_anomaly_moves_from_one_list_to_the_other(engine: AsyncEngine) -> None:
    store = AnomalyStore(database_on(engine))
    for number in (1, 2, 3):
        await anomaly(engine, number)
    resolved = await store.resolve(MERCHANT, UUID(int=2), by="li", note="refunded", now=LATER)
    assert resolved is not None
    assert (resolved.resolved_at, resolved.resolved_by, resolved.note) == (LATER, "li", "refunded")
    assert numbers(await store.anomalies(MERCHANT, 10)) == [3, 1]
    assert await store.anomalies(MERCHANT, 10, resolved=True) == [resolved]
    assert await store.anomalies(MERCHANT, 10, UUID(int=2), resolved=True) == []


async def test_what_was_noted_first_stays(engine: AsyncEngine) -> None:
    store = AnomalyStore(database_on(engine))
    await anomaly(engine, 1)
    await store.resolve(MERCHANT, UUID(int=1), by="li", note="refunded", now=NOW)
    with pytest.raises(AnomalyResolvedError):
        await store.resolve(MERCHANT, UUID(int=1), by="wang", note="ours", now=LATER)
    [kept] = await store.anomalies(MERCHANT, 10, resolved=True)
    assert (kept.resolved_at, kept.resolved_by, kept.note) == (NOW, "li", "refunded")


async def test_of_operators_who_resolve_at_once_one_does(engine: AsyncEngine) -> None:
    store = AnomalyStore(database_on(engine))
    await anomaly(engine, 1)
    said = [store.resolve(MERCHANT, UUID(int=1), by=str(n), note="seen", now=NOW) for n in range(6)]
    results = await asyncio.gather(*said, return_exceptions=True)
    assert sum(isinstance(result, RecordedAnomaly) for result in results) == 1
    assert sum(isinstance(result, AnomalyResolvedError) for result in results) == 5


async def test_another_merchants_anomaly_is_none(engine: AsyncEngine) -> None:
    store = AnomalyStore(database_on(engine))
    await anomaly(engine, 1, OTHER_MERCHANT)
    assert await store.resolve(MERCHANT, UUID(int=1), by="li", note="seen", now=NOW) is None
    assert await store.resolve(MERCHANT, UUID(int=9), by="li", note="seen", now=NOW) is None
    assert numbers(await store.anomalies(OTHER_MERCHANT, 10)) == [1]


async def test_open_anomalies_are_found_by_their_own_index(engine: AsyncEngine) -> None:
    async with database_on(engine).transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {OPEN}", MERCHANT, None, 50)
    assert any("anomalies_open_idx" in row[0] for row in plan), plan


async def test_the_longest_page_of_the_api_can_tell_whether_there_is_a_next(engine: AsyncEngine) -> None:
    many = (
        "INSERT INTO anomalies (merchant_id, anomaly_id, object, object_id, kind, detail, source, found_at)"
        " SELECT :merchant, gen_random_uuid(), 'payment', gen_random_uuid(), 'late_success', '', 'poll', now()"
        " FROM generate_series(1, 300)"
    )
    async with engine.begin() as connection:
        await connection.execute(text(many), {"merchant": MERCHANT})
    store = AnomalyStore(database_on(engine))
    assert len(await store.anomalies(MERCHANT, 1000)) == 201
