"""Checkouts as apps use them: open one, and give it up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gateway.domain.checkouts import Checkout, CheckoutOrder, TryRefusal
from gateway.domain.codes import ClosedReason
from gateway.domain.statuses import Status
from gateway.domain.tries import Try
from gateway.flows.payer import ActRefusedError
from gateway.ports import ActRefusal, CheckoutRefusedError, CheckoutResult

__all__ = ["CheckoutFlow"]


class Books(Protocol):
    """Where checkouts are recorded. Returns after the commit."""

    async def open(self, order: CheckoutOrder, checkout_id: UUID, now: datetime) -> CheckoutResult: ...

    async def cancel(
        self, merchant_id: UUID, user_id: str, checkout_id: UUID, cause: UUID, now: datetime
    ) -> Checkout: ...


class Acts(Protocol):
    """Gives up what waits for its payer."""

    async def close(self, waiting: Try, reason: ClosedReason = ClosedReason.BY_APP) -> Try: ...


@dataclass(frozen=True, slots=True)
class CheckoutFlow:
    """Opens and cancels. `right_now`: raises ClockOffError where this process does not know the time."""

    books: Books
    acts: Acts
    right_now: Callable[[], datetime]
    new_id: Callable[[], UUID]

    async def open(self, order: CheckoutOrder) -> CheckoutResult:
        """Record it, or find what the order opened before. Raises OrderConflictError, OverloadedError."""
        return await self.books.open(order, self.new_id(), self.right_now())

    async def cancel(self, checkout: Checkout, tries: Sequence[Try]) -> Checkout:
        """Give it up, with the try that waits for its payer: only where it is proved that nothing was paid.

        Raises ActRefusedError with the reason why not; OverloadedError.
        """
        for waiting in tries:
            if not waiting.is_final and not checkout.is_final:
                if waiting.status is Status.PROCESSING:
                    raise ActRefusedError(ActRefusal.MAY_BE_PAID)
                await self.acts.close(waiting)
        merchant_id, user_id = checkout.merchant_id, checkout.user_id
        try:
            return await self.books.cancel(merchant_id, user_id, checkout.checkout_id, self.new_id(), self.right_now())
        except CheckoutRefusedError as error:
            open_again = error.why is TryRefusal.IN_PROGRESS  # its payer was faster
            raise ActRefusedError(ActRefusal.MAY_BE_PAID if open_again else ActRefusal.NOT_WAITING) from None
