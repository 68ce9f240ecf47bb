"""What `errors[].code` and a problem's `code` may be: lists of ours, which docs/api.md has too.

Not tested here: which code each field gives (test_fields.py).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from unittest.mock import Mock

import pytest
from pydantic import BaseModel
from pydantic_core.core_schema import ErrorType

from gateway.api.admin.operators import Operators, operator_routes
from gateway.api.application import routes_of
from gateway.api.http.field_codes import FIELD_CODES, code_of
from gateway.api.http.problems import PROBLEM_CODES, FieldError, Problem, of_status
from gateway.api.http.reading_json import checked
from tests.api.fakes import FakeGateway

DOCS = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
KINDS = sorted(get_args(ErrorType))
NAMES_OF_PYDANTIC = set(KINDS) - FIELD_CODES
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, 2**70, float("inf"), "", " ", "x", "x" * 5000, "\u200b", "\x00", "\ud800", "张",
    [], [1], [None], {}, {"a": 1}, {"": None}, [{}] * 2000, {"type": "percent"}, {str(n): n for n in range(60)},
    {"k" * 100: "x"}, {"k": "x" * 600}, {"k": 2**60}, {"k": 1.5}, {"card_no": 1}, {"rules": [{}], "facts": {"": {}}},
]  # fmt: skip


def models() -> list[type[BaseModel]]:
    needs = Mock(spec=Operators)
    routes = routes_of(FakeGateway().api(), operator_routes(needs))
    found = {model for route in routes for model in (route.body, route.query) if model is not None}
    return sorted(found, key=lambda model: model.__name__)


def wrong_bodies(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    yield {}
    yield {"surprise": 1}
    for name in model.model_fields:
        for value in ODD:
            yield {name: value}


def refusals_of(model: type[BaseModel]) -> Iterator[FieldError]:
    for body in wrong_bodies(model):
        try:
            checked(model, body)
        except Problem as problem:
            yield from problem.errors


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_way_to_be_wrong_has_a_code_and_words_of_ours(model: type[BaseModel]) -> None:
    refusals = list(refusals_of(model))
    codes = {refusal.code for refusal in refusals}
    assert codes
    assert codes <= FIELD_CODES
    assert not codes & NAMES_OF_PYDANTIC
    assert not [told for told in refusals if re.search(r"(Input|Value|String|List|Dictionary) ", told.message)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_that_the_library_knows_has_a_code_of_ours(kind: str) -> None:
    assert code_of(kind) in FIELD_CODES


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_has_a_code_of_ours(status: int) -> None:
    assert of_status(status).code in PROBLEM_CODES


def documented(heading: str, column: int) -> set[str]:
    section = DOCS.partition(f"\n{heading}\n")[2].partition("\n#")[0]
    cells = [row.split("|")[column] for row in re.findall(r"^\| .*\|$", section, re.MULTILINE)[1:]]
    return {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}


def test_the_document_has_every_code_of_a_problem_and_no_other() -> None:
    assert documented("### Codes of problems", 2) == PROBLEM_CODES


def test_the_document_has_every_code_of_a_field_and_no_other() -> None:
    assert documented("### Codes of fields", 1) == FIELD_CODES
