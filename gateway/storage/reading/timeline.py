"""Everything that happened to a payment, put together from what was recorded, oldest first."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.ids import ObjectKind
from gateway.domain.payments import Payment, Stage
from gateway.domain.timeline import (
    AnomalyFound,
    AnomalyResolved,
    AuthenticationFinished,
    AuthenticationStarted,
    ChannelSaid,
    Delivery,
    EventWritten,
    Happening,
    PaymentFinished,
    PaymentOpened,
    Routed,
    Submitted,
)
from gateway.storage.rows import recorded_delivery
from gateway.storage.tables import anomalies, authentications, deliveries, events, observations, payments

__all__ = ["timeline_of"]


async def timeline_of(connection: AsyncConnection, payment: Payment) -> list[Happening]:
    """The timeline of a payment."""
    happened = list(_opening(payment, await _decision(connection, payment)))
    happened += await _authentication(connection, payment)
    happened += _submission(payment)
    happened += await _observations(connection, payment)
    happened += _end(payment)
    happened += await _anomalies(connection, payment)
    happened += await _events(connection, payment)
    # The sort is stable: what has the same time stays in the order above, which is that of cause and effect.
    return sorted(happened, key=lambda one: one.at)


async def _decision(connection: AsyncConnection, payment: Payment) -> dict[str, Any]:
    p = payments.c
    its_decision = select(p.decision).where(p.merchant_id == payment.merchant_id, p.payment_id == payment.payment_id)
    record: dict[str, Any] = (await connection.execute(its_decision)).scalar_one()
    return record


def _opening(payment: Payment, decision: dict[str, Any]) -> Iterator[Happening]:
    yield PaymentOpened(payment.created_at, payment.kind, payment.scene, payment.amount)
    yield Routed(
        at=payment.created_at,
        chosen=decision.get("chosen"),
        chosen_by_step=decision.get("chosen_by_step"),
        refusal=decision.get("refusal"),
        refused_by_step=decision.get("refused_by_step"),
        config_version=decision.get("config_version"),
    )


async def _authentication(connection: AsyncConnection, payment: Payment) -> list[Happening]:
    attempt = payment.attempt
    if attempt is None or attempt.authentication_id is None:
        return []
    a = authentications.c
    its_own = and_(a.merchant_id == payment.merchant_id, a.authentication_id == attempt.authentication_id)
    row = (await connection.execute(select(authentications).where(its_own))).first()
    if row is None:
        return []
    happened: list[Happening] = [AuthenticationStarted(row.created_at, row.channel, row.fee)]
    if row.finished_at is not None:
        happened.append(
            AuthenticationFinished(row.finished_at, row.channel, row.status, row.channel_code, row.channel_message)
        )
    return happened


def _submission(payment: Payment) -> Iterator[Happening]:
    attempt = payment.attempt
    if attempt is not None and attempt.stage is Stage.PAYING:
        yield Submitted(attempt.submitted_at, attempt.channel, attempt.attempt_id)


async def _observations(connection: AsyncConnection, payment: Payment) -> list[Happening]:
    o = observations.c
    of_payment = and_(o.merchant_id == payment.merchant_id, o.payment_id == payment.payment_id)
    rows = await connection.execute(select(observations).where(of_payment).order_by(o.observed_at, o.observation_id))
    return [ChannelSaid(row.observed_at, row.source, row.says, row.channel_code, row.channel_message) for row in rows]


def _end(payment: Payment) -> Iterator[Happening]:
    if payment.finished_at is not None:
        yield PaymentFinished(payment.finished_at, payment.status, payment.failure)


async def _anomalies(connection: AsyncConnection, payment: Payment) -> list[Happening]:
    a = anomalies.c
    of_payment = and_(a.merchant_id == payment.merchant_id, a.payment_id == payment.payment_id)
    happened: list[Happening] = []
    for row in await connection.execute(select(anomalies).where(of_payment)):
        happened.append(AnomalyFound(row.found_at, row.kind, row.detail, row.source))
        if row.resolved_at is not None:
            happened.append(AnomalyResolved(row.resolved_at, row.kind, row.resolved_by, row.note))
    return happened


async def _events(connection: AsyncConnection, payment: Payment) -> list[Happening]:
    e, d = events.c, deliveries.c
    of_payment = and_(
        e.merchant_id == payment.merchant_id, e.object_id == payment.payment_id, e.object == ObjectKind.PAYMENT
    )
    its_events = select(e.event_id, e.type, e.sequence, e.created_at).where(of_payment).order_by(e.sequence)
    rows = (await connection.execute(its_events)).all()
    happened: list[Happening] = [EventWritten(row.created_at, row.event_id, row.type) for row in rows]
    if not rows:
        return happened
    written_at = {row.event_id: row.created_at for row in rows}
    of_events = and_(d.merchant_id == payment.merchant_id, d.event_id.in_(list(written_at)))
    for row in await connection.execute(select(deliveries).where(of_events).order_by(d.event_id, d.endpoint_id)):
        at = row.delivered_at or written_at[row.event_id]
        happened.append(Delivery(at, row.event_id, recorded_delivery(row)))
    return happened
