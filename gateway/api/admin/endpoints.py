"""Endpoints: how each stands, and stopping and starting it, or giving up what is held for it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from gateway.api.admin.anomalies import says_something
from gateway.api.admin.changes import Snapshots, catalogue_route
from gateway.api.admin.fields import MAX_NAME, MAX_NOTE
from gateway.api.admin.paths import MERCHANT, merchant_of
from gateway.api.http.fields import Code, RequestModel
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue, Endpoint
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.domain.events import EndpointBacklog
from gateway.logs import get
from gateway.objects.catalogue import endpoint_object

__all__ = ["Backlogs", "EndpointCalls", "Endpoints"]

ENDPOINTS = f"{MERCHANT}/endpoints"
ENDPOINT = f"{ENDPOINTS}/{{endpoint}}"
DISCARDED_AT_ONCE = 2_000
DISCARDS_PER_CALL = 50
"""So a call ends after 100,000, and says how many are left."""

log = get(__name__)


class Endpoints(Protocol):
    """Where endpoints stop and start: a `CatalogueStore`."""

    async def stop_endpoint(
        self, merchant_id: UUID, endpoint_id: UUID, because: str, now: datetime, by: str = "sluice"
    ) -> int: ...

    async def start_endpoint(
        self, merchant_id: UUID, endpoint_id: UUID, *, by: str, note: str, now: datetime
    ) -> int: ...


class Backlogs(Protocol):
    """What has not reached endpoints: a `HeldStore`."""

    async def backlogs(self, merchant_id: UUID) -> dict[UUID, EndpointBacklog]: ...

    async def discard(self, merchant_id: UUID, endpoint_id: UUID, reason: str, limit: int) -> int: ...


class Word(RequestModel):
    """Who says so, and why; for those who come later."""

    by: Annotated[
        str, Field(min_length=1, max_length=MAX_NAME, description="who says so"), AfterValidator(says_something)
    ]
    note: Annotated[str, Field(min_length=1, max_length=MAX_NOTE), AfterValidator(says_something)]


class EndpointStateAnswer(BaseModel):
    """An endpoint, and what has not reached it."""

    object: Literal["endpoint"]
    id: str
    code: Code
    app: Annotated[Code | None, Field(description="whose it is; null: the merchant's")]
    url: str
    state: Annotated[
        Literal["running", "stopped", "removed"],
        Field(description="removed: not in the catalogue file any more, so it gets no new events"),
    ]
    stopped_at: Annotated[str | None, Field(description="null while it runs")]
    stopped_because: str | None
    pending: Annotated[int, Field(description="notifications that wait for their next try")]
    held: Annotated[int, Field(description="notifications that become due when it starts")]
    dead: Annotated[int, Field(description="notifications that were given up after their last try")]


class EndpointList(BaseModel):
    """Every endpoint of a merchant."""

    data: list[EndpointStateAnswer]


class DiscardedAnswer(BaseModel):
    """What was held and will not be sent."""

    discarded: int
    held: Annotated[int, Field(description="how many are left: one call discards 100,000 at most")]


@dataclass(frozen=True, slots=True)
class EndpointCalls:
    """The calls of endpoints."""

    store: Endpoints
    backlogs: Backlogs
    snapshots: Snapshots
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of endpoints."""
        one = Answer(EndpointStateAnswer, "the endpoint as it is now")
        discarded = Answer(DiscardedAnswer, "given up")
        return [
            catalogue_route(
                "GET", ENDPOINTS, self.endpoints, "a merchant's endpoints", Answer(EndpointList, "its endpoints")
            ),
            catalogue_route(
                "POST", f"{ENDPOINT}/stop", self.stop, "stop an endpoint: its events are held", one, 200, body=Word
            ),
            catalogue_route(
                "POST",
                f"{ENDPOINT}/start",
                self.start,
                "start an endpoint: what is held becomes due",
                one,
                200,
                body=Word,
            ),
            catalogue_route(
                "POST", f"{ENDPOINT}/discard", self.discard, "give up what is held", discarded, 200, body=Word
            ),
        ]

    async def endpoints(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        merchant_id = merchant_of(snapshot, call).merchant_id
        backlogs = await self.backlogs.backlogs(merchant_id)
        found = snapshot.endpoints.get(merchant_id, ())
        return Reply({"data": [endpoint_object(e, backlogs.get(e.endpoint_id, EndpointBacklog())) for e in found]})

    async def stop(self, call: Call) -> Reply:
        endpoint, said = _endpoint(await self.snapshots.refresh_now(), call), call.body
        because = f"{said.by}: {said.note}"
        await self.store.stop_endpoint(endpoint.merchant_id, endpoint.endpoint_id, because, self.clock(), by=said.by)
        return await self._as_it_is_now(call)

    async def start(self, call: Call) -> Reply:
        endpoint, said = _endpoint(await self.snapshots.refresh_now(), call), call.body
        await self.store.start_endpoint(
            endpoint.merchant_id, endpoint.endpoint_id, by=said.by, note=said.note, now=self.clock()
        )
        return await self._as_it_is_now(call)

    async def discard(self, call: Call) -> Reply:
        endpoint, said = _endpoint(await self.snapshots.refresh_now(), call), call.body
        merchant_id, endpoint_id = endpoint.merchant_id, endpoint.endpoint_id
        reason, discarded = f"discarded by {said.by}: {said.note}", 0
        for _ in range(DISCARDS_PER_CALL):
            done = await self.backlogs.discard(merchant_id, endpoint_id, reason, DISCARDED_AT_ONCE)
            discarded += done
            if done < DISCARDED_AT_ONCE:
                break
        log.warning("held notifications discarded", endpoint=endpoint.code, discarded=discarded, by=said.by)
        left = (await self.backlogs.backlogs(merchant_id)).get(endpoint_id, EndpointBacklog()).held
        return Reply({"discarded": discarded, "held": left})

    async def _as_it_is_now(self, call: Call) -> Reply:
        endpoint = _endpoint(await self.snapshots.refresh_now(), call)
        backlogs = await self.backlogs.backlogs(endpoint.merchant_id)
        return Reply(endpoint_object(endpoint, backlogs.get(endpoint.endpoint_id, EndpointBacklog())))


def _endpoint(catalogue: Catalogue, call: Call) -> Endpoint:
    """The endpoint that the address names. Raises a 404 problem, or NotInCatalogueError."""
    for endpoint in catalogue.endpoints.get(merchant_of(catalogue, call).merchant_id, ()):
        if endpoint.code == call.path["endpoint"]:
            return endpoint
    raise NotInCatalogueError("endpoint")
