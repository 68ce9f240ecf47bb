"""How refunds are refused: to apps, and to operators who give money back."""

from typing import cast

from gateway.api.http.problems import FieldError, Problem, ProblemCode, bad_fields, conflict

__all__ = ["exceeds_rest", "not_refundable"]

_NO_REFUNDS = "The payment company of this payment has no refunds."
_NOT_ITS_ANOMALY = "is not an anomaly of this payment"
_DETAILS: dict[ProblemCode, str] = {
    "already_resolved": "This anomaly was resolved otherwise: its money does not go back.",
    "no_money_proved": "This anomaly does not prove that money of the payment moved, or that money is back already.",
    "payment_not_succeeded": "Nothing of this payment can go back: it has not succeeded.",
    "payment_has_anomaly": "This payment or a refund of it has an open anomaly: an operator resolves it first.",
    "account_unusable": "The account that took this payment cannot be used now: an operator looks at /readyz.",
}


def exceeds_rest(left: int) -> Problem:
    """More was to go back than is left."""
    detail = f"The payment has {left} fen left. Ask for that much at most; nothing was recorded."
    return conflict("amount_exceeds_rest", detail, left=left)


def not_refundable(code: str) -> Problem:
    """Nothing can go back now; `code` tells why, as `PaymentNotRefundableError` does."""
    if code == "refunds_not_supported":
        return bad_fields([FieldError("payment", "refunds_not_supported", _NO_REFUNDS)])
    if code == "not_its_anomaly":
        return bad_fields([FieldError("anomaly", "not_found", _NOT_ITS_ANOMALY)])
    known = cast("ProblemCode", code)
    return conflict(known, _DETAILS[known])
