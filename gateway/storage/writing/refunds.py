"""Rows of refunds, and of what has left a payment: one select, one reader, and how they are written."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, and_, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.domain.intents import Verb
from gateway.domain.outcomes import ReturnReason
from gateway.domain.refunds import Refund
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status
from gateway.storage.server.database import Connection
from gateway.storage.tables import intents, outflows, payments, refunds, second_outflows
from gateway.storage.writing.failures import failure_columns, failure_of
from gateway.storage.writing.intents import INTENT_COLUMNS, intent_of
from gateway.storage.writing.payments import FREES_ITS_LEASE, compiled, json_of, said
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "change_refunds",
    "free_outflows",
    "free_second_outflows",
    "insert_refunds",
    "refund_of",
    "refund_select",
    "refunds_by_id",
    "take_outflows",
    "take_second_outflows",
]

_r, _i, _p = refunds.c, intents.c, payments.c
_paid = intents.alias("paid")
"""The payment's intent."""

REFUND_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _r.merchant_id,
    _r.refund_id,
    _r.app,
    _r.merchant_order_no,
    _r.payment_id,
    _r.user_id,
    _p.scene,
    _r.amount,
    _r.currency,
    _r.status,
    _r.reason,
    _r.failure_code,
    _r.failure_blame,
    _r.failure_advice,
    _r.channel_code,
    _r.channel_message,
    _r.returned,
    _r.due_at,
    _r.sequence,
    _r.created_at,
    _r.finished_at,
    _r.business_day,
    _r.metadata,
    _r.anomaly_id,
    _r.second_no,
    _r.fee_returned,
    func.coalesce(_r.second_no, _p.corrects_no, _paid.c.channel_transaction_no).label("original_transaction_no"),
    *INTENT_COLUMNS,
)


def refund_select() -> Select[Any]:
    """Refunds with their intent. The caller adds `WHERE refunds.merchant_id = …`, always."""
    its_intent = and_(_i.merchant_id == _r.merchant_id, _i.object_id == _r.refund_id, _i.verb == said(Verb.REFUND))
    its_payment = and_(_p.merchant_id == _r.merchant_id, _p.payment_id == _r.payment_id)
    paid_by = and_(
        _paid.c.merchant_id == _r.merchant_id,
        _paid.c.object_id == func.coalesce(_p.corrects, _r.payment_id),
        _paid.c.verb == said(Verb.PAY),
        _paid.c.ordinal == func.coalesce(_p.attempt_ordinal, literal_column("1")),
    )
    joined = refunds.join(intents, its_intent).join(payments, its_payment).outerjoin(_paid, paid_by)
    return select(*REFUND_COLUMNS).select_from(joined)


_BY_ID = compiled(
    refund_select().where(
        _r.merchant_id == bindparam("merchant"), _r.refund_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    )
)


async def refunds_by_id(connection: Connection, merchant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Refund]:
    """Some of a merchant's refunds, by id."""
    rows = await connection.fetch(_BY_ID, merchant_id, list(ids))
    return {row["refund_id"]: refund_of(row) for row in rows}


