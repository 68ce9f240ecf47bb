"""How the signing of a card begins and whose it is: two processes at once, silent ways that close, what apps ask for.

On a real PostgreSQL, and doctor looks at the end. Not tested here: the wishes of payers (test_payer_acts.py), silent
authentications that need nobody (test_waiting.py).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import SilentRefusal
from gateway.domain.codes import ClosedReason
from gateway.domain.failures import Blame, FailureCode
from gateway.domain.hearing import Source
from gateway.domain.outcomes import Authenticated, CodeSent, Declined, SmsNeeded, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.domain.unbinding import Unbinding
from gateway.ports import ActRefusal, CardInUseError, CardNotFoundError, OpenResult, OrderConflictError, Wish
from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.writing import erasing
from gateway.storage.writing.authentications import authentications_by_id
from gateway.storage.writing.unbinding import UnbindingStore
from tests.keys import new_keys
from tests.storage.gateway_process import LostCommitDatabase, Process, card_observation, payment_in
from tests.storage.payers import (
    EACH,
    SILENT,
    SMS,
    asks,
    code_word,
    does,
    one_asked,
    one_open,
    place,
    refused,
    sign_opening,
    sign_order,
    that_can,
)
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, later, opening, order

BOUND, NEEDS_SMS = Authenticated("token-1"), SmsNeeded("S1")
IDENTITY = Declined(FailureCode.NAME_MISMATCH, "N1")


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> AsyncIterator[Process]:
    """Whatever a test does, the books are sound after it."""
    yield Process(engine, own_keys, place(SMS), carries_of=that_can())
    assert await examine(engine, NOW) == []


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys, process: Process) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, own_keys, process.catalogue, carries_of=process.carries_of)


def code_of(payment: Payment) -> FailureCode | None:
    return payment.failure.code if payment.failure else None


async def read_authentication(process: Process, authentication_id: UUID) -> Authentication:
    async with process.database.connection() as connection:
        found = await authentications_by_id(connection, MERCHANT_ID, [authentication_id])
    return found[authentication_id]


# --- one signing of a card ---


async def test_of_two_first_payments_at_once_on_two_processes_one_signs(process: Process, other: Process) -> None:
    first, second = await asyncio.gather(one_open(process), one_open(other))
    signing, late = sorted((first, second), key=lambda opened: opened.sms is None)
    assert signing.sms is not None
    assert (late.sms, late.authentication, code_of(late.payment)) == (None, None, FailureCode.SIGNING_IN_PROGRESS)
    assert await process.one("SELECT count(*) FROM intents") == 1
    # The claim ends with its owner, and the next payment may sign.
    assert signing.authentication is not None
    await process.books.record(asks(signing.authentication, signing.sms, CodeSent()))
    await does(process, signing.payment, Wish.CLOSE)
    assert (await one_open(other)).sms is not None


async def test_in_one_flush_too_one_signs_and_another_users_card_has_its_own(process: Process) -> None:
    orders = [order(f"o{n}", customer_present=True) for n in range(3)]
    orders.append(order("theirs", customer_present=True, user_id="u2"))
    results = [cast("OpenResult", each) for each in await process.opening.flush([opening(each) for each in orders])]
    assert [each.sms is not None for each in results] == [True, False, False, True]
    assert [code_of(each.payment) for each in results] == [
        None, FailureCode.SIGNING_IN_PROGRESS, FailureCode.SIGNING_IN_PROGRESS, None,
    ]  # fmt: skip


async def test_a_card_that_was_signed_pays_at_once_and_costs_its_fee_once(process: Process) -> None:
    opened = await one_open(process)
    assert opened.authentication is not None
    waiting = payment_in(await process.books.record(asks(opened.authentication, opened.sms, CodeSent())))
    granted = await does(process, waiting, Wish.CONFIRM)
    assert granted.authentication is not None
    assert granted.code is not None
    assert granted.code.ordinal == 1
    bound = await process.books.record(code_word(granted.authentication, BOUND))
    paying = payment_in(bound)
    assert (bound.submit, bound.agreement_no, paying.authentication_fee) == (True, "token-1", 100)
    again = await one_open(process)
    assert (again.sms, again.authentication, again.agreement_no, again.payment.authentication_fee) == (
        None, None, "token-1", None,
    )  # fmt: skip


@pytest.mark.parametrize(("elsewhere", "blame"), [(True, Blame.CHANNEL), (False, Blame.PAYER)])
async def test_a_card_refused_before_its_sms_is_the_channels_fault_where_another_verified_it(
    elsewhere: bool, blame: Blame, process: Process
) -> None:
    if elsewhere:
        process.catalogue = place(SMS, best="tl")
        bound = await one_open(process)
        await process.heard_of_card(bound.payment, BOUND)
        process.catalogue = place(SMS)
    opened = await one_open(process)
    assert opened.authentication is not None
    failed = payment_in(await process.books.record(asks(opened.authentication, opened.sms, IDENTITY)))
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.blame) == (FailureCode.AUTHENTICATION_REJECTED, blame)
    assert (failed.attempt, failed.authentication_fee, failed.sequence) == (None, None, 1)
    kept = await read_authentication(process, opened.authentication.authentication_id)
    assert kept.contradicts is elsewhere


async def test_a_primary_that_changes_in_between_leaves_the_code_where_its_sms_came_from(process: Process) -> None:
    opened = await one_open(process)
    assert opened.authentication is not None
    waiting = payment_in(await process.books.record(asks(opened.authentication, opened.sms, CodeSent("c-1"))))
    process.catalogue = place(SMS, primary="tl")
    resent = await does(process, waiting, Wish.RESEND, later(seconds=61))
    assert resent.sms is not None
    assert (resent.sms.account, resent.continuation) == ("up-1", "c-1")
    await process.books.record(asks(opened.authentication, resent.sms, CodeSent(), later(seconds=62)))
    # Nobody signs it elsewhere meanwhile.
    assert code_of((await one_open(process, later(seconds=63))).payment) is FailureCode.SIGNING_IN_PROGRESS
    granted = await does(process, waiting, Wish.CONFIRM, later(seconds=64))
    assert granted.code is not None
    assert granted.code.account == "up-1"
    await process.books.record(code_word(cast("Any", granted.authentication), BOUND, at=later(seconds=65)))
    assert (await one_open(process, later(seconds=66))).agreement_no == "token-1"


# --- a silent way that turns out to need an SMS ---


@pytest.fixture
async def silent(process: Process) -> Process:
    process.catalogue = place(SILENT)
    return process


async def test_on_the_primary_with_its_payer_there_the_payment_asks_for_the_code(silent: Process) -> None:
    starter = await one_open(silent)
    word = card_observation(starter.payment, NEEDS_SMS)
    heard = await silent.books.record(replace(word, phone="138****0000"))
    assert heard.sms is not None
    assert (heard.sms.account, heard.sms.ordinal, heard.submit) == ("up-1", 1, False)
    assert isinstance(heard.object, Authentication)
    waiting = payment_in(await silent.books.record(asks(heard.object, heard.sms, CodeSent("c-1"))))
    assert waiting.asked is not None
    assert (waiting.status, waiting.asked.phone, waiting.sequence) == (Status.REQUIRES_ACTION, "138****0000", 1)
    granted = await does(silent, waiting, Wish.CONFIRM)
    assert granted.code is not None
    assert (granted.code.ordinal, granted.continuation) == (2, "c-1")
    bound = await silent.books.record(code_word(cast("Any", granted.authentication), BOUND))
    assert (bound.submit, payment_in(bound).authentication_fee) == (True, 100)
    assert silent.refused_silently == []


async def test_whoever_says_it_again_in_the_same_flush_sends_no_second_sms(silent: Process, other: Process) -> None:
    starter = await one_open(silent)
    words = [card_observation(starter.payment, NEEDS_SMS, source) for source in (Source.ANSWER, Source.POLL)]
    said = [cast("Any", each) for each in await silent.recording.flush(list(words))]
    assert [each.sms is not None for each in said] == [True, False]
    assert await silent.one("SELECT sent FROM code_counts") == 1
    # Recorded by a try whose answer to COMMIT was lost: it is still for the one who heard it.
    assert (await silent.books.record(words[0])).sms is not None
    assert (await other.books.record(words[1])).sms is None


async def test_after_a_lost_answer_to_commit_the_sms_is_sent_by_the_one_who_heard_that_it_is_needed(
    silent: Process, other: Process
) -> None:
    starter = await one_open(silent)
    other.witnessed_by(lambda database: LostCommitDatabase(database, 1))
    assert (await other.heard_of_card(starter.payment, NEEDS_SMS)).sms is not None
    assert await silent.one("SELECT sent FROM code_counts") == 1


@pytest.mark.parametrize(
    ("starter_there", "waiters_there", "claims"),
    [(True, (True, False), 0), (False, (False, True, True), 2), (False, (), None), (False, (False,), None)],
)
async def test_the_first_who_is_there_takes_the_claim_and_the_others_fail(
    starter_there: bool, waiters_there: tuple[bool, ...], claims: int | None, silent: Process, other: Process
) -> None:
    other.catalogue = silent.catalogue
    starter = (await one_open(silent, customer_present=starter_there)).payment
    waiters = [
        (await one_open(other, later(seconds=n), customer_present=there)).payment
        for n, there in enumerate(waiters_there, 1)
    ]
    everybody = [starter, *waiters]
    assert {each.authentication_id for each in everybody} == {starter.authentication_id}
    heard = await silent.heard_of_card(starter, NEEDS_SMS, at=later(seconds=9))
    after = [await silent.read(each) for each in everybody]
    if claims is None:
        assert heard.sms is None
        assert {code_of(each) for each in after} == {FailureCode.AUTHENTICATION_REJECTED}
        assert {each.failure.blame for each in after if each.failure} == {Blame.CHANNEL}
        assert silent.refused_silently == [("up-1", "ICBC", "S1")]
        return
    assert [code_of(each) for each in after] == [
        None if n == claims else FailureCode.SIGNING_IN_PROGRESS for n in range(len(everybody))
    ]
    assert heard.sms is not None
    waiting = payment_in(await silent.books.record(asks(cast("Any", heard.object), heard.sms, CodeSent())))
    assert (waiting.payment_id, waiting.status) == (after[claims].payment_id, Status.REQUIRES_ACTION)


async def test_elsewhere_it_fails_without_a_charge_and_the_bank_is_no_longer_bound_silently_there(
    silent: Process,
) -> None:
    silent.catalogue = place(SILENT, primary="tl")
    starter = await one_open(silent)
    failed = payment_in(await silent.heard_of_card(starter.payment, NEEDS_SMS))
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.blame, failed.attempt) == (
        FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL, None,
    )  # fmt: skip
    assert silent.refused_silently == [("up-1", "ICBC", "S1")]
    silent.catalogue = place(
        SILENT, primary="tl", silent_refusals=[SilentRefusal(MERCHANT_ID, "up-1", "ICBC", None, NOW)]
    )
    assert code_of((await one_open(silent)).payment) is FailureCode.CARD_NEEDS_SIGNING
    silent.catalogue = place(
        SILENT, primary="up", silent_refusals=[SilentRefusal(MERCHANT_ID, "up-1", "ICBC", None, NOW)]
    )
    assert (await one_open(silent)).sms is not None
    absent = await one_open(silent, user_id="u2", customer_present=False)
    assert code_of(absent.payment) is FailureCode.CARD_NEEDS_SIGNING


async def test_a_phone_that_had_its_sms_today_is_not_asked_again(silent: Process) -> None:
    silent.catalogue = place(SILENT, sms_per_day=0)
    starter = await one_open(silent)
    heard = await silent.heard_of_card(starter.payment, NEEDS_SMS)
    ended = payment_in(heard)
    assert (heard.sms, code_of(ended)) == (None, FailureCode.TOO_MANY_TRIES)
    assert ended.failure is not None
    assert ended.failure.blame is Blame.PAYER, "it says nothing of the channel"
    assert await silent.count("code_counts") == 0


# --- what apps ask for by themselves ---


async def test_an_app_signs_a_card_and_is_told_by_events_without_a_gap(process: Process) -> None:
    opened = await one_asked(process)
    assert (opened.replayed, opened.sms is not None) == (False, True)
    again = await one_asked(process)
    assert (again.replayed, again.sms, again.authentication) == (True, None, opened.authentication)
    heard = await process.books.record(asks(opened.authentication, opened.sms, CodeSent("c-1")))
    assert isinstance(heard.object, Authentication)
    for number in range(2):
        granted = await does(process, heard.object, Wish.CONFIRM, later(seconds=number))
        assert granted.continuation == "c-1"
        said: Any = BOUND if number else Declined(FailureCode.SMS_CODE_WRONG)
        done = await process.books.record(code_word(cast("Any", granted.authentication), said))
    assert isinstance(done.object, Authentication)
    assert (done.object.status, done.object.sequence, done.submit) == (Status.SUCCEEDED, 2, False)
    assert await process.rows("SELECT sequence, type FROM events ORDER BY sequence") == [
        (1, "authentication.requires_action"), (2, "authentication.succeeded"),
    ]  # fmt: skip
    known = await one_asked(process, "sign-2")
    assert (known.authentication.status, known.authentication.fee, known.sms) == (Status.SUCCEEDED, 0, None)
    assert (await one_open(process)).agreement_no == "token-1"


async def test_its_order_number_is_of_the_space_of_all_orders(process: Process) -> None:
    await one_asked(process)
    (conflict,) = await process.opening.flush([opening(order("sign-1"))])
    assert isinstance(conflict, OrderConflictError)
    with pytest.raises(OrderConflictError):
        await one_asked(process, body=b"other")
    await process.opened(order("pay-1", user_id="u2"))
    with pytest.raises(OrderConflictError):
        await one_asked(process, "pay-1")
    with pytest.raises(OrderConflictError):
        await process.refund((await one_open(process, user_id="u3")).payment, 100, "sign-1")


async def test_of_two_copies_at_once_on_two_processes_one_sends(process: Process, other: Process) -> None:
    both = await asyncio.gather(*(one_asked(each) for each in (process, other)))
    assert sorted(each.replayed for each in both) == [False, True]
    assert sorted(each.sms is not None for each in both) == [False, True]
    flushed = await process.authenticating.flush([sign_opening(sign_order("x", user_id="u2")) for _ in range(2)])
    assert [cast("Any", each).replayed for each in flushed] == [False, True]


@pytest.mark.parametrize(
    ("change", "known", "code"),
    [
        ({"primary": None}, {}, FailureCode.NO_CHANNEL_AVAILABLE),
        ({}, {"customer_present": False}, FailureCode.CARD_NEEDS_SIGNING),
        ({"sms_per_day": 0}, {}, FailureCode.TOO_MANY_TRIES),
    ],
)
async def test_what_cannot_be_signed_is_recorded_as_failed_and_told(
    change: dict[str, Any], known: dict[str, Any], code: FailureCode, process: Process
) -> None:
    process.catalogue = place(SMS, **change)
    opened = await one_asked(process, **known)
    assert opened.authentication.failure is not None
    assert (opened.authentication.status, opened.authentication.failure.code) == (Status.FAILED, code)
    assert (opened.sms, opened.authentication.sequence) == (None, 1)
    assert await process.rows("SELECT sequence, type FROM events") == [(1, "authentication.failed")]


@pytest.mark.parametrize("source", [Source.ANSWER, Source.POLL])
async def test_a_silent_one_that_needs_an_sms_asks_nobody_where_the_app_said_that_nobody_is_there(
    source: Source, silent: Process, other: Process
) -> None:
    other.catalogue = silent.catalogue
    opened = await one_asked(silent, customer_present=False)
    assert (opened.sms, opened.authentication.intent is not None) == (None, True)
    heard = await other.books.record(code_word(opened.authentication, NEEDS_SMS, source))  # whoever it is that asks
    after = heard.object
    assert isinstance(after, Authentication)
    assert (after.status, heard.sms) == (Status.FAILED, None)
    assert after.failure is not None
    assert (after.failure.code, after.failure.blame) == (FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL)
    assert other.refused_silently == [("up-1", "ICBC", "S1")]
    assert await silent.one("SELECT count(*) FROM code_counts") == 0
    # A payer who waits for the same card and is there is asked.
    again = await one_asked(silent, "sign-2", customer_present=False)
    waiter = (await one_open(other)).payment
    assert waiter.authentication_id == again.authentication.authentication_id
    assert (await other.books.record(code_word(again.authentication, NEEDS_SMS, source))).sms is not None


async def test_a_payment_and_an_app_do_not_sign_one_card_at_once(process: Process, other: Process) -> None:
    opened = await one_asked(process)
    assert code_of((await one_open(other)).payment) is FailureCode.SIGNING_IN_PROGRESS
    await process.books.record(asks(opened.authentication, opened.sms, CodeSent()))
    shut = await does(process, opened.authentication, Wish.CLOSE)
    assert isinstance(shut.object, Authentication)
    assert (shut.object.status, shut.object.closed_reason) == (Status.CLOSED, ClosedReason.BY_APP)
    assert refused(await does(process, opened.authentication, Wish.RESEND)) is ActRefusal.NOT_WAITING
    assert (await one_open(other)).sms is not None
    busy = await one_asked(process, "sign-2")
    assert busy.authentication.failure is not None
    assert busy.authentication.failure.code is FailureCode.SIGNING_IN_PROGRESS


async def test_payments_wait_for_what_an_app_binds_silently_and_one_of_them_may_answer_its_sms(
    silent: Process, other: Process
) -> None:
    other.catalogue = silent.catalogue
    opened = await one_asked(silent)
    assert (opened.sms, opened.authentication.intent is not None) == (None, True)
    waiter = (await one_open(other)).payment
    assert waiter.authentication_id == opened.authentication.authentication_id
    heard = await silent.books.record(code_word(opened.authentication, NEEDS_SMS))
    assert isinstance(heard.object, Authentication)
    asked = await silent.books.record(asks(heard.object, heard.sms, CodeSent()))
    assert (cast("Any", asked.object).status, payment_in(asked).status) == (Status.REQUIRES_ACTION,) * 2
    granted = await does(silent, payment_in(asked), Wish.CONFIRM)
    bound = await silent.books.record(code_word(cast("Any", granted.authentication), BOUND))
    assert (cast("Any", bound.object).status, bound.submit) == (Status.SUCCEEDED, True)
    paid = await silent.heard(payment_in(bound), Succeeded(1000))
    assert payment_in(paid).status is Status.SUCCEEDED
    assert await silent.rows("SELECT object, sequence, type FROM events ORDER BY object, sequence") == [
        ("authentication", 1, "authentication.requires_action"), ("authentication", 2, "authentication.succeeded"),
        ("payment", 1, "payment.requires_action"), ("payment", 2, "payment.succeeded"),
    ]  # fmt: skip


async def test_after_a_lost_answer_to_commit_its_sms_is_still_sent(process: Process, other: Process) -> None:
    other.witnessed_by(lambda database: LostCommitDatabase(database, 1))
    opened = await one_asked(other)
    assert (opened.replayed, opened.sms is not None) == (False, True)
    assert (await one_asked(process)).replayed


# --- giving a card up ---


async def bound_card(process: Process) -> tuple[UnbindingStore, UUID]:
    """A card that is bound, and paid with."""
    process.catalogue = place(SILENT)
    starter = (await one_open(process)).payment
    await process.heard(payment_in(await process.heard_of_card(starter, BOUND)), Succeeded(1000))
    assert starter.card is not None
    return UnbindingStore(process.database, lambda: process.catalogue), starter.card.card_id


async def claimed(store: UnbindingStore, seconds: float = 0) -> list[Unbinding]:
    return await store.claim(MERCHANT_ID, later(seconds=seconds), 10, later(seconds=seconds + 300))


async def test_a_card_is_not_given_up_while_a_payment_or_a_signing_of_it_is_open(
    process: Process, other: Process
) -> None:
    store, card_id = await bound_card(process)
    paying = (await one_open(process)).payment
    theirs = UnbindingStore(other.database, lambda: other.catalogue)
    with pytest.raises(CardInUseError):
        await theirs.give_up(MERCHANT_ID, card_id, NOW)
    await process.heard(paying, Declined(FailureCode.CARD_FROZEN))
    given_up = await asyncio.gather(*(each.give_up(MERCHANT_ID, card_id, later(seconds=1)) for each in (store, theirs)))
    assert given_up == [True, True]
    assert [each.still for each in await claimed(store, 2)] == [True]
    assert await claimed(theirs, 2) == []
    process.catalogue = place(SMS)
    signing = await one_open(process, later(seconds=3))  # bound no more: it is signed anew
    assert signing.sms is not None
    with pytest.raises(CardInUseError):
        await store.give_up(MERCHANT_ID, card_id, later(seconds=4))


async def test_what_is_bound_anew_meanwhile_is_not_ended_nor_is_a_later_wish_by_an_older_word(
    process: Process,
) -> None:
    store, card_id = await bound_card(process)
    await store.give_up(MERCHANT_ID, card_id, later(seconds=1))
    (first,) = await claimed(store, 2)
    again = (await one_open(process, later(seconds=3))).payment
    rebound = await process.heard_of_card(again, Authenticated("token-2"), at=later(seconds=4))
    await process.heard(payment_in(rebound), Succeeded(1000), at=later(seconds=5))
    await store.give_up(MERCHANT_ID, card_id, later(seconds=6))
    await store.end(first, "unbound", later(seconds=7))  # the slow word on the first wish
    await store.later(first, later(hours=1))
    assert await process.one("SELECT status FROM agreements") == "unbinding"
    (second,) = await claimed(store, 8)
    assert (second.asked_at, second.tries, second.still) == (later(seconds=6), 0, True)
    await store.end(second, "unbound", later(seconds=9))
    assert await process.one("SELECT status, voided_at FROM agreements") == ("void", later(seconds=9))
    assert await process.one("SELECT ended, due_at FROM unbindings") == ("unbound", None)


async def test_a_card_that_was_bound_anew_stays_bound(process: Process) -> None:
    store, card_id = await bound_card(process)
    await store.give_up(MERCHANT_ID, card_id, later(seconds=1))
    again = (await one_open(process, later(seconds=3))).payment
    await process.heard_of_card(again, Authenticated("token-2"), at=later(seconds=4))
    (late,) = await claimed(store, 5)
    assert not late.still
    await store.end(late, "unbound", later(seconds=6))
    assert await process.one("SELECT status FROM agreements") == "active"
    assert (await one_open(process, later(seconds=7))).agreement_no == "token-2"


async def test_a_card_that_was_given_up_cannot_be_named_any_more_until_it_is_used_anew(process: Process) -> None:
    store, card_id = await bound_card(process)
    by_id: dict[str, Any] = {"card_id": card_id}
    (taken,) = await process.opened(order("before", **by_id))
    signed = await one_asked(process, "signed", **by_id)
    await process.heard(taken, Declined(FailureCode.CARD_FROZEN))
    await store.give_up(MERCHANT_ID, card_id, later(seconds=1))
    assert await process.due.find_card(MERCHANT_ID, "u1", card_id) is None
    # Whoever read its elements a moment before it was given up, too.
    (refused_one,) = await process.opening.flush([opening(order("new", **by_id))])
    assert isinstance(refused_one, CardNotFoundError)
    with pytest.raises(CardNotFoundError):
        await one_asked(process, "new", **by_id)
    gone = order("before", card=None, **by_id)
    (replayed,) = await process.opening.flush([opening(gone)])
    assert (cast("OpenResult", replayed).payment.payment_id, cast("OpenResult", replayed).replayed) == (
        taken.payment_id, True,
    )  # fmt: skip
    same_body = sign_order("signed", **by_id).body
    again = await process.books.open_authentication(
        sign_opening(sign_order("signed", card=None, body=same_body, **by_id))
    )
    assert (again.authentication.authentication_id, again.replayed) == (signed.authentication.authentication_id, True)
    # Typed once more, it is there once more when it is bound.
    typed = (await one_open(process, later(seconds=3))).payment
    assert typed.card is not None
    assert typed.card.card_id == card_id
    assert await process.due.find_card(MERCHANT_ID, "u1", card_id) is None
    await process.heard_of_card(typed, Authenticated("token-2"), at=later(seconds=4))
    assert await process.due.find_card(MERCHANT_ID, "u1", card_id) is not None
    (named,) = await process.opened(order("after", **by_id), now=later(seconds=5))
    assert named.card == typed.card


async def test_a_card_is_not_erased_while_an_app_has_it_authenticated(process: Process) -> None:
    opened = await one_asked(process)
    card_id = opened.authentication.card_id
    waiting = (await process.books.record(asks(opened.authentication, opened.sms, CodeSent()))).object
    with pytest.raises(erasing.CardInUseError, match="auth_"):
        await erasing.erase_card(process.database, MERCHANT_ID, card_id, later(seconds=1))
    assert isinstance(waiting, Authentication)
    await does(process, waiting, Wish.CLOSE)
    assert (await erasing.erase_card(process.database, MERCHANT_ID, card_id, later(seconds=2))).cards == (card_id,)


async def test_what_is_not_known_is_told_again_when_it_is_due(process: Process) -> None:
    store, card_id = await bound_card(process)
    assert not await store.give_up(MERCHANT_ID, UUID(int=1), NOW)
    await store.give_up(MERCHANT_ID, card_id, NOW)
    (first,) = await claimed(store)
    await store.later(first, later(seconds=60))
    assert await claimed(store, 59) == []
    (second,) = await claimed(store, 60)
    assert (first.tries, second.tries) == (0, 1)
    assert await store.merchants_with_work([MERCHANT_ID], later(seconds=61)) == []  # leased
    assert await store.merchants_with_work([MERCHANT_ID], later(seconds=600)) == [MERCHANT_ID]


async def test_an_authentication_of_a_card_that_nobody_has_is_refused(process: Process) -> None:
    with pytest.raises(CardNotFoundError):
        await one_asked(process, card_id=UUID(int=9), card=card_elements())


async def test_with_a_code_at_each_payment_and_no_agreement_nothing_is_signed(process: Process) -> None:
    process.catalogue = place(EACH, primary=None)
    opened = await one_open(process)
    assert (opened.authentication, cast("Any", opened.sms).verb) == (None, "send_payment_code")
    assert code_of((await one_open(process, customer_present=False)).payment) is FailureCode.CARD_NEEDS_SIGNING
