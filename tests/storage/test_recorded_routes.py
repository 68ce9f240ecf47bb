"""Recorded routes in the books: reservations under the lock, reports that race, what the clock says, and order numbers.

Not tested here: what a report means (tests/unit/domain/test_recorded_routes.py), HTTP (tests/api, tests/e2e).
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, Succeeded
from gateway.domain.recorded_routes import Report, RouteFilter
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status
from gateway.flows.recorded_routes import EXECUTED_ELSEWHERE, ReportResult, RouteResult
from gateway.ports import CardNotFoundError, OrderConflictError
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.recorded_routes import RouteSearch
from gateway.workers.routes import RouteWatch
from router.record import from_record
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import (
    MERCHANT_ID,
    NOW,
    card_elements,
    catalogue,
    channel,
    endpoint,
    opening,
    order,
    rule,
)

LIMIT = 10_000
PLACE = catalogue((channel("up"),), (rule("up", daily_limit=LIMIT),), (endpoint(1, "shop"),))
TWO = catalogue((channel("up"), channel("tl")), (rule("up", 50), rule("tl", 80)))
PAID, SHORT = Report(succeeded=True), Report(succeeded=False, code=FailureCode.INSUFFICIENT_BALANCE)
BROKEN = Report(succeeded=False, code=FailureCode.CHANNEL_UNAVAILABLE)
USAGE = "SELECT reserved, succeeded, insufficient FROM channel_usage WHERE channel = $1 ORDER BY business_day LIMIT 1"
SENT = """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks)
SELECT merchant_id, route_id, 'pay', 1, route_id, 'up', 'up-1', 'n1', created_at, created_at, amount, 'open', 0, false,
    0, false, 0 FROM routes
"""
NEXT_DAY = datetime(2026, 3, 5, 16, tzinfo=UTC)
"""Midnight in Shanghai after NOW's day."""


@pytest.fixture
def process(engine: AsyncEngine) -> Process:
    return Process(engine, new_keys(), PLACE)


def refusal(result: RouteResult) -> str | None:
    return result.route.failure.code if result.route.failure else None


async def healthy(process: Process, at: datetime = NOW) -> None:
    assert await examine(process.engine, at) == []


async def time_passes(process: Process, at: datetime) -> None:
    """A worker's tick at a time."""
    await RouteWatch(process.routes_due, process.routes, lambda: process.catalogue, lambda: at, uuid4).tick()


async def test_a_route_is_decided_and_reserved_and_nothing_is_there_to_send(process: Process) -> None:
    told = await process.record_route("r1", metadata={"loan": 7})
    route = told.route
    assert (told.replayed, route.status, route.channel, route.expected_fee) == (False, Status.OPEN, "up", 50)
    assert (route.fee, route.card is not None, route.metadata) == (None, True, {"loan": 7})
    assert await process.read_route(route) == route
    assert from_record(route.decision).chosen == "up"
    assert await process.one(USAGE, "up") == (1000, 0, 0)
    assert [await process.count(table) for table in ("payments", "intents", "authentications", "events")] == [0] * 4
    assert await process.due.claim(route.merchant_id, NOW + timedelta(days=9), 10, NOW + timedelta(days=10)) == []
    await healthy(process)


async def test_fifty_at_once_on_two_processes_reserve_what_the_limit_takes(engine: AsyncEngine) -> None:
    keys = new_keys()
    one, other = Process(engine, keys, PLACE), Process(engine, keys, PLACE)
    told = await asyncio.gather(*((one, other)[n % 2].record_route(f"r{n}") for n in range(50)))
    opened = [result.route for result in told if result.route.status is Status.OPEN]
    assert len(opened) == 10
    assert {refusal(result) for result in told} == {None, "daily_limit_exceeded"}
    assert await one.one(USAGE, "up") == (LIMIT, 0, 0)
    refused = next(result.route for result in told if result.route.status is Status.FAILED)
    assert refused.failure is not None
    assert refused.failure.limit is not None
    assert (await one.read_route(refused)).failure == refused.failure
    # What failed frees its part, for payments as for routes; what succeeded keeps it.
    await one.report(opened[0], SHORT)
    await other.report(opened[1], PAID)
    assert await one.one(USAGE, "up") == (LIMIT - 2000, 1000, 1)
    (paid,) = await one.opened(order("p1"))
    assert paid.channel == "up"
    assert refusal(await other.record_route("r99")) == "daily_limit_exceeded"
    await healthy(one)


