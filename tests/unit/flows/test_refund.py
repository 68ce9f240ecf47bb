"""Taking an order for a refund and carrying it to its PSP: what is refused when, what is sent, and what is only asked.

Over fakes of the ports. Not tested here: sums under locks (tests/storage), the answers of the API (tests/api).
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from gateway.domain.clocks import PROOF_MARGIN_S
from gateway.domain.failures import Blame, FailureCode
from gateway.domain.hearing import AnomalyKind, Source
from gateway.domain.ids import number_of
from gateway.domain.intents import IntentState, Verb
from gateway.domain.orders import RefundOrder
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
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status
from gateway.domain.terms import ANSWER_MARGIN_S, Product, Terms
from gateway.flows import submit
from gateway.flows.observations import key_of
from gateway.flows.sending import SEND_WITHIN_S
from gateway.ports import (
    AmountExceedsRestError,
    AskPayment,
    AskRefund,
    OrderConflictError,
    OverloadedError,
    Pay,
    PaymentNotRefundableError,
    RefundResult,
)
from gateway.ports import Refund as RefundCommand
from gateway.run.rooms import RETRY_AFTER_S
from tests.unit.domain.samples import (
    MERCHANT_ID,
    NOW,
    PAYMENT_ID,
    REFUND_TERMS,
    attempt,
    later,
    payment,
    refund,
    refused_payment,
)
from tests.unit.flows.ports_in_memory import EVERYTHING, World

LATE = AnomalyKind.LATE_SUCCESS
PAID = payment(Status.SUCCEEDED, attempt=attempt(IntentState.DONE, channel_transaction_no="theirs-1"))
WITHOUT_REFUNDS = tuple(kind for kind in EVERYTHING if kind is not RefundCommand)


def asked(order_no: str = "refund-1", **known: Any) -> RefundOrder:
    """An order for 6.00 yuan of the sample payment's 10.00. The canonical body follows what is asked for."""
    base = RefundOrder(MERCHANT_ID, "shop", order_no, PAYMENT_ID, 600, None, {}, b"")
    order = replace(base, **known)
    return replace(order, body=f"{order.merchant_order_no} {order.payment_id} {order.amount}".encode())


def world_with(paid: Payment = PAID, **known: Any) -> World:
    world = World(**known)
    world.keep(paid)
    world.provider_.says = {RefundCommand: Processing()}
    return world


@pytest.fixture
def world() -> World:
    """A payment of 10.00 yuan that succeeded, at a PSP that takes refunds."""
    return world_with()


async def open_(world: World, order: RefundOrder | None = None) -> RefundResult:
    """Open a refund of a payment that is there."""
    result = await world.refund_flow.open(order or asked())
    assert result is not None
    return result


# --- an order ---


async def test_an_order_is_sent_once_and_answered_with_what_the_psp_said(world: World) -> None:
    world.provider_.says = {RefundCommand: Succeeded(600, "theirs-2")}
    result = await open_(world, asked(reason="贷款取消"))
    assert (result.refund.status, result.replayed) == (Status.SUCCEEDED, False)
    assert result.refund == world.only_refund()
    (sent,) = world.provider_.asked
    assert sent == RefundCommand(
        number=number_of(result.refund.refund_id),
        told_at=NOW,
        scene=Scene.WITHHOLD,
        amount=600,
        original_number=number_of(PAYMENT_ID),
        original_told_at=NOW,
        original_transaction_no="theirs-1",
        original_amount=1000,
        notify_url="https://gateway.example/callbacks/acme.up-1",
        reason="贷款取消",
    )


async def test_a_refund_tells_its_own_time_and_that_of_the_payment(world: World) -> None:
    world.pass_time(86_400)
    await open_(world)
    (sent,) = world.provider_.got(RefundCommand)
    assert (sent.told_at, sent.original_told_at) == (later(days=1), NOW)
    assert sent.number != sent.original_number