def refund_of(row: Mapping[str, Any]) -> Refund:
    """The refund of a row of `refund_select()`."""
    return Refund(
        merchant_id=row["merchant_id"],
        refund_id=row["refund_id"],
        app=row["app"],
        merchant_order_no=row["merchant_order_no"],
        payment_id=row["payment_id"],
        user_id=row["user_id"],
        scene=Scene(row["scene"]),
        amount=row["amount"],
        currency=row["currency"],
        status=Status(row["status"]),
        reason=row["reason"],
        failure=failure_of(row),
        returned=ReturnReason(row["returned"]) if row["returned"] is not None else None,
        intent=intent_of(row, row["refund_id"], Verb.REFUND),
        due_at=row["due_at"],
        sequence=row["sequence"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        business_day=row["business_day"],
        metadata=json_of(row["metadata"]),
        anomaly_id=row["anomaly_id"],
        second=row["second_no"],
        fee_returned=row["fee_returned"],
        original_transaction_no=row["original_transaction_no"],
    )


def insert_refunds(write: Write, opened: Sequence[Refund], *, only: str) -> None:
    """Insert refunds whose order the part `only` returned."""
    write.insert(refunds, [_row(refund) for refund in opened], only=(only, "refund_id"))


def take_outflows(write: Write, opened: Sequence[tuple[Refund, int]], *, only: str) -> None:
    """Count refunds whose order the part `only` returned as money that leaves: each with its payment's amount.

    More than came in is refused by `outflows_rest_check`.
    """
    rows = [
        {
            "refund_id": refund.refund_id,
            "payment_id": refund.payment_id,
            "amount": amount,
            "refunded": refund.amount,
            "settled": 0,
            "excess": 0,
        }
        for refund, amount in sorted(opened, key=lambda each: each[0].payment_id)
    ]
    write.insert(
        outflows,
        rows,
        only=(only, "refund_id"),
        summed=("refunded", "settled", "excess"),
        conflict="ON CONFLICT (merchant_id, payment_id) DO UPDATE SET refunded = outflows.refunded + excluded.refunded",
    )


def take_second_outflows(write: Write, opened: Sequence[tuple[Refund, int]], *, only: str) -> None:
    """The same of refunds of second transactions. `second_outflows_rest_check` holds them."""
    rows = [
        {
            "refund_id": refund.refund_id,
            "anomaly_id": refund.anomaly_id,
            "payment_id": refund.payment_id,
            "amount": amount,
            "refunded": refund.amount,
            "excess": 0,
        }
        for refund, amount in sorted(opened, key=lambda each: str(each[0].anomaly_id))
    ]
    write.insert(
        second_outflows,
        rows,
        only=(only, "refund_id"),
        summed=("refunded", "excess"),
        conflict="ON CONFLICT (merchant_id, anomaly_id) DO UPDATE SET"
        " refunded = second_outflows.refunded + excluded.refunded",
    )


def free_second_outflows(write: Write, freed: Mapping[UUID, int]) -> None:
    """The same of second transactions, by their anomaly."""
    rows = [{"anomaly_id": anomaly_id, "refunded": freed[anomaly_id]} for anomaly_id in sorted(freed)]
    gone = "t.refunded + t.excess - v.refunded"
    changes = f"refunded = least({gone}, t.amount), excess = greatest({gone} - t.amount, 0)"
    write.update(second_outflows, rows, by=["anomaly_id"], changes=changes)


def free_outflows(write: Write, freed: Mapping[UUID, int]) -> None:
    """By payment: what did not leave after all, or came back; below zero, what left after all.

    That may be more than is left, if another refund took its place: what is beyond stands in `excess`.
    """
    rows = [{"payment_id": payment_id, "refunded": freed[payment_id]} for payment_id in sorted(freed)]
    gone = "t.refunded + t.excess - v.refunded"
    least, beyond = f"least({gone}, t.amount - t.settled)", f"greatest({gone} - t.amount + t.settled, 0)"
    write.update(outflows, rows, by=["payment_id"], changes=f"refunded = {least}, excess = {beyond}")


def change_refunds(write: Write, changed: Sequence[Refund]) -> None:
    """Write what became of refunds."""
    write.update(refunds, [_changing(refund) for refund in changed], by=["refund_id"], also=FREES_ITS_LEASE)


def _row(refund: Refund) -> Row:
    return {
        "refund_id": refund.refund_id,
        "app": refund.app,
        "merchant_order_no": refund.merchant_order_no,
        "payment_id": refund.payment_id,
        "user_id": refund.user_id,
        "amount": refund.amount,
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason,
        "metadata": refund.metadata,
        "sequence": refund.sequence,
        "due_at": refund.due_at,
        "created_at": refund.created_at,
        "business_day": refund.business_day,
        "channel": refund.intent.channel,
        "anomaly_id": refund.anomaly_id,
        "second_no": refund.second,
    }


def _changing(refund: Refund) -> Row:
    return {
        "refund_id": refund.refund_id,
        "status": refund.status,
        **failure_columns(refund.failure),
        "returned": refund.returned,
        "fee_returned": refund.fee_returned,
        "sequence": refund.sequence,
        "due_at": refund.due_at,
        "finished_at": refund.finished_at,
    }
