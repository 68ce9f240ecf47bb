"""Make observations: what somebody said, with the time it was heard and a name."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.codes import ClosedReason
from gateway.domain.hearing import Source
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Verb
from gateway.domain.outcomes import AnyOutcome, Declined, NotFound, Outcome, Unknown
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.refunds import Refund
from gateway.ports import AfterAsking, GoOn, IntentKey, Observation, PayerAct, Wish

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


NO_USER = ""
"""Of payouts: nobody pays them but the merchant."""
WORDS_MAX = 200
"""Characters of a PSP's text that are kept."""

_UNKEEPABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_LONG_NUMBER = re.compile(r"\d{11,}[\dXx]?")

O = TypeVar("O", bound=AnyOutcome)  # noqa: E741 -- an outcome of any kind


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


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ObservationMaker:
    """Stamps what was heard with time and id. `clock_is_right`: whether the clock is known to tell the right time."""

    clock: Clock
    new_id: NewId
    clock_is_right: Callable[[], bool] = _always

    def of(
        self,
        intent: IntentKey,
        source: Source,
        outcome: AnyOutcome,
        note: str | None = None,
        phone: str | None = None,
        asked_at: datetime | None = None,
    ) -> Observation:
        """A word about an intent. "Not found" proves by time: by a clock that may be wrong it proves nothing."""
        if isinstance(outcome, NotFound) and source is Source.POLL and not self.clock_is_right():
            outcome = Unknown("not found, by a clock that may be wrong", outcome.channel_code, outcome.channel_message)
        return Observation(intent, source, readable(outcome), self.clock(), self.new_id(), note, phone, asked_at)

    def act(
        self,
        about: Payment | Authentication,
        wish: Wish,
        reason: ClosedReason = ClosedReason.BY_APP,
        said: Outcome | None = None,
    ) -> PayerAct:
        """Something is done about what waits for its payer; who does it draws the id of what is sent for it.

        `said`: by the PSP, if it was asked.
        """
        is_payment = isinstance(about, Payment)
        kind = ObjectKind.PAYMENT if is_payment else ObjectKind.AUTHENTICATION
        object_id = about.payment_id if isinstance(about, Payment) else about.authentication_id
        return PayerAct(
            about.merchant_id,
            about.user_id,
            kind,
            object_id,
            wish,
            self.new_id(),
            self.clock(),
            reason,
            None if said is None else self._after_asking(said),
        )

    def _after_asking(self, said: Outcome) -> AfterAsking:
        if isinstance(said, Declined):
            return AfterAsking.REFUSED
        found_nothing = isinstance(said, NotFound) and self.clock_is_right()
        return AfterAsking.NOT_FOUND if found_nothing else AfterAsking.NOTHING

    def go_on(self, payment: Payment, *, has_place: bool = False, phone: str = "") -> GoOn:
        """A payment that waited is to go on; who asks so draws the id of its intent.

        `has_place`: it stood in line, and has a place of its channel now. `phone`: the payer's, masked.
        """
        drawn = self.new_id() if has_place else None
        intent_id, now = self.new_id(), self.clock()
        return GoOn(payment.merchant_id, payment.user_id, payment.payment_id, intent_id, now, drawn, phone)


def key_of(about: Payment | Authentication | Refund | Payout) -> IntentKey:
    """Whose intent it is that moves the object, and which of them."""
    match about:
        case Payment():
            ordinal = about.attempt.ordinal if about.attempt else None
            return IntentKey(about.merchant_id, about.user_id, about.payment_id, Verb.PAY, ordinal)
        case Authentication():
            ordinal = about.intent.ordinal if about.intent else None
            return IntentKey(about.merchant_id, about.user_id, about.authentication_id, Verb.AUTHENTICATE, ordinal)
        case Refund():
            return IntentKey(about.merchant_id, about.user_id, about.refund_id, Verb.REFUND)
        case Payout():
            ordinal = about.intent.ordinal if about.intent else None
            return IntentKey(about.merchant_id, NO_USER, about.payout_id, Verb.PAYOUT, ordinal)
