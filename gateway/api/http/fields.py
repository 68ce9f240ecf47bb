"""Fields of requests: what each one may be, said once. Everything is strict: "100" is no number, true is no number."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from gateway.api.http.fee_field import FeeField
from gateway.api.http.refusals import wrong
from gateway.domain.cards import bank_names
from gateway.domain.ids import IdError, read
from gateway.domain.money import MAX_AMOUNT
from gateway.domain.scenes import Scene
from gateway.domain.texts import odd_in_name, odd_in_text
from router.fees import MAX_FEN

__all__ = [
    "MAX_PAGE",
    "PAGE",
    "PATTERN_MEANS",
    "Amount",
    "AnyBank",
    "BankCode",
    "Code",
    "CustodyUserNo",
    "Description",
    "FeeField",
    "Fen",
    "FoundOrderNumber",
    "Lines",
    "Metadata",
    "Moment",
    "NoQuery",
    "OneLine",
    "OrderNumber",
    "PageSize",
    "PlaceName",
    "Purpose",
    "QueryModel",
    "RequestModel",
    "ReturnUrl",
    "SceneName",
    "UserId",
    "id_field",
    "query_integer",
    "without",
    "wrong",
]

MAX_METADATA_KEYS = 50
MAX_METADATA_KEY_CHARACTERS = 40
MAX_METADATA_TEXT_CHARACTERS = 500
MAX_EXACT_INTEGER = 2**53 - 1
"""Beyond it, JSON readers that keep numbers as doubles would change it."""


class RequestModel(BaseModel):
    """A JSON object of a request: strict, and nothing in it is unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class QueryModel(BaseModel):
    """The parameters of an address: texts, read by each field's own rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NoQuery(QueryModel):
    """An address without parameters."""


# --- texts ---

# Patterns are for machines; what a refusal says is for people.
_ORDER_NUMBER = r"^[!-~]{1,64}$"
_FOUND_ORDER_NUMBER = r"^[!-~]{1,72}$"
_CODE = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_BANK = r"^[A-Z0-9]{2,20}$"
_WEB_ADDRESS = r"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9.\-_~\[\]:]+(/[!-~]*)?([?#][!-~]*)?$"
PATTERN_MEANS: dict[str, str] = {
    _FOUND_ORDER_NUMBER: "must be 1 to 72 printable ASCII characters without spaces",
    _ORDER_NUMBER: "must be 1 to 64 printable ASCII characters without spaces",
    _CODE: "must be a code of letters, digits, _ . and -, at most 64",
    _BANK: "must be a bank code such as ICBC, ABC, CCB",
    _WEB_ADDRESS: "must be an http or https address",
}


def _one_line(value: str) -> str:
    if value != value.strip():
        raise wrong("text", "must be one line without spaces at its ends")
    return without(odd_in_text(value), value)


def _lines(value: str) -> str:
    return without(odd_in_text(value, lines=True), value)


def _printable(value: str) -> str:
    # Ids and keys must not hold what nobody sees: two would look the same.
    if value != value.strip():
        raise wrong("text", "must not have spaces at its ends")
    return without(odd_in_name(value), value)


def without(odd: str | None, value: str) -> str:
    """The text, unless something odd was found in it. Raises the refusal of a field."""
    if odd is not None:
        place = f"U+{ord(odd):04X}"
        raise wrong("text", f"has a hidden or look-alike character ({place}): leave it out")
    return value


FoundOrderNumber = Annotated[str, Field(pattern=_FOUND_ORDER_NUMBER, description="as it was given, or numbered by us")]
"""Of what is looked for: a number with the mark of a try is longer."""
OrderNumber = Annotated[
    str,
    Field(pattern=_ORDER_NUMBER, description="1 to 64 printable ASCII characters without spaces; yours for ever"),
]
UserId = Annotated[
    str,
    Field(min_length=1, max_length=64, description="the payer as you name them, 1 to 64 characters"),
    AfterValidator(_printable),
]
Code = Annotated[str, Field(pattern=_CODE)]
"""A merchant's, app's, account's or channel's code."""


def _known_bank(value: str) -> str:
    if value not in bank_names():
        raise wrong("bank", "is not a bank code known here, such as ICBC, ABC, BOC, CCB, CMB")
    return value


BankCode = Annotated[
    str,
    Field(pattern=_BANK, description="bank code such as ICBC, ABC, CCB"),
    AfterValidator(_known_bank),
]
AnyBank = Annotated[str, Field(pattern=_BANK, description="bank code such as ICBC, ABC, CCB")]
"""A bank code that need not be known."""
CustodyUserNo = Annotated[str, Field(pattern=r"^[!-~]{1,50}$")]
Description = Annotated[str, Field(max_length=255), AfterValidator(_one_line)]
Purpose = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)]
PlaceName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_one_line)]
"""Of a province, a city or a bank's branch."""
OneLine = Annotated[str, AfterValidator(_one_line)]
"""A text on one line; its length is said beside it."""
Lines = Annotated[str, AfterValidator(_lines)]
"""A text that may have several lines; its length is said beside it."""
ReturnUrl = Annotated[
    str,
    Field(
        max_length=512,
        pattern=_WEB_ADDRESS,
        description="https address, on a host of the app, where the payer's browser comes back",
    ),
]

