"""Small fakes of the ports: books that keep objects in dicts, a PSP that says what it is told to, a clock by hand."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar, cast
from uuid import UUID

from gateway.domain import authentications, payments, refunds
from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.hearing import AnomalyKind, Heard, Source, hear
from gateway.domain.ids import caused_id
from gateway.domain.intents import PRODUCT_OF, Intent, Verb
from gateway.domain.outcomes import AnyOutcome, Authenticated, BalanceOutcome, Outcome, ReturnsOutcome
from gateway.domain.payments import Payment, begun
from gateway.domain.payouts import Payout
from gateway.domain.refunds import Refund
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.flows.intents import intent_to_pay
from gateway.flows.observations import ObservationMaker, key_of
from gateway.flows.opening import Opening, open_payment
from gateway.flows.pay import PayFlow
from gateway.flows.refund import RefundFlow, RefundOpening, new_refund, refundable
from gateway.flows.submit import Submission
from gateway.ports import (
    PLACE_WITHIN_S,
    AmountExceedsRestError,
    AskAuthentication,
    AskPayment,
    AskRefund,
    Authenticate,
    Callback,
    CallbackAnswer,
    CallbackReader,
    CallbackRejectedError,
    CallbackRequest,
    Command,
    Commands,
    Declaration,
    GoOn,
    IntentKey,
    Observation,
    OpenResult,
    OrderConflictError,
    Pay,
    PayerAct,
    Recorded,
    RefundResult,
    UserFacts,
)
from gateway.ports import Refund as RefundCommand
from gateway.run.rooms import ProcessRooms
from tests.unit.domain.samples import (
    AUTHENTICATION_TERMS,
    NOW,
    REFUND_TERMS,
    TERMS,
    ZONE,
    card_elements,
    catalogue,
    channel,
    rule,
    terms_of,
)

PLAIN = catalogue((channel("up"),), (rule("up"),))
EVERYTHING: tuple[type[Command[Any]], ...] = (
    Authenticate,
    AskAuthentication,
    Pay,
    AskPayment,
    RefundCommand,
    AskRefund,
)
O = TypeVar("O", bound=AnyOutcome | ReturnsOutcome | BalanceOutcome)  # noqa: E741 -- an outcome of any kind
T = TypeVar("T")


@dataclass
class FakeProvider:
    """A PSP: `says` is what it answers to each kind of command; `asked` is every command it got."""

    says: dict[type, AnyOutcome | Exception] = field(default_factory=dict)
    asked: list[Command[Any]] = field(default_factory=list)
    callback: Callback | None = None
    before_answer: Callable[[], Coroutine[Any, Any, None]] | None = None
    callbacks: CallbackReader | None = None
    can: tuple[type[Command[Any]], ...] = EVERYTHING
    declaration: Declaration = field(
        default_factory=lambda: Declaration(
            "mock",
            frozenset({Scene.WITHHOLD}),
            terms={
                Product.PAYMENT: Terms((1.0,), NotFoundRule(3, 300.0), 30.0),
                Product.AUTHENTICATION: Terms((1.0,), None, 30.0),
                Product.REFUND: Terms((1.0,), NotFoundRule(2, 600.0), 30.0),
            },
        )
    )

    def __post_init__(self) -> None:
        self.callbacks = FakeCallbacks(self)

    @property
    def commands(self) -> Commands:
        """All of them, unless it is told that it can do less."""
        return dict.fromkeys(self.can, self._answer)

    def got(self, kind: type) -> list[Any]:
        """The commands of one kind."""
        return [command for command in self.asked if isinstance(command, kind)]

    async def _answer(self, command: Command[Any]) -> AnyOutcome:
        self.asked.append(command)
        if self.before_answer:
            await self.before_answer()
        said = self.says[type(command)]
        if isinstance(said, Exception):
            raise said
        return said


@dataclass
class FakeCallbacks:
    """Reads the callback that its PSP was told to send; rejects everything when there is none."""

    provider: FakeProvider

    def read(self, request: CallbackRequest) -> Callback:
        if self.provider.callback is None:
            raise CallbackRejectedError("the signature does not match")
        return self.provider.callback

    def answer(self, accepted: bool) -> CallbackAnswer:
        return CallbackAnswer(200 if accepted else 400, "text/plain", b"ok" if accepted else b"no")


Kept = Payment | Authentication | Refund | Payout


@dataclass
class World:
    """The flows over fakes: one account, one catalogue, one clock."""

    catalogue: Any = PLAIN
    provider_: FakeProvider = field(default_factory=FakeProvider)
    payments: dict[UUID, Payment] = field(default_factory=dict)
    authentications: dict[UUID, Authentication] = field(default_factory=dict)
    refunds: dict[UUID, Refund] = field(default_factory=dict)
    payouts: dict[UUID, Payout] = field(default_factory=dict)
    agreements: dict[str, str] = field(default_factory=dict)
    orders: dict[str, tuple[UUID, bytes]] = field(default_factory=dict)
    recorded: list[Observation] = field(default_factory=list)
    strays: list[tuple[str, str, Verb, Outcome]] = field(default_factory=list)
    """Words about orders that nobody asked for: account, number, verb, outcome."""
    anomalies: list[AnomalyKind] = field(default_factory=list)
    with_anomalies: set[UUID] = field(default_factory=set)
    """Payments with an open one, as the refunds find them."""
    started: list["asyncio.Task[Any]"] = field(default_factory=list)
    now: datetime = NOW
    ids: Any = field(default_factory=lambda: count(1))
    answer_within_s: float = 5.0
    max_running: int = 100

    def __post_init__(self) -> None:
        self.observations = ObservationMaker(lambda: self.now, self.new_id)
        self.submission = Submission(self, self.call, self, self.observations)
        self.rooms = ProcessRooms(self.max_running, lambda merchant_id, channel: None)
        bounds = (self.answer_within_s, self.rooms)
        self.flow = PayFlow(self, self.submission, self, lambda: self.now, self.new_id, *bounds)
        self.refund_flow = RefundFlow(self, self, self, self.submission, self, lambda: self.now, self.new_id, *bounds)

    def new_id(self) -> UUID:
        return UUID(int=next(self.ids))

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def keep(self, *known: Kept) -> None:
        """Put objects into the books as they are."""
        for one in known:
            match one:
                case Payment():
                    self.payments[one.payment_id] = one
                case Authentication():
                    self.authentications[one.authentication_id] = one
                case Refund():
                    self.refunds[one.refund_id] = one
                case Payout():
                    self.payouts[one.payout_id] = one

    # --- Providers ---

    def provider(self, merchant_id: UUID, account: str) -> FakeProvider:
        return self.provider_

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        return f"https://gateway.example/callbacks/acme.{account}"

    # --- Calls ---

    async def call(
        self,
        merchant_id: UUID,
        channel: str,
        account: str,
        command: Command[O],
        within_s: float = PLACE_WITHIN_S,
        holder: UUID | None = None,
    ) -> O:
        return cast("O", await self.provider_.commands[type(command)](command))

    # --- Opener ---

    async def open(self, opening: Opening) -> OpenResult:
        await asyncio.sleep(0)  # as a flush does
        order = opening.order
        if order.merchant_order_no in self.orders:
            return OpenResult(self.payments[self._taken(order.merchant_order_no, order.body)], replayed=True)
        in_flight = {a.account: a.authentication_id for a in self.authentications.values() if not a.is_final}
        user = UserFacts(agreements=self.agreements, authentications=in_flight)
        opened = open_payment(opening, opening.new_card_id, user, self.catalogue, terms_of, ZONE)
        self.orders[order.merchant_order_no] = (opening.payment_id, order.body)
        self.keep(opened.payment)
        if opened.authentication is not None:
            self.keep(opened.authentication)
        return OpenResult(opened.payment, False, self._agreement(opened.payment), opened.authentication)

    def _taken(self, order_no: str, body: bytes) -> UUID:
        object_id, before = self.orders[order_no]
        if before != body:
            raise OrderConflictError(order_no)
        return object_id

    def _agreement(self, payment: Payment) -> str | None:
        return self.agreements.get(payment.account) if payment.account else None

    # --- RefundBooks, PaymentReading ---

    async def open_refund(self, opening: RefundOpening) -> RefundResult:
        await asyncio.sleep(0)
        order = opening.order
        if order.merchant_order_no in self.orders:
            return RefundResult(self.refunds[self._taken(order.merchant_order_no, order.body)], replayed=True)
        payment = self.payments[order.payment_id]
        found = {UUID(int=1): "late_failure"} if payment.payment_id in self.with_anomalies else {}
        money = refundable(payment, opening, found, None)
        taken = sum(r.amount for r in self.refunds.values() if r.payment_id == payment.payment_id and r.takes)
        if order.amount > payment.amount - taken:
            raise AmountExceedsRestError(payment.amount - taken)
        refund = new_refund(opening, money, REFUND_TERMS, ZONE)
        self.orders[order.merchant_order_no] = (refund.refund_id, order.body)
        self.keep(refund)
        return RefundResult(refund, replayed=False, payment=payment)

    async def payment(self, merchant_id: UUID, payment_id: UUID) -> Payment | None:
        found = self.payments.get(payment_id)
        return found if found and found.merchant_id == merchant_id else None

    # --- Recording ---

    async def act(self, act: PayerAct) -> Recorded:
        raise AssertionError(f"nobody waits for a payer here: {act.wish}")

    async def record(self, observation: Observation) -> Recorded:
        self.recorded.append(observation)
        key, at = observation.intent, observation.at
        match key.verb:
            case Verb.PAY:
                payment = self.payments[key.object_id]
                assert payment.attempt is not None
                payment = payments.after_hearing(payment, self._hear(observation, payment.attempt), at)
                self.keep(payment)
                return Recorded(payment, payment)
            case Verb.REFUND:
                refund = self.refunds[key.object_id]
                refund = refunds.after_hearing(refund, self._hear(observation, refund.intent), at)[-1]
                self.keep(refund)
                return Recorded(refund)
            case Verb.AUTHENTICATE:
                return self._hear_authentication(observation)
            case _:
                raise AssertionError(f"nothing of {key.verb} is recorded yet")

    def _hear(self, observation: Observation, intent: Intent) -> Heard:
        terms = terms_of(observation.intent.merchant_id, intent.account, PRODUCT_OF[intent.verb])
        heard = hear(intent, observation.source, observation.outcome, terms, ZONE, observation.at)
        if heard.anomaly is not None:
            self.anomalies.append(heard.anomaly.kind)
        return heard

    def _hear_authentication(self, observation: Observation) -> Recorded:
        before = self.authentications[observation.intent.object_id]
        assert before.intent is not None
        heard = self._hear(observation, before.intent)
        ended = authentications.after_hearing(before, heard, False, observation.at)
        if heard.agreement_no is not None:
            self.agreements[ended.account] = heard.agreement_no
        self.keep(ended)
        starter, submit = self.payments.get(ended.payment_id) if ended.payment_id else None, False
        for payment in [p for p in self.payments.values() if p.authentication_id == ended.authentication_id]:
            after = payments.after_authentication(payment, ended, observation.at)
            if ended.is_own_of(payment.payment_id):
                bears = observation.source in {Source.ANSWER, Source.POLL}
                if after.waits_for_authentication and ended.status is Status.SUCCEEDED and bears:
                    intent_id = caused_id(observation.observation_id, payment.payment_id, Verb.PAY)
                    after, submit = self._begin(after, intent_id, observation.at), True
                starter = after
            self.keep(after)
        agreement_no = observation.outcome.agreement_no if isinstance(observation.outcome, Authenticated) else None
        return Recorded(ended, starter, submit, agreement_no)

    def _begin(self, payment: Payment, intent_id: UUID, at: datetime) -> Payment:
        return begun(payment, intent_to_pay(payment, intent_id, at), TERMS.unanswered(at))

    async def go_on(self, waiting: GoOn) -> Recorded:
        payment, submit = self.payments[waiting.payment_id], False
        if payment.waits_for_authentication and payment.authentication_id is not None:
            ended = self.authentications[payment.authentication_id]
            if not ended.is_final:
                payment = replace(payment, due_at=AUTHENTICATION_TERMS.unanswered(waiting.at))
            else:
                payment = payments.after_authentication(payment, ended, waiting.at)
                if ended.status is Status.SUCCEEDED:
                    payment, submit = self._begin(payment, waiting.intent_id, waiting.at), True
            self.keep(payment)
        return Recorded(payment, payment, submit, self._agreement(payment))

    # --- Tasks, CardReading, IntentReading ---

    @property
    def running(self) -> int:
        return sum(not task.done() for task in self.started)

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self.started.append(task)
        return task

    async def continuation(self, authentication: Authentication) -> str | None:
        return None

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements:
        return card_elements()

    async def intent_of_number(self, merchant_id: UUID, account: str, number: str, verb: Verb) -> IntentKey | None:
        known: list[tuple[Intent | None, Payment | Authentication | Refund]] = [
            *((payment.attempt, payment) for payment in self.payments.values()),
            *((refund.intent, refund) for refund in self.refunds.values()),
        ]
        for intent, about in known:
            asked = (about.merchant_id, intent.account, intent.number, intent.verb) if intent else None
            if asked == (merchant_id, account, number, verb):
                return key_of(about)
        return None

    async def keep_stray(
        self, merchant_id: UUID, account: str, number: str, verb: Verb, outcome: Outcome, now: datetime
    ) -> None:
        self.strays.append((account, number, verb, outcome))

    # --- what tests look at ---

    def only_payment(self) -> Payment:
        (payment,) = self.payments.values()
        return payment

    def only_refund(self) -> Refund:
        (refund,) = self.refunds.values()
        return refund
