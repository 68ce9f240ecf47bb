"""Every way that an order takes to its PSP, or is kept from it: what is sent, how often, and what is not.

On a real PostgreSQL, with the real books and flows and a PSP that counts. Not tested here: lost answers to COMMITs, old
intents, processes that die and races for one order (test_who_sends.py), what a command carries (tests/unit/flows), what
an adapter makes of it (tests/adapters).
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.databases import Server
from tests.storage.senders import (
    BIND_REFUSED,
    BOUND,
    DUE_AFTER_S,
    FIRST,
    LOOKS,
    LOST_ANSWER,
    NOT_FOUND,
    NOT_SENT,
    PAID,
    PENDING,
    PROVED_LOST_AFTER,
    PROVED_LOST_AFTER_S,
    REFUSED,
    SMS_NEEDED,
    Anything,
    Flush,
    Gateway,
    OrderConflictError,
    OverloadedError,
    Place,
    Psp,
    Request,
    Route,
    Rows,
    Town,
    new,
    own_place,
    replay,
    without_late_waits,
)

BIND, ASK_ABOUT_BINDING, PAY, ASK = Request
DIRECT, BINDS, NOWHERE = Route
ONCE = {FIRST: 1}
BOTH_ROUTES = pytest.mark.parametrize("route", [DIRECT, BINDS], ids=["direct", "binds"])
ALL_ROUTES = pytest.mark.parametrize("route", [DIRECT, BINDS, NOWHERE], ids=["direct", "binds", "nowhere"])

NO_CHANNEL = "failed: no_channel_available/platform"
NO_CONNECTION = "failed: channel_unavailable/channel"
BINDING_UNKNOWN = "failed: authentication_unknown/channel"
BINDING_REFUSED = "failed: authentication_rejected/payer"
SMS_ONLY = "failed: authentication_rejected/channel"
CARD_FROZEN = "failed: card_frozen/payer"


@pytest.fixture(scope="module")
async def place(postgres: Server, template: str) -> AsyncIterator[Place]:
    async with own_place(postgres, template) as place:
        yield place


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
    return town.gateway()


@pytest.fixture
def worker(town: Town) -> Gateway:
    """Another process."""
    return town.gateway()


# --- what is sent ---


async def test_a_payment_goes_straight_to_its_psp_once(town: Town, gateway: Gateway, psp: Psp) -> None:
    assert await gateway.pay() == new("succeeded")
    assert psp.heard == [PAY]
    assert psp.paid_with == [None]
    assert await town.books() == Rows(payments=1, to_bind=0, to_pay=1, observations=1, events=1)


async def test_a_card_is_bound_once_and_then_paid_once_with_what_was_agreed(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    assert await gateway.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, PAY]
    assert psp.paid_with == ["token-1"]
    assert set(psp.numbers[BIND]).isdisjoint(psp.numbers[PAY])
    assert await town.books() == Rows(payments=1, to_bind=1, to_pay=1, observations=2, events=1)


async def test_a_card_that_is_bound_already_is_not_bound_again(town: Town, gateway: Gateway, psp: Psp) -> None:
    await gateway.pay("first", BINDS)
    assert await gateway.pay("second", BINDS) == new("succeeded")
    assert psp.heard == [BIND, PAY, PAY]
    assert psp.paid_with == ["token-1", "token-1"]
    assert (await town.books()).to_bind == 1


async def test_a_binding_whose_answer_was_lost_is_asked_about_under_its_number_and_then_paid_once(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    psp.says(BIND, LOST_ANSWER)
    psp.says(ASK_ABOUT_BINDING, BOUND)
    assert await gateway.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, ASK_ABOUT_BINDING, PAY]
    assert psp.numbers[BIND] == psp.numbers[ASK_ABOUT_BINDING]
    assert await town.books() == Rows(payments=1, to_bind=1, to_pay=1, observations=2, events=1)


async def test_a_binding_that_nobody_waits_for_is_found_by_a_worker_which_pays_once(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp
) -> None:
    psp.says(ASK_ABOUT_BINDING, BOUND)
    await gateway.pays_and_dies(Flush.OPENING, route=BINDS)
    town.pass_time(DUE_AFTER_S)
    assert await worker.follows_up() == [FIRST]
    assert psp.heard == [ASK_ABOUT_BINDING, PAY]
    assert psp.paid_with == ["token-1"]
    assert await town.says() == "succeeded"


async def test_the_intent_stands_in_the_books_before_the_psp_hears_of_it(
    town: Town, gateway: Gateway, psp: Psp
) -> None:
    seen: list[Rows] = []

    async def look() -> None:
        seen.append(await town.books())

    psp.meanwhile(BIND, look)
    psp.meanwhile(PAY, look)
    await gateway.pay(route=BINDS)
    assert [(rows.to_bind, rows.to_pay) for rows in seen] == [(1, 0), (1, 1)]


async def test_every_order_number_is_a_payment_of_its_own(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp
) -> None:
    orders = [f"o{number}" for number in range(10)]
    await asyncio.gather(*(gateway.pay(one, route) for one, route in zip(orders, [DIRECT, BINDS] * 5, strict=True)))
    await worker.follows_up()
    assert psp.payments == dict.fromkeys(orders, 1)
    assert len(set(psp.numbers[PAY])) == len(orders)


async def test_of_payments_of_a_new_card_one_binds_it_and_the_others_wait_and_go_on_by_themselves(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp
) -> None:
    hold = psp.holds(BIND)
    taken = asyncio.create_task(gateway.pay(route=BINDS))
    await hold.reached()
    others = [f"o{number}" for number in range(4)]
    waiting = await asyncio.gather(*((gateway, worker)[n % 2].pay(one, BINDS) for n, one in enumerate(others)))
    assert waiting == [new("processing")] * len(others)
    assert psp.heard == [BIND]
    hold.release()
    assert await taken == new("succeeded")
    assert psp.payments == ONCE
    assert sorted(await worker.follows_up()) == others
    assert psp.payments == ONCE | dict.fromkeys(others, 1)
    assert set(psp.paid_with) == {"token-1"}
    assert psp.heard.count(BIND) == 1
    assert {await town.says(one) for one in others} == {"succeeded"}
    assert (await town.books()).to_bind == 1


# --- what the PSP answers, and nothing is sent again ---


@BOTH_ROUTES
@pytest.mark.parametrize(
    ("said", "says"),
    [
        (REFUSED, CARD_FROZEN),
        (NOT_SENT, NO_CONNECTION),
        (PENDING, "processing"),
        (LOST_ANSWER, "processing"),
        (NOT_FOUND, "processing"),
    ],
    ids=repr,
)
async def test_whatever_the_psp_answers_a_payment_is_not_sent_again(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, said: Anything, says: str, route: Route
) -> None:
    psp.says(PAY, said)
    psp.says(ASK, PAID)
    assert await gateway.pay(route=route) == new(says)
    assert psp.payments == ONCE
    town.pass_time(DUE_AFTER_S)
    assert await worker.follows_up() == ([FIRST] if says == "processing" else [])
    assert psp.payments == ONCE
    assert await town.says() == ("succeeded" if says == "processing" else says)


async def test_a_payment_that_the_psp_does_not_know_is_given_up_and_not_sent_again(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp
) -> None:
    psp.says(PAY, LOST_ANSWER)
    await gateway.pay()
    for _ in range(PROVED_LOST_AFTER):
        town.pass_time(PROVED_LOST_AFTER_S)
        await worker.follows_up()
    assert psp.heard == [PAY, *[ASK] * PROVED_LOST_AFTER]
    assert set(psp.numbers[ASK]) == set(psp.numbers[PAY])
    assert await town.says() == NO_CONNECTION


@BOTH_ROUTES
async def test_a_bug_behind_the_wire_leaves_a_payment_that_is_only_asked_about(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, route: Route
) -> None:
    psp.says(PAY, RuntimeError("a bug"))
    psp.says(ASK, PAID)
    with capture_logs():
        assert await gateway.pay(route=route) == new("processing")
    town.pass_time(DUE_AFTER_S)
    await worker.follows_up()
    assert psp.payments == ONCE
    assert psp.heard[-1] is ASK
    assert await town.says() == "succeeded"


async def test_a_payment_that_was_given_up_while_its_sender_slept_is_asked_about_by_the_sender_and_not_sent_again(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_late_waits(monkeypatch)
    psp.says(PAY, LOST_ANSWER)

    async def give_up() -> None:
        for _ in range(PROVED_LOST_AFTER):
            town.pass_time(PROVED_LOST_AFTER_S)
            await worker.follows_up()
        assert await town.says() == NO_CONNECTION
        psp.says(ASK, PAID)

    psp.meanwhile(PAY, give_up)
    assert await gateway.pay() == new(NO_CONNECTION)
    assert psp.heard == [PAY, *[ASK] * PROVED_LOST_AFTER, ASK]
    assert (await town.books()).events == 2  # it failed, and then it was an anomaly


# --- the card is not bound, and nothing is paid ---


@pytest.mark.parametrize(
    ("said", "says"),
    [(BIND_REFUSED, BINDING_REFUSED), (SMS_NEEDED, SMS_ONLY), (NOT_SENT, NO_CONNECTION)],
    ids=repr,
)
async def test_a_card_that_is_not_bound_is_not_charged(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, said: Anything, says: str
) -> None:
    psp.says(BIND, said)
    assert await gateway.pay(route=BINDS) == new(says)
    await _nothing_is_left_to_do(town, worker)
    assert psp.heard == [BIND]
    assert await town.books() == Rows(payments=1, to_bind=1, to_pay=0, observations=1, events=1)


@pytest.mark.parametrize("told", [NOT_FOUND, LOST_ANSWER, NOT_SENT], ids=repr)
async def test_a_binding_that_stays_unknown_charges_nothing(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, told: Anything
) -> None:
    psp.says(BIND, LOST_ANSWER)
    psp.says(ASK_ABOUT_BINDING, told)
    assert await gateway.pay(route=BINDS) == new(BINDING_UNKNOWN)
    assert psp.heard == [BIND, ASK_ABOUT_BINDING]
    psp.says(ASK_ABOUT_BINDING, LOST_ANSWER)  # a look that is not sent is put off, and is none
    await _only_looks_are_left(town, worker)
    assert psp.heard == [BIND, ASK_ABOUT_BINDING, *[ASK_ABOUT_BINDING] * LOOKS]
    assert await town.books() == Rows(payments=1, to_bind=1, to_pay=0, observations=1 + LOOKS, events=1)


@pytest.mark.parametrize(
    ("told", "says"), [(BIND_REFUSED, BINDING_REFUSED), (SMS_NEEDED, SMS_ONLY), (NOT_FOUND, BINDING_UNKNOWN)], ids=repr
)
async def test_a_binding_that_a_worker_hears_of_and_is_none_charges_nothing(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, told: Anything, says: str
) -> None:
    psp.says(ASK_ABOUT_BINDING, told)
    await gateway.pays_and_dies(Flush.OPENING, route=BINDS)
    town.pass_time(DUE_AFTER_S)
    await worker.follows_up()
    assert psp.heard == [ASK_ABOUT_BINDING]
    if told is NOT_FOUND:
        await _only_looks_are_left(town, worker)
    await _nothing_is_left_to_do(town, worker)
    assert set(psp.heard) == {ASK_ABOUT_BINDING}
    assert await town.says() == says


@pytest.mark.parametrize("given_up", [BIND_REFUSED, NOT_FOUND], ids=repr)
async def test_a_card_that_turns_out_to_be_bound_after_the_payment_was_given_up_is_not_charged(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, given_up: Anything
) -> None:
    psp.says(ASK_ABOUT_BINDING, given_up)
    hold = psp.holds(BIND)
    taken = asyncio.create_task(gateway.pay(route=BINDS))
    await hold.reached()
    town.pass_time(DUE_AFTER_S)
    await worker.follows_up()
    hold.release()
    assert (await taken).says.startswith("failed")
    assert psp.heard == [BIND, ASK_ABOUT_BINDING]
    assert (await town.books()).to_pay == 0


async def test_a_payment_that_a_callback_calls_paid_before_it_was_sent_is_never_sent(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp
) -> None:
    hold = psp.holds(BIND)
    taken = asyncio.create_task(gateway.pay(route=BINDS))
    await hold.reached()
    for said in (PENDING, REFUSED, PAID):
        assert not await worker.records(await worker.hears_of_payment(said, called_back=True))
    assert psp.heard == [BIND]
    hold.release()
    assert await taken == new("processing")
    assert psp.heard == [BIND]


async def _nothing_is_left_to_do(town: Town, worker: Gateway) -> None:
    town.pass_time(timedelta(days=1).total_seconds())
    assert await worker.claims() == []


async def _only_looks_are_left(town: Town, worker: Gateway) -> None:
    """What ended without the PSP's word is looked at a few times more, and then nothing is left to do."""
    waits = (timedelta(hours=1), timedelta(hours=5), timedelta(days=1))
    assert len(waits) == LOOKS
    for wait in waits:
        town.pass_time(wait.total_seconds())
        assert await worker.follows_up() == [FIRST]
    await _nothing_is_left_to_do(town, worker)


