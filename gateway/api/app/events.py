"""Calls about events: the log of what was told, and telling it again."""

from uuid import UUID

from gateway.api.app.answers import EventAnswer, EventPage
from gateway.api.app.schemas import EventSearch
from gateway.api.http.answers import Redelivery
from gateway.api.http.needs import Api
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Handler, Reply, Route
from gateway.domain.ids import EVENT, IdError, read

__all__ = ["event_routes"]

_TAGS = ("events",)
_ID = {"id": "the event's id, evt_…"}
_LARGEST_ID = (1 << 128) - 1


def event_routes(api: Api) -> list[Route]:
    """The routes of events."""
    return [
        Route("GET", "/v1/events", _search(api), "Search events, newest first", _TAGS,
              {200: Answer(EventPage, "One page.")}, query=EventSearch),
        Route("GET", "/v1/events/{id}", _event(api), "Read an event", _TAGS,
              {200: Answer(EventAnswer, "The event with its deliveries.")}, path_about=_ID),
        Route("POST", "/v1/events/{id}/redeliver", _redeliver(api), "Send an event again", _TAGS,
              {202: Answer(Redelivery, "Due now, whatever became of it before.")}, path_about=_ID),
    ]  # fmt: skip


def _event_id_of(call: Call) -> UUID:
    try:
        return read(EVENT, call.path["id"])
    except IdError:
        raise not_found("event") from None


def _search(api: Api) -> Handler:
    async def search(call: Call) -> Reply:
        asked: EventSearch = call.query
        found = await api.reading.events(
            call.caller.merchant_id,
            call.caller.app,
            object_id=asked.object_id,
            event_type=asked.type,
            before=asked.after,
            limit=asked.limit + 1,  # one more than the page tells whether there is a next one
        )
        page = found[: asked.limit]
        return Reply({"data": page, "next": page[-1]["id"] if len(found) > asked.limit else None})

    return search


def _event(api: Api) -> Handler:
    async def event(call: Call) -> Reply:
        event_id = _event_id_of(call)
        # The newest event before the next id is the one itself, if there is one.
        found = await api.reading.events(
            call.caller.merchant_id,
            call.caller.app,
            object_id=None,
            event_type=None,
            before=UUID(int=min(event_id.int + 1, _LARGEST_ID)),
            limit=1,
        )
        if not found or read(EVENT, found[0]["id"]) != event_id:
            raise not_found("event")
        return Reply(found[0])

    return event


def _redeliver(api: Api) -> Handler:
    async def redeliver(call: Call) -> Reply:
        caller = call.caller
        count = await api.reading.redeliver(caller.merchant_id, caller.app, _event_id_of(call), api.clock())
        if count is None:
            raise not_found("event")
        return Reply({"deliveries": count}, status=202)

    return redeliver
