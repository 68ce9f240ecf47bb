"""Rows of events and deliveries as the flows leave them, for tests that start from there."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.tables import deliveries, events

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


async def read_row(engine: AsyncEngine, event_no: int, endpoint_no: int) -> Any:
    """The delivery's row as it is now."""
    wanted = select(deliveries).where(
        deliveries.c.merchant_id == MERCHANT,
        deliveries.c.event_id == UUID(int=event_no),
        deliveries.c.endpoint_id == UUID(int=endpoint_no),
    )
    async with engine.connect() as connection:
        return (await connection.execute(wanted)).one()