async def test_a_refund_goes_to_the_account_that_took_the_money() -> None:
    world = world_with(replace(PAID, channel="elsewhere", attempt=attempt(IntentState.DONE, account="up-1")))
    result = await open_(world)
    assert (result.refund.intent.channel, result.refund.intent.account) == ("up", "up-1")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (Succeeded(600), Status.SUCCEEDED),
        (Declined(FailureCode.CHANNEL_REFUSED), Status.FAILED),
        (NotSent("refused"), Status.FAILED),
        (Processing(), Status.PROCESSING),
        (Unknown("timeout"), Status.PROCESSING),
        (Unknown("duplicate", "34", received=True), Status.PROCESSING),
        (NotFound(), Status.PROCESSING),
    ],
    ids=repr,
)
async def test_whatever_the_answer_it_is_recorded_and_nothing_is_sent_again(
    world: World, said: Outcome, status: Status
) -> None:
    world.provider_.says = {RefundCommand: said}
    assert (await open_(world)).refund.status is status
    assert len(world.provider_.asked) == 1
    assert [(o.intent.verb, o.source, o.outcome) for o in world.recorded] == [(Verb.REFUND, Source.ANSWER, said)]
    assert world.only_payment() == PAID


async def test_a_refund_whose_answer_was_lost_keeps_its_sum_and_is_due_by_the_terms_of_refunds(world: World) -> None:
    world.provider_.says = {RefundCommand: Unknown("timeout")}
    lost = (await open_(world)).refund
    assert lost.takes
    assert lost.due_at == REFUND_TERMS.after(0, NOW)
    with pytest.raises(AmountExceedsRestError) as refused:
        await world.refund_flow.open(asked("refund-2"))
    assert refused.value.left == 400
    assert len(world.provider_.asked) == 1


async def test_a_repeated_order_is_answered_and_not_sent(world: World) -> None:
    first, again = await open_(world), await open_(world)
    assert again.replayed
    assert again.refund == first.refund
    assert len(world.provider_.asked) == 1


async def test_another_content_under_the_same_number_sends_nothing(world: World) -> None:
    await open_(world)
    with pytest.raises(OrderConflictError):
        await world.refund_flow.open(asked(amount=100))
    assert len(world.provider_.asked) == 1


async def test_many_copies_of_an_order_at_once_are_one_refund(world: World) -> None:
    results = await asyncio.gather(*(open_(world) for _ in range(20)))
    assert {result.refund.refund_id for result in results} == {world.only_refund().refund_id}
    assert sorted(result.replayed for result in results) == [False] + [True] * 19
    assert len(world.provider_.asked) == 1


async def test_the_intent_is_recorded_before_the_wire_is_touched(world: World) -> None:
    async def look() -> None:
        recorded = world.only_refund()
        assert (recorded.status, recorded.intent.is_untouched) == (Status.PROCESSING, True)
        assert recorded.due_at == REFUND_TERMS.unanswered(NOW)

    world.provider_.before_answer = look
    world.provider_.says = {RefundCommand: Succeeded(600)}
    assert (await open_(world)).refund.status is Status.SUCCEEDED


# --- what is refused, in which order ---


async def test_a_payment_that_is_not_there_or_of_another_app_is_none(world: World) -> None:
    for order in (asked(payment_id=UUID(int=7)), asked(app="books"), asked(merchant_id=UUID(int=0xB))):
        assert await world.refund_flow.open(order) is None
    nothing_happened(world)


async def test_whose_payment_it_is_comes_before_what_its_psp_can_do(world: World) -> None:
    world.provider_.can = WITHOUT_REFUNDS
    assert await world.refund_flow.open(asked(app="books")) is None


