"""What a merchant's account at a PSP has: the newest statement, how the last question ended, and when somebody is told.

A statement counts until the next one, however old it is; a question that failed takes nothing away and adds nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.domain.outcomes import BalanceOutcome, BalanceStated, NotSent

__all__ = [
    "MISSED_BEFORE_SILENT",
    "Balance",
    "Failure",
    "LastTry",
    "alerts_of",
    "last_try",
]

MISSED_BEFORE_SILENT: Final = 6
"""So many times the distance of two questions without a statement, and somebody is told."""
MAX_REASON: Final = 200
MAX_CODE: Final = 64


class Failure(StrEnum):
    """Why the last question told nothing."""

    UNKNOWN = "unknown"  # no answer, or none that can be believed
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class LastTry:
    """A question that failed: `reason` in our words, `channel_code` as the PSP said it."""

    failed: Failure
    reason: str
    channel_code: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as it is known. `stated` None: it never told. `failed` None: the last question did not fail.

    `since`: from when on it is asked. `told_low` and `told_silent`: what was said of it last.
    """

    account: str
    since: datetime
    stated: BalanceStated | None = None
    stated_at: datetime | None = None
    asked_at: datetime | None = None
    failed: LastTry | None = None
    told_low: bool = False
    told_silent: bool = False

    def is_low(self, alert_below: int | None) -> bool:
        """Whether there is less than the threshold, by the newest statement; False also where nothing is known."""
        payable = None if self.stated is None else self.stated.payable
        return alert_below is not None and payable is not None and payable < alert_below

    def age(self, now: datetime) -> timedelta | None:
        """How old the newest statement is; None: there is none."""
        return None if self.stated_at is None else max(timedelta(), now - self.stated_at)

    def is_silent(self, now: datetime, every: timedelta) -> bool:
        """Whether it is asked in vain for so long that a person should look. That nobody asked it is not its fault."""
        return self.failed is not None and now - (self.stated_at or self.since) > every * MISSED_BEFORE_SILENT


def alerts_of(balance: Balance, alert_below: int | None, now: datetime, every: timedelta) -> tuple[bool, bool]:
    """Low, and silent, as it must be told now; who sees a difference to what was told last tells it, once."""
    return balance.is_low(alert_below), balance.is_silent(now, every)


def last_try(outcome: BalanceOutcome) -> LastTry | None:
    """How a question ended that told nothing; None: it told."""
    if isinstance(outcome, BalanceStated):
        return None
    failed = Failure.NOT_SENT if isinstance(outcome, NotSent) else Failure.UNKNOWN
    code = getattr(outcome, "channel_code", None)
    return LastTry(failed, _kept(outcome.reason, MAX_REASON), None if code is None else _kept(code, MAX_CODE))


def _kept(text: str, size: int) -> str:
    """One line that can be kept: what cannot be printed is a question mark."""
    return "".join(each if each.isprintable() else "?" for each in text)[:size]
