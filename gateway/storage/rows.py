"""A payment as the database holds it, and as the domain knows it: one select, one reader. And a delivery."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, Select, Uuid, and_, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY, asyncpg

from gateway.domain.cards import Card
from gateway.domain.events import DeliveryStatus, RecordedDelivery
from gateway.domain.failures import Blame, Failure, FailureCode
from gateway.domain.payments import Attempt, Due, DueKind, Payment, Stage, Status
from gateway.domain.scenes import Kind, Scene
from gateway.storage.server.database import Connection
from gateway.storage.tables import attempts, cards, payments

__all__ = ["PAYMENT_COLUMNS", "payment_of", "payment_select", "payments_by_id", "recorded_delivery"]

_p, _a, _c = payments.c, attempts.c, cards.c

PAYMENT_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _p.merchant_id,
    _p.payment_id,
    _p.app,
    _p.merchant_order_no,
    _p.kind,
    _p.scene,
    _p.user_id,
    _p.card_id,
    _p.bank,
    _p.amount,
    _p.currency,
    _p.status,
    _p.channel,
    _p.fee,
    _p.failure_code,
    _p.failure_blame,
    _p.channel_code,
    _p.channel_message,
    _p.description,
    _p.metadata,
    _p.sequence,
    _p.due_kind,
    _p.due_at,
    _p.created_at,
    _p.finished_at,
    _p.business_day,
    _a.attempt_id,
    _a.channel.label("attempt_channel"),
    _a.account,
    _a.stage,
    _a.authentication_id,
    _a.submitted_at,
    _a.polls,
    _a.acknowledged,
    _a.not_found,
    _a.not_found_since,
    _a.channel_transaction_no,
    _a.channel_finished_at,
    _a.late_success,
    _c.masked.label("card_masked"),
)
"""What `payment_of` reads: of `payments`, of its attempt (or nulls), of its card (or nulls)."""


def payment_select() -> Select[Any]:
    """Payments with their attempt and card. The caller adds `WHERE payments.merchant_id = …`, always."""
    # Joined by merchant too: that is what keeps the statement on one node of a cluster.
    of_payment = and_(_a.merchant_id == _p.merchant_id, _a.payment_id == _p.payment_id)
    of_card = and_(_c.merchant_id == _p.merchant_id, _c.card_id == _p.card_id)
    return select(*PAYMENT_COLUMNS).select_from(payments.outerjoin(attempts, of_payment).outerjoin(cards, of_card))


_BY_ID = str(
    payment_select()
    .where(_p.merchant_id == bindparam("merchant"), _p.payment_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .compile(dialect=asyncpg.dialect())  # type: ignore[no-untyped-call]
)


async def payments_by_id(connection: Connection, merchant_id: UUID, ids: Iterable[UUID]) -> list[Payment]:
    """Some of a merchant's payments, in no order. One statement text, however many they are."""
    return [payment_of(row) for row in await connection.fetch(_BY_ID, merchant_id, list(ids))]


def payment_of(row: Mapping[str, Any]) -> Payment:
    """The payment of a row of `payment_select()`."""
    return Payment(
        merchant_id=row["merchant_id"],
        payment_id=row["payment_id"],
        app=row["app"],
        merchant_order_no=row["merchant_order_no"],
        kind=Kind(row["kind"]),
        scene=Scene(row["scene"]),
        user_id=row["user_id"],
        bank=row["bank"],
        amount=row["amount"],
        currency=row["currency"],
        status=Status(row["status"]),
        card=Card(row["card_id"], row["card_masked"], row["bank"]) if row["card_id"] is not None else None,
        channel=row["channel"],
        fee=row["fee"],
        failure=_failure_of(row),
        attempt=_attempt_of(row),
        due=Due(DueKind(row["due_kind"]), row["due_at"]) if row["due_at"] is not None else None,
        sequence=row["sequence"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        business_day=row["business_day"],
        description=row["description"],
        metadata=_json(row["metadata"]),
    )


def _failure_of(row: Mapping[str, Any]) -> Failure | None:
    if row["failure_code"] is None:
        return None
    code, blame = FailureCode(row["failure_code"]), Blame(row["failure_blame"])
    return Failure(code, blame, row["channel_code"], row["channel_message"])


def _attempt_of(row: Mapping[str, Any]) -> Attempt | None:
    if row["attempt_id"] is None:
        return None
    return Attempt(
        attempt_id=row["attempt_id"],
        channel=row["attempt_channel"],
        account=row["account"],
        stage=Stage(row["stage"]),
        authentication_id=row["authentication_id"],
        submitted_at=row["submitted_at"],
        polls=row["polls"],
        acknowledged=row["acknowledged"],
        not_found=row["not_found"],
        not_found_since=row["not_found_since"],
        channel_transaction_no=row["channel_transaction_no"],
        channel_finished_at=row["channel_finished_at"],
        late_success=row["late_success"],
    )


def recorded_delivery(row: Row[Any]) -> RecordedDelivery:
    """The delivery of a row of `deliveries`."""
    return RecordedDelivery(
        endpoint_id=row.endpoint_id,
        status=DeliveryStatus(row.status),
        tries=row.tries,
        due_at=row.due_at,
        last_status=row.last_status,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
    )


def _json(value: Any) -> Any:
    """A JSON column: asyncpg gives its text, SQLAlchemy what it means."""
    return orjson.loads(value) if isinstance(value, str) else value
