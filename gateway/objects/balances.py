"""What an account at a PSP has, as operators see it."""

from datetime import datetime, timedelta
from typing import Any

from gateway.domain.balances import Balance
from gateway.domain.catalogue import Account
from gateway.domain.money import CURRENCY
from gateway.objects.times import timestamp

__all__ = ["balance_object"]


def balance_object(
    account: Account, why_not: str | None, balance: Balance | None, now: datetime, every: timedelta
) -> dict[str, Any]:
    """An account with its newest statement. `why_not`: why it is not asked; None: it is."""
    stated = None if balance is None else balance.stated
    failed = None if balance is None else balance.failed
    age = None if balance is None else balance.age(now)
    below = account.balance_alert_below
    knows = stated is not None and stated.payable is not None
    return {
        "object": "balance",
        "account": account.code,
        "provider": account.provider,
        "why_not_asked": why_not,
        "currency": CURRENCY,
        "for_payouts": None if stated is None else stated.for_payouts,
        "for_refunds": None if stated is None else stated.for_refunds,
        "total": None if stated is None else stated.total,
        "stated_at": None if balance is None else timestamp(balance.stated_at),
        "age_s": None if age is None else round(age.total_seconds()),
        "balance_alert_below": below,
        "low": balance.is_low(below) if balance is not None and knows and below is not None else None,
        "silent": balance is not None and balance.is_silent(now, every),
        "asked_at": None if balance is None else timestamp(balance.asked_at),
        "failure": None
        if failed is None
        else {"outcome": failed.failed.value, "reason": failed.reason, "channel_code": failed.channel_code},
    }
