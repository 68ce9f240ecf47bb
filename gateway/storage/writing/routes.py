"""Rows of recorded routes: one select, one reader, and how they are written and claimed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, and_, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.domain.cards import Card
from gateway.domain.recorded_routes import RecordedRoute
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import cards, decisions, routes
from gateway.storage.writing.by_clock import claim_late, claim_of, look_for
from gateway.storage.writing.failures import failure_columns, failure_of, limit_to_json, with_limit
from gateway.storage.writing.low_water import BEGINNING
from gateway.storage.writing.payments import compiled, json_of
from gateway.storage.writing.statement import Row, Write
from gateway.storage.writing.with_work import merchants_with_work

__all__ = [
    "CLAIM_ROUTES",
    "WITH_ROUTES",
    "RouteDueStore",
    "change_routes",
    "insert_routes",
    "route_of",
    "route_select",
    "routes_by_id",
]

_r, _c, _d = routes.c, cards.c, decisions.c
_SHOWN: tuple[ColumnElement[Any], ...] = (*_r, _c.masked.label("card_masked"), _d.decision)

WITH_ROUTES = (look_for("routes"),)
CLAIM_ROUTES = claim_of("routes", "route_id")


def route_select() -> Select[Any]:
    """Routes with their decision. The caller adds `WHERE routes.merchant_id = …`, always."""
    its_card = and_(_c.merchant_id == _r.merchant_id, _c.card_id == _r.card_id)
    its_decision = and_(_d.merchant_id == _r.merchant_id, _d.object_id == _r.route_id)
    return select(*_SHOWN).select_from(routes.outerjoin(cards, its_card).join(decisions, its_decision))


_BY_ID = compiled(
    route_select().where(
        _r.merchant_id == bindparam("merchant"), _r.route_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    )
)


async def routes_by_id(connection: Connection, merchant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, RecordedRoute]:
    """Some of a merchant's routes, by id."""
    rows = await connection.fetch(_BY_ID, merchant_id, list(ids))
    return {row["route_id"]: route_of(row) for row in rows}


def route_of(row: Mapping[str, Any]) -> RecordedRoute:
    """The route of a row of `route_select`."""
    limit = row["failure_limit"]
    return RecordedRoute(
        merchant_id=row["merchant_id"],
        route_id=row["route_id"],
        app=row["app"],
        merchant_order_no=row["merchant_order_no"],
        scene=Scene(row["scene"]),
        user_id=row["user_id"],
        bank=row["bank"],
        amount=row["amount"],
        currency=row["currency"],
        status=Status(row["status"]),
        card=Card(row["card_id"], row["card_masked"], row["bank"]) if row["card_id"] is not None else None,
        channel=row["channel"],
        account=row["account"],
        psp_code=row["psp_code"],
        expected_fee=row["expected_fee"],
        fee=row["fee"],
        failure=failure_of(row) if limit is None else with_limit(failure_of(row), json_of(limit)),
        late_success=row["late_success"],
        report_before=row["report_before"],
        until_at=row["until_at"],
        unreported_at=row["unreported_at"],
        sequence=row["sequence"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        business_day=row["business_day"],
        description=row["description"],
        metadata=json_of(row["metadata"]),
        custody_user_no=row["custody_user_no"],
        decision=json_of(row["decision"]),
    )


def insert_routes(write: Write, recorded: Sequence[RecordedRoute], *, only: str) -> None:
    """Insert routes whose order the part `only` returned."""
    rows = [
        {
            "object_id": route.route_id,
            "route_id": route.route_id,
            "app": route.app,
            "merchant_order_no": route.merchant_order_no,
            "scene": route.scene,
            "user_id": route.user_id,
            "card_id": route.card.card_id if route.card else None,
            "bank": route.bank,
            "custody_user_no": route.custody_user_no,
            "amount": route.amount,
            "currency": route.currency,
            "channel": route.channel,
            "account": route.account,
            "psp_code": route.psp_code,
            "expected_fee": route.expected_fee,
            "failure_limit": limit_to_json(route.failure),
            "description": route.description,
            "metadata": route.metadata,
            "report_before": route.report_before,
            "created_at": route.created_at,
            "business_day": route.business_day,
            **_changing(route),
        }
        for route in recorded
    ]
    write.insert(routes, rows, only=(only, "object_id"))


def change_routes(write: Write, changed: Sequence[RecordedRoute]) -> None:
    """Write what became of routes. Whoever moves one frees its lease."""
    rows = [{"route_id": route.route_id, **_changing(route)} for route in changed]
    write.update(routes, rows, by=["route_id"], also=", lease_until = NULL")


def _changing(route: RecordedRoute) -> Row:
    return {
        "status": route.status,
        "fee": route.fee,
        **failure_columns(route.failure),
        "late_success": route.late_success,
        "sequence": route.sequence,
        "until_at": route.until_at,
        "unreported_at": route.unreported_at,
        "finished_at": route.finished_at,
    }


@dataclass(frozen=True, slots=True)
class RouteDueStore:
    """Claims routes whose wait is over by our clock. A claim is a lease; what comes of it is looked at under the
    user's lock."""

    database: Database

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have a route that nobody has in hand."""
        async with self.database.connection() as connection:
            return await merchants_with_work(connection, WITH_ROUTES, merchants, now, BEGINNING)

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[tuple[UUID, str]]:
        """Take some until `lease_until`, the oldest first: their ids and users."""
        return await claim_late(self.database, CLAIM_ROUTES, merchant_id, now, lease_until, limit)
