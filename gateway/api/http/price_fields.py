"""Fields of prices that begin on a day: lists of `{effective_from, fee}`."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, WithJsonSchema

from gateway.api.http.fee_field import FeeField
from gateway.api.http.fields import Fen, RequestModel
from gateway.api.http.refusals import wrong
from gateway.domain.prices import MAX_PRICES, Price, PriceError, in_order

__all__ = ["AmountAnswer", "Amounts", "BusinessDay", "FeeAnswer", "Fees", "prices_of"]


def read_day(value: object) -> date:
    """A day as it is written: 2026-04-01. Raises what pydantic takes as a refusal."""
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise wrong("wrong_format", "must be a day such as 2026-04-01")


BusinessDay = Annotated[date, PlainValidator(read_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A day in the business zone."""


class GivenFee(RequestModel):
    """A rule's fee from the beginning of a day on, in the business zone."""

    effective_from: BusinessDay
    fee: FeeField


class GivenAmount(RequestModel):
    """What an authentication costs from the beginning of a day on, in the business zone."""

    effective_from: BusinessDay
    fee: Fen


G = TypeVar("G", bound=GivenFee | GivenAmount)


def prices_of(given: Iterable[GivenFee | GivenAmount]) -> tuple[Price[Any], ...]:
    """The prices by day. Raises PriceError."""
    return in_order(Price(one.effective_from, one.fee) for one in given)


def _days_apart(given: list[G]) -> list[G]:
    try:
        prices_of(given)
    except PriceError as error:
        raise wrong("repeated", str(error)) from None
    return given


_ABOUT = "later prices, each from the beginning of a business day on; their order means nothing"
Fees = Annotated[list[GivenFee], Field(max_length=MAX_PRICES, description=_ABOUT), AfterValidator(_days_apart)]
Amounts = Annotated[list[GivenAmount], Field(max_length=MAX_PRICES, description=_ABOUT), AfterValidator(_days_apart)]


class FeeAnswer(BaseModel):
    """A fee from the beginning of a day on."""

    effective_from: Annotated[str, Field(json_schema_extra={"format": "date"})]
    fee: dict[str, Any]


class AmountAnswer(BaseModel):
    """An amount in fen from the beginning of a day on."""

    effective_from: Annotated[str, Field(json_schema_extra={"format": "date"})]
    fee: int
