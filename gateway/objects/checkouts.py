"""How a checkout is shown."""

from collections.abc import Sequence
from typing import Any

from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import Checkout
from gateway.domain.ids import CHECKOUT, show
from gateway.domain.payments import Payment
from gateway.objects.authentications import authentication_object
from gateway.objects.payments import payment_object
from gateway.objects.times import timestamp

__all__ = ["checkout_object"]


def checkout_object(
    checkout: Checkout, tries: Sequence[Payment | Authentication], url: str | None = None, language: str = "en"
) -> dict[str, Any]:
    """The checkout object as apps read it, with its tries, oldest first.

    Events leave its `url` out: whoever has that can pay.
    """
    shown: dict[str, Any] = {
        "id": show(CHECKOUT, checkout.checkout_id),
        "object": "checkout",
        "app": checkout.app,
        "merchant_order_no": checkout.merchant_order_no,
        "purpose": checkout.purpose,
        "user_id": checkout.user_id,
        "amount": checkout.amount,
        "currency": checkout.currency,
        "description": checkout.description,
        "methods": list(checkout.methods),
        "custody_user_no": checkout.custody_user_no,
        "status": checkout.status,
        "return_url": checkout.return_url,
        "payments": [payment_object(each, language) for each in tries if isinstance(each, Payment)],
        "authentications": [
            authentication_object(each, language) for each in tries if isinstance(each, Authentication)
        ],
        "expires_at": timestamp(checkout.expires_at),
        "created_at": timestamp(checkout.created_at),
        "finished_at": timestamp(checkout.finished_at),
        "metadata": checkout.metadata,
    }
    return shown if url is None else shown | {"url": url}
