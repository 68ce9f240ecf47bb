"""Late looks: what ended without the PSP's word is asked about a few times more, and what such a look may still find.

On a real PostgreSQL. Not tested here: when a look is due and which word ends them (tests/unit/domain), what reaches a
PSP (test_what_reaches_the_wire.py).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.intents import Intent, IntentState
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    Declined,
    NotFound,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment, Status
from gateway.domain.refunds import Refund
from gateway.flows.observations import key_of
from gateway.ports import Observation
from gateway.storage.keys import Keys
from gateway.storage.writing.erasing import CardInUseError, erase_card
from tests.keys import new_keys
from tests.storage.gateway_process import Process, payment_in
from tests.unit.domain.samples import AUTHENTICATION_TERMS, MERCHANT_ID, catalogue, channel, later, rule

PAYS = catalogue((channel("up"),), (rule("up", 10),))
OPENS = catalogue((channel("up", AuthenticationMode.SILENT, authentication_fee=100),), (rule("up", 10),))
NOT_FOUND, LOST = NotFound("34"), Unknown("timeout")
REFUSED = Declined(FailureCode.CHANNEL_REFUSED)
NOUNS = ["payment", "authentication", "refund"]


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


Given = Payment | Authentication | Refund


@dataclass
class GivenUp:
    """Something that ended without the PSP's word, at `ended_at`."""

    process: Process
    was: Given
    ended_at: datetime
    table: str

    async def hears(
        self, outcome: Outcome | AuthenticationOutcome, at: datetime, source: Source = Source.POLL
    ) -> Given:
        recorded = await self.process.books.record(Observation(key_of(self.was), source, outcome, at, uuid4()))
        assert not recorded.submit
        return cast("Given", recorded.object)

    async def plan(self) -> Any:
        """(due_at, lease_until)."""
        return await self.process.one(f"SELECT due_at, lease_until FROM {self.table} WHERE due_at IS NOT NULL")

    async def claimed(self, at: datetime, lease_s: float = 30.0, by: Process | None = None) -> list[Given]:
        claimed = await (by or self.process).due.claim(MERCHANT_ID, at, 10, at + timedelta(seconds=lease_s))
        return cast("list[Given]", claimed)

    def looks(self) -> list[datetime]:
        """When it is looked at: after an hour, after six, and at eight o'clock of the next day in Shanghai."""
        return [self.ended_at + timedelta(hours=1), self.ended_at + timedelta(hours=6), later(hours=20)]


def intent_in(about: Given) -> Intent:
    intent = about.attempt if isinstance(about, Payment) else about.intent
    assert intent is not None
    return intent


async def given_up(process: Process, noun: str) -> GivenUp:
    if noun == "payment":
        opened = await process.open_one()
        for seconds in (0, 150, 310):
            recorded = await process.heard(opened, NOT_FOUND, at=later(seconds=seconds))
        return GivenUp(process, payment_in(recorded), later(seconds=310), "payments")
    if noun == "authentication":
        process.catalogue = OPENS
        recorded = await process.heard_of_card(await process.open_one(), LOST, Source.POLL, later(seconds=30))
        assert isinstance(recorded.object, Authentication)
        return GivenUp(process, recorded.object, later(seconds=30), "authentications")
    paid = await process.open_one()
    await process.heard(paid, Succeeded(1000))
    refund = (await process.refund(paid, 1000)).refund
    for seconds in (0, 610):
        observation = Observation(key_of(refund), Source.POLL, NOT_FOUND, later(seconds=seconds), uuid4())
        recorded = await process.books.record(observation)
    assert isinstance(recorded.object, Refund)
    return GivenUp(process, recorded.object, later(seconds=610), "refunds")


@pytest.fixture(params=NOUNS)
async def lost(process: Process, request: pytest.FixtureRequest) -> GivenUp:
    return await given_up(process, request.param)


@pytest.fixture
async def lost_payment(process: Process) -> GivenUp:
    return await given_up(process, "payment")


@pytest.fixture
async def lost_refund(process: Process) -> GivenUp:
    return await given_up(process, "refund")


@pytest.fixture
async def lost_authentication(process: Process) -> GivenUp:
    return await given_up(process, "authentication")


async def events(process: Process) -> list[str]:
    return [row[0] for row in await process.rows("SELECT type FROM events ORDER BY created_at, sequence")]


# --- when ---


async def test_what_was_given_up_is_claimed_though_it_is_final_and_only_when_its_look_is_due(lost: GivenUp) -> None:
    assert lost.was.status is Status.FAILED
    first = lost.looks()[0]
    assert await lost.plan() == (first, None)
    early = first - timedelta(microseconds=1)
    assert await lost.process.due.merchants_with_work([MERCHANT_ID], early) == []
    assert await lost.claimed(early) == []
    assert await lost.process.due.merchants_with_work([MERCHANT_ID], first) == [MERCHANT_ID]
    assert await lost.claimed(first) == [lost.was]


