"""From bytes to a checked request: JSON that is wholly understood, the route's model, and errors without values."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar, cast

from pydantic import BaseModel, ValidationError

from gateway.api.http.field_codes import FieldCode, code_of
from gateway.api.http.fields import PATTERN_MEANS
from gateway.api.http.problems import FieldError, Problem, bad_fields, malformed_json
from gateway.domain.money import WrittenFloat

__all__ = ["checked", "checked_query", "read_object"]

MAX_ERRORS = 20
"""How many fields one problem names."""
MAX_INTEGER_DIGITS = 19
MAX_SHOWN_NAME = 64

ModelT = TypeVar("ModelT", bound=BaseModel)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PLAIN_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_.-]{{0,{MAX_SHOWN_NAME - 1}}}")
_ENUM_MEMBER = re.compile(r"<[\w.]+: ('[^']*')>")
_LONG_NUMBER = re.compile(r"[0-9]{9,}")


class _DuplicateKeyError(ValueError):
    """One object has one name twice: which of the two was meant is not ours to guess."""


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises a 400 problem, or 422 for texts that no database can hold."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise malformed_json("The body is not UTF-8.") from None
    try:
        value = _decoder.decode(text)
    except _DuplicateKeyError:
        raise malformed_json("The body has an object with the same name twice.") from None
    except json.JSONDecodeError as error:
        raise malformed_json(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):
        raise malformed_json("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise malformed_json("The body must be a JSON object.")
    # NUL and lone surrogates can only come as escapes, so most bodies need no second look.
    if "\\u" in text:
        unstorable = [FieldError(path, "text", "must not have NUL or lone surrogates") for path in _unstorable(value)]
        if unstorable:
            raise bad_fields(unstorable[:MAX_ERRORS])
    return value


def checked(model: type[ModelT], value: Mapping[str, Any]) -> ModelT:
    """The model of a value. Raises a 422 problem that names every wrong field and repeats no value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _as_problem(error) from None


def checked_query(model: type[ModelT], pairs: Iterable[tuple[str, str]]) -> ModelT:
    """The model of an address's parameters."""
    value: dict[str, str] = {}
    for name, text in pairs:
        if name in value:
            raise bad_fields([FieldError(_shown(name), "repeated", "may be given once")])
        if _UNSTORABLE.search(text):
            raise bad_fields([FieldError(_shown(name), "text", "must not have NUL or lone surrogates")])
        value[name] = text
    return checked(model, value)


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _integer(digits: str) -> int | float:
    # A number of thousands of digits is no amount; as a float it is refused by the field, and cheaply.
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float("inf")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKeyError
    return value


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer, parse_float=WrittenFloat
)


def _unstorable(value: object, path: str = "") -> list[str]:
    match value:
        case str():
            return [path] if _UNSTORABLE.search(value) else []
        case list():
            return [found for i, held in enumerate(value) for found in _unstorable(held, _joined(path, str(i)))]
        case dict():
            names = [_joined(path, _shown(name)) for name in value if _UNSTORABLE.search(name)]
            held = [found for name, one in value.items() for found in _unstorable(one, _joined(path, _shown(name)))]
            return names + held
    return []


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _shown(name: str) -> str:
    """A name as it may be repeated: names are the caller's text too, and a card number may be among them."""
    return name if _PLAIN_NAME.fullmatch(name) and not _LONG_NUMBER.search(name) else "(unreadable name)"


def _as_problem(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_input=False)
    errors = [
        FieldError(
            _joined(_path(one["loc"]), one.get("ctx", {}).get("field", "")),
            _code(one["type"], one.get("ctx", {})),
            _message(one["type"], one.get("ctx", {}), one["msg"]),
        )
        for one in found[:MAX_ERRORS]
    ]
    return bad_fields(errors)


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) if isinstance(part, int) else _shown(part) for part in loc)


def _code(kind: str, context: Mapping[str, Any]) -> FieldCode:
    # Our own refusals are marked by their field (`refusals.wrong`); a name of ours may also be one of pydantic's.
    return cast("FieldCode", kind) if "field" in context else code_of(kind)


_MESSAGES: dict[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here; leave it out",
    "int_type": "must be a whole number (not text, not a fraction)",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "list_type": "must be a list",
    "int_from_float": "must be a whole number (not text, not a fraction)",
    "finite_number": "must be a number that is not endless",
    "greater_than": "must be above {gt}",
    "less_than": "must be below {lt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
}


def _message(kind: str, context: Mapping[str, Any], text: str) -> str:
    if kind == "string_pattern_mismatch":
        return PATTERN_MEANS.get(context["pattern"], f"must match {context['pattern']}")
    # Our own refusals name their field or have their own words; pydantic's get ours.
    template = None if "field" in context else _MESSAGES.get(kind)
    if template:
        return _ENUM_MEMBER.sub(r"\1", template.format_map(context))
    return text if "field" in context else "is not what the document at /openapi.json says of this field"
