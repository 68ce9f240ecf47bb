"""Small fakes of the ports: books that keep payments in a dict, a PSP that says what it is told to, a clock by hand."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.cards import CardElements
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.payments import Payment
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.domain.transitions import AnomalyKind, apply, apply_authentication
from gateway.flows.observations import ObservationMaker
from gateway.flows.opening import Opening, open_payment
from gateway.flows.pay import PayFlow
from gateway.flows.submit import Submission
from gateway.ports import (
    PLACE_WITHIN_S,
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
    Observation,
    OpenResult,
    OrderConflictError,
    Pay,
    PaymentKey,
    PaymentObservation,
    Recorded,
    Refund,
    UserFacts,
)
from tests.unit.domain.samples import NOW, TERMS, card_elements, catalogue, channel, rule, terms_of

TIMEZONE = ZoneInfo("Asia/Shanghai")
PLAIN = catalogue((channel("up"),), (rule("up"),))
EVERYTHING: tuple[type[Command[Any]], ...] = (Authenticate, AskAuthentication, Pay, AskPayment, Refund, AskRefund)
O = TypeVar("O", bound=Outcome | AuthenticationOutcome)  # noqa: E741 -- an outcome of either kind


@dataclass
class FakeProvider:
    """A PSP: `says` is what it answers to each kind of command; `asked` is every command it got."""

    says: dict[type, Outcome | AuthenticationOutcome | Exception] = field(default_factory=dict)
    asked: list[Command[Any]] = field(default_factory=list)
    callback: Callback | None = None
    before_answer: Callable[[], Coroutine[Any, Any, None]] | None = None
    callbacks: CallbackReader | None = None
    declaration: Declaration = field(
        default_factory=lambda: Declaration(
            "mock",
            frozenset({Scene.WITHHOLD}),
            terms={
                Product.PAYMENT: Terms((1.0,), NotFoundRule(3, 300.0), 30.0),
                Product.AUTHENTICATION: Terms((1.0,), None, 30.0),
            },
        )
    )

    def __post_init__(self) -> None:
        self.callbacks = FakeCallbacks(self)

    @property
    def commands(self) -> Commands:
        """All of them."""
        return dict.fromkeys(EVERYTHING, self._answer)

    def got(self, kind: type) -> list[Any]:
        """The commands of one kind."""
        return [command for command in self.asked if isinstance(command, kind)]

    async def _answer(self, command: Command[Any]) -> Outcome | AuthenticationOutcome:
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


@dataclass
class World:
    """The flows over fakes: one account, one catalogue, one clock."""

    catalogue: Any = PLAIN
    provider_: FakeProvider = field(default_factory=FakeProvider)
    payments: dict[UUID, Payment] = field(default_factory=dict)
    agreements: dict[str, str] = field(default_factory=dict)
    orders: dict[str, tuple[UUID, bytes]] = field(default_factory=dict)
    recorded: list[Observation] = field(default_factory=list)
    anomalies: list[AnomalyKind] = field(default_factory=list)
    started: list["asyncio.Task[Payment]"] = field(default_factory=list)
    now: datetime = NOW
    ids: Any = field(default_factory=lambda: count(1))
    answer_within_s: float = 5.0
    max_running: int = 100

    def __post_init__(self) -> None:
        self.observations = ObservationMaker(lambda: self.now, self.new_id)
        self.submission = Submission(self, self.call, self, self.observations)
        self.flow = PayFlow(
            self, self.submission, self, lambda: self.now, self.new_id, self.answer_within_s, self.max_running
        )

    def new_id(self) -> UUID:
        return UUID(int=next(self.ids))

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # --- Providers ---

    def provider(self, merchant_id: UUID, account: str) -> FakeProvider:
        return self.provider_

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        return f"https://gateway.example/callbacks/acme.{account}"

    # --- Calls ---

    async def call(
        self, merchant_id: UUID, channel: str, account: str, command: Command[O], within_s: float = PLACE_WITHIN_S
    ) -> O:
        return cast("O", await self.provider_.commands[type(command)](command))

    # --- Opener ---

    async def open(self, opening: Opening) -> OpenResult:
        await asyncio.sleep(0)  # as a flush does
        order = opening.order
        if order.merchant_order_no in self.orders:
            payment_id, body = self.orders[order.merchant_order_no]
            if body != order.body:
                raise OrderConflictError(order.merchant_order_no)
            return OpenResult(self.payments[payment_id], replayed=True)
        user = UserFacts(agreements=self.agreements)
        opened = open_payment(opening, opening.new_card_id, user, self.catalogue, terms_of, TIMEZONE)
        self.orders[order.merchant_order_no] = (opening.payment_id, order.body)
        self.payments[opening.payment_id] = opened.payment
        attempt = opened.payment.attempt
        return OpenResult(opened.payment, False, self.agreements.get(attempt.account) if attempt else None)

    # --- Recording ---

    async def record(self, observation: Observation) -> Recorded:
        self.recorded.append(observation)
        before = self.payments[observation.payment_id]
        if isinstance(observation, PaymentObservation):
            verdict = apply(before, observation.source, observation.outcome, TERMS, observation.at)
        else:
            verdict = apply_authentication(before, observation.outcome, False, TERMS, observation.at)
        self.payments[observation.payment_id] = verdict.payment
        if verdict.anomaly is not None:
            self.anomalies.append(verdict.anomaly.kind)
        return Recorded(verdict.payment, verdict.submit)

    # --- Tasks, CardReading, AttemptReading ---

    @property
    def running(self) -> int:
        return sum(not task.done() for task in self.started)

    def start(self, work: Coroutine[Any, Any, Payment]) -> "asyncio.Task[Payment]":
        task = asyncio.create_task(work)
        self.started.append(task)
        return task

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements:
        return card_elements()

    async def payment_of_attempt(self, merchant_id: UUID, account: str, attempt_id: UUID) -> PaymentKey | None:
        return next(
            (
                PaymentKey(p.merchant_id, p.payment_id, p.user_id)
                for p in self.payments.values()
                if p.attempt
                and (p.merchant_id, p.attempt.account, p.attempt.attempt_id) == (merchant_id, account, attempt_id)
            ),
            None,
        )

    def only_payment(self) -> Payment:
        (payment,) = self.payments.values()
        return payment
