"""Correct: an operator resolves an anomaly, and what is proved to have moved goes back, or is taken as paid."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import orjson

from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly
from gateway.domain.corrections import ProvedMoney
from gateway.domain.ids import ANOMALY, show
from gateway.domain.orders import RefundOrder
from gateway.flows.observations import Clock, NewId
from gateway.ports import AmountExceedsRestError, OrderConflictError, PaymentNotRefundableError, RefundResult

__all__ = ["CorrectionFlow", "Proved", "Resolving"]


@dataclass(frozen=True, slots=True)
class Resolving:
    """Who resolves which anomaly, and what they note."""

    merchant_id: UUID
    anomaly_id: UUID
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class Proved:
    """The money that an anomaly proves to have moved, and what is left of it, in fen.

    `refund_no`: the order number of the next refund of that payment that operators ask for.
    """

    anomaly: RecordedAnomaly
    money: ProvedMoney
    left: int
    refund_no: str


class AnomalyBooks(Protocol):
    """The books of anomalies."""

    async def anomaly(self, merchant_id: UUID, anomaly_id: UUID) -> RecordedAnomaly | None: ...

    async def resolve(
        self, merchant_id: UUID, anomaly_id: UUID, *, by: str, note: str, now: datetime
    ) -> RecordedAnomaly | None: ...


class CorrectingBooks(Protocol):
    """Where corrections are recorded. Returns after the commit."""

    async def proved(self, merchant_id: UUID, anomaly_id: UUID) -> Proved | None: ...

    async def take_as_paid(self, resolving: Resolving, payment_id: UUID) -> RecordedAnomaly | None: ...


class Refunding(Protocol):
    """Opens refunds: the flow of refunds."""

    async def open(self, order: RefundOrder) -> RefundResult | None: ...


@dataclass(frozen=True, slots=True)
class CorrectionFlow:
    """What operators make of anomalies. Each call answers with the anomaly as it is then; None: there is none."""

    anomalies: AnomalyBooks
    books: CorrectingBooks
    refunds: Refunding
    clock: Clock
    new_id: NewId

    async def explain(self, resolving: Resolving) -> RecordedAnomaly | None:
        """Note that nothing is to be done. Raises AnomalyResolvedError."""
        return await self.anomalies.resolve(
            resolving.merchant_id, resolving.anomaly_id, by=resolving.by, note=resolving.note, now=self.clock()
        )

    async def take_as_paid(self, resolving: Resolving) -> RecordedAnomaly | None:
        """Have its money paid by a payment of its own.

        Raises AnomalyResolvedError, NoMoneyProvedError and, where some of it went back, AmountExceedsRestError.
        """
        return await self.books.take_as_paid(resolving, self.new_id())

    async def refund(self, resolving: Resolving, amount: int | None) -> RecordedAnomaly | None:
        """Give `amount` fen of its money back, or what is left of it. The refund goes on by itself.

        Raises AnomalyResolvedError, NoMoneyProvedError, AmountExceedsRestError, PaymentNotRefundableError and
        OverloadedError.
        """
        proved = await self.books.proved(resolving.merchant_id, resolving.anomaly_id)
        if proved is None:
            return None
        if proved.anomaly.resolved_at is not None:
            raise AnomalyResolvedError
        if proved.left == 0:
            now = await self.anomalies.anomaly(resolving.merchant_id, resolving.anomaly_id)
            raise AmountExceedsRestError(0) if now is not None and now.resolved_at is None else AnomalyResolvedError
        opened = await self._open(_order(resolving, proved, amount))
        if opened is None or opened.replayed:  # somebody else was first
            raise AnomalyResolvedError
        return await self.anomalies.anomaly(resolving.merchant_id, resolving.anomaly_id)

    async def _open(self, order: RefundOrder) -> RefundResult | None:
        """None: somebody else took the number."""
        try:
            return await self.refunds.open(order)
        except OrderConflictError:
            return None
        except PaymentNotRefundableError as error:
            if error.code == "already_resolved":
                raise AnomalyResolvedError from None
            raise


def _order(resolving: Resolving, proved: Proved, amount: int | None) -> RefundOrder:
    """The order of an operator, under a number that nobody else gives out: two who do the same at once are one."""
    payment, about = proved.money.payment, show(ANOMALY, resolving.anomaly_id)
    return RefundOrder(
        merchant_id=resolving.merchant_id,
        app=payment.app,
        merchant_order_no=proved.refund_no,
        payment_id=payment.payment_id,
        amount=proved.left if amount is None else amount,
        reason=None,
        metadata={},
        body=orjson.dumps({"refund_of": about, "amount": amount}),
        anomaly_id=resolving.anomaly_id,
        resolved_by=resolving.by,
        note=resolving.note,
        resolves=True,
    )
