"""Taking an order and carrying it to its PSP: what is sent, how often, and what is never sent.

Over fakes of the ports. Not tested here: what the books write (tests/storage), the wire (tests/adapters).
"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import Blame, FailureCode
from gateway.domain.hearing import Source
from gateway.domain.ids import number_of
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
from gateway.domain.statuses import Status
from gateway.domain.terms import ANSWER_MARGIN_S, Product, Terms
from gateway.flows.sending import SEND_WITHIN_S
from gateway.ports import AskAuthentication, Authenticate, OpenResult, OrderConflictError, Pay
from tests.unit.domain.samples import (
    AUTHENTICATION_TERMS,
    NOW,
    TERMS,
    card_elements,
    catalogue,
    channel,
    later,
    opening,
    order,
    rule,
    sent,
)
from tests.unit.flows.ports_in_memory import World

SILENT = catalogue((channel("up", AuthenticationMode.SILENT),), (rule("up"),))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def silent() -> World:
    """A world whose only channel must bind the card first."""
    return World(catalogue=SILENT)


# --- an order without authentication ---


async def test_an_order_is_sent_once_and_answered_with_what_the_psp_said(world: World) -> None:
    world.provider_.says = {Pay: Succeeded(1000, "theirs-1")}
    opened = await world.flow.open(order())
    assert (opened.payment.status, opened.replayed) == (Status.SUCCEEDED, False)
    (sent,) = world.provider_.asked
    assert isinstance(sent, Pay)
    assert opened.payment.attempt is not None
    assert sent.number == opened.payment.attempt.number == opened.payment.channel_order_no
    assert (sent.amount, sent.bank, sent.scene, sent.user_id) == (1000, "ICBC", "withhold", "u1")
    assert (sent.card, sent.told_at, sent.agreement_no) == (card_elements(), NOW, None)
    assert sent.description == "order-1"
    assert sent.notify_url == "https://gateway.example/callbacks/acme.up-1"


async def test_a_card_with_an_agreement_is_paid_by_it(silent: World) -> None:
    silent.agreements = {"up-1": "token-1"}
    silent.provider_.says = {Pay: Succeeded(1000)}
    await silent.flow.open(order())
    assert [command.agreement_no for command in silent.provider_.got(Pay)] == ["token-1"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (Declined(FailureCode.CARD_FROZEN), Status.FAILED),
        (NotSent("refused"), Status.FAILED),
        (Processing(), Status.PROCESSING),
        (Unknown("timeout"), Status.PROCESSING),
    ],
    ids=repr,
)
async def test_whatever_the_answer_it_is_recorded_and_nothing_is_sent_again(
    world: World, said: Outcome, status: Status
) -> None:
    world.provider_.says = {Pay: said}
    assert (await world.flow.open(order())).payment.status is status
    assert len(world.provider_.asked) == 1
    assert [(observation.source, observation.outcome) for observation in world.recorded] == [(Source.ANSWER, said)]


async def test_a_repeated_order_is_answered_and_not_sent(world: World) -> None:
    world.provider_.says = {Pay: Processing()}
    first = await world.flow.open(order())
    again = await world.flow.open(order())
    assert again.replayed
    assert again.payment == first.payment
    assert len(world.provider_.asked) == 1


async def test_another_content_under_the_same_number_sends_nothing(world: World) -> None:
    world.provider_.says = {Pay: Processing()}
    await world.flow.open(order())
    with pytest.raises(OrderConflictError):
        await world.flow.open(order(amount=2000))
    assert len(world.provider_.asked) == 1


async def test_an_order_that_the_router_refused_reaches_nobody(world: World) -> None:
    opened = await world.flow.open(order(bank="ABC"))
    assert opened.payment.status is Status.FAILED
    assert world.provider_.asked == []
    assert world.started == []


# --- the intent grows old ---


@pytest.mark.parametrize(("late_s", "sent"), [(SEND_WITHIN_S, 1), (SEND_WITHIN_S + 0.001, 0)])
async def test_an_intent_that_has_grown_old_is_not_sent(world: World, late_s: float, sent: int) -> None:
    world.provider_.says = {Pay: Succeeded(1000)}
    opened = await _opened(world)
    world.pass_time(late_s)
    after = await world.submission.submit(opened, card_elements())
    assert len(world.provider_.asked) == sent
    assert after.status is (Status.SUCCEEDED if sent else Status.FAILED)


async def test_an_authentication_that_has_grown_old_is_not_sent_either(silent: World) -> None:
    opened = await _opened(silent)
    silent.pass_time(SEND_WITHIN_S + 1)
    after = await silent.submission.submit(opened, card_elements())
    assert silent.provider_.asked == []
    assert after.failure is not None
    assert (after.failure.code, after.failure.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.PLATFORM)
    assert after.authentication_fee is None


async def test_an_authentication_that_took_long_makes_a_new_intent_which_is_sent(silent: World) -> None:
    async def slowly() -> None:
        if not silent.provider_.got(Pay):
            silent.pass_time(20)

    silent.provider_.before_answer = slowly
    silent.provider_.says = {Authenticate: Authenticated("token-1"), Pay: Succeeded(1000)}
    opened = await silent.flow.open(order())
    assert opened.payment.status is Status.SUCCEEDED
    assert silent.provider_.got(Pay)[0].told_at == later(seconds=20)


async def test_a_submission_without_an_answer_when_it_falls_due_is_given_up_as_unknown(world: World) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    hasty = {Product.PAYMENT: Terms((1.0,), None, answer_timeout_s=0.01)}
    world.provider_.declaration = replace(world.provider_.declaration, terms=hasty)
    world.provider_.before_answer = never
    opened = await _opened(world)
    world.pass_time(ANSWER_MARGIN_S)
    after = await world.submission.submit(opened, card_elements())
    assert after.status is Status.PROCESSING
    assert [type(observation.outcome) for observation in world.recorded] == [Unknown]
    assert len(world.provider_.asked) == 1


async def test_a_payment_is_due_by_the_terms_of_what_was_begun_for_it(world: World, silent: World) -> None:
    paying, waiting = await _opened(world), await _opened(silent)
    assert (paying.authentication, paying.payment.due_at) == (None, TERMS.unanswered(NOW))
    assert waiting.authentication is not None
    assert waiting.payment.waits_for_authentication
    assert waiting.payment.due_at == waiting.authentication.due_at == AUTHENTICATION_TERMS.unanswered(NOW)
    assert paying.payment.due_at != waiting.payment.due_at


# --- authentication first ---


async def test_a_card_is_bound_and_then_paid_with_the_new_agreement(silent: World) -> None:
    silent.provider_.says = {Authenticate: Authenticated("token-1"), Pay: Succeeded(1000)}
    opened = await silent.flow.open(order())
    assert opened.payment.status is Status.SUCCEEDED
    binding, paying = silent.provider_.asked
    assert isinstance(binding, Authenticate)
    assert isinstance(paying, Pay)
    assert paying.agreement_no == "token-1"
    assert binding.number != paying.number
    (authentication,) = silent.authentications.values()
    assert binding.number == sent(authentication).number == number_of(authentication.authentication_id)
    assert paying.number == opened.payment.channel_order_no
    assert opened.payment.authentication_fee == authentication.fee


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Declined(FailureCode.NAME_MISMATCH), FailureCode.AUTHENTICATION_REJECTED),
        (SmsNeeded(), FailureCode.AUTHENTICATION_REJECTED),
        (NotSent("refused"), FailureCode.CHANNEL_UNAVAILABLE),
    ],
    ids=repr,
)
async def test_a_card_that_is_not_bound_is_not_charged(silent: World, said: Any, code: FailureCode) -> None:
    silent.provider_.says = {Authenticate: said}
    opened = await silent.flow.open(order())
    assert opened.payment.failure is not None
    assert opened.payment.failure.code is code
    assert len(silent.provider_.asked) == 1


@pytest.mark.parametrize("told", [Unknown("timeout"), NotFound(), NotSent("refused")], ids=repr)
async def test_an_authentication_whose_answer_was_lost_is_asked_about_once_and_nothing_is_charged(
    silent: World, told: Any
) -> None:
    silent.provider_.says = {Authenticate: Unknown("timeout"), AskAuthentication: told}
    opened = await silent.flow.open(order())
    assert opened.payment.failure is not None
    assert opened.payment.failure.code is FailureCode.AUTHENTICATION_UNKNOWN
    binding, question = silent.provider_.asked
    assert isinstance(question, AskAuthentication)
    assert isinstance(binding, Authenticate)
    assert (question.number, question.told_at) == (binding.number, binding.told_at)


async def test_an_authentication_whose_answer_was_lost_and_is_found_goes_on_to_pay(silent: World) -> None:
    silent.provider_.says = {
        Authenticate: Unknown("timeout"),
        AskAuthentication: Authenticated("token-1"),
        Pay: Succeeded(1000),
    }
    opened = await silent.flow.open(order())
    assert opened.payment.status is Status.SUCCEEDED
    assert [command.agreement_no for command in silent.provider_.got(Pay)] == ["token-1"]


async def test_of_two_that_hear_of_the_same_binding_one_pays(silent: World) -> None:
    silent.provider_.says = {AskAuthentication: Authenticated("token-1"), Pay: Processing()}
    authentication = (await _opened(silent)).authentication
    assert authentication is not None
    await asyncio.gather(*(silent.submission.resume(authentication, card_elements()) for _ in range(3)))
    assert len(silent.provider_.got(Pay)) == 1


async def test_a_payment_whose_card_is_being_bound_already_sends_nothing_and_waits(silent: World) -> None:
    silent.provider_.says = {Authenticate: Authenticated("token-1"), Pay: Succeeded(1000)}
    first = await _opened(silent)
    second = await silent.flow.open(order("order-2"))
    assert silent.provider_.asked == []
    assert second.payment.waits_for_authentication
    assert first.authentication is not None
    assert second.payment.authentication_id == first.authentication.authentication_id
    await silent.submission.submit(first, card_elements())
    # Who heard of the binding sends the payment that started it; the other one is due now, for a worker.
    assert len(silent.provider_.got(Pay)) == 1
    after = silent.payments[second.payment.payment_id]
    assert (after.status, after.attempt, after.due_at) == (Status.PROCESSING, None, silent.now)


# --- the caller ---


async def test_a_slow_psp_is_not_waited_for_longer_than_the_answer_may_take() -> None:
    world, released = World(answer_within_s=0.01), asyncio.Event()

    async def until_released() -> None:
        await released.wait()

    world.provider_.before_answer = until_released
    world.provider_.says = {Pay: Succeeded(1000)}
    opened = await world.flow.open(order())
    assert opened.payment.status is Status.PROCESSING
    released.set()
    await asyncio.gather(*world.started)
    assert world.only_payment().status is Status.SUCCEEDED
    assert len(world.provider_.asked) == 1


async def test_a_caller_that_goes_away_stops_nothing(world: World) -> None:
    sending, released = asyncio.Event(), asyncio.Event()

    async def until_released() -> None:
        sending.set()
        await released.wait()

    world.provider_.before_answer = until_released
    world.provider_.says = {Pay: Succeeded(1000)}
    caller = asyncio.create_task(world.flow.open(order()))
    await sending.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    released.set()
    await asyncio.gather(*world.started)
    assert world.only_payment().status is Status.SUCCEEDED
    assert len(world.provider_.asked) == 1


async def test_a_bug_behind_the_answer_leaves_the_payment_to_be_followed_up(world: World) -> None:
    world.provider_.says = {Pay: RuntimeError("a bug")}
    opened = await world.flow.open(order())
    assert opened.payment.status is Status.PROCESSING
    assert opened.payment.due_at is not None
    assert world.recorded == []


async def test_a_shutdown_that_cancels_the_work_answers_the_payment_as_it_was_recorded(world: World) -> None:
    async def cancelled() -> None:
        world.started[0].cancel()
        await asyncio.sleep(0)

    world.provider_.before_answer = cancelled
    world.provider_.says = {Pay: Succeeded(1000)}
    opened = await world.flow.open(order())
    assert opened.payment.status is Status.PROCESSING
    assert world.recorded == []


async def test_the_intent_is_recorded_before_the_wire_is_touched(world: World) -> None:
    async def look() -> None:
        recorded = world.only_payment()
        assert recorded.status is Status.PROCESSING
        assert recorded.attempt is not None
        assert recorded.attempt.is_untouched

    world.provider_.before_answer = look
    world.provider_.says = {Pay: Succeeded(1000)}
    assert (await world.flow.open(order())).payment.status is Status.SUCCEEDED


async def test_each_intent_is_recorded_before_its_request_touches_the_wire(silent: World) -> None:
    open_: list[tuple[bool, bool]] = []

    async def look() -> None:
        (authentication,) = silent.authentications.values()
        attempt = silent.only_payment().attempt
        open_.append((sent(authentication).is_open, attempt is not None and attempt.is_untouched))

    silent.provider_.before_answer = look
    silent.provider_.says = {Authenticate: Authenticated("token-1"), Pay: Succeeded(1000)}
    assert (await silent.flow.open(order())).payment.status is Status.SUCCEEDED
    assert open_ == [(True, False), (False, True)]


async def _opened(world: World) -> OpenResult:
    """A payment that was recorded and not yet carried out."""
    return await world.open(opening(order(), world.now))
