"""What becomes of recorded routes: their apps' reports, and what our clock says. One transaction for all that wait."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import ANOMALY_OF, Event
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Anomaly
from gateway.domain.ids import ObjectKind, caused_id, show_object
from gateway.domain.recorded_routes import RecordedRoute, after_report, after_time
from gateway.domain.statuses import Status
from gateway.flows.recorded_routes import ReportResult, RouteReport
from gateway.logs import get
from gateway.metrics import ANOMALIES
from gateway.objects.events import event_of
from gateway.storage.server.database import Connection, Database
from gateway.storage.writing.observations import insert_anomalies, read_known_anomalies
from gateway.storage.writing.outbox import HandOver, count_events, deliveries_of, write_events
from gateway.storage.writing.routes import change_routes, routes_by_id
from gateway.storage.writing.statement import Row, Write
from gateway.storage.writing.totals import Totals, count_changes
from gateway.storage.writing.usage import UsageChanges
from gateway.storage.writing.users import BusyUsers, lock_users

__all__ = ["ReportingStore", "UnknownRouteError"]

BY_APP, BY_CLOCK = "app", "clock"
"""Sources of anomalies."""

READ_VERIFIERS = """
SELECT c.card_id, a.account FROM cards c
JOIN agreements a ON a.merchant_id = $1 AND a.card_id = coalesce(c.same_as, c.card_id)
WHERE c.merchant_id = $1 AND c.card_id = ANY($2::uuid[])
"""
READ_NUMBER_PRINTS = """
SELECT card_id, number_print FROM cards
WHERE merchant_id = $1 AND card_id = ANY($2::uuid[]) AND number_print IS NOT NULL
"""

log = get(__name__)


class UnknownRouteError(Exception):
    """A bug: somebody reports of a route that is not in the books."""


class _Flush:
    """One flush while it is being built. Routes stand in it as they are now."""

    def __init__(self, routes: dict[UUID, RecordedRoute], known: set[tuple[UUID, str]]) -> None:
        self.routes, self.known = routes, known
        self.verified: dict[UUID, set[str]] = {}
        """By card: the accounts that have verified it, of those that are refused."""
        self.changed: set[UUID] = set()
        self.usage = UsageChanges()
        self.anomalies: list[Row] = []
        self.events: list[Event] = []

    def put(self, after: RecordedRoute) -> None:
        before = self.routes[after.route_id]
        if after != before:
            self.routes[after.route_id] = after
            self.changed.add(after.route_id)
            self.usage.count_route(before, after)


class ReportingStore:
    """Records what is said of routes; `flush` is what a Batcher calls. `timezone` is that of the business day."""

    def __init__(
        self,
        database: Database,
        catalogue: Callable[[], Catalogue],
        timezone: ZoneInfo,
        hand_over: HandOver | None,
        busy: BusyUsers,
    ) -> None:
        self._database, self._catalogue, self._timezone = database, catalogue, timezone
        self._hand_over, self._busy, self._totals = hand_over, busy, Totals(database)

    async def flush(self, reports: list[RouteReport]) -> Sequence[ReportResult | Exception]:
        """Record many of one merchant. The results stand in the order of the reports.

        Reports of users whom somebody else holds are refused as an overload, so that the others need not wait.
        """
        return await self._busy.without(reports, lambda one: (one.merchant_id, one.user_id), self._record)

    async def _record(self, reports: list[RouteReport]) -> Sequence[ReportResult | Exception]:
        merchant_id, now, catalogue = reports[0].merchant_id, max(each.at for each in reports), self._catalogue()
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, (each.user_id for each in reports), now)
            flush = await _read(connection, merchant_id, reports)
            results = [self._apply(flush, each) for each in reports]
            changed = [flush.routes[route_id] for route_id in sorted(flush.changed)]
            due = deliveries_of(flush.events, catalogue, now)
            write = Write(merchant_id)
            change_routes(write, changed)
            insert_anomalies(write, flush.anomalies)
            flush.usage.write(write)
            if flush.usage.used and (counted := catalogue.counted(merchant_id)):
                prints = await _number_prints(connection, merchant_id, changed) if counted.cards else {}
                count_changes(write, flush.usage.used, counted, self._totals.part(now), prints)
            write_events(write, flush.events, due, leased=self._hand_over is not None)
            await write.run(connection, "SELECT 1")
        if self._hand_over and due:
            self._hand_over(due)
        count_events(flush.events)
        for anomaly in flush.anomalies:
            ANOMALIES.labels(anomaly["kind"]).inc()
            shown = show_object(ObjectKind.ROUTE, anomaly["object_id"])
            log.warning("an anomaly waits for a person", kind=str(anomaly["kind"]), object_id=shown)
        return results

    def _apply(self, flush: _Flush, about: RouteReport) -> ReportResult | Exception:
        route = flush.routes.get(about.route_id)
        if route is None:
            return UnknownRouteError(show_object(ObjectKind.ROUTE, about.route_id))
        if about.report is None:
            after, found = after_time(route, about.at, self._day_ends_at(route))
            flush.put(after)
            if found is not None:
                _tell(flush, about, after, found, BY_CLOCK)
            return ReportResult(after)
        elsewhere = flush.verified.get(route.card.card_id, set()) - {route.account} if route.card else set()
        said = after_report(route, about.report, about.at, verified_elsewhere=bool(elsewhere))
        after, found = said.route, said.anomaly
        if found is not None and (after.route_id, found.kind.value) not in flush.known:
            after = replace(after, sequence=after.sequence + 1)
            _tell(flush, about, after, found, BY_APP)
        flush.put(after)
        return ReportResult(after, said.same, said.conflict)

    def _day_ends_at(self, route: RecordedRoute) -> datetime:
        return datetime.combine(route.business_day + timedelta(days=1), time(), self._timezone)


async def _read(connection: Connection, merchant_id: UUID, reports: Sequence[RouteReport]) -> _Flush:
    routes = await routes_by_id(connection, merchant_id, list({each.route_id for each in reports}))
    ended = [route.route_id for route in routes.values() if route.status is not Status.OPEN]
    more = len({each.route_id for each in reports}) < len(reports)  # one may end a route, and the next contradict it
    asked = list(routes) if more else ended
    flush = _Flush(routes, await read_known_anomalies(connection, merchant_id, asked) if asked else set())
    refused = {
        route.card.card_id
        for each in reports
        if each.report is not None and each.report.code is FailureCode.AUTHENTICATION_REJECTED
        if (route := routes.get(each.route_id)) is not None and route.card is not None
    }
    if refused:
        for card_id, account in await connection.fetch(READ_VERIFIERS, merchant_id, list(refused)):
            flush.verified.setdefault(card_id, set()).add(account)
    return flush


async def _number_prints(
    connection: Connection, merchant_id: UUID, changed: Sequence[RecordedRoute]
) -> dict[UUID, bytes]:
    ids = list({route.card.card_id for route in changed if route.card})
    return dict(await connection.fetch(READ_NUMBER_PRINTS, merchant_id, ids)) if ids else {}


def _tell(flush: _Flush, about: RouteReport, after: RecordedRoute, found: Anomaly, source: str) -> None:
    """The anomaly, and the event that tells of it: they have the same causes, so the same id."""
    flush.known.add((after.route_id, found.kind.value))
    anomaly_id = caused_id(about.report_id, after.route_id, found.kind)
    flush.anomalies.append(
        {
            "anomaly_id": anomaly_id,
            "object": ObjectKind.ROUTE,
            "object_id": after.route_id,
            "kind": found.kind,
            "detail": found.detail,
            "source": source,
            "found_at": about.at,
        }
    )
    flush.events.append(event_of(after, ANOMALY_OF[ObjectKind.ROUTE], anomaly_id, about.at, found))