# --- orders that reach nobody ---


async def test_an_order_that_the_router_refuses_reaches_nobody(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp
) -> None:
    assert await gateway.pay(route=NOWHERE) == new(NO_CHANNEL)
    assert await gateway.pay(route=NOWHERE) == replay(NO_CHANNEL)
    await _nothing_is_left_to_do(town, worker)
    assert psp.heard == []
    assert await town.books() == Rows(payments=1, to_bind=0, to_pay=0, observations=0, events=1)


async def test_a_refusal_whose_answer_to_commit_was_lost_is_told_once(town: Town, gateway: Gateway, psp: Psp) -> None:
    gateway.loses_commit(Flush.OPENING)
    assert await gateway.pay(route=NOWHERE) == new(NO_CHANNEL)
    assert psp.heard == []
    assert (await town.books()).events == 1


@BOTH_ROUTES
@pytest.mark.parametrize("said", [PENDING, PAID, REFUSED, LOST_ANSWER, NOT_SENT], ids=repr)
async def test_an_order_that_comes_again_is_answered_and_not_sent(
    gateway: Gateway, worker: Gateway, psp: Psp, said: Anything, route: Route
) -> None:
    psp.says(PAY, said)
    first = await gateway.pay(route=route)
    before = list(psp.heard)
    assert [await again.pay(route=route) for again in (gateway, worker)] == [replay(first.says)] * 2
    assert psp.heard == before


