"""The rows of alerts on a real server: raising once whoever sees it, clearing, listing, acknowledging.

What is raised, and what is over, is told by an event in the same transaction.

Not tested here: who raises what (test_standing.py), and the calls (test_admin_books.py).
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.alerts import AcknowledgedError, AlertKind, AlertSearch, Severity
from gateway.domain.catalogue import Catalogue, Endpoint
from gateway.domain.ids import ObjectKind, show_object
from gateway.storage.reading.doctor import examine
from gateway.storage.watching.alerts import AlertStore
from tests.databases import database_on
from tests.storage.delivery_rows import MERCHANT, OTHER_MERCHANT

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DEGRADED = AlertKind.CHANNEL_DEGRADED
ABOUT = "payment/icbc/lianlian"
LOW = AlertKind.BALANCE_LOW
OPS = Endpoint(MERCHANT, UUID(int=1), None, "https://ops.example.com", None, False, False, (), "ops")
ENDPOINTS = (
    OPS,
    replace(OPS, endpoint_id=UUID(int=2), code="risk", event_types=frozenset({"alert.raised"})),
    replace(OPS, endpoint_id=UUID(int=3), code="bi", event_types=frozenset({"payment.failed"})),
    replace(OPS, endpoint_id=UUID(int=4), code="shop", app="shop"),
)
TOLD = """
SELECT e.type, e.sequence, e.object_id, e.body, array_agg(d.endpoint_id ORDER BY d.endpoint_id) AS endpoints
FROM events e JOIN deliveries d USING (merchant_id, event_id) WHERE e.object = 'alert'
GROUP BY e.merchant_id, e.event_id ORDER BY e.event_id
"""


@pytest.fixture
def store(engine: AsyncEngine) -> AlertStore:
    return AlertStore(database_on(engine), uuid7, lambda: Catalogue(1, endpoints=ENDPOINTS))


async def seen(store: AlertStore, about: str = ABOUT, at: datetime = NOW, kind: AlertKind = DEGRADED) -> bool:
    return await store.raise_(MERCHANT, kind, about, Severity.WARNING, {"rate": 0.5, "n": 20}, at)


async def test_what_is_seen_twice_is_raised_once_and_counted(store: AlertStore) -> None:
    assert [await seen(store), await seen(store, at=LATER)] == [True, False]
    [alert] = await store.alerts(MERCHANT, AlertSearch(), 10)
    assert (alert.kind, alert.about, alert.times, alert.raised_at, alert.last_at) == (DEGRADED, ABOUT, 2, NOW, LATER)
    assert alert.detail == {"rate": 0.5, "n": 20}
    assert await store.alerts(OTHER_MERCHANT, AlertSearch(), 10) == []


async def test_many_processes_that_see_it_at_once_raise_it_once(store: AlertStore) -> None:
    assert sum(await asyncio.gather(*(seen(store) for _ in range(20)))) == 1
    [alert] = await store.alerts(MERCHANT, AlertSearch(), 10)
    assert alert.times == 20
    cleared = await asyncio.gather(*(store.clear(MERCHANT, DEGRADED, ABOUT, LATER) for _ in range(20)))
    assert sum(cleared) == 1


async def test_what_was_cleared_is_raised_anew(store: AlertStore) -> None:
    await seen(store)
    assert await store.clear(MERCHANT, DEGRADED, ABOUT, LATER)
    assert not await store.clear(MERCHANT, DEGRADED, ABOUT, LATER)
    assert await seen(store)
    assert len(await store.alerts(MERCHANT, AlertSearch(is_open=True), 10)) == 1
    [old] = await store.alerts(MERCHANT, AlertSearch(is_open=False), 10)
    assert old.cleared_at == LATER


async def test_what_is_not_seen_any_more_is_cleared_and_other_kinds_stay(store: AlertStore) -> None:
    for about in ("a", "b", "c"):
        await seen(store, about)
    await seen(store, "a", kind=AlertKind.BALANCE_LOW)
    assert await store.clear_others(MERCHANT, DEGRADED, {"b"}, LATER) == ["a", "c"]
    assert await store.counts(MERCHANT) == {DEGRADED: 1, AlertKind.BALANCE_LOW: 1}
    assert [alert.about for alert in await store.open_of(MERCHANT, DEGRADED)] == ["b"]


async def test_alerts_are_listed_newest_first_page_by_page_and_by_kind(store: AlertStore) -> None:
    for about in ("a", "b", "c"):
        await seen(store, about)
    await seen(store, "d", kind=AlertKind.DEAD_LETTERS)
    first = await store.alerts(MERCHANT, AlertSearch(DEGRADED), 2)
    assert [alert.about for alert in first] == ["c", "b"]
    rest = await store.alerts(MERCHANT, AlertSearch(DEGRADED, before=first[-1].alert_id), 2)
    assert [alert.about for alert in rest] == ["a"]


async def test_an_alert_is_acknowledged_once_and_stays_open(store: AlertStore) -> None:
    await seen(store)
    [alert] = await store.alerts(MERCHANT, AlertSearch(), 1)
    noted = await store.acknowledge(MERCHANT, alert.alert_id, by="li", note="called them", now=LATER)
    assert noted is not None
    assert (noted.acknowledged_at, noted.acknowledged_by, noted.note) == (LATER, "li", "called them")
    assert noted.cleared_at is None
    with pytest.raises(AcknowledgedError):
        await store.acknowledge(MERCHANT, alert.alert_id, by="wang", note="me too", now=LATER)
    assert await store.acknowledge(OTHER_MERCHANT, alert.alert_id, by="li", note="x", now=LATER) is None


async def told(engine: AsyncEngine) -> list[tuple[str, str, int, list[int]]]:
    """What was told in order: the type, of what, its number, and the endpoints that it is for."""
    async with engine.connect() as connection:
        rows = (await connection.execute(text(TOLD))).all()
    bodies: list[dict[str, Any]] = [orjson.loads(bytes(row.body)) for row in rows]
    for row, body in zip(rows, bodies, strict=True):
        assert (body["type"], body["sequence"]) == (row.type, row.sequence)
        assert body["data"]["id"] == show_object(ObjectKind.ALERT, row.object_id)
        assert (body["data"]["cleared_at"] is None) == (row.type == "alert.raised")
    return [
        (row.type, body["data"]["about"], row.sequence, [each.int for each in row.endpoints])
        for row, body in zip(rows, bodies, strict=True)
    ]


async def test_an_alert_is_told_once_when_it_is_raised_and_once_when_it_is_over(
    store: AlertStore, engine: AsyncEngine
) -> None:
    await asyncio.gather(*(seen(store, "up-1", kind=LOW) for _ in range(5)))
    await asyncio.gather(*(store.clear(MERCHANT, LOW, "up-1", LATER) for _ in range(5)))
    await seen(store, "up-1", kind=LOW)
    assert await told(engine) == [
        ("alert.raised", "up-1", 1, [1, 2]),
        ("alert.cleared", "up-1", 2, [1]),
        ("alert.raised", "up-1", 1, [1, 2]),  # another alert: it has its own numbers
    ]
    assert await examine(engine, LATER) == []


async def test_each_that_is_not_seen_any_more_is_told(store: AlertStore, engine: AsyncEngine) -> None:
    for about in ("a", "b", "c"):
        await seen(store, about, kind=LOW)
    await store.clear_others(MERCHANT, LOW, {"b"}, LATER)
    cleared = [each for each in await told(engine) if each[0] == "alert.cleared"]
    assert sorted(cleared) == [("alert.cleared", "a", 2, [1]), ("alert.cleared", "c", 2, [1])]


async def test_one_that_was_raised_before_alerts_were_told_begins_its_numbers_when_it_is_over(
    store: AlertStore, engine: AsyncEngine
) -> None:
    await seen(store, "a", kind=LOW)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM deliveries"))
        await connection.execute(text("DELETE FROM events"))
    await store.clear(MERCHANT, LOW, "a", LATER)
    assert await told(engine) == [("alert.cleared", "a", 1, [1])]


async def test_an_endpoint_is_not_told_of_what_it_does_not_take(store: AlertStore, engine: AsyncEngine) -> None:
    for kind in (AlertKind.DEAD_LETTERS, AlertKind.HELD_EVENTS):
        await seen(store, "ops", kind=kind)
        await store.clear(MERCHANT, kind, "ops", LATER)
    await seen(store, "ops", kind=LOW)  # an account of that name
    assert [each[3] for each in await told(engine)] == [[2], [2], [1, 2]]


async def test_a_degraded_channel_has_events_of_its_own(store: AlertStore, engine: AsyncEngine) -> None:
    await seen(store)
    await store.clear(MERCHANT, DEGRADED, ABOUT, LATER)
    assert await told(engine) == []
