"""Opening payments on a real PostgreSQL: flushes, idempotency, daily limits under races, poison and lost answers.

Not tested here: the routing itself (tests/unit/router), the constraints one by one (test_constraints), facts after the
opening (test_recording).
"""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
from asyncpg import PostgresError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import AuthenticationMode, Catalogue
from gateway.domain.failures import FailureCode
from gateway.domain.ids import number_of
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import Authenticated, Succeeded
from gateway.domain.payments import Payment, Status
from gateway.domain.scenes import Kind, Scene
from gateway.flows.observations import key_of
from gateway.ports import IntentKey, OpenResult, OrderConflictError, OverloadedError
from gateway.storage.keys import Keys
from router.decide import replay
from router.limits import ChannelLimits
from router.record import to_record
from tests.keys import keys, new_keys
from tests.storage.gateway_process import Process, payment_in
from tests.unit.domain.samples import (
    MERCHANT_ID,
    NOW,
    card_elements,
    catalogue,
    channel,
    endpoint,
    later,
    opening,
    order,
    rule,
)

DAY = date(2026, 3, 5)
UP, TL = channel("up", AuthenticationMode.SILENT, authentication_fee=100), channel("tl")
BOTH = catalogue((UP, TL), (rule("up", 10), rule("tl", 50)), (endpoint(1, "shop"),))
ONLY_TL = catalogue((TL,), (rule("tl", 50),), (endpoint(1, "shop"),))
RACES = 5


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> Process:
    return Process(engine, own_keys, BOTH)


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, own_keys, BOTH)


# --- one flush ---


async def test_many_orders_are_opened_in_one_flush_in_their_order(process: Process) -> None:
    orders = [order(f"o{n}", user_id=f"u{n % 7}", card=card_elements(n % 5)) for n in range(40)]
    payments = await process.opened(*orders)
    assert [p.merchant_order_no for p in payments] == [o.merchant_order_no for o in orders]
    assert {(p.status, p.channel, p.expected_fee, p.fee) for p in payments} == {(Status.PROCESSING, "up", 10, None)}
    assert {p.business_day for p in payments} == {DAY}
    assert await process.count("payments") == await process.count("orders") == await process.count("decisions") == 40
    # 35 cards of users: one authentication each, whose first payment started it.
    assert await process.count("intents") == await process.count("authentications") == 35
    assert await process.one("SELECT sum(reserved)::bigint FROM channel_usage") == 40 * 1000
    assert await process.count("users") == 7


@pytest.mark.parametrize("catalogue_", [BOTH, ONLY_TL], ids=["not sent yet", "sent"])
async def test_a_payment_is_read_back_as_it_was_answered(process: Process, catalogue_: Catalogue) -> None:
    process.catalogue = catalogue_
    opened = await process.open_one(description="代扣", metadata={"loan": [1, "二"]}, customer_present=True)
    assert (opened.attempt is None) is opened.waits_for_authentication is (catalogue_ is BOTH)
    assert await process.read(opened) == opened
    assert opened.channel_order_no == number_of(opened.payment_id)


@pytest.mark.parametrize("catalogue_", [BOTH, ONLY_TL], ids=["not sent yet", "sent"])
async def test_a_payment_is_found_by_its_number_at_the_psp(process: Process, catalogue_: Catalogue) -> None:
    process.catalogue = catalogue_
    opened = await process.open_one()
    assert opened.account is not None
    assert opened.channel_order_no is not None
    finds, number, other = process.due.intent_of_number, opened.channel_order_no, {"up-1": "tl-1", "tl-1": "up-1"}
    key = IntentKey(MERCHANT_ID, opened.user_id, opened.payment_id, Verb.PAY)
    assert await finds(MERCHANT_ID, opened.account, number, Verb.PAY) == key
    assert await finds(MERCHANT_ID, other[opened.account], number, Verb.PAY) is None
    assert await finds(UUID(int=0xB), opened.account, number, Verb.PAY) is None
    assert await finds(MERCHANT_ID, opened.account, number, Verb.REFUND) is None


