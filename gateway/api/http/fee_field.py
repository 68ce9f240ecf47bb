"""The field of a fee: its schema, and its reading by `router.fees`."""

import re
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from gateway.api.http.refusals import wrong
from router.fees import MAX_FEN, MAX_TIERS, Fee, FeeError, parse_fee

__all__ = ["FEE_SCHEMA", "FeeField"]

_FEN_SCHEMA = {"type": "integer", "minimum": 0, "maximum": MAX_FEN}
_FIXED_SCHEMA = {
    "type": "object",
    "properties": {"type": {"const": "fixed"}, "amount": _FEN_SCHEMA},
    "required": ["type", "amount"],
    "additionalProperties": False,
}
_PERCENT_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"const": "percent"},
        "rate": {
            "description": "a fraction: 0.002 is 0.2 %; best written as text",
            "anyOf": [
                {"type": "string", "pattern": r"^(0(\.[0-9]{1,12})?|1(\.0{1,12})?)$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ],
        },
        "min": {"anyOf": [_FEN_SCHEMA, {"type": "null"}]},
        "max": {"anyOf": [_FEN_SCHEMA, {"type": "null"}]},
    },
    "required": ["type", "rate"],
    "additionalProperties": False,
}
_TIERED_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"const": "tiered"},
        "tiers": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_TIERS,
            "items": {
                "type": "object",
                "properties": {
                    "up_to": {"anyOf": [_FEN_SCHEMA, {"type": "null"}]},
                    "fee": {"anyOf": [_FEN_SCHEMA, _FIXED_SCHEMA, _PERCENT_SCHEMA]},
                },
                "required": ["fee"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["type", "tiers"],
    "additionalProperties": False,
}
FEE_SCHEMA: dict[str, Any] = {
    "description": "what the provider charges: fen, or fixed, percent or tiered",
    "anyOf": [_FEN_SCHEMA, _FIXED_SCHEMA, _PERCENT_SCHEMA, _TIERED_SCHEMA],
}


def _fee(value: object) -> Fee:
    try:
        return parse_fee(value, "")
    except FeeError as error:
        place = f"{error.path} " if _is_own_path(error.path) else ""
        raise wrong("fee", f"{place}{error.problem}".replace("{", "(").replace("}", ")")) from None


def _is_own_path(path: str) -> bool:
    # An unknown key is the caller's text: it is not repeated.
    return bool(
        re.fullmatch(r"((type|kind|amount|rate|min|max|tiers(\[\d+\])?|up_to|fee|percent|fixed|tiered)\.?)*", path)
    )


FeeField = Annotated[Any, PlainValidator(_fee), WithJsonSchema(FEE_SCHEMA)]
"""A fee in any form that `router.fees.parse_fee` takes; the value is a `router.fees.Fee`."""