@BOTH_ROUTES
async def test_an_order_that_comes_again_while_it_is_under_way_is_not_sent(
    gateway: Gateway, worker: Gateway, psp: Psp, route: Route
) -> None:
    hold = psp.holds(BIND if route is BINDS else PAY)
    taken = asyncio.create_task(gateway.pay(route=route))
    await hold.reached()
    assert [await again.pay(route=route) for again in (gateway, worker)] == [replay("processing")] * 2
    hold.release()
    assert await taken == new("succeeded")
    assert psp.payments == ONCE


@ALL_ROUTES
async def test_another_order_under_the_same_number_sends_nothing(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, route: Route
) -> None:
    await gateway.pay()
    for process in (gateway, worker):
        with pytest.raises(OrderConflictError):
            await process.pay(route=route, amount=2000)
    assert psp.heard == [PAY]
    assert (await town.books()).payments == 1


@BOTH_ROUTES
async def test_with_too_many_under_way_an_order_is_refused_and_nothing_is_recorded_or_sent(
    town: Town, psp: Psp, route: Route
) -> None:
    busy = town.gateway(max_running=2)
    hold = psp.holds(PAY)
    taken = [asyncio.create_task(busy.pay(f"o{number}")) for number in range(2)]
    await hold.reached()
    with pytest.raises(OverloadedError):
        await busy.pay("one too many", route)
    assert (await town.books()).payments == 2
    hold.release()
    await asyncio.gather(*taken)
    assert psp.payments == {"o0": 1, "o1": 1}
    assert await busy.pay("one too many", route) == new("succeeded")
    assert psp.payments["one too many"] == 1


