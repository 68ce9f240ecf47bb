"""Payments that wait for an authentication: one opens the card, the others go on when it ends, or fail as it fails.

On a real PostgreSQL, word by word. Not tested here: what reaches a PSP (test_what_reaches_the_wire.py), what one word
does to an intent (tests/unit/domain), looks at what was given up (test_late_looks.py).
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from asyncpg import UniqueViolationError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import Blame, FailureCode
from gateway.domain.hearing import Source
from gateway.domain.ids import caused_id
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Authenticated,
    Declined,
    NotFound,
    NotSent,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment, Status
from gateway.ports import GoOn, OpenResult, OrderConflictError, Recorded
from gateway.storage.keys import Keys
from tests.keys import new_keys
from tests.storage.gateway_process import Process, card_observation, observation, payment_in
from tests.unit.domain.samples import (
    AUTHENTICATION_TERMS,
    MERCHANT_ID,
    TERMS,
    card_elements,
    catalogue,
    channel,
    endpoint,
    later,
    opening,
    order,
    rule,
)

SILENT = AuthenticationMode.SILENT
UP, TL = channel("up", SILENT, authentication_fee=100), channel("tl", SILENT, authentication_fee=70)
ON_UP = catalogue((UP, TL), (rule("up", 10),), (endpoint(1, "shop"),))
ON_TL = catalogue((UP, TL), (rule("tl", 10),), (endpoint(1, "shop"),))
BOUND, REFUSED, LOST = (
    Authenticated("token-1"),
    Declined(FailureCode.NAME_MISMATCH, "N1", "户名不符"),
    Unknown("timeout"),
)
RACES = 5


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> Process:
    return Process(engine, own_keys, ON_UP)


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, own_keys, ON_UP)


@pytest.fixture
async def starter(process: Process) -> Payment:
    """The first payment of a new card, which opens it."""
    return await process.open_one()


@pytest.fixture
async def waiters(process: Process, other: Process, starter: Payment) -> list[Payment]:
    """Payments of the same card that came later, in this process and in another one."""
    return [*await process.opened(order("w1"), order("w2")), await other.open_one()]


def go_on(payment: Payment, seconds: float = 0.0) -> GoOn:
    return GoOn(payment.merchant_id, payment.user_id, payment.payment_id, uuid4(), later(seconds=seconds))


async def intents(process: Process) -> list[Any]:
    return list(await process.rows("SELECT verb, object_id FROM intents ORDER BY verb, recorded_at"))


async def read_all(process: Process, payments: list[Payment]) -> list[Payment]:
    return [await process.read(payment) for payment in payments]


# --- one opening ---


async def test_in_one_flush_the_first_payment_of_a_card_opens_it_and_the_others_wait(process: Process) -> None:
    results = await process.opening.flush([opening(order(f"o{n}")) for n in range(5)])
    opened = [cast("OpenResult", result) for result in results]
    first, payments = opened[0], [result.payment for result in opened]
    assert first.authentication is not None
    assert first.authentication == await process.authentication(first.payment)
    assert first.authentication.is_own_of(first.payment.payment_id)
    assert [result.authentication for result in opened[1:]] == [None] * 4
    assert {payment.authentication_id for payment in payments} == {first.authentication.authentication_id}
    assert all(payment.waits_for_authentication for payment in payments)
    assert await intents(process) == [("authenticate", first.authentication.authentication_id)]
    assert await process.usage() == (5000, 0, 0)


async def test_those_of_later_flushes_and_other_processes_wait_for_the_same_opening(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    assert {payment.authentication_id for payment in waiters} == {starter.authentication_id}
    assert all(payment.waits_for_authentication for payment in waiters)
    assert await read_all(process, waiters) == waiters
    assert await process.count("authentications") == await process.count("intents") == 1


@pytest.mark.parametrize("race", range(RACES))
async def test_of_payments_that_come_to_two_processes_at_once_one_opens_the_card(
    process: Process, other: Process, race: int
) -> None:
    results = await asyncio.gather(*((process, other)[n % 2].books.open(opening(order(f"o{n}"))) for n in range(12)))
    assert sum(result.authentication is not None for result in results) == 1
    assert len({result.payment.authentication_id for result in results}) == 1
    assert await process.count("authentications") == await process.count("intents") == 1


async def test_every_card_user_and_account_has_an_opening_of_its_own(process: Process, starter: Payment) -> None:
    others = [await process.open_one(card=card_elements(2)), await process.open_one(user_id="u2")]
    process.catalogue = ON_TL
    others.append(await process.open_one())
    assert len({payment.authentication_id for payment in (starter, *others)}) == 4
    rows = await process.rows("SELECT account, fee, status FROM authentications ORDER BY 1")
    assert rows == [("tl-1", 70, "processing")] + [("up-1", 100, "processing")] * 3


async def test_the_database_refuses_a_second_opening_while_one_is_open(process: Process, starter: Payment) -> None:
    with pytest.raises(UniqueViolationError) as refused:
        await process.rows(ANOTHER_OPENING)
    assert refused.value.constraint_name == "authentications_open_key"
    await process.heard_of_card(starter, REFUSED)
    assert await process.rows(ANOTHER_OPENING) == [("processing",)]


ANOTHER_OPENING = """
INSERT INTO authentications SELECT (jsonb_populate_record(a, jsonb_build_object(
    'authentication_id', gen_random_uuid(), 'status', 'processing', 'finished_at', NULL, 'failure_code', NULL,
    'failure_blame', NULL, 'failure_advice', NULL, 'due_at', a.created_at))).* FROM authentications a RETURNING status
