"""The SMS that a provider sent, readable over the control API only; never written to disk."""

import secrets
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

__all__ = ["SentSms", "SmsLog", "SmsVerdict"]

SmsVerdict = Literal["right", "wrong", "expired"]

SMS_VALID_S = 300.0
SMS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class SentSms:
    """One SMS: `purpose` is the kind of order it is for."""

    phone: str
    purpose: str
    order_no: str
    code: str
    sent_at: float

    def shown(self) -> dict[str, str]:
        """The SMS as the control API shows it."""
        sent_at = datetime.fromtimestamp(self.sent_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"phone": self.phone, "purpose": self.purpose, "code": self.code, "sent_at": sent_at}


class SmsLog:
    """The latest SMS of one provider, oldest first."""

    def __init__(self) -> None:
        self._sent: deque[SentSms] = deque(maxlen=SMS_KEPT)

    def send(self, phone: str, purpose: str, order_no: str) -> None:
        """Send a new six-digit code."""
        code = f"{secrets.randbelow(1_000_000):06d}"
        self._sent.append(SentSms(phone, purpose, order_no, code, time.time()))

    def check(self, order_no: str, purpose: str, code: str) -> SmsVerdict:
        """Whether this code is the latest one sent for that order."""
        for sent in reversed(self._sent):
            if sent.order_no == order_no and sent.purpose == purpose:
                if sent.code != code:
                    return "wrong"
                return "right" if time.time() - sent.sent_at <= SMS_VALID_S else "expired"
        return "wrong"

    def to(self, phone: str | None) -> list[SentSms]:
        """All SMS, or those to one phone."""
        return [sent for sent in self._sent if phone is None or sent.phone == phone]

    def clear(self) -> None:
        """Forget all SMS."""
        self._sent.clear()