INTENT = "verb, object_id, channel, account, told_at, recorded_at, amount, state, questions, acknowledged"


async def test_the_intent_is_recorded_whole_before_anything_is_sent(process: Process) -> None:
    process.catalogue = ONLY_TL
    opened = await process.open_one()
    assert opened.attempt is not None
    assert opened.attempt.state is IntentState.OPEN
    assert opened.due_at is not None
    row = await process.one(f"SELECT {INTENT} FROM intents")
    assert row == ("pay", opened.payment_id, "tl", "tl-1", NOW, NOW, 1000, "open", 0, False)
    assert await process.one("SELECT number FROM intents") == opened.channel_order_no
    assert (await process.count("authentications"), await process.count("events")) == (0, 0)


async def test_of_a_card_without_agreement_the_intent_to_authenticate_is_recorded_whole(process: Process) -> None:
    opened = await process.open_one()
    assert opened.attempt is None
    assert opened.due_at is not None
    row = await process.one(f"SELECT {INTENT} FROM intents")
    assert row == ("authenticate", opened.authentication_id, "up", "up-1", NOW, NOW, None, "open", 0, False)
    row = await process.one("SELECT payment_id, status, fee, due_at, finished_at FROM authentications")
    assert row == (opened.payment_id, "processing", 100, opened.due_at, None)
    assert await process.one("SELECT authentication_fee FROM payments") is None
    assert await process.count("events") == 0


async def test_a_refusal_is_a_failed_payment_with_its_event_and_delivery(process: Process) -> None:
    refused = await process.open_one(bank="ABC")
    assert refused.status is Status.FAILED
    assert refused.failure is not None
    assert refused.failure.code is FailureCode.NO_CHANNEL_AVAILABLE
    assert (refused.attempt, refused.due_at, refused.channel) == (None, None, None)
    assert await process.one("SELECT type, sequence, deliveries FROM events") == ("payment.failed", 1, 1)
    assert await process.one("SELECT status, due_at FROM deliveries") == ("pending", NOW)
    assert [(d.tries, d.lease_until is not None) for d in process.handed_over] == [(0, True)]
    assert [await process.count(table) for table in ("intents", "channel_usage", "authentications")] == [0, 0, 0]


async def test_refused_and_routed_orders_share_a_flush(process: Process) -> None:
    payments = await process.opened(order("a"), order("b", bank="ABC"), order("c", user_id="u2"))
    assert [p.status for p in payments] == [Status.PROCESSING, Status.FAILED, Status.PROCESSING]
    assert (await process.count("intents"), await process.count("events")) == (2, 1)


async def test_without_somebody_to_deliver_at_once_any_worker_may_take_the_delivery(engine: AsyncEngine) -> None:
    process = Process(engine, new_keys(), BOTH, delivers=False)
    await process.open_one(bank="ABC")
    assert await process.one("SELECT lease_until FROM deliveries") is None


async def test_every_order_of_a_flush_belongs_to_the_day_whose_facts_routed_it(process: Process) -> None:
    before, after = NOW.replace(hour=15, minute=59, second=59), NOW.replace(hour=16)
    process.now = after
    results = await process.opening.flush([opening(order("a"), before), opening(order("b"), after)])
    days = {cast("OpenResult", result).payment.business_day for result in results}
    assert days == {date(2026, 3, 6)}
    assert await process.rows("SELECT business_day, reserved FROM channel_usage") == [(date(2026, 3, 6), 2000)]


# --- cards and agreements ---


async def test_new_known_and_shared_cards_meet_in_one_batch(process: Process) -> None:
    (known,) = await process.opened(order("before", card=card_elements(1)))
    payments = await process.opened(
        order("known", card=card_elements(1)),
        order("new", card=card_elements(2)),
        order("shared", card=card_elements(2)),
        order("another user's", user_id="u2", card=card_elements(2)),
        order("another phone", card=replace(card_elements(1), phone="13900000000")),
    )
    ids = [p.card.card_id for p in payments if p.card]
    assert known.card is not None
    assert ids[0] == known.card.card_id
    assert ids[1] == ids[2]
    assert len(set(ids)) == await process.count("cards") == 4
    assert await process.due.card(MERCHANT_ID, ids[1]) == card_elements(2)


