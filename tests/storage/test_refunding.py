"""Refunds in the books: never more than came in, each sent by one, and every word about them kept.

On a real PostgreSQL. Not tested here: which word does what to an intent (tests/unit/domain), what the API refuses
before the books (tests/api), what reaches a PSP (tests/e2e).
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import orjson
import pytest
from asyncpg import CheckViolationError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.ids import caused_id, number_of
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.flows.observations import key_of
from gateway.flows.refund import RefundOpening
from gateway.objects.refunds import refund_object
from gateway.ports import (
    AmountExceedsRestError,
    IntentKey,
    Observation,
    OrderConflictError,
    OverloadedError,
    PaymentNotRefundableError,
    Recorded,
    RefundResult,
)
from gateway.storage.keys import Keys
from gateway.storage.writing import refunding
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.refunds import refunds_by_id
from tests.keys import new_keys
from tests.storage.gateway_process import Process, payment_in
from tests.unit.domain.samples import (
    MERCHANT_ID,
    NOW,
    REFUND_TERMS,
    catalogue,
    channel,
    endpoint,
    later,
    opening,
    order,
    refund_order,
    rule,
)

PAYS = catalogue((channel("up"),), (rule("up", 10),), (endpoint(1, "shop"),))
DECLINED, BACK = Declined(FailureCode.CHANNEL_REFUSED, "40", "余额不足"), Returned(ReturnReason.PAYEE_ACCOUNT_INVALID)
RACES = 5


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> Process:
    return Process(engine, own_keys, PAYS)


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, own_keys, PAYS)


@pytest.fixture
async def paid(process: Process) -> Payment:
    """A payment of 10.00 yuan that succeeded."""
    return await pays(process)


async def pays(process: Process, **known: Any) -> Payment:
    payment = await process.open_one(**known)
    return payment_in(await process.heard(payment, Succeeded(payment.amount, "theirs-1")))


def asks(payment: Payment, amount: int, number: str | None = None, now: Any = NOW) -> RefundOpening:
    """An order for a refund with fresh ids."""
    asked = refund_order(number or f"refund-{uuid4().hex}", payment_id=payment.payment_id, amount=amount)
    return RefundOpening(asked, payment.user_id, uuid4(), uuid4(), now)


def says(refund: Refund, outcome: Outcome, source: Source = Source.POLL, at: Any = NOW) -> Observation:
    return Observation(key_of(refund), source, outcome, at, uuid4())


async def hears(
    process: Process, refund: Refund, outcome: Outcome, source: Source = Source.POLL, at: Any = NOW
) -> Refund:
    """Record one word about a refund."""
    recorded = await process.books.record(says(refund, outcome, source, at))
    assert (recorded.payment, recorded.submit) == (None, False)
    return cast("Refund", recorded.object)


async def opens(process: Process, payment: Payment, amount: int = 1000) -> Refund:
    result = await process.refund(payment, amount)
    assert not result.replayed
    return result.refund


async def read(process: Process, refund: Refund) -> Refund:
    async with process.database.connection() as connection:
        return (await refunds_by_id(connection, MERCHANT_ID, [refund.refund_id]))[refund.refund_id]


async def outflow(process: Process) -> Any:
    """(amount, refunded, settled) of the only payment of which something has left."""
    return await process.one("SELECT amount, refunded, settled FROM outflows")


async def refund_events(process: Process) -> list[Any]:
    return list(await process.rows("SELECT type, sequence FROM events WHERE object = 'refund' ORDER BY sequence"))


def refused(results: Any) -> list[str | int]:
    """What was taken, and why the rest was not."""
    return [
        result.left
        if isinstance(result, AmountExceedsRestError)
        else result.code
        if isinstance(result, PaymentNotRefundableError)
        else "taken"
        if isinstance(result, RefundResult)
        else type(result).__name__
        for result in results
    ]


# --- what one refund writes ---


async def test_the_intent_is_recorded_whole_before_anything_is_sent(process: Process, paid: Payment) -> None:
    process.now = later(hours=1)
    asked = asks(paid, 400)
    (result,) = await process.refunding.flush([asked])
    assert isinstance(result, RefundResult)
    refund = result.refund
    assert (result.replayed, result.payment) == (False, paid)
    assert await read(process, refund) == refund
    assert (refund.status, refund.refund_id, refund.sequence) == (Status.PROCESSING, asked.refund_id, 0)
    assert refund.due_at == REFUND_TERMS.unanswered(later(hours=1))
    intent = refund.intent
    assert (intent.intent_id, intent.verb, intent.amount) == (asked.intent_id, Verb.REFUND, 400)
    assert (intent.number, intent.account) == (number_of(refund.refund_id), "up-1")
    # As old as its commit, however long its order stood in the queue.
    assert (intent.told_at, intent.recorded_at) == (later(hours=1), later(hours=1))
    assert await outflow(process) == (1000, 400, 0)
    assert (await process.read(paid)).refunded == 400
    assert await refund_events(process) == []
    key = IntentKey(MERCHANT_ID, "u1", refund.refund_id, Verb.REFUND)
    assert await process.due.intent_of_number(MERCHANT_ID, "up-1", intent.number, Verb.REFUND) == key
    assert await process.due.intent_of_number(MERCHANT_ID, "up-1", intent.number, Verb.PAY) is None


async def test_a_success_is_told_once_and_gives_nothing_back_of_the_days_limit(process: Process, paid: Payment) -> None:
    refund = await opens(process, paid, 400)
    done = await hears(process, refund, Succeeded(400, "theirs-2", later(seconds=3)), at=later(seconds=4))
    assert await read(process, done) == done
    assert (done.status, done.sequence, done.due_at, done.finished_at) == (Status.SUCCEEDED, 1, None, later(seconds=4))
    assert await process.read(paid) == replace(paid, refunded=400)
    assert await process.usage() == (0, 1000, 0)
    body = orjson.loads(await process.one("SELECT body FROM events WHERE object = 'refund'"))
    assert (body["type"], body["sequence"]) == ("refund.succeeded", 1)
    assert body["data"] == orjson.loads(orjson.dumps(refund_object(done)))
    assert await hears(process, refund, Succeeded(400), Source.CALLBACK) == done
    assert await refund_events(process) == [("refund.succeeded", 1)]


@pytest.mark.parametrize("outcome", [Processing("05"), Unknown("timeout"), NotFound("34"), Succeeded(399)], ids=repr)
async def test_a_word_that_settles_nothing_keeps_what_was_taken(
    process: Process, paid: Payment, outcome: Outcome
) -> None:
    refund = await opens(process, paid, 400)
    heard = await hears(process, refund, outcome, at=later(seconds=60))
    assert await read(process, heard) == heard
    assert (heard.status, heard.due_at) == (Status.PROCESSING, REFUND_TERMS.after(1, later(seconds=60)))
    assert await outflow(process) == (1000, 400, 0)
    mismatch = isinstance(outcome, Succeeded)
    assert refused([await _refund(process, paid, 601)]) == ["payment_has_anomaly" if mismatch else 600]


async def _refund(process: Process, payment: Payment, amount: int, number: str | None = None) -> Any:
    return (await process.refunding.flush([asks(payment, amount, number)]))[0]


@pytest.mark.parametrize("outcome", [DECLINED, NotSent("no connection")], ids=repr)
async def test_a_refund_that_failed_frees_what_it_took(process: Process, paid: Payment, outcome: Outcome) -> None:
    refund, stays = await opens(process, paid, 600), await opens(process, paid, 300)
    failed = await hears(process, refund, outcome, Source.ANSWER, later(seconds=5))
    assert await read(process, failed) == failed
    assert (failed.status, failed.due_at, failed.finished_at) == (Status.FAILED, None, later(seconds=5))
    assert await outflow(process) == (1000, 300, 0)
    assert await refund_events(process) == [("refund.failed", 1)]
    assert refused([await _refund(process, paid, 701), await _refund(process, paid, 700)]) == [700, "taken"]
    assert (await read(process, stays)).status is Status.PROCESSING


async def test_a_refund_that_never_arrived_frees_what_it_took_once_that_is_proved(
    process: Process, paid: Payment
) -> None:
    refund = await opens(process, paid, 600)
    for seconds in (60, 599):
        waits = await hears(process, refund, NotFound("34"), at=later(seconds=seconds))
        assert waits.status is Status.PROCESSING
    assert await outflow(process) == (1000, 600, 0)
    failed = await hears(process, refund, NotFound("34"), at=later(seconds=671))
    assert (failed.status, failed.intent.state) == (Status.FAILED, IntentState.NOT_RECEIVED)
    assert await outflow(process) == (1000, 0, 0)


# --- money that comes back ---


async def test_a_return_after_success_frees_what_went_out(process: Process, paid: Payment) -> None:
    refund = await opens(process, paid)
    done = await hears(process, refund, Succeeded(1000), at=later(seconds=4))
    back = await hears(process, refund, BACK, at=later(days=3))
    assert await read(process, back) == back
    assert (back.status, back.returned) == (Status.RETURNED, ReturnReason.PAYEE_ACCOUNT_INVALID)
    assert (back.finished_at, back.sequence) == (done.finished_at, 2)
    assert await outflow(process) == (1000, 0, 0)
    assert await refund_events(process) == [("refund.succeeded", 1), ("refund.returned", 2)]
    assert await process.count("anomalies") == 0
    again = await opens(process, paid)
    assert (again.status, await outflow(process)) == (Status.PROCESSING, (1000, 1000, 0))
    # What is said of the first one after that tells nothing.
    for said in (Processing(), Succeeded(1000), BACK):
        assert await hears(process, refund, said, Source.CALLBACK) == back
    assert await outflow(process) == (1000, 1000, 0)
    assert len(await refund_events(process)) == 2


async def test_a_refund_is_read_with_the_pay_companys_number_of_its_payment_and_keeps_what_is_said_of_the_fee(
    process: Process, paid: Payment
) -> None:
    refund = await opens(process, paid)
    assert (refund.original_transaction_no, (await read(process, refund)).original_transaction_no) == ("theirs-1",) * 2
    taken = await hears(process, refund, Processing(fee_returned=3), Source.ANSWER)
    assert (await read(process, taken), refund_object(taken)["fee_returned"]) == (taken, None)
    done = await hears(process, refund, Succeeded(1000), at=later(seconds=4))
    assert (await read(process, done), done.fee_returned) == (done, 3)
    async with process.database.connection() as connection:
        told = await connection.fetchval("SELECT body FROM events WHERE object = 'refund'")
    assert orjson.loads(told)["data"] == refund_object(done)
    assert refund_object(done)["fee_returned"] == 3
    other = await hears(process, await opens(process, await pays(process)), Succeeded(1000))
    assert (other.fee_returned, (await read(process, other)).fee_returned) == (None, None)


async def test_a_return_that_is_heard_first_passes_through_success_with_two_events(
    process: Process, paid: Payment
) -> None:
    refund = await opens(process, paid, 400)
    word = says(refund, BACK, at=later(days=1))
    (recorded,) = await process.recording.flush([word])
    back = await read(process, refund)
    assert cast("Recorded", recorded).object == back
    assert (back.status, back.sequence) == (Status.RETURNED, 2)
    rows = await process.rows("SELECT event_id, type FROM events WHERE object = 'refund' ORDER BY sequence")
    told = [caused_id(word.observation_id, refund.refund_id, status) for status in ("succeeded", "returned")]
    assert rows == list(zip(told, ["refund.succeeded", "refund.returned"], strict=True))
    states = [orjson.loads(row[0])["data"]["status"] for row in await process.rows(
        "SELECT body FROM events WHERE object = 'refund' ORDER BY sequence")]  # fmt: skip
    assert states == ["succeeded", "returned"]
    assert await outflow(process) == (1000, 0, 0)


async def test_several_refunds_of_one_payment_may_end_in_one_flush(process: Process, paid: Payment) -> None:
    failed, back, done = [await opens(process, paid, amount) for amount in (200, 300, 500)]
    await process.recording.flush([says(failed, DECLINED), says(back, BACK), says(done, Succeeded(500))])
    assert await outflow(process) == (1000, 500, 0)
    statuses = [(await read(process, each)).status for each in (failed, back, done)]
    assert statuses == [Status.FAILED, Status.RETURNED, Status.SUCCEEDED]


# --- contradictions ---


async def test_a_late_success_is_an_anomaly_once_and_changes_no_state(process: Process, paid: Payment) -> None:
    refund = await opens(process, paid)
    failed = await hears(process, refund, DECLINED)
    for source in (Source.CALLBACK, Source.POLL, Source.CALLBACK):
        late = await hears(process, refund, Succeeded(1000, "theirs-2"), source, later(days=1))
    kept = replace(failed.intent, late_success=True, channel_transaction_no="theirs-2")
    assert late == replace(failed, sequence=2, intent=kept)
    assert await read(process, late) == late
    assert await refund_events(process) == [("refund.failed", 1), ("refund.anomaly", 2)]
    assert await process.rows("SELECT object, object_id, kind FROM anomalies") == [
        ("refund", refund.refund_id, "late_success")
    ]
    assert await process.usage() == (0, 1000, 0)


@pytest.mark.parametrize(
    ("words", "kind", "status"),
    [
        ((Succeeded(1000), DECLINED), "late_failure", Status.SUCCEEDED),
        ((DECLINED, BACK), "late_success", Status.FAILED),
        ((Succeeded(1000, "theirs-1"), Succeeded(1000, "theirs-2")), "transaction_mismatch", Status.SUCCEEDED),
        ((Succeeded(999), Succeeded(1000)), "amount_mismatch", Status.SUCCEEDED),
    ],
    ids=["late failure", "late return", "another transaction", "another amount"],
)
@pytest.mark.parametrize("together", [True, False])
async def test_words_that_contradict_are_one_anomaly(
    process: Process, paid: Payment, words: tuple[Outcome, ...], kind: str, status: Status, together: bool
) -> None:
    refund = await opens(process, paid)
    heard = [says(refund, word) for word in (*words, *words[-1:])]
    for batch in [heard] if together else [[one] for one in heard]:
        await process.recording.flush(list(batch))
    read_back = await read(process, refund)
    assert (read_back.status, read_back.sequence) == (status, 2)
    assert await process.one("SELECT kind FROM anomalies") == kind
    assert len(await refund_events(process)) == 2
    assert await outflow(process) == (1000, 0 if status is Status.FAILED else 1000, 0)


# --- what is left ---


async def test_of_refunds_in_one_flush_each_counts_what_those_before_it_took(process: Process, paid: Payment) -> None:
    another = await pays(process)
    amounts = [(paid, 600), (paid, 500), (another, 1000), (paid, 400), (another, 1), (paid, 1)]
    results = await process.refunding.flush([asks(payment, amount) for payment, amount in amounts])
    assert refused(results) == ["taken", 400, "taken", "taken", 0, 0]
    assert await process.rows("SELECT refunded FROM outflows") == [(1000,), (1000,)]
    assert (await process.count("refunds"), await process.count("orders")) == (3, 2 + 3)


@pytest.mark.parametrize("race", range(RACES))
async def test_of_refunds_at_once_in_two_processes_no_more_is_taken_than_came_in(
    process: Process, other: Process, paid: Payment, race: int
) -> None:
    results = await asyncio.gather(
        *((process, other)[n % 2].books.open_refund(asks(paid, 300)) for n in range(12)), return_exceptions=True
    )
    assert sorted(map(str, refused(results))) == ["100"] * 9 + ["taken"] * 3
    assert await outflow(process) == (1000, 900, 0)


async def test_a_refund_that_waited_for_its_user_sees_what_was_taken_meanwhile(
    process: Process, other: Process, paid: Payment
) -> None:
    first = await opens(process, paid, 600)
    async with process.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM users FOR UPDATE")
        waiting = asyncio.create_task(other.refunding.flush([asks(paid, 600)]))
        await process.somebody_waits()
        await connection.execute("UPDATE outflows SET refunded = 300")
    assert refused(await waiting) == ["taken"]
    assert await outflow(process) == (1000, 900, 0)
    assert (await read(process, first)).amount == 600


async def test_a_refund_waits_for_whoever_holds_its_payment(process: Process, other: Process, paid: Payment) -> None:
    async with process.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM payments FOR UPDATE")
        waiting = asyncio.create_task(other.refunding.flush([asks(paid, 600)]))
        await process.somebody_waits()
        # As a payout does that settles a part of the payment, whoever's user it is.
        await connection.execute(
            "INSERT INTO outflows (merchant_id, payment_id, amount, refunded, settled, excess) "
            "VALUES ($1, $2, 1000, 0, 500, 0)",
            MERCHANT_ID,
            paid.payment_id,
        )
    assert refused(await waiting) == [500]
    assert await outflow(process) == (1000, 0, 500)


async def test_refunds_of_opposite_payments_and_users_never_deadlock(process: Process, other: Process) -> None:
    payments = [await pays(process, user_id=f"u{n}") for n in range(5)]
    for _ in range(10):
        there = [asks(payment, 10) for payment in payments]
        back = [asks(payment, 10) for payment in reversed(payments)]
        fresh = [order(f"o-{uuid4().hex}", user_id=f"u{n}") for n in reversed(range(5))]
        await asyncio.gather(process.refunding.flush(there), other.refunding.flush(back), process.opened(*fresh))
    assert await process.rows("SELECT refunded FROM outflows") == [(200,)] * 5


async def test_the_database_lets_no_more_out_than_came_in_even_if_the_code_did(
    process: Process, paid: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opens(process, paid, 600)

    async def blind(*asked: Any) -> list[Payment]:
        return [replace(payment, refunded=0) for payment in await payments_by_id(*asked)]

    monkeypatch.setattr(refunding, "payments_by_id", blind)
    with pytest.raises(CheckViolationError) as refusal:
        await process.refund(paid, 500, "too much")
    assert refusal.value.constraint_name == "outflows_rest_check"
    assert await outflow(process) == (1000, 600, 0)
    monkeypatch.undo()
    assert (await process.refund(paid, 400, "too much")).refund.amount == 400


# --- payments that give nothing back ---


async def test_only_a_payment_that_succeeded_gives_something_back(process: Process) -> None:
    open_, failed = await process.open_one(), await process.open_one(user_id="u2")
    await process.heard(failed, Declined(FailureCode.CARD_FROZEN))
    unrouted = await process.open_one(bank="ABC")
    results = await process.refunding.flush([asks(payment, 1) for payment in (open_, failed, unrouted)])
    assert refused(results) == ["payment_not_succeeded"] * 3
    assert await process.count("refunds") == await process.count("outflows") == 0


async def test_an_open_anomaly_of_the_payment_blocks_until_it_is_resolved(process: Process, paid: Payment) -> None:
    sound = await pays(process)
    await process.heard(paid, Succeeded(1000, "theirs-2"))
    results = await process.refunding.flush([asks(paid, 1, "blocked"), asks(sound, 1)])
    assert refused(results) == ["payment_has_anomaly", "taken"]
    await process.rows("UPDATE anomalies SET resolved_at = found_at, resolved_by = 'o', note = 'n' RETURNING 1")
    assert refused([await _refund(process, paid, 1, "blocked")]) == ["taken"]


async def test_an_open_anomaly_of_a_refund_blocks_further_refunds_of_its_payment(
    process: Process, paid: Payment
) -> None:
    sound = await pays(process)
    refund = await opens(process, paid)
    await hears(process, refund, DECLINED)
    await hears(process, refund, Succeeded(1000), at=later(hours=1))
    # It failed here, so its sum was free; but the money has gone back, and would go back again.
    assert await outflow(process) == (1000, 1000, 0)
    results = await process.refunding.flush([asks(paid, 1000, "blocked"), asks(sound, 1)])
    assert refused(results) == ["payment_has_anomaly", "taken"]
    await process.rows("UPDATE anomalies SET resolved_at = found_at, resolved_by = 'o', note = 'n' RETURNING 1")
    assert refused([await _refund(process, paid, 1, "blocked")]) == [0]


async def test_what_was_done_after_all_when_another_took_its_place_is_counted_beyond_the_payment(
    process: Process, paid: Payment
) -> None:
    first = await opens(process, paid)
    await hears(process, first, DECLINED)
    second = await opens(process, paid, 700)
    await hears(process, first, Succeeded(1000), at=later(hours=1))
    assert await outflow(process) == (1000, 1000, 0)
    assert await process.one("SELECT excess FROM outflows") == 700
    assert (await process.read(paid)).refunded == 1700
    await hears(process, second, DECLINED)
    assert await process.one("SELECT refunded, excess FROM outflows") == (1000, 0)


async def test_what_failed_was_done_after_all_and_came_back_is_free_again(process: Process, paid: Payment) -> None:
    refund = await opens(process, paid)
    await hears(process, refund, DECLINED)
    await hears(process, refund, Succeeded(1000, "theirs-1"), at=later(hours=1))
    await hears(process, refund, BACK, Source.OPERATOR, at=later(hours=2))
    assert await outflow(process) == (1000, 0, 0)


async def test_what_was_done_twice_after_it_failed_shows(process: Process, paid: Payment) -> None:
    refund = await opens(process, paid)
    await hears(process, refund, DECLINED)
    for number in ("theirs-1", "theirs-2"):
        await hears(process, refund, Succeeded(1000, number), at=later(hours=1))
    kinds = await process.rows("SELECT kind FROM anomalies ORDER BY kind")
    assert kinds == [("late_success",), ("transaction_mismatch",)]


async def test_a_refused_number_is_not_burnt(process: Process, paid: Payment) -> None:
    too_much, fits = asks(paid, 1001, "same"), asks(paid, 1000, "same")
    assert refused(await process.refunding.flush([too_much, asks(paid, 2000, "same"), fits])) == [1000, 1000, "taken"]
    assert (await process.refund(paid, 1000, "same")).replayed
    assert await process.count("orders") == 2


async def test_a_number_of_a_refused_refund_may_be_a_payments(process: Process, paid: Payment) -> None:
    assert refused([await _refund(process, paid, 1001, "same")]) == [1000]
    assert not (await process.books.open(opening(order("same")))).replayed
    assert refused([await _refund(process, paid, 1, "same")]) == ["OrderConflictError"]


# --- order numbers ---


@pytest.mark.parametrize("together", [True, False])
async def test_a_copy_is_the_same_refund_and_other_content_a_conflict(
    process: Process, paid: Payment, together: bool
) -> None:
    asked = [asks(paid, 300, "same"), asks(paid, 300, "same"), asks(paid, 301, "same")]
    if together:
        results = list(await process.refunding.flush(asked))
    else:
        results = [(await process.refunding.flush([one]))[0] for one in asked]
    first, copy, conflict = results
    assert isinstance(first, RefundResult)
    assert isinstance(copy, RefundResult)
    assert isinstance(conflict, OrderConflictError)
    assert (first.replayed, copy.replayed, copy.refund) == (False, True, first.refund)
    assert await outflow(process) == (1000, 300, 0)


async def test_a_copy_is_answered_with_the_refund_as_it_is_now(process: Process, paid: Payment) -> None:
    first = (await process.refund(paid, 1000, "same")).refund
    done = await hears(process, first, Succeeded(1000))
    again = await process.refund(paid, 1000, "same")
    assert (again.replayed, again.refund) == (True, done)


@pytest.mark.parametrize("race", range(RACES))
async def test_of_many_copies_in_two_processes_one_is_sent(
    process: Process, other: Process, paid: Payment, race: int
) -> None:
    copies = [(process, other)[n % 2].books.open_refund(asks(paid, 300, "same")) for n in range(40)]
    results = await asyncio.gather(*copies)
    assert sum(not result.replayed for result in results) == 1
    assert len({result.refund.refund_id for result in results}) == 1
    assert await outflow(process) == (1000, 300, 0)
    assert await process.one("SELECT count(*) FROM intents WHERE verb = 'refund'") == 1


async def test_a_number_is_one_order_whether_it_is_a_payment_or_a_refund(process: Process, paid: Payment) -> None:
    assert refused([await _refund(process, paid, 1, paid.merchant_order_no)]) == ["OrderConflictError"]
    await process.refund(paid, 1, "refund")
    with pytest.raises(OrderConflictError):
        await process.books.open(opening(order("refund")))
    assert (await process.count("payments"), await process.count("refunds")) == (1, 1)


async def test_when_a_payment_and_a_refund_come_under_one_number_at_once_one_is_taken(
    process: Process, other: Process, paid: Payment
) -> None:
    for race in range(RACES):
        results = await asyncio.gather(
            process.books.open_refund(asks(paid, 1, f"n{race}")),
            other.books.open(opening(order(f"n{race}", user_id="u2"))),
            return_exceptions=True,
        )
        assert sum(isinstance(result, OrderConflictError) for result in results) == 1
    assert await process.count("payments") + await process.count("refunds") == 1 + RACES
    assert await process.count("orders") == 1 + RACES


async def test_another_users_refund_under_the_same_number_at_once_is_a_conflict(
    process: Process, other: Process, paid: Payment
) -> None:
    theirs = await pays(process, user_id="u2")
    for race in range(RACES):
        results = await asyncio.gather(
            process.books.open_refund(asks(paid, 1, f"n{race}")),
            other.books.open_refund(asks(theirs, 1, f"n{race}")),
            return_exceptions=True,
        )
        assert sorted(map(str, refused(results))) == ["OrderConflictError", "taken"]
    assert await process.one("SELECT sum(refunded)::bigint FROM outflows") == RACES


# --- what goes wrong ---


@pytest.mark.parametrize("together", [1, 3])
async def test_after_a_lost_answer_to_commit_a_refund_is_sent_once_by_who_opened_it(
    process: Process, paid: Payment, together: int
) -> None:
    unlucky = Process(process.engine, process.keys, PAYS, lost_commits=1)
    asked = [asks(paid, 300, f"r{n}") for n in range(together)]
    results = await asyncio.gather(*(unlucky.books.open_refund(one) for one in asked))
    assert [(r.refund.refund_id, r.replayed) for r in results] == [(one.refund_id, False) for one in asked]
    assert {r.payment and r.payment.payment_id for r in results} == {paid.payment_id}
    assert await outflow(process) == (1000, 300 * together, 0)
    for one in asked:
        assert (await process.books.open_refund(replace(one, refund_id=uuid4(), intent_id=uuid4()))).replayed


async def test_of_copies_in_a_lost_flush_one_is_sent(process: Process, paid: Payment) -> None:
    unlucky = Process(process.engine, process.keys, PAYS, lost_commits=1)
    results = await asyncio.gather(*(unlucky.books.open_refund(asks(paid, 300, "same")) for _ in range(5)))
    assert [result.replayed for result in results] == [False] + [True] * 4
    assert await outflow(process) == (1000, 300, 0)


@pytest.mark.parametrize("said", [Processing(), NotFound("34"), Unknown("timeout"), Succeeded(300), DECLINED], ids=repr)
async def test_after_a_lost_answer_nobody_sends_what_somebody_has_asked_about(
    process: Process, paid: Payment, said: Outcome
) -> None:
    asked = asks(paid, 300)
    (first,) = await process.refunding.flush([asked])
    await hears(process, cast("RefundResult", first).refund, said, at=later(seconds=40))
    (again,) = await process.refunding.flush([asked])
    assert cast("RefundResult", again).replayed


async def test_after_a_lost_answer_words_count_once_and_free_once(process: Process, paid: Payment) -> None:
    first, second, third = [await opens(process, paid, 300) for _ in range(3)]
    unlucky = Process(process.engine, process.keys, PAYS, lost_commits=1)
    heard = [says(first, DECLINED), says(second, BACK), says(third, NotFound("34")), says(first, Succeeded(300))]
    await asyncio.gather(*(unlucky.books.record(word) for word in heard))
    # The first failed and was done after all, the second came back.
    assert await outflow(process) == (1000, 600, 0)
    assert (await read(process, third)).intent.not_found == 1
    assert await process.one("SELECT count(*) FROM observations WHERE verb = 'refund'") == 4
    assert len(await refund_events(process)) == 2 + 2
    assert await process.count("anomalies") == 1


@pytest.mark.parametrize("race", range(RACES))
async def test_however_many_say_it_at_once_over_two_processes_it_is_told_and_freed_once(
    process: Process, other: Process, paid: Payment, race: int
) -> None:
    refund, _ = await opens(process, paid, 600), await opens(process, paid, 400)
    await asyncio.gather(*(hears((process, other)[n % 2], refund, BACK, list(Source)[1 + n % 3]) for n in range(12)))
    assert await outflow(process) == (1000, 400, 0)
    assert await refund_events(process) == [("refund.succeeded", 1), ("refund.returned", 2)]


async def test_a_poisoned_refund_fails_alone(process: Process, paid: Payment) -> None:
    asked = [asks(paid, 100) for _ in range(6)]
    asked[2] = replace(asked[2], order=replace(asked[2].order, reason="\0"))
    results = await asyncio.gather(*(process.books.open_refund(one) for one in asked), return_exceptions=True)
    assert [n for n, result in enumerate(results) if not isinstance(result, RefundResult)] == [2]
    assert await outflow(process) == (1000, 500, 0)


async def test_a_user_whom_somebody_holds_does_not_hold_up_the_others(process: Process, paid: Payment) -> None:
    theirs = await pays(process, user_id="u2")
    async with process.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM users WHERE user_id = 'u1' FOR UPDATE")
        results = await process.refunding.flush([asks(paid, 1), asks(theirs, 1)])
    assert isinstance(results[0], OverloadedError)
    assert refused(results[1:]) == ["taken"]


async def test_another_merchants_word_does_not_reach_a_refund(process: Process, paid: Payment) -> None:
    refund = await opens(process, paid)
    with pytest.raises(Exception, match="refund"):
        await hears(process, replace(refund, merchant_id=UUID(int=0xB)), Succeeded(1000))
    assert await read(process, refund) == refund


# --- what is due ---


async def test_a_refund_is_claimed_when_it_is_due_and_its_lease_is_freed_by_what_is_heard(
    process: Process, other: Process, paid: Payment
) -> None:
    refund = await opens(process, paid)
    at = cast("Any", refund.due_at)
    until = at + timedelta(seconds=30)
    assert await process.due.claim(MERCHANT_ID, at - timedelta(microseconds=1), 10, until) == []
    assert await process.due.merchants_with_work([MERCHANT_ID], at) == [MERCHANT_ID]
    assert await process.due.claim(MERCHANT_ID, at, 10, until, lambda channel: 0) == []
    claims = await asyncio.gather(*(each.due.claim(MERCHANT_ID, at, 10, until) for each in (process, other)))
    assert sorted(claims, key=len) == [[], [refund]]
    await hears(process, refund, Processing(), Source.CALLBACK, at)
    assert await process.one("SELECT lease_until FROM refunds") == until
    await hears(process, refund, Processing(), Source.POLL, at)
    assert await process.one("SELECT lease_until, due_at FROM refunds") == (None, REFUND_TERMS.after(1, at))
