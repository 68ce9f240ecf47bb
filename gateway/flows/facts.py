"""Make facts: what somebody said, with the time it was heard and the ids that recording it may need."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.payments import Payment
from gateway.domain.transitions import Source
from gateway.ports import AuthenticationFact, PaymentFact

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


@dataclass(frozen=True, slots=True)
class FactMaker:
    """Stamps what was heard with time and ids."""

    clock: Clock
    new_id: NewId

    def payment(self, payment: Payment, source: Source, outcome: Outcome) -> PaymentFact:
        """A word about the payment itself."""
        return PaymentFact(payment.merchant_id, payment.payment_id, payment.user_id, source, outcome, *self._stamps())

    def authentication(self, payment: Payment, source: Source, outcome: AuthenticationOutcome) -> AuthenticationFact:
        """A word about the authentication before it."""
        return AuthenticationFact(
            payment.merchant_id, payment.payment_id, payment.user_id, source, outcome, *self._stamps()
        )

    def _stamps(self) -> tuple[datetime, UUID, UUID, UUID, UUID]:
        return self.clock(), self.new_id(), self.new_id(), self.new_id(), self.new_id()
