"""The SMS that a provider sent, readable over the control API only; never written to disk."""

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sandbox.magic import CODE_EXPIRED, CODE_LOST

__all__ = ["Purpose", "SentSms", "SmsLog", "SmsVerdict"]

Purpose = Literal["sign", "pay"]
"""A code that binds a card, or a code of one payment."""
SmsVerdict = Literal["right", "wrong", "expired"]

SMS_VALID_S = 300.0
SMS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class SentSms:
    """One SMS, as it was sent. One that was lost on the way reached nobody, but its code is the one that counts."""

    provider: str
    phone: str
    purpose: Purpose
    order_no: str
    code: str
    sent_at: float
    expires_at: float
    is_lost: bool = False

    def shown(self) -> dict[str, str]:
        """The SMS as the control API shows it."""
        sent_at = datetime.fromtimestamp(self.sent_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "provider": self.provider,
            "phone": self.phone,
            "purpose": self.purpose,
            "order_no": self.order_no,
            "code": self.code,
            "sent_at": sent_at,
        }


class SmsLog:
    """The latest SMS of one provider, oldest first. `clock` tells seconds of the epoch."""

    def __init__(self, provider: str = "", clock: Callable[[], float] = time.time) -> None:
        self._provider, self._clock = provider, clock
        self._sent: deque[SentSms] = deque(maxlen=SMS_KEPT)
        self._sent_to: Counter[tuple[str, str]] = Counter()

    def send(
        self, phone: str, purpose: Purpose, order_no: str, card_tail: str = "", *, lost: bool = False, old: bool = False
    ) -> None:
        """Send a new six-digit code: `lost` on the way, too `old` already, or as the magic of the card tail says."""
        self._sent_to[phone, card_tail] += 1
        old = old or (card_tail == CODE_EXPIRED and self._sent_to[phone, card_tail] % 2 == 1)
        code, now = f"{secrets.randbelow(1_000_000):06d}", self._clock()
        expires_at = now if old else now + SMS_VALID_S
        lost = lost or card_tail == CODE_LOST
        self._sent.append(SentSms(self._provider, phone, purpose, order_no, code, now, expires_at, lost))

    def check(self, order_no: str, purpose: Purpose, code: str) -> SmsVerdict:
        """Whether this code is the latest one sent for that order."""
        for sent in reversed(self._sent):
            if sent.order_no == order_no and sent.purpose == purpose:
                if sent.code != code:
                    return "wrong"
                return "right" if self._clock() < sent.expires_at else "expired"
        return "wrong"

    def to(self, phone: str | None, since: float = 0.0) -> list[SentSms]:
        """What arrived, at all phones or at one, sent at `since` or later."""
        arrived = (sent for sent in self._sent if not sent.is_lost and sent.sent_at >= since)
        return [sent for sent in arrived if phone is None or sent.phone == phone]

    def clear(self) -> None:
        """Forget all SMS."""
        self._sent.clear()
        self._sent_to.clear()
