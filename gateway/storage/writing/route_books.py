"""The books of recorded routes as the flows write them: one by one, flushed by merchant."""

from collections.abc import Awaitable
from typing import TypeVar

from gateway.flows.recorded_routes import ReportResult, RouteOpening, RouteReport, RouteResult
from gateway.ports import DatabaseAwayError
from gateway.storage.server.troubles import is_away, is_busy
from gateway.storage.writing.books import AWAY_RETRY_AFTER_S, Queues
from gateway.storage.writing.reporting import ReportingStore
from gateway.storage.writing.routing import RoutingStore

__all__ = ["RouteBooks"]

R = TypeVar("R")


class RouteBooks:
    """Natural batching over both stores."""

    def __init__(self, routing: RoutingStore, reporting: ReportingStore, max_waiting: int) -> None:
        self._routes: Queues[RouteOpening, RouteResult] = Queues("record_route", routing.flush, max_waiting)
        self._reports: Queues[RouteReport, ReportResult] = Queues("report_route", reporting.flush, max_waiting)

    async def record(self, opening: RouteOpening) -> RouteResult:
        """Record an order as a route. Raises OrderConflictError, CardNotFoundError, OverloadedError, or
        DatabaseAwayError where the database is away or busy: the order can be sent again."""
        return await _recorded(self._routes.of(opening.order.merchant_id).submit(opening))

    async def report(self, report: RouteReport) -> ReportResult:
        """Record a report. Raises OverloadedError, or DatabaseAwayError as `record` does."""
        return await _recorded(self._reports.of(report.merchant_id).submit(report))

    async def drain(self) -> None:
        """Let what waits be written."""
        await self._routes.drain()
        await self._reports.drain()


async def _recorded(submitted: Awaitable[R]) -> R:
    try:
        return await submitted
    except Exception as error:
        if not (is_away(error) or is_busy(error)):
            raise
        raise DatabaseAwayError(AWAY_RETRY_AFTER_S) from error
