"""How a recorded route is shown."""

from typing import Any

from gateway.domain.ids import CARD, ROUTE, show
from gateway.domain.recorded_routes import RecordedRoute
from gateway.objects.payments import failure_object
from gateway.objects.times import timestamp
from router.record import from_record, to_answer

__all__ = ["route_object", "route_with_decision"]


def route_object(route: RecordedRoute, language: str = "en") -> dict[str, Any]:
    """The route as events tell it; `language` (`en` or `zh`) is that of the failure's message."""
    card, failure = route.card, route.failure
    return {
        "id": show(ROUTE, route.route_id),
        "object": "route",
        "merchant_order_no": route.merchant_order_no,
        "app": route.app,
        "scene": route.scene,
        "user_id": route.user_id,
        "custody_user_no": route.custody_user_no,
        "bank": route.bank,
        "amount": route.amount,
        "currency": route.currency,
        "status": route.status,
        "unreported": route.is_unreported,
        "channel": route.channel,
        "psp_code": route.psp_code,
        "card": {"id": show(CARD, card.card_id), "masked": card.masked, "bank": card.bank} if card else None,
        "expected_fee": route.expected_fee,
        "fee": route.fee,
        "failure": failure_object(failure, language) if failure else None,
        "description": route.description,
        "report_before": timestamp(route.report_before),
        "created_at": timestamp(route.created_at),
        "finished_at": timestamp(route.finished_at),
        "business_day": route.business_day.isoformat(),
        "metadata": route.metadata,
    }


def route_with_decision(route: RecordedRoute, language: str = "en") -> dict[str, Any]:
    """The route as answers show it: with why this channel, or none."""
    decision = to_answer(from_record(route.decision)) | {"notes": route.decision.get("notes", [])}
    return route_object(route, language) | {"decision": decision}
