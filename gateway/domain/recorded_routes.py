"""A recorded route: decided and reserved here, executed elsewhere, and ended by what its app reports. Pure.

open      + a report         → succeeded or failed
open      + its time is over → open and unreported: an anomaly; the reservation stays until the business day ends
ended     + the same report  → nothing
ended     + another report   → nothing but, where both cannot be true, an anomaly
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from gateway.domain.cards import Card
from gateway.domain.failures import Blame, Failure, FailureCode, as_told, failure
from gateway.domain.hearing import Anomaly, AnomalyKind
from gateway.domain.ids import ObjectKind
from gateway.domain.scenes import SCENES_OF, Kind, Scene
from gateway.domain.statuses import Status, move

__all__ = [
    "DEFAULT_CODE",
    "MAX_REPORT_WITHIN_S",
    "MIN_REPORT_WITHIN_S",
    "REPORT_WITHIN_S",
    "RecordedRoute",
    "Report",
    "Reported",
    "RouteFilter",
    "after_report",
    "after_time",
]

REPORT_WITHIN_S: Final = 86_400
"""How long an app has to report, where it does not say."""
MIN_REPORT_WITHIN_S: Final = 60
MAX_REPORT_WITHIN_S: Final = 7 * 86_400

DEFAULT_CODE: Final = FailureCode.CHANNEL_REFUSED
"""Of a failure that is reported without a code."""


@dataclass(frozen=True, slots=True)
class RecordedRoute:
    """What an app asked for that executes elsewhere, what was decided, and what it said of it. Amounts in fen."""

    merchant_id: UUID
    route_id: UUID
    app: str
    merchant_order_no: str
    scene: Scene
    user_id: str
    bank: str
    amount: int
    currency: str
    status: Status
    card: Card | None
    channel: str | None
    account: str | None
    psp_code: str | None
    """Custody: whom the bank is to charge through, as it was when this was recorded."""
    expected_fee: int | None
    """What the router counted with."""
    fee: int | None
    """What the PSP is owed: None until the money is reported to have moved."""
    failure: Failure | None
    late_success: bool
    """It failed, and was reported as succeeded afterwards: its amount counts as used."""
    report_before: datetime
    until_at: datetime | None
    """When its wait ends by our clock: for its report, then, unreported, for the end of its business day."""
    unreported_at: datetime | None
    """Since when a report is overdue."""
    sequence: int
    """How many events it has had."""
    created_at: datetime
    finished_at: datetime | None
    business_day: date
    description: str | None
    metadata: Mapping[str, Any]
    custody_user_no: str | None
    decision: Mapping[str, Any] = field(repr=False, compare=False)
    """The record of the decision (`router.record`)."""

    @property
    def payment_id(self) -> UUID:
        """Its id, by the name that usage counts attempts by."""
        return self.route_id

    @property
    def kind(self) -> Kind:
        """The kind of payment that it decides for."""
        return Kind.WITHHOLD if self.scene in SCENES_OF[Kind.WITHHOLD] else Kind.CHARGE

    @property
    def reserved(self) -> int:
        """What of the day's limits it holds without a result."""
        return self.amount if self.status is Status.OPEN and self.until_at is not None else 0

    @property
    def taken(self) -> int:
        """What of the day's limits it has used."""
        return self.amount if self.status is Status.SUCCEEDED or self.late_success else 0

    @property
    def is_unreported(self) -> bool:
        """Whether its report is overdue."""
        return self.status is Status.OPEN and self.unreported_at is not None


@dataclass(frozen=True, slots=True)
class Report:
    """What an app says of a route that it executed. `fee` in fen; None: what the router counted with."""

    succeeded: bool
    code: FailureCode | None = None
    fee: int | None = None
    channel_code: str | None = None
    channel_message: str | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A route after a report."""

    route: RecordedRoute
    same: bool = False
    """It was reported so before."""
    conflict: bool = False
    """It had ended otherwise before; nothing of that changed."""
    anomaly: Anomaly | None = None
    """What is known and what is said cannot both be true."""


@dataclass(frozen=True, slots=True)
class RouteFilter:
    """A search of recorded routes, newest first. `before` is the last id of the page before."""

    route_id: UUID | None = None
    merchant_order_no: str | None = None
    user_id: str | None = None
    unreported: bool = False
    """Only those whose report is overdue."""
    before: UUID | None = None
    limit: int = 50


def after_report(route: RecordedRoute, report: Report, now: datetime, *, verified_elsewhere: bool = False) -> Reported:
    """What a report does to a route. `verified_elsewhere`: another account has verified its card."""
    if route.status is not Status.OPEN:
        return _again(route, report)
    why = None if report.succeeded else _failure(route, report, verified_elsewhere=verified_elsewhere)
    ended = replace(
        route,
        status=move(ObjectKind.ROUTE, route.status, Status.FAILED if why else Status.SUCCEEDED),
        failure=why,
        fee=None if why else _fee(route, report),
        until_at=None,
        finished_at=now,
    )
    return Reported(ended)


def after_time(route: RecordedRoute, now: datetime, day_ends_at: datetime) -> tuple[RecordedRoute, Anomaly | None]:
    """The route whose wait is over by our clock; the very same where it is not. `day_ends_at`: of its business day."""
    if route.status is not Status.OPEN or route.until_at is None or route.until_at > now:
        return route, None
    until_at = day_ends_at if day_ends_at > now else None
    if route.unreported_at is not None:
        return replace(route, until_at=until_at), None
    late = Anomaly(AnomalyKind.UNREPORTED, f"not reported before {route.report_before.isoformat()}")
    return replace(route, until_at=until_at, unreported_at=now, sequence=route.sequence + 1), late


def _again(route: RecordedRoute, report: Report) -> Reported:
    """A report of what has ended: at most an anomaly, as from a PSP's late word. A late success has moved money."""
    if route.channel is None:
        if not report.succeeded:
            return Reported(route, conflict=True)
        return _contradicted(route, AnomalyKind.UNEXPECTED_SUCCESS, "reported as succeeded, and the router refused it")
    if route.status is Status.SUCCEEDED:
        if report.succeeded:
            same = report.fee in (None, route.fee)
            return Reported(route, same=same, conflict=not same)
        return _contradicted(route, AnomalyKind.LATE_FAILURE, f"reported as failed: {report.code or DEFAULT_CODE}")
    if not report.succeeded:
        same = route.failure is not None and route.failure.code is (report.code or DEFAULT_CODE)
        return Reported(route, same=same, conflict=not same)
    told = _contradicted(route, AnomalyKind.LATE_SUCCESS, "reported as succeeded after it was reported as failed")
    fee = route.fee if route.late_success else _fee(route, report)
    return replace(told, route=replace(told.route, late_success=True, fee=fee))


def _contradicted(route: RecordedRoute, kind: AnomalyKind, detail: str) -> Reported:
    return Reported(route, conflict=True, anomaly=Anomaly(kind, detail))


def _fee(route: RecordedRoute, report: Report) -> int | None:
    return route.expected_fee if report.fee is None else report.fee


def _failure(route: RecordedRoute, report: Report, *, verified_elsewhere: bool) -> Failure:
    """The blame is the code's own, but where the card was good for somebody else: then it is the channel's."""
    code = report.code or DEFAULT_CODE
    good_elsewhere = code is FailureCode.AUTHENTICATION_REJECTED and verified_elsewhere
    blame = Blame.CHANNEL if good_elsewhere else None
    why = failure(code, blame=blame, channel_code=report.channel_code, channel_message=report.channel_message)
    return as_told(why, route.kind, route.scene)
