"""What the payer is to do next, as apps and pages read it."""

from datetime import datetime
from typing import Any

from gateway.domain.codes import Asked, Purpose
from gateway.objects.times import timestamp

__all__ = ["next_action", "sms_code"]


def next_action(asked: Asked, until_at: datetime | None) -> dict[str, Any]:
    """What is asked of the payer."""
    return _redirect(asked, until_at) if asked.purpose is Purpose.REDIRECT else sms_code(asked, until_at)


def _redirect(asked: Asked, until_at: datetime | None) -> dict[str, Any]:
    """The payer pays on a page of the PSP's: our page at `url` brings their browser there."""
    return {"type": "redirect", "url": asked.url, "expires_at": timestamp(until_at), "expired": asked.expired}


def sms_code(asked: Asked, until_at: datetime | None) -> dict[str, Any]:
    """The payer types the code of an SMS. `expired`: too late, and whether something was paid is being found out."""
    return {
        "type": "sms_code",
        "purpose": asked.purpose,
        "phone": asked.phone,
        "expires_at": timestamp(until_at),
        "resends_left": asked.resends_left,
        "tries_left": asked.tries_left,
        "expired": asked.expired,
    }
