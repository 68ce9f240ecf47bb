"""What the payer is to do next, as apps and pages read it."""

from datetime import datetime
from typing import Any

from gateway.domain.codes import Asked
from gateway.objects.times import timestamp

__all__ = ["sms_code"]


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
