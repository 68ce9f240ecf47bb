"""How an authentication is shown."""

from typing import Any

from gateway.domain.authentications import Authentication
from gateway.domain.ids import AUTHENTICATION, CARD, show
from gateway.domain.statuses import Status
from gateway.objects.next_actions import sms_code
from gateway.objects.payments import checkout_of_try, failure_object
from gateway.objects.times import timestamp

__all__ = ["authentication_object"]


def authentication_object(authentication: Authentication, language: str = "en") -> dict[str, Any]:
    """The authentication object as apps read it; `language` is that of the failure's message."""
    asked, failure = authentication.asked, authentication.failure
    waits = authentication.status is Status.REQUIRES_ACTION and asked is not None
    return {
        "id": show(AUTHENTICATION, authentication.authentication_id),
        "object": "authentication",
        "merchant_order_no": authentication.merchant_order_no,
        "app": authentication.app,
        "user_id": authentication.user_id,
        "bank": authentication.bank,
        "card": {
            "id": show(CARD, authentication.card_id),
            "masked": authentication.card_masked,
            "bank": authentication.bank,
        },
        "status": authentication.status,
        "channel": authentication.channel or None,
        "fee": authentication.fee if authentication.was_sent else None,
        "failure": failure_object(failure, language) if failure else None,
        "next_action": sms_code(asked, authentication.until_at) if waits and asked is not None else None,
        "closed_reason": authentication.closed_reason,
        "created_at": timestamp(authentication.created_at),
        "finished_at": timestamp(authentication.finished_at),
        "checkout": checkout_of_try(authentication.checkout),
        "metadata": authentication.metadata,
    }
