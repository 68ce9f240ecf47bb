"""Payouts in the books: held, settled, sent by one, and every word about them kept; never more out than came in.

On a real PostgreSQL; whatever a test does, the books are sound after it. Not tested here: which word does what to a
payout (tests/unit/domain), what the API refuses before the books (tests/api), what reaches a PSP (tests/e2e).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from asyncpg import CheckViolationError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Catalogue
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.ids import number_of
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    Succeeded,
    Suspicion,
    Unknown,
)
from gateway.domain.payees import PayeeType
from gateway.domain.payments import Payment
from gateway.domain.payout_rules import PayoutRule, PayoutWindow
from gateway.domain.payouts import Hold, Part, Payout
from gateway.domain.statuses import Status
from gateway.flows.observations import key_of
from gateway.flows.payout_acts import (
    PayoutAct,
    PayoutOpening,
    PayoutRefusedError,
    PayoutResult,
    PayoutWish,
    RuleAnswer,
    RuleQuestion,
)
from gateway.flows.payout_rules import rules_in_force
from gateway.objects.payouts import payout_object
from gateway.ports import AmountExceedsRestError, IntentKey, Observation, OrderConflictError
from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.writing import paying_out
from gateway.storage.writing.payments import payments_by_id
from router.fees import FixedFee
from tests.keys import new_keys
from tests.storage.gateway_process import TIMEZONE, Process, payment_in
from tests.unit.domain.samples import (
    LENDER,
    MERCHANT_ID,
    NOW,
    PAYOUT_TERMS,
    catalogue,
    channel,
    endpoint,
    later,
    payout_order,
    rule,
)

PAYS = catalogue((channel("up"), channel("tl")), (rule("up", 10),), (endpoint(1, "shop"),))
BACK = Returned(ReturnReason.PAYEE_NAME_MISMATCH)
DECLINED = Declined(FailureCode.PAYEE_INVALID, "05")
HELD = Processing("4002", suspicion=Suspicion.DUPLICATE, continuation="123456")
RACES = 50
TODAY = date(2026, 3, 5)
OFFICE = PayoutWindow("08:30", "17:00")
RULE = PayoutRule(MERCHANT_ID, "up", PayeeType.CORPORATE, "*", True, FixedFee(100), 1000, 1500)
"""At most 10.00 each, and 15.00 a day."""
NIGHT, MORNING = datetime(2026, 3, 5, 15, tzinfo=UTC), datetime(2026, 3, 6, 0, 30, tzinfo=UTC)
"""23:00 of today in Shanghai, and 08:30 of tomorrow."""


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> AsyncIterator[Process]:
    process = Process(engine, own_keys, PAYS)
    yield process
    assert await examine(engine, NOW) == []


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, own_keys, PAYS)


async def pays(process: Process, amount: int = 1000, **known: Any) -> Payment:
    """A payment that succeeded."""
    payment = await process.open_one(amount=amount, **known)
    return payment_in(await process.heard(payment, Succeeded(payment.amount, f"theirs-{payment.payment_id}")))


def asks(amount: int = 1000, *parts: tuple[Payment, int], number: str | None = None, **known: Any) -> PayoutOpening:
    """An order for a payout with fresh ids."""
    settled = tuple(Part(payment.payment_id, fen) for payment, fen in parts)
    asked = payout_order(number or f"payout-{uuid4().hex}", amount=amount, parts=settled, **known)
    return PayoutOpening(asked, f"{asked.channel}-1", uuid4(), uuid4())


async def opens(process: Process, amount: int = 1000, *parts: tuple[Payment, int], **known: Any) -> Payout:
    result = await process.books.open_payout(asks(amount, *parts, **known))
    assert not result.replayed
    return result.payout


async def does(process: Process, payout: Payout, wish: PayoutWish, *parts: tuple[Payment, int]) -> PayoutResult:
    settled = tuple(Part(payment.payment_id, fen) for payment, fen in parts)
    app = "shop" if wish in {PayoutWish.SETTLE, PayoutWish.RELEASE} else None
    done = await process.books.act_on_payout(
        PayoutAct(payout.merchant_id, payout.payout_id, wish, uuid4(), app, settled)
    )
    assert done is not None
    return done


def says(payout: Payout, outcome: Outcome, source: Source = Source.POLL, at: Any = NOW) -> Observation:
    return Observation(key_of(payout), source, outcome, at, uuid4())


async def hears(
    process: Process, payout: Payout, outcome: Outcome, source: Source = Source.POLL, at: Any = NOW
) -> Payout:
    """Record one word about a payout."""
    heard = (await process.books.record(says(payout, outcome, source, at))).object
    assert isinstance(heard, Payout)
    return heard


async def read(process: Process, payout: Payout) -> Payout:
    found = await process.payouts.payout(MERCHANT_ID, payout.payout_id)
    assert found is not None
    return found


async def settled(process: Process, payment: Payment) -> int:
    return (await process.read(payment)).settled


async def used(process: Process) -> dict[tuple[str, date], int]:
    return {
        (row[0], row[1]): row[2] for row in await process.rows("SELECT channel, business_day, used FROM payout_days")
    }


async def told(process: Process) -> list[Any]:
    return list(await process.rows("SELECT type, sequence FROM events WHERE object = 'payout' ORDER BY sequence"))


async def refused(done: Any) -> tuple[str, int | None]:
    with pytest.raises(PayoutRefusedError) as refusal:
        await done
    return refusal.value.code, refusal.value.left


# --- what one payout writes ---


async def test_the_intent_is_recorded_whole_before_anything_is_sent_and_the_payee_is_sealed(process: Process) -> None:
    process.now = later(hours=1)
    asked = asks(400)
    result = await process.books.open_payout(asked)
    payout = result.payout
    assert (result.submit, result.replayed) == (True, False)
    assert await read(process, payout) == payout
    assert (payout.status, payout.held_for, payout.sequence) == (Status.PROCESSING, None, 0)
    assert payout.due_at == PAYOUT_TERMS.unanswered(later(hours=1))
    intent = payout.intent
    assert intent is not None
    assert (intent.intent_id, intent.verb, intent.amount, intent.number) == (
        asked.intent_id, Verb.PAYOUT, 400, number_of(payout.payout_id),
    )  # fmt: skip
    assert (intent.told_at, intent.recorded_at) == (later(hours=1), later(hours=1))
    assert await used(process) == {("up", TODAY): 400}
    assert await told(process) == []
    assert await process.payouts.payee(MERCHANT_ID, payout.payout_id) == LENDER
    assert LENDER.account_no.encode() not in await process.one("SELECT payee FROM payouts")
    key = IntentKey(MERCHANT_ID, "", payout.payout_id, Verb.PAYOUT)
    assert await process.due.intent_of_number(MERCHANT_ID, "up-1", intent.number, Verb.PAYOUT) == key
    assert await process.due.intent_of_number(MERCHANT_ID, "up-1", intent.number, Verb.REFUND) is None


async def test_success_is_told_once_with_the_payout_as_it_is_then(process: Process) -> None:
    payout = await opens(process)
    done = await hears(process, payout, Succeeded(1000, "theirs-1"), at=later(seconds=4))
    assert await read(process, done) == done
    assert (done.status, done.sequence) == (Status.SUCCEEDED, 1)
    body = orjson.loads(await process.one("SELECT body FROM events WHERE object = 'payout'"))
    assert body["data"] == orjson.loads(orjson.dumps(payout_object(done)))
    assert await hears(process, payout, Succeeded(1000, "theirs-1"), Source.CALLBACK) == done
    assert await told(process) == [("payout.succeeded", 1)]


@pytest.mark.parametrize("outcome", [Processing(), Unknown("timeout"), NotFound("8901"), Succeeded(999)], ids=repr)
async def test_a_word_that_ends_nothing_keeps_what_was_taken(process: Process, outcome: Outcome) -> None:
    payment = await pays(process)
    payout = await opens(process, 1000, (payment, 1000))
    heard = await hears(process, payout, outcome, at=later(seconds=60))
    assert (heard.status, heard.due_at) == (Status.PROCESSING, PAYOUT_TERMS.after(1, later(seconds=60)))
    assert (await settled(process, payment), await used(process)) == (1000, {("up", TODAY): 1000})


async def test_what_fails_frees_its_parts_and_its_day(process: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 400, (payment, 400))
    assert await settled(process, payment) == 400
    failed = await hears(process, payout, DECLINED, Source.ANSWER)
    assert (failed.status, failed.parts, failed.settles) == (Status.FAILED, 1, 400)
    assert (await settled(process, payment), await used(process)) == (0, {("up", TODAY): 0})
    assert (await opens(process, 1000, (payment, 1000))).settles == 1000


async def test_a_return_frees_the_parts_is_told_after_the_success_and_nothing_after_it_counts(process: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 1000, (payment, 1000))
    back = await hears(process, payout, BACK, Source.CALLBACK, later(days=3))
    assert await read(process, back) == back
    assert (back.status, back.returned, back.sequence) == (Status.RETURNED, ReturnReason.PAYEE_NAME_MISMATCH, 2)
    assert await told(process) == [("payout.succeeded", 1), ("payout.returned", 2)]
    assert await settled(process, payment) == 0
    again = await opens(process, 1000, (payment, 1000))
    for said in (Processing(), Succeeded(1000), BACK):
        assert await hears(process, payout, said, Source.CALLBACK) == back
    assert (await settled(process, payment), (await read(process, again)).settles) == (1000, 1000)
    assert len(await told(process)) == 2


async def test_a_late_success_is_an_anomaly_and_takes_again_what_is_left(process: Process) -> None:
    payment, whole = await pays(process), await pays(process)
    payout = await opens(process, 1500, (payment, 700), (whole, 800))
    await hears(process, payout, DECLINED)
    await process.refund(payment, 600)
    late = await hears(process, payout, Succeeded(1500, "theirs-9"), Source.CALLBACK, later(hours=2))
    assert (late.status, late.takes) == (Status.FAILED, True)
    assert (await settled(process, payment), await settled(process, whole)) == (400, 800)
    assert await process.rows("SELECT object, kind FROM anomalies") == [("payout", "late_success")]
    # Nothing more leaves its payments before a person has looked.
    assert await refused(opens(process, 1, (whole, 1))) == ("payment_has_anomaly", None)
    await hears(process, payout, BACK, Source.OPERATOR, later(hours=3))
    assert (await settled(process, payment), await settled(process, whole)) == (0, 0)


async def test_two_that_settle_one_payment_may_fail_in_one_flush(process: Process) -> None:
    payment = await pays(process)
    first, second = await opens(process, 300, (payment, 300)), await opens(process, 500, (payment, 500))
    await process.payout_words.flush([says(first, DECLINED), says(second, BACK)])
    assert (await settled(process, payment), await used(process)) == (0, {("up", TODAY): 0})


# --- held, settled and released ---


async def test_a_held_payout_is_settled_by_parts_and_sent_when_they_are_its_amount(process: Process) -> None:
    payments = [await pays(process) for _ in range(3)]
    payout = await opens(process, 2500, hold=True)
    assert (payout.held_for, payout.intent, payout.due_at) == (Hold.APP, None, None)
    assert payout.until_at == later(days=7)
    assert await used(process) == {("up", TODAY): 0}
    await does(process, payout, PayoutWish.SETTLE, (payments[0], 1000), (payments[1], 1000))
    assert await refused(does(process, payout, PayoutWish.RELEASE)) == ("settles_incomplete", 500)
    after = (await does(process, payout, PayoutWish.SETTLE, (payments[2], 500))).payout
    assert (after.parts, after.settles) == (3, 2500)
    process.now = later(days=1)
    sent = await does(process, payout, PayoutWish.RELEASE)
    assert sent.submit
    assert await read(process, payout) == sent.payout
    # Its day is the one on which it is sent.
    assert sent.payout.business_day == TODAY + timedelta(days=1)
    assert await used(process) == {("up", TODAY): 0, ("up", TODAY + timedelta(days=1)): 2500}
    again = await does(process, payout, PayoutWish.RELEASE)
    assert (again.submit, again.payout) == (False, sent.payout)


async def test_the_same_part_again_is_nothing_new_and_another_amount_a_conflict(process: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 1000, (payment, 600), hold=True)
    same = await does(process, payout, PayoutWish.SETTLE, (payment, 600))
    assert (same.payout.parts, await settled(process, payment)) == (1, 600)
    assert (await refused(does(process, payout, PayoutWish.SETTLE, (payment, 601))))[0] == "settle_conflict"
    full = await does(process, payout, PayoutWish.SETTLE, (await pays(process), 400))
    assert full.payout.settles == 1000
    await does(process, payout, PayoutWish.RELEASE)
    # After its release, too; but nothing new.
    assert (await does(process, payout, PayoutWish.SETTLE, (payment, 600))).payout.settles == 1000


@pytest.mark.parametrize("amounts", [(3333, 3333, 3334)])
async def test_parts_are_the_whole_to_the_fen(process: Process, amounts: tuple[int, ...]) -> None:
    payment = await pays(process, 10_000)
    for amount in amounts:
        await opens(process, amount, (payment, amount))
    assert await settled(process, payment) == 10_000
    assert await refused(opens(process, 1, (payment, 1))) == ("amount_exceeds_rest", 0)
    whole = await pays(process, 10_000)
    assert await refused(opens(process, 10_000, (whole, 9_999))) == ("settles_incomplete", 1)
    assert await refused(opens(process, 9_999, (whole, 10_000))) == ("settles_exceed_payout", 9_999)


async def test_what_cannot_be_settled_is_refused_and_nothing_is_recorded(process: Process) -> None:
    paid, failed, open_ = await pays(process), await process.open_one(), await process.open_one(user_id="u2")
    await process.heard(failed, Declined(FailureCode.CARD_FROZEN))
    strange = await pays(process, user_id="u3", app="books")
    held = await opens(process, 5000, hold=True)
    for payment, code in (
        (failed, "payment_not_succeeded"), (open_, "payment_not_succeeded"), (strange, "not_found"),
        (replace(paid, payment_id=UUID(int=9)), "not_found"),
    ):  # fmt: skip
        assert (await refused(does(process, held, PayoutWish.SETTLE, (paid, 1), (payment, 1))))[0] == code
    await process.heard(paid, Succeeded(1000, "another"))
    assert (await refused(opens(process, 1, (paid, 1))))[0] == "payment_has_anomaly"
    assert (await process.count("settles"), await process.count("outflows"), await process.count("payouts")) == (
        0,
        0,
        1,
    )


async def test_another_app_has_no_such_payout(process: Process) -> None:
    payout = await opens(process, hold=True)
    for act in (
        PayoutAct(MERCHANT_ID, payout.payout_id, PayoutWish.RELEASE, uuid4(), "books"),
        PayoutAct(MERCHANT_ID, uuid4(), PayoutWish.RELEASE, uuid4(), "shop"),
    ):
        assert await process.books.act_on_payout(act) is None


async def test_what_pays_on_money_that_may_never_have_come_is_not_released(process: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 600, (payment, 600), hold=True)
    await process.heard(payment, Declined(FailureCode.CHANNEL_REFUSED, "40"), Source.CALLBACK)  # after all
    assert await refused(does(process, payout, PayoutWish.RELEASE)) == ("payment_has_anomaly", None)
    assert (await process.one("SELECT status, held_for FROM payouts")) == ("processing", "app")
    await process.rows("UPDATE anomalies SET resolved_at = found_at, resolved_by = 'li', note = 'a mistake of theirs'")
    assert (await does(process, payout, PayoutWish.RELEASE)).submit


async def test_what_nobody_releases_fails_after_a_week_and_frees_its_parts(process: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 1000, (payment, 600), hold=True)
    at = later(days=7)
    assert await process.payouts.merchants_with_held([MERCHANT_ID], at - timedelta(seconds=1)) == []
    assert await process.payouts.merchants_with_held([MERCHANT_ID], at) == [MERCHANT_ID]
    assert await process.payouts.claim_held(MERCHANT_ID, at, at + timedelta(minutes=1), 9) == [payout.payout_id]
    assert await process.payouts.claim_held(MERCHANT_ID, at, at + timedelta(minutes=1), 9) == []
    process.now = at - timedelta(seconds=1)
    assert (await does(process, payout, PayoutWish.LOOK)).payout.status is Status.PROCESSING
    process.now = at
    assert (await refused(does(process, payout, PayoutWish.RELEASE)))[0] == "payout_not_held"
    failed = (await does(process, payout, PayoutWish.LOOK)).payout
    assert failed.failure is not None
    assert (failed.status, failed.failure.code) == (Status.FAILED, FailureCode.NOT_CONFIRMED)
    assert (await settled(process, payment), await told(process)) == (0, [("payout.failed", 1)])
    assert (await refused(does(process, payout, PayoutWish.RELEASE)))[0] == "payout_not_held"


# --- suspicions ---


async def test_a_suspicion_is_confirmed_by_an_intent_of_its_own_with_what_the_psp_gave(process: Process) -> None:
    payout = await opens(process)
    held = await hears(process, payout, HELD, Source.ANSWER)
    assert await read(process, held) == held
    assert (held.held_for, held.suspicion) == (Hold.SUSPICION, Suspicion.DUPLICATE)
    assert await process.payouts.payout_continuation(MERCHANT_ID, payout.payout_id) == "123456"
    assert b"123456" not in await process.one("SELECT continuation FROM intents WHERE verb = 'payout'")
    process.now = later(hours=1)
    done = await does(process, payout, PayoutWish.CONFIRM)
    assert done.submit
    assert await read(process, payout) == done.payout
    rows = await process.rows("SELECT ordinal, state FROM intents WHERE verb = 'payout' ORDER BY ordinal")
    assert rows == [(1, "declined"), (2, "open")]
    assert (await refused(does(process, payout, PayoutWish.CONFIRM)))[0] == "payout_not_held"
    # What was said of the first is of before; its success counts all the same.
    assert await hears(process, held, HELD, Source.ANSWER) == done.payout
    again = await hears(process, done.payout, HELD, Source.POLL, later(hours=2))
    assert again.held_for is Hold.SUSPICION
    third = await does(process, payout, PayoutWish.CONFIRM)
    assert third.payout.intent is not None
    assert third.payout.intent.ordinal == 3
    assert (await hears(process, third.payout, Succeeded(1000), Source.CALLBACK, later(hours=2))).takes
    assert await told(process) == [("payout.succeeded", 1)]


async def test_a_suspicion_that_is_right_ends_the_payout(process: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 1000, (payment, 1000))
    await hears(process, payout, HELD, Source.ANSWER)
    failed = (await does(process, payout, PayoutWish.REFUSE)).payout
    assert failed.intent is not None
    assert (failed.status, failed.intent.state) == (Status.FAILED, IntentState.DECLINED)
    assert await read(process, failed) == failed
    assert (await settled(process, payment), await used(process)) == (0, {("up", TODAY): 0})
    assert (await does(process, payout, PayoutWish.REFUSE)).payout == failed
    assert await told(process) == [("payout.failed", 1)]


async def test_what_is_given_up_while_its_psp_holds_it_is_asked_about_later(process: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 1000, (payment, 1000))
    await hears(process, payout, HELD, Source.ANSWER)
    refused_one = (await does(process, payout, PayoutWish.REFUSE)).payout
    assert refused_one.due_at == later(hours=1)
    still = await hears(process, refused_one, HELD, Source.POLL, later(hours=1))
    assert (still.status, still.held_for, still.due_at) == (Status.FAILED, None, later(hours=6))
    paid = await hears(process, still, Succeeded(1000), Source.POLL, later(hours=6))  # by hand, on the PSP's site
    assert (paid.status, paid.takes, paid.due_at) == (Status.FAILED, True, None)
    assert (await settled(process, payment), await told(process)) == (
        1000,
        [("payout.failed", 1), ("payout.anomaly", 2)],
    )


async def test_what_is_not_held_is_neither_confirmed_nor_refused(process: Process) -> None:
    payout = await opens(process)
    for wish in (PayoutWish.CONFIRM, PayoutWish.REFUSE):
        assert (await refused(does(process, payout, wish)))[0] == "payout_not_held"


# --- rules of channels ---


async def test_rules_are_asked_with_what_the_channel_used_today(process: Process) -> None:
    asked: list[RuleQuestion] = []

    def rules(question: RuleQuestion) -> RuleAnswer:
        asked.append(question)
        over = question.used_today + question.amount > 1500
        return RuleAnswer(PayoutRefusedError("daily_limit_exceeded") if over else None, expected_fee=200)

    process.payout_rules = rules
    first = await opens(process, 1000)
    assert first.expected_fee == 200
    assert await refused(opens(process, 600)) == ("daily_limit_exceeded", None)
    await opens(process, 600, channel="tl")
    await hears(process, first, DECLINED)
    assert (await hears(process, await opens(process, 1500), Succeeded(1500))).fee == 200
    assert [(each.channel, each.used_today) for each in asked] == [("up", 0), ("up", 1000), ("tl", 0), ("up", 0)]
    assert await process.count("payouts") == 3


async def test_outside_its_window_a_payout_waits_and_is_sent_when_it_opens(process: Process) -> None:
    opens_at = later(hours=5)
    process.payout_rules = lambda question: RuleAnswer(opens_at=opens_at if question.now < opens_at else None)
    waits = await opens(process)
    assert (waits.held_for, waits.until_at, waits.intent) == (Hold.WINDOW, opens_at, None)
    assert (await does(process, waits, PayoutWish.RELEASE)).submit is False
    process.now = opens_at
    sent = await does(process, waits, PayoutWish.LOOK)
    assert (sent.submit, sent.payout.held_for) == (True, None)


def ruled(*rules: PayoutRule, codes: tuple[str, ...] = ("up",)) -> Catalogue:
    """A catalogue with these payout rules."""
    return catalogue(tuple(channel(code) for code in codes), (), (endpoint(1, "shop"),), payout_rules=rules)


def goes_by(process: Process, *rules: PayoutRule, **known: Any) -> None:
    """From now on these are the rules in force."""
    process.payout_rules = rules_in_force(lambda: ruled(*rules, **known), TIMEZONE)


async def test_at_two_processes_no_more_is_sent_than_the_day_takes(process: Process, other: Process) -> None:
    """Each round is a channel of its own; what failed makes room for what came too late."""
    codes = tuple(f"c{race}" for race in range(RACES))
    rules = tuple(replace(RULE, channel=code, single_limit=None) for code in codes)
    for each in (process, other):
        goes_by(each, *rules, codes=codes)
    for code in codes:
        amounts = (700, 600, 500, 900, 100, 800)
        orders = [asks(amount, channel=code) for amount in amounts]
        results = await asyncio.gather(
            *((process, other)[n % 2].books.open_payout(order) for n, order in enumerate(orders)),
            return_exceptions=True,
        )
        sent = [result.payout for result in results if isinstance(result, PayoutResult)]
        over = [result for result in results if isinstance(result, PayoutRefusedError)]
        assert len(sent) + len(over) == len(amounts)
        assert {error.code for error in over} == {"payout_limit_exceeded"}
        taken = sum(payout.amount for payout in sent)
        assert (await used(process))[code, TODAY] == taken <= 1500
        left = {order.order.amount for order in orders} - {payout.amount for payout in sent}
        assert min(left) > 1500 - taken, "what still fits is taken"
    await hears(process, sent[0], DECLINED)
    assert (await opens(other, sent[0].amount, channel=code)).intent is not None


async def test_a_payout_that_is_held_for_its_app_is_refused_at_once_if_no_day_can_take_it(process: Process) -> None:
    goes_by(process, replace(RULE, windows=(OFFICE,)))
    assert await refused(opens(process, 1001, hold=True)) == ("payout_limit_exceeded", 1000)
    assert (await refused(opens(process, hold=True, channel="tl")))[0] == "no_payout_rule"
    await opens(process, 1000)
    assert await refused(opens(process, 501)) == ("payout_limit_exceeded", 500)
    waits = await opens(process, 1000, hold=True)  # whatever the day and the hour
    assert (waits.held_for, waits.expected_fee) == (Hold.APP, 100)
    assert await refused(does(process, waits, PayoutWish.RELEASE)) == ("payout_limit_exceeded", 500)
    goes_by(process)
    assert (await refused(does(process, waits, PayoutWish.RELEASE)))[0] == "no_payout_rule"
    assert await read(process, waits) == waits
    process.now = later(days=1)
    goes_by(process, replace(RULE, windows=(OFFICE,), fee=FixedFee(7)))
    sent = (await does(process, waits, PayoutWish.RELEASE)).payout
    assert (sent.held_for, sent.expected_fee, sent.business_day) == (None, 7, TODAY + timedelta(days=1))


async def test_what_is_opened_at_night_is_sent_when_the_clock_says_that_the_window_opens(process: Process) -> None:
    goes_by(process, replace(RULE, windows=(OFFICE,)))
    process.now = NIGHT
    waits = await opens(process)
    assert (waits.held_for, waits.until_at, waits.intent, waits.expected_fee) == (Hold.WINDOW, MORNING, None, 100)
    assert await used(process) == {("up", TODAY): 0}, "it takes nothing of the day on which it waits"
    process.now = MORNING - timedelta(seconds=1)
    assert await process.payouts.claim_held(MERCHANT_ID, process.now, MORNING, 9) == []
    assert (await does(process, waits, PayoutWish.LOOK)).payout == waits
    process.now = MORNING
    assert await process.payouts.claim_held(MERCHANT_ID, process.now, later(days=2), 9) == [waits.payout_id]
    sent = await does(process, waits, PayoutWish.LOOK)
    assert (sent.submit, sent.payout.held_for) == (True, None)
    assert await used(process) == {("up", TODAY): 0, ("up", TODAY + timedelta(days=1)): 1000}


@pytest.mark.parametrize(
    ("rules", "code", "advice"),
    [
        ((), "no_channel_available", "none"),
        ((PayoutRule(MERCHANT_ID, "up", PayeeType.CORPORATE, "*", False, FixedFee(1)),), "no_channel_available",
         "retry_later"),
        ((PayoutRule(MERCHANT_ID, "up", PayeeType.CORPORATE, "*", True, FixedFee(1), 999),), "single_limit_exceeded",
         "change_amount"),
        ((PayoutRule(MERCHANT_ID, "up", PayeeType.CORPORATE, "*", True, FixedFee(1), None, 1999),),
         "daily_limit_exceeded", "retry_tomorrow"),
    ],
    ids=["gone", "disabled", "smaller", "the day used up"],
)  # fmt: skip
async def test_a_rule_that_carries_a_waiting_payout_no_more_fails_it_and_frees_what_it_settles(
    process: Process, rules: tuple[PayoutRule, ...], code: str, advice: str
) -> None:
    payment = await pays(process)
    goes_by(process, replace(RULE, windows=(OFFICE,)))
    process.now = NIGHT
    waits = await opens(process, 1000, (payment, 1000))
    process.now = MORNING
    await opens(process, 1000)  # of the new day
    goes_by(process, *rules)
    failed = (await does(process, waits, PayoutWish.LOOK)).payout
    assert failed.failure is not None
    assert (failed.status, failed.failure.code, failed.failure.advice) == (Status.FAILED, code, advice)
    assert await read(process, failed) == failed
    assert (await settled(process, payment), await told(process)) == (0, [("payout.failed", 1)])


async def test_a_window_that_was_moved_holds_what_waits_for_it_until_it_opens(process: Process) -> None:
    goes_by(process, replace(RULE, windows=(OFFICE,)))
    process.now = NIGHT
    waits = await opens(process)
    process.now = MORNING
    goes_by(process, replace(RULE, windows=(PayoutWindow("11:00", "12:00"),), fee=FixedFee(7)))
    again = await does(process, waits, PayoutWish.LOOK)
    assert (again.submit, again.payout.held_for, again.payout.until_at) == (
        False, Hold.WINDOW, MORNING + timedelta(hours=2, minutes=30),
    )  # fmt: skip
    assert await read(process, waits) == again.payout
    process.now = MORNING + timedelta(hours=2, minutes=30)
    sent = await does(process, waits, PayoutWish.LOOK)
    assert (sent.submit, sent.payout.expected_fee) == (True, 7)


# --- order numbers, copies and lost answers ---


async def test_copies_are_one_payout_and_other_content_a_conflict(process: Process) -> None:
    first, copy, conflict = asks(300, number="same"), asks(300, number="same"), asks(301, number="same")
    results = list(await process.paying_out.flush([first, copy, conflict]))
    assert [isinstance(each, PayoutResult) and each.submit for each in results] == [True, False, False]
    assert isinstance(results[2], OrderConflictError)
    again = await process.books.open_payout(copy)
    assert (again.replayed, again.submit, again.payout.payout_id) == (True, False, first.payout_id)
    with pytest.raises(OrderConflictError):
        await process.books.open_payout(conflict)
    assert await process.count("payouts") == 1


async def test_of_many_copies_at_two_channels_days_and_in_two_processes_one_is_sent(
    process: Process, other: Process
) -> None:
    copies = [(process, other)[n % 2].books.open_payout(asks(300, number="same")) for n in range(20)]
    results = await asyncio.gather(*copies)
    assert [result.submit for result in results].count(True) == 1
    across = [
        (process, other)[n % 2].books.open_payout(asks(300, number=f"n{n // 2}", channel=("up", "tl")[n % 2]))
        for n in range(10)
    ]
    results_across = await asyncio.gather(*across, return_exceptions=True)
    assert sum(isinstance(each, PayoutResult) and each.submit for each in results_across) == 5
    assert await process.one("SELECT count(*) FROM intents WHERE verb = 'payout'") == 6


async def test_a_refused_number_is_not_burnt_and_a_payments_number_is_none_of_a_payouts(process: Process) -> None:
    payment = await pays(process)
    assert await refused(opens(process, 2000, (payment, 2000), number="same")) == ("amount_exceeds_rest", 1000)
    assert (await opens(process, 1000, (payment, 1000), number="same")).settles == 1000
    with pytest.raises(OrderConflictError):
        await opens(process, number=payment.merchant_order_no)


async def test_after_a_lost_answer_to_commit_each_is_sent_once_by_who_recorded_it(process: Process) -> None:
    held = await opens(process, hold=True)
    for items in (
        [asks(300), asks(400)],
        [PayoutAct(MERCHANT_ID, held.payout_id, PayoutWish.RELEASE, uuid4(), "shop")],
    ):
        unlucky = Process(process.engine, process.keys, PAYS, lost_commits=1)
        doing = (
            unlucky.books.open_payout(item) if isinstance(item, PayoutOpening) else unlucky.books.act_on_payout(item)
            for item in items
        )
        assert all(done is not None and done.submit for done in await asyncio.gather(*doing))
    assert await process.one("SELECT count(*), sum(used)::bigint FROM payout_days") == (1, 1700)


async def test_after_a_lost_answer_words_count_once_and_free_once(process: Process) -> None:
    payment = await pays(process)
    first, second = await opens(process, 300, (payment, 300)), await opens(process, 400, (payment, 400))
    unlucky = Process(process.engine, process.keys, PAYS, lost_commits=1)
    await asyncio.gather(*(unlucky.books.record(word) for word in (says(first, BACK), says(second, NotFound("0401")))))
    assert await settled(process, payment) == 400
    after = (await read(process, second)).intent
    assert after is not None
    assert after.not_found == 1
    assert len(await told(process)) == 2


# --- two processes at once ---


async def test_a_settlement_and_a_refund_that_are_too_much_together_are_one(process: Process, other: Process) -> None:
    taken = []
    for race in range(RACES):
        payment = await pays(process, 10_000, user_id=f"r{race % 5}")
        results = await asyncio.gather(
            process.books.open_payout(asks(7000, (payment, 7000))), other.refund(payment, 4000), return_exceptions=True
        )
        taken.append([not isinstance(result, Exception) for result in results])
        assert sum(taken[-1]) == 1, results
        assert isinstance(
            next(r for r in results if isinstance(r, Exception)), PayoutRefusedError | AmountExceedsRestError
        )
        if isinstance(results[0], PayoutResult):  # what comes back is free for the refund
            await hears(process, results[0].payout, BACK)
            await other.refund(payment, 4000)


async def test_settlements_of_the_same_payments_in_either_order_at_two_processes_do_not_wait_for_each_other(
    process: Process, other: Process
) -> None:
    for _ in range(10):
        one, two = await pays(process), await pays(process, user_id="u2")
        results = await asyncio.gather(
            process.books.open_payout(asks(1200, (one, 600), (two, 600))),
            other.books.open_payout(asks(1200, (two, 600), (one, 600), channel="tl")),
            return_exceptions=True,
        )
        assert sum(isinstance(result, PayoutResult) for result in results) == 1, results


async def test_however_many_say_it_at_once_it_is_told_and_freed_once(process: Process, other: Process) -> None:
    payment = await pays(process)
    payout = await opens(process, 600, (payment, 600))
    await asyncio.gather(*(hears((process, other)[n % 2], payout, BACK, list(Source)[1 + n % 3]) for n in range(12)))
    assert (await settled(process, payment), len(await told(process))) == (0, 2)


async def test_the_database_lets_no_more_out_than_came_in_even_if_the_code_did(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = await pays(process)
    await opens(process, 600, (payment, 600))

    async def blind(*asked: Any) -> list[Payment]:
        return [replace(each, settled=0) for each in await payments_by_id(*asked)]

    monkeypatch.setattr(paying_out, "payments_by_id", blind)
    with pytest.raises(CheckViolationError) as refusal:
        await opens(process, 500, (payment, 500))
    assert refusal.value.constraint_name == "outflows_rest_check"
    monkeypatch.undo()
    assert await settled(process, payment) == 600


# --- what is due ---


async def test_a_payout_is_claimed_when_it_is_due_and_after_its_success_while_it_may_come_back(
    process: Process, other: Process
) -> None:
    payout = await opens(process)
    at = payout.due_at
    assert at is not None
    until = at + timedelta(seconds=30)
    claims = await asyncio.gather(*(each.due.claim(MERCHANT_ID, at, 10, until) for each in (process, other)))
    assert sorted(claims, key=len) == [[], [payout]]
    done = await hears(process, payout, Succeeded(1000), Source.POLL, at)
    assert done.due_at == at + timedelta(hours=1)
    assert await process.due.claim(MERCHANT_ID, done.due_at, 10, done.due_at + timedelta(seconds=9)) == [done]


async def test_a_success_has_the_lists_of_returned_payouts_fetched_on_the_days_after(process: Process) -> None:
    await hears(process, await opens(process), Succeeded(1000))
    await hears(process, await opens(process), Succeeded(1000))
    days = [TODAY + timedelta(days=n) for n in range(3)]
    assert await process.rows("SELECT account, day FROM return_lists ORDER BY day") == [("up-1", day) for day in days]
    at = later(days=1, hours=1)
    assert await process.payouts.merchants_with_lists([MERCHANT_ID], at) == [MERCHANT_ID]
    claimed = await process.payouts.claim_lists(MERCHANT_ID, at, at + timedelta(minutes=5), 9)
    assert claimed == [("up-1", TODAY, "up")]
    assert await process.payouts.claim_lists(MERCHANT_ID, at, at + timedelta(minutes=5), 9) == []
    await process.payouts.listed(MERCHANT_ID, "up-1", TODAY)
    assert await process.payouts.merchants_with_lists([MERCHANT_ID], at) == []


# --- what cannot be in sound books is found ---


@pytest.mark.parametrize(
    ("breaks", "mends", "found"),
    [
        ("UPDATE payout_days SET used = 1", "UPDATE payout_days SET used = 1000",
         "up says that payouts take 1 fen of 2026-03-05; they say 1000"),
        ("UPDATE settles SET counted = 1", "UPDATE settles SET counted = amount",
         "1000 fen of 1 payments; its 1 parts say 1000, of which 1 are counted"),
        ("UPDATE outflows SET settled = 7", "UPDATE outflows SET settled = 1000",
         "says that 7 fen were paid on; payouts say 1000"),
        ("UPDATE intents SET state = 'done', ended_at = recorded_at WHERE verb = 'payout'",
         "UPDATE intents SET state = 'open', ended_at = NULL WHERE verb = 'payout'",
         "is processing, and its newest intent is done"),
        ("UPDATE payouts SET due_at = due_at - interval '1 day'",
         "UPDATE payouts SET due_at = due_at + interval '1 day'",
         "has been waiting for what is due on it"),
        ("UPDATE payouts SET sequence = 1", "UPDATE payouts SET sequence = 0", "says it had 1 events, and there are 0"),
    ],
)  # fmt: skip
async def test_the_doctor_says_what_does_not_fit(process: Process, breaks: str, mends: str, found: str) -> None:
    await opens(process, 1000, (await pays(process), 1000))
    assert await examine(process.engine, NOW) == []
    await process.rows(f"{breaks} RETURNING 1")
    said = await examine(process.engine, NOW)
    assert any(found in sentence for sentence in said), said
    await process.rows(f"{mends} RETURNING 1")
