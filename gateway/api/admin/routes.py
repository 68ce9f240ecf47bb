"""Operators look up recorded routes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias
from uuid import UUID

from gateway.api.admin.anomalies import Flag
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import PAGE, OrderNumber, PageSize, QueryModel, UserId, id_field
from gateway.api.http.route_answers import RecordedRoutePage
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import ROUTE
from gateway.domain.recorded_routes import RecordedRoute, RouteFilter
from gateway.objects.routes import route_with_decision

__all__ = ["RecordedRoutes", "RouteSearchCalls"]


class RecordedRoutes(Protocol):
    """Where recorded routes are looked up: a `RouteSearch`."""

    async def routes(self, merchant_id: UUID, wanted: RouteFilter) -> list[RecordedRoute]:
        """The routes of a merchant that fit all that is given, newest first."""
        ...


if TYPE_CHECKING:
    RouteId: TypeAlias = UUID
else:
    RouteId = id_field(ROUTE)


class RouteLookUp(QueryModel):
    """What is known of the routes. All of it must fit. `after` is the `next` of the page before."""

    id: RouteId | None = None
    merchant_order_no: OrderNumber | None = None
    user_id: UserId | None = None
    unreported: Flag = False
    limit: PageSize = PAGE
    after: RouteId | None = None


@dataclass(frozen=True, slots=True)
class RouteSearchCalls:
    """The operators' search of recorded routes. `catalogue`: the one in force."""

    store: RecordedRoutes
    catalogue: Callable[[], Catalogue]

    def routes(self) -> list[Route]:
        """The route of the search."""
        return [
            Route(
                "GET",
                f"{MERCHANT}/routes",
                self.search,
                "find recorded routes; `unreported=true`: those whose report is overdue",
                TAGS,
                {200: Answer(RecordedRoutePage, "one page, newest first")},
                scope="admin",
                query=RouteLookUp,
                path_about=MERCHANT_ABOUT,
            )
        ]

    async def search(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        # One more than the page tells whether there is a next one.
        wanted = RouteFilter(
            asked.id, asked.merchant_order_no, asked.user_id, asked.unreported, asked.after, asked.limit + 1
        )
        found = await self.store.routes(merchant.merchant_id, wanted)
        page = [route_with_decision(route, call.language) for route in found[: asked.limit]]
        return Reply({"data": page, "next": page[-1]["id"] if len(found) > asked.limit else None})
