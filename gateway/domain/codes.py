"""What the payer is asked for, how often, and until when: a code by SMS, or to pay on a page. Pure values.

A code binds a card (purpose `sign`) or pays once (purpose `pay`). Each SMS and each code that is submitted is an intent
of its own, on one order at the PSP. A payment on a page of a bank or a PSP (purpose `redirect`) has one intent, which
the payer's browser carries out. What is asked for stands in the object that waits: the authentication, the payment; a
payment whose card is being signed shows what its authentication asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from gateway.domain.failures import FailureCode

__all__ = [
    "CODES_PER_SMS",
    "CODES_WRONG_MAX",
    "EXPIRES_IN_S",
    "RESENDS_MAX",
    "RESEND_AFTER",
    "SIGNING_TIME",
    "Asked",
    "ClosedReason",
    "Purpose",
    "asked_from_json",
    "asked_to_json",
    "mask_phone",
]

RESEND_AFTER: Final = timedelta(seconds=60)
"""Between two SMS for the same thing."""
RESENDS_MAX: Final = 3
CODES_WRONG_MAX: Final = 3
"""Answers of the PSP that a code was wrong, over all SMS: then it fails."""
CODES_PER_SMS: Final = 3
"""Codes that are submitted after one SMS. The PSP may call each of them expired, which is not counted as wrong."""
SIGNING_TIME: Final = timedelta(minutes=5)
"""How long a card's signing waits for its code after the last SMS."""
EXPIRES_IN_S: Final = 900
"""How long a payment waits for its payer, unless the app says otherwise."""


class Purpose(StrEnum):
    """What a code is for."""

    SIGN = "sign"  # bind the card
    PAY = "pay"  # one payment
    REDIRECT = "redirect"  # no code: the payer pays on a page of the PSP's


class ClosedReason(StrEnum):
    """Why something was closed without a failure."""

    EXPIRED = "expired"
    BY_APP = "by_app"
    BY_PAYER = "by_payer"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the payer is asked for, or will be. The number and the time are those of the order that the code is for."""

    purpose: Purpose
    phone: str
    """Where the SMS goes, masked."""
    number: str
    told_at: datetime
    by_pay: bool = False
    """The PSP sends the SMS when it is asked to pay without a code: there is no other request for it."""
    ends_order: bool = False
    """A code that is wrong ends the order at the PSP."""
    then_pays: bool = False
    """Of a payment whose card is signed first: it will be asked for a code once more, to pay."""
    sms: int = 0
    """SMS asked for so far: the ordinal of the newest."""
    sms_at: datetime | None = None
    """When the newest was asked for."""
    sending: bool = False
    """The PSP's answer to the newest is open."""
    wrong: int = 0
    submitted: int = 0
    """Codes and silent tries so far: the ordinal of the newest intent that binds or pays."""
    called_paid: bool = False
    """The PSP called it paid before anything was sent: nothing is sent any more."""
    order_ended: bool = False
    """The order is over at the PSP: the next SMS is for a new one."""
    expired: bool = False
    """The payer's time is over, and whether something was paid is still to be found out."""
    questions: int = 0
    """Asked since then."""
    not_found: int = 0
    """Since then: how often the PSP did not find the order."""
    not_found_since: datetime | None = None
    ask_again_at: datetime | None = None
    """Somebody who wished to close it has the PSP asked: nobody else does so before."""
    by_payer: bool = False
    """That was its payer, on our page; else its app."""
    codes_before: int = 0
    """What `submitted` was when the newest SMS was asked for."""
    since: datetime | None = None
    """When the payer's time began, if that was not at the opening: it stood in line before."""
    url: str | None = None
    """Our page that brings the payer's browser to the PSP."""

    @property
    def resends_left(self) -> int:
        """How many more SMS the payer may ask for."""
        return max(0, RESENDS_MAX - max(0, self.sms - 1))

    @property
    def tries_left(self) -> int:
        """How many more wrong codes there may be; with the last of them it fails."""
        return max(0, CODES_WRONG_MAX - self.wrong)

    @property
    def needs_sms(self) -> bool:
        """Whether no more codes are tried after the newest SMS."""
        return self.order_ended or self.submitted - self.codes_before >= CODES_PER_SMS

    def resend_in(self, now: datetime) -> timedelta:
        """How long the payer must wait for the next one; zero: it may be sent now."""
        if self.sms_at is None:
            return timedelta(0)
        return max(timedelta(0), self.sms_at + RESEND_AFTER - now)

    def waits_until(self, created_at: datetime, expires_in_s: int | None) -> datetime:
        """Until when the payer may type the code: 5 minutes for signing, never longer than the object's own time."""
        own = (self.since or created_at) + timedelta(seconds=expires_in_s or EXPIRES_IN_S)
        if self.purpose is Purpose.PAY or self.sms_at is None:
            return own
        return min(own, self.sms_at + SIGNING_TIME)

    def another(self, now: datetime) -> "Asked":
        """One more SMS is asked for now."""
        return replace(self, sms=self.sms + 1, sms_at=now, sending=True, codes_before=self.submitted)

    def arrived(self, now: datetime) -> "Asked":
        """The PSP sent an SMS when it was asked to pay: the one that was asked for, or one by itself."""
        sms, sms_at = (self.sms, self.sms_at) if self.sending else (self.sms + 1, now)
        return replace(self, sms=sms, sms_at=sms_at, sending=False, codes_before=self.submitted)

    def missed(self, now: datetime) -> "Asked":
        """The PSP was asked after the payer's time was over, and did not find the order."""
        return replace(self, not_found=self.not_found + 1, not_found_since=self.not_found_since or now)

    def refused(self, code: FailureCode) -> "Asked":
        """The PSP refused a code that was submitted."""
        wrong = self.wrong + (code is FailureCode.SMS_CODE_WRONG)
        return replace(self, wrong=wrong, order_ended=self.order_ended or self.ends_order)

    def is_over(self, code: FailureCode) -> bool:
        """Whether nothing more can be tried after this refusal: too many were wrong, or no SMS is left."""
        if self.wrong >= CODES_WRONG_MAX:
            return True
        needs_sms = code is FailureCode.SMS_CODE_EXPIRED or self.order_ended
        return needs_sms and self.resends_left == 0


def mask_phone(phone: str) -> str:
    """`138****0000`: what is shown of a phone number."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) > 7 else "****"


_TIMES: Final = frozenset({"told_at", "sms_at", "since", "not_found_since", "ask_again_at"})


def asked_to_json(asked: Asked) -> dict[str, Any]:
    """As it is kept; what is at its default is left out."""
    told: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        value = getattr(asked, name)
        if value != default:
            told[name] = value.isoformat() if name in _TIMES else value
    return told


def asked_from_json(told: Mapping[str, Any]) -> Asked:
    """Read what `asked_to_json` wrote."""
    known: dict[str, Any] = dict(told)
    for name in _TIMES & known.keys():
        known[name] = datetime.fromisoformat(known[name])
    return Asked(Purpose(known.pop("purpose")), **known)


_DEFAULTS: Final[Mapping[str, object]] = {field.name: field.default for field in fields(Asked)}