# --- numbers ---

Amount = Annotated[int, Field(ge=1, le=MAX_AMOUNT, description="in fen (1/100 yuan)")]
Fen = Annotated[int, Field(ge=0, le=MAX_FEN, description="in fen (1/100 yuan)")]


def query_integer(low: int, high: int) -> Any:
    """A whole number in an address, as a validator and its schema."""

    def read_text(value: object) -> int:
        if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"[0-9]{1,11}", value)):
            number = int(value)
            if low <= number <= high:
                return number
        raise wrong("out_of_range", f"must be a whole number from {low} to {high}")

    schema = WithJsonSchema({"type": "integer", "minimum": low, "maximum": high})
    return Annotated[int, PlainValidator(read_text), schema]


PAGE, MAX_PAGE = 50, 200

if TYPE_CHECKING:
    PageSize: TypeAlias = int
else:
    PageSize = query_integer(1, MAX_PAGE)

# --- names of ours ---

SceneName = Annotated[Scene, Field(strict=False)]


def id_field(prefix: str) -> Any:
    """An id as people see it (`pay_…`), read as a UUID."""

    def read_text(value: object) -> UUID:
        try:
            return read(prefix, str(value))
        except IdError:
            raise wrong("id", f"must be an id such as {prefix}_01h2xcejqtf2nbrexx3vqjhp41") from None

    schema = WithJsonSchema({"type": "string", "pattern": rf"^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"})
    return Annotated[UUID, PlainValidator(read_text), schema]


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise wrong("time", "must be a time with its zone (RFC 3339), such as 2026-01-31T08:00:00Z")


Moment = Annotated[datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]

# --- metadata ---


def _metadata(value: object) -> dict[str, str | int | bool | None]:
    if not isinstance(value, dict):
        raise wrong("wrong_type", "must be a flat JSON object")
    if len(value) > MAX_METADATA_KEYS:
        raise wrong("too_many", f"may have at most {MAX_METADATA_KEYS} keys")
    for key, held in value.items():
        if not 1 <= len(key) <= MAX_METADATA_KEY_CHARACTERS:
            raise wrong("key", f"may have keys of 1 to {MAX_METADATA_KEY_CHARACTERS} characters")
        without(odd_in_name(key), key)
        _check_metadata_value(held)
    return dict(sorted(value.items()))


def _check_metadata_value(held: object) -> None:
    match held:
        case None | bool():
            pass
        case int():
            if abs(held) > MAX_EXACT_INTEGER:
                raise wrong("out_of_range", "may hold whole numbers up to 2^53 - 1; write greater ones as text")
        case str():
            if len(held) > MAX_METADATA_TEXT_CHARACTERS:
                raise wrong("too_long", f"may hold texts of at most {MAX_METADATA_TEXT_CHARACTERS} characters")
            _lines(held)
        case _:
            raise wrong("wrong_type", "may hold texts, whole numbers, true, false and null; write others as text")


Metadata = Annotated[
    dict[str, str | int | bool | None],
    PlainValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_METADATA_KEYS,
            "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_CHARACTERS},
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "maxLength": MAX_METADATA_TEXT_CHARACTERS},
                    {"type": "integer", "minimum": -MAX_EXACT_INTEGER, "maximum": MAX_EXACT_INTEGER},
                    {"type": "boolean"},
                    {"type": "null"},
                ]
            },
        }
    ),
]
