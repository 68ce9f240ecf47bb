"""The form of problems. Not tested here: which request gets which (tests/api)."""

import pytest

from gateway.api.http import problems
from gateway.api.http.problems import FieldError, Problem, problem_body


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    problem = problems.bad_fields([FieldError("card.card_no", "card_no", "is no card number")])
    assert problem_body(problem, "req_1") == {
        "type": "urn:sluice:problem:invalid_request",
        "title": "Unprocessable Entity",
        "status": 422,
        "code": "invalid_request",
        "detail": "Check these fields: card.card_no.",
        "errors": [{"field": "card.card_no", "code": "card_no", "message": "is no card number"}],
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("problem", "status", "header"),
    [
        (problems.malformed_json("x"), 400, None),
        (problems.no_key(), 401, "WWW-Authenticate"),
        (problems.wrong_key(), 401, "WWW-Authenticate"),
        (problems.wrong_scope("an app's key"), 403, None),
        (problems.not_found("payment"), 404, None),
        (problems.conflict("order_conflict", "x"), 409, None),
        (problems.too_large(1), 413, None),
        (problems.unsupported_media_type(), 415, None),
        (problems.internal_error(), 500, None),
        (problems.overloaded(7), 503, "Retry-After"),
        (problems.database_unavailable(7), 503, "Retry-After"),
        (problems.of_status(418), 418, None),
        (problems.of_status(599), 599, None),
    ],
)
def test_each_has_its_status_and_header(problem: Problem, status: int, header: str | None) -> None:
    assert problem.status == status
    assert header is None or header in problem.headers
    assert problem.code
    assert problem_body(problem, "req_1")["title"]
