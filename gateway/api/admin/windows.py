"""Maintenance windows of a channel: which there are; adding and removing one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from gateway.api.admin.changes import BY, CHANNEL, REMOVED, Snapshots, catalogue_route, channel_of
from gateway.api.admin.fields import MAX_NOTE
from gateway.api.http.fields import Code, Lines, Moment, RequestModel, wrong
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import MaintenanceWindow
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.domain.ids import WINDOW, IdError, read
from gateway.objects.catalogue import window_object

__all__ = ["WindowAnswer", "WindowCalls", "Windows"]

WINDOWS = f"{CHANNEL}/maintenance_windows"


class Windows(Protocol):
    """Where windows are changed: a `CatalogueStore`. Each raises the errors of `gateway.domain.catalogue_content`."""

    async def add_window(self, window: MaintenanceWindow, *, by: str, now: datetime) -> int: ...

    async def remove_window(self, merchant_id: UUID, window_id: UUID, *, by: str, now: datetime) -> int: ...


class NewWindow(RequestModel):
    """A time in which a channel takes nothing: from `starts_at` until before `ends_at`."""

    starts_at: Moment
    ends_at: Moment
    note: Annotated[Lines, Field(max_length=MAX_NOTE)] = ""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.starts_at >= self.ends_at:
            raise wrong("order", "must be after starts_at", field="ends_at")
        return self


class WindowAnswer(BaseModel):
    """A maintenance window."""

    object: Literal["maintenance_window"]
    id: str
    channel: Code
    starts_at: str
    ends_at: str
    note: str


class WindowList(BaseModel):
    """Every maintenance window of a channel."""

    data: list[WindowAnswer]


@dataclass(frozen=True, slots=True)
class WindowCalls:
    """The calls of maintenance windows."""

    store: Windows
    snapshots: Snapshots
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]

    def routes(self) -> list[Route]:
        """The routes of maintenance windows."""
        windows, window = Answer(WindowList, "its windows"), Answer(WindowAnswer, "the window")
        one = f"{WINDOWS}/{{window}}"
        return [
            catalogue_route("GET", WINDOWS, self.windows, "a channel's maintenance windows", windows),
            catalogue_route("POST", WINDOWS, self.add_window, "add a maintenance window", window, body=NewWindow),
            catalogue_route("DELETE", one, self.remove_window, "remove a maintenance window", REMOVED),
        ]

    async def windows(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel = channel_of(snapshot, call)
        found = snapshot.windows.get((channel.merchant_id, channel.code), [])
        return Reply({"data": [window_object(window) for window in found]})

    async def add_window(self, call: Call) -> Reply:
        channel, body = channel_of(await self.snapshots.refresh_now(), call), call.body
        window = MaintenanceWindow(
            channel.merchant_id, self.new_id(), channel.code, body.starts_at, body.ends_at, body.note
        )
        await self.store.add_window(window, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply(window_object(window), 201)

    async def remove_window(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel = channel_of(snapshot, call)
        try:
            window_id = read(WINDOW, call.path["window"])
        except IdError:
            raise NotInCatalogueError("maintenance window") from None
        found = snapshot.windows.get((channel.merchant_id, channel.code), [])
        if all(window.window_id != window_id for window in found):
            raise NotInCatalogueError("maintenance window")
        await self.store.remove_window(channel.merchant_id, window_id, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply({"object": "maintenance_window", "removed": True})
