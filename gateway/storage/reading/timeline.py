"""Everything that happened to a payment, put together from what was recorded: `{at, what, ...}`, oldest first."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.ids import ENDPOINT, EVENT, PAYMENT, channel_order_no, show
from gateway.domain.payments import Payment, Stage, timestamp
from gateway.storage.tables import anomalies, authentications, deliveries, events, observations, payments

__all__ = ["timeline_of"]

_Entry = tuple[datetime, dict[str, Any]]


async def timeline_of(connection: AsyncConnection, payment: Payment) -> list[dict[str, Any]]:
    """The timeline of a payment."""
    entries = list(_opening(payment, await _decision(connection, payment)))
    entries += await _authentication(connection, payment)
    entries += _submission(payment)
    entries += await _observations(connection, payment)
    entries += _end(payment)
    entries += await _anomalies(connection, payment)
    entries += await _events(connection, payment)
    # The sort is stable: what has the same time stays in the order above, which is that of cause and effect.
    entries.sort(key=lambda entry: entry[0])
    return [{"at": timestamp(at)} | told for at, told in entries]


async def _decision(connection: AsyncConnection, payment: Payment) -> dict[str, Any]:
    p = payments.c
    its_decision = select(p.decision).where(p.merchant_id == payment.merchant_id, p.payment_id == payment.payment_id)
    record: dict[str, Any] = (await connection.execute(its_decision)).scalar_one()
    return record


def _opening(payment: Payment, decision: dict[str, Any]) -> Iterator[_Entry]:
    taken = {"what": "payment_taken", "kind": payment.kind, "scene": payment.scene, "amount": payment.amount}
    yield payment.created_at, taken
    routed = {name: decision.get(name) for name in ("chosen", "chosen_by_step", "refusal", "refused_by_step")}
    yield payment.created_at, {"what": "routed", **routed, "config_version": decision.get("config_version")}


async def _authentication(connection: AsyncConnection, payment: Payment) -> list[_Entry]:
    attempt = payment.attempt
    if attempt is None or attempt.authentication_id is None:
        return []
    a = authentications.c
    its_own = and_(a.merchant_id == payment.merchant_id, a.authentication_id == attempt.authentication_id)
    row = (await connection.execute(select(authentications).where(its_own))).first()
    if row is None:
        return []
    entries: list[_Entry] = [
        (row.created_at, {"what": "authentication_started", "channel": row.channel, "fee": row.fee})
    ]
    if row.finished_at is not None:
        ended = {"what": "authentication_finished", "channel": row.channel, "status": row.status}
        entries.append((row.finished_at, ended | _words(row)))
    return entries


def _submission(payment: Payment) -> Iterator[_Entry]:
    attempt = payment.attempt
    if attempt is not None and attempt.stage is Stage.PAYING:
        number = channel_order_no(attempt.attempt_id)
        yield attempt.submitted_at, {"what": "submitted", "channel": attempt.channel, "channel_order_no": number}


async def _observations(connection: AsyncConnection, payment: Payment) -> list[_Entry]:
    o = observations.c
    of_payment = and_(o.merchant_id == payment.merchant_id, o.payment_id == payment.payment_id)
    rows = await connection.execute(select(observations).where(of_payment).order_by(o.observed_at, o.observation_id))
    return [
        (row.observed_at, {"what": "channel_said", "source": row.source, "says": row.says} | _words(row))
        for row in rows
    ]


def _end(payment: Payment) -> Iterator[_Entry]:
    if payment.finished_at is not None:
        failure = payment.failure
        why = {"failure": failure.code, "blame": failure.blame} if failure else {}
        yield payment.finished_at, {"what": "payment_finished", "status": payment.status} | why


async def _anomalies(connection: AsyncConnection, payment: Payment) -> list[_Entry]:
    a = anomalies.c
    of_payment = and_(a.merchant_id == payment.merchant_id, a.payment_id == payment.payment_id)
    entries: list[_Entry] = []
    for row in await connection.execute(select(anomalies).where(of_payment)):
        found = {"what": "anomaly_found", "kind": row.kind, "detail": row.detail, "source": row.source}
        entries.append((row.found_at, found))
        if row.resolved_at is not None:
            resolved = {"what": "anomaly_resolved", "kind": row.kind, "by": row.resolved_by, "note": row.note}
            entries.append((row.resolved_at, resolved))
    return entries


async def _events(connection: AsyncConnection, payment: Payment) -> list[_Entry]:
    e, d = events.c, deliveries.c
    object_id = show(PAYMENT, payment.payment_id)
    of_payment = and_(e.merchant_id == payment.merchant_id, e.object_id == object_id)
    its_events = select(e.event_id, e.type, e.sequence, e.created_at).where(of_payment).order_by(e.sequence)
    rows = (await connection.execute(its_events)).all()
    entries: list[_Entry] = [
        (row.created_at, {"what": "event_written", "event": show(EVENT, row.event_id), "type": row.type})
        for row in rows
    ]
    if not rows:
        return entries
    written_at = {row.event_id: row.created_at for row in rows}
    of_events = and_(d.merchant_id == payment.merchant_id, d.event_id.in_(list(written_at)))
    for row in await connection.execute(select(deliveries).where(of_events).order_by(d.event_id, d.endpoint_id)):
        # When a try failed is not kept, only how: what is not delivered stands at its event.
        at = row.delivered_at or written_at[row.event_id]
        entries.append((at, {"what": f"delivery_{row.status}"} | _delivery(row)))
    return entries


def _delivery(row: Row[Any]) -> dict[str, Any]:
    return {
        "event": show(EVENT, row.event_id),
        "endpoint": show(ENDPOINT, row.endpoint_id),
        "tries": row.tries,
        "due_at": timestamp(row.due_at),
        "last_status": row.last_status,
        "last_error": row.last_error,
    }


def _words(row: Row[Any]) -> dict[str, Any]:
    return {"channel_code": row.channel_code, "channel_message": row.channel_message}
