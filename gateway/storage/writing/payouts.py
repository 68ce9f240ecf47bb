"""Rows of payouts: one select, one reader, and how they are written."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, and_, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.domain.intents import Verb
from gateway.domain.outcomes import ReturnReason, Suspicion
from gateway.domain.payees import PayeeType
from gateway.domain.payouts import Hold, Payout, ShownPayee
from gateway.domain.statuses import Status
from gateway.storage.server.database import Connection
from gateway.storage.tables import intents, payouts
from gateway.storage.writing.failures import failure_columns, failure_of
from gateway.storage.writing.intents import INTENT_COLUMNS, intent_of
from gateway.storage.writing.payments import compiled, json_of, said
from gateway.storage.writing.statement import Row, Write

__all__ = ["change_payouts", "insert_payouts", "payout_of", "payout_select", "payouts_by_id"]

_p, _i = payouts.c, intents.c

PAYOUT_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _p.merchant_id,
    _p.payout_id,
    _p.app,
    _p.merchant_order_no,
    _p.channel,
    _p.account,
    _p.payee_type,
    _p.payee_masked,
    _p.payee_bank,
    _p.amount,
    _p.currency,
    _p.purpose,
    _p.status,
    _p.held_for,
    _p.suspicion,
    _p.expected_fee,
    _p.fee,
    _p.failure_code,
    _p.failure_blame,
    _p.failure_advice,
    _p.channel_code,
    _p.channel_message,
    _p.returned,
    _p.intent_ordinal,
    _p.parts,
    _p.settles,
    _p.metadata,
    _p.sequence,
    _p.due_at,
    _p.until_at,
    _p.created_at,
    _p.finished_at,
    _p.business_day,
    *INTENT_COLUMNS,
)


def payout_select() -> Select[Any]:
    """Payouts with their newest intent. The caller adds `WHERE payouts.merchant_id = …`, always."""
    newest = and_(
        _i.merchant_id == _p.merchant_id,
        _i.object_id == _p.payout_id,
        _i.verb == said(Verb.PAYOUT),
        _i.ordinal == _p.intent_ordinal,
    )
    return select(*PAYOUT_COLUMNS).select_from(payouts.outerjoin(intents, newest))


_BY_ID = compiled(
    payout_select().where(
        _p.merchant_id == bindparam("merchant"), _p.payout_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    )
)


async def payouts_by_id(connection: Connection, merchant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Payout]:
    """Some of a merchant's payouts, by id."""
    rows = await connection.fetch(_BY_ID, merchant_id, list(ids))
    return {row["payout_id"]: payout_of(row) for row in rows}


def payout_of(row: Mapping[str, Any]) -> Payout:
    """The payout of a row of `payout_select()`."""
    return Payout(
        merchant_id=row["merchant_id"],
        payout_id=row["payout_id"],
        app=row["app"],
        merchant_order_no=row["merchant_order_no"],
        channel=row["channel"],
        account=row["account"],
        payee=ShownPayee(PayeeType(row["payee_type"]), row["payee_masked"], row["payee_bank"]),
        amount=row["amount"],
        currency=row["currency"],
        purpose=row["purpose"],
        status=Status(row["status"]),
        held_for=Hold(row["held_for"]) if row["held_for"] is not None else None,
        suspicion=Suspicion(row["suspicion"]) if row["suspicion"] is not None else None,
        expected_fee=row["expected_fee"],
        fee=row["fee"],
        failure=failure_of(row),
        returned=ReturnReason(row["returned"]) if row["returned"] is not None else None,
        intent=intent_of(row, row["payout_id"], Verb.PAYOUT) if row["intent_ordinal"] is not None else None,
        due_at=row["due_at"],
        until_at=row["until_at"],
        parts=row["parts"],
        settles=row["settles"],
        sequence=row["sequence"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        business_day=row["business_day"],
        metadata=json_of(row["metadata"]),
    )


def insert_payouts(write: Write, opened: Sequence[tuple[Payout, Row]]) -> None:
    """Insert payouts, each with what of it is sealed: `payee`, `data_key`."""
    write.insert(payouts, [_row(payout) | sealed for payout, sealed in opened])


def change_payouts(write: Write, changed: Sequence[Payout]) -> None:
    """Write what became of payouts. Whoever moves what is due on one frees its lease."""
    frees = (
        ", lease_until = CASE WHEN t.due_at IS NOT DISTINCT FROM v.due_at"
        " AND t.until_at IS NOT DISTINCT FROM v.until_at THEN t.lease_until END"
    )
    write.update(payouts, [_changing(payout) for payout in changed], by=["payout_id"], also=frees)


def _row(payout: Payout) -> Row:
    return {
        "app": payout.app,
        "merchant_order_no": payout.merchant_order_no,
        "channel": payout.channel,
        "account": payout.account,
        "payee_type": payout.payee.type,
        "payee_masked": payout.payee.masked,
        "payee_bank": payout.payee.bank,
        "amount": payout.amount,
        "currency": payout.currency,
        "purpose": payout.purpose,
        "metadata": payout.metadata,
        "created_at": payout.created_at,
        **_changing(payout),
    }


def _changing(payout: Payout) -> Row:
    return {
        "payout_id": payout.payout_id,
        "status": payout.status,
        "held_for": payout.held_for,
        "suspicion": payout.suspicion,
        "expected_fee": payout.expected_fee,
        "fee": payout.fee,
        **failure_columns(payout.failure),
        "returned": payout.returned,
        "intent_ordinal": payout.intent.ordinal if payout.intent else None,
        "parts": payout.parts,
        "settles": payout.settles,
        "sequence": payout.sequence,
        "due_at": payout.due_at,
        "until_at": payout.until_at,
        "finished_at": payout.finished_at,
        "business_day": payout.business_day,
    }
