"""Events of reconciliation: what differs is told once, each by itself, then that the day is finished.

On a real PostgreSQL. Not tested here: how lines are classed (test_comparing.py), how events are delivered
(test_deliveries.py), how a day and a difference are shown (tests/api).
"""

import asyncio
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Catalogue, Endpoint
from gateway.domain.ids import ObjectKind, account_id, show_object
from gateway.domain.reconciled import OtherStatementError
from gateway.storage.reconciling import telling
from tests.databases import database_on
from tests.storage.reconciling_desk import ACCOUNT, DAY, MERCHANT, Desk, Line, at

FOUND: Final = "reconciliation.difference_found"
FINISHED: Final = "reconciliation.finished"
EVENTS: Final = "SELECT * FROM events WHERE merchant_id = $1 AND object_id = $2 ORDER BY event_id"
DELIVERIES: Final = """
SELECT d.endpoint_id, e.type, d.status, count(*) FROM deliveries d JOIN events e USING (merchant_id, event_id)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
ANY: Final = Endpoint(MERCHANT, UUID(int=1), None, "https://ops.example.com", None, False, False, ())
ENDPOINTS: Final = (
    ANY,
    replace(ANY, endpoint_id=UUID(int=2), event_types=frozenset({FINISHED})),
    replace(ANY, endpoint_id=UUID(int=3), event_types=frozenset({FOUND}), stopped=True),
    replace(ANY, endpoint_id=UUID(int=4), app="shop"),
)


@pytest.fixture
async def desk(engine: AsyncEngine, alone: Any) -> Desk:
    return Desk(alone, database_on(engine), Catalogue(1, endpoints=ENDPOINTS))


async def told(desk: Desk, account: str = ACCOUNT) -> list[str]:
    """What was told in order, a sentence each. Whatever was told, no number is missing."""
    rows = await desk.connection.fetch(EVENTS, MERCHANT, account_id(MERCHANT, account))
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    bodies = [orjson.loads(row["body"]) for row in rows]
    assert [(each["type"], each["sequence"]) for each in bodies] == [(row["type"], row["sequence"]) for row in rows]
    return [_sentence(each["type"], each["data"]) for each in bodies]


def _sentence(event_type: str, data: dict[str, Any]) -> str:
    day = data["day"][-2:]
    if event_type == FOUND:
        return f"{day} {data['class']} {data['number']} {data['state']}"
    so_far = " so far" if data["so_far"] else ""
    found, was_told = data["differences_found"], data["differences_told"]
    return f"{day} finished{so_far}: {found} found, {was_told} told, {data['open']} open"


async def test_what_differs_is_told_each_by_itself_and_then_that_the_day_is_finished(desk: Desk) -> None:
    await desk.has("B1", 400)
    await desk.has("B2", 500)
    await desk.has("B3", 700, when=at("23:50"))  # in suspense: it waits for nobody
    await desk.compares(0, [Line("A1", 100), Line("B2", 500)])
    assert await told(desk) == ["05 short B1 open", "05 long A1 open", "05 finished: 2 found, 2 told, 2 open"]
    first, _, last = await desk.connection.fetch(EVENTS, MERCHANT, account_id(MERCHANT, ACCOUNT))
    data = orjson.loads(first["body"])["data"]
    assert (data["object"], data["account"], data["ours"]["amount"], data["remedy"]) == (
        "difference", ACCOUNT, 400, "ask_psp",
    )  # fmt: skip
    day = orjson.loads(last["body"])["data"]
    assert (day["object"], day["day"], day["statement_version"]) == ("reconciled_day", DAY.isoformat(), 1)
    assert {each["class"]: each["count"] for each in day["open_by_class"]} == {"short": 1, "long": 1, "suspense": 1}
    assert show_object(ObjectKind.ACCOUNT, first["object_id"]).startswith("acc_")


async def test_they_go_to_the_merchants_endpoints_that_want_them_and_are_held_at_those_that_are_stopped(
    desk: Desk,
) -> None:
    await desk.compares(0, [Line("A1", 100), Line("A2", 100)])
    assert [tuple(row) for row in await desk.connection.fetch(DELIVERIES)] == [
        (UUID(int=1), FOUND, "pending", 2),
        (UUID(int=1), FINISHED, "pending", 1),
        (UUID(int=2), FINISHED, "pending", 1),
        (UUID(int=3), FOUND, "held", 2),
    ]
    counted = await desk.connection.fetch("SELECT DISTINCT type, deliveries FROM events ORDER BY type")
    assert [tuple(row) for row in counted] == [(FOUND, 2), (FINISHED, 2)]


async def test_the_same_statement_again_tells_nothing_nor_does_one_that_is_refused(desk: Desk) -> None:
    await desk.compares(0, [Line("A1", 100)], sha="one")
    before = await told(desk)
    await desk.compares(0, [Line("A1", 100)], sha="one")
    await desk.compares(0, [Line("A1", 100)], sha="packed anew")
    with pytest.raises(OtherStatementError):
        await desk.compares(0, [Line("A2", 100)])
    assert await told(desk) == before


async def test_a_corrected_statement_tells_only_what_is_new_of_its_day_and_of_later_ones(desk: Desk) -> None:
    await desk.has("B1", 400)
    await desk.has("C1", 900, when=at("11:00", 1))
    twin = Line("A1", 100)
    await desk.compares(0, [twin, twin._replace(transaction_no="T2"), Line("A3", 300)])
    await desk.compares(1, [])
    before = await told(desk)
    await desk.resolves("A3")
    # One more of what was twice; A3 is found again as it was resolved; B1 is there after all; A4 is new.
    corrected = [twin, twin._replace(transaction_no="T2"), twin, Line("A3", 300), Line("B1", 400), Line("A4", 50)]
    await desk.compares(0, corrected, why="theirs of the next day")
    assert (await told(desk))[len(before) :] == [
        "05 duplicate A1 open",
        "05 long A4 open",
        "05 finished: 2 found, 2 told, 4 open",
        "06 finished: 0 found, 0 told, 1 open",
    ]


async def test_what_differs_in_another_way_than_before_is_told_again(desk: Desk) -> None:
    await desk.has("B1", 400)
    await desk.compares(0, [Line("B1", 401)])
    await desk.compares(0, [Line("B1", 402)], why="corrected")
    assert await told(desk) == [
        "05 amount_mismatch B1 open",
        "05 finished: 1 found, 1 told, 1 open",
        "05 amount_mismatch B1 open",
        "05 finished: 1 found, 1 told, 1 open",
    ]


async def test_what_waited_for_the_next_statement_is_told_when_that_one_is_without_it(desk: Desk) -> None:
    await desk.has("B1", 400, when=at("23:50"))
    await desk.compares(0, [])
    await desk.compares(1, [])
    await desk.compares(2, [])  # it is short still: told once
    assert await told(desk) == [
        "05 finished: 0 found, 0 told, 0 open",
        "06 short B1 open",
        "06 finished: 1 found, 1 told, 1 open",
        "07 finished: 0 found, 0 told, 0 open",
    ]


async def test_a_day_that_is_looked_at_before_its_end_says_so(desk: Desk) -> None:
    early = replace(desk.loading(0), at=at("18:00"))
    await desk.store.load(early, iter([Line("A1", 100)]))
    await desk.store.load(replace(desk.loading(0), at=at("19:00")), iter([Line("A1", 100)]))
    await desk.compares(0, [Line("A1", 100)])
    assert await told(desk) == [
        "05 long A1 open",
        "05 finished so far: 1 found, 1 told, 1 open",
        "05 finished so far: 0 found, 0 told, 1 open",
        "05 finished: 0 found, 0 told, 1 open",
    ]


async def test_of_a_statement_that_is_wholly_strange_the_greatest_amounts_are_told_and_the_rest_is_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "MAX_TOLD", 3)
    await desk.compares(0, [Line(f"A{n}", n) for n in range(1, 31)])
    assert await told(desk) == [
        "05 long A30 open",
        "05 long A29 open",
        "05 long A28 open",
        "05 finished: 30 found, 3 told, 30 open",
    ]


async def test_accounts_that_are_compared_at_once_each_have_their_own_numbers(desk: Desk) -> None:
    days = [desk.loading(day, account=account) for account in ("a", "b") for day in range(3)]
    await asyncio.gather(*(desk.store.load(each, iter([Line(None, 100)])) for each in days))
    for account in ("a", "b"):
        sentences = await told(desk, account)
        assert sorted(each[3:] for each in sentences) == sorted(
            ["long None open", "finished: 1 found, 1 told, 1 open"] * 3
        )
