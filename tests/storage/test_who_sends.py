"""Who may send a payment to its PSP, when answers to COMMITs are lost, processes die, and many want the same.

On a real PostgreSQL, with the real books and flows and a PSP that counts. Not tested here: which answer of a PSP leads
where (test_what_reaches_the_wire.py), what is written beside the state (test_opening.py, test_recording.py), a server
or a process that is really killed (tests/e2e).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from tests.databases import Server
from tests.storage.senders import (
    ASKED,
    BOUND,
    DUE_AFTER_S,
    FIRST,
    LOST_ANSWER,
    NOT_FOUND,
    PAID,
    PENDING,
    PROVED_LOST_AFTER,
    PROVED_LOST_AFTER_S,
    REFUSED,
    SEND_WITHIN_S,
    Flush,
    Gateway,
    Outcome,
    OverloadedError,
    Place,
    Psp,
    Request,
    Route,
    Town,
    new,
    own_place,
    replay,
)

OPENING, RECORDING = Flush.OPENING, Flush.RECORDING
BIND, ASK_ABOUT_BINDING, PAY, ASK = Request
DIRECT, BINDS = Route.DIRECT, Route.BINDS
ONCE = {FIRST: 1}
BOTH_ROUTES = pytest.mark.parametrize("route", [DIRECT, BINDS], ids=["direct", "binds"])

TOO_LATE = "failed: channel_unavailable/platform"
NEVER_CAME = "failed: channel_unavailable/channel"
BINDING_UNKNOWN = "failed: authentication_unknown/channel"


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
def opener(town: Town) -> Gateway:
    return town.gateway()


@pytest.fixture
def worker(town: Town) -> Gateway:
    """Another process."""
    return town.gateway()


@pytest.fixture
def hasty(town: Town) -> Gateway:
    """A worker whose clock is ahead, so that it takes up what is still fresh to everybody else."""
    return town.gateway(ahead_s=DUE_AFTER_S)


async def follow_up_to_the_end(town: Town, worker: Gateway) -> None:
    """Let a worker do what is due until nothing is."""
    for _ in range(PROVED_LOST_AFTER + 2):
        town.pass_time(max(DUE_AFTER_S, ASKED, PROVED_LOST_AFTER_S))
        await worker.follows_up()
    town.pass_time(10 * DUE_AFTER_S)
    assert await worker.claims() == []


# --- the answer to the COMMIT of an opening is lost ---


@pytest.mark.parametrize(
    "error",
    [
        None,
        ConnectionResetError,
        TimeoutError,
        lambda: asyncpg.InterfaceError("the connection is closed"),
        lambda: asyncpg.AdminShutdownError("terminating connection"),
    ],
    ids=["connection lost", "reset", "timeout", "interface", "shutdown"],
)
async def test_whoever_opened_it_sends_it_once_whatever_the_lost_answer_looked_like(
    town: Town, opener: Gateway, psp: Psp, error: type[Exception] | None
) -> None:
    opener.loses_commit(OPENING, error=error)
    assert await opener.pay() == new("succeeded")
    assert psp.payments == ONCE
    rows = await town.books()
    assert (rows.payments, rows.to_pay, rows.events) == (1, 1, 1)


async def test_a_card_is_bound_once_and_paid_once_after_a_lost_answer(town: Town, opener: Gateway, psp: Psp) -> None:
    opener.loses_commit(OPENING)
    assert await opener.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, PAY]
    rows = await town.books()
    assert (rows.payments, rows.to_bind, rows.to_pay) == (1, 1, 1)


async def test_a_known_agreement_is_still_named_after_a_lost_answer(opener: Gateway, psp: Psp) -> None:
    await opener.pay("before", BINDS)
    opener.loses_commit(OPENING)
    assert await opener.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, PAY, PAY]
    assert psp.paid_with == ["token-1", "token-1"]


@BOTH_ROUTES
async def test_each_of_many_that_shared_the_lost_flush_is_sent_once(
    town: Town, opener: Gateway, psp: Psp, route: Route
) -> None:
    opener.loses_commit(OPENING)
    opener.loses_commit(RECORDING)
    orders = [f"o{number}" for number in range(20)]
    answers = await asyncio.gather(*(opener.pay(one, route, user_id=f"u-{one}") for one in orders))
    assert set(answers) == {new("succeeded")}
    assert psp.payments == dict.fromkeys(orders, 1)
    assert (await town.books()).to_pay == len(orders)


@pytest.mark.parametrize(
    ("told", "says"), [(PENDING, "processing"), (LOST_ANSWER, "processing"), (NOT_FOUND, "processing")], ids=repr
)
async def test_what_a_worker_has_asked_about_meanwhile_is_not_sent_by_its_opener(
    town: Town, opener: Gateway, hasty: Gateway, psp: Psp, told: Outcome, says: str
) -> None:
    psp.says(ASK, told)
    opener.loses_commit(OPENING, meanwhile=hasty.follows_up)
    assert await opener.pay() == replay(says)
    assert psp.heard == [ASK]
    assert (await town.books()).to_pay == 1


@pytest.mark.parametrize(("told", "says"), [(PAID, "succeeded"), (REFUSED, "failed: card_frozen/payer")], ids=repr)
async def test_what_has_ended_meanwhile_is_not_sent_by_its_opener(
    opener: Gateway, hasty: Gateway, psp: Psp, told: Outcome, says: str
) -> None:
    psp.says(ASK, told)
    opener.loses_commit(OPENING, meanwhile=hasty.follows_up)
    assert (await opener.pay()).says == says
    assert psp.heard == [ASK]


async def test_a_binding_that_a_worker_has_found_meanwhile_is_paid_by_the_worker_alone(
    opener: Gateway, hasty: Gateway, psp: Psp
) -> None:
    psp.says(ASK_ABOUT_BINDING, BOUND)
    psp.says(PAY, PENDING)
    opener.loses_commit(OPENING, meanwhile=hasty.follows_up)
    assert await opener.pay(route=BINDS) == replay("processing")
    assert psp.heard == [ASK_ABOUT_BINDING, PAY]


async def test_a_binding_that_a_worker_has_given_up_meanwhile_is_not_begun(
    opener: Gateway, hasty: Gateway, psp: Psp
) -> None:
    opener.loses_commit(OPENING, meanwhile=hasty.follows_up)
    assert (await opener.pay(route=BINDS)).says == BINDING_UNKNOWN
    assert psp.heard == [ASK_ABOUT_BINDING]


@BOTH_ROUTES
async def test_an_opening_whose_answer_is_lost_twice_is_sent_by_nobody_and_only_asked_about(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp, route: Route
) -> None:
    opener.loses_commit(OPENING, times=2)
    with pytest.raises(OverloadedError):
        await opener.pay(route=route)
    assert await opener.pay(route=route) == replay("processing")
    assert psp.heard == []
    await follow_up_to_the_end(town, worker)
    assert set(psp.heard) == {ASK if route is DIRECT else ASK_ABOUT_BINDING}
    assert await town.says() == (NEVER_CAME if route is DIRECT else BINDING_UNKNOWN)


# --- the answer to the COMMIT of an intent to pay is lost ---


async def test_whoever_recorded_the_intent_to_pay_sends_it_once(town: Town, opener: Gateway, psp: Psp) -> None:
    opener.loses_commit(RECORDING)
    assert await opener.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, PAY]
    rows = await town.books()
    assert (rows.to_bind, rows.to_pay, rows.observations, rows.events) == (1, 1, 2, 1)


async def test_a_binding_found_by_asking_is_paid_once_after_a_lost_answer(opener: Gateway, psp: Psp) -> None:
    psp.says(BIND, LOST_ANSWER)
    psp.says(ASK_ABOUT_BINDING, BOUND)
    opener.loses_commit(RECORDING)
    assert await opener.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, ASK_ABOUT_BINDING, PAY]


async def test_a_worker_that_finds_a_binding_pays_once_after_a_lost_answer(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    psp.says(ASK_ABOUT_BINDING, BOUND)
    await opener.pays_and_dies(OPENING, route=BINDS)
    town.pass_time(DUE_AFTER_S)
    worker.loses_commit(RECORDING)
    await worker.follows_up()
    assert psp.heard == [ASK_ABOUT_BINDING, PAY]
    assert await town.says() == "succeeded"


@pytest.mark.parametrize("told", [PENDING, LOST_ANSWER, NOT_FOUND, PAID, REFUSED], ids=repr)
async def test_an_intent_to_pay_that_somebody_has_asked_about_meanwhile_is_not_sent_by_its_bearer(
    town: Town, opener: Gateway, hasty: Gateway, psp: Psp, told: Outcome
) -> None:
    psp.says(ASK, told)
    opener.loses_commit(RECORDING, meanwhile=hasty.follows_up)
    answer = await opener.pay(route=BINDS)
    assert answer == new(await town.says())
    assert psp.heard == [BIND, ASK]


async def test_an_intent_to_pay_whose_answer_is_lost_twice_comes_again_and_is_sent_once(
    town: Town, opener: Gateway, psp: Psp
) -> None:
    opener.loses_commit(RECORDING, times=2)
    with capture_logs():
        assert await opener.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, PAY]
    rows = await town.books()
    assert (rows.to_bind, rows.to_pay, rows.observations, rows.events) == (1, 1, 2, 1)


@BOTH_ROUTES
async def test_the_answer_of_the_psp_is_recorded_once_after_a_lost_answer(
    town: Town, opener: Gateway, psp: Psp, route: Route
) -> None:
    opener.loses_commit(RECORDING, after=1 if route is BINDS else 0)
    assert await opener.pay(route=route) == new("succeeded")
    assert psp.payments == ONCE
    rows = await town.books()
    assert (rows.observations, rows.events) == (2 if route is BINDS else 1, 1)


# --- a word that is recorded twice ---


async def test_a_word_that_is_recorded_again_leaves_one_row_and_lets_its_bearer_send_while_nobody_has_asked(
    town: Town, opener: Gateway, worker: Gateway
) -> None:
    await opener.pays_and_dies(OPENING, route=BINDS)
    bound = await worker.hears_of_binding(BOUND)
    assert [await worker.records(bound) for _ in range(3)] == [True, True, True]
    rows = await town.books()
    assert (rows.to_pay, rows.observations, rows.events) == (1, 1, 0)
    await worker.records(await worker.hears_of_payment(NOT_FOUND))
    assert not await worker.records(bound)
    assert (await town.books()).observations == 2


@pytest.mark.parametrize("ended", [PAID, REFUSED], ids=repr)
async def test_a_word_that_is_recorded_again_after_the_end_lets_nobody_send(
    town: Town, opener: Gateway, worker: Gateway, ended: Outcome
) -> None:
    await opener.pays_and_dies(OPENING, route=BINDS)
    bound = await worker.hears_of_binding(BOUND)
    last = await worker.hears_of_payment(ended)
    assert await worker.records(bound)
    assert [await worker.records(last) for _ in range(2)] == [False, False]
    assert not await worker.records(bound)
    rows = await town.books()
    assert (rows.observations, rows.events) == (2, 1)


async def test_a_second_word_of_the_same_binding_lets_nobody_send_however_often_it_is_recorded(
    town: Town, opener: Gateway, worker: Gateway
) -> None:
    other = town.gateway()
    await opener.pays_and_dies(OPENING, route=BINDS)
    first, second = await worker.hears_of_binding(BOUND), await other.hears_of_binding(BOUND, polled=True)
    assert await worker.records(first)
    assert [await other.records(second) for _ in range(2)] == [False, False]
    assert await worker.records(first)


async def test_two_words_of_the_same_binding_in_one_lost_flush_let_one_send(
    town: Town, opener: Gateway, worker: Gateway
) -> None:
    await opener.pays_and_dies(OPENING, route=BINDS)
    words = [await worker.hears_of_binding(BOUND) for _ in range(2)]
    worker.loses_commit(RECORDING)
    assert sorted(await asyncio.gather(*(worker.records(word) for word in words))) == [False, True]


@pytest.mark.parametrize("together", [True, False], ids=["in one flush", "by two processes"])
async def test_of_two_that_hear_of_a_binding_in_the_same_moment_one_may_send_after_a_lost_answer(
    town: Town, opener: Gateway, worker: Gateway, together: bool
) -> None:
    await opener.pays_and_dies(OPENING, route=BINDS)
    town.stop_the_clock()
    other = worker if together else town.gateway()
    first, second = await worker.hears_of_binding(BOUND), await other.hears_of_binding(BOUND, polled=True)
    other.loses_commit(RECORDING)
    if together:
        sends = list(await asyncio.gather(worker.records(first), other.records(second)))
    else:
        sends = [await worker.records(first), await other.records(second)]
    assert sends == [True, False]


# --- an intent grows old ---


@BOTH_ROUTES
async def test_an_opening_whose_commit_is_answered_too_late_is_not_sent(
    town: Town, opener: Gateway, psp: Psp, route: Route
) -> None:
    opener.is_held_up(OPENING, after_s=SEND_WITHIN_S + 0.1)
    assert await opener.pay(route=route) == new(TOO_LATE)
    assert psp.heard == []
    assert await town.says() == TOO_LATE


@BOTH_ROUTES
async def test_an_opening_whose_commit_is_answered_just_in_time_is_sent(
    opener: Gateway, psp: Psp, route: Route
) -> None:
    opener.is_held_up(OPENING, after_s=SEND_WITHIN_S - 0.1)
    assert await opener.pay(route=route) == new("succeeded")
    assert psp.payments == ONCE


@BOTH_ROUTES
async def test_an_order_that_waited_long_for_its_flush_is_a_fresh_intent(
    opener: Gateway, psp: Psp, route: Route
) -> None:
    opener.is_held_up(OPENING, before_s=10 * SEND_WITHIN_S)
    assert await opener.pay(route=route) == new("succeeded")
    assert psp.payments == ONCE


@BOTH_ROUTES
async def test_an_opening_that_is_found_again_too_late_after_a_lost_answer_is_not_sent(
    opener: Gateway, psp: Psp, route: Route
) -> None:
    opener.loses_commit(OPENING)
    opener.is_held_up(OPENING, after_s=SEND_WITHIN_S + 0.1)
    assert await opener.pay(route=route) == new(TOO_LATE)
    assert psp.heard == []


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
@pytest.mark.parametrize("where", ["before_s", "after_s"])
async def test_an_intent_to_pay_whose_flush_is_held_up_too_long_is_not_sent(
    town: Town, opener: Gateway, psp: Psp, where: str, lost: bool
) -> None:
    if lost:
        opener.loses_commit(RECORDING)
    opener.is_held_up(RECORDING, **{where: SEND_WITHIN_S + 0.1})
    assert await opener.pay(route=BINDS) == new(TOO_LATE)
    assert psp.heard == [BIND]
    assert (await town.books()).to_pay == 1


@pytest.mark.parametrize("where", ["before_s", "after_s"])
async def test_an_intent_to_pay_whose_flush_is_held_up_a_little_is_sent(opener: Gateway, psp: Psp, where: str) -> None:
    opener.is_held_up(RECORDING, **{where: SEND_WITHIN_S - 0.1})
    assert await opener.pay(route=BINDS) == new("succeeded")
    assert psp.heard == [BIND, PAY]


async def test_a_worker_does_not_send_an_intent_to_pay_that_was_held_up_either(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    psp.says(ASK_ABOUT_BINDING, BOUND)
    await opener.pays_and_dies(OPENING, route=BINDS)
    town.pass_time(DUE_AFTER_S)
    worker.is_held_up(RECORDING, after_s=SEND_WITHIN_S + 0.1)
    await worker.follows_up()
    assert psp.heard == [ASK_ABOUT_BINDING]
    assert await town.says() == TOO_LATE


# --- the bearer dies ---


async def test_a_payment_whose_opener_died_is_asked_about_and_never_sent(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    await opener.pays_and_dies(OPENING)
    assert await worker.claims() == []
    assert await worker.pay() == replay("processing")
    await follow_up_to_the_end(town, worker)
    assert psp.heard == [ASK] * PROVED_LOST_AFTER
    assert await town.says() == NEVER_CAME
    assert await worker.pay() == replay(NEVER_CAME)


async def test_a_binding_whose_opener_died_is_asked_about_and_never_begun(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    await opener.pays_and_dies(OPENING, route=BINDS)
    assert await worker.pay(route=BINDS) == replay("processing")
    await follow_up_to_the_end(town, worker)
    assert psp.heard == [ASK_ABOUT_BINDING]
    assert await town.says() == BINDING_UNKNOWN


async def test_an_intent_to_pay_whose_bearer_died_is_asked_about_and_never_sent(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    await opener.pays_and_dies(RECORDING, route=BINDS)
    assert (await town.books()).to_pay == 1
    assert await worker.pay(route=BINDS) == replay("processing")
    await follow_up_to_the_end(town, worker)
    assert psp.heard == [BIND, *[ASK] * PROVED_LOST_AFTER]
    assert await town.says() == NEVER_CAME


async def test_a_worker_that_died_with_its_intent_to_pay_leaves_it_to_be_asked_about(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    await opener.pays_and_dies(OPENING, route=BINDS)
    assert await worker.records(await worker.hears_of_binding(BOUND, polled=True))
    await worker.close()
    await follow_up_to_the_end(town, town.gateway())
    assert psp.heard == [ASK] * PROVED_LOST_AFTER


@BOTH_ROUTES
async def test_a_payment_that_had_reached_the_psp_when_its_bearer_died_is_found_by_asking(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp, route: Route
) -> None:
    psp.says(ASK, PAID)
    await _dies_with_a_request_under_way(opener, psp, PAY, route)
    await follow_up_to_the_end(town, worker)
    assert psp.payments == ONCE
    assert psp.heard[-1] is ASK
    assert await town.says() == "succeeded"


async def test_a_binding_that_had_reached_the_psp_when_its_bearer_died_is_found_by_asking_and_paid_once(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    psp.says(ASK_ABOUT_BINDING, BOUND)
    await _dies_with_a_request_under_way(opener, psp, BIND, BINDS)
    await follow_up_to_the_end(town, worker)
    assert psp.heard == [BIND, ASK_ABOUT_BINDING, PAY]
    assert await town.says() == "succeeded"


async def _dies_with_a_request_under_way(opener: Gateway, psp: Psp, request: Request, route: Route) -> None:
    hold = psp.holds(request)
    taken = asyncio.create_task(opener.pay(route=route))
    await hold.reached()
    await opener.close()
    hold.release()
    assert await taken == new("processing")


# --- workers ---


@BOTH_ROUTES
async def test_of_two_workers_that_claim_at_once_one_gets_it(
    town: Town, opener: Gateway, worker: Gateway, route: Route
) -> None:
    other, orders = town.gateway(), [f"o{number}" for number in range(5)]
    for order_no in orders:
        await town.gateway().pays_and_dies(OPENING, order_no, route)
    town.pass_time(DUE_AFTER_S)
    claims = await asyncio.gather(*((worker, other)[number % 2].claims(limit=2) for number in range(6)))
    left = await other.claims()
    due = [(order_no, False) for order_no in orders]
    if route is BINDS:
        due.append((orders[0], True))  # they wait for the binding that the first of them began
    assert Counter((claim.order_no, claim.binds) for got in (*claims, left) for claim in got) == dict.fromkeys(due, 1)


async def test_what_is_claimed_is_nobody_elses_until_its_lease_runs_out(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    other = town.gateway()
    await opener.pays_and_dies(OPENING)
    town.pass_time(DUE_AFTER_S)
    (slow,) = await worker.claims(lease_s=30.0)
    assert await other.claims() == []
    town.pass_time(29.0)
    assert await other.claims() == await worker.claims() == []
    town.pass_time(1.0)
    assert await other.follows_up() == [FIRST]
    await worker.takes_up([slow])
    assert psp.heard == [ASK, ASK]


async def test_two_that_follow_up_the_same_binding_pay_once(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    other = town.gateway()
    psp.says(ASK_ABOUT_BINDING, BOUND)
    await opener.pays_and_dies(OPENING, route=BINDS)
    town.pass_time(DUE_AFTER_S)
    slow = await worker.claims(lease_s=30.0)
    town.pass_time(31.0)
    quick = await other.claims()
    await asyncio.gather(worker.takes_up(slow), other.takes_up(quick))
    assert sorted(psp.heard) == sorted([ASK_ABOUT_BINDING, ASK_ABOUT_BINDING, PAY])
    assert psp.payments == ONCE
    assert await town.says() == "succeeded"


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
async def test_a_bearer_whose_binding_was_taken_up_while_it_waited_does_not_pay(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp, lost: bool
) -> None:
    psp.says(ASK_ABOUT_BINDING, BOUND)
    hold = psp.holds(BIND)
    taken = asyncio.create_task(opener.pay(route=BINDS))
    await hold.reached()
    town.pass_time(DUE_AFTER_S)
    assert await worker.follows_up() == [FIRST]
    if lost:
        opener.loses_commit(RECORDING)
    hold.release()
    assert await taken == new("succeeded")
    assert psp.heard == [BIND, ASK_ABOUT_BINDING, PAY]


async def test_a_worker_that_comes_after_the_bearer_has_gone_on_does_not_pay(
    town: Town, opener: Gateway, worker: Gateway, psp: Psp
) -> None:
    psp.says(ASK_ABOUT_BINDING, BOUND)
    psp.says(PAY, PENDING)
    hold = psp.holds(BIND)
    taken = asyncio.create_task(opener.pay(route=BINDS))
    await hold.reached()
    town.pass_time(DUE_AFTER_S)
    claims = await worker.claims()
    hold.release()
    assert await taken == new("processing")
    await worker.takes_up(claims)
    assert psp.heard == [BIND, PAY, ASK_ABOUT_BINDING]


# --- copies of one order ---

COPIES = 200


@BOTH_ROUTES
@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
@pytest.mark.parametrize("processes", [1, 2])
async def test_of_many_copies_at_once_exactly_one_is_sent(
    town: Town, psp: Psp, processes: int, lost: bool, route: Route
) -> None:
    gateways = [town.gateway() for _ in range(processes)]
    if lost:
        for gateway in gateways:
            gateway.loses_commit(OPENING)
    copies = (gateways[number % processes].pay(route=route) for number in range(COPIES))
    answers = await asyncio.gather(*copies)
    assert [answer for answer in answers if not answer.replayed] == [new("succeeded")]
    assert psp.payments == ONCE
    assert psp.heard.count(BIND) == (1 if route is BINDS else 0)
    rows = await town.books()
    assert (rows.payments, rows.to_pay, rows.events) == (1, 1, 1)