async def test_payments_and_routes_share_one_limit(process: Process) -> None:
    await process.opened(*(order(f"p{n}", amount=4000) for n in range(2)))
    assert refusal(await process.record_route("r1", amount=2001)) == "daily_limit_exceeded"
    assert refusal(await process.record_route("r2", amount=2000)) is None
    (payment,) = await process.opened(order("p3", amount=1))
    assert payment.failure is not None


async def test_what_is_wanted_of_the_channel_and_the_card_here_does_not_count(engine: AsyncEngine) -> None:
    signs = channel("up", AuthenticationMode.SMS_EACH_PAYMENT)
    process = Process(engine, new_keys(), catalogue((signs,), (rule("up"),)), calls_at_once=1, unusable=("up-1",))
    (hidden,) = await process.opened(order("p1"))
    assert hidden.failure is not None
    for number in range(3):
        route = (await process.record_route(f"r{number}")).route
        assert (route.status, route.decision["notes"]) == (Status.OPEN, [EXECUTED_ELSEWHERE])
    assert await process.count("code_counts") == 0


@pytest.mark.parametrize("scene", Scene)
async def test_every_scene_can_be_recorded(engine: AsyncEngine, scene: Scene) -> None:
    by_card = scene in {Scene.WITHHOLD, Scene.QUICK_CHARGE}
    place = catalogue((channel("up", psp_code="YB"),), (rule("up", scene=scene),))
    process = Process(engine, new_keys(), place)
    kind = Kind.WITHHOLD if "withhold" in scene else Kind.CHARGE
    asked: dict[str, Any] = {"scene": scene, "kind": kind} | (
        {} if by_card else {"card": None, "custody_user_no": "c-9"}
    )
    route = (await process.record_route("r1", **asked)).route
    assert (route.status, route.psp_code, route.kind) == (Status.OPEN, "YB", kind)
    stored = await process.read_route(route)
    assert (stored.scene, stored.custody_user_no) == (scene, None if by_card else "c-9")
    await process.report(route, PAID)
    await healthy(process)


async def test_a_card_is_kept_once_and_known_by_its_id_afterwards(process: Process) -> None:
    first = (await process.record_route("r1")).route
    assert first.card is not None
    again = await process.record_route("r2", card_id=first.card.card_id)
    assert again.route.card == first.card
    assert await process.count("cards") == 1
    with pytest.raises(CardNotFoundError):
        await process.record_route("r3", card=None, card_id=uuid4())
    assert await process.count("routes") == 2


async def test_the_same_order_is_the_same_route_and_other_content_is_a_conflict(process: Process) -> None:
    first = await process.record_route("r1")
    await process.report(first.route, PAID)
    again = await process.record_route("r1")
    assert (again.replayed, again.route.route_id, again.route.status) == (True, first.route.route_id, Status.SUCCEEDED)
    with pytest.raises(OrderConflictError):
        await process.record_route("r1", amount=2)
    assert (await process.record_route("r1", app="books")).replayed is False
    # One space of numbers for every kind of order.
    (refused,) = await process.opening.flush([opening(order("r1"))])
    assert isinstance(refused, OrderConflictError)
    await process.opened(order("p1"))
    with pytest.raises(OrderConflictError):
        await process.record_route("p1")
    assert await process.count("routes") == 2


async def test_a_hundred_copies_at_once_on_two_processes_are_one_route(engine: AsyncEngine) -> None:
    keys = new_keys()
    one, other = Process(engine, keys, PLACE), Process(engine, keys, PLACE)
    told = await asyncio.gather(*((one, other)[n % 2].record_route("r1") for n in range(100)))
    assert len({result.route.route_id for result in told}) == 1
    assert sum(not result.replayed for result in told) == 1
    assert await one.one(USAGE, "up") == (1000, 0, 0)


