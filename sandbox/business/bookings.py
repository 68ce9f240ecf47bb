"""What this business system believes: payments and checkouts, as verified notifications told them."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sandbox.journal import Journal, JournalUnreadableError

__all__ = ["Booking", "Bookings", "Standing"]

Standing = Literal["open", "not_paid", "succeeded", "expired", "canceled"]
"""How an order of the shop stands. `not_paid`: the last try failed, and another may follow."""

ENDED: dict[str, Standing] = {"succeeded": "succeeded", "expired": "expired", "canceled": "canceled"}
TRY = "~"
"""Stands between the number of an order and that of a try to pay it."""


@dataclass(frozen=True, slots=True)
class Booking:
    """One payment or checkout. Amount in fen, None where a card is signed; `deliveries` counts all notifications of it.

    `booked_at`: when something new was last told, in seconds of the epoch. `has_anomaly`: a person should look.
    """

    id: str
    merchant_order_no: str
    status: str
    amount: int | None
    sequence: int
    deliveries: int
    is_checkout: bool = False
    has_anomaly: bool = False
    booked_at: float = 0.0

    def shown(self) -> dict[str, Any]:
        """The booking as JSON shows it."""
        return {
            "checkout_id" if self.is_checkout else "payment_id": self.id,
            "merchant_order_no": self.merchant_order_no,
            "status": self.status,
            "amount": self.amount,
            "sequence": self.sequence,
            "deliveries": self.deliveries,
        }


class Bookings:
    """All bookings, by id, kept in the journal; and how many notifications did not verify.

    `clock` tells seconds of the epoch.
    """

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.time) -> None:
        self._journal, self._clock = journal, clock
        self._bookings: dict[str, Booking] = {}
        self._of_order: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.rejected = 0
        for entry in journal.replay():
            if "payment_id" in entry:  # as it was written when there were only payments
                entry["id"] = entry.pop("payment_id")
            try:
                self._put(Booking(**entry))
            except TypeError as error:
                raise JournalUnreadableError(f"{journal.path}: written by another version; move it away") from error

    def take(self, event: dict[str, Any]) -> bool:
        """Book a verified event. False when it told nothing new: repeated, or older than what is booked.

        Raises KeyError, TypeError or ValueError for an event without the fields of a payment or checkout.
        """
        told, kind = event["data"], str(event.get("type", ""))
        is_checkout = kind.startswith("checkout.")
        sequence, amount = int(event["sequence"]), told.get("amount") if is_checkout else told["amount"]
        booking = Booking(
            id=str(told["id"]),
            merchant_order_no=str(told["merchant_order_no"]),
            status=str(told["status"]),
            amount=None if is_checkout and amount is None else int(amount),
            sequence=sequence,
            deliveries=1,
            is_checkout=is_checkout,
            has_anomaly=kind.endswith(".anomaly"),
            booked_at=self._clock(),
        )
        known = self._bookings.get(booking.id)
        is_new = known is None or sequence > known.sequence
        if known is not None:
            newest = booking if is_new else known
            anomaly = known.has_anomaly or booking.has_anomaly
            booking = replace(newest, deliveries=known.deliveries + 1, has_anomaly=anomaly)
        self._put(booking)
        self._journal.append(asdict(booking))
        return is_new

    def _put(self, booking: Booking) -> None:
        self._bookings[booking.id] = booking
        self._of_order[booking.merchant_order_no.partition(TRY)[0]][booking.id] = None

    def get(self, object_id: str) -> Booking | None:
        """The booking of a payment or a checkout, or None."""
        return self._bookings.get(object_id)

    def payments(self) -> list[Booking]:
        """Every payment, in the order of first notice."""
        return [booking for booking in self._bookings.values() if not booking.is_checkout]

    def newest(self, most: int) -> list[Booking]:
        """Payments and checkouts, those with the latest news first."""
        return sorted(self._bookings.values(), key=lambda booking: booking.booked_at, reverse=True)[:most]

    def standing(self, order_no: str) -> Standing:
        """How an order stands by what was notified: its checkout's end decides, its tries only say how it goes."""
        told = [self._bookings[object_id] for object_id in self._of_order.get(order_no, ())]
        for booking in told:
            if booking.is_checkout and booking.status in ENDED:
                return ENDED[booking.status]
        tries = [booking for booking in told if TRY in booking.merchant_order_no]
        last = max(tries, key=lambda booking: _number(booking.merchant_order_no), default=None)
        return "not_paid" if last is not None and last.status in {"failed", "closed"} else "open"

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def _number(order_no: str) -> int:
    number = order_no.rpartition(TRY)[2]
    return int(number) if number.isdecimal() else 0