@pytest.mark.parametrize(
    ("paid", "anomaly", "amount", "can", "code"),
    [
        (PAID, False, 600, WITHOUT_REFUNDS, "refunds_not_supported"),
        (PAID, True, 600, WITHOUT_REFUNDS, "refunds_not_supported"),
        (payment(), False, 600, WITHOUT_REFUNDS, "refunds_not_supported"),
        (PAID, True, 600, EVERYTHING, "payment_has_anomaly"),
        (PAID, True, 1001, EVERYTHING, "payment_has_anomaly"),
        (payment(Status.FAILED), True, 600, EVERYTHING, "payment_has_anomaly"),
        (payment(Status.FAILED), False, 600, EVERYTHING, "payment_not_succeeded"),
        (payment(), False, 1001, EVERYTHING, "payment_not_succeeded"),
        (refused_payment(), False, 600, EVERYTHING, "payment_not_succeeded"),
        (refused_payment(), False, 600, WITHOUT_REFUNDS, "payment_not_succeeded"),
    ],
)
async def test_a_payment_that_cannot_be_refunded_is_refused_by_the_first_reason_and_nothing_is_recorded(
    paid: Payment, anomaly: bool, amount: int, can: Any, code: str
) -> None:
    world = world_with(paid)
    world.provider_.can = can
    world.with_anomalies = {PAYMENT_ID} if anomaly else set()
    with pytest.raises(PaymentNotRefundableError) as refused:
        await world.refund_flow.open(asked(amount=amount))
    assert refused.value.code == code
    nothing_happened(world)


async def test_more_than_is_left_is_refused_with_what_is_left_and_burns_no_number(world: World) -> None:
    await open_(world)
    with pytest.raises(AmountExceedsRestError) as refused:
        await world.refund_flow.open(asked("refund-2", amount=401))
    assert refused.value.left == 400
    assert len(world.provider_.asked) == 1
    assert (await open_(world, asked("refund-2", amount=400))).refund.amount == 400


async def test_a_sum_that_came_back_or_was_never_sent_can_be_refunded_again(world: World) -> None:
    world.provider_.says = {RefundCommand: NotSent("refused")}
    assert (await open_(world, asked(amount=1000))).refund.status is Status.FAILED
    world.provider_.says = {RefundCommand: Returned(ReturnReason.BANK_REJECTED)}
    assert (await open_(world, asked("refund-2", amount=1000))).refund.status is Status.RETURNED
    world.provider_.says = {RefundCommand: Succeeded(1000)}
    assert (await open_(world, asked("refund-3", amount=1000))).refund.status is Status.SUCCEEDED


async def test_a_repeated_order_is_answered_though_nothing_can_go_back_any_more(world: World) -> None:
    first = await open_(world)
    world.with_anomalies = {PAYMENT_ID}
    assert (await open_(world)).refund == first.refund


def nothing_happened(world: World) -> None:
    assert (world.refunds, world.orders, world.recorded, world.started) == ({}, {}, [], [])
    assert world.provider_.asked == []


# --- the caller ---


def waiting_for(released: asyncio.Event, **known: Any) -> World:
    """A world whose PSP answers once it is released."""

    async def until_released() -> None:
        await released.wait()

    world = world_with(**known)
    world.provider_.before_answer = until_released
    world.provider_.says = {RefundCommand: Succeeded(600)}
    return world


async def test_a_slow_psp_is_not_waited_for_longer_than_the_answer_may_take() -> None:
    released = asyncio.Event()
    world = waiting_for(released, answer_within_s=0.01)
    result = await open_(world)
    assert (result.refund.status, result.replayed) == (Status.PROCESSING, False)
    released.set()
    await asyncio.gather(*world.started)
    assert world.only_refund().status is Status.SUCCEEDED
    assert len(world.provider_.asked) == 1


async def test_a_caller_that_goes_away_stops_nothing() -> None:
    sending, released = asyncio.Event(), asyncio.Event()
    world = world_with()

    async def until_released() -> None:
        sending.set()
        await released.wait()

    world.provider_.before_answer = until_released
    world.provider_.says = {RefundCommand: Succeeded(600)}
    caller = asyncio.create_task(world.refund_flow.open(asked()))
    await sending.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    released.set()
    await asyncio.gather(*world.started)
    assert world.only_refund().status is Status.SUCCEEDED
    assert len(world.provider_.asked) == 1


