"""Maintenance windows of a channel: which there are; adding and removing one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from gateway.api.admin.changes import BY, CHANNEL, REMOVED, Snapshots, catalogue_route, channel_of
from gateway.api.admin.fields import MAX_NOTE
from gateway.api.http.fields import BankCode, Code, Lines, Moment, RequestModel, SceneName, wrong
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import MaintenanceWindow
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.domain.ids import WINDOW, IdError, read
from gateway.domain.scenes import Scene
from gateway.domain.windows import Repeats, why_not
from gateway.objects.catalogue import window_object

__all__ = ["WindowAnswer", "WindowCalls", "Windows"]

WINDOWS = f"{CHANNEL}/maintenance_windows"
MAX_BANKS = 1_000


class Windows(Protocol):
    """Where windows are changed: a `CatalogueStore`. Each raises the errors of `gateway.domain.catalogue_content`."""

    async def add_window(self, window: MaintenanceWindow, *, by: str, now: datetime) -> int: ...

    async def remove_window(self, merchant_id: UUID, window_id: UUID, *, by: str, now: datetime) -> int: ...


class NewWindow(RequestModel):
    """A time in which a channel takes nothing: from `starts_at` until before `ends_at`.

    `repeats`: it comes again every day, week or month, at the same time on the clock of the business zone, until it is
    removed. `banks`, `scenes`: only payments of these are not taken; absent: none is.
    """

    starts_at: Moment
    ends_at: Moment
    note: Annotated[Lines, Field(max_length=MAX_NOTE)] = ""
    repeats: Annotated[Repeats, Field(strict=False)] | None = None
    banks: Annotated[list[BankCode], Field(min_length=1, max_length=MAX_BANKS)] | None = None
    scenes: Annotated[list[SceneName], Field(min_length=1, max_length=len(Scene))] | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        why = why_not(self.starts_at, self.ends_at, self.repeats)
        if why is not None:
            raise wrong("order" if self.starts_at >= self.ends_at else "out_of_range", why, field="ends_at")
        return self


class WindowAnswer(BaseModel):
    """A maintenance window."""

    object: Literal["maintenance_window"]
    id: str
    channel: Code
    starts_at: str
    ends_at: str
    repeats: Repeats | None
    banks: list[str] | None
    scenes: list[Scene] | None
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
            channel.merchant_id,
            self.new_id(),
            channel.code,
            body.starts_at,
            body.ends_at,
            body.note,
            body.repeats,
            None if body.banks is None else tuple(sorted(set(body.banks))),
            None if body.scenes is None else tuple(sorted(set(body.scenes))),
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
