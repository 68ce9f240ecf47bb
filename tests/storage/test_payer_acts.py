"""What payers wish while a code is waited for: on a real PostgreSQL, two processes at once; doctor looks at the end.

Not tested here: what each word means (tests/unit/domain/test_codes.py), how a signing begins (test_signing.py).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.clocks import PROOF_MARGIN_S
from gateway.domain.codes import CODES_PER_SMS, ClosedReason, Purpose
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    NotSent,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.objects.timeline import timeline_object
from gateway.ports import ActRefusal, AfterAsking, GoOn, OpenResult, Recorded, Wish
from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.timeline import timeline_of
from tests.keys import new_keys
from tests.storage.gateway_process import LostCommitDatabase, Process, observation, payment_in
from tests.storage.payers import (
    EACH,
    SMS,
    act,
    asks,
    code_word,
    does,
    one_open,
    place,
    refused,
    sms_word,
    that_can,
    waiting_in,
)
from tests.unit.domain.samples import NOW, TERMS, later, opening, order

WRONG, TOO_OLD = Declined(FailureCode.SMS_CODE_WRONG, "W1"), Declined(FailureCode.SMS_CODE_EXPIRED, "E1")
MINUTE = timedelta(seconds=61)


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> AsyncIterator[Process]:
    """Whatever a test does, the books are sound after it."""
    yield Process(engine, own_keys, place(EACH), carries_of=that_can())
    assert await examine(engine, NOW) == []


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys, process: Process) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, own_keys, process.catalogue, carries_of=process.carries_of)


async def pays(process: Process, continuation: str | None = "c-1", **known: Any) -> Payment:
    """A payment whose payer has the SMS with a code for it."""
    opened = await one_open(process, **known)
    return payment_in(await process.books.record(asks(opened.payment, opened.sms, CodeSent(continuation))))


async def signs(process: Process, continuation: str | None = "c-1", **known: Any) -> Payment:
    """A payment whose payer has the SMS with the code that its card is signed by."""
    process.catalogue = place(SMS)
    opened = await one_open(process, **known)
    assert opened.authentication is not None
    heard = await process.books.record(asks(opened.authentication, opened.sms, CodeSent(continuation)))
    return payment_in(heard)


WAYS = pytest.mark.parametrize("begin", [pays, signs])


# --- a code ---


@WAYS
async def test_of_two_codes_at_once_on_two_processes_one_goes_out(begin: Any, process: Process, other: Process) -> None:
    waiting = await begin(process)
    other.catalogue = process.catalogue
    for _ in range(3):
        said = await asyncio.gather(*(does(each, waiting, Wish.CONFIRM) for each in (process, other)))
        granted = [each for each in said if each.code is not None]
        assert len(granted) == 1
        assert [refused(each) for each in said if each.code is None] == [ActRefusal.CONFIRMATION_IN_PROGRESS]
        await process.books.record(code_word(waiting_in(granted[0]), TOO_OLD))
    assert await process.one("SELECT count(*) FROM intents WHERE verb IN ('pay', 'authenticate')") == 3


@WAYS
async def test_two_codes_in_one_flush_are_one(begin: Any, process: Process) -> None:
    waiting = await begin(process)
    said = [cast("Recorded", each) for each in await process.recording.flush([act(waiting, Wish.CONFIRM)
                                                                              for _ in range(2)])]  # fmt: skip
    assert [each.code is not None for each in said] == [True, False]
    assert refused(said[1]) is ActRefusal.CONFIRMATION_IN_PROGRESS


@WAYS
async def test_three_wrong_codes_fail_it_and_a_fourth_is_not_sent(begin: Any, process: Process) -> None:
    waiting = await begin(process)
    for number in range(1, 4):
        granted = await does(process, waiting, Wish.CONFIRM)
        assert granted.code is not None
        assert granted.code.ordinal == number
        await process.books.record(code_word(waiting_in(granted), WRONG))
    after = await process.read(waiting)
    assert after.failure is not None
    assert (after.status, after.failure.code, after.sequence) == (Status.FAILED, FailureCode.SMS_CODE_WRONG, 2)
    again = await does(process, waiting, Wish.CONFIRM)
    assert (again.object, again.code, refused(again)) == (after, None, None)
    assert await process.usage() == (0, 0, 0)


@WAYS
async def test_a_code_that_is_too_old_with_no_sms_left_fails_it(begin: Any, process: Process) -> None:
    waiting, at = await begin(process), NOW
    for _ in range(3):
        at += MINUTE
        resent = await does(process, waiting, Wish.RESEND, at)
        await process.books.record(asks(waiting_in(resent), resent.sms, CodeSent(), at))
    assert refused(await does(process, waiting, Wish.RESEND, at + MINUTE)) is ActRefusal.NO_RESENDS_LEFT
    granted = await does(process, waiting, Wish.CONFIRM, at)
    await process.books.record(code_word(waiting_in(granted), TOO_OLD, at=at))
    after = await process.read(waiting)
    assert after.failure is not None
    assert (after.status, after.failure.code) == (Status.FAILED, FailureCode.SMS_CODE_EXPIRED)


async def test_a_resend_then_the_first_code_then_the_second_goes_with_what_the_newest_sms_gave(
    process: Process, other: Process
) -> None:
    waiting = await pays(process)
    resent = await does(process, waiting, Wish.RESEND, later(seconds=61))
    assert (resent.continuation, cast("Any", resent.sms).number) == ("c-1", waiting.channel_order_no)
    await process.books.record(asks(waiting, resent.sms, CodeSent("c-2"), later(seconds=62)))
    first = await does(other, waiting, Wish.CONFIRM, later(seconds=70))  # another process, that has sent no SMS
    assert first.continuation == "c-2"
    wrong = payment_in(await other.books.record(code_word(waiting_in(first), WRONG, at=later(seconds=71))))
    assert wrong.asked is not None
    assert (wrong.status, wrong.asked.wrong, wrong.sequence) == (Status.REQUIRES_ACTION, 1, 1)
    second = await does(other, waiting, Wish.CONFIRM, later(seconds=80))
    assert second.continuation == "c-2"
    assert cast("Any", second.code).number == waiting.channel_order_no
    paid = payment_in(await other.books.record(code_word(waiting_in(second), Succeeded(1000), at=later(seconds=81))))
    assert (paid.status, paid.sequence) == (Status.SUCCEEDED, 2)
    assert await process.usage() == (0, 1000, 0)


@WAYS
async def test_a_late_answer_to_an_older_sms_changes_nothing(begin: Any, process: Process) -> None:
    waiting = await begin(process)
    resent = await does(process, waiting, Wish.RESEND, later(seconds=61))
    about = waiting_in(resent)
    await process.books.record(asks(about, resent.sms, CodeSent("c-2"), later(seconds=62)))
    before = await process.read(waiting)
    await process.books.record(sms_word(about, Declined(FailureCode.CARD_FROZEN), 1, at=later(seconds=63)))
    assert await process.read(waiting) == before
    assert (await does(process, waiting, Wish.CONFIRM, later(seconds=64))).continuation == "c-2"


@WAYS
async def test_codes_that_are_called_too_old_do_not_go_out_for_ever(begin: Any, process: Process) -> None:
    waiting, at = await begin(process), NOW
    for _ in range(2):
        for _ in range(CODES_PER_SMS):
            granted = await does(process, waiting, Wish.CONFIRM, at)
            assert granted.code is not None
            await process.books.record(code_word(waiting_in(granted), TOO_OLD, at=at))
        assert refused(await does(process, waiting, Wish.CONFIRM, at)) is ActRefusal.NEW_SMS_NEEDED
        at += MINUTE
        resent = await does(process, waiting, Wish.RESEND, at)
        await process.books.record(asks(waiting_in(resent), resent.sms, CodeSent(), at))
    assert (await does(process, waiting, Wish.CONFIRM, at)).code is not None


async def test_what_an_order_gave_that_is_over_is_not_used_for_the_next(process: Process) -> None:
    process.carries_of = that_can(ends_order=True)
    process.witnessed_by(lambda database: database)
    waiting = await pays(process)
    granted = await does(process, waiting, Wish.CONFIRM)
    assert granted.continuation == "c-1"
    await process.books.record(code_word(waiting_in(granted), WRONG))
    assert refused(await does(process, waiting, Wish.CONFIRM)) is ActRefusal.NEW_SMS_NEEDED
    soon = await does(process, waiting, Wish.RESEND, later(seconds=59))  # a minute lies between, whatever the reason
    assert (refused(soon), soon.wait_s) == (ActRefusal.RESEND_TOO_SOON, 1)
    resent = await does(process, waiting, Wish.RESEND, later(seconds=60))
    assert resent.sms is not None
    assert resent.sms.number != waiting.channel_order_no
    assert resent.continuation is None
    await process.books.record(asks(waiting, resent.sms, Unknown("timeout"), later(seconds=61)))
    coded = await does(process, waiting, Wish.CONFIRM, later(seconds=62))
    assert (coded.continuation, cast("Any", coded.code).number) == (None, resent.sms.number)
    assert (await process.read(waiting)).channel_order_no == resent.sms.number


# --- another SMS ---


@WAYS
async def test_of_two_tabs_that_press_resend_one_sends_and_within_a_minute_nobody(
    begin: Any, process: Process, other: Process
) -> None:
    waiting = await begin(process)
    other.catalogue = process.catalogue
    early = await does(process, waiting, Wish.RESEND, later(seconds=12.5))
    assert (refused(early), early.wait_s) == (ActRefusal.RESEND_TOO_SOON, 48)
    said = await asyncio.gather(*(does(each, waiting, Wish.RESEND, later(seconds=61)) for each in (process, other)))
    assert sorted(each.sms is not None for each in said) == [False, True]
    assert [refused(each) for each in said if each.sms is None] == [ActRefusal.SMS_IN_PROGRESS]
    granted = next(each for each in said if each.sms is not None)
    assert refused(await does(process, waiting, Wish.CONFIRM, later(seconds=61))) is ActRefusal.SMS_IN_PROGRESS
    await process.books.record(asks(waiting_in(granted), granted.sms, CodeSent(), later(seconds=62)))
    soon = await does(process, waiting, Wish.RESEND, later(seconds=62))
    assert (refused(soon), soon.wait_s) == (ActRefusal.RESEND_TOO_SOON, 59)
    assert await process.one("SELECT sent FROM code_counts") == 2


async def test_where_it_is_sent_by_asking_to_pay_it_is_asked_for_as_seldom_whatever_the_answer(
    process: Process,
) -> None:
    waiting, at = await may_be_paid(process), NOW
    for said in (SmsNeeded(), NotSent("refused"), SmsNeeded(sent=True)):
        at += MINUTE
        resent = await does(process, waiting, Wish.RESEND, at)
        assert resent.sms is not None
        after = payment_in(await process.books.record(code_word(waiting_in(resent), said, at=at)))
        assert after.status is Status.REQUIRES_ACTION  # the SMS before may still do
        soon = await does(process, waiting, Wish.RESEND, at + timedelta(seconds=59))
        assert refused(soon) in {ActRefusal.RESEND_TOO_SOON, ActRefusal.NO_RESENDS_LEFT}
    assert refused(await does(process, waiting, Wish.RESEND, at + MINUTE)) is ActRefusal.NO_RESENDS_LEFT
    # A PSP that sends one more by itself, to a code, has sent too many.
    granted = await does(process, waiting, Wish.CONFIRM, at + MINUTE)
    over = payment_in(await process.books.record(code_word(waiting_in(granted), SmsNeeded(sent=True), at=at + MINUTE)))
    assert over.failure is not None
    assert (over.status, over.failure.code) == (Status.FAILED, FailureCode.SMS_CODE_EXPIRED)


@WAYS
async def test_an_sms_that_was_not_sent_leaves_the_one_before(begin: Any, process: Process) -> None:
    waiting = await begin(process)
    resent = await does(process, waiting, Wish.RESEND, later(seconds=61))
    await process.books.record(asks(waiting_in(resent), resent.sms, NotSent("refused"), later(seconds=62)))
    granted = await does(process, waiting, Wish.CONFIRM, later(seconds=63))
    assert (granted.continuation, granted.code is not None) == ("c-1", True)


@WAYS
async def test_a_phone_gets_so_many_sms_a_day_and_no_more(begin: Any, process: Process) -> None:
    waiting = await begin(process)
    process.catalogue = place(SMS if begin is signs else EACH, sms_per_day=1)
    limited = await does(process, waiting, Wish.RESEND, later(seconds=61))
    assert refused(limited) is ActRefusal.SMS_LIMIT_REACHED
    opened = await one_open(process, user_id="u2")  # the same phone, whoever's card it is
    assert opened.payment.failure is not None
    assert (opened.payment.failure.code, opened.sms) == (FailureCode.TOO_MANY_TRIES, None)
    assert await process.one("SELECT sent FROM code_counts") == 1
    tomorrow = await one_open(process, later(days=1), user_id="u3")
    assert tomorrow.sms is not None


async def test_an_sms_that_is_sent_by_asking_to_pay_counts_for_the_phone(process: Process) -> None:
    process.carries_of, process.catalogue = that_can(by_pay=True), place(EACH, sms_per_day=2)
    process.witnessed_by(lambda database: database)
    opened = await one_open(process)
    assert (opened.sms, opened.payment.attempt is not None) == (None, True)
    waiting = payment_in(await process.heard(opened.payment, SmsNeeded(sent=True, continuation="p-1"), Source.ANSWER))
    resent = await does(process, waiting, Wish.RESEND, later(seconds=61))
    assert resent.sms is not None
    assert resent.continuation == "p-1"
    await process.books.record(code_word(waiting_in(resent), SmsNeeded(sent=True), at=later(seconds=62)))
    assert refused(await does(process, waiting, Wish.RESEND, later(seconds=150))) is ActRefusal.SMS_LIMIT_REACHED
    refused_one = await one_open(process, user_id="u2")
    assert (refused_one.payment.status, refused_one.payment.attempt) == (Status.FAILED, None)


# --- giving it up, and too late ---


@WAYS
@pytest.mark.parametrize(("reason"), [ClosedReason.BY_APP, ClosedReason.BY_PAYER])
async def test_what_was_given_up_takes_nothing_and_a_code_after_it_is_not_sent(
    begin: Any, reason: ClosedReason, process: Process
) -> None:
    waiting = await begin(process)
    assert (await process.usage())[0] == 1000
    shut = payment_in(await does(process, waiting, Wish.CLOSE, reason=reason))
    assert (shut.status, shut.closed_reason, shut.sequence) == (Status.CLOSED, reason, 2)
    for wish, why in ((Wish.CONFIRM, None), (Wish.CLOSE, None), (Wish.RESEND, ActRefusal.NOT_WAITING)):
        again = await does(process, waiting, wish, later(seconds=61))
        assert (refused(again), again.object, again.code) == (why, shut, None)
    assert await process.usage() == (0, 0, 0)
    assert await process.rows("SELECT sequence, type FROM events ORDER BY sequence") == [
        (1, "payment.requires_action"), (2, "payment.closed"),
    ]  # fmt: skip
    assert await process.one("SELECT count(*) FROM last_attempts") == 0


@WAYS
@pytest.mark.parametrize(
    ("wish", "why"), [(Wish.CONFIRM, None), (Wish.CLOSE, None), (Wish.RESEND, ActRefusal.NOT_WAITING)]
)
async def test_after_its_time_nothing_is_sent_whoever_comes_first(
    begin: Any, wish: Wish, why: ActRefusal | None, process: Process
) -> None:
    waiting = await begin(process)
    late = await does(process, waiting, wish, cast("Any", waiting.until_at))
    assert (refused(late), late.code) == (why, None)
    after = await process.read(waiting)
    assert (after.status, after.closed_reason, late.object) == (Status.CLOSED, ClosedReason.EXPIRED, after)
    assert payment_in(await does(process, waiting, Wish.EXPIRE, later(hours=1))) == after


@WAYS
async def test_nobody_expires_before_its_time_and_a_resend_gives_a_signing_more(begin: Any, process: Process) -> None:
    waiting = await begin(process)
    early = cast("Any", waiting.until_at) - timedelta(seconds=1)
    assert payment_in(await does(process, waiting, Wish.EXPIRE, early)).status is Status.REQUIRES_ACTION
    resent = await does(process, waiting, Wish.RESEND, later(minutes=4))
    after = payment_in(
        await process.books.record(asks(waiting_in(resent), resent.sms, CodeSent(), later(minutes=4, seconds=1)))
    )
    assert after.until_at == (later(minutes=9) if begin is signs else waiting.until_at)


@WAYS
async def test_what_has_a_code_in_the_air_is_not_given_up_and_ends_by_its_answer(begin: Any, process: Process) -> None:
    waiting = await begin(process)
    granted = await does(process, waiting, Wish.CONFIRM)
    may_be = ActRefusal.MAY_BE_PAID if begin is pays else ActRefusal.CONFIRMATION_IN_PROGRESS
    for at in (NOW, later(hours=1)):
        shut = await does(process, waiting, Wish.CLOSE, at)
        assert (refused(shut), shut.ask) == (may_be, False)  # its answer is awaited: nobody asks beside it
        assert refused(await does(process, waiting, Wish.CONFIRM, at)) is ActRefusal.CONFIRMATION_IN_PROGRESS
        assert refused(await does(process, waiting, Wish.RESEND, at)) is ActRefusal.CONFIRMATION_IN_PROGRESS
    assert (await does(process, waiting, Wish.EXPIRE, later(hours=1))).refused is None
    assert (await process.read(waiting)).status is Status.REQUIRES_ACTION
    good: Any = Succeeded(1000) if begin is pays else Authenticated("t-1")
    after = payment_in(await process.books.record(code_word(waiting_in(granted), good, at=later(seconds=9))))
    assert after.status is (Status.SUCCEEDED if begin is pays else Status.PROCESSING)


async def may_be_paid(process: Process) -> Payment:
    """A payment whose PSP has sent the SMS since it was asked to pay: it has an order that it may pay."""
    process.carries_of = that_can(by_pay=True)
    process.witnessed_by(lambda database: database)
    opened = await one_open(process)
    return payment_in(await process.heard(opened.payment, SmsNeeded(sent=True), Source.ANSWER))


async def test_an_order_that_the_psp_may_pay_is_given_up_only_after_a_question(process: Process) -> None:
    waiting = await may_be_paid(process)
    asking = await does(process, waiting, Wish.CLOSE)
    assert (refused(asking), asking.ask) == (ActRefusal.MAY_BE_PAID, True)
    over = cast("Any", waiting.until_at)
    expired = payment_in(await does(process, waiting, Wish.EXPIRE, over, said=AfterAsking.NOTHING))
    assert expired.asked is not None
    assert (expired.status, expired.asked.expired, expired.until_at) == (Status.REQUIRES_ACTION, True, None)
    assert expired.due_at is not None
    late = over + timedelta(seconds=1)
    typed = await does(process, waiting, Wish.CONFIRM, late)
    assert (refused(typed), typed.code) == (None, None)
    assert refused(await does(process, waiting, Wish.RESEND, late)) is ActRefusal.NOT_WAITING
    assert (await process.read(waiting)) == expired
    asking = await does(process, waiting, Wish.CLOSE, late)
    assert (refused(asking), asking.ask) == (ActRefusal.MAY_BE_PAID, True)
    shut = payment_in(await does(process, waiting, Wish.CLOSE, late, said=AfterAsking.REFUSED))
    assert (shut.status, shut.closed_reason, shut.due_at) == (Status.CLOSED, ClosedReason.BY_APP, None)


async def test_whoever_wishes_to_close_it_in_a_loop_has_its_psp_asked_once_at_a_time_and_with_a_gap(
    process: Process, other: Process
) -> None:
    waiting = await may_be_paid(process)
    said = await asyncio.gather(*(does(each, waiting, Wish.CLOSE) for each in (process, other) for _ in range(5)))
    assert sorted((each.ask, each.wait_s) for each in said) == [(False, 35)] * 9 + [(True, 0)]
    # Whoever asked is gone: another may ask when its answer is overdue.
    assert not (await does(process, waiting, Wish.CLOSE, later(seconds=34.5))).ask
    assert (await does(other, waiting, Wish.CLOSE, later(seconds=35))).ask
    answered = await does(other, waiting, Wish.CLOSE, later(seconds=36), said=AfterAsking.NOTHING)
    assert (refused(answered), answered.wait_s) == (ActRefusal.MAY_BE_PAID, 10)
    soon = await does(process, waiting, Wish.CLOSE, later(seconds=44.5))
    assert (refused(soon), soon.ask, soon.wait_s) == (ActRefusal.MAY_BE_PAID, False, 2)
    assert (await does(process, waiting, Wish.CLOSE, later(seconds=46))).ask
    # That it is not found proves nothing while the payer may still type the code.
    for seconds in range(47, 700, 50):
        known = {"said": AfterAsking.NOT_FOUND} if seconds > 47 else {"said": AfterAsking.NOTHING}
        after = await does(process, waiting, Wish.CLOSE, later(seconds=seconds), **known)
        assert refused(after) is ActRefusal.MAY_BE_PAID
    assert (await process.read(waiting)).until_at == waiting.until_at


async def test_what_is_asked_about_by_its_plan_is_not_asked_by_others_meanwhile(process: Process) -> None:
    waiting = await may_be_paid(process)
    over = cast("Any", waiting.until_at)
    assert refused(late := await does(process, waiting, Wish.CLOSE, over)) is ActRefusal.MAY_BE_PAID
    assert not late.ask
    due_at = cast("Any", (await process.read(waiting)).due_at)
    assert not (await does(process, waiting, Wish.CLOSE, due_at)).ask
    asking = payment_in(await does(process, waiting, Wish.EXPIRE, due_at, said=AfterAsking.NOTHING))
    assert (asking.due_at or over) > due_at
    granted = await does(process, waiting, Wish.CLOSE, due_at)
    assert granted.ask
    assert payment_in(granted).due_at == due_at + timedelta(seconds=35)  # nor by the plan before its answer is overdue


async def expires(process: Process, waiting: Payment, at: datetime, said: AfterAsking) -> Payment:
    return payment_in(await does(process, waiting, Wish.EXPIRE, at, said=said))


async def test_that_an_order_is_not_found_closes_it_by_the_terms_counted_from_its_expiry(process: Process) -> None:
    waiting = await may_be_paid(process)
    over, rule = cast("Any", waiting.until_at), cast("Any", TERMS.not_found)
    proved_at = over + timedelta(seconds=rule.over_s + PROOF_MARGIN_S)
    for number in range(rule.answers + 2):
        after = await expires(process, waiting, over + timedelta(seconds=number), AfterAsking.NOT_FOUND)
        assert (after.status, after.due_at is not None) == (Status.REQUIRES_ACTION, True)
    assert not (await expires(process, waiting, proved_at, AfterAsking.NOTHING)).is_final
    shut = await expires(process, waiting, proved_at, AfterAsking.NOT_FOUND)
    assert (shut.status, shut.closed_reason, shut.failure) == (Status.CLOSED, ClosedReason.EXPIRED, None)
    assert await process.usage() == (0, 0, 0)
    # It ended without the PSP's word: it is looked at again, and what is paid after all is an anomaly.
    assert shut.due_at == proved_at + timedelta(hours=1)
    looked = payment_in(await process.heard(shut, NotFound("34"), at=shut.due_at))
    assert looked.due_at == proved_at + timedelta(hours=6)
    late = payment_in(await process.heard(shut, Succeeded(1000), at=looked.due_at))
    assert (late.status, late.due_at) == (Status.CLOSED, None)
    assert await process.rows("SELECT kind FROM anomalies") == [("late_success",)]


async def test_where_not_found_never_proves_anything_it_is_asked_about_until_its_psp_refuses_it(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await may_be_paid(process)
    never = replace(TERMS, not_found=None)
    monkeypatch.setattr(process.recording._acts._giving_up, "_terms_of", lambda *_: never)
    at = cast("Any", waiting.until_at)
    for _ in range(20):
        after = await expires(process, waiting, at, AfterAsking.NOT_FOUND)
        assert (after.status, after.due_at) == (Status.REQUIRES_ACTION, after.due_at)
        at = cast("Any", after.due_at)
    assert at > later(minutes=30)
    shut = await expires(process, waiting, at, AfterAsking.REFUSED)
    assert (shut.status, shut.due_at) == (Status.CLOSED, None)


@pytest.mark.parametrize(
    ("said", "source"),
    [
        (Declined(FailureCode.CHANNEL_REFUSED), Source.OPERATOR),
        (Declined(FailureCode.CHANNEL_REFUSED), Source.CALLBACK),
        (NotFound("34"), Source.OPERATOR),
    ],
    ids=repr,
)
async def test_a_word_of_its_psp_that_nobody_asked_for_closes_what_waits_for_a_proof(
    said: Any, source: Source, process: Process
) -> None:
    waiting = await may_be_paid(process)
    early = payment_in(await process.heard(waiting, said, source))
    assert early.status is Status.REQUIRES_ACTION  # the payer may still type the code
    expired = await expires(process, waiting, cast("Any", waiting.until_at), AfterAsking.NOTHING)
    heard = payment_in(await process.heard(expired, NotFound("34"), Source.CALLBACK, cast("Any", expired.due_at)))
    assert heard.status is Status.REQUIRES_ACTION
    shut = payment_in(await process.heard(expired, said, source, cast("Any", expired.due_at)))
    assert (shut.status, shut.closed_reason, shut.due_at) == (Status.CLOSED, ClosedReason.EXPIRED, None)
    assert await process.one("SELECT type FROM events ORDER BY sequence DESC LIMIT 1") == "payment.closed"


async def test_what_its_psp_called_paid_before_a_code_was_typed_is_asked_about_and_not_paid(process: Process) -> None:
    waiting = await pays(process)
    told = payment_in(await process.heard(waiting, Succeeded(1000, "theirs-1"), Source.CALLBACK))
    assert (told.status, told.sequence) == (Status.REQUIRES_ACTION, 2)
    typed = await does(process, waiting, Wish.CONFIRM, later(seconds=5))
    assert (refused(typed), typed.code) == (None, None)
    asked = await process.read(waiting)
    assert asked.attempt is not None
    assert asked.due_at == later(seconds=5)
    assert refused(await does(process, waiting, Wish.CLOSE, later(seconds=6))) is ActRefusal.MAY_BE_PAID
    paid = payment_in(await process.heard(asked, Succeeded(1000, "theirs-1"), at=later(seconds=7)))
    assert (paid.status, paid.sequence) == (Status.SUCCEEDED, 3)


async def test_the_wish_to_close_what_was_called_paid_asks_first(process: Process) -> None:
    waiting = await pays(process)
    await process.heard(waiting, Succeeded(1000, "theirs-1"), Source.CALLBACK)
    shut = await does(process, waiting, Wish.CLOSE, later(seconds=5))
    assert refused(shut) is ActRefusal.MAY_BE_PAID
    assert payment_in(shut).attempt is not None


# --- processes that die, and answers that are lost ---


@WAYS
@pytest.mark.parametrize("wish", [Wish.CONFIRM, Wish.RESEND])
async def test_after_a_lost_answer_to_commit_the_one_who_wished_sends_it_and_nobody_else(
    begin: Any, wish: Wish, process: Process, other: Process
) -> None:
    waiting = await begin(process)
    other.catalogue = process.catalogue
    other.witnessed_by(lambda database: LostCommitDatabase(database, 1))
    asked = act(waiting, wish, later(seconds=61))
    granted = await other.books.act(asked)
    sent = granted.code or granted.sms
    assert sent is not None
    assert sent.intent_id == asked.intent_id
    assert granted.continuation == "c-1"
    assert refused(await does(process, waiting, wish, later(seconds=61))) in {
        ActRefusal.CONFIRMATION_IN_PROGRESS, ActRefusal.SMS_IN_PROGRESS,
    }  # fmt: skip
    assert await process.one("SELECT sum(sent)::int FROM code_counts") == (2 if wish is Wish.RESEND else 1)


@pytest.mark.parametrize("mode", [SMS, EACH])
async def test_after_a_lost_answer_to_the_commit_of_an_opening_its_sms_is_still_sent(
    mode: Any, process: Process, other: Process
) -> None:
    other.catalogue = place(mode)
    other.witnessed_by(lambda database: LostCommitDatabase(database, 1))
    opened = await other.books.open(opening(order("first", customer_present=True)))
    assert isinstance(opened, OpenResult)
    assert (opened.replayed, opened.sms is not None) == (False, True)
    assert (opened.authentication is not None) is (mode is SMS)
    again = await process.books.open(opening(order("first", customer_present=True)))
    assert (again.replayed, again.sms) == (True, None)


@WAYS
@pytest.mark.parametrize("late", [CodeSent("c-9"), Declined(FailureCode.CARD_FROZEN)], ids=repr)
async def test_an_sms_whose_sender_died_is_waited_for_and_its_late_answer_is_still_of_use(
    begin: Any, late: Any, process: Process
) -> None:
    process.catalogue = place(SMS if begin is signs else EACH)
    opened = await one_open(process)
    about = opened.authentication or opened.payment
    word = sms_word(about, Unknown("nobody knows whether it was sent"), 1, Source.POLL, later(seconds=40))
    waiting = payment_in(await process.books.record(word))
    assert (waiting.status, waiting.sequence) == (Status.REQUIRES_ACTION, 1)
    await process.books.record(asks(about, opened.sms, late, later(seconds=41)))
    assert await process.read(waiting) == waiting
    granted = await does(process, waiting, Wish.CONFIRM, later(seconds=42))
    assert granted.continuation == ("c-9" if isinstance(late, CodeSent) else None)
    assert granted.code is not None


async def test_a_code_whose_answer_is_lost_is_asked_about_and_a_wrong_one_asks_the_payer_anew(process: Process) -> None:
    waiting = await pays(process)
    granted = waiting_in(await does(process, waiting, Wish.CONFIRM))
    lost = payment_in(await process.books.record(code_word(granted, Unknown("timeout"))))
    assert lost.status is Status.PROCESSING
    typed = await does(process, waiting, Wish.CONFIRM, later(seconds=3))
    assert (refused(typed), typed.code, payment_in(typed).status) == (None, None, Status.PROCESSING)
    assert refused(await does(process, waiting, Wish.CLOSE, later(seconds=3))) is ActRefusal.NOT_WAITING
    wrong = payment_in(await process.books.record(code_word(granted, WRONG, Source.POLL, later(seconds=4))))
    assert (wrong.status, wrong.sequence) == (Status.REQUIRES_ACTION, 2)
    assert (await does(process, waiting, Wish.CONFIRM, later(seconds=5))).code is not None
    assert await process.rows("SELECT sequence, type FROM events ORDER BY sequence") == [
        (1, "payment.requires_action"), (2, "payment.requires_action"),
    ]  # fmt: skip


@pytest.mark.parametrize("said", [Unknown("no question"), NotFound("34")], ids=repr)
async def test_a_signing_whose_answer_is_lost_fails_as_unknown_and_charges_nothing(said: Any, process: Process) -> None:
    waiting = await signs(process)
    granted = waiting_in(await does(process, waiting, Wish.CONFIRM))
    after = payment_in(await process.books.record(code_word(granted, said, Source.POLL, later(seconds=30))))
    assert after.failure is not None
    assert (after.status, after.failure.code) == (Status.FAILED, FailureCode.AUTHENTICATION_UNKNOWN)
    assert (after.attempt, after.authentication_fee) == (None, 100)


async def test_a_code_that_is_paid_by_callback_in_the_flush_that_submits_it_is_not_sent(process: Process) -> None:
    waiting = await pays(process)
    typed = act(waiting, Wish.CONFIRM)
    said = await process.recording.flush([typed, observation(waiting, Succeeded(1000), Source.CALLBACK)])
    assert [cast("Recorded", each).code for each in said] == [None, None]
    assert (await process.read(waiting)).status is Status.SUCCEEDED


# --- a card that is signed first, and a code to pay with then ---


async def test_a_payment_that_wants_both_codes_asks_for_one_after_the_other(process: Process, other: Process) -> None:
    process.carries_of = that_can(code_wants_agreement=True, silent=False)
    process.witnessed_by(lambda database: database)
    opened = await one_open(process)
    assert opened.authentication is not None
    waiting = payment_in(await process.books.record(asks(opened.authentication, opened.sms, CodeSent("s-1"))))
    assert waiting.asked is not None
    assert (waiting.asked.purpose, waiting.asked.then_pays) == (Purpose.SIGN, True)
    granted = await does(other, waiting, Wish.CONFIRM, later(seconds=5))
    assert (granted.continuation, granted.agreement_no) == ("s-1", None)
    bound = await other.books.record(code_word(waiting_in(granted), Authenticated("token-1"), at=later(seconds=9)))
    assert bound.sms is not None
    assert (bound.agreement_no, bound.submit, bound.sms.object_id) == ("token-1", False, waiting.payment_id)
    to_pay = payment_in(
        await other.books.record(asks(payment_in(bound), bound.sms, CodeSent("p-1"), later(seconds=10)))
    )
    assert (to_pay.status, to_pay.sequence) == (Status.REQUIRES_ACTION, 2)
    coded = await does(process, waiting, Wish.CONFIRM, later(seconds=20))
    assert (coded.continuation, coded.agreement_no) == ("p-1", "token-1")
    paid = payment_in(await process.books.record(code_word(waiting_in(coded), Succeeded(1000), at=later(seconds=21))))
    assert (paid.status, paid.sequence, paid.authentication_fee) == (Status.SUCCEEDED, 3, 100)
    assert await process.one("SELECT sent FROM code_counts") == 2
    async with process.engine.connect() as connection:
        told = timeline_object((await timeline_of(connection, paid, None, 100)).happened)
    assert [each.get("purpose") or each.get("says") or each["what"] for each in told if "event" not in each] == [
        "payment_taken", "routed", "authentication_started", "sign", "signing_code_sent", "code_submitted",
        "authentication_finished", "pay", "authentication_authenticated", "payment_code_sent", "submitted",
        "succeeded", "payment_finished",
    ]  # fmt: skip


async def test_the_second_sms_is_asked_for_by_whoever_goes_on_and_once(process: Process, other: Process) -> None:
    """Heard by callback, nobody holds the card in hand: the payment is due, and of two who take it up one sends."""
    process.carries_of = that_can(code_wants_agreement=True, silent=False)
    process.witnessed_by(lambda database: database)
    opened = await one_open(process)
    assert opened.authentication is not None
    waiting = payment_in(await process.books.record(asks(opened.authentication, opened.sms, CodeSent())))
    granted = waiting_in(await does(process, waiting, Wish.CONFIRM))
    heard = await process.books.record(code_word(granted, Authenticated("token-1"), Source.CALLBACK, later(seconds=9)))
    assert (heard.sms, heard.submit) == (None, False)
    going = [GoOn(waiting.merchant_id, waiting.user_id, waiting.payment_id, uuid4(), later(seconds=9)) for _ in "ab"]
    said = [cast("Recorded", each) for each in await process.recording.flush(list(going))]
    assert [each.sms is not None for each in said] == [True, False]
    # Whoever asks again under the same id had lost the answer to its COMMIT: it is still theirs to send.
    retried = [await other.books.go_on(each) for each in going]
    assert [each.sms is not None for each in retried] == [True, False]
    assert retried[0].agreement_no == "token-1"


async def test_what_waits_for_a_code_is_known_to_doctor_when_it_is_not_sound(
    process: Process, engine: AsyncEngine
) -> None:
    waiting = await signs(process)
    async with process.database.transaction() as connection:
        await connection.execute("UPDATE authentications SET sequence = 0, status = 'succeeded', finished_at = $1,"
                                 " until_at = NULL", NOW)  # fmt: skip
    found = await examine(engine, NOW)
    assert len(found) == 1
    assert "is succeeded, and its intent is" in found[0]
    async with process.database.transaction() as connection:
        await connection.execute("UPDATE authentications SET status = 'requires_action', finished_at = NULL,"
                                 " until_at = $1", waiting.until_at)  # fmt: skip


async def test_processing_by_callback_leaves_the_payer_the_time_to_type(process: Process) -> None:
    waiting = await pays(process)
    granted = waiting_in(await does(process, waiting, Wish.CONFIRM))
    assert isinstance(granted, Payment)
    after = payment_in(await process.heard(granted, Processing(), Source.CALLBACK))
    assert after == replace(granted, attempt=after.attempt)
