"""Operators find recorded routes: by id, by order number, of a user, or those without a report; each by an index."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ids import ObjectKind
from gateway.domain.recorded_routes import RecordedRoute, RouteFilter
from gateway.domain.statuses import Status
from gateway.storage.reading.search import searching
from gateway.storage.tables import apps, orders, routes
from gateway.storage.writing.routes import route_of, route_select

__all__ = ["RouteSearch"]

_r, _o, _a = routes.c, orders.c, apps.c


@dataclass(frozen=True, slots=True)
class RouteSearch:
    """Finds recorded routes of every app of a merchant."""

    engine: AsyncEngine

    async def routes(self, merchant_id: UUID, wanted: RouteFilter) -> list[RecordedRoute]:
        """The routes that fit all that is given, newest first. Raises SearchCutError."""
        found = route_select().where(_r.merchant_id == merchant_id)
        if wanted.route_id is not None:
            found = found.where(_r.route_id == wanted.route_id)
        if wanted.merchant_order_no is not None:
            # Apps are never deleted, so a number is found by a few reads of its key.
            its_order = and_(
                _o.merchant_id == merchant_id, _o.app == _a.code, _o.merchant_order_no == wanted.merchant_order_no
            )
            named = select(_o.object_id).select_from(apps.join(orders, its_order))
            of_route = and_(_a.merchant_id == merchant_id, _o.object == ObjectKind.ROUTE)
            found = found.where(_r.route_id.in_(named.where(of_route)))
        if wanted.user_id is not None:
            found = found.where(_r.user_id == wanted.user_id)
        if wanted.unreported:
            found = found.where(_r.status == Status.OPEN, _r.unreported_at.is_not(None))
        if wanted.before is not None:
            found = found.where(_r.route_id < wanted.before)
        async with searching(self.engine) as connection:
            rows = (await connection.execute(found.order_by(_r.route_id.desc()).limit(wanted.limit))).mappings()
            return [route_of(row) for row in rows]
