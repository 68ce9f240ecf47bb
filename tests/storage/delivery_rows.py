"""Rows of events and deliveries as the flows leave them, for tests that start from there."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.tables import deliveries, endpoints, events, merchants

MERCHANT, OTHER_MERCHANT = UUID(int=0xA), UUID(int=0xB)
PAYMENT = UUID(int=1)
BODY = '{"id":"evt_1","data":{"description":"代扣 ✓"}}'.encode()


async def event(engine: AsyncEngine, number: int, created_at: datetime, merchant_id: UUID = MERCHANT) -> None:
    """An event whose id and sequence are this number."""
    row = {
        "merchant_id": merchant_id,
        "event_id": UUID(int=number),
        "app": "shop",
        "type": "payment.succeeded",
        "object": "payment",
        "object_id": PAYMENT,
        "sequence": number,
        "body": BODY,
        "deliveries": 1,
        "created_at": created_at,
    }
    async with engine.begin() as connection:
        await connection.execute(insert(events).values(row))


async def delivery(
    engine: AsyncEngine, event_no: int, endpoint_no: int, merchant_id: UUID = MERCHANT, **columns: object
) -> None:
    """A pending delivery, but for the columns that are given."""
    row = {
        "merchant_id": merchant_id,
        "event_id": UUID(int=event_no),
        "endpoint_id": UUID(int=endpoint_no),
        "status": "pending",
        "tries": 0,
        "lease_until": None,
    }
    async with engine.begin() as connection:
        await connection.execute(insert(deliveries).values(row | columns))


async def endpoint(engine: AsyncEngine, number: int, merchant_id: UUID = MERCHANT, **columns: object) -> None:
    """An endpoint that runs, but for the columns that are given; with its merchant, if there is none yet."""
    row = {
        "merchant_id": merchant_id,
        "endpoint_id": UUID(int=number),
        "code": f"e{number}",
        "url": "https://shop.example.com/hook",
        "allow_private": False,
        "secrets": b"",
    }
    merchant = {"merchant_id": merchant_id, "code": f"m{merchant_id.int}", "name": "M", "last_attempt_max_age_s": None}
    async with engine.begin() as connection:
        await connection.execute(insert(merchants).values(merchant).on_conflict_do_nothing())
        await connection.execute(insert(endpoints).values(row | columns))


async def change_endpoint(engine: AsyncEngine, number: int, **columns: object) -> None:
    """As another process changes it."""
    async with engine.begin() as connection:
        mine = (endpoints.c.merchant_id == MERCHANT, endpoints.c.endpoint_id == UUID(int=number))
        await connection.execute(update(endpoints).where(*mine).values(**columns))


async def states(engine: AsyncEngine, endpoint_no: int) -> dict[int, str]:
    """Event number → how its delivery to this endpoint stands."""
    wanted = select(deliveries.c.event_id, deliveries.c.status).where(deliveries.c.endpoint_id == UUID(int=endpoint_no))
    async with engine.connect() as connection:
        return {row.event_id.int: row.status for row in await connection.execute(wanted.order_by("event_id"))}


async def read_row(engine: AsyncEngine, event_no: int, endpoint_no: int) -> Any:
    """The delivery's row as it is now."""
    wanted = select(deliveries).where(
        deliveries.c.merchant_id == MERCHANT,
        deliveries.c.event_id == UUID(int=event_no),
        deliveries.c.endpoint_id == UUID(int=endpoint_no),
    )
    async with engine.connect() as connection:
        return (await connection.execute(wanted)).one()