async def test_a_card_is_found_again_under_a_new_key(process: Process, engine: AsyncEngine) -> None:
    before, rotated = Process(engine, keys(1), BOTH), Process(engine, keys(1, 2, primary=2), BOTH)
    first, second = await before.open_one(), await rotated.open_one()
    assert first.card == second.card
    assert await process.count("cards") == 1


async def test_no_element_of_a_card_stands_readable_in_the_database(process: Process) -> None:
    await process.open_one()
    card = card_elements()
    for table in ("cards", "payments", "intents", "authentications", "orders", "decisions", "users"):
        for (shown,) in await process.rows(f"SELECT to_jsonb(t)::text FROM {table} t"):
            for secret in (card.card_no, card.holder_name, card.id_no, card.phone):
                assert secret not in shown
                assert secret.encode().hex() not in shown


async def test_a_card_with_an_agreement_is_paid_without_authentication(process: Process) -> None:
    first = await process.open_one()
    await process.heard_of_card(first, Authenticated("token-1"))
    results = await process.opening.flush([opening(order("next")), opening(order("other", card=card_elements(2)))])
    bound, unbound = (cast("OpenResult", result) for result in results)
    assert bound.agreement_no == "token-1"
    assert unbound.agreement_no is None
    assert [r.payment.waits_for_authentication for r in (bound, unbound)] == [False, True]
    assert bound.payment.attempt is not None
    assert bound.authentication is None
    assert unbound.authentication is not None
    assert unbound.authentication.is_own_of(unbound.payment.payment_id)
    assert "token-1" not in repr(bound)


async def test_a_card_that_is_named_by_its_id_is_used_as_it_is(process: Process) -> None:
    first = await process.open_one()
    assert first.card is not None
    await process.heard_of_card(first, Authenticated("token-1"))
    found = await process.due.find_card(MERCHANT_ID, "u1", first.card.card_id)
    assert found is not None
    (result,) = await process.opening.flush([opening(order("next", card=found.elements, card_id=first.card.card_id))])
    assert cast("OpenResult", result).agreement_no == "token-1"
    assert await process.count("cards") == 1
    assert await process.due.find_card(MERCHANT_ID, "u2", first.card.card_id) is None


# --- the decision ---


async def test_the_stored_decision_is_replayed_to_the_same_one(process: Process) -> None:
    await process.opened(order("a"), order("b", amount=70_000), order("c", bank="ABC"))
    records = await process.rows(
        "SELECT decision FROM decisions JOIN payments ON object_id = payment_id ORDER BY merchant_order_no"
    )
    decisions = [orjson.loads(row[0]) for row in records]
    assert [to_record(replay(record)) for record in decisions] == decisions
    # The second was decided on what the first had reserved.
    assert replay(decisions[1]).facts["up"].used_today == 1000


async def test_the_trace_notes_a_bank_that_the_number_contradicts(process: Process) -> None:
    await process.open_one(bank_by_bin="ABC")
    record = orjson.loads(await process.one("SELECT decision FROM decisions"))
    assert record["notes"] == ["the request says bank ICBC, the card number ABC: the request wins"]
    replay(record)


# --- identical orders ---


async def test_identical_orders_in_one_batch_are_one_payment(process: Process) -> None:
    results = await process.opening.flush([opening(order("same")) for _ in range(20)])
    opened = [cast("OpenResult", result) for result in results]
    assert len({o.payment.payment_id for o in opened}) == 1
    assert [o.replayed for o in opened] == [False] + [True] * 19
    assert (await process.count("intents"), await process.usage()) == (1, (1000, 0, 0))


