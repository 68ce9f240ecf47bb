"""Finding payments and events: by an index where one is named, else by looking at so many of the newest, and no more.

A search looks somewhere: at the payments of a user, of an app, of a merchant, newest first, in a range of ids, which is
one of time. What else is asked for filters what it sees. After LOOKED_AT_MAX rows it is cut, and says how far it came.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Uuid, any_, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.payments import Payment
from gateway.ports import PaymentFilter, SearchCutError
from gateway.storage.server.troubles import is_cut
from gateway.storage.tables import payments
from gateway.storage.writing.payments import payment_of, payment_select

__all__ = [
    "ID_CLOCK_MARGIN",
    "LOOKED_AT_MAX",
    "Place",
    "find_events",
    "find_payments",
    "ids_between",
    "order_payments",
    "read_payments",
    "searching",
]

LOOKED_AT_MAX = 20_000
"""Rows that one page looks at."""
ID_CLOCK_MARGIN = timedelta(hours=1)
"""How far an id's time and `created_at` may be apart: ids are made before an order waits its turn."""
_UUID_BELOW_TIME_BITS = 80
_ALL_IDS = (UUID(int=0), UUID(int=(1 << 128) - 1))

_ORDER = """
SELECT object_id FROM orders
WHERE merchant_id = :merchant AND app = :app AND merchant_order_no = :number AND object = 'payment'
"""
_LOOK = """
    SELECT p.payment_id, p.app, p.user_id, p.status, p.channel, p.amount, p.card_id, p.business_day, p.created_at
    FROM payments p
    WHERE p.merchant_id = :merchant {at_place} AND p.payment_id >= :lowest AND p.payment_id < :below
    ORDER BY p.payment_id DESC"""
_PLACES = "FROM unnest(CAST(:values AS text[]), CAST(:cards AS uuid[])) AS place (value, card_id) CROSS JOIN LATERAL"
_PICK = """
SELECT found.payment_id {places} (
    SELECT seen.payment_id FROM ({look} LIMIT {most}) AS seen
    WHERE {filters} ORDER BY seen.payment_id DESC LIMIT :limit
) AS found ORDER BY found.payment_id DESC LIMIT :limit
"""
_LOOKED_TO = "SELECT seen.payment_id {places} ({look} OFFSET {most} - 1 LIMIT 1) AS seen ORDER BY 1 DESC LIMIT 1"

_PICK_EVENTS = """
SELECT seen.event_id FROM (
    SELECT event_id, type FROM events WHERE merchant_id = :merchant AND app = :app AND event_id < :below
    ORDER BY event_id DESC LIMIT {most}
) AS seen WHERE seen.type = :type ORDER BY seen.event_id DESC LIMIT :limit
"""
_EVENTS_LOOKED_TO = """
SELECT event_id FROM events WHERE merchant_id = :merchant AND app = :app AND event_id < :below
ORDER BY event_id DESC OFFSET {most} - 1 LIMIT 1
"""

