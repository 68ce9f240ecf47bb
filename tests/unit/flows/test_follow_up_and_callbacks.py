"""Following up what is due, and receiving callbacks: what is asked, what is recorded, what the PSP is answered.

Over fakes of the ports. Not tested here: claiming and leases (tests/storage), verifying signatures (tests/adapters).
"""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from gateway.domain.failures import FailureCode, failure
from gateway.domain.hearing import Source
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import (
    Authenticated,
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
from gateway.domain.statuses import Status
from gateway.flows.callbacks import Callbacks
from gateway.flows.follow_up import FollowUp
from gateway.ports import (
    AskAuthentication,
    AskPayment,
    AskRefund,
    Callback,
    CallbackRequest,
    DatabaseAwayError,
    GoOn,
    IntentKey,
    OverloadedError,
    Pay,
    Recorded,
    UnusableAccountError,
)
from tests.unit.domain.samples import (
    AUTHENTICATION_ID,
    CARD_ID,
    MERCHANT_ID,
    NOW,
    PAYMENT_ID,
    REFUND_ID,
    attempt,
    authentication,
    card_elements,
    catalogue,
    channel,
    intent,
    later,
    payment,
    refund,
    sent,
    waiting_payment,
)
from tests.unit.flows.ports_in_memory import Kept, World

ACCOUNT = "acme.up-1"
REQUEST = CallbackRequest("POST", "", {}, b"body")
PAID, REFUNDED = attempt().number, intent(Verb.REFUND).number
"""The numbers of both orders at the PSP."""


@pytest.fixture
def world() -> World:
    return World()


def kept(world: World, known: Payment) -> Payment:
    world.keep(known)
    return known


async def follow_up(world: World, due: Kept, *others: Kept) -> None:
    """What a worker does with what it has claimed: `due` stands in the books, and `others` do."""
    world.keep(due, *others)
    await FollowUp(world.submission, world)(due)


# --- a payment that was sent ---


async def test_a_payment_is_asked_about_with_the_number_and_time_it_was_sent_with(world: World) -> None:
    world.provider_.says = {AskPayment: Succeeded(1000)}
    due = payment(attempt=attempt(questions=4))
    world.pass_time(3600)
    await follow_up(world, due)
    assert world.only_payment().status is Status.SUCCEEDED
    (asked,) = world.provider_.asked
    assert asked == AskPayment(PAID, NOW, due.scene, 1000, tries=4)
    assert [observation.source for observation in world.recorded] == [Source.POLL]


async def test_a_payment_that_is_watched_counts_its_looks_among_the_tries(world: World) -> None:
    world.provider_.says = {AskPayment: NotFound()}
    lost = attempt(IntentState.NOT_RECEIVED, questions=4, looks=1)
    world.now = later(hours=7)
    await follow_up(world, payment(Status.FAILED, attempt=lost))
    assert [asked.tries for asked in world.provider_.got(AskPayment)] == [5]
    assert world.only_payment().status is Status.FAILED
    assert world.only_payment().due_at is not None


async def test_what_a_question_tells_keeps_when_it_was_asked_however_long_the_answer_took(world: World) -> None:
    async def slowly() -> None:
        world.pass_time(20)

    world.provider_.says, world.provider_.before_answer = {AskPayment: NotFound()}, slowly
    asked_at = world.now
    await follow_up(world, payment())
    assert [(said.asked_at, said.at - asked_at) for said in world.recorded] == [(asked_at, timedelta(seconds=20))]


@pytest.mark.parametrize("told", [NotSent("refused"), Unknown("timeout"), Processing(), NotFound()], ids=repr)
async def test_a_question_that_settles_nothing_is_asked_again_later_and_nothing_is_sent(
    world: World, told: Outcome
) -> None:
    world.provider_.says = {AskPayment: told}
    await follow_up(world, payment())
    after = world.only_payment()
    assert after.status is Status.PROCESSING
    assert after.due_at is not None
    assert after.due_at > world.now
    assert world.provider_.got(Pay) == []


async def test_a_question_that_was_not_sent_says_nothing_of_the_payment(world: World) -> None:
    world.provider_.says = {AskPayment: NotSent("refused")}
    await follow_up(world, payment())
    assert [observation.outcome for observation in world.recorded] == [NotSent("refused")]
    assert world.only_payment().status is Status.PROCESSING


async def test_a_payment_whose_bearer_died_is_never_sent_however_often_it_is_followed_up(world: World) -> None:
    world.provider_.says = {AskPayment: NotFound()}
    due, questions = kept(world, payment()), 0
    while not due.is_final:
        assert due.due_at is not None
        world.now, questions = due.due_at, questions + 1
        await follow_up(world, due)
        due = world.only_payment()
        assert questions < 100
    assert due.failure is not None
    assert due.failure.code is FailureCode.CHANNEL_UNAVAILABLE
    assert world.provider_.got(Pay) == []


# --- an authentication ---


async def test_an_authentication_whose_bearer_died_is_asked_about_and_the_payment_goes_on(world: World) -> None:
    world.provider_.says = {AskAuthentication: Authenticated("token-1"), Pay: Succeeded(1000)}
    due = authentication()
    world.pass_time(3600)
    await follow_up(world, due, waiting_payment())
    assert world.only_payment().status is Status.SUCCEEDED
    asked, paying = world.provider_.asked
    assert asked == AskAuthentication(sent(due).number, NOW, "ICBC", card_elements(), due.user_id)
    assert isinstance(paying, Pay)
    assert (paying.number, paying.told_at, paying.agreement_no) == (PAID, world.now, "token-1")
    assert [(o.intent.verb, o.source) for o in world.recorded] == [
        (Verb.AUTHENTICATE, Source.POLL),
        (Verb.PAY, Source.ANSWER),
    ]


@pytest.mark.parametrize("told", [NotFound(), Unknown("timeout"), NotSent("refused")], ids=repr)
async def test_an_authentication_that_nobody_knows_charges_nothing(world: World, told: Any) -> None:
    world.provider_.says = {AskAuthentication: told}
    await follow_up(world, authentication(), waiting_payment())
    after = world.only_payment()
    assert after.failure is not None
    assert after.failure.code is FailureCode.AUTHENTICATION_UNKNOWN
    assert world.provider_.got(Pay) == []


async def test_a_question_about_a_binding_that_was_not_sent_says_nothing_of_it(world: World) -> None:
    world.provider_.says = {AskAuthentication: NotSent("refused")}
    await follow_up(world, authentication(), waiting_payment())
    assert [observation.outcome for observation in world.recorded] == [NotSent("refused")]
    assert world.only_payment().failure == failure(FailureCode.AUTHENTICATION_UNKNOWN)


async def test_an_authentication_that_nobody_waits_for_any_more_is_asked_about_and_pays_nothing(world: World) -> None:
    world.provider_.says = {AskAuthentication: Authenticated("token-1")}
    given_up = authentication(Status.FAILED, intent=intent(Verb.AUTHENTICATE, IntentState.UNKNOWN))
    failed = payment(Status.FAILED, attempt=None, authentication_id=AUTHENTICATION_ID)
    await follow_up(world, given_up, failed)
    # The agreement is kept; nothing else changes.
    assert world.agreements == {"up-1": "token-1"}
    assert world.only_payment() == failed
    assert world.provider_.got(Pay) == []


async def test_an_authentication_without_its_payment_is_followed_up_all_the_same(world: World) -> None:
    world.provider_.says = {AskAuthentication: Authenticated("token-1")}
    await follow_up(world, authentication(payment_id=None))
    assert world.authentications[AUTHENTICATION_ID].status is Status.SUCCEEDED
    assert world.provider_.got(Pay) == []


# --- a payment that waits for an authentication ---


async def test_a_payment_that_waited_for_anothers_binding_is_sent_once_it_is_there(world: World) -> None:
    world.agreements = {"up-1": "token-1"}
    world.provider_.says = {Pay: Succeeded(1000)}
    world.pass_time(3600)
    await follow_up(world, waiting_payment(), authentication(Status.SUCCEEDED, payment_id=UUID(int=7)))
    assert world.only_payment().status is Status.SUCCEEDED
    (paying,) = world.provider_.asked
    assert isinstance(paying, Pay)
    assert (paying.number, paying.told_at, paying.agreement_no) == (PAID, world.now, "token-1")
    assert paying.card == card_elements()


async def test_a_payment_whose_card_is_still_being_bound_waits_on_and_nothing_is_sent(world: World) -> None:
    world.pass_time(60)
    await follow_up(world, waiting_payment(), authentication(payment_id=UUID(int=7)))
    after = world.only_payment()
    assert after.waits_for_authentication
    assert after.due_at is not None
    assert after.due_at > world.now
    assert (world.provider_.asked, world.recorded) == ([], [])


async def test_a_payment_whose_card_could_not_be_bound_fails_and_nothing_is_sent(world: World) -> None:
    await follow_up(world, waiting_payment(), authentication(Status.FAILED, payment_id=UUID(int=7)))
    after = world.only_payment()
    assert after.failure is not None
    assert after.failure.code is FailureCode.AUTHENTICATION_REJECTED
    assert world.provider_.asked == []


@pytest.mark.parametrize("submit", [True, False])
async def test_only_who_recorded_the_intent_sends_it(
    world: World, monkeypatch: pytest.MonkeyPatch, submit: bool
) -> None:
    asked: list[GoOn] = []

    async def go_on(waiting: GoOn) -> Recorded:
        asked.append(waiting)
        world.keep(payment())
        return Recorded(payment(), payment(), submit, "token-1")

    monkeypatch.setattr(world, "go_on", go_on)
    world.provider_.says = {Pay: Processing()}
    await follow_up(world, waiting_payment())
    assert [(one.merchant_id, one.user_id, one.payment_id, one.at) for one in asked] == [
        (MERCHANT_ID, "u1", PAYMENT_ID, NOW)
    ]
    assert [command.agreement_no for command in world.provider_.got(Pay)] == (["token-1"] if submit else [])


async def test_everybody_who_asks_draws_an_intent_of_their_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[UUID] = []

    async def go_on(waiting: GoOn) -> Recorded:
        drawn.append(waiting.intent_id)
        return Recorded(waiting_payment(), waiting_payment())

    monkeypatch.setattr(world, "go_on", go_on)
    for _ in range(2):
        await follow_up(world, waiting_payment())
    assert len(set(drawn)) == 2


async def test_of_two_that_take_up_the_same_payment_one_sends_it(world: World) -> None:
    world.agreements = {"up-1": "token-1"}
    world.provider_.says = {Pay: Processing()}
    waiting = waiting_payment()
    await follow_up(world, waiting, authentication(Status.SUCCEEDED, payment_id=UUID(int=7)))
    await FollowUp(world.submission, world)(waiting)
    assert len(world.provider_.got(Pay)) == 1


async def test_a_card_that_cannot_be_read_lets_the_payment_wait_and_records_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keyless(merchant_id: UUID, card_id: UUID) -> None:
        assert (merchant_id, card_id) == (MERCHANT_ID, CARD_ID)
        raise OverloadedError(5)

    monkeypatch.setattr(world, "card", keyless)
    for due in (waiting_payment(), authentication(Status.SUCCEEDED)):
        with pytest.raises(OverloadedError):
            await follow_up(world, due, waiting_payment(), authentication(Status.SUCCEEDED))
    assert world.only_payment().attempt is None
    assert (world.provider_.asked, world.recorded) == ([], [])


# --- a refund ---


async def test_a_refund_is_asked_about_with_its_own_number_and_time(world: World) -> None:
    world.provider_.says = {AskRefund: Succeeded(1000)}
    due = refund(intent=intent(Verb.REFUND, questions=2))
    world.pass_time(3600)
    await follow_up(world, due, payment(Status.SUCCEEDED))
    assert world.only_refund().status is Status.SUCCEEDED
    assert world.provider_.asked == [AskRefund(REFUNDED, NOW, due.scene, 1000, tries=2)]
    assert [(o.intent, o.source) for o in world.recorded] == [
        (IntentKey(MERCHANT_ID, "u1", REFUND_ID, Verb.REFUND), Source.POLL)
    ]
    assert world.only_payment() == payment(Status.SUCCEEDED)


@pytest.mark.parametrize("told", [NotSent("refused"), Unknown("timeout"), Processing(), NotFound()], ids=repr)
async def test_a_question_about_a_refund_that_settles_nothing_is_asked_again_later(world: World, told: Outcome) -> None:
    world.provider_.says = {AskRefund: told}
    await follow_up(world, refund())
    after = world.only_refund()
    assert (after.status, after.takes) == (Status.PROCESSING, True)
    assert after.due_at is not None
    assert after.due_at > world.now
    assert {type(command) for command in world.provider_.asked} == {AskRefund}


async def test_a_refund_whose_bearer_died_is_never_sent_however_often_it_is_followed_up(world: World) -> None:
    world.provider_.says = {AskRefund: NotFound()}
    due, questions = refund(), 0
    while not due.is_final:
        assert due.due_at is not None
        world.now, questions = due.due_at, questions + 1
        await follow_up(world, due)
        due = world.only_refund()
        assert questions < 100
    # Nothing but the rule of refunds ended it: two answers over ten minutes.
    assert (world.now - NOW).total_seconds() >= 610
    assert (due.status, due.intent.state) == (Status.FAILED, IntentState.NOT_RECEIVED)
    assert {type(command) for command in world.provider_.asked} == {AskRefund}


async def test_a_refund_that_came_back_is_returned(world: World) -> None:
    world.provider_.says = {AskRefund: Returned(ReturnReason.PAYEE_ACCOUNT_INVALID)}
    await follow_up(world, refund(Status.SUCCEEDED))
    after = world.only_refund()
    assert (after.status, after.returned) == (Status.RETURNED, ReturnReason.PAYEE_ACCOUNT_INVALID)
    assert not after.takes


# --- callbacks ---


async def status_of(world: World, account: str = ACCOUNT) -> int:
    """What a callback to this account is answered."""
    answer = await callbacks(world).receive(account, REQUEST)
    assert answer is not None
    return answer.status


def callbacks(world: World) -> Callbacks:
    return Callbacks(world, world, world.observations, world, lambda: world.catalogue)


async def test_a_callback_is_acknowledged_after_it_was_recorded(world: World) -> None:
    known = kept(world, payment())
    world.provider_.callback = Callback(PAID, Verb.PAY, Succeeded(1000))
    assert await status_of(world) == 200
    assert world.payments[known.payment_id].status is Status.SUCCEEDED
    (observation,) = world.recorded
    assert observation.intent == IntentKey(MERCHANT_ID, "u1", PAYMENT_ID, Verb.PAY, 1)
    assert observation.source is Source.CALLBACK


async def test_a_callback_that_cannot_be_recorded_is_not_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(observation: object) -> None:
        raise ConnectionError("the database is away")

    kept(world, payment())
    world.provider_.callback = Callback(PAID, Verb.PAY, Succeeded(1000))
    monkeypatch.setattr(world, "record", broken)
    with pytest.raises(ConnectionError):
        await callbacks(world).receive(ACCOUNT, REQUEST)


async def test_a_callback_that_cannot_be_recorded_in_time_is_refused_and_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits_for_ever(observation: object) -> None:
        await asyncio.Event().wait()

    kept(world, payment())
    world.provider_.callback = Callback(PAID, Verb.PAY, Succeeded(1000))
    monkeypatch.setattr("gateway.flows.callbacks.COMMIT_WITHIN_S", 0.01)
    with monkeypatch.context() as away:
        away.setattr(world, "record", waits_for_ever)
        with pytest.raises(DatabaseAwayError):
            await callbacks(world).receive(ACCOUNT, REQUEST)
    assert world.payments[PAYMENT_ID].status is not Status.SUCCEEDED
    assert await status_of(world) == 200
    assert world.payments[PAYMENT_ID].status is Status.SUCCEEDED


@pytest.mark.parametrize("error", [OverloadedError(1), DatabaseAwayError(1), UnusableAccountError(ACCOUNT)])
async def test_a_payer_who_came_back_is_led_on_though_what_they_brought_cannot_be_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def busy(observation: object) -> None:
        raise error

    kept(world, payment())
    world.provider_.callback = Callback(PAID, Verb.PAY, Succeeded(1000))
    monkeypatch.setattr(world, "record", busy)
    assert await callbacks(world).came_back(ACCOUNT, REQUEST) == (MERCHANT_ID, PAYMENT_ID)


async def test_a_forged_callback_is_rejected_and_nothing_is_recorded(world: World) -> None:
    kept(world, payment())
    assert await status_of(world) == 400
    assert world.recorded == []


@pytest.mark.parametrize("number", ["", "1", "not hex at all, and thirty-two ch", UUID(int=1).hex])
async def test_a_payments_callback_of_no_order_of_ours_is_kept_and_not_acknowledged(world: World, number: str) -> None:
    known = kept(world, payment())
    world.provider_.callback = Callback(number, Verb.PAY, Succeeded(1000))
    assert await status_of(world) == 400
    assert world.strays == [("up-1", number, Verb.PAY, Succeeded(1000))]
    assert world.recorded == []
    assert world.only_payment() == known


@pytest.mark.parametrize("number", ["made by hand", UUID(int=1).hex])
async def test_a_refunds_callback_that_nobody_here_asked_for_is_kept_and_acknowledged(
    world: World, number: str
) -> None:
    world.keep(payment(Status.SUCCEEDED), refund())
    world.provider_.callback = Callback(number, Verb.REFUND, Succeeded(1000))
    assert await status_of(world) == 200
    assert world.strays == [("up-1", number, Verb.REFUND, Succeeded(1000))]
    assert world.recorded == []


async def test_what_is_kept_of_a_stray_word_holds_no_card_and_no_control_character(world: World) -> None:
    said = Declined(FailureCode.CARD_INVALID, "14", "卡号6222020000000001230\x00无效")
    world.provider_.callback = Callback("made by hand", Verb.REFUND, said)
    await status_of(world)
    ((*_, kept_word),) = world.strays
    assert kept_word == Declined(FailureCode.CARD_INVALID, "14", "卡号***无效")


async def test_a_stray_word_that_cannot_be_kept_is_not_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*word: object) -> None:
        raise ConnectionError("the database is away")

    world.provider_.callback = Callback("made by hand", Verb.REFUND, Succeeded(1000))
    monkeypatch.setattr(world, "keep_stray", broken)
    with pytest.raises(ConnectionError):
        await callbacks(world).receive(ACCOUNT, REQUEST)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (Succeeded(1000, "theirs-2"), Status.SUCCEEDED),
        (Declined(FailureCode.CHANNEL_REFUSED), Status.FAILED),
        (Processing(None, None, "theirs-2"), Status.PROCESSING),
        (Returned(ReturnReason.OTHER), Status.RETURNED),
    ],
    ids=repr,
)
async def test_a_refunds_callback_reaches_the_refund_and_nothing_else(
    world: World, said: Outcome, status: Status
) -> None:
    paid = payment(Status.SUCCEEDED)
    world.keep(paid, refund())
    world.provider_.callback = Callback(REFUNDED, Verb.REFUND, said)
    assert await status_of(world) == 200
    assert world.only_refund().status is status
    assert world.only_payment() == paid
    assert [(o.intent, o.source) for o in world.recorded] == [
        (IntentKey(MERCHANT_ID, "u1", REFUND_ID, Verb.REFUND), Source.CALLBACK)
    ]
    assert (world.anomalies, world.strays) == ([], [])


