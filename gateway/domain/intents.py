"""Intents: what is sent to a PSP at most once and asked about until proved, whatever it is for. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from gateway.domain.ids import ObjectKind
from gateway.domain.terms import Product

__all__ = ["OBJECT_OF", "PRODUCT_OF", "TAKING", "Intent", "IntentState", "Verb"]


class Verb(StrEnum):
    """What an intent asks a PSP to do."""

    AUTHENTICATE = "authenticate"  # bind a card: silently, or with a code that the payer typed
    SEND_SIGNING_CODE = "send_signing_code"  # an SMS with the code to bind it with
    SEND_PAYMENT_CODE = "send_payment_code"  # an SMS with the code for one payment
    PAY = "pay"
    REFUND = "refund"
    PAYOUT = "payout"  # money out to a payee; with a higher ordinal, the word that a suspected one is right
    UNBIND = "unbind"  # an errand: safe to repeat, so no intent is recorded for it


OBJECT_OF: Final[Mapping[Verb, ObjectKind]] = {
    Verb.AUTHENTICATE: ObjectKind.AUTHENTICATION,
    Verb.SEND_SIGNING_CODE: ObjectKind.AUTHENTICATION,
    Verb.SEND_PAYMENT_CODE: ObjectKind.PAYMENT,
    Verb.PAY: ObjectKind.PAYMENT,
    Verb.REFUND: ObjectKind.REFUND,
    Verb.PAYOUT: ObjectKind.PAYOUT,
}
"""Whose intents each verb has."""

PRODUCT_OF: Final[Mapping[Verb, Product]] = {
    Verb.AUTHENTICATE: Product.AUTHENTICATION,
    Verb.SEND_SIGNING_CODE: Product.AUTHENTICATION,
    Verb.SEND_PAYMENT_CODE: Product.PAYMENT,
    Verb.PAY: Product.PAYMENT,
    Verb.REFUND: Product.REFUND,
    Verb.PAYOUT: Product.PAYOUT,
    Verb.UNBIND: Product.AUTHENTICATION,
}
"""By whose terms each verb is asked about."""


class IntentState(StrEnum):
    """How an intent stands. Which may follow which is in `hearing`."""

    OPEN = "open"  # recorded; from then on it may have been sent
    DONE = "done"  # the PSP did it
    RETURNED = "returned"  # the PSP did it, and the money came back
    DECLINED = "declined"  # the PSP refused it, finally
    NOT_SENT = "not_sent"  # nothing of it was written
    NOT_RECEIVED = "not_received"  # proved: the PSP never had it
    UNKNOWN = "unknown"  # given up without the PSP's word; only where no money moves


TAKING: Final = frozenset({IntentState.OPEN, IntentState.DONE})
"""States in which an intent took money, or may still: no other may begin beside it."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that is sent to a PSP at most once. It stands on an order at the PSP: `number`, on `account`."""

    intent_id: UUID
    """Drawn by the one who recorded the intent. They send it; everybody else only asks."""
    object_id: UUID
    verb: Verb
    ordinal: int
    """Of the intents of this object and verb; from 1."""
    channel: str
    account: str
    number: str
    """What the order is called at the PSP; all intents on an order share it."""
    told_at: datetime
    """The time that the PSP is told of the order; all intents on an order share it."""
    recorded_at: datetime
    """The time it was recorded with, never later than its commit: its age and its proof are counted from here."""
    amount: int | None
    """In fen; None where no money moves."""
    state: IntentState = IntentState.OPEN
    questions: int = 0
    """Asked while it was open."""
    acknowledged: bool = False
    """The PSP has said that it knows the order: from then on "not found" proves nothing."""
    not_found: int = 0
    not_found_since: datetime | None = None
    channel_transaction_no: str | None = None
    channel_finished_at: datetime | None = None
    late_success: bool = False
    """It ended without success here, and the PSP says that it was done."""
    looks: int = 0
    """Asked again after it ended without the PSP's word."""
    ended_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether its end is still to be found out."""
        return self.state is IntentState.OPEN

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has asked about it: then it is still for the one who recorded it to send."""
        return self.is_open and self.questions == 0 and not self.acknowledged and self.not_found == 0
