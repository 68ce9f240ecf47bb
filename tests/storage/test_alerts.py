"""The rows of alerts on a real server: raising once whoever sees it, clearing, listing, acknowledging.

Not tested here: who raises what (test_watching.py), and the calls (test_admin_books.py).
"""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.alerts import AcknowledgedError, AlertKind, AlertSearch, Severity
from gateway.storage.watching.alerts import AlertStore
from tests.databases import database_on
from tests.storage.delivery_rows import MERCHANT, OTHER_MERCHANT

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DEGRADED = AlertKind.CHANNEL_DEGRADED
ABOUT = "payment/icbc/lianlian"


@pytest.fixture
def store(engine: AsyncEngine) -> AlertStore:
    return AlertStore(database_on(engine), uuid7)


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