async def test_a_bug_behind_the_answer_leaves_the_refund_to_be_followed_up(world: World) -> None:
    world.provider_.says = {RefundCommand: RuntimeError("a bug")}
    result = await open_(world)
    assert result.refund.status is Status.PROCESSING
    assert result.refund.due_at is not None
    assert world.recorded == []


async def test_with_all_submissions_under_way_the_next_order_is_refused_and_nothing_is_opened() -> None:
    released = asyncio.Event()
    world = waiting_for(released, answer_within_s=0.0, max_running=2)
    for number in range(2):
        await open_(world, asked(f"under-way-{number}", amount=100))
    with pytest.raises(OverloadedError) as refused:
        await world.refund_flow.open(asked("one-too-many", amount=100))
    assert refused.value.retry_after_s == RETRY_AFTER_S
    assert "one-too-many" not in world.orders
    released.set()
    await asyncio.gather(*world.started)
    assert not (await open_(world, asked("one-too-many", amount=100))).replayed


async def test_orders_that_come_all_at_once_are_counted_while_they_are_being_opened() -> None:
    released = asyncio.Event()
    world = waiting_for(released, answer_within_s=0.0, max_running=2)
    burst = [world.refund_flow.open(asked(f"burst-{number}", amount=10)) for number in range(20)]
    results = await asyncio.gather(*burst, return_exceptions=True)
    assert sum(isinstance(result, OverloadedError) for result in results) == 20 - 2
    released.set()
    await asyncio.gather(*world.started)


async def test_orders_that_are_refused_take_no_room() -> None:
    world = world_with(max_running=1)
    for number in range(3):
        with pytest.raises(AmountExceedsRestError):
            await world.refund_flow.open(asked(f"refused-{number}", amount=1001))
        assert await world.refund_flow.open(asked(app="books")) is None
    assert not (await open_(world)).replayed


# --- the intent grows old ---


@pytest.mark.parametrize(("late_s", "sent"), [(SEND_WITHIN_S, 1), (SEND_WITHIN_S + 0.001, 0)])
async def test_an_intent_that_has_grown_old_is_not_sent_and_that_is_ours(
    world: World, late_s: float, sent: int
) -> None:
    world.provider_.says = {RefundCommand: Succeeded(1000)}
    world.keep(refund())
    world.pass_time(late_s)
    after = await world.submission.refund(refund(), PAID)
    assert len(world.provider_.asked) == sent
    if sent:
        assert after.status is Status.SUCCEEDED
        return
    assert (after.status, after.intent.state, after.takes) == (Status.FAILED, IntentState.NOT_SENT, False)
    assert after.failure is not None
    assert (after.failure.code, after.failure.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.PLATFORM)


async def test_a_refund_without_an_answer_when_it_falls_due_is_given_up_as_unknown(world: World) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    # By the terms of refunds: those of payments would let it wait much longer.
    hasty = {Product.PAYMENT: Terms((1.0,), None, 300.0), Product.REFUND: Terms((1.0,), None, answer_timeout_s=0.01)}
    world.provider_.declaration = replace(world.provider_.declaration, terms=hasty)
    world.provider_.before_answer = never
    world.keep(refund())
    world.pass_time(ANSWER_MARGIN_S)
    after = await world.submission.refund(refund(), PAID)
    assert (after.status, after.takes) == (Status.PROCESSING, True)
    assert [type(observation.outcome) for observation in world.recorded] == [Unknown]


async def test_a_question_that_was_not_sent_says_nothing_of_the_refund(world: World) -> None:
    world.provider_.says = {AskRefund: NotSent("no place", ours=True)}
    world.keep(refund())
    after, said = await world.submission.ask_refund(refund())
    assert (after.status, said) == (Status.PROCESSING, NotSent("no place", ours=True))
    assert [(o.source, o.outcome) for o in world.recorded] == [(Source.POLL, NotSent("no place", ours=True))]


# --- it was given up while its sender slept, and was sent after all ---


