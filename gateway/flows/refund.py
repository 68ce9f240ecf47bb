"""Open a refund: record it, submit it if that is ours to do, and answer with the refund as it is then."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.anomalies import RecordedAnomaly, Resolution
from gateway.domain.corrections import NoMoneyProvedError, ProvedMoney, payment_of, proved_money
from gateway.domain.hearing import AnomalyKind
from gateway.domain.ids import ObjectKind, number_of
from gateway.domain.intents import Intent, Verb
from gateway.domain.orders import RefundOrder
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status, move
from gateway.domain.terms import Terms
from gateway.flows.in_hand import Tasks, carried_out
from gateway.flows.observations import Clock, NewId
from gateway.flows.submit import Submission
from gateway.ports import (
    PaymentNotRefundableError,
    Providers,
    RefundResult,
    Rooms,
    UnusableAccountError,
)
from gateway.ports import Refund as RefundCommand

__all__ = ["RefundFlow", "RefundOpening", "new_refund", "refundable"]


@dataclass(frozen=True, slots=True)
class RefundOpening:
    """An order for a refund with the ids and the time that it will be recorded with. `user_id`: the payment's."""

    order: RefundOrder
    user_id: str
    refund_id: UUID
    intent_id: UUID
    now: datetime
    refusal: str | None = None
    """Why a new refund is refused, before anything is known of the payment's rest. One taken before replays."""


def refundable(
    payment: Payment, opening: RefundOpening, open_anomalies: Mapping[UUID, str], named: RecordedAnomaly | None
) -> ProvedMoney:
    """The money of this payment that can go back. Pure. `named`: the anomaly that the order names, if it is there.

    Other anomalies that are open hold it, but for those of further transactions: each is bounded by itself, and else of
    two neither could be given back. Raises PaymentNotRefundableError.
    """
    if opening.refusal is not None:
        raise PaymentNotRefundableError(opening.refusal)
    about = opening.order.anomaly_id
    if about is not None and (named is None or payment_of(named) != payment.payment_id):
        raise PaymentNotRefundableError("not_its_anomaly")
    free = AnomalyKind.TRANSACTION_MISMATCH if about is not None else None
    if any(anomaly_id != about and kind != free for anomaly_id, kind in open_anomalies.items()):
        raise PaymentNotRefundableError("payment_has_anomaly")
    if named is None:
        if payment.status is not Status.SUCCEEDED:
            raise PaymentNotRefundableError("payment_not_succeeded")
        return ProvedMoney(payment, None)
    if named.resolved_at is not None and (opening.order.resolves or named.resolution is not Resolution.REFUNDED):
        raise PaymentNotRefundableError("already_resolved")
    try:
        return proved_money(named, payment)
    except NoMoneyProvedError:
        raise PaymentNotRefundableError("no_money_proved") from None


def new_refund(opening: RefundOpening, money: ProvedMoney, terms: Terms, zone: ZoneInfo) -> Refund:
    """The refund of an order, on the channel that took the money. Pure. `terms`: of refunds there."""
    order, now, payment, paid = opening.order, opening.now, money.payment, money.payment.attempt
    assert paid is not None, "money that moved has an intent"
    return Refund(
        merchant_id=order.merchant_id,
        refund_id=opening.refund_id,
        app=order.app,
        merchant_order_no=order.merchant_order_no,
        payment_id=payment.payment_id,
        user_id=payment.user_id,
        scene=payment.scene,
        amount=order.amount,
        currency=payment.currency,
        status=move(ObjectKind.REFUND, None, Status.PROCESSING),
        reason=order.reason,
        failure=None,
        returned=None,
        intent=Intent(
            intent_id=opening.intent_id,
            object_id=opening.refund_id,
            verb=Verb.REFUND,
            ordinal=1,
            channel=paid.channel,
            account=paid.account,
            number=number_of(opening.refund_id),
            told_at=now,
            recorded_at=now,
            amount=order.amount,
        ),
        due_at=terms.unanswered(now),
        sequence=0,
        created_at=now,
        finished_at=None,
        business_day=now.astimezone(zone).date(),
        metadata=order.metadata,
        anomaly_id=order.anomaly_id,
        second=money.second,
        original_transaction_no=money.second or paid.channel_transaction_no,
    )


class RefundBooks(Protocol):
    """Where refunds are recorded. Returns after the commit."""

    async def open_refund(self, opening: RefundOpening) -> RefundResult: ...


class PaymentReading(Protocol):
    """Reads the payment whose money goes back."""

    async def payment(self, merchant_id: UUID, payment_id: UUID) -> Payment | None: ...


@dataclass(slots=True)
class RefundFlow:
    """Refunds. `answer_within_s`: how long an answer waits for the PSP; then it goes on by itself."""

    books: RefundBooks
    payments: PaymentReading
    providers: Providers
    submission: Submission
    tasks: Tasks
    clock: Clock
    new_id: NewId
    answer_within_s: float
    rooms: Rooms

    async def open(self, order: RefundOrder) -> RefundResult | None:
        """Record and submit an order; None: there is no such payment of this app.

        Raises OrderConflictError, OverloadedError, PaymentNotRefundableError, AmountExceedsRestError, with nothing
        recorded.
        """
        refund_id, intent_id = self.new_id(), self.new_id()

        def submit(opened: RefundResult | None) -> Coroutine[Any, Any, Refund] | None:
            if opened is None or opened.replayed or opened.payment is None:
                return None
            return self.submission.refund(opened.refund, opened.payment)

        opened, task = await carried_out(
            self.rooms,
            self.tasks,
            order.merchant_id,
            refund_id,
            lambda: self._record(order, refund_id, intent_id),
            submit,
        )
        if opened is None or task is None:
            return opened
        done, _ = await asyncio.wait({task}, timeout=self.answer_within_s)
        if done and not task.cancelled() and task.exception() is None:
            return RefundResult(task.result(), replayed=False)
        return RefundResult(opened.refund, replayed=False)

    async def _record(self, order: RefundOrder, refund_id: UUID, intent_id: UUID) -> RefundResult | None:
        payment = await self.payments.payment(order.merchant_id, order.payment_id)
        if payment is None or payment.app != order.app:
            return None
        refusal = self._refusal(payment)
        opening = RefundOpening(order, payment.user_id, refund_id, intent_id, self.clock(), refusal)
        return await self.books.open_refund(opening)

    def _refusal(self, payment: Payment) -> str | None:
        if payment.account is None:
            return None  # nothing was ever sent: the books say so
        try:
            provider = self.providers.provider(payment.merchant_id, payment.account)
        except UnusableAccountError:
            return "account_unusable"
        return None if RefundCommand in provider.commands else "refunds_not_supported"
