"""Withholds that find no place on their channel: recorded, sent when there is one, each once, and never too late.

On a real PostgreSQL, with the real books and flows and a PSP that counts. Not tested here: how many places there are
(tests/unit/test_rooms.py, test_pace.py), what is left for charges (tests/unit/test_lines.py, test_line_and_charges.py),
the API (tests/api), sockets (tests/e2e/test_full_line.py).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.cards import mask_card_no
from gateway.domain.catalogue import Catalogue, Channel, RouteRule
from gateway.domain.statuses import Status
from gateway.ports import SendBeforeError
from gateway.storage.reading.doctor import examine
from gateway.storage.server.engine import create_engine
from gateway.workers.line import LEASE_S
from tests.databases import Server, own_url
from tests.storage.senders import (
    BIND_REFUSED,
    BOUND,
    DUE_AFTER_S,
    FIRST,
    LOST_ANSWER,
    PAID,
    REFUSED,
    Flush,
    Gateway,
    Place,
    Psp,
    Request,
    Route,
    Town,
    new,
    replay,
)
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements

BIND, ASK_ABOUT_BINDING, PAY, ASK = Request
AT_ONCE = 2
"""Of which one place is kept for questions: withholds have one."""
NEVER_SENT = "failed: channel_unavailable/platform"
HALF_AN_HOUR_S = 1800.0


@pytest.fixture(scope="module")
async def url(postgres: Server, template: str) -> AsyncIterator[str]:
    async with own_url(postgres, template) as url:
        yield url


@pytest.fixture(scope="module")
async def place(url: str) -> AsyncIterator[Place]:
    place = Place(url)
    yield place
    await place.close()


@pytest.fixture
async def town(place: Place) -> AsyncIterator[Town]:
    town = Town(place)
    await town.begin()
    yield town
    await town.close()


@pytest.fixture
def psp(town: Town) -> Psp:
    return town.psp


@pytest.fixture
def gateway(town: Town) -> Gateway:
    return town.gateway(at_once=AT_ONCE)


@pytest.fixture
def other(town: Town) -> Gateway:
    """Another process."""
    return town.gateway(at_once=AT_ONCE)


async def in_line(gateway: Gateway, *orders: str, route: Route = Route.DIRECT) -> list[object]:
    """Hand in orders while all places are taken, each of a user of its own; who has the places."""
    channel = "up" if route is Route.DIRECT else "tl"
    holders = gateway.fills_its_places(1, channel)
    for order_no in orders:
        assert await gateway.pay(order_no, route, user_id=f"u-{order_no}") == new("processing")
    for holder in holders:
        gateway.rooms.leave(holder)
    return list(holders)


async def nothing_is_wrong(url: str, town: Town) -> None:
    """The doctor finds nothing."""
    engine = create_engine(url, 2)
    try:
        assert await examine(engine, town.now()) == []
    finally:
        await engine.dispose()


# --- recorded ---


async def test_without_a_place_it_is_answered_at_once_and_waits_half_an_hour_at_most(
    town: Town, gateway: Gateway, psp: Psp, url: str
) -> None:
    await in_line(gateway, FIRST)
    assert psp.heard == []
    payment = await town.payment(FIRST)
    assert payment.waits_for_place
    assert (payment.channel, payment.attempt, payment.due_at) == ("up", None, None)
    assert payment.until_at is not None
    assert abs(payment.until_at - NOW - timedelta(seconds=HALF_AN_HOUR_S)) < timedelta(seconds=1)
    assert (await town.books()).to_pay == 0
    await nothing_is_wrong(url, town)


async def test_with_a_place_it_is_answered_as_ever(gateway: Gateway, psp: Psp) -> None:
    assert await gateway.pay() == new("succeeded")
    assert psp.heard == [PAY]


async def test_the_same_order_again_is_the_same_payment_in_line_or_not(gateway: Gateway, psp: Psp) -> None:
    await in_line(gateway, FIRST)
    assert await gateway.pay(FIRST, user_id=f"u-{FIRST}") == replay("processing")
    await gateway.serves_the_line()
    assert await gateway.pay(FIRST, user_id=f"u-{FIRST}") == replay("succeeded")
    assert psp.payments == {FIRST: 1}


async def test_a_lost_answer_to_its_commit_is_no_replay(gateway: Gateway, psp: Psp) -> None:
    gateway.loses_commit(Flush.OPENING)
    await in_line(gateway, FIRST)
    await gateway.serves_the_line()
    assert psp.payments == {FIRST: 1}


# --- when ---


@pytest.mark.parametrize(
    ("now", "asked", "until"),
    [
        ("2026-03-05T12:00+08:00", None, "2026-03-05T12:30+08:00"),
        ("2026-03-05T23:45+08:00", None, "2026-03-06T00:00+08:00"),
        ("2026-03-05T12:00+08:00", "2026-03-05T12:00:01+08:00", "2026-03-05T12:00:01+08:00"),
        ("2026-03-05T12:00+08:00", "2026-03-05T16:00Z", "2026-03-06T00:00+08:00"),
        ("2026-03-05T12:00+08:00", "2026-03-06T00:00:01+08:00", None),
        ("2026-03-05T12:00+08:00", "2026-03-05T12:00+08:00", None),
        ("2026-03-05T12:00+08:00", "2026-03-05T11:59:59+08:00", None),
    ],
)
async def test_it_waits_until_the_app_says_and_never_beyond_its_business_day(
    town: Town, gateway: Gateway, now: str, asked: str | None, until: str | None
) -> None:
    town.stop_the_clock()
    town.pass_time((datetime.fromisoformat(now) - NOW).total_seconds())
    gateway.fills_its_places(1)
    known: dict[str, Any] = {} if asked is None else {"send_before": datetime.fromisoformat(asked)}
    if until is None:
        with pytest.raises(SendBeforeError) as refused:
            await gateway.pay(**known)
        assert refused.value.day_ends_at == datetime(2026, 3, 6, tzinfo=ZoneInfo("Asia/Shanghai"))
        assert (await town.books()).payments == 0
        return
    await gateway.pay(**known)
    assert (await town.payment(FIRST)).until_at == datetime.fromisoformat(until)


async def test_an_order_that_is_known_is_answered_though_its_time_is_past(town: Town, gateway: Gateway) -> None:
    soon = NOW + timedelta(seconds=10)
    assert await gateway.pay(send_before=soon) == new("succeeded")
    town.pass_time(60)
    assert await gateway.pay(send_before=soon) == replay("succeeded")
    with pytest.raises(SendBeforeError):
        await gateway.pay("another", send_before=soon)


# --- sent ---


async def test_those_in_line_are_sent_by_age_and_whoever_comes_goes_behind_them(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    await in_line(gateway, "a", "b", "c")
    assert await gateway.pay("d", user_id="u-d") == new("processing")
    await gateway.serves_the_line()
    while len(psp.payments) < 4:
        await gateway.serves_the_line()
    assert list(psp.payments) == ["a", "b", "c", "d"]
    assert set(psp.payments.values()) == {1}
    await gateway.serves_the_line()
    assert await gateway.pay("e", user_id="u-e") == new("succeeded")  # nobody stands in line any more


async def test_no_more_are_claimed_than_there_are_places(town: Town, psp: Psp) -> None:
    gateway = town.gateway(at_once=5)
    gateway.fills_its_places(4)
    for order_no in "abcdef":
        await gateway.pay(order_no, user_id=f"u-{order_no}")
    held = psp.holds(PAY)
    for holder in list(gateway.rooms._held)[:3]:
        gateway.rooms.leave(holder)
    await gateway.looks_at_the_line()
    await held.reached()
    async with gateway.database.connection() as connection:
        leased = await connection.fetchval("SELECT count(*) FROM payments WHERE lease_until IS NOT NULL")
        begun = await connection.fetchval("SELECT count(*) FROM intents")
    assert leased + begun <= 3
    held.release()
    await gateway.line_is_quiet()


async def test_two_processes_at_one_line_send_each_once(town: Town, gateway: Gateway, other: Gateway, psp: Psp) -> None:
    orders = [f"o{number}" for number in range(12)]
    await in_line(gateway, *orders)
    while (await town.books()).to_pay < len(orders):
        await asyncio.gather(gateway.serves_the_line(), other.serves_the_line())
    assert psp.payments == dict.fromkeys(orders, 1)


async def test_one_that_is_in_two_hands_is_sent_by_the_one_whose_intent_was_recorded(
    town: Town, gateway: Gateway, other: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST)
    held = gateway.hold_up(Flush.RECORDING)
    await gateway.looks_at_the_line()
    await held.reached()  # recorded, and not yet known
    town.pass_time(LEASE_S + 1)
    await other.serves_the_line()
    assert psp.heard == []
    held.release()
    await gateway.line_is_quiet()
    # By then it was too old to be sent.
    assert psp.heard == []
    assert await town.says() == NEVER_SENT


async def test_the_answer_to_its_intents_commit_is_lost_and_it_is_sent_once(gateway: Gateway, psp: Psp) -> None:
    await in_line(gateway, FIRST)
    gateway.loses_commit(Flush.RECORDING)
    await gateway.serves_the_line()
    assert psp.payments == {FIRST: 1}


async def test_a_process_that_dies_after_its_claim_leaves_it_to_the_next_lease(
    town: Town, gateway: Gateway, other: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST)
    now = town.now()
    assert await gateway._line._store.claim(MERCHANT_ID, now, now + timedelta(seconds=LEASE_S), {"up": 1})
    await other.serves_the_line()
    assert psp.heard == []
    town.pass_time(LEASE_S + 1)
    await other.serves_the_line()
    assert psp.payments == {FIRST: 1}


async def test_a_process_that_dies_after_the_intents_commit_leaves_it_to_be_asked_about(
    town: Town, gateway: Gateway, other: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST)
    transactions = gateway._transactions[Flush.RECORDING]
    transactions.dies = True
    await gateway.looks_at_the_line()
    await asyncio.wait_for(transactions.dying.wait(), 60)
    await gateway.close()
    await other.serves_the_line()
    assert psp.heard == []
    town.pass_time(DUE_AFTER_S)
    psp.says(ASK, PAID)
    await other.follows_up()
    assert psp.heard == [ASK]
    assert await town.says() == "succeeded"


async def test_a_lost_answer_is_asked_about_as_ever(town: Town, gateway: Gateway, psp: Psp) -> None:
    await in_line(gateway, FIRST)
    psp.says(PAY, LOST_ANSWER)
    psp.says(ASK, PAID)
    await gateway.serves_the_line()
    assert await town.says() == "processing"
    town.pass_time(DUE_AFTER_S)
    await gateway.follows_up()
    assert (psp.heard, await town.says()) == ([PAY, ASK], "succeeded")


async def test_a_channel_that_is_stopped_keeps_its_line_and_goes_on_when_it_runs_again(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST)
    running = town.catalogue
    for stopped in (channel_off(running), rule_off(running)):
        town.catalogue = stopped
        await gateway.serves_the_line()
        assert psp.heard == []
        town.pass_time(LEASE_S + 1)
    gateway.unusable = ("up-1",)
    town.catalogue = running
    await gateway.serves_the_line()
    assert psp.heard == []
    gateway.unusable = ()
    await gateway.serves_the_line()
    assert psp.payments == {FIRST: 1}


def channel_off(running: Catalogue) -> Catalogue:
    channels = tuple(replace(each, on=each.code != "up") for each in running.channels.values())
    return changed(running, channels, all_rules(running))


def rule_off(running: Catalogue) -> Catalogue:
    rules = tuple(replace(each, enabled=each.channel != "up") for each in all_rules(running))
    return changed(running, tuple(running.channels.values()), rules)


def all_rules(running: Catalogue) -> tuple[RouteRule, ...]:
    return tuple(rule for rules in running.rules.values() for rule in rules)


def changed(running: Catalogue, channels: tuple[Channel, ...], rules: tuple[RouteRule, ...]) -> Catalogue:
    merchants, accounts = tuple(running.merchants.values()), tuple(running.accounts.values())
    return Catalogue(2, merchants, accounts=accounts, channels=channels, rules=rules)


# --- cards that must be bound first ---


async def test_a_card_is_bound_when_there_is_a_place_and_not_before(town: Town, gateway: Gateway, psp: Psp) -> None:
    await in_line(gateway, FIRST, route=Route.BINDS)
    assert (await town.books()).to_bind == 0
    await gateway.serves_the_line()
    assert psp.heard == [BIND, PAY]
    assert psp.paid_with == ["token-1"]
    payment = await town.payment(FIRST)
    assert (payment.status, payment.until_at) == (Status.SUCCEEDED, None)
    assert payment.authentication_id is not None


async def test_a_card_that_was_bound_meanwhile_is_not_bound_again(town: Town, gateway: Gateway, psp: Psp) -> None:
    gateway.fills_its_places(1, "tl")
    await gateway.pay("waits", Route.BINDS)
    gateway.rooms.leave(next(iter(gateway.rooms._held)))
    other = town.gateway()
    await other.pay("bound", Route.BINDS)
    await gateway.serves_the_line()
    assert psp.heard == [BIND, PAY, PAY]
    assert psp.paid_with == ["token-1", "token-1"]


async def test_of_one_cards_withholds_one_binds_it_and_the_others_wait_for_that(town: Town, psp: Psp, url: str) -> None:
    gateway = town.gateway(at_once=10)
    gateway.fills_its_places(8, "tl")
    for order_no in "abc":
        await gateway.pay(order_no, Route.BINDS)
    for holder in list(gateway.rooms._held):
        gateway.rooms.leave(holder)
    held = psp.holds(BIND)
    await gateway.looks_at_the_line()
    await held.reached()
    await gateway.looks_at_the_line()
    await nothing_is_wrong(url, town)
    held.release()
    await gateway.line_is_quiet()
    await gateway.follows_up()
    assert psp.heard.count(BIND) == 1
    assert psp.payments == {"a": 1, "b": 1, "c": 1}


async def test_a_card_that_is_refused_fails_its_payment_and_nothing_is_charged(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST, route=Route.BINDS)
    psp.says(BIND, BIND_REFUSED)
    await gateway.serves_the_line()
    assert psp.heard == [BIND]
    assert await town.says() == "failed: authentication_rejected/payer"


async def test_the_answer_to_the_commit_of_its_binding_is_lost_and_it_is_bound_once(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST, route=Route.BINDS)
    gateway.loses_commit(Flush.RECORDING)
    await gateway.serves_the_line()
    assert psp.heard == [BIND, PAY]


async def test_a_process_that_dies_after_the_bindings_commit_leaves_it_to_be_asked_about(
    town: Town, gateway: Gateway, other: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST, route=Route.BINDS)
    transactions = gateway._transactions[Flush.RECORDING]
    transactions.dies = True
    await gateway.looks_at_the_line()
    await asyncio.wait_for(transactions.dying.wait(), 60)
    await gateway.close()
    psp.says(ASK_ABOUT_BINDING, BOUND)
    town.pass_time(DUE_AFTER_S)
    await other.follows_up()
    assert psp.heard == [ASK_ABOUT_BINDING, PAY]
    assert await town.says() == "succeeded"


# --- never sent ---


@pytest.mark.parametrize("by", ["the line", "whoever follows up"])
async def test_what_was_not_sent_in_time_fails_by_our_doing_and_frees_what_it_had_reserved(
    town: Town, gateway: Gateway, psp: Psp, url: str, by: str
) -> None:
    gateway.fills_its_places(1)
    await gateway.pay()
    async with gateway.database.connection() as connection:
        assert await connection.fetchval("SELECT sum(reserved) FROM channel_usage") == 1000
    town.pass_time(HALF_AN_HOUR_S)
    await (gateway.serves_the_line() if by == "the line" else gateway.follows_up())
    assert psp.heard == []
    assert await town.says() == NEVER_SENT
    payment = await town.payment(FIRST)
    assert payment.failure is not None
    assert (payment.sequence, payment.until_at, payment.failure.advice) == (1, None, "retry_now")
    async with gateway.database.connection() as connection:
        assert await connection.fetchval("SELECT sum(reserved) FROM channel_usage") == 0
        assert await connection.fetchval("SELECT count(*) FROM last_attempts") == 0
        assert [row[0] for row in await connection.fetch("SELECT type FROM events")] == ["payment.failed"]
    await nothing_is_wrong(url, town)
    await gateway.serves_the_line()
    assert await gateway.follows_up() == []


async def test_a_place_that_is_free_when_the_time_is_over_sends_nothing(town: Town, gateway: Gateway, psp: Psp) -> None:
    await in_line(gateway, FIRST)
    town.pass_time(HALF_AN_HOUR_S)
    await gateway.serves_the_line()
    assert (psp.heard, await town.says()) == ([], NEVER_SENT)


async def test_it_ends_in_time_though_its_account_cannot_be_used_and_its_card_cannot_be_read(
    town: Town, gateway: Gateway
) -> None:
    await in_line(gateway, FIRST)
    gateway.unusable = ("up-1",)
    async with gateway.database.connection() as connection:
        await connection.execute("UPDATE cards SET data_key = '\\x00'")
    town.pass_time(HALF_AN_HOUR_S)
    await gateway.serves_the_line()
    assert await town.says() == NEVER_SENT


async def test_a_line_that_ends_at_one_moment_ends_for_all(town: Town, gateway: Gateway) -> None:
    gateway.fills_its_places(1)
    await asyncio.gather(*(gateway.pay(f"o{n}", user_id=f"u{n}") for n in range(150)))
    town.pass_time(HALF_AN_HOUR_S)
    await gateway.serves_the_line()
    async with gateway.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM payments WHERE status = 'failed'") == 150


# --- what others say meanwhile ---


async def test_one_that_its_psp_calls_paid_while_it_stands_in_line_is_asked_about_and_never_sent(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    await in_line(gateway, FIRST)
    await gateway.records(await gateway.hears_of_payment(PAID, called_back=True))
    psp.says(ASK, REFUSED)
    await gateway.serves_the_line()
    town.pass_time(DUE_AFTER_S)
    await gateway.follows_up()
    assert psp.heard == [ASK]


async def test_a_card_of_another_person_of_the_same_flush_is_whole(town: Town, gateway: Gateway, psp: Psp) -> None:
    gateway.fills_its_places(1)
    await asyncio.gather(*(gateway.pay(f"o{n}", user_id=f"u{n}", card=card_elements(n)) for n in (1, 2)))
    for order_no, number in (("o1", 1), ("o2", 2)):
        card = (await town.payment(order_no)).card
        assert card is not None
        assert card.masked == mask_card_no(card_elements(number).card_no)
