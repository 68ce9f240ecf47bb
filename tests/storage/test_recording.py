"""Recording observations on a real PostgreSQL: what each writes, however often and by however many it is told.

Not tested here: which observation does what to a state (tests/unit/domain), delivering the events (tests/workers).
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
from asyncpg import PostgresError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Anomaly, AnomalyKind, Heard, Source, hear
from gateway.domain.ids import PAYMENT, caused_id, show
from gateway.domain.outcomes import (
    Authenticated,
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment, Status
from gateway.objects.payments import payment_object
from gateway.ports import Recorded
from gateway.storage.keys import Keys
from gateway.storage.writing.going_on import UnknownIntentError
from tests.keys import new_keys
from tests.storage.gateway_process import Process, card_observation, observation, payment_in
from tests.unit.domain.samples import (
    MERCHANT_ID,
    NOW,
    TERMS,
    card_elements,
    catalogue,
    channel,
    endpoint,
    later,
    order,
    payment,
    rule,
)

UP, TL = channel("up"), channel("tl", AuthenticationMode.SILENT, authentication_fee=100)
TYPES = frozenset({"payment.failed", "payment.anomaly"})
ENDPOINTS = (endpoint(1, "shop"), endpoint(2, None, TYPES), endpoint(3, "other app"))
PAYS = catalogue((UP,), (rule("up", 10),), ENDPOINTS)
AUTHENTICATES = catalogue((UP, TL), (rule("tl", 10),), ENDPOINTS)
SILENT = catalogue((UP,), (rule("up", 10),))
INSUFFICIENT = Declined(FailureCode.INSUFFICIENT_BALANCE, "51", "余额不足")
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


async def last_attempt(process: Process, channel_code: str = "up") -> Any:
    return await process.one("SELECT status, blame, finished_at FROM last_attempts WHERE channel = $1", channel_code)


async def event_types(process: Process) -> list[str]:
    return [row[0] for row in await process.rows("SELECT type FROM events ORDER BY sequence, created_at")]


# --- what one word writes ---


async def test_a_success_moves_the_reservation_and_is_told(process: Process) -> None:
    opened = await process.open_one()
    recorded = await process.heard(opened, Succeeded(1000, "theirs-1", later(seconds=3)), at=later(seconds=4))
    assert not recorded.submit
    read = await process.read(payment_in(recorded))
    assert read == recorded.payment == recorded.object
    assert (read.status, read.fee) == (Status.SUCCEEDED, 10)
    assert await process.usage() == (0, 1000, 0)
    assert await last_attempt(process) == ("succeeded", None, later(seconds=4))
    assert await event_types(process) == ["payment.succeeded"]


async def test_a_refusal_for_balance_is_counted_and_releases(process: Process) -> None:
    recorded = await process.heard(await process.open_one(), INSUFFICIENT, at=later(seconds=4))
    why = payment_in(recorded).failure
    assert why is not None
    assert (why.channel_code, why.channel_message) == ("51", "余额不足")
    assert await process.usage() == (0, 0, 1)
    assert await last_attempt(process) == ("failed", "payer", later(seconds=4))
    assert await event_types(process) == ["payment.failed"]


async def test_another_failure_releases_and_counts_nothing(process: Process) -> None:
    await process.heard(await process.open_one(), NotSent("refused"), Source.ANSWER)
    assert await process.usage() == (0, 0, 0)
    assert (await last_attempt(process))[:2] == ("failed", "channel")


@pytest.mark.parametrize("outcome", [Processing("05"), Unknown("timeout"), NotFound("34")], ids=repr)
async def test_a_word_that_settles_nothing_keeps_the_reservation_and_is_observed(
    process: Process, outcome: Outcome
) -> None:
    opened = await process.open_one()
    recorded = await process.heard(opened, outcome)
    read = await process.read(payment_in(recorded))
    assert read == recorded.payment
    assert read != opened
    assert await process.usage() == (1000, 0, 0)
    assert await process.count("events") == await process.count("last_attempts") == 0
    assert await process.count("observations") == 1


async def test_every_word_is_observed_with_its_source_and_its_own_words(process: Process) -> None:
    opened = await process.open_one()
    await process.heard(opened, Unknown("timeout"), Source.ANSWER, later(seconds=1))
    await process.heard(opened, NotFound("34", "无此交易"), Source.POLL, later(seconds=2))
    await process.heard(opened, Succeeded(1000, channel_code="00"), Source.CALLBACK, later(seconds=3))
    assert await process.rows("SELECT source, says, channel_code, channel_message FROM observations ORDER BY 1") == [
        ("answer", "unknown", None, "timeout"),
        ("callback", "succeeded", "00", None),
        ("poll", "not_found", "34", "无此交易"),
    ]


async def test_the_last_attempt_is_the_one_that_finished_last_whatever_is_recorded_last(process: Process) -> None:
    first, second, third = [await process.open_one() for _ in range(3)]
    await process.heard(second, Succeeded(1000), at=later(seconds=20))
    await process.heard(first, INSUFFICIENT, at=later(seconds=10))
    assert await last_attempt(process) == ("succeeded", None, later(seconds=20))
    await process.heard(third, INSUFFICIENT, at=later(seconds=30))
    assert await last_attempt(process) == ("failed", "payer", later(seconds=30))


@pytest.mark.parametrize("larger_first", [True, False])
@pytest.mark.parametrize("together", [True, False])
async def test_of_two_that_finished_at_the_same_time_the_last_is_the_one_with_the_larger_id(
    process: Process, larger_first: bool, together: bool
) -> None:
    opened = [await process.open_one() for _ in range(2)]
    pair = sorted(opened, key=lambda each: each.payment_id, reverse=larger_first)
    observations = [observation(p, Succeeded(1000)) for p in pair]
    for batch in [observations] if together else [observations[:1], observations[1:]]:
        await process.recording.flush(list(batch))
    assert await process.one("SELECT payment_id FROM last_attempts") == max(each.payment_id for each in pair)


async def test_usage_is_of_the_day_of_the_payment_however_late_the_word(process: Process) -> None:
    opened = await process.open_one()
    await process.heard(opened, Succeeded(1000), at=later(days=3))
    day = await process.one("SELECT business_day FROM channel_usage")
    assert day == opened.business_day


async def test_many_facts_of_many_payments_share_one_flush(process: Process) -> None:
    opened = await process.opened(*(order(f"o{n}", user_id=f"u{n % 3}") for n in range(9)))
    outcomes: list[Outcome] = [Succeeded(1000), INSUFFICIENT, Processing()]
    results = await process.recording.flush([observation(p, outcomes[n // 3]) for n, p in enumerate(opened)])
    assert [payment_in(result).status for result in results] == (
        [Status.SUCCEEDED] * 3 + [Status.FAILED] * 3 + [Status.PROCESSING] * 3
    )
    for user in ("u0", "u1", "u2"):
        assert await process.usage(user) == (1000, 1000, 1)


# --- the router reads what was recorded ---


async def test_the_next_order_is_routed_by_what_was_recorded(process: Process) -> None:
    process.catalogue = catalogue((UP,), (rule("up", daily_limit=2000, daily_insufficient_limit=1),))
    await process.heard(await process.open_one(), Succeeded(1000))
    await process.heard(await process.open_one(), Declined(FailureCode.CARD_FROZEN))
    assert (await process.open_one(amount=1001)).status is Status.FAILED  # above the daily limit
    await process.heard(await process.open_one(), INSUFFICIENT)
    refused = await process.open_one()
    assert refused.failure is not None
    assert refused.failure.code is FailureCode.DAILY_INSUFFICIENT_BALANCE_EXCEEDED


# --- repeated, together, contradicting ---


async def test_a_repeated_word_changes_nothing_more(process: Process) -> None:
    opened = await process.open_one()
    first = await process.heard(opened, Succeeded(1000))
    for source in Source:
        assert (await process.heard(opened, Succeeded(1000), source, later(days=1))).payment == first.payment
    assert (await process.usage(), await process.count("events")) == ((0, 1000, 0), 1)
    heard = await process.rows("SELECT source, coalesce(times, 1) FROM observations ORDER BY 1")
    assert heard == [("answer", 1), ("callback", 1), ("operator", 1), ("poll", 2), ("statement", 1)]


@pytest.mark.parametrize("race", range(RACES))
async def test_one_event_however_many_say_it_at_once_over_two_processes(
    process: Process, other: Process, race: int
) -> None:
    opened = await process.open_one()
    told = [(process, other)[n % 2].heard(opened, Succeeded(1000), list(Source)[n % 3]) for n in range(20)]
    payments = {payment_in(recorded).sequence for recorded in await asyncio.gather(*told)}
    assert payments == {1}
    assert (await process.usage(), await event_types(process)) == ((0, 1000, 0), ["payment.succeeded"])
    assert await process.count("deliveries") == 1


@pytest.mark.parametrize("race", range(RACES))
async def test_of_contradicting_words_at_once_one_wins_and_the_other_is_an_anomaly(
    process: Process, other: Process, race: int
) -> None:
    opened = await process.open_one()
    await asyncio.gather(
        process.heard(opened, Succeeded(1000), Source.CALLBACK), other.heard(opened, INSUFFICIENT, Source.POLL)
    )
    status = await process.one("SELECT status FROM payments")
    kind = await process.one("SELECT kind FROM anomalies")
    assert (status, kind) in {("succeeded", "late_failure"), ("failed", "late_success")}
    assert await process.usage() == ((0, 1000, 0) if status == "succeeded" else (0, 1000, 1))
    assert await event_types(process) == [f"payment.{status}", "payment.anomaly"]


async def test_a_fact_that_waited_for_its_user_is_applied_to_what_was_recorded_meanwhile(
    process: Process, other: Process
) -> None:
    opened = await process.open_one()
    async with process.engine.begin() as connection:
        await connection.exec_driver_sql("SELECT 1 FROM users WHERE user_id = 'u1' FOR UPDATE")
        waiting = asyncio.create_task(other.heard(opened, Succeeded(1000)))
        await process.somebody_waits()
        await connection.exec_driver_sql(
            "UPDATE payments SET status = 'failed', failure_code = 'card_frozen', failure_blame = 'payer', "
            "due_at = NULL, finished_at = created_at"
        )
        await connection.exec_driver_sql("UPDATE intents SET state = 'declined', ended_at = recorded_at")
    assert payment_in(await waiting).status is Status.FAILED
    assert await process.one("SELECT kind FROM anomalies") == "late_success"


async def test_a_late_success_counts_once_is_told_once_and_changes_no_state(process: Process) -> None:
    opened = await process.open_one()
    failed = await process.heard(opened, INSUFFICIENT)
    with capture_logs() as told:
        for _ in range(3):
            late = await process.heard(opened, Succeeded(1000), at=later(days=1))
    (warned,) = told
    assert (warned["log_level"], warned["event"]) == ("warning", "an anomaly waits for a person")
    shown = show(PAYMENT, payment_in(failed).payment_id)
    assert (warned["kind"], warned["object_id"]) == ("late_success", shown)
    assert payment_in(late).status is Status.FAILED
    assert payment_in(late).finished_at == payment_in(failed).finished_at
    assert await process.usage() == (0, 1000, 1)
    assert await last_attempt(process) == ("failed", "payer", payment_in(failed).finished_at)
    assert await event_types(process) == ["payment.failed", "payment.anomaly"]
    row = await process.one("SELECT kind, source, resolved_at FROM anomalies")
    assert row == ("late_success", "poll", None)
    body = orjson.loads(await process.one("SELECT body FROM events WHERE type = 'payment.anomaly'"))
    assert body["anomaly"]["kind"] == "late_success"
    assert (body["sequence"], body["data"]["status"]) == (2, "failed")


async def test_another_amount_is_an_anomaly_once_and_the_payment_goes_on(process: Process) -> None:
    opened = await process.open_one()
    for source in (Source.CALLBACK, Source.POLL, Source.CALLBACK):
        wrong = await process.heard(opened, Succeeded(999), source)
    assert payment_in(wrong).status is Status.PROCESSING
    assert (await process.usage(), await process.count("anomalies")) == ((1000, 0, 0), 1)
    done = await process.heard(opened, Succeeded(1000))
    assert (payment_in(done).status, payment_in(done).sequence) == (Status.SUCCEEDED, 2)
    assert await event_types(process) == ["payment.anomaly", "payment.succeeded"]


async def test_anomalies_of_each_kind_are_told_once(process: Process) -> None:
    opened = await process.open_one()
    words: list[Outcome] = [Succeeded(999), INSUFFICIENT, Succeeded(1000), Succeeded(999), Succeeded(1000)]
    await process.recording.flush([observation(opened, word) for word in words])
    await process.recording.flush([observation(opened, word) for word in words])
    kinds = [row[0] for row in await process.rows("SELECT kind FROM anomalies ORDER BY kind")]
    assert kinds == ["amount_mismatch", "late_success"]
    assert await event_types(process) == ["payment.anomaly", "payment.failed", "payment.anomaly"]


# --- events and deliveries ---


async def test_an_events_body_is_the_payment_as_it_was_answered(process: Process) -> None:
    recorded = await process.heard(await process.open_one(metadata={"loan": "一"}), Succeeded(1000, "theirs-1"))
    event_id, body = await process.one("SELECT event_id, body FROM events")
    told = orjson.loads(body)
    assert told["data"] == orjson.loads(orjson.dumps(payment_object(payment_in(recorded))))
    assert told["data"]["id"] == show(PAYMENT, payment_in(recorded).payment_id)
    assert {d.body for d in process.handed_over} == {bytes(body)}
    assert {d.event_id for d in process.handed_over} == {event_id}


async def test_events_and_anomalies_have_ids_that_are_made_from_their_observation(process: Process) -> None:
    opened = await process.open_one()
    paid, again = observation(opened, Succeeded(1000, "theirs-1")), observation(opened, Succeeded(1000, "theirs-2"))
    await process.recording.flush([paid])
    await process.recording.flush([again])
    succeeded = caused_id(paid.observation_id, opened.payment_id, "succeeded")
    contradicts = caused_id(again.observation_id, opened.payment_id, "transaction_mismatch")
    events = await process.rows("SELECT event_id, object, object_id FROM events ORDER BY sequence")
    assert events == [(event_id, "payment", opened.payment_id) for event_id in (succeeded, contradicts)]
    assert await process.one("SELECT anomaly_id FROM anomalies") == contradicts


async def test_one_observation_may_cause_two_events(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*asked: Any) -> Heard:
        return replace(hear(*asked), anomaly=Anomaly(AnomalyKind.LATE_SUCCESS, "planted"))

    monkeypatch.setattr("gateway.storage.writing.hearing.hear", both)
    opened = await process.open_one()
    (recorded,) = await process.recording.flush([observation(opened, INSUFFICIENT)])
    assert payment_in(recorded).sequence == 2
    assert await event_types(process) == ["payment.failed", "payment.anomaly"]
    assert await process.one("SELECT count(DISTINCT event_id) FROM events") == 2


async def test_a_delivery_is_written_for_each_endpoint_that_wants_the_event(process: Process) -> None:
    await process.heard(await process.open_one(), Succeeded(1000))
    await process.heard(await process.open_one(), INSUFFICIENT)
    rows = await process.rows(
        "SELECT e.type, e.deliveries, array_agg(d.endpoint_id ORDER BY d.endpoint_id) FROM events e "
        "JOIN deliveries d USING (merchant_id, event_id) GROUP BY 1, 2 ORDER BY 1"
    )
    assert [(kind, count, [e.int for e in endpoints]) for kind, count, endpoints in rows] == [
        ("payment.failed", 2, [1, 2]),
        ("payment.succeeded", 1, [1]),
    ]
    assert len(process.handed_over) == 3


async def test_an_event_that_nobody_wants_is_kept_without_deliveries(process: Process) -> None:
    process.catalogue = SILENT
    await process.heard(await process.open_one(), Succeeded(1000))
    assert await process.one("SELECT deliveries FROM events") == 0
    assert await process.count("deliveries") == 0
    assert process.handed_over == []


# --- authentication ---


@pytest.fixture
async def waiting(process: Process, other: Process) -> Payment:
    """A payment whose card is being authenticated on `tl`."""
    process.catalogue = other.catalogue = AUTHENTICATES
    return await process.open_one()


async def test_a_bound_card_is_kept_and_the_intent_to_pay_is_recorded(process: Process, waiting: Payment) -> None:
    recorded = await process.heard_of_card(waiting, Authenticated("token-1"), at=later(seconds=2))
    assert recorded.submit
    paying = payment_in(recorded)
    assert paying == await process.read(waiting)
    assert paying.attempt is not None
    assert (paying.attempt.number, paying.attempt.recorded_at) == (waiting.channel_order_no, later(seconds=2))
    assert await process.rows("SELECT verb, state, recorded_at FROM intents ORDER BY verb") == [
        ("authenticate", "done", NOW),
        ("pay", "open", later(seconds=2)),
    ]
    assert paying.authentication_fee == await process.one("SELECT authentication_fee FROM payments") == 100
    assert waiting.card is not None
    assert await process.due.agreement_no(MERCHANT_ID, waiting.card.card_id, "tl-1") == "token-1"
    assert await process.due.agreement_no(MERCHANT_ID, waiting.card.card_id, "up-1") is None
    assert b"token-1" not in await process.one("SELECT agreement_no FROM agreements")
    assert await process.one("SELECT status, finished_at FROM authentications") == ("succeeded", later(seconds=2))
    assert await process.usage(channel="tl") == (1000, 0, 0)


@pytest.mark.parametrize("race", range(RACES))
async def test_when_two_processes_record_the_same_authentication_one_bearer_sends(
    process: Process, other: Process, waiting: Payment, race: int
) -> None:
    recorded = await asyncio.gather(
        *((process, other)[n % 2].heard_of_card(waiting, Authenticated("token-1")) for n in range(8))
    )
    assert sum(r.submit for r in recorded) == 1
    assert await process.count("agreements") == 1


@pytest.mark.parametrize(
    ("source", "outcome", "code", "kept"),
    [
        (Source.ANSWER, Declined(FailureCode.NAME_MISMATCH, "N1"), "authentication_rejected", "declined"),
        (Source.ANSWER, SmsNeeded("S1"), "authentication_rejected", "declined"),
        (Source.POLL, Unknown("timeout"), "authentication_unknown", "unknown"),
        (Source.POLL, NotFound("34"), "authentication_unknown", "unknown"),
        (Source.ANSWER, NotSent("refused"), "channel_unavailable", "not_sent"),
    ],
    ids=repr,
)
async def test_a_card_that_is_not_bound_fails_the_payment_and_releases(
    process: Process, waiting: Payment, source: Source, outcome: Any, code: str, kept: str
) -> None:
    recorded = await process.heard_of_card(waiting, outcome, source)
    assert not recorded.submit
    failed = payment_in(recorded)
    assert failed == await process.read(waiting)
    assert failed.failure is not None
    assert (failed.status, failed.failure.code, failed.attempt) == (Status.FAILED, code, None)
    # A try that was not sent costs nothing.
    assert failed.authentication_fee == (None if kept == "not_sent" else 100)
    assert await process.usage(channel="tl") == (0, 0, 0)
    assert await process.one("SELECT status, failure_code, contradicts FROM authentications") == ("failed", code, False)
    assert await process.rows("SELECT verb, state FROM intents") == [("authenticate", kept)]
    assert await process.count("agreements") == 0
    assert await event_types(process) == ["payment.failed"]


@pytest.mark.parametrize("outcome", [Unknown("timeout"), NotFound("34")], ids=repr)
async def test_a_lost_answer_of_an_authentication_is_asked_about_before_it_is_given_up(
    process: Process, waiting: Payment, outcome: Any
) -> None:
    recorded = await process.heard_of_card(waiting, outcome, Source.ANSWER)
    assert payment_in(recorded).status is Status.PROCESSING
    assert not recorded.submit
    assert await process.one("SELECT status FROM authentications") == "processing"
    assert await process.usage(channel="tl") == (1000, 0, 0)


async def test_a_refusal_of_a_card_that_another_account_verified_is_a_contradiction(process: Process) -> None:
    process.catalogue = catalogue((replace(UP, authentication=TL.authentication), TL), (rule("up"),))
    await process.heard_of_card(await process.open_one(), Authenticated("token-1"))
    process.catalogue = AUTHENTICATES
    recorded = await process.heard_of_card(await process.open_one(), Declined(FailureCode.NAME_MISMATCH))
    why = payment_in(recorded).failure
    assert why is not None
    assert why.blame == "channel"
    assert await process.one("SELECT contradicts FROM authentications WHERE channel = 'tl'") is True


async def test_an_accounts_own_verification_does_not_make_its_refusal_a_contradiction(
    process: Process, waiting: Payment
) -> None:
    paying = payment_in(await process.heard_of_card(waiting, Authenticated("token-1")))
    await process.heard(paying, Declined(FailureCode.AGREEMENT_VOID), at=later(seconds=9))
    second = await process.open_one()
    recorded = await process.heard_of_card(second, Declined(FailureCode.NAME_MISMATCH))
    why = payment_in(recorded).failure
    assert why is not None
    assert why.blame == "payer"


async def test_a_void_agreement_is_not_used_again_and_a_new_one_takes_its_place(
    process: Process, waiting: Payment
) -> None:
    paying = payment_in(await process.heard_of_card(waiting, Authenticated("token-1")))
    await process.heard(paying, Declined(FailureCode.AGREEMENT_VOID), at=later(seconds=9))
    assert waiting.card is not None
    assert await process.one("SELECT status, voided_at FROM agreements") == ("void", later(seconds=9))
    assert await process.due.agreement_no(MERCHANT_ID, waiting.card.card_id, "tl-1") is None
    again = await process.open_one()
    assert again.waits_for_authentication
    assert again.authentication_id != waiting.authentication_id
    await process.heard_of_card(again, Authenticated("token-2"))
    assert await process.one("SELECT status, voided_at FROM agreements") == ("active", None)
    assert await process.due.agreement_no(MERCHANT_ID, waiting.card.card_id, "tl-1") == "token-2"


async def test_a_success_before_the_card_was_bound_is_an_anomaly(process: Process, waiting: Payment) -> None:
    recorded = await process.heard(waiting, Succeeded(1000), Source.CALLBACK)
    assert payment_in(recorded).status is Status.PROCESSING
    assert await process.one("SELECT kind FROM anomalies") == "unexpected_success"


async def test_a_bound_card_is_kept_even_when_its_payment_has_failed_meanwhile(
    process: Process, waiting: Payment
) -> None:
    await process.heard_of_card(waiting, Unknown("timeout"), Source.POLL)
    late = await process.heard_of_card(waiting, Authenticated("token-1"))
    assert not late.submit
    assert payment_in(late).status is Status.FAILED
    assert waiting.card is not None
    assert await process.due.agreement_no(MERCHANT_ID, waiting.card.card_id, "tl-1") == "token-1"


# --- leases ---


async def claim(process: Process) -> list[Any]:
    return await process.due.claim(MERCHANT_ID, later(hours=1), 10, later(hours=2))


async def test_a_recorded_result_frees_the_lease_and_moves_what_is_due(process: Process) -> None:
    await process.open_one()
    (claimed,) = await claim(process)
    await process.heard(claimed, Unknown("timeout"), at=later(hours=1))
    due_at, lease = await process.one("SELECT due_at, lease_until FROM payments")
    assert (due_at, lease) == (later(hours=1) + timedelta(seconds=TERMS.poll_gaps_s[1]), None)
    assert await claim(process) == []


async def test_a_final_result_leaves_nothing_due_and_no_lease(process: Process) -> None:
    await process.open_one()
    (claimed,) = await claim(process)
    await process.heard(claimed, Succeeded(1000))
    assert await process.one("SELECT due_at, until_at, lease_until FROM payments") == (None, None, None)


@pytest.mark.parametrize("outcome", [Processing(), Unknown("unreadable"), Succeeded(999)], ids=repr)
async def test_a_callback_that_settles_nothing_leaves_the_lease_to_who_is_asking(
    process: Process, outcome: Outcome
) -> None:
    opened = await process.open_one()
    assert await claim(process) == [opened]
    await process.heard(opened, outcome, Source.CALLBACK)
    assert await process.one("SELECT lease_until FROM payments") == later(hours=2)
    assert await claim(process) == []


# --- what goes wrong ---


async def test_a_fact_of_a_payment_that_is_not_there_fails_alone(process: Process) -> None:
    stranger = payment(payment_id=UUID(int=77))
    opened = await process.open_one()
    alone, missing, recorded = await asyncio.gather(
        process.heard(stranger, Succeeded(1000)),
        process.heard(stranger, Succeeded(1000)),
        process.heard(opened, Succeeded(1000)),
        return_exceptions=True,
    )
    assert isinstance(alone, UnknownIntentError)
    assert isinstance(missing, UnknownIntentError)
    assert isinstance(recorded, Recorded)


async def test_a_success_of_a_refused_payment_is_an_anomaly_and_moves_nothing(process: Process) -> None:
    refused = await process.open_one(bank="ABC")
    told = payment_in(await process.heard(refused, Succeeded(1000), Source.OPERATOR))
    assert told == replace(refused, sequence=2) == await process.read(refused)
    assert await process.one("SELECT kind, object FROM anomalies") == ("unexpected_success", "payment")
    assert await event_types(process) == ["payment.failed", "payment.anomaly"]
    assert await process.count("channel_usage") == await process.count("last_attempts") == 0


async def test_another_merchants_fact_does_not_reach_the_payment(process: Process) -> None:
    opened = await process.open_one()
    with pytest.raises(UnknownIntentError):
        await process.heard(replace(opened, merchant_id=UUID(int=0xB)), Succeeded(1000))
    assert await process.one("SELECT status FROM payments") == "processing"


async def test_a_poisoned_fact_fails_alone(process: Process) -> None:
    opened = await process.opened(*(order(f"o{n}") for n in range(8)))
    said = [Declined(FailureCode.CARD_FROZEN, "1", "\0" if n == 3 else "x") for n in range(8)]
    results = await asyncio.gather(
        *(process.heard(p, outcome) for p, outcome in zip(opened, said, strict=True)), return_exceptions=True
    )
    assert [n for n, result in enumerate(results) if isinstance(result, PostgresError)] == [3]
    assert await process.usage() == (1000, 0, 0)
    assert await process.count("events") == 7


@pytest.mark.parametrize("together", [1, 3])
async def test_after_a_lost_answer_to_commit_a_fact_counts_once(process: Process, together: int) -> None:
    unlucky = Process(process.engine, process.keys, PAYS, lost_commits=1)
    opened = await process.opened(*(order(f"o{n}") for n in range(together)))
    results = await asyncio.gather(*(unlucky.heard(p, NotFound("34")) for p in opened))
    assert {attempt.not_found for result in results if (attempt := payment_in(result).attempt)} == {1}
    assert await process.count("observations") == together
    done = await asyncio.gather(*(unlucky.heard(p, Succeeded(1000)) for p in opened))
    assert {payment_in(result).status for result in done} == {Status.SUCCEEDED}
    assert await process.usage() == (0, 1000 * together, 0)


async def test_after_a_lost_answer_to_commit_events_and_anomalies_are_the_same(process: Process) -> None:
    opened = await process.open_one()
    heard = [observation(opened, word) for word in (INSUFFICIENT, Succeeded(1000, "theirs-1"))]
    unlucky = Process(process.engine, process.keys, PAYS, lost_commits=1)
    await asyncio.gather(*(unlucky.books.record(one) for one in heard))
    told = [
        caused_id(one.observation_id, opened.payment_id, what)
        for one, what in zip(heard, ("failed", "late_success"), strict=True)
    ]
    assert [row[0] for row in await process.rows("SELECT event_id FROM events ORDER BY sequence")] == told
    assert await process.one("SELECT anomaly_id FROM anomalies") == told[1]
    assert (await process.read(opened)).sequence == 2
    assert await process.count("observations") == 2


async def test_after_a_lost_answer_to_commit_the_bearer_of_an_intent_still_sends_it(
    process: Process, waiting: Payment
) -> None:
    unlucky = Process(process.engine, process.keys, AUTHENTICATES, lost_commits=1)
    recorded = await unlucky.heard_of_card(waiting, Authenticated("token-1"), at=later(seconds=2))
    assert recorded.submit
    again = await process.heard_of_card(waiting, Authenticated("token-1"), at=later(seconds=2))
    assert not again.submit


async def test_an_intent_that_somebody_has_asked_about_is_nobodys_to_send(process: Process, waiting: Payment) -> None:
    word = card_observation(waiting, Authenticated("token-1"), at=later(seconds=2))
    (first,) = await process.recording.flush([word])
    assert cast("Recorded", first).submit
    await process.heard(waiting, Unknown("timeout"), Source.POLL, later(seconds=60))
    (again,) = await process.recording.flush([word])
    assert not cast("Recorded", again).submit


async def test_opposite_orders_of_users_never_deadlock(process: Process, other: Process) -> None:
    users = [f"u{n}" for n in range(6)]
    opened = {user: (await process.opened(order(user, user_id=user)))[0] for user in users}
    for race in range(20):
        there = [observation(opened[user], Processing(), at=later(seconds=race)) for user in users]
        back = [observation(opened[user], Processing(), at=later(seconds=race)) for user in reversed(users)]
        fresh = [order(f"{race}-{user}", user_id=user, card=card_elements()) for user in reversed(users)]
        # A deadlock would be raised here: no queue stands between that would try again.
        await asyncio.gather(
            process.recording.flush(list(there)), other.recording.flush(list(back)), process.opened(*fresh)
        )
    assert await process.one("SELECT sum(coalesce(times, 1)) FROM observations") == 20 * 12


async def test_a_fact_about_a_user_whom_somebody_holds_comes_again_until_it_is_recorded(process: Process) -> None:
    opened = await process.open_one()
    async with process.database.transaction() as other:
        await other.execute("SELECT 1 FROM users FOR UPDATE")
        hearing = asyncio.create_task(process.heard(opened, Succeeded(1000, "theirs-1"), at=later(seconds=4)))
        await process.somebody_waits()
    assert payment_in(await hearing).status is Status.SUCCEEDED


async def test_a_payment_whose_user_never_acted_is_closed_released_and_told(process: Process) -> None:
    opened = await process.open_one()
    await process.rows("UPDATE payments SET status = 'requires_action' RETURNING payment_id")
    for minutes in (1, 4, 9):
        recorded = await process.heard(opened, NotFound("34"), at=later(minutes=minutes))
    assert payment_in(recorded).status is Status.CLOSED
    assert await process.usage() == (0, 0, 0)
    assert await process.count("last_attempts") == 0
    assert await event_types(process) == ["payment.closed"]
