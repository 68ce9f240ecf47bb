"""Days and differences as people read and change them, on a real PostgreSQL.

Not here: how lines are classed (test_comparing), the calls over HTTP (tests/api/test_reconciliation.py).
"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.differences import DifferenceFilter, DifferenceState
from gateway.domain.reconciled import Class, DayFilter, DayNotClosableError, MissingDay
from gateway.storage.reconciling.days import DayStore
from gateway.storage.reconciling.differences import DifferenceStore
from tests.databases import database_on
from tests.storage.reconciling_desk import ACCOUNT, DAY, MERCHANT, Desk, Line, at

NEXT = DAY + timedelta(days=1)
ERRAND = """
INSERT INTO statement_errands (merchant_id, account, day, due_at, tries, reason, told_late, began_at, done_at)
VALUES ($1, $2, $3, $4, 2, 'not ready', true, $4, $5)
"""


@pytest.fixture
async def desk(engine: AsyncEngine, alone: Any) -> Desk:
    """Two days: on the first two lines that nobody knows, on the second one of ours that they have not."""
    desk = Desk(alone, database_on(engine))
    await desk.has("B1", 400, when=at("11:00", 1))
    await desk.compares(0, [Line("A1", 100), Line("A2", 200, no="+1")])
    await desk.compares(1, [])
    return desk


async def ids(desk: Desk) -> list[UUID]:
    found = await DifferenceStore(desk.database).differences(MERCHANT, DifferenceFilter(state=DifferenceState.OPEN))
    return [each.difference_id for each in found]


async def test_days_come_newest_first_and_page_by_page(desk: Desk) -> None:
    days = DayStore(desk.database)
    assert [each.day for each in await days.days(MERCHANT, DayFilter())] == [NEXT, DAY]
    assert [each.day for each in await days.days(MERCHANT, DayFilter(limit=1))] == [NEXT]
    assert [each.day for each in await days.days(MERCHANT, DayFilter(after=(NEXT, ACCOUNT)))] == [DAY]
    assert [each.day for each in await days.days(MERCHANT, DayFilter(after=(NEXT, "a")))] == [NEXT, DAY]
    assert await days.days(MERCHANT, DayFilter(account="other")) == []
    assert await days.days(uuid4(), DayFilter()) == []
    assert await days.day(MERCHANT, ACCOUNT, NEXT + timedelta(days=1)) is None


async def test_a_day_has_its_statement_and_what_is_open_by_class(desk: Desk) -> None:
    days = DayStore(desk.database)
    (version,) = await days.versions(MERCHANT, ACCOUNT, DAY)
    assert (version.version, version.lines, version.amount, version.replaced_at) == (1, 2, 300, None)
    left = await days.open(MERCHANT, [(ACCOUNT, DAY), (ACCOUNT, NEXT), ("other", DAY)])
    assert {place: {kind: (s.count, s.theirs_amount, s.ours_amount) for kind, s in sums.items()}
            for place, sums in left.items()} == {
        (ACCOUNT, DAY): {Class.LONG: (2, 300, 0)}, (ACCOUNT, NEXT): {Class.SHORT: (1, 0, 400)},
    }  # fmt: skip


async def test_statements_that_are_not_there_are_listed_until_they_are(desk: Desk) -> None:
    later = NEXT + timedelta(days=1)
    await desk.connection.execute(ERRAND, MERCHANT, ACCOUNT, later, at("09:00", 3), None)
    await desk.connection.execute(ERRAND.replace("$4, 2", "NULL, 2"), MERCHANT, "b", later, at("09:00", 3), at("10:00"))
    days = DayStore(desk.database)
    wanted = [MissingDay(ACCOUNT, later, at("09:00", 3), 2, "not ready", late=True)]
    assert await days.missing(MERCHANT) == await days.missing(MERCHANT, ACCOUNT) == wanted
    assert await days.missing(MERCHANT, "b") == []


async def test_a_class_of_a_day_is_resolved_alone(desk: Desk) -> None:
    books = DifferenceStore(desk.database)
    resolve = (MERCHANT, ACCOUNT, DAY, Class.LONG, "li", "a test of theirs", at("09:00", 2))
    assert (await books.resolve_day(*resolve), await books.resolve_day(*resolve)) == (2, 0)
    assert (await DayStore(desk.database).open(MERCHANT, [(ACCOUNT, DAY), (ACCOUNT, NEXT)])).keys() == {(ACCOUNT, NEXT)}
    resolved = await books.differences(MERCHANT, DifferenceFilter(kind=Class.LONG))
    assert {(each.state.value, each.resolved_by, each.note) for each in resolved} == {
        ("resolved", "li", "a test of theirs")
    }


async def test_what_a_closed_day_has_stays_resolved(desk: Desk) -> None:
    books, now = DifferenceStore(desk.database), at("09:00", 2)
    wanted = await ids(desk)
    with pytest.raises(DayNotClosableError, match="2 of its differences"):
        await books.close(MERCHANT, ACCOUNT, DAY, "li", now)
    assert sorted(await books.resolve(MERCHANT, wanted, "li", "seen", now)) == wanted
    assert await books.reopen(MERCHANT, wanted[:1], "wu", "not yet", now) == wanted[:1]
    await books.resolve(MERCHANT, wanted, "li", "seen", now)
    with pytest.raises(DayNotClosableError, match="is before it"):
        await books.close(MERCHANT, ACCOUNT, NEXT, "li", now)
    assert await books.close(MERCHANT, ACCOUNT, DAY, "li", now)
    assert not await books.close(MERCHANT, ACCOUNT, DAY, "wu", now)
    (short,) = await books.differences(MERCHANT, DifferenceFilter(kind=Class.SHORT))
    assert await books.reopen(MERCHANT, wanted, "wu", "not yet", now) == [short.difference_id]
    standing = await books.standing(MERCHANT, [*wanted, uuid4()])
    assert {key: each.state.value for key, each in standing.items()} == {
        key: "open" if key == short.difference_id else "resolved" for key in wanted
    }
