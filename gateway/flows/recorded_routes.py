"""Record routes for an app that executes elsewhere: decide and reserve as for a payment, and take its reports."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.cards import Card, mask_card_no
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import ObjectKind
from gateway.domain.orders import Order
from gateway.domain.recorded_routes import RecordedRoute, Report
from gateway.domain.statuses import Status, move
from gateway.flows.observations import Clock, NewId
from gateway.flows.refusal import refusal_of
from gateway.flows.route import Payer, candidates_for, request_of
from gateway.ports import UserFacts
from router.decide import decide
from router.decision import Decision
from router.record import to_record

__all__ = [
    "EXECUTED_ELSEWHERE",
    "ReportResult",
    "RouteBooks",
    "RouteFlow",
    "RouteOpening",
    "RouteReport",
    "RouteResult",
    "record_route",
]

EXECUTED_ELSEWHERE: Final = (
    "executed elsewhere: places on the channel, the account's settings here and the card's authentication do not count"
)
"""The note in the decision of every recorded route."""


@dataclass(frozen=True, slots=True)
class RouteOpening:
    """An order with the ids and the time that it will be recorded with."""

    order: Order
    route_id: UUID
    new_card_id: UUID
    report_within: timedelta
    now: datetime

    @property
    def object_id(self) -> UUID:
        """Of what is opened."""
        return self.route_id


@dataclass(frozen=True, slots=True)
class RouteResult:
    """The route that an order recorded: new, or the one that was there before (`replayed`), as it is now."""

    route: RecordedRoute
    replayed: bool


@dataclass(frozen=True, slots=True)
class RouteReport:
    """What is to be done about a route: its app's report, or (None) what our clock says.

    What it causes has ids that are made from `report_id`.
    """

    merchant_id: UUID
    user_id: str
    route_id: UUID
    report: Report | None
    report_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A route after a report. `same`: it was reported so before; `conflict`: otherwise, and that stays."""

    route: RecordedRoute
    same: bool = False
    conflict: bool = False


def record_route(
    opening: RouteOpening,
    card_id: UUID | None,
    facts: UserFacts,
    catalogue: Catalogue,
    timezone: ZoneInfo,
    carries_of: CarriesOf = carries_all,
) -> RecordedRoute:
    """Decide an order and build its route. Pure. `card_id`: the card's row, new or known. A refusal is a failure."""
    order, now = opening.order, opening.now
    decision = _decide(order, facts, catalogue, now, carries_of)
    channel = catalogue.channels[order.merchant_id, decision.chosen] if decision.chosen is not None else None
    refusal, report_before = refusal_of(decision), now + opening.report_within
    return RecordedRoute(
        merchant_id=order.merchant_id,
        route_id=opening.route_id,
        app=order.app,
        merchant_order_no=order.merchant_order_no,
        scene=order.scene,
        user_id=order.user_id,
        bank=order.bank,
        amount=order.amount,
        currency=order.currency,
        status=move(ObjectKind.ROUTE, None, Status.FAILED if refusal else Status.OPEN),
        card=Card(card_id, mask_card_no(order.card.card_no), order.bank) if order.card and card_id else None,
        channel=decision.chosen,
        account=channel.account if channel else None,
        psp_code=channel.psp_code if channel else None,
        expected_fee=decision.fee,
        fee=None,
        failure=refusal,
        late_success=False,
        report_before=report_before,
        until_at=None if refusal else report_before,
        unreported_at=None,
        sequence=0,
        created_at=now,
        finished_at=now if refusal else None,
        business_day=now.astimezone(timezone).date(),
        description=order.description,
        metadata=order.metadata,
        custody_user_no=order.custody_user_no,
        decision={**to_record(decision), "notes": [EXECUTED_ELSEWHERE, *order.all_notes]},
    )


def _decide(order: Order, facts: UserFacts, catalogue: Catalogue, now: datetime, carries_of: CarriesOf) -> Decision:
    """As for a payment, but for what only matters to one who calls the PSP: that is somebody else."""
    request = request_of(order, catalogue, facts, now)
    if facts.blocked:
        return decide(request, (), {}, catalogue.version)
    candidates = candidates_for(
        catalogue, order.merchant_id, order.scene, order.bank, Payer(present=True), now, card=order.card,
        carries_of=carries_of,
    )  # fmt: skip
    ready = [replace(candidate, signing="ready") for candidate in candidates]
    return decide(request, ready, facts.channels, catalogue.version)


class RouteBooks(Protocol):
    """Where routes are recorded, and what becomes of them. Returns after the commit."""

    async def record(self, opening: RouteOpening) -> RouteResult: ...

    async def report(self, report: RouteReport) -> ReportResult: ...


class RouteReading(Protocol):
    """Reads routes."""

    async def route(self, merchant_id: UUID, app: str, route_id: UUID) -> RecordedRoute | None: ...


@dataclass(frozen=True, slots=True)
class RouteFlow:
    """Recorded routes."""

    books: RouteBooks
    reading: RouteReading
    clock: Clock
    new_id: NewId

    async def record(self, order: Order, report_within: timedelta) -> RouteResult:
        """Decide and reserve, or find what was recorded before.

        Raises OrderConflictError, CardNotFoundError and OverloadedError, with nothing recorded.
        """
        return await self.books.record(RouteOpening(order, self.new_id(), self.new_id(), report_within, self.clock()))

    async def report(self, merchant_id: UUID, app: str, route_id: UUID, said: Report) -> ReportResult | None:
        """Take a report; None: no such route of this app. Raises OverloadedError: it can be sent again."""
        route = await self.reading.route(merchant_id, app, route_id)
        if route is None:
            return None
        report = RouteReport(merchant_id, route.user_id, route_id, said, self.new_id(), self.clock())
        return await self.books.report(report)