async def test_a_refund_whose_answer_was_lost_is_found_by_our_number_and_learns_theirs(world: World) -> None:
    world.keep(payment(Status.SUCCEEDED), refund())
    world.provider_.callback = Callback(REFUNDED, Verb.REFUND, Succeeded(1000, "theirs-2"))
    await status_of(world)
    assert world.only_refund().intent.channel_transaction_no == "theirs-2"


@pytest.mark.parametrize(("number", "verb"), [(PAID, Verb.REFUND), (REFUNDED, Verb.PAY)], ids=["refund", "payment"])
async def test_a_callback_is_never_read_as_one_of_the_other_verb_whatever_its_number(
    world: World, number: str, verb: Verb
) -> None:
    paid, back = payment(), refund()
    world.keep(paid, back)
    world.provider_.callback = Callback(number, verb, Succeeded(1000))
    await status_of(world)
    assert world.recorded == []
    assert (world.only_payment(), world.only_refund()) == (paid, back)
    assert [(kept_number, kept_verb) for _, kept_number, kept_verb, _ in world.strays] == [(number, verb)]


async def test_a_callback_of_a_psp_that_sends_none_has_no_answer(world: World) -> None:
    kept(world, payment())
    world.provider_.callback = Callback(PAID, Verb.PAY, Succeeded(1000))
    world.provider_.callbacks = None
    assert await callbacks(world).receive(ACCOUNT, REQUEST) is None
    assert world.recorded == []


async def test_a_callback_to_another_account_does_not_reach_the_attempt(world: World) -> None:
    world.catalogue = catalogue((channel("up"), channel("tl")), ())
    kept(world, payment())
    world.provider_.callback = Callback(PAID, Verb.PAY, Succeeded(1000))
    assert await status_of(world, "acme.tl-1") == 400
    assert world.recorded == []
    assert [account for account, *_ in world.strays] == ["tl-1"]


async def test_a_callback_to_no_account_has_no_answer(world: World) -> None:
    world.provider_.callback = Callback(PAID, Verb.PAY, Succeeded(1000))
    for name in ("acme.xx", "other.up-1", "up-1", ""):
        assert await callbacks(world).receive(name, REQUEST) is None


@pytest.mark.parametrize("said", [Succeeded(999), Declined(FailureCode.CARD_FROZEN)], ids=repr)
async def test_a_callback_that_contradicts_is_acknowledged_and_changes_no_final_state(
    world: World, said: Outcome
) -> None:
    known = kept(world, payment(Status.SUCCEEDED))
    world.provider_.callback = Callback(PAID, Verb.PAY, said)
    assert await status_of(world) == 200
    assert world.payments[known.payment_id] == known
