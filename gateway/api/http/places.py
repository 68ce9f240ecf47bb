"""Where a page of a timeline ends, as apps hand it back. They need not understand it."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import PlainValidator, WithJsonSchema

from gateway.api.http.refusals import wrong
from gateway.domain.timeline import TimelinePosition

__all__ = ["Place", "shown_place"]

_SHOWN = r"[0-9]{1,18}-[0-9]{1,2}-[0-9a-f]{1,32}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown_place(place: TimelinePosition) -> str:
    """Microseconds since 1970, the rank, and the tie in hexadecimal digits."""
    return f"{(place.at - _EPOCH) // timedelta(microseconds=1)}-{place.rank}-{place.tie:x}"


def _read(value: object) -> TimelinePosition:
    if isinstance(value, str) and re.fullmatch(_SHOWN, value, re.ASCII):
        at, rank, tie = value.split("-")
        try:
            return TimelinePosition(_EPOCH + timedelta(microseconds=int(at)), int(rank), int(tie, 16))
        except OverflowError:
            pass
    raise wrong("place", "must be the `next` of the page before")


if TYPE_CHECKING:
    Place: TypeAlias = TimelinePosition
else:
    Place = Annotated[
        TimelinePosition,
        PlainValidator(_read),
        WithJsonSchema({"type": "string", "pattern": f"^{_SHOWN}$"}),
    ]