async def test_a_thousand_identical_orders_over_two_processes_are_one_intent(process: Process, other: Process) -> None:
    openings = [opening(order("same")) for _ in range(1000)]
    results = await asyncio.gather(
        *((process, other)[n % 2].books.open(one) for n, one in enumerate(openings)), return_exceptions=False
    )
    assert len({result.payment.payment_id for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert [await process.count(table) for table in ("payments", "intents", "cards")] == [1, 1, 1]
    assert await process.usage() == (1000, 0, 0)


async def test_a_replay_answers_the_payment_as_it_is_now(process: Process) -> None:
    (first,) = await process.opened(order("same"))
    await process.heard_of_card(first, Authenticated("token-1"))
    done = await process.heard(first, Succeeded(1000), at=later(seconds=1))
    again = await process.books.open(opening(order("same"), later(days=40)))
    assert again == OpenResult(payment_in(done), replayed=True)


@pytest.mark.parametrize("together", [True, False])
async def test_the_same_number_with_other_content_is_a_conflict(process: Process, together: bool) -> None:
    orders = [opening(order("same")), opening(order("same", amount=2000)), opening(order("same"))]
    if together:
        results = list(await process.opening.flush(orders))
    else:
        results = [(await process.opening.flush([one]))[0] for one in orders]
    assert isinstance(results[1], OrderConflictError)
    assert [r.replayed for r in (results[0], results[2]) if isinstance(r, OpenResult)] == [False, True]
    assert await process.count("payments") == 1


async def test_the_same_number_of_two_users_is_a_conflict_whoever_comes_first(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = ONLY_TL
    for race in range(RACES):
        a, b = await asyncio.gather(
            process.books.open(opening(order(f"same-{race}", user_id="u1"))),
            other.books.open(opening(order(f"same-{race}", user_id="u2"))),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in (a, b)) == ["OpenResult", "OrderConflictError"]
    assert await process.one("SELECT sum(reserved)::bigint FROM channel_usage") == RACES * 1000
    assert await process.count("intents") == RACES


async def test_another_apps_order_number_is_another_order(process: Process) -> None:
    await process.opened(order("same"), order("same", app="books"))
    assert await process.count("payments") == 2


async def test_an_order_does_not_depend_on_the_ring(engine: AsyncEngine) -> None:
    before, after = Process(engine, keys(1), BOTH), Process(engine, keys(2), BOTH)
    await before.opened(order("same"))
    assert (await after.books.open(opening(order("same")))).replayed
    with pytest.raises(OrderConflictError):
        await after.books.open(opening(order("same", bank="ABC")))


async def test_an_order_of_the_first_version_is_compared_by_the_card_key_that_made_its_hash(
    engine: AsyncEngine,
) -> None:
    process = Process(engine, keys(1, 2), BOTH)
    await process.opened(order("same"))
    await _hashed_by_card_key(process, "same", 2)
    assert (await process.books.open(opening(order("same")))).replayed
    with pytest.raises(OrderConflictError):
        await process.books.open(opening(order("same", bank="ABC")))


@pytest.mark.parametrize(
    ("other", "conflict"),
    [
        ({}, False),
        ({"bank": "ABC"}, False),
        ({"card": card_elements(2)}, False),
        ({"description": "other"}, False),
        ({"amount": 1001}, True),
        ({"user_id": "u2"}, True),
        ({"scene": Scene.CUSTODY_WITHHOLD}, True),
        ({"kind": Kind.CHARGE}, True),
        ({"currency": "USD"}, True),
    ],
)
async def test_what_cannot_be_compared_is_no_conflict(
    engine: AsyncEngine, other: dict[str, Any], conflict: bool
) -> None:
    process = Process(engine, keys(1, 2), BOTH)
    await process.opened(order("same"))
    await _hashed_by_card_key(process, "same", 2)
    without = Process(engine, keys(1), BOTH)
    again = opening(order("same", **other))
    if conflict:
        with pytest.raises(OrderConflictError):
            await without.books.open(again)
    else:
        assert (await without.books.open(again)).replayed


async def _hashed_by_card_key(process: Process, order_no: str, number: int) -> None:
    """Make an order what the first version would have left."""
    body_hash = process.keys.ring.request_hash(order(order_no).body, number)
    await process.rows(
        "UPDATE orders SET body_hash = $1, hash_version = $2, hash_form = 1 RETURNING 1", body_hash, number
    )


# --- limits under races ---


@pytest.mark.parametrize("race", range(RACES))
async def test_of_fifty_concurrent_orders_over_two_processes_exactly_those_with_room_are_routed(
    process: Process, other: Process, race: int
) -> None:
    limited = catalogue((TL,), (rule("tl", daily_limit=10_000),))
    process.catalogue = other.catalogue = limited
    results = await asyncio.gather(*((process, other)[n % 2].books.open(opening(order(f"o{n}"))) for n in range(50)))
    told = Counter(r.payment.failure.code if r.payment.failure else "routed" for r in results)
    assert told == {"routed": 10, FailureCode.DAILY_LIMIT_EXCEEDED: 40}
    assert await process.usage(channel="tl") == (10_000, 0, 0)


async def test_a_flush_that_waited_for_its_user_sees_what_was_recorded_meanwhile(process: Process) -> None:
    process.catalogue = catalogue((TL,), (rule("tl", daily_limit=2000),))
    await process.open_one()
    async with process.engine.begin() as connection:
        await connection.exec_driver_sql("SELECT 1 FROM users WHERE user_id = 'u1' FOR UPDATE")
        waiting = asyncio.create_task(process.open_one())
        await process.somebody_waits()
        await connection.exec_driver_sql("UPDATE channel_usage SET reserved = 2000")
    assert _refusal(await waiting) is FailureCode.DAILY_LIMIT_EXCEEDED


async def test_a_limit_counts_the_day_and_not_the_day_before(process: Process) -> None:
    process.catalogue = catalogue((TL,), (rule("tl", daily_limit=1000),))
    today, tomorrow = await process.open_one(), await process.open_one(now=later(days=1))
    refused = await process.open_one()
    assert [p.status for p in (today, tomorrow, refused)] == [Status.PROCESSING, Status.PROCESSING, Status.FAILED]


async def test_a_channels_total_counts_all_users(process: Process) -> None:
    process.catalogue = catalogue((replace(TL, limits=ChannelLimits(daily_total=2500)),), (rule("tl"),))
    together = await process.opened(*(order(f"a{n}", user_id=f"u{n}") for n in range(3)))
    alone = await process.open_one(user_id="u9", amount=501)
    fits = await process.open_one(user_id="u9", amount=500)
    assert [_refusal(p) for p in (*together, alone, fits)] == [
        None,
        None,
        FailureCode.CHANNEL_TOTAL_EXCEEDED,
        FailureCode.CHANNEL_TOTAL_EXCEEDED,
        None,
    ]


async def test_a_cards_limit_counts_the_card_and_not_the_user(process: Process) -> None:
    process.catalogue = catalogue((TL,), (rule("tl", card_daily_limit=2000),))
    together = await process.opened(*(order(f"a{n}") for n in range(3)), order("b", card=card_elements(2)))
    alone = await process.open_one()
    assert [_refusal(p) for p in (*together, alone)] == [
        None,
        None,
        FailureCode.CARD_LIMIT_EXCEEDED,
        None,
        FailureCode.CARD_LIMIT_EXCEEDED,
    ]


def _refusal(payment: Payment) -> FailureCode | None:
    return payment.failure.code if payment.failure else None


# --- what goes wrong ---


async def test_a_poisoned_order_fails_alone(process: Process) -> None:
    orders = [order(f"o{n}", description="\0" if n == 5 else None) for n in range(12)]
    results = await asyncio.gather(*(process.books.open(opening(o)) for o in orders), return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, PostgresError)] == [5]
    assert await process.count("payments") == await process.count("orders") == 11
    assert await process.usage() == (11_000, 0, 0)


@pytest.mark.parametrize("together", [1, 3])
async def test_a_lost_answer_to_commit_makes_no_duplicate_and_the_bearer_gets_its_payment(
    process: Process, together: int
) -> None:
    first = await process.open_one()
    await process.heard_of_card(first, Authenticated("token-1"))
    unlucky = Process(process.engine, process.keys, BOTH, lost_commits=1)
    openings = [opening(order(f"o{n}")) for n in range(together)]
    results = await asyncio.gather(*(unlucky.books.open(one) for one in openings))
    assert [r.payment.payment_id for r in results] == [one.payment_id for one in openings]
    assert {(r.replayed, r.agreement_no) for r in results} == {(False, "token-1")}
    assert await process.count("payments") == 1 + together
    assert await process.usage() == (1000 * (1 + together), 0, 0)


async def test_after_a_lost_answer_nobody_carries_out_what_a_worker_has_taken_up(process: Process) -> None:
    one = opening(order("o1"))
    (result,) = await process.opening.flush([one])
    await process.heard_of_card(cast("OpenResult", result).payment, Authenticated("token-1"), at=later(seconds=40))
    (again,) = await process.opening.flush([one])
    assert cast("OpenResult", again).replayed


async def test_a_full_queue_refuses_and_records_nothing(engine: AsyncEngine) -> None:
    process = Process(engine, new_keys(), ONLY_TL, max_waiting=3)
    results = await asyncio.gather(
        *(process.books.open(opening(order(f"o{n}"))) for n in range(10)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, OverloadedError)]
    assert refused
    assert await process.count("payments") == 10 - len(refused)
    assert process.books.waiting == 0


async def test_opposite_orders_of_users_and_numbers_never_deadlock(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = ONLY_TL
    users = [f"u{n}" for n in range(8)]
    for race in range(30):
        there = [opening(order(f"r{race}-{u}", user_id=u)) for u in users]
        # The same numbers by other users: these wait on the numbers, not on the users.
        strangers = [opening(order(f"r{race}-{u}", user_id=f"x{u}")) for u in reversed(users)]
        back = [opening(order(f"b{race}-{u}", user_id=u)) for u in reversed(users)]
        # A deadlock would be raised here: no queue stands between that would try again.
        await asyncio.gather(process.opening.flush(there), other.opening.flush(strangers), process.opening.flush(back))
    assert await process.count("payments") == 30 * 16


async def test_users_are_locked_in_their_own_order_whatever_that_of_the_orders(process: Process) -> None:
    await process.opened(order("a", user_id="u1"), order("b", user_id="u2"))
    async with process.engine.begin() as connection:
        await connection.exec_driver_sql("SELECT 1 FROM users WHERE user_id = 'u1' FOR UPDATE")
        waiting = asyncio.create_task(process.opened(order("c", user_id="u2"), order("d", user_id="u1")))
        await process.somebody_waits()
        await connection.exec_driver_sql("SELECT 1 FROM users WHERE user_id = 'u2' FOR UPDATE NOWAIT")
    assert len(await waiting) == 2


async def test_order_numbers_are_taken_in_their_own_order_whatever_they_came_in(process: Process) -> None:
    process.catalogue = ONLY_TL
    await process.open_one()
    async with process.engine.connect() as connection:
        await connection.exec_driver_sql(COPY_OF_AN_ORDER, ("a",))
        waiting = asyncio.create_task(process.opened(order("b", user_id="u2"), order("a", user_id="u3")))
        await process.somebody_waits()
        await connection.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
        await connection.exec_driver_sql(COPY_OF_AN_ORDER, ("b",))
        await connection.rollback()
    assert len(await waiting) == 2


COPY_OF_AN_ORDER = """
INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object(
    'object_id', gen_random_uuid(), 'merchant_order_no', $1::text))).* FROM orders o LIMIT 1
"""


# --- what is due ---


BY_NOUN = pytest.mark.parametrize("catalogue_", [BOTH, ONLY_TL], ids=["authentications too", "payments"])


async def test_two_claimers_never_get_the_same_and_together_get_all(process: Process, other: Process) -> None:
    opened = await process.opened(*(order(f"o{n}", user_id=f"u{n}") for n in range(40)))
    at = later(minutes=5)
    taken = await asyncio.gather(
        *((process, other)[n % 2].due.claim(MERCHANT_ID, at, 13, at + timedelta(seconds=30)) for n in range(8))
    )
    ids = [key_of(each).object_id for batch in taken for each in batch]
    left = await process.due.claim(MERCHANT_ID, at, 100, at + timedelta(seconds=30))
    ids += [key_of(each).object_id for each in left]
    assert len(ids) == len(set(ids)) == 80
    assert set(ids) == {p.payment_id for p in opened} | {p.authentication_id for p in opened}
    assert await process.due.claim(MERCHANT_ID, at, 100, at + timedelta(seconds=30)) == []


async def test_what_payments_wait_for_is_claimed_before_them(process: Process) -> None:
    await process.opened(*(order(f"o{n}", user_id=f"u{n}") for n in range(4)))
    first = await process.due.claim(MERCHANT_ID, later(minutes=5), 4, later(minutes=6))
    # Not all of the room: what there is much of must not keep the rest from being asked about.
    assert [type(each) for each in first] == [Authentication] * 2 + [Payment] * 2


@BY_NOUN
async def test_nothing_is_claimed_before_it_is_due(process: Process, catalogue_: Catalogue) -> None:
    process.catalogue = catalogue_
    opened = await process.open_one()
    waits_for = [await process.authentication(opened)] if opened.waits_for_authentication else []
    assert opened.due_at is not None
    early, due = opened.due_at - timedelta(microseconds=1), opened.due_at
    assert await process.due.merchants_with_work([MERCHANT_ID], early) == []
    assert await process.due.claim(MERCHANT_ID, early, 10, later(minutes=2)) == []
    assert await process.due.merchants_with_work([UUID(int=0xB), MERCHANT_ID], due) == [MERCHANT_ID]
    assert await process.due.claim(MERCHANT_ID, due, 10, later(minutes=2)) == [*waits_for, opened]


@BY_NOUN
async def test_a_lease_that_ran_out_is_taken_by_the_next(process: Process, catalogue_: Catalogue) -> None:
    process.catalogue = catalogue_
    await process.open_one()
    at, until = later(minutes=2), later(minutes=3)
    claimed = await process.due.claim(MERCHANT_ID, at, 10, until)
    assert len(claimed) == await process.count("authentications") + 1
    assert await process.due.merchants_with_work([MERCHANT_ID], until - timedelta(seconds=1)) == []
    assert await process.due.claim(MERCHANT_ID, until - timedelta(seconds=1), 10, until) == []
    assert await process.due.claim(MERCHANT_ID, until, 10, later(minutes=4)) == claimed


@BY_NOUN
async def test_what_is_being_recorded_is_skipped_and_not_waited_for(
    process: Process, other: Process, catalogue_: Catalogue
) -> None:
    process.catalogue = catalogue_
    await process.open_one()
    async with process.engine.begin() as connection:
        await connection.exec_driver_sql("SELECT 1 FROM payments FOR UPDATE")
        await connection.exec_driver_sql("SELECT 1 FROM authentications FOR UPDATE")
        assert await other.due.claim(MERCHANT_ID, later(hours=1), 10, later(hours=2)) == []
    assert await other.due.claim(MERCHANT_ID, later(hours=1), 10, later(hours=2)) != []


async def test_a_user_whom_somebody_holds_does_not_hold_up_the_others(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    await process.opened(order("first", user_id="held"), order("second", user_id="free"))
    async with process.database.transaction() as other:
        await other.execute("SELECT 1 FROM users WHERE user_id = 'held' FOR UPDATE")
        asked = [order(f"o{n}", user_id="held" if n % 2 else f"u{n}") for n in range(40)]
        results = await asyncio.gather(*(process.books.open(opening(o)) for o in asked), return_exceptions=True)
    assert [isinstance(result, OverloadedError) for result in results] == [bool(n % 2) for n in range(40)]
    assert await process.count("payments") == 2 + 20
    # Sent again a second later, as a 503 says, they are taken.
    monkeypatch.setattr(process.opening._busy, "_clock", lambda: time.monotonic() + 1.5)
    again = await process.books.open(opening(asked[1]))
    assert not again.replayed
