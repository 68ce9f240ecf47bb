"""Corrections: money that moved though the books say otherwise goes back, or is taken as paid. Pure.

    late_success           the payment ended without its money, and its PSP has it: that transaction
    paid_twice             of a checkout: the transaction of the payment that it names
    transaction_mismatch   the PSP did the payment twice: its second transaction, which has a number of its own

What leaves is bounded for each transaction by itself: of a payment's own by what left that payment, of a second one by
what left that.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.anomalies import RecordedAnomaly
from gateway.domain.hearing import AnomalyKind
from gateway.domain.ids import ObjectKind
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status, move

__all__ = ["CORRECTED", "REFUNDED", "NoMoneyProvedError", "ProvedMoney", "correction", "payment_of", "proved_money"]

CORRECTED: Final = "~c"
REFUNDED: Final = "~r"
"""What the order number of a payment ends with that corrects another, and of a refund that an operator asked for."""

_OF_MONEY: Final = frozenset({AnomalyKind.LATE_SUCCESS, AnomalyKind.PAID_TWICE, AnomalyKind.TRANSACTION_MISMATCH})


class NoMoneyProvedError(Exception):
    """An anomaly does not prove that money of a payment moved, or that money is not out any more."""


@dataclass(frozen=True, slots=True)
class ProvedMoney:
    """One transaction at a PSP whose money is proved to have moved. `payment`: the one that it was done for."""

    payment: Payment
    second: str | None
    """The PSP's number of a transaction beside the payment's own; None: it is that one."""

    @property
    def needs_payment(self) -> bool:
        """Whether a payment of its own must say that it was paid: no payment says so yet."""
        return self.second is not None or self.payment.status is not Status.SUCCEEDED


def payment_of(anomaly: RecordedAnomaly) -> UUID | None:
    """The payment whose money an anomaly is about, if it is about any."""
    if anomaly.kind not in _OF_MONEY:
        return None
    return anomaly.object_id if anomaly.object is ObjectKind.PAYMENT else anomaly.payment_id


def proved_money(anomaly: RecordedAnomaly, payment: Payment) -> ProvedMoney:
    """What an anomaly proves to have moved for `payment`. Raises NoMoneyProvedError."""
    late = payment.attempt is not None and payment.attempt.late_success
    if payment_of(anomaly) != payment.payment_id or not (late or payment.status is Status.SUCCEEDED):
        raise NoMoneyProvedError
    if anomaly.kind != AnomalyKind.TRANSACTION_MISMATCH:
        return ProvedMoney(payment, None)
    if anomaly.transaction_no is None:
        raise NoMoneyProvedError
    return ProvedMoney(payment, anomaly.transaction_no)


def correction(money: ProvedMoney, payment_id: UUID, merchant_order_no: str, now: datetime, zone: ZoneInfo) -> Payment:
    """The payment that says that this money was paid. The one that it corrects stays as it is.

    It is of today: usage, rates and the day's attempts have counted its transaction with the one that it corrects.
    """
    wrong = money.payment
    assert wrong.attempt is not None, "proved money has an intent"
    attempt = wrong.attempt if money.second is None else replace(wrong.attempt, channel_transaction_no=money.second)
    return replace(
        wrong,
        payment_id=payment_id,
        merchant_order_no=merchant_order_no,
        status=move(ObjectKind.PAYMENT, None, Status.SUCCEEDED),
        corrects=wrong.payment_id,
        channel_order_no=attempt.number,
        attempt=attempt,
        authentication_id=None,
        authentication_fee=None,
        fee=wrong.fee if wrong.fee is not None else wrong.expected_fee,
        failure=None,
        closed_reason=None,
        asked=None,
        checkout=None,
        due_at=None,
        until_at=None,
        sequence=1,
        created_at=now,
        finished_at=now,
        business_day=now.astimezone(zone).date(),
        refunded=0,
        settled=0,
    )