async def test_of_orders_for_which_the_queue_has_no_room_nothing_is_recorded_or_sent(town: Town, psp: Psp) -> None:
    narrow = town.gateway(max_waiting=3)
    orders = [f"o{number}" for number in range(10)]
    answers = await asyncio.gather(*(narrow.pay(one) for one in orders), return_exceptions=True)
    taken = [one for one, answer in zip(orders, answers, strict=True) if not isinstance(answer, OverloadedError)]
    assert 0 < len(taken) < len(orders)
    assert psp.payments == dict.fromkeys(taken, 1)
    assert (await town.books()).payments == len(taken)


async def test_an_order_without_a_card_is_sent_by_nobody(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp
) -> None:
    assert await gateway.pay(card=None) == new("processing")
    town.pass_time(DUE_AFTER_S)
    assert await worker.follows_up() == [FIRST]
    assert psp.heard == [ASK]


# --- the caller ---


@BOTH_ROUTES
async def test_a_caller_that_goes_away_stops_nothing(town: Town, gateway: Gateway, psp: Psp, route: Route) -> None:
    hold = psp.holds(BIND if route is BINDS else PAY)
    caller = asyncio.create_task(gateway.pay(route=route))
    await hold.reached()
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    hold.release()
    await gateway.finishes()
    assert psp.payments == ONCE
    assert await town.says() == "succeeded"


@BOTH_ROUTES
async def test_a_caller_that_is_answered_before_the_psp_has_spoken_gets_its_payment_sent_once(
    town: Town, psp: Psp, route: Route
) -> None:
    hasty, hold = town.gateway(answer_within_s=0.0), psp.holds(PAY)
    assert await hasty.pay(route=route) == new("processing")
    await hold.reached()
    assert await hasty.pay(route=route) == replay("processing")
    hold.release()
    await hasty.finishes()
    assert psp.payments == ONCE
    assert await town.says() == "succeeded"


@BOTH_ROUTES
async def test_a_caller_that_is_cut_off_while_its_order_is_being_recorded_leaves_what_is_only_asked_about(
    town: Town, gateway: Gateway, worker: Gateway, psp: Psp, route: Route
) -> None:
    # Over HTTP nobody is cut off there (`gateway.api.http.runner`), unless the process ends.
    recording = gateway.hold_up(Flush.OPENING)
    caller = asyncio.create_task(gateway.pay(route=route))
    await recording.reached()
    caller.cancel()
    await asyncio.wait({caller})
    recording.release()
    await gateway.finishes()
    assert await gateway.pay(route=route) == replay("processing")
    town.pass_time(DUE_AFTER_S)
    assert await worker.follows_up() == [FIRST]
    assert psp.heard == [ASK if route is DIRECT else ASK_ABOUT_BINDING]
