"""The codes that `errors[].code` may have: a fixed list of ours, whatever reads the fields behind it.

docs/api.md has the same list (tests/unit/api/test_field_codes.py holds them together).
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

__all__ = ["FIELD_CODES", "FieldCode", "code_of"]

FieldCode = Literal[
    "bank",
    "card_no",
    "exclusive",
    "fee",
    "id",
    "id_no",
    "invalid",
    "key",
    "missing",
    "no_payout_rule",
    "not_found",
    "not_one_of",
    "order",
    "out_of_range",
    "payout_rule_disabled",
    "payouts_not_supported",
    "place",
    "refunds_not_supported",
    "repeated",
    "text",
    "time",
    "too_few",
    "too_long",
    "too_many",
    "too_short",
    "unknown",
    "unknown_field",
    "unsupported",
    "unwanted",
    "wrong_format",
    "wrong_type",
]
"""Codes may be added; none is ever taken away or changed in meaning."""

FIELD_CODES: Final[frozenset[FieldCode]] = frozenset(get_args(FieldCode))

_OF_KIND: Final[Mapping[str, FieldCode]] = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "enum": "not_one_of",
    "literal_error": "not_one_of",
    "string_pattern_mismatch": "wrong_format",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "string_unicode": "text",
    "too_short": "too_few",
    "too_long": "too_many",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "int_parsing_size": "out_of_range",
    "int_from_float": "wrong_type",
}
_WRONG_TYPE: Final = ("_type", "_parsing")


def code_of(kind: str) -> FieldCode:
    """Our code for a kind of error of pydantic's."""
    return _OF_KIND.get(kind) or ("wrong_type" if kind.endswith(_WRONG_TYPE) else "invalid")