"""


async def test_who_waits_for_an_opening_whose_order_number_somebody_else_took_opens_the_card_itself(
    process: Process, other: Process
) -> None:
    process.catalogue = other.catalogue = ON_UP
    async with process.engine.connect() as connection:
        await other.open_one(user_id="u2")
        await connection.exec_driver_sql(COPY_OF_AN_ORDER, ("a",))
        flush = asyncio.create_task(process.opening.flush([opening(order("a")), opening(order("b"))]))
        await process.somebody_waits()
        await connection.commit()
    lost, opened = await flush
    assert isinstance(lost, OrderConflictError)
    assert isinstance(opened, OpenResult)
    assert opened.authentication is not None
    assert opened.authentication == await process.authentication(opened.payment)
    assert opened.authentication.is_own_of(opened.payment.payment_id)


COPY_OF_AN_ORDER = """
INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object(
    'object_id', gen_random_uuid(), 'merchant_order_no', $1::text))).* FROM orders o LIMIT 1
"""


async def test_after_a_lost_answer_to_commit_the_one_who_began_the_opening_carries_it_out(process: Process) -> None:
    unlucky = Process(process.engine, process.keys, ON_UP, lost_commits=1)
    openings = [opening(order(f"o{n}")) for n in range(3)]
    first, *others = await asyncio.gather(*(unlucky.books.open(one) for one in openings))
    assert not first.replayed
    assert first.authentication is not None
    assert first.authentication.intent is not None
    assert first.authentication.intent.intent_id == openings[0].intent_id
    assert [(result.authentication, result.payment.attempt) for result in others] == [(None, None)] * 2
    assert await process.count("authentications") == 1
    (late,) = await process.opening.flush([openings[0]])
    assert cast("OpenResult", late).authentication == first.authentication
    await process.heard_of_card(first.payment, LOST, Source.POLL)
    (late,) = await process.opening.flush([openings[0]])
    assert cast("OpenResult", late).authentication is None


# --- bound ---


@pytest.mark.parametrize("source", [Source.ANSWER, Source.POLL])
async def test_when_the_card_is_bound_its_starter_goes_on_in_that_flush_and_the_others_are_due(
    process: Process, starter: Payment, waiters: list[Payment], source: Source
) -> None:
    word = card_observation(starter, BOUND, source, later(seconds=2))
    (recorded,) = await process.recording.flush([word])
    assert isinstance(recorded, Recorded)
    assert (recorded.submit, recorded.agreement_no) == (True, "token-1")
    paying = await process.read(starter)
    assert paying == recorded.payment
    assert paying.attempt is not None
    assert paying.attempt.intent_id == caused_id(word.observation_id, starter.payment_id, Verb.PAY)
    assert paying.attempt.recorded_at == paying.attempt.told_at == later(seconds=2)
    assert paying.due_at == TERMS.unanswered(later(seconds=2))
    assert await read_all(process, waiters) == [replace(each, due_at=later(seconds=2)) for each in waiters]
    assert len(await intents(process)) == 2
    assert [each.authentication_fee for each in await read_all(process, [starter, *waiters])] == [100, None, None, None]


async def test_a_binding_that_nobody_bears_makes_its_starter_due_as_the_others(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    recorded = await process.heard_of_card(starter, BOUND, Source.OPERATOR, later(seconds=2))
    assert not recorded.submit
    everybody = await read_all(process, [starter, *waiters])
    assert {(each.attempt, each.due_at) for each in everybody} == {(None, later(seconds=2))}
    gone_on = await process.goes_on(starter, later(seconds=3))
    assert (gone_on.submit, gone_on.agreement_no) == (True, "token-1")


async def test_everybody_who_waited_goes_on_once_with_an_intent_of_their_own(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    await process.heard_of_card(starter, BOUND)
    asked = [go_on(waiter, seconds=1) for waiter in waiters]
    results = await process.recording.flush(list(asked))
    for one, waiter, result in zip(asked, waiters, results, strict=True):
        assert isinstance(result, Recorded)
        assert (result.submit, result.agreement_no) == (True, "token-1")
        paying = await process.read(waiter)
        assert paying == result.payment == result.object
        assert paying.attempt is not None
        assert (paying.attempt.intent_id, paying.attempt.number) == (one.intent_id, waiter.channel_order_no)
        assert paying.due_at == TERMS.unanswered(later(seconds=1))
    for waiter in waiters:
        assert not (await process.goes_on(waiter, later(seconds=2))).submit
    assert len(await intents(process)) == 1 + 1 + len(waiters)
    assert "token-1" not in repr(results)


@pytest.mark.parametrize("race", range(RACES))
async def test_of_two_workers_that_let_the_same_payment_go_on_at_once_one_sends(
    process: Process, other: Process, starter: Payment, waiters: list[Payment], race: int
) -> None:
    await process.heard_of_card(starter, BOUND)
    for waiter in waiters:
        sends = await asyncio.gather(process.goes_on(waiter), other.goes_on(waiter))
        assert sorted(each.submit for each in sends) == [False, True]
    assert len(await intents(process)) == 1 + 1 + len(waiters)


async def test_the_starter_that_went_on_is_not_sent_again_by_who_finds_it_due(
    process: Process, starter: Payment
) -> None:
    first = await process.heard_of_card(starter, BOUND)
    again = await process.goes_on(starter)
    assert (first.submit, again.submit) == (True, False)
    assert again.payment == first.payment


async def test_what_waited_is_claimed_at_once_and_by_one(
    process: Process, other: Process, starter: Payment, waiters: list[Payment]
) -> None:
    await process.heard_of_card(starter, BOUND, at=later(seconds=2))
    at, until = later(seconds=2), later(seconds=40)
    claimed = await asyncio.gather(*(each.due.claim(MERCHANT_ID, at, 2, until) for each in (process, other, process)))
    ids = [cast("Payment", due).payment_id for batch in claimed for due in batch]
    ids += [cast("Payment", due).payment_id for due in await process.due.claim(MERCHANT_ID, at, 10, until)]
    assert sorted(ids) == sorted(waiter.payment_id for waiter in waiters)


async def test_after_a_lost_answer_to_commit_whoever_let_it_go_on_sends_it_once(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    await process.heard_of_card(starter, BOUND)
    unlucky = Process(process.engine, process.keys, ON_UP, lost_commits=1)
    results = await asyncio.gather(*(unlucky.goes_on(waiter) for waiter in waiters))
    assert {(result.submit, result.agreement_no) for result in results} == {(True, "token-1")}
    assert [(await process.goes_on(waiter)).submit for waiter in waiters] == [False] * len(waiters)
    assert len(await intents(process)) == 1 + 1 + len(waiters)


async def test_after_a_lost_answer_words_and_payments_that_go_on_in_one_flush_count_once(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    paying = payment_in(await process.heard_of_card(starter, BOUND))
    unlucky = Process(process.engine, process.keys, ON_UP, lost_commits=1)
    said, *gone_on = await asyncio.gather(
        unlucky.heard(paying, NotFound("34")), *(unlucky.goes_on(waiter) for waiter in waiters)
    )
    assert [result.submit for result in gone_on] == [True] * len(waiters)
    assert payment_in(said).attempt == replace(cast("Any", paying.attempt), questions=1, not_found=1,
                                               not_found_since=later())  # fmt: skip
    assert len(await intents(process)) == 1 + 1 + len(waiters)
    assert await process.count("observations") == 2


@pytest.mark.parametrize("said", [Processing(), NotFound("34"), LOST, Succeeded(1000)], ids=repr)
async def test_what_somebody_has_asked_about_is_nobodys_to_send(
    process: Process, starter: Payment, waiters: list[Payment], said: Any
) -> None:
    await process.heard_of_card(starter, BOUND)
    asked = go_on(waiters[0])
    (first,) = await process.recording.flush([asked])
    await process.heard(payment_in(first), said, Source.POLL, later(seconds=60))
    (again,) = await process.recording.flush([asked])
    assert [cast("Recorded", each).submit for each in (first, again)] == [True, False]


async def test_who_goes_on_in_the_flush_that_binds_the_card_pays_with_what_was_agreed(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    first, second, third = waiters
    early, late = go_on(first), go_on(second)
    results = await process.recording.flush([early, card_observation(starter, BOUND, at=later(seconds=1)), late])
    assert [cast("Recorded", result).submit for result in results] == [False, True, True]
    assert [cast("Recorded", result).agreement_no for result in results[1:]] == ["token-1", "token-1"]
    assert [each.due_at for each in await read_all(process, [first, third])] == [later(seconds=1)] * 2


async def test_the_next_payment_of_a_bound_card_waits_for_nobody(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    await process.heard_of_card(starter, BOUND)
    (result,) = await process.opening.flush([opening(order("next"))])
    assert isinstance(result, OpenResult)
    assert (result.agreement_no, result.authentication, result.payment.authentication_id) == ("token-1", None, None)
    assert result.payment.attempt is not None


# --- not bound ---


@pytest.mark.parametrize(
    ("source", "outcome", "code", "blame", "fee"),
    [
        (Source.ANSWER, REFUSED, FailureCode.AUTHENTICATION_REJECTED, Blame.PAYER, 100),
        (Source.ANSWER, SmsNeeded("S1"), FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL, 100),
        (Source.POLL, LOST, FailureCode.AUTHENTICATION_UNKNOWN, Blame.CHANNEL, 100),
        (Source.POLL, NotFound("34"), FailureCode.AUTHENTICATION_UNKNOWN, Blame.CHANNEL, 100),
        (Source.ANSWER, NotSent("refused"), FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL, None),
        (Source.ANSWER, NotSent("too old", ours=True), FailureCode.CHANNEL_UNAVAILABLE, Blame.PLATFORM, None),
    ],
    ids=repr,
)
async def test_if_the_card_is_not_bound_all_fail_alike(
    process: Process,
    starter: Payment,
    waiters: list[Payment],
    source: Source,
    outcome: Any,
    code: FailureCode,
    blame: Blame,
    fee: int | None,
) -> None:
    word, everybody = card_observation(starter, outcome, source, later(seconds=5)), [starter, *waiters]
    (recorded,) = await process.recording.flush([word])
    failed = await read_all(process, everybody)
    assert isinstance(recorded, Recorded)
    assert (recorded.payment, recorded.submit) == (failed[0], False)
    assert len({each.failure for each in failed}) == 1
    for each in failed:
        assert each.failure is not None
        assert (each.failure.code, each.failure.blame) == (code, blame)
        assert (each.status, each.finished_at, each.due_at) == (Status.FAILED, later(seconds=5), None)
        assert (each.attempt, each.fee, each.sequence) == (None, None, 1)
    # The fee stands on the one that sent it, and only if it was sent.
    assert [each.authentication_fee for each in failed] == [fee, None, None, None]
    assert await process.rows("SELECT object_id, event_id FROM events ORDER BY object_id") == sorted(
        (each.payment_id, caused_id(word.observation_id, each.payment_id, "failed")) for each in everybody
    )
    assert await process.rows("SELECT DISTINCT type, sequence, deliveries FROM events") == [("payment.failed", 1, 1)]
    assert await process.count("deliveries") == len(everybody)
    assert await process.usage() == (0, 0, 0)
    last = await process.rows("SELECT status, blame, finished_at, payment_id FROM last_attempts")
    newest = max(each.payment_id for each in everybody)
    # What we ourselves kept from being sent says nothing of the channel.
    assert last == ([] if blame is Blame.PLATFORM else [("failed", blame, later(seconds=5), newest)])
    assert len(await intents(process)) == 1
    assert not any([(await process.goes_on(each)).submit for each in everybody])


async def test_the_next_payment_after_a_refusal_opens_the_card_anew(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    await process.heard_of_card(starter, REFUSED)
    again = await process.open_one()
    assert again.waits_for_authentication
    assert again.authentication_id != starter.authentication_id
    assert await process.count("authentications") == 2


async def test_after_a_lost_answer_to_commit_all_have_failed_once(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    unlucky = Process(process.engine, process.keys, ON_UP, lost_commits=1)
    recorded = await unlucky.heard_of_card(starter, REFUSED)
    assert payment_in(recorded) == await process.read(starter)
    assert {each.sequence for each in await read_all(process, [starter, *waiters])} == {1}
    assert await process.count("events") == 1 + len(waiters)
    assert await process.usage() == (0, 0, 0)


# --- still open ---


async def test_who_is_due_while_the_card_is_being_opened_is_put_off(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    at = cast("Any", starter.due_at)
    claimed = await process.due.claim(MERCHANT_ID, at, 10, at + timedelta(seconds=30))
    assert len(claimed) == 1 + 1 + len(waiters)
    for payment in (starter, *waiters):
        recorded = await process.books.go_on(replace(go_on(payment), at=at))
        assert (recorded.submit, payment_in(recorded).attempt) == (False, None)
        assert recorded.payment == replace(payment, due_at=AUTHENTICATION_TERMS.unanswered(at))
    assert await process.one("SELECT count(*) FROM payments WHERE lease_until IS NOT NULL") == 0
    assert await process.due.claim(MERCHANT_ID, at, 10, at + timedelta(seconds=30)) == []
    assert len(await intents(process)) == 1
    assert await process.count("events") == 0


async def test_an_opening_whose_bearer_died_is_ended_by_one_worker_and_all_go_on(
    process: Process, other: Process, starter: Payment, waiters: list[Payment]
) -> None:
    at = cast("Any", starter.due_at)
    until = at + timedelta(seconds=30)
    claims = await asyncio.gather(*(each.due.claim(MERCHANT_ID, at, 1, until) for each in (process, other)))
    assert [type(due) for batch in claims for due in batch].count(Authentication) == 1
    recorded = await other.heard_of_card(starter, BOUND, Source.POLL, at)
    assert (recorded.submit, recorded.agreement_no) == (True, "token-1")
    assert await process.one("SELECT due_at, lease_until FROM authentications") == (None, None)
    gone_on = [await process.goes_on(waiter, at) for waiter in waiters]
    assert [each.submit for each in gone_on] == [True] * len(waiters)
    # Its bearer comes to life: nothing is left for it to send.
    late = await process.heard_of_card(starter, Authenticated("token-2"), Source.ANSWER, until)
    assert not late.submit
    assert len(await intents(process)) == 1 + 1 + len(waiters)


async def test_a_lost_answer_leaves_everybody_waiting(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    before = await read_all(process, [starter, *waiters])
    recorded = await process.heard_of_card(starter, LOST, Source.ANSWER, later(seconds=20))
    assert not recorded.submit
    assert await read_all(process, [starter, *waiters]) == before
    assert await process.one("SELECT status, due_at FROM authentications") == (
        "processing",
        AUTHENTICATION_TERMS.after(0, later(seconds=20)),
    )


# --- late words, and agreements that go away ---


async def test_a_binding_heard_after_it_was_given_up_keeps_the_agreement_and_changes_no_payment(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    await process.heard_of_card(starter, LOST, Source.POLL)
    failed = await read_all(process, [starter, *waiters])
    events = await process.count("events")
    late = await process.heard_of_card(starter, BOUND, Source.POLL, later(hours=1))
    assert (late.submit, late.payment) == (False, failed[0])
    assert await read_all(process, [starter, *waiters]) == failed
    assert (await process.count("events"), await process.count("anomalies")) == (events, 0)
    assert await process.one("SELECT status, fee, due_at FROM authentications") == ("failed", 100, None)
    assert await process.one("SELECT status, verified_at FROM agreements") == ("active", later(hours=1))
    (result,) = await process.opening.flush([opening(order("next"))])
    assert cast("OpenResult", result).agreement_no == "token-1"


async def test_a_late_binding_lets_nobody_go_on_who_waits_for_a_newer_opening(
    process: Process, starter: Payment
) -> None:
    await process.heard_of_card(starter, LOST, Source.POLL)
    newer = await process.open_one()
    late = await process.heard_of_card(starter, BOUND, Source.POLL, later(hours=1))
    assert not late.submit
    assert await process.read(newer) == newer
    assert not (await process.goes_on(newer)).submit
    refused = await process.heard_of_card(newer, REFUSED)
    assert payment_in(refused).status is Status.FAILED
    assert await process.one("SELECT status FROM agreements") == "active"


async def test_who_goes_on_after_its_agreement_became_void_names_none(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    paying = payment_in(await process.heard_of_card(starter, BOUND))
    await process.heard(paying, Declined(FailureCode.AGREEMENT_VOID), at=later(seconds=3))
    recorded = await process.goes_on(waiters[0], later(seconds=4))
    assert (recorded.submit, recorded.agreement_no) == (True, None)


async def test_who_goes_on_after_its_agreement_was_renewed_names_the_new_one(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    paying = payment_in(await process.heard_of_card(starter, BOUND))
    await process.heard(paying, Declined(FailureCode.AGREEMENT_VOID), at=later(seconds=3))
    await process.heard_of_card(await process.open_one(), Authenticated("token-2"), at=later(seconds=5))
    recorded = await process.goes_on(waiters[0], later(seconds=6))
    assert (recorded.submit, recorded.agreement_no) == (True, "token-2")


async def test_a_word_of_a_payment_that_waits_moves_nothing_until_it_is_asked_about(
    process: Process, starter: Payment, waiters: list[Payment]
) -> None:
    waiter = waiters[0]
    await process.recording.flush([observation(waiter, said, Source.CALLBACK) for said in (Processing(), LOST)])
    assert await process.read(waiter) == waiter
    told = await process.heard(waiter, Succeeded(1000), Source.CALLBACK)
    assert payment_in(told) == replace(waiter, sequence=1)
    assert await process.one("SELECT object_id, kind FROM anomalies") == (waiter.payment_id, "unexpected_success")
    await process.heard_of_card(starter, BOUND)
    # Its PSP says that it is paid: that is asked about, and nothing is sent.
    assert not (await process.goes_on(waiter)).submit


async def test_another_merchants_payment_does_not_go_on(process: Process, starter: Payment) -> None:
    await process.heard_of_card(starter, BOUND, Source.OPERATOR)
    with pytest.raises(Exception, match=f"pay {starter.payment_id}"):
        await process.goes_on(replace(starter, merchant_id=UUID(int=0xB)))
    assert len(await intents(process)) == 1


# --- its PSP calls it paid before it is sent ---


async def test_what_is_called_paid_before_it_is_sent_is_nobodys_to_send_and_is_asked_about(
    process: Process, starter: Payment
) -> None:
    await process.heard(starter, Succeeded(1000, "theirs-1"), Source.CALLBACK)
    bound = await process.heard_of_card(starter, Authenticated("token-1"), at=later(seconds=1))
    assert not bound.submit
    waiting = await process.read(starter)
    assert waiting.attempt is not None
    assert waiting.due_at == later(seconds=1)
    paid = await process.heard(starter, Succeeded(1000, "theirs-1"), at=later(seconds=2))
    assert isinstance(paid.object, Payment)
    assert (paid.object.status, paid.object.sequence) == (Status.SUCCEEDED, 2)
    assert await process.usage() == (0, 1000, 0)


async def test_what_begins_and_ends_in_one_flush_is_not_sent(process: Process, starter: Payment) -> None:
    words = [
        card_observation(starter, Authenticated("token-1")),
        observation(starter, Succeeded(1000, "theirs-1"), Source.CALLBACK),
    ]
    results = [cast("Recorded", each) for each in await process.recording.flush(list(words))]
    assert [each.submit for each in results] == [False, False]
    assert (await process.read(starter)).status is Status.SUCCEEDED
    assert await process.one("SELECT channel_transaction_no FROM intents WHERE verb = 'pay'") == "theirs-1"
