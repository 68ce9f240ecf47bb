"""UnionPay's letter: text that can be cut in two ways is nobody's word. Not tested here: signatures (the contract)."""

from urllib.parse import urlencode

import pytest

from adapters.unionpay.letter import UnbelievableError, read_form
from gateway.ports import CallbackRequest


def form(fields: dict[str, str], query: str = "") -> CallbackRequest:
    return CallbackRequest("POST", query, {}, urlencode(fields).encode())


def test_a_form_is_read_without_what_our_own_address_mixed_in() -> None:
    assert read_form(form({"orderId": "1", "from": "unionpay"}, "from=unionpay")) == {"orderId": "1"}


def test_a_value_in_brackets_may_hold_what_separates() -> None:
    fields = {"orderId": "1", "tokenPayData": "{token=6&trId=2}"}
    assert read_form(form(fields)) == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"reqReserved": "a&respCode=00", "orderId": "1"},
        {"reqReserved": "{a", "respCode": "11"},
        {"reqReserved": "[a&b", "respCode": "11"},
    ],
    ids=["separator", "open bracket", "open bracket with separator"],
)
def test_fields_that_could_be_cut_into_others_are_not_believed(fields: dict[str, str]) -> None:
    with pytest.raises(UnbelievableError):
        read_form(form(fields))