_p = payments.c
_BY_ID = (
    payment_select()
    .where(_p.merchant_id == bindparam("merchant"), _p.payment_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(_p.payment_id.desc())
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: the payments of a user (with one card) or of an app; without either those of the merchant."""

    user_id: str | None = None
    app: str | None = None
    card_id: UUID | None = None


@asynccontextmanager
async def searching(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection to search by. Raises SearchCutError when a statement takes longer than it may."""
    try:
        async with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if is_cut(error):
            raise SearchCutError from error
        raise


async def find_payments(
    connection: AsyncConnection, merchant_id: UUID, places: Sequence[Place], wanted: PaymentFilter, zone: ZoneInfo
) -> tuple[list[UUID], UUID | None]:
    """The newest payments that fit, and how far the search came before it was cut; None: to the end.

    The places must be of one kind: all users, or all apps.
    """
    if not places:
        return [], None
    lowest, below = ids_between(wanted, zone)
    # As many texts as there are powers of two, so that PostgreSQL knows them all.
    most = LOOKED_AT_MAX // (1 << (len(places) - 1).bit_length())
    first = places[0]
    at_place = "AND p.user_id = place.value" if first.user_id is not None else ""
    at_place = "AND p.app = place.value" if first.app is not None else at_place
    look = _LOOK.format(at_place=at_place)
    filters, values = _filters(wanted, by_card=any(place.card_id for place in places))
    where = {
        "merchant": merchant_id,
        "values": [place.user_id or place.app or "" for place in places],
        "cards": [place.card_id for place in places],
        "lowest": lowest,
        "below": below,
    }
    pick = text(_PICK.format(places=_PLACES, look=look, most=most, filters=filters))
    ids = list((await connection.execute(pick, where | values | {"limit": wanted.limit})).scalars())
    if len(places) == 1 and len(ids) == wanted.limit:
        return ids, None
    looked_to = text(_LOOKED_TO.format(places=_PLACES, look=look, most=most))
    cut_at: UUID | None = (await connection.execute(looked_to, where)).scalar()
    return [each for each in ids if cut_at is None or each >= cut_at], cut_at


async def order_payments(connection: AsyncConnection, merchant_id: UUID, app: str, number: str) -> list[UUID]:
    """The payment that an app calls by this number."""
    found = await connection.execute(text(_ORDER), {"merchant": merchant_id, "app": app, "number": number})
    return list(found.scalars())


async def read_payments(
    connection: AsyncConnection, merchant_id: UUID, ids: Sequence[UUID], wanted: PaymentFilter | None = None
) -> list[Payment]:
    """These payments, newest first; with `wanted` those of them that it describes, a page of them."""
    if not ids:
        return []
    rows = await connection.execute(_BY_ID, {"merchant": merchant_id, "ids": list(ids)})
    found = [payment_of(row) for row in rows.mappings()]
    return found if wanted is None else [each for each in found if _fits(each, wanted)][: wanted.limit]


def ids_between(wanted: PaymentFilter, zone: ZoneInfo) -> tuple[UUID, UUID]:
    """The ids that a search may find: from the first one on, to before the second. They end the scan of an index."""
    lowest, below = _ALL_IDS
    starts, ends = [wanted.created_from], [wanted.created_until]
    if wanted.business_day is not None:
        day = datetime.combine(wanted.business_day, time(), zone)
        starts.append(day)
        ends.append(datetime.combine(wanted.business_day + timedelta(days=1), time(), zone))
    for start in starts:
        lowest = max(lowest, _lowest_id(start, -ID_CLOCK_MARGIN)) if start else lowest
    for end in ends:
        below = min(below, _lowest_id(end, ID_CLOCK_MARGIN)) if end else below
    return lowest, min(below, wanted.before) if wanted.before else below


async def find_events(
    connection: AsyncConnection, merchant_id: UUID, app: str, event_type: str, before: UUID | None, limit: int
) -> tuple[list[UUID], UUID | None]:
    """The newest events of a type, and how far the search came before it was cut."""
    where: Mapping[str, Any] = {"merchant": merchant_id, "app": app, "below": before or _ALL_IDS[1]}
    pick = text(_PICK_EVENTS.format(most=LOOKED_AT_MAX))
    ids = list((await connection.execute(pick, {**where, "type": event_type, "limit": limit})).scalars())
    if len(ids) == limit:
        return ids, None
    return ids, (await connection.execute(text(_EVENTS_LOOKED_TO.format(most=LOOKED_AT_MAX)), where)).scalar()


def _filters(wanted: PaymentFilter, *, by_card: bool) -> tuple[str, dict[str, Any]]:
    conditions, values = ["true"], {}
    if by_card:
        conditions.append("seen.card_id = place.card_id")
    asked = {name: getattr(wanted, name) for name in ("app", "user_id", "status", "channel", "amount", "business_day")}
    for name, value in asked.items():
        if value is not None:
            conditions.append(f"seen.{name} = :{name}")
            values[name] = value
    if wanted.created_from is not None:
        conditions.append("seen.created_at >= :created_from")
        values["created_from"] = wanted.created_from
    if wanted.created_until is not None:
        conditions.append("seen.created_at < :created_until")
        values["created_until"] = wanted.created_until
    return " AND ".join(conditions), values


def _fits(payment: Payment, wanted: PaymentFilter) -> bool:
    return (
        all(
            getattr(wanted, name) in (None, getattr(payment, name))
            for name in ("app", "user_id", "status", "channel", "amount", "business_day")
        )
        and (wanted.created_from is None or payment.created_at >= wanted.created_from)
        and (wanted.created_until is None or payment.created_at < wanted.created_until)
        and (wanted.before is None or payment.payment_id < wanted.before)
    )


def _lowest_id(moment: datetime, margin: timedelta) -> UUID:
    """The lowest UUIDv7 of a time; times before 1970 and after the format's end are its ends."""
    milliseconds = int(moment.timestamp() * 1000) + margin // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << _UUID_BELOW_TIME_BITS)
