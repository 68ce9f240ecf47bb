"""What `sluice doctor` finds in books with planted faults, and that it finds nothing in sound ones.

The schema's constraints forbid most faults, so they are dropped first: the doctor is for databases that were repaired
by hand or restored. Not tested here: books that the gateway itself has written (tests/e2e/test_run.py asks for those).
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ids import EVENT, PAYMENT, show
from gateway.storage.reading.doctor import examine
from gateway.storage.tables import attempts, channel_usage, deliveries, events, merchants, metadata, payments, users

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
DAY = date(2026, 10, 1)
MERCHANT = UUID("01998f00-0000-7000-8000-000000000001")
ENDPOINT = UUID("01998f00-0000-7000-8000-0000000000e1")
OPEN, PAID, REFUSED, FAILED = (UUID(f"01998f00-0000-7000-8000-00000000010{n}") for n in range(4))


def payment(payment_id: UUID, status: str, **changes: Any) -> dict[str, Any]:
    is_open = status == "processing"
    return {
        "merchant_id": MERCHANT, "payment_id": payment_id, "app": "loans", "merchant_order_no": str(payment_id),
        "body_hash": b"h", "hash_version": 0, "hash_form": 2, "kind": "withhold", "scene": "withhold", "user_id": "u1",
        "card_id": None, "bank": "ICBC", "amount": 100, "currency": "CNY", "status": status, "channel": "unionpay",
        "fee": 1, "failure_code": None, "failure_blame": None, "channel_code": None, "channel_message": None,
        "decision": {}, "description": None, "metadata": {}, "customer_present": False, "return_url": None,
        "expires_in_s": None, "sequence": 0 if is_open else 1, "due_kind": "poll" if is_open else None,
        "due_at": NOW + timedelta(minutes=1) if is_open else None, "lease_until": None, "created_at": NOW,
        "finished_at": None if is_open else NOW, "business_day": DAY, **changes,
    }  # fmt: skip


def attempt(payment_id: UUID) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "attempt_id": uuid4(), "payment_id": payment_id, "channel": "unionpay",
        "account": "unionpay_main", "stage": "paying", "authentication_id": None, "submitted_at": NOW, "polls": 0,
        "not_found": 0, "not_found_since": None, "channel_transaction_no": None, "channel_finished_at": None,
        "late_success": False, "acknowledged": True,
    }  # fmt: skip


def event(payment_id: UUID, event_id: UUID) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "event_id": event_id, "app": "loans", "type": "payment.succeeded",
        "object": "payment", "object_id": payment_id, "sequence": 1, "body": b"{}", "deliveries": 1, "created_at": NOW,
    }  # fmt: skip


def delivery(event_id: UUID) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "event_id": event_id, "endpoint_id": ENDPOINT, "status": "delivered", "tries": 1,
        "due_at": None, "lease_until": None, "last_status": 200, "last_error": None, "delivered_at": NOW,
    }  # fmt: skip


EVENT_IDS = {payment_id: UUID(int=payment_id.int + 0x1000) for payment_id in (PAID, REFUSED, FAILED)}


@pytest.fixture
async def books(engine: AsyncEngine) -> AsyncEngine:
    """Sound books: one payment of each kind, with everything that belongs to it; and nothing to protect them."""
    async with engine.begin() as connection:
        for table in metadata.tables.values():
            for constraint in table.constraints:
                if not str(constraint.name).endswith("_pkey"):
                    await connection.execute(
                        text(f"ALTER TABLE {table.name} DROP CONSTRAINT {constraint.name} CASCADE")
                    )
        await connection.execute(insert(merchants), {"merchant_id": MERCHANT, "code": "demo", "name": "Demo"})
        await connection.execute(insert(users), {"merchant_id": MERCHANT, "user_id": "u1", "created_at": NOW})
        short = {"failure_code": "insufficient_balance", "failure_blame": "payer"}
        refused = {"failure_code": "no_channel_available", "failure_blame": "platform", "channel": None, "fee": None}
        rows = [
            payment(OPEN, "processing"),
            payment(PAID, "succeeded"),
            payment(REFUSED, "failed", **refused),
            payment(FAILED, "failed", **short),
        ]
        await connection.execute(insert(payments), rows)
        await connection.execute(insert(attempts), [attempt(key) for key in (OPEN, PAID, FAILED)])
        await connection.execute(insert(events), [event(*pair) for pair in EVENT_IDS.items()])
        await connection.execute(insert(deliveries), [delivery(event_id) for event_id in EVENT_IDS.values()])
        usage = {"merchant_id": MERCHANT, "user_id": "u1", "channel": "unionpay", "business_day": DAY}
        await connection.execute(insert(channel_usage), {**usage, "reserved": 100, "succeeded": 100, "insufficient": 1})
    return engine


async def plant(books: AsyncEngine, *statements: Any) -> list[str]:
    async with books.begin() as connection:
        for statement in statements:
            await connection.execute(statement)
    return await examine(books, NOW)


def of(payment_id: UUID) -> Any:
    return update(payments).where(payments.c.payment_id == payment_id)


async def test_sound_books_have_nothing_wrong(books: AsyncEngine) -> None:
    assert await examine(books, NOW) == []


async def test_an_open_payment_with_nothing_due_is_found(books: AsyncEngine) -> None:
    found = await plant(books, of(OPEN).values(due_at=None, due_kind=None))
    assert found == [f"payment {show(PAYMENT, OPEN)} is processing, and its next thing due is nothing at nothing"]


async def test_a_final_payment_with_something_due_is_found(books: AsyncEngine) -> None:
    found = await plant(books, of(PAID).values(due_at=NOW, due_kind="poll"))
    assert found[0].startswith(f"payment {show(PAYMENT, PAID)} is succeeded, and its next thing due is poll at 2026")


async def test_a_poll_that_nobody_takes_up_is_found(books: AsyncEngine) -> None:
    late = NOW - timedelta(minutes=3)
    (found,) = await plant(books, of(OPEN).values(due_at=late))
    assert f"payment {show(PAYMENT, OPEN)} has been waiting for its poll since 2026-10-01 11:57" in found
    assert await plant(books, of(OPEN).values(lease_until=NOW + timedelta(seconds=1))) == []


async def test_a_delivery_that_nobody_takes_up_is_found(books: AsyncEngine) -> None:
    late = NOW - timedelta(minutes=3)
    event_id = EVENT_IDS[PAID]
    pending = {"status": "pending", "due_at": late, "delivered_at": None}
    (found,) = await plant(books, update(deliveries).where(deliveries.c.event_id == event_id).values(**pending))
    assert found.startswith(f"event {show(EVENT, event_id)} has been waiting for its delivery")


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("reserved", "says reserved 7, succeeded 100, insufficient 1; the payments say 100, 100, 1"),
        ("succeeded", "says reserved 100, succeeded 7, insufficient 1; the payments say 100, 100, 1"),
        ("insufficient", "says reserved 100, succeeded 100, insufficient 7; the payments say 100, 100, 1"),
    ],
)
async def test_usage_that_is_not_what_the_payments_say_is_found(books: AsyncEngine, column: str, says: str) -> None:
    (found,) = await plant(books, update(channel_usage).values(**{column: 7}))
    assert found == f"usage of user u1 on unionpay on 2026-10-01 {says}"


async def test_usage_that_is_missing_is_found(books: AsyncEngine) -> None:
    (found,) = await plant(books, channel_usage.delete())
    assert "says reserved 0, succeeded 0, insufficient 0; the payments say 100, 100, 1" in found


async def test_a_late_success_counts_as_succeeded(books: AsyncEngine) -> None:
    late = update(attempts).where(attempts.c.payment_id == FAILED).values(late_success=True)
    assert await plant(books, late, update(channel_usage).values(succeeded=200)) == []


async def test_an_event_without_its_delivery_is_found(books: AsyncEngine) -> None:
    event_id = EVENT_IDS[PAID]
    (found,) = await plant(books, deliveries.delete().where(deliveries.c.event_id == event_id))
    assert found == f"event {show(EVENT, event_id)} was written for 1 endpoints and has 0 deliveries"


async def test_a_gap_in_the_numbers_of_events_is_found(books: AsyncEngine) -> None:
    found = await plant(books, update(events).where(events.c.event_id == EVENT_IDS[PAID]).values(sequence=2))
    assert found == [f"the 1 events of {show(PAYMENT, PAID)} are numbered from 2 to 2"]


async def test_a_final_payment_that_nobody_was_told_of_is_found(books: AsyncEngine) -> None:
    gone = EVENT_IDS[PAID]
    removed = (
        deliveries.delete().where(deliveries.c.event_id == gone),
        events.delete().where(events.c.event_id == gone),
    )
    assert await plant(books, *removed) == [f"payment {show(PAYMENT, PAID)} says it had 1 events, and there are 0"]
    assert await plant(books, of(PAID).values(sequence=0)) == [
        f"payment {show(PAYMENT, PAID)} is succeeded and nobody was told: it has no event"
    ]


async def test_an_event_that_its_payment_does_not_know_of_is_found(books: AsyncEngine) -> None:
    stray = event(OPEN, uuid4()) | {"deliveries": 0}
    found = await plant(books, insert(events).values(stray))
    assert found == [f"payment {show(PAYMENT, OPEN)} says it had 0 events, and there are 1"]


async def test_an_attempt_on_another_channel_than_its_payment_is_found(books: AsyncEngine) -> None:
    found = (await plant(books, update(attempts).where(attempts.c.payment_id == OPEN).values(channel="allinpay")))[0]
    assert found == (
        f"the attempt of payment {show(PAYMENT, OPEN)} (channel allinpay) does not agree with it (channel unionpay)"
    )


async def test_a_payment_that_was_routed_and_has_no_attempt_is_found(books: AsyncEngine) -> None:
    found = await plant(books, attempts.delete().where(attempts.c.payment_id == PAID))
    assert f"payment {show(PAYMENT, PAID)} is succeeded and has no attempt" in found


async def test_many_findings_of_a_kind_are_counted(books: AsyncEngine) -> None:
    many = [payment(uuid4(), "failed", channel=None, sequence=3) for _ in range(25)]
    async with books.begin() as connection:
        await connection.execute(insert(payments), many)
    found = await examine(books, NOW)
    assert len(found) == 21
    assert found[-1] == "and 5 more like this"
