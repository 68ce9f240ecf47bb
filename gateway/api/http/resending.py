"""What is answered to whoever sends an event again: an app, or an operator."""

from gateway.api.http.problems import endpoints_stopped, not_found
from gateway.api.http.routing import Reply
from gateway.domain.events import Redelivered

__all__ = ["redelivered"]


def redelivered(result: Redelivered | None) -> Reply:
    """How many deliveries are due now, and how many are held. Raises a 404 problem, or 409: no endpoint runs."""
    if result is None:
        raise not_found("event")
    if not result.runs:
        raise endpoints_stopped(result.held)
    return Reply({"deliveries": result.deliveries, "held": result.held}, 202)
