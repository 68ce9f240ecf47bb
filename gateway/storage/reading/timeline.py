"""Everything that happened to a payment, put together from what was recorded, oldest first, by pages.

What a payment has few of is read whole for each page. What its PSPs said may be long: of that only the page is read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.codes import Purpose
from gateway.domain.intents import Verb
from gateway.domain.payments import Payment
from gateway.domain.timeline import (
    AnomalyFound,
    AnomalyResolved,
    AuthenticationFinished,
    AuthenticationStarted,
    ChannelSaid,
    CodeSubmitted,
    Delivery,
    EventWritten,
    Happening,
    PaymentFinished,
    PaymentOpened,
    RefundAsked,
    Routed,
    SmsAsked,
    Submitted,
    TimelinePage,
    TimelinePosition,
    WaitedForAuthentication,
)
from gateway.storage.tables import (
    anomalies,
    authentications,
    decisions,
    deliveries,
    events,
    intents,
    observations,
    refunds,
)
from gateway.storage.writing.deliveries import recorded_delivery

__all__ = ["timeline_of"]

REFUNDS_MAX = 100
"""Refunds of one payment that are told."""


# Of one moment the cause stands before the effect.
_OPENED, _AUTHENTICATED, _SUBMITTED, _ASKED, _HEARD, _ENDED, _CONTRADICTED, _TOLD, _DELIVERED = range(9)


@dataclass(slots=True)
class _Entries:
    """What happened, each with its place; only what comes after `after`."""

    after: TimelinePosition | None
    found: list[tuple[TimelinePosition, Happening]] = field(default_factory=list)

    def add(self, rank: int, happened: Iterable[tuple[int, Happening]]) -> None:
        """Entries of one rank, each with what tells it from others of its moment."""
        for tie, one in happened:
            place = TimelinePosition(one.at, rank, tie)
            if self.after is None or place > self.after:
                self.found.append((place, one))

    def page(self, limit: int) -> TimelinePage:
        """The first of them."""
        first = nsmallest(limit + 1, self.found, key=lambda entry: entry[0])
        last = first[limit - 1][0] if len(first) > limit else None
        return TimelinePage([one for _, one in first[:limit]], last)


async def timeline_of(
    connection: AsyncConnection, payment: Payment, after: TimelinePosition | None, limit: int
) -> TimelinePage:
    """A page of the timeline of a payment, with the authentication that it needed and its refunds."""
    refund_ids, asked = await _refunds(connection, payment)
    entries = _Entries(after)
    entries.add(_OPENED, enumerate(_opening(payment, await _decision(connection, payment))))
    entries.add(_AUTHENTICATED, enumerate(await _authentication(connection, payment)))
    entries.add(_SUBMITTED, enumerate(await _submissions(connection, payment)))
    entries.add(_ASKED, enumerate(asked))
    entries.add(_HEARD, await _observations(connection, payment, refund_ids, after, limit + 1))
    entries.add(_ENDED, enumerate(_end(payment)))
    entries.add(_CONTRADICTED, enumerate(await _anomalies(connection, payment, refund_ids)))
    told, delivered = await _events(connection, payment, refund_ids)
    entries.add(_TOLD, enumerate(told))
    entries.add(_DELIVERED, enumerate(delivered))
    return entries.page(limit)


async def _decision(connection: AsyncConnection, payment: Payment) -> dict[str, Any]:
    d = decisions.c
    its_decision = select(d.decision).where(d.merchant_id == payment.merchant_id, d.object_id == payment.payment_id)
    record: dict[str, Any] = (await connection.execute(its_decision)).scalar_one()
    return record


async def _refunds(connection: AsyncConnection, payment: Payment) -> tuple[list[UUID], list[Happening]]:
    r = refunds.c
    of_payment = and_(r.merchant_id == payment.merchant_id, r.payment_id == payment.payment_id)
    statement = select(r.refund_id, r.amount, r.created_at).where(of_payment).order_by(r.refund_id).limit(REFUNDS_MAX)
    rows = (await connection.execute(statement)).all()
    return [row.refund_id for row in rows], [RefundAsked(row.created_at, row.refund_id, row.amount) for row in rows]


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
    if payment.authentication_id is None:
        return []
    a = authentications.c
    it = and_(a.merchant_id == payment.merchant_id, a.authentication_id == payment.authentication_id)
    row = (await connection.execute(select(authentications).where(it))).first()
    if row is None:
        return []
    if row.payment_id == payment.payment_id:
        happened: list[Happening] = [AuthenticationStarted(row.created_at, row.channel, row.fee)]
    else:
        happened = [WaitedForAuthentication(payment.created_at, row.channel, row.payment_id)]
    if row.finished_at is not None:
        happened.append(
            AuthenticationFinished(row.finished_at, row.channel, row.status, row.channel_code, row.channel_message)
        )
    return happened


async def _submissions(connection: AsyncConnection, payment: Payment) -> list[Happening]:
    """Its intent to pay; where its payer was asked for codes, each SMS and each code, too."""
    attempt = payment.attempt
    if payment.asked is None:
        return [Submitted(attempt.recorded_at, attempt.channel, attempt.number)] if attempt else []
    i = intents.c
    of_payment = i.object_id.in_([payment.payment_id, payment.authentication_id])
    its_intents = select(i.verb, i.recorded_at, i.channel, i.number).where(
        i.merchant_id == payment.merchant_id, of_payment
    )
    happened: list[Happening] = []
    signs = False
    for row in await connection.execute(its_intents.order_by(i.recorded_at, i.verb.desc(), i.ordinal)):
        match Verb(row.verb):
            case Verb.SEND_SIGNING_CODE:
                signs = True
                happened.append(SmsAsked(row.recorded_at, row.channel, Purpose.SIGN))
            case Verb.SEND_PAYMENT_CODE:
                happened.append(SmsAsked(row.recorded_at, row.channel, Purpose.PAY))
            case Verb.AUTHENTICATE if signs:  # before the first SMS it was tried silently
                happened.append(CodeSubmitted(row.recorded_at, row.channel))
            case Verb.PAY:
                happened.append(Submitted(row.recorded_at, row.channel, row.number))
    return happened


async def _observations(
    connection: AsyncConnection,
    payment: Payment,
    refund_ids: Sequence[UUID],
    after: TimelinePosition | None,
    limit: int,
) -> list[tuple[int, Happening]]:
    o = observations.c
    about = [payment.payment_id, *refund_ids]
    if payment.authentication_id is not None:
        about.append(payment.authentication_id)
    heard = and_(o.merchant_id == payment.merchant_id, o.object_id.in_(about))
    if after is not None:
        heard = and_(heard, _heard_after(after))
    page = select(observations).where(heard).order_by(o.observed_at, o.observation_id).limit(limit)
    ends = await _ends(connection, payment.merchant_id, about)
    return [
        (
            row.observation_id.int,
            ChannelSaid(
                at=row.observed_at,
                source=row.source,
                verb=Verb(row.verb),
                object_id=row.object_id,
                says=row.says,
                channel_code=row.channel_code,
                channel_message=row.channel_message,
                note=row.note,
                times=row.times or 1,
                last_at=row.last_at,
                **_how_long(ends.get((row.object_id, row.verb)), row.observed_at),
            ),
        )
        for row in await connection.execute(page)
    ]


async def _ends(
    connection: AsyncConnection, merchant_id: UUID, about: Sequence[UUID]
) -> dict[tuple[UUID, str], tuple[datetime, datetime]]:
    """By object and verb: when it was sent, and when its end was known. Of several the last one."""
    i = intents.c
    ended = and_(i.merchant_id == merchant_id, i.object_id.in_(about), i.ended_at.is_not(None))
    statement = select(i.object_id, i.verb, i.recorded_at, i.ended_at).where(ended).order_by(i.ordinal)
    rows = (await connection.execute(statement)).all()
    return {(row.object_id, row.verb): (row.recorded_at, row.ended_at) for row in rows}


def _how_long(times: tuple[datetime, datetime] | None, said_at: datetime) -> dict[str, int]:
    if times is None or said_at < times[1]:
        return {}
    sent_at, ended_at = times
    if said_at == ended_at:
        return {"took_s": max(0, int((said_at - sent_at).total_seconds()))}
    return {"after_end_s": int((said_at - ended_at).total_seconds())}


def _heard_after(after: TimelinePosition) -> ColumnElement[bool]:
    o = observations.c
    later = o.observed_at > after.at
    if after.rank < _HEARD:
        return o.observed_at >= after.at
    if after.rank > _HEARD:
        return later
    return or_(later, and_(o.observed_at == after.at, o.observation_id > UUID(int=after.tie)))


def _end(payment: Payment) -> Iterator[Happening]:
    if payment.finished_at is not None:
        yield PaymentFinished(payment.finished_at, payment.status, payment.failure)


async def _anomalies(connection: AsyncConnection, payment: Payment, refund_ids: Sequence[UUID]) -> list[Happening]:
    a = anomalies.c
    of_payment = and_(a.merchant_id == payment.merchant_id, a.object_id.in_([payment.payment_id, *refund_ids]))
    happened: list[Happening] = []
    for row in await connection.execute(select(anomalies).where(of_payment).order_by(a.anomaly_id)):
        happened.append(AnomalyFound(row.found_at, row.kind, row.detail, row.source))
        if row.resolved_at is not None:
            happened.append(AnomalyResolved(row.resolved_at, row.kind, row.resolved_by, row.note))
    return happened


async def _events(
    connection: AsyncConnection, payment: Payment, refund_ids: Sequence[UUID]
) -> tuple[list[Happening], list[Happening]]:
    e, d = events.c, deliveries.c
    of_payment = and_(e.merchant_id == payment.merchant_id, e.object_id.in_([payment.payment_id, *refund_ids]))
    columns = (e.event_id, e.type, e.sequence, e.created_at)
    its_events = select(*columns).where(of_payment).order_by(e.object_id, e.sequence)
    rows = (await connection.execute(its_events)).all()
    told: list[Happening] = [EventWritten(row.created_at, row.event_id, row.type) for row in rows]
    delivered: list[Happening] = []
    if not rows:
        return told, delivered
    written_at = {row.event_id: row.created_at for row in rows}
    of_events = and_(d.merchant_id == payment.merchant_id, d.event_id.in_(list(written_at)))
    for row in await connection.execute(select(deliveries).where(of_events).order_by(d.event_id, d.endpoint_id)):
        at = row.delivered_at or written_at[row.event_id]
        delivered.append(Delivery(at, row.event_id, recorded_delivery(row)))
    return told, delivered
