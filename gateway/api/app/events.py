"""Events: the log of what was told, and telling it again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import Field

from gateway.api.http.answers import AnswerModel, Redelivery, Time, shown_id
from gateway.api.http.fields import PAGE, PageSize, QueryModel, id_field
from gateway.api.http.problems import not_found
from gateway.api.http.resending import redelivered
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.api.http.searching import CutPage, search_page
from gateway.domain.ids import ENDPOINT, EVENT, IdError, read, read_object
from gateway.objects.events import event_object
from gateway.ports import Found, Reading

__all__ = ["EventAnswer", "EventCalls", "EventSearch"]

TAGS = ("events",)
EVENT_ABOUT = {"id": "the event's id, evt_…"}
LARGEST_ID = (1 << 128) - 1

if TYPE_CHECKING:
    EventId: TypeAlias = UUID
else:
    EventId = id_field(EVENT)
ShownEventId = Annotated[str, shown_id(EVENT)]


class EventSearch(QueryModel):
    """A search of events, newest first. `after` is the `next` of the page before."""

    object_id: Annotated[str, Field(pattern=r"^[a-z]{2,10}_[0-9a-z]{26}$")] | None = None
    type: Annotated[str, Field(pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}$")] | None = None
    limit: PageSize = PAGE
    after: EventId | None = None


class DeliveryAnswer(AnswerModel):
    """How an event reached one endpoint."""

    endpoint: Annotated[str, shown_id(ENDPOINT)]
    status: Literal["pending", "delivered", "dead", "held", "discarded"]
    tries: int
    due_at: Time | None
    last_status: int | None
    last_error: str | None
    delivered_at: Time | None


class EventAnswer(AnswerModel):
    """An event: `body` is what every delivery sends."""

    id: ShownEventId
    object: Literal["event"]
    type: str
    object_id: str
    sequence: int
    created_at: Time
    body: dict[str, Any]
    deliveries: list[DeliveryAnswer]


class EventPage(CutPage):
    """Events, newest first."""

    data: list[EventAnswer]
    next: Annotated[ShownEventId | None, Field(description="give it as `after` for the next page; null: no more")]


@dataclass(frozen=True, slots=True)
class EventCalls:
    """The calls of events."""

    reading: Reading
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of events."""
        return [
            Route("GET", "/v1/events", self.search, "Search events, newest first", TAGS,
                  {200: Answer(EventPage, "One page.")}, query=EventSearch),
            Route("GET", "/v1/events/{id}", self.event, "Read an event", TAGS,
                  {200: Answer(EventAnswer, "The event with its deliveries.")}, path_about=EVENT_ABOUT),
            Route("POST", "/v1/events/{id}/redeliver", self.redeliver, "Send an event again", TAGS,
                  {202: Answer(Redelivery, "Due now, whatever became of it before.")}, problems=(409,),
                  path_about=EVENT_ABOUT),
        ]  # fmt: skip

    async def search(self, call: Call) -> Reply:
        asked: EventSearch = call.query
        try:
            of = read_object(asked.object_id) if asked.object_id is not None else None
        except IdError:
            return Reply(search_page(Found([]), [], [], asked.limit, EVENT, call.language))  # nothing has such an id
        found = await self.reading.events(
            call.caller.merchant_id,
            call.caller.app,
            of=of,
            event_type=asked.type,
            before=asked.after,
            limit=asked.limit + 1,  # one more than the page tells whether there is a next one
        )
        ids = [event.event_id for event in found.page]
        shown = [event_object(event) for event in found.page]
        return Reply(search_page(found, ids, shown, asked.limit, EVENT, call.language))

    async def event(self, call: Call) -> Reply:
        event_id = event_id_of(call)
        # The newest event before the next id is the one itself, if there is one.
        found = await self.reading.events(
            call.caller.merchant_id,
            call.caller.app,
            of=None,
            event_type=None,
            before=UUID(int=min(event_id.int + 1, LARGEST_ID)),
            limit=1,
        )
        if not found.page or found.page[0].event_id != event_id:
            raise not_found("event")
        return Reply(event_object(found.page[0]))

    async def redeliver(self, call: Call) -> Reply:
        caller = call.caller
        return redelivered(
            await self.reading.redeliver(caller.merchant_id, caller.app, event_id_of(call), self.clock())
        )


def event_id_of(call: Call) -> UUID:
    """The event that the address names. Raises a 404 problem."""
    try:
        return read(EVENT, call.path["id"])
    except IdError:
        raise not_found("event") from None
