"""Make observations: what somebody said, with the time it was heard and a name."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.payments import Payment
from gateway.domain.transitions import Source
from gateway.ports import AuthenticationObservation, PaymentKey, PaymentObservation

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


WORDS_MAX = 200
"""Characters of a PSP's text that are kept."""

_UNKEEPABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_LONG_NUMBER = re.compile(r"\d{11,}[\dXx]?")

O = TypeVar("O", bound=Outcome | AuthenticationOutcome)  # noqa: E741 -- an outcome of either kind


def readable(outcome: O) -> O:
    """The outcome with texts that can be kept and shown: no control characters, bounded, and no card, phone or ID
    number, which PSPs do repeat in their messages."""
    clean = {name: kept(text, name) for name in _TEXTS if (text := getattr(outcome, name, None))}
    changed: dict[str, Any] = {name: text for name, text in clean.items() if text != getattr(outcome, name)}
    return replace(outcome, **changed) if changed else outcome


_TEXTS = ("channel_code", "channel_message", "channel_transaction_no", "reason")


def kept(text: str, name: str) -> str:
    """A PSP's text as it is kept. Their transaction numbers are long numbers, and stay."""
    text = _UNKEEPABLE.sub("", text[:WORDS_MAX])
    return text if name == "channel_transaction_no" else _LONG_NUMBER.sub("***", text)


@dataclass(frozen=True, slots=True)
class ObservationMaker:
    """Stamps what was heard with time and id."""

    clock: Clock
    new_id: NewId

    def payment(self, payment: Payment | PaymentKey, source: Source, outcome: Outcome) -> PaymentObservation:
        """A word about the payment itself."""
        return PaymentObservation(
            payment.merchant_id, payment.payment_id, payment.user_id, source, readable(outcome), *self._stamps()
        )

    def authentication(
        self, payment: Payment, source: Source, outcome: AuthenticationOutcome
    ) -> AuthenticationObservation:
        """A word about the authentication before it."""
        return AuthenticationObservation(
            payment.merchant_id, payment.payment_id, payment.user_id, source, readable(outcome), *self._stamps()
        )

    def _stamps(self) -> tuple[datetime, UUID]:
        return self.clock(), self.new_id()