async def test_one_at_a_time_looks_and_whoever_has_looked_frees_the_lease(lost: GivenUp, other: Process) -> None:
    first, second, _ = lost.looks()
    assert await lost.claimed(first, lease_s=30.0) == [lost.was]
    assert await lost.claimed(first + timedelta(seconds=29), by=other) == []
    # The one who had it died.
    assert await lost.claimed(first + timedelta(seconds=30), by=other) == [lost.was]
    await lost.hears(NOT_FOUND, first + timedelta(seconds=31))
    assert await lost.plan() == (second, None)


@pytest.mark.parametrize("said", [NOT_FOUND, LOST], ids=repr)
async def test_every_look_is_recorded_and_after_the_last_one_nothing_is_due(lost: GivenUp, said: Any) -> None:
    before = await lost.process.count("observations")
    told = await events(lost.process)
    for number, at in enumerate(lost.looks(), 1):
        assert await lost.plan() == (at, None)
        (claimed,) = await lost.claimed(at)
        looked = await lost.hears(said, at)
        assert intent_in(looked) == replace(intent_in(claimed), looks=number)
        assert looked.status is Status.FAILED
        row = await lost.process.one("SELECT looks, state FROM intents WHERE ended_at IS NOT NULL AND looks > 0")
        assert row == (number, intent_in(lost.was).state)
    assert await lost.process.count("observations") == before + 3
    assert await lost.process.one(f"SELECT count(*) FROM {lost.table} WHERE due_at IS NOT NULL") == 0
    assert await lost.claimed(later(days=30)) == []
    assert (await events(lost.process), await lost.process.count("anomalies")) == (told, 0)


async def test_a_look_that_finds_it_still_under_way_is_one_question_and_no_new_beginning(lost_payment: GivenUp) -> None:
    first, second, _ = lost_payment.looks()
    looked = await lost_payment.hears(Processing("05"), first)
    assert (looked.status, intent_in(looked).looks) == (Status.FAILED, 1)
    assert await lost_payment.plan() == (second, None)


async def test_a_callback_that_settles_nothing_is_no_look_and_leaves_the_lease(lost_payment: GivenUp) -> None:
    first = lost_payment.looks()[0]
    assert await lost_payment.claimed(first) == [lost_payment.was]
    for said in (Processing(), LOST):
        assert await lost_payment.hears(said, first, Source.CALLBACK) == lost_payment.was
    assert await lost_payment.plan() == (first, first + timedelta(seconds=30))


async def test_a_refusal_in_the_psps_words_ends_the_looks(lost: GivenUp) -> None:
    refused = await lost.hears(REFUSED, lost.looks()[0])
    assert refused == replace(lost.was, due_at=None)
    assert await lost.process.one(f"SELECT count(*) FROM {lost.table} WHERE due_at IS NOT NULL") == 0
    assert await lost.process.count("anomalies") == 0


async def test_what_the_psp_itself_refused_is_not_looked_at(process: Process) -> None:
    recorded = await process.heard(await process.open_one(), Declined(FailureCode.CARD_FROZEN))
    assert payment_in(recorded).due_at is None
    assert await process.due.claim(MERCHANT_ID, later(days=30), 10, later(days=31)) == []


async def test_what_was_closed_because_its_user_never_acted_is_looked_at_too(process: Process) -> None:
    opened = await process.open_one()
    await process.rows("UPDATE payments SET status = 'requires_action' RETURNING 1")
    for seconds in (0, 150, 310):
        closed = payment_in(await process.heard(opened, NOT_FOUND, at=later(seconds=seconds)))
    assert (closed.status, closed.due_at) == (Status.CLOSED, later(seconds=3910))
    assert await process.due.claim(MERCHANT_ID, later(seconds=3910), 10, later(days=1)) == [closed]
    late = payment_in(await process.heard(opened, Succeeded(1000), at=later(seconds=3911)))
    assert (late.status, late.fee, late.due_at) == (Status.CLOSED, 10, None)
    assert await events(process) == ["payment.closed", "payment.anomaly"]


# --- what a look finds ---


def counted(name: str, **labels: str) -> tuple[float, float]:
    """How many waits of a metric there were, and their seconds together."""
    values = [REGISTRY.get_sample_value(f"sluice_{name}_seconds_{of}", labels) for of in ("count", "sum")]
    return values[0] or 0.0, values[1] or 0.0


async def test_how_long_it_took_until_the_end_and_until_a_late_word_is_counted(process: Process) -> None:
    unknown, late = {"verb": "pay", "ended_by": "poll"}, {"verb": "pay", "says": "done"}
    before = counted("unknown", **unknown), counted("late_word", **late)
    lost = await given_up(process, "payment")
    words: list[Outcome] = [LOST, Succeeded(1000), Succeeded(1000)]
    for number, said in enumerate(words):
        await lost.hears(said, lost.looks()[0] + timedelta(seconds=number))
    (ends, took_s), (late_words, waited_s) = before
    assert counted("unknown", **unknown) == (ends + 1, took_s + 310)
    assert counted("late_word", **late) == (late_words + 1, waited_s + 3601)