@dataclass
class Sleeper:
    """A sender whose send says `says` only after `meanwhile` was recorded; questions are then told `told` in turn."""

    says: Outcome
    told: list[Outcome] = field(default_factory=list)
    meanwhile: tuple[Outcome, ...] = (NotFound(),) * 2
    world: World = field(default_factory=world_with)

    async def send(self) -> Refund:
        self.world.keep(refund())
        self.world.provider_.says = {RefundCommand: self.says}
        self.world.provider_.before_answer = self._before_answer
        return await self.world.submission.refund(refund(), PAID)

    def _before_answer(self) -> Coroutine[Any, Any, None]:
        return self._tell() if isinstance(self.world.provider_.asked[-1], AskRefund) else self._sleep()

    async def _tell(self) -> None:
        self.world.provider_.says[AskRefund] = self.told.pop(0)

    async def _sleep(self) -> None:
        for outcome in self.meanwhile:
            self.world.pass_time(600 + PROOF_MARGIN_S)
            heard = self.world.observations.of(key_of(self.world.only_refund()), Source.POLL, outcome)
            await self.world.record(heard)


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(submit.LATE_WAITS_S) == 3
    monkeypatch.setattr(submit, "LATE_WAITS_S", (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "says", [Processing(), Unknown("timeout"), Unknown("duplicate", "34", received=True)], ids=repr
)
@pytest.mark.parametrize(
    ("told", "questions", "anomalies"),
    [
        ([Succeeded(1000)], 1, [LATE]),
        ([Returned(ReturnReason.OTHER)], 1, [LATE]),
        ([Declined(FailureCode.CHANNEL_REFUSED)], 1, []),
        ([NotFound(), Succeeded(1000)], 2, [LATE]),
        ([NotSent("refused"), Unknown("timeout"), Processing(), Succeeded(1000)], 3, []),
    ],
)
async def test_what_was_given_up_and_perhaps_sent_is_asked_about_until_a_final_word(
    says: Outcome, told: list[Outcome], questions: int, anomalies: list[AnomalyKind]
) -> None:
    sleeper = Sleeper(says, list(told))
    after = await sleeper.send()
    world = sleeper.world
    assert (len(world.provider_.got(AskRefund)), world.anomalies) == (questions, anomalies)
    assert after == world.only_refund()
    assert (after.status, after.intent.state) == (Status.FAILED, IntentState.NOT_RECEIVED)
    assert len(world.provider_.got(RefundCommand)) == 1
    # It is the refund that is asked about, and nobody asks about the payment or pays again.
    assert world.provider_.got(AskPayment) == world.provider_.got(Pay) == []
    assert {(q.number, q.told_at) for q in world.provider_.got(AskRefund)} == {(refund().intent.number, NOW)}


@pytest.mark.parametrize(
    ("says", "anomalies"),
    [(Succeeded(1000), [LATE]), (Declined(FailureCode.CHANNEL_REFUSED), []), (NotSent("too late", ours=True), [])],
    ids=repr,
)
async def test_a_send_with_a_final_word_is_not_asked_about(says: Outcome, anomalies: list[AnomalyKind]) -> None:
    sleeper = Sleeper(says)
    assert (await sleeper.send()).status is Status.FAILED
    assert (sleeper.world.provider_.got(AskRefund), sleeper.world.anomalies) == ([], anomalies)


@pytest.mark.parametrize("meanwhile", [(), (NotFound(),), (Unknown("timeout"),), (Succeeded(1000),)], ids=repr)
@pytest.mark.parametrize("says", [Processing(), Unknown("timeout")], ids=repr)
async def test_a_refund_that_nobody_gave_up_is_left_to_the_workers(
    says: Outcome, meanwhile: tuple[Outcome, ...]
) -> None:
    sleeper = Sleeper(says, meanwhile=meanwhile)
    after = await sleeper.send()
    assert after.status is (Status.SUCCEEDED if Succeeded(1000) in meanwhile else Status.PROCESSING)
    assert (sleeper.world.provider_.got(AskRefund), sleeper.world.anomalies) == ([], [])