async def test_an_order_whose_commit_was_not_heard_of_finds_its_own_route(engine: AsyncEngine) -> None:
    process = Process(engine, new_keys(), PLACE, lost_commits=1)
    told = await process.record_route("r1")
    assert told.replayed is False
    assert await process.one(USAGE, "up") == (1000, 0, 0)


async def test_one_result_counts_however_often_and_wherever_it_is_reported(engine: AsyncEngine) -> None:
    keys = new_keys()
    one, other = Process(engine, keys, PLACE), Process(engine, keys, PLACE)
    route = (await one.record_route()).route
    told = await asyncio.gather(*((one, other)[n % 2].report(route, SHORT) for n in range(20)))
    assert sum(not each.same for each in told) == 1
    assert not any(each.conflict for each in told)
    assert await one.one(USAGE, "up") == (0, 0, 1)
    assert await one.rows("SELECT status, blame FROM last_attempts") == [("failed", "payer")]
    await healthy(one)


async def test_contrary_results_that_race_leave_one_and_an_anomaly(engine: AsyncEngine) -> None:
    keys = new_keys()
    one, other = Process(engine, keys, PLACE), Process(engine, keys, PLACE)
    route = (await one.record_route()).route
    results = (PAID, BROKEN)
    told = await asyncio.gather(*((one, other)[n % 2].report(route, results[n % 2]) for n in range(10)))
    assert sum(not each.same and not each.conflict for each in told) == 1
    now = await one.read_route(route)
    kind = "late_failure" if now.status is Status.SUCCEEDED else "late_success"
    assert await one.rows("SELECT object, kind, source FROM anomalies") == [("route", kind, "app")]
    assert await one.one("SELECT type, sequence, deliveries FROM events") == ("route.anomaly", 1, 1)
    assert now.sequence == 1
    assert await one.one(USAGE, "up") == (0, 1000, 0)  # money moved, whichever was first
    await healthy(one)


async def test_a_late_success_counts_as_used_and_the_last_attempt_stays(process: Process) -> None:
    route = (await process.record_route()).route
    await process.report(route, BROKEN)
    said = await process.report(route, replace(PAID, fee=77), NOW + timedelta(hours=1))
    assert (said.conflict, said.route.status, said.route.fee) == (True, Status.FAILED, 77)
    assert (await process.report(route, PAID)).conflict
    assert await process.one(USAGE, "up") == (0, 1000, 0)
    assert await process.rows("SELECT status, blame FROM last_attempts") == [("failed", "channel")]
    assert await process.count("anomalies") == 1
    await healthy(process)


async def test_a_refused_route_that_was_executed_all_the_same_is_an_anomaly(process: Process) -> None:
    route = (await process.record_route(amount=LIMIT + 1)).route
    assert (await process.report(route, PAID)).conflict
    assert await process.one("SELECT kind FROM anomalies") == "unexpected_success"
    assert await process.count("channel_usage") == 0
    await healthy(process)


async def test_the_next_decision_knows_how_it_ended(engine: AsyncEngine) -> None:
    process = Process(engine, new_keys(), TWO)
    at = NOW
    for report, following in ((BROKEN, "tl"), (BROKEN, "up"), (SHORT, "up"), (PAID, "up")):
        at += timedelta(seconds=1)
        await process.report((await process.record_route(now=at)).route, report, at)
        assert (await process.record_route(now=at)).route.channel == following
        (payment,) = await process.opened(order(f"p-{uuid4().hex}"), now=at)
        assert payment.channel == following
    await healthy(process, at)


async def test_what_failed_through_nobodys_fault_but_ours_is_no_last_attempt(process: Process) -> None:
    route = (await process.record_route()).route
    await process.report(route, Report(succeeded=False, code=FailureCode.MERCHANT_BALANCE_SHORT))
    assert await process.count("last_attempts") == 0
    assert await process.one(USAGE, "up") == (0, 0, 0)


