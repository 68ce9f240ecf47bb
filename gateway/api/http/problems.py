"""RFC 9457 problems: every error of the API, with a stable `code`, the offending fields, and never what they held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Literal, get_args

from gateway.api.http.field_codes import FieldCode

__all__ = [
    "CONTENT_TYPE",
    "PROBLEM_CODES",
    "FieldError",
    "Problem",
    "ProblemCode",
    "bad_fields",
    "clock_off",
    "compressed",
    "conflict",
    "database_unavailable",
    "endpoints_stopped",
    "internal_error",
    "malformed_json",
    "no_key",
    "not_found",
    "of_status",
    "overloaded",
    "problem_body",
    "search_cut",
    "too_large",
    "too_slow",
    "unsupported_media_type",
    "wrong_key",
    "wrong_scope",
]

CONTENT_TYPE = "application/problem+json"

ProblemCode = Literal[
    "account_unusable",
    "already_acknowledged",
    "already_resolved",
    "amount_exceeds_rest",
    "bad_request",
    "body_too_large",
    "cannot_be_confirmed",
    "card_in_use",
    "catalogue_refused",
    "channel_off",
    "channel_unreachable",
    "clock_off",
    "confirmation_in_progress",
    "conflict",
    "database_unavailable",
    "day_closed",
    "day_not_closable",
    "day_not_over",
    "endpoints_stopped",
    "expectation_failed",
    "forbidden",
    "internal_error",
    "invalid_request",
    "malformed_json",
    "may_be_paid",
    "method_not_allowed",
    "new_sms_needed",
    "no_money_proved",
    "no_resends_left",
    "no_statements",
    "not_found",
    "not_switched_off",
    "not_waiting",
    "nothing_sent",
    "order_conflict",
    "other_statement",
    "overloaded",
    "payment_has_anomaly",
    "payment_not_succeeded",
    "payout_limit_exceeded",
    "payout_not_allowed",
    "payout_not_held",
    "request_timeout",
    "resend_too_soon",
    "result_conflict",
    "run_in_progress",
    "search_cut",
    "settle_conflict",
    "settles_exceed_payout",
    "settles_incomplete",
    "sms_in_progress",
    "sms_limit_reached",
    "statement_not_ready",
    "statement_refused",
    "unauthorized",
    "unsupported_media_type",
]
"""Codes may be added; none is ever taken away or changed in meaning. docs/api.md says each."""
PROBLEM_CODES: Final[frozenset[ProblemCode]] = frozenset(get_args(ProblemCode))

CODE_OF_STATUS: dict[int, ProblemCode] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    417: "expectation_failed",
    422: "invalid_request",
    500: "internal_error",
    503: "overloaded",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is not right: `field` is its path (`card.card_no`), `message` says the cure, never the value."""

    field: str
    code: FieldCode
    message: str


@dataclass(frozen=True)
class Problem(Exception):  # noqa: N818 -- the word of RFC 9457
    """An answer that is an error. `title` is that of the status unless said otherwise."""

    status: int
    code: ProblemCode
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    title: str | None = None
    more: Mapping[str, int | str | None] = field(default_factory=dict)
    """Further members of the problem, by their names."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"


def problem_body(problem: Problem, request_id: str) -> dict[str, object]:
    """The JSON of a problem."""
    body: dict[str, object] = {
        "type": f"urn:sluice:problem:{problem.code}",
        "title": problem.title or _phrase(problem.status),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "errors": [{"field": e.field, "code": e.code, "message": e.message} for e in problem.errors],
        "request_id": request_id,
        **problem.more,
    }
    return body


def malformed_json(detail: str) -> Problem:
    return Problem(400, "malformed_json", detail)


def bad_fields(errors: Sequence[FieldError]) -> Problem:
    named = ", ".join(dict.fromkeys(error.field for error in errors if error.field))
    return Problem(422, "invalid_request", f"Check these fields: {named}." if named else "Check the request.", errors)


def no_key() -> Problem:
    detail = "Send Authorization: Bearer followed by the key."
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="sluice"'})


def wrong_key() -> Problem:
    challenge = 'Bearer realm="sluice", error="invalid_token"'
    return Problem(
        401, "unauthorized", "This key is not known or was revoked.", headers={"WWW-Authenticate": challenge}
    )


def wrong_scope(needed: str) -> Problem:
    return Problem(403, "forbidden", f"This call needs {needed}.")


def not_found(what: str) -> Problem:
    """Also the answer for another merchant's or app's object: whether it exists is not told."""
    return Problem(404, "not_found", f"There is no such {what}.")


def conflict(code: ProblemCode, detail: str, **more: int) -> Problem:
    return Problem(409, code, detail, more=more)


def endpoints_stopped(held: int) -> Problem:
    return conflict(
        "endpoints_stopped",
        "Every endpoint of this event is stopped. What is held is sent when its endpoint is started.",
        held=held,
    )


def too_large(limit_bytes: int) -> Problem:
    return Problem(413, "body_too_large", f"The body may have at most {limit_bytes} bytes.")


def unsupported_media_type() -> Problem:
    return Problem(415, "unsupported_media_type", "Send Content-Type: application/json, in UTF-8.")


def compressed() -> Problem:
    """Bodies are never inflated: a small one could become a very large one."""
    return Problem(415, "unsupported_media_type", "Send the body as it is, without Content-Encoding.")


def too_slow(within_s: float) -> Problem:
    detail = f"The body did not arrive within {within_s:g} s. Send the same request again."
    return Problem(408, "request_timeout", detail, headers={"Connection": "close"})


def overloaded(retry_after_s: int) -> Problem:
    detail = f"Too much is waiting. Send the same request again in {retry_after_s} s: an order is never taken twice."
    return Problem(503, "overloaded", detail, headers={"Retry-After": str(retry_after_s)})


def clock_off(retry_after_s: int) -> Problem:
    detail = (
        "The clock of this process is not known to be right, so it takes no orders, and nothing was recorded. "
        f"Send the same request again in {retry_after_s} s: another process may take it."
    )
    return Problem(503, "clock_off", detail, headers={"Retry-After": str(retry_after_s)})


def database_unavailable(retry_after_s: int) -> Problem:
    detail = (
        "The database does not answer now. "
        f"Send the same request again in {retry_after_s} s: an order is never taken twice."
    )
    return Problem(503, "database_unavailable", detail, headers={"Retry-After": str(retry_after_s)})


def search_cut(retry_after_s: int) -> Problem:
    """Nothing waits because of it, and what was asked for is not lost: it must be asked for otherwise."""
    detail = (
        "The search took too long and was cut. Narrow it, by a number, a user or a shorter time,"
        f" or ask again in {retry_after_s} s."
    )
    return Problem(503, "search_cut", detail, headers={"Retry-After": str(retry_after_s)})


def internal_error() -> Problem:
    return Problem(500, "internal_error", "Something went wrong here. Ask for the state before sending again.")


def of_status(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> Problem:
    """The problem of an error answer that was made elsewhere (the HTTP server's own)."""
    code = CODE_OF_STATUS.get(status) or ("bad_request" if status < 500 else "internal_error")
    return Problem(status, code, detail or f"{_phrase(status)}.", headers=headers or {})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
