"""Whatever a body or an address holds, it is a checked request or a problem, and never another exception.

Not tested here: what each field may be (test_fields.py).
"""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.api.admin.rules import RuleFields
from gateway.api.admin.windows import NewWindow
from gateway.api.admin.words import WordRequest
from gateway.api.app.payments import PaymentSearch, WithholdRequest
from gateway.api.app.refunds import RefundRequest
from gateway.api.app.routes import RouteQuestion
from gateway.api.http.problems import Problem
from gateway.api.http.reading_json import checked, checked_query, read_object
from tests.examples import examples
from tests.unit.api.test_fields import CARD, ORDER, REFUND, WINDOW

MANY = examples(50)
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\u202e", "\u0000", "\ud800", "１２３", "9" * 30, "user-1", "", "é\u0301"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
RULE = {"channel": "a", "scene": "withhold", "bank": "ICBC", "fee": {"type": "percent", "rate": "0.002"}}
QUESTION = ORDER | {"what_if": {"rules": [RULE], "facts": {"a": {"used_today": 1}}}}
WORD = {"object_id": "pay_01h2xcejqtf2nbrexx3vqjhp41", "says": "succeeded", "amount": 1, "by": "li", "note": "n"}
BODIES: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (WithholdRequest, ORDER),
    (RouteQuestion, QUESTION),
    (RefundRequest, REFUND),
    (RuleFields, {"fee": {"type": "tiered", "tiers": [{"fee": 1}]}, "single_limit": 1}),
    (NewWindow, WINDOW),
    (WordRequest, WORD),
]


def taken(model: type[BaseModel], body: bytes) -> None:
    with contextlib.suppress(Problem):
        checked(model, read_object(body))


@MANY
@given(body=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_object_or_a_problem(body: bytes) -> None:
    taken(WithholdRequest, body)


@pytest.mark.parametrize(("model", "good"), BODIES, ids=lambda given: getattr(given, "__name__", ""))
def test_any_value_in_any_field_is_taken_or_a_problem(model: type[BaseModel], good: dict[str, Any]) -> None:
    @MANY
    @given(field=st.sampled_from([*good, "no_such"]), value=VALUES)
    def with_one_field(field: str, value: object) -> None:
        taken(model, json.dumps(good | {field: value}).encode())

    with_one_field()


@MANY
@given(field=st.sampled_from([*CARD, "id_type"]), value=SCALARS)
def test_any_value_in_any_field_of_a_card_is_taken_or_a_problem(field: str, value: object) -> None:
    taken(WithholdRequest, json.dumps(ORDER | {"card": CARD | {field: value}}).encode())


@MANY
@given(name=st.sampled_from([*PaymentSearch.model_fields, "x"]) | TEXTS, text=TEXTS)
def test_any_address_is_a_search_or_a_problem(name: str, text: str) -> None:
    with contextlib.suppress(Problem):
        checked_query(PaymentSearch, [(name, text)])
