"""The admin calls of notifications: what could not be delivered, and sending it again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias
from uuid import UUID

from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.answers import Redelivery
from gateway.api.http.fields import PAGE, Code, PageSize, QueryModel, wrong
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import ENDPOINT, EVENT, IdError, read, show
from gateway.domain.payments import timestamp
from gateway.flows.notify import DeadLetter

__all__ = ["Deliveries", "admin_delivery_routes"]

_ID = "[0-7][0-9a-hjkmnp-tv-z]{25}"
_PLACE = rf"^{EVENT}_{_ID}\.{ENDPOINT}_{_ID}$"


class Deliveries(Protocol):
    """The books of deliveries: a `DeliveryStore`."""

    async def dead_letters(
        self, merchant_id: UUID, limit: int, before: tuple[UUID, UUID] | None = None
    ) -> list[DeadLetter]:
        """What was given up, newest first, after the (event, endpoint) `before`."""
        ...

    async def redeliver(self, merchant_id: UUID, event_id: UUID, now: datetime) -> int | None:
        """Make every delivery of an event due now; how many, or None: no such event."""
        ...


def _place(value: object) -> tuple[UUID, UUID]:
    try:
        event, endpoint = str(value).split(".")
        return read(EVENT, event), read(ENDPOINT, endpoint)
    except ValueError:  # IdError is one
        raise wrong("place", "must be the next of the page before") from None


if TYPE_CHECKING:
    Place: TypeAlias = tuple[UUID, UUID]
else:
    Place = Annotated[tuple[UUID, UUID], PlainValidator(_place), WithJsonSchema({"type": "string", "pattern": _PLACE})]


class DeadLetterSearch(QueryModel):
    """Dead letters, newest first. `after` is the `next` of the page before."""

    limit: PageSize = PAGE
    after: Place | None = None


class DeadLetterAnswer(BaseModel):
    """A delivery that was given up: what it was about, and how its last try ended."""

    object: Literal["dead_letter"]
    event: str
    endpoint: str
    endpoint_code: Annotated[Code | None, Field(description="its name in the catalogue file")]
    app: Annotated[Code | None, Field(description="whose event it is; null: no app's")]
    type: str
    object_id: str
    sequence: int
    created_at: str
    tries: int
    last_status: int | None
    last_error: str | None


class DeadLetterPage(BaseModel):
    """Dead letters, newest first."""

    data: list[DeadLetterAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


def admin_delivery_routes(
    store: Deliveries, catalogue: Callable[[], Catalogue], clock: Callable[[], datetime]
) -> tuple[Route, ...]:
    """The admin calls of notifications. `catalogue`: the one in force."""
    calls = _Calls(store, catalogue, clock)
    return (
        Route(
            "GET",
            f"{MERCHANT}/dead_letters",
            calls.dead_letters,
            "what could not be delivered, newest first",
            TAGS,
            {200: Answer(DeadLetterPage, "one page")},
            scope="admin",
            query=DeadLetterSearch,
            path_about=MERCHANT_ABOUT,
        ),
        Route(
            "POST",
            f"{MERCHANT}/events/{{id}}/redeliver",
            calls.redeliver,
            "send an event again, to every endpoint that it was for",
            TAGS,
            {202: Answer(Redelivery, "due now, whatever became of it before")},
            scope="admin",
            path_about=MERCHANT_ABOUT | {"id": "the event's id, evt_…"},
        ),
    )


@dataclass(frozen=True, slots=True)
class _Calls:
    store: Deliveries
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    async def dead_letters(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        # One more than the page tells whether there is a next one.
        found = await self.store.dead_letters(merchant.merchant_id, asked.limit + 1, asked.after)
        page = [_dead_letter_object(letter) for letter in found[: asked.limit]]
        more = len(found) > asked.limit
        return Reply({"data": page, "next": f"{page[-1]['event']}.{page[-1]['endpoint']}" if more else None})

    async def redeliver(self, call: Call) -> Reply:
        merchant = merchant_of(self.catalogue(), call)
        try:
            event_id = read(EVENT, call.path["id"])
        except IdError:
            raise not_found("event") from None
        count = await self.store.redeliver(merchant.merchant_id, event_id, self.clock())
        if count is None:
            raise not_found("event")
        return Reply({"deliveries": count}, 202)


def _dead_letter_object(letter: DeadLetter) -> dict[str, Any]:
    return {
        "object": "dead_letter",
        "event": show(EVENT, letter.event_id),
        "endpoint": show(ENDPOINT, letter.endpoint_id),
        "endpoint_code": letter.endpoint_code,
        "app": letter.app,
        "type": letter.type,
        "object_id": letter.object_id,
        "sequence": letter.sequence,
        "created_at": timestamp(letter.created_at),
        "tries": letter.tries,
        "last_status": letter.last_status,
        "last_error": letter.last_error,
    }