async def test_a_card_that_another_account_verified_is_the_channels_fault(engine: AsyncEngine) -> None:
    silent = channel("tl", AuthenticationMode.SILENT)
    process = Process(engine, new_keys(), catalogue((channel("up"), silent), (rule("up"), rule("tl", 10))))
    route = (await process.record_route(now=NOW)).route
    assert (route.channel, route.card is not None) == ("tl", True)
    assert route.card is not None
    await process.one(
        "INSERT INTO agreements (merchant_id, card_id, account, agreement_no, key_version, status, verified_at) "
        "VALUES ($1, $2, 'up-1', '', 0, 'active', $3) RETURNING 1",
        route.merchant_id, route.card.card_id, NOW,
    )  # fmt: skip
    said = await process.report(route, Report(succeeded=False, code=FailureCode.AUTHENTICATION_REJECTED))
    assert said.route.failure is not None
    assert said.route.failure.blame == "channel"


async def test_an_unreported_route_is_an_anomaly_and_free_when_its_day_is_over(process: Process) -> None:
    route = (await process.record_route(report_within=timedelta(hours=1))).route
    soon, late = NOW + timedelta(minutes=59), NOW + timedelta(hours=1)
    await time_passes(process, soon)
    assert (await process.read_route(route)) == route
    await time_passes(process, late)
    await time_passes(process, late + timedelta(minutes=5))
    now = await process.read_route(route)
    assert (now.status, now.is_unreported, now.until_at, now.sequence) == (Status.OPEN, True, NEXT_DAY, 1)
    assert await process.rows("SELECT kind, source FROM anomalies") == [("unreported", "clock")]
    assert await process.one("SELECT type, deliveries FROM events") == ("route.anomaly", 1)
    assert await process.one(USAGE, "up") == (1000, 0, 0)
    assert refusal(await process.record_route("r2", late, amount=LIMIT)) == "daily_limit_exceeded"
    await healthy(process, late)
    # The next day begins with nothing used, and the row of the day before is free, too.
    assert refusal(await process.record_route("r3", NEXT_DAY, amount=LIMIT)) is None
    await time_passes(process, NEXT_DAY)
    assert await process.one(USAGE, "up") == (0, 0, 0)
    assert (await process.read_route(route)).until_at is None
    # A report is taken all the same, on the day of the route.
    said = await process.report(route, PAID, NEXT_DAY + timedelta(days=2))
    assert (said.route.status, said.route.is_unreported, said.conflict) == (Status.SUCCEEDED, False, False)
    assert await process.one(USAGE, "up") == (0, 1000, 0)
    await time_passes(process, NEXT_DAY + timedelta(days=3))
    assert await process.count("anomalies") == 2  # of r3, which nobody reported either
    await healthy(process)


async def test_a_report_races_with_the_clock_and_counts_once(engine: AsyncEngine) -> None:
    keys, at = new_keys(), NEXT_DAY + timedelta(hours=1)
    one, other = Process(engine, keys, PLACE), Process(engine, keys, PLACE)
    routes = [(await one.record_route(f"r{n}", user_id=f"u{n}")).route for n in range(6)]
    ticks = (time_passes(process, at + timedelta(days=1)) for process in (one, other))
    reports = (other.report(route, PAID, at) for route in routes)
    told = await asyncio.gather(*ticks, *reports)
    assert all(each.route.status is Status.SUCCEEDED for each in told if isinstance(each, ReportResult))
    assert await one.rows("SELECT DISTINCT reserved, succeeded FROM channel_usage") == [(0, 1000)]
    assert await one.one("SELECT count(*) FROM routes WHERE unreported_at IS NOT NULL") == await one.count("anomalies")
    await healthy(one, at)


async def test_totals_of_channel_and_card_count_routes(engine: AsyncEngine) -> None:
    place = catalogue((channel("up", daily_total=3000),), (rule("up", card_daily_limit=2000),))
    process = Process(engine, new_keys(), place)
    first = (await process.record_route("r1", user_id="u1")).route
    second = (await process.record_route("r2", user_id="u2")).route
    over = await process.record_route("r3", user_id="u3")
    assert refusal(over) == "card_limit_exceeded"
    assert over.route.failure is not None
    assert over.route.failure.limit is not None
    assert (over.route.failure.limit.left, over.route.failure.limit.in_flight) == (0, 2000)
    another = replace(card_elements(), card_no="6222020000000099999")
    refused = await process.record_route("r4", user_id="u3", amount=1001, card=another)
    assert refusal(refused) == "channel_total_exceeded"
    await process.report(first, PAID)
    await process.report(second, BROKEN)
    used = "SELECT sum(used)::bigint, (SELECT sum(used)::bigint FROM card_totals) FROM channel_totals"
    assert await process.one(used) == (1000, 1000)
    # A process that first sees the limits makes nothing good: what routes used is counted already.
    fresh = Process(engine, process.keys, place)
    assert refusal(await fresh.record_route("r5", user_id="u4")) is None
    await fresh.routes._routes.drain()
    assert await fresh.one(used) == (2000, 2000)


