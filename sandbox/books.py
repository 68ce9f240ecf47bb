"""The books of one provider: every order it took, whatever it told the merchant about it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sandbox.journal import Journal, JournalUnreadableError

__all__ = ["Books", "Kind", "Order", "State", "mask_card"]

Kind = Literal["open_card", "consume", "withhold", "collect", "pay", "netbank", "recharge", "refund", "payout"]
State = Literal["processing", "succeeded", "failed", "returned"]
"""`returned`: a payout that was paid, or a refund that was paid out, and came back."""
Callback = Literal["none", "owed", "done"]

MASK_HEAD = 6
MASK_TAIL = 4


def mask_card(card_no: str) -> str:
    """`622202******1234`: what the books, the journal and the control API may know of a card number."""
    return f"{card_no[:MASK_HEAD]}{'*' * 6}{card_no[-MASK_TAIL:]}"


def _rfc3339(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Order:
    """One order as the provider has it. Amounts in fen, moments as seconds of the epoch.

    `code` is what a query would tell now: an interim code while processing, the final one afterwards.
    `planned_code` becomes `code` at `due_at`. Before `visible_at` queries do not find the order.
    """

    order_no: str
    kind: Kind
    amount: int
    currency: str
    card: str
    received_at: float
    due_at: float
    visible_at: float
    code: str
    planned_code: str
    state: State = "processing"
    submissions: int = 1
    transaction_no: str | None = None
    txn_time: str = ""
    finished_at: float | None = None
    back_url: str = ""
    callback: Callback = "none"
    sends: int = 0
    echo: dict[str, str] = field(default_factory=dict)
    original: str | None = None
    """Of a refund: the order number of the payment that it gives back."""
    return_after_s: float | None = None
    """Of what will come back: how long after its success."""
    reason: str = ""
    """Why a payout comes back, or why it is held."""
    returned_at: float | None = None

    @property
    def card_tail(self) -> str:
        """The last four digits."""
        return self.card[-MASK_TAIL:]

    def shown(self) -> dict[str, Any]:
        """The order as the control API shows it."""
        return {
            "order_no": self.order_no,
            "kind": self.kind,
            "amount": self.amount,
            "currency": self.currency,
            "state": self.state,
            "code": self.code,
            "submissions": self.submissions,
            "card": self.card,
            "transaction_no": self.transaction_no,
            "txn_time": self.txn_time,
            "original": self.original,
            "received_at": _rfc3339(self.received_at),
            "finished_at": _rfc3339(self.finished_at),
            "returned_at": _rfc3339(self.returned_at),
        }


class Books:
    """All orders of one provider, by order number, kept in the journal.

    `state_of` tells what a code means to this provider.
    """

    def __init__(self, journal: Journal, state_of: Callable[[str], State]) -> None:
        self._journal = journal
        self._state_of = state_of
        self._orders: dict[str, Order] = {}
        self.others: list[dict[str, Any]] = []
        """Journal entries that are no orders, for the provider that wrote them."""
        self.balance: list[float] | None = None
        """What a test last said that the merchant has, for `sandbox.balances`."""
        for entry in journal.replay():
            self._restore(entry)

    def _restore(self, entry: dict[str, Any]) -> None:
        if "balance" in entry:
            self.balance = entry["balance"]
            return
        if "order" not in entry:
            self.others.append(entry)
            return
        try:
            order = Order(**entry["order"])
        except TypeError as error:
            raise JournalUnreadableError(
                f"{self._journal.path}: written by another version; move the file away to start anew"
            ) from error
        self._orders[order.order_no] = order

    def __iter__(self) -> Iterator[Order]:
        return iter(list(self._orders.values()))

    def __len__(self) -> int:
        return len(self._orders)

    def get(self, order_no: str) -> Order | None:
        """The order of this number, or None."""
        return self._orders.get(order_no)

    def of_transaction(self, transaction_no: str) -> Order | None:
        """The order of this number of the provider's own, or None."""
        return next((order for order in self._orders.values() if order.transaction_no == transaction_no), None)

    def left_of(self, payment: Order) -> int:
        """What may still be given back of a payment, in fen: refunds that are open count, not those that failed or came
        back.
        """
        taken = (refund.amount for refund in self.refunds_of(payment) if refund.state in ("processing", "succeeded"))
        return payment.amount - sum(taken)

    def refunds_of(self, payment: Order) -> list[Order]:
        """All refunds of a payment, the oldest first."""
        return [order for order in self._orders.values() if order.original == payment.order_no]

    def add(self, order: Order) -> None:
        """Take a new order; its number must be new, or that of one that failed and is tried again."""
        known = self._orders.get(order.order_no)
        assert known is None or known.state == "failed"
        self._orders[order.order_no] = order
        if order.due_at <= order.received_at:
            self._settle(order)
        self.save(order)

    def enter(self, order: Order) -> None:
        """Take an order that has its end already; its number must be new."""
        assert order.order_no not in self._orders
        assert order.state != "processing"
        self._orders[order.order_no] = order
        self.save(order)

    def submitted_again(self, order: Order) -> None:
        """The merchant sent the number again: counted, never worked twice."""
        order.submissions += 1
        self.save(order)

    def finish(self, order: Order) -> bool:
        """Give the order its planned code. False when it was final before or is no longer in the books."""
        if order.state != "processing" or self._orders.get(order.order_no) is not order:
            return False
        self._settle(order)
        self.save(order)
        return order.state != "processing"

    def give_back(self, order: Order, code: str, reason: str, at: float) -> None:
        """A payout or a refund that was paid comes back. `code` is what a query tells of it from now on."""
        assert order.kind in ("payout", "refund")
        assert order.state == "succeeded"
        order.state, order.code, order.reason, order.returned_at = "returned", code, reason, at
        self.save(order)

    def _settle(self, order: Order) -> None:
        order.code = order.planned_code
        order.state = self._state_of(order.planned_code)
        if order.state != "processing":
            order.finished_at = time.time()

    def save(self, order: Order) -> None:
        """Write the order as it stands now."""
        self.note({"order": order})

    def note(self, entry: dict[str, Any]) -> None:
        """Write an entry of the provider's own."""
        self._journal.append(entry)

    def clear(self) -> None:
        """Forget every order."""
        self._orders.clear()
        self._journal.clear()

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()