async def test_a_late_success_of_a_payment_is_an_anomaly_and_sets_the_fee(
    process: Process, lost_payment: GivenUp
) -> None:
    first = lost_payment.looks()[0]
    await lost_payment.claimed(first)
    assert await process.usage() == (0, 0, 0)
    late = await lost_payment.hears(Succeeded(1000, "theirs-1"), first)
    assert isinstance(late, Payment)
    assert late == await process.read(late)
    assert (late.status, late.fee, late.due_at, late.sequence) == (Status.FAILED, 10, None, 2)
    assert intent_in(late).late_success
    assert intent_in(late).state is IntentState.NOT_RECEIVED
    assert await process.one("SELECT due_at, lease_until, fee FROM payments") == (None, None, 10)
    assert await process.one("SELECT kind, object FROM anomalies") == ("late_success", "payment")
    assert await events(process) == ["payment.failed", "payment.anomaly"]
    # The money counts for the day; how the attempt ended stays as it was.
    assert await process.usage() == (0, 1000, 0)
    assert await process.one("SELECT status, finished_at FROM last_attempts") == ("failed", lost_payment.ended_at)
    assert await lost_payment.hears(Succeeded(1000), later(days=2), Source.CALLBACK) == late
    assert await process.usage() == (0, 1000, 0)


async def test_a_late_success_of_another_amount_is_an_anomaly_and_one_look(
    process: Process, lost_payment: GivenUp
) -> None:
    first, second, _ = lost_payment.looks()
    late = await lost_payment.hears(Succeeded(999), first)
    assert isinstance(late, Payment)
    assert (late.fee, late.due_at, intent_in(late).looks) == (None, second, 1)
    assert await process.one("SELECT kind FROM anomalies") == "amount_mismatch"
    assert await process.usage() == (0, 0, 0)


@pytest.mark.parametrize("said", [Succeeded(1000, "theirs-2"), Returned(ReturnReason.BANK_REJECTED)], ids=repr)
async def test_a_late_success_of_a_refund_is_an_anomaly_and_ends_the_looks(
    process: Process, lost_refund: GivenUp, said: Outcome
) -> None:
    first = lost_refund.looks()[0]
    await lost_refund.claimed(first)
    late = await lost_refund.hears(said, first)
    assert (late.status, late.due_at) == (Status.FAILED, None)
    assert await process.one("SELECT due_at, lease_until FROM refunds") == (None, None)
    assert await process.one("SELECT kind, object FROM anomalies") == ("late_success", "refund")
    assert await events(process) == ["payment.succeeded", "refund.failed", "refund.anomaly"]


async def test_a_binding_found_late_keeps_its_agreement_and_ends_the_looks(
    process: Process, lost_authentication: GivenUp
) -> None:
    first = lost_authentication.looks()[0]
    await lost_authentication.claimed(first)
    late = await lost_authentication.hears(Authenticated("token-1"), first)
    assert late == replace(lost_authentication.was, due_at=None)
    assert await process.one("SELECT due_at, lease_until FROM authentications") == (None, None)
    assert await process.one("SELECT status FROM agreements") == "active"
    assert (await events(process), await process.count("anomalies")) == (["payment.failed"], 0)


async def test_a_card_is_not_erased_while_something_of_it_may_still_be_looked_at(lost: GivenUp) -> None:
    process = lost.process
    card_id = await process.one("SELECT card_id FROM cards")
    if isinstance(lost.was, Refund):
        # A refund is asked about without the card.
        await erase_card(process.database, MERCHANT_ID, card_id, later(hours=1))
        return
    with pytest.raises(CardInUseError):
        await erase_card(process.database, MERCHANT_ID, card_id, later(hours=1))
    for at in lost.looks():
        await lost.hears(NOT_FOUND, at)
    await erase_card(process.database, MERCHANT_ID, card_id, later(days=2))
    assert await process.one("SELECT elements FROM cards") is None


async def test_where_there_is_no_question_nothing_is_planned_and_what_was_planned_once_is_the_last(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = await given_up(process, "authentication")
    assert (await gone.plan())[0] == gone.looks()[0]
    silent = replace(AUTHENTICATION_TERMS, late_looks=0)
    monkeypatch.setattr(process.recording._hearing, "_terms_of", lambda *_: silent)
    await gone.hears(LOST, gone.looks()[0])
    assert await process.rows("SELECT 1 FROM authentications WHERE due_at IS NOT NULL") == []
    other = await given_up(process, "authentication")
    assert await process.rows("SELECT 1 FROM authentications WHERE due_at IS NOT NULL") == []
    # A late word that comes by itself keeps its agreement and its fee all the same.
    after = await other.hears(Authenticated("token-late"), later(hours=2), Source.CALLBACK)
    assert isinstance(after, Authentication)
    assert (after.status, after.fee, after.due_at) == (other.was.status, 100, None)
    assert await process.one("SELECT status FROM agreements") == "active"
    assert await process.rows("SELECT kind FROM anomalies") == []