async def test_what_routes_used_before_a_limit_was_there_is_made_good(engine: AsyncEngine) -> None:
    keys = new_keys()
    before = Process(engine, keys, catalogue((channel("up"),), (rule("up"),)))
    await before.report((await before.record_route("r1")).route, PAID)
    await before.record_route("r2")
    await before.report((await before.record_route("r3")).route, SHORT)
    limited = catalogue((channel("up", daily_total=100_000),), (rule("up", card_daily_limit=100_000),))
    after = Process(engine, keys, limited)
    await after.record_route("r4")
    assert await after.one("SELECT sum(used)::bigint FROM channel_totals") == 3000
    assert await after.one("SELECT used, insufficient FROM card_totals") == (3000, 1)


async def test_payments_and_routes_of_one_user_add_up(process: Process) -> None:
    await process.heard(await process.open_one(), Declined(FailureCode.INSUFFICIENT_BALANCE))
    await process.heard(await process.open_one(), Succeeded(1000, "t-1"))
    for report in (PAID, SHORT):
        await process.report((await process.record_route()).route, report)
    await process.record_route()
    assert await process.one(USAGE, "up") == (1000, 2000, 2)
    await healthy(process)


async def test_operators_find_routes_by_what_they_have_in_hand(process: Process, engine: AsyncEngine) -> None:
    search = RouteSearch(engine)
    await process.rows("INSERT INTO merchants VALUES ($1, 'acme', 'Acme')", MERCHANT_ID)
    await process.rows("INSERT INTO apps SELECT $1, code, code FROM unnest(ARRAY['shop', 'books']) code", MERCHANT_ID)
    one = (await process.record_route("r1", user_id="u1", report_within=timedelta(hours=1))).route
    other = (await process.record_route("r1", user_id="u2", app="books", report_within=timedelta(hours=1))).route
    third = (await process.record_route("r3", user_id="u2")).route
    await process.open_one()
    await time_passes(process, NOW + timedelta(hours=2))
    await process.report(other, PAID)

    async def found(merchant_id: UUID = MERCHANT_ID, **wanted: Any) -> list[UUID]:
        return [route.route_id for route in await search.routes(merchant_id, RouteFilter(**wanted))]

    newest_first = sorted([one.route_id, other.route_id, third.route_id], reverse=True)
    assert await found() == newest_first
    assert await found(before=newest_first[0], limit=1) == newest_first[1:2]
    assert await found(route_id=third.route_id) == [third.route_id]
    assert set(await found(merchant_order_no="r1")) == {one.route_id, other.route_id}
    assert await found(merchant_order_no="r1", user_id="u2") == [other.route_id]
    assert await found(unreported=True) == [one.route_id]
    assert await found(merchant_id=uuid4(), route_id=one.route_id) == []
    (shown,) = await search.routes(MERCHANT_ID, RouteFilter(route_id=third.route_id))
    assert shown == third


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("UPDATE channel_usage SET succeeded = 7", "says reserved 1000, succeeded 7"),
        ("UPDATE routes SET sequence = 3", "says it had 3 events, and there are 0"),
        ("DELETE FROM orders", "has no order, or no decision"),
        ("DELETE FROM decisions", "has no order, or no decision"),
        ("UPDATE orders SET merchant_order_no = 'r2' WHERE object = 'route'", "order r2 of shop is rt_"),
        (SENT, "nothing of it is ours to send"),
    ],
)
async def test_the_doctor_finds_what_is_wrong_with_routes(process: Process, spoil: str, says: str) -> None:
    await process.open_one()
    await process.report((await process.record_route("r1")).route, PAID)
    await process.rows(spoil)
    assert any(says in sentence for sentence in await examine(process.engine, NOW))
