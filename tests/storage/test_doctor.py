"""What `sluice doctor` finds in books with planted faults, and that it finds nothing in sound ones.

The schema's constraints forbid most faults, so they are dropped first: the doctor is for databases that were repaired
by hand or restored. Not tested here: books that the gateway itself has written (tests/e2e/test_run.py asks for those).
"""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ids import AUTHENTICATION, CARD, EVENT, PAYMENT, REFUND, show
from gateway.storage.reading import doctor, snapshots
from gateway.storage.reading.doctor import diagnose, examine
from gateway.storage.tables import (
    agreements,
    anomalies,
    authentications,
    cards,
    channel_usage,
    decisions,
    deliveries,
    endpoints,
    events,
    intents,
    merchants,
    metadata,
    orders,
    outflows,
    payments,
    refunds,
    users,
)
from tests.databases import Server, own_database

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
LATE = NOW - timedelta(minutes=3)
DAY = date(2026, 10, 1)
MERCHANT = UUID("01998f00-0000-7000-8000-000000000001")
ENDPOINT = UUID("01998f00-0000-7000-8000-0000000000e1")
CARD_ID = UUID("01998f00-0000-7000-8000-0000000000c1")
OPEN, PAID, REFUSED, FAILED, WAITING, UNBOUND = (UUID(f"01998f00-0000-7000-8000-00000000010{n}") for n in range(6))
BINDING, UNBINDABLE = (UUID(f"01998f00-0000-7000-8000-00000000020{n}") for n in range(2))
GOING_BACK, WENT_BACK, NOT_BACK, CAME_BACK = (UUID(f"01998f00-0000-7000-8000-00000000030{n}") for n in range(4))
NO_CHANNEL: dict[str, Any] = dict.fromkeys(("channel", "account", "channel_order_no", "expected_fee"))


def payment(payment_id: UUID, status: str, **changes: Any) -> dict[str, Any]:
    is_open = status == "processing"
    return {
        "merchant_id": MERCHANT, "payment_id": payment_id, "app": "loans", "merchant_order_no": str(payment_id),
        "kind": "withhold", "scene": "withhold", "user_id": "u1", "card_id": CARD_ID, "bank": "ICBC", "amount": 100,
        "currency": "CNY", "status": status, "channel": "unionpay", "account": "unionpay_main",
        "channel_order_no": payment_id.hex, "authentication_id": None, "expected_fee": 1,
        "fee": 1 if status == "succeeded" else None, "authentication_fee": None, "failure_code": None,
        "failure_blame": None, "failure_advice": None, "channel_code": None, "channel_message": None,
        "description": None, "metadata": {}, "customer_present": False, "return_url": None, "expires_in_s": None,
        "sequence": 0 if is_open else 1, "due_at": NOW + timedelta(minutes=1) if is_open else None, "until_at": None,
        "lease_until": None, "created_at": NOW, "finished_at": None if is_open else NOW, "business_day": DAY, **changes,
    }  # fmt: skip


def intent(object_id: UUID, verb: str, state: str) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "object_id": object_id, "verb": verb, "ordinal": 1, "intent_id": uuid4(),
        "channel": "unionpay", "account": "unionpay_main", "number": object_id.hex, "told_at": NOW, "recorded_at": NOW,
        "amount": {"pay": 100, "refund": 10, "authenticate": None}[verb], "state": state, "questions": 0,
        "acknowledged": True, "not_found": 0, "late_success": False, "looks": 0,
        "ended_at": None if state == "open" else NOW,
    }  # fmt: skip


def authentication(authentication_id: UUID, payment_id: UUID, status: str, **changes: Any) -> dict[str, Any]:
    is_open = status == "processing"
    return {
        "merchant_id": MERCHANT, "authentication_id": authentication_id, "payment_id": payment_id, "user_id": "u1",
        "card_id": CARD_ID, "bank": "ICBC", "account": "unionpay_main", "channel": "unionpay", "status": status,
        "fee": 100, "contradicts": False, "failure_code": None, "failure_blame": None,
        "due_at": NOW + timedelta(minutes=1) if is_open else None, "created_at": NOW,
        "finished_at": None if is_open else NOW, **changes,
    }  # fmt: skip


def refund(refund_id: UUID, status: str, **changes: Any) -> dict[str, Any]:
    is_open = status == "processing"
    return {
        "merchant_id": MERCHANT, "refund_id": refund_id, "app": "loans", "merchant_order_no": str(refund_id),
        "payment_id": PAID, "user_id": "u1", "amount": 10, "currency": "CNY", "status": status, "failure_code": None,
        "failure_blame": None, "returned": None, "metadata": {}, "sequence": 0 if is_open else 1,
        "due_at": NOW + timedelta(minutes=1) if is_open else None, "created_at": NOW,
        "finished_at": None if is_open else NOW, "business_day": DAY, **changes,
    }  # fmt: skip


def order(row: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "app": row["app"], "merchant_order_no": row["merchant_order_no"], "object": kind,
        "object_id": row[f"{kind}_id"], "body_hash": b"h", "hash_version": 0, "hash_form": 2,
    }  # fmt: skip


def event(object_id: UUID, event_id: UUID, kind: str = "payment", sequence: int = 1) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "event_id": event_id, "app": "loans", "type": f"{kind}.succeeded", "object": kind,
        "object_id": object_id, "sequence": sequence, "body": b"{}", "deliveries": 1, "created_at": NOW,
    }  # fmt: skip


def delivery(event_id: UUID) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "event_id": event_id, "endpoint_id": ENDPOINT, "status": "delivered", "tries": 1,
        "due_at": None, "lease_until": None, "last_status": 200, "last_error": None, "delivered_at": NOW,
    }  # fmt: skip


def card(card_id: UUID, **changes: Any) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT, "card_id": card_id, "user_id": "u1", "data_key": b"k", "elements": b"e",
        "print": card_id.bytes, "masked": "622202******1234", "bank": "ICBC", "created_at": NOW, **changes,
    }  # fmt: skip


EVENT_IDS = {
    key: UUID(int=key.int + 0x1000) for key in (PAID, REFUSED, FAILED, UNBOUND, WENT_BACK, NOT_BACK, CAME_BACK)
}


@pytest.fixture(scope="module")
async def unprotected(postgres: Server, template: str) -> AsyncIterator[AsyncEngine]:
    """A database without constraints."""
    async with own_database(postgres, template) as engine:
        async with engine.begin() as connection:
            for table in metadata.tables.values():
                for constraint in table.constraints:
                    if constraint.name is not None and not str(constraint.name).endswith("_pkey"):
                        await connection.execute(
                            text(f"ALTER TABLE {table.name} DROP CONSTRAINT {constraint.name} CASCADE")
                        )
        yield engine


@pytest.fixture
async def books(unprotected: AsyncEngine) -> AsyncEngine:
    """Sound books: one object of each kind and end, with everything that belongs to it; and nothing to protect them."""
    engine = unprotected
    async with engine.begin() as connection:
        for table in metadata.tables.values():
            await connection.execute(delete(table))
        await connection.execute(insert(merchants), {"merchant_id": MERCHANT, "code": "demo", "name": "Demo"})
        await connection.execute(insert(users), {"merchant_id": MERCHANT, "user_id": "u1", "created_at": NOW})
        await connection.execute(insert(cards), card(CARD_ID))
        short = {"failure_code": "insufficient_balance", "failure_blame": "payer"}
        unbound = {"failure_code": "authentication_rejected", "failure_blame": "payer"}
        no_channel = {"failure_code": "no_channel_available", "failure_blame": "platform"} | NO_CHANNEL
        paid = [
            payment(OPEN, "processing"),
            payment(PAID, "succeeded"),
            payment(REFUSED, "failed", **no_channel),
            payment(FAILED, "failed", **short),
            payment(WAITING, "processing", authentication_id=BINDING),
            payment(UNBOUND, "failed", authentication_id=UNBINDABLE, authentication_fee=100, **unbound),
        ]
        bound = [
            authentication(BINDING, WAITING, "processing"),
            authentication(UNBINDABLE, UNBOUND, "failed", **unbound),
        ]
        back = [
            refund(GOING_BACK, "processing"),
            refund(WENT_BACK, "succeeded"),
            refund(NOT_BACK, "failed", failure_code="channel_refused", failure_blame="channel"),
            refund(CAME_BACK, "returned", returned="other", sequence=2),
        ]
        sent = [
            intent(OPEN, "pay", "open"),
            intent(PAID, "pay", "done"),
            intent(FAILED, "pay", "declined"),
            intent(BINDING, "authenticate", "open"),
            intent(UNBINDABLE, "authenticate", "declined"),
            intent(GOING_BACK, "refund", "open"),
            intent(WENT_BACK, "refund", "done"),
            intent(NOT_BACK, "refund", "not_received"),
            intent(CAME_BACK, "refund", "returned"),
        ]
        kinds = {row["refund_id"]: "refund" for row in back}
        told = [event(key, event_id, kinds.get(key, "payment")) for key, event_id in EVENT_IDS.items()]
        told.append(event(CAME_BACK, UUID(int=CAME_BACK.int + 0x2000), "refund", 2))
        await connection.execute(insert(payments), paid)
        await connection.execute(insert(authentications), bound)
        await connection.execute(insert(refunds), back)
        await connection.execute(insert(intents), sent)
        await connection.execute(
            insert(orders), [order(row, "payment") for row in paid] + [order(row, "refund") for row in back]
        )
        made = [{"merchant_id": MERCHANT, "object_id": row["payment_id"], "decision": {}} for row in paid]
        await connection.execute(insert(decisions), made)
        out = {"merchant_id": MERCHANT, "payment_id": PAID, "amount": 100, "refunded": 20, "settled": 0, "excess": 0}
        await connection.execute(insert(outflows), out)
        await connection.execute(insert(events), told)
        await connection.execute(insert(deliveries), [delivery(row["event_id"]) for row in told])
        usage = {"merchant_id": MERCHANT, "user_id": "u1", "channel": "unionpay", "business_day": DAY}
        await connection.execute(insert(channel_usage), {**usage, "reserved": 200, "succeeded": 100, "insufficient": 1})
    return engine


async def plant(books: AsyncEngine, *statements: Any) -> list[str]:
    async with books.begin() as connection:
        for statement in statements:
            await connection.execute(statement)
    return await examine(books, NOW)


def of(payment_id: UUID) -> Any:
    return update(payments).where(payments.c.payment_id == payment_id)


def of_authentication(authentication_id: UUID) -> Any:
    return update(authentications).where(authentications.c.authentication_id == authentication_id)


def of_refund(refund_id: UUID) -> Any:
    return update(refunds).where(refunds.c.refund_id == refund_id)


def intent_of(object_id: UUID) -> Any:
    return update(intents).where(intents.c.object_id == object_id)


def without_intent(object_id: UUID) -> Any:
    return intents.delete().where(intents.c.object_id == object_id)


def pay(payment_id: UUID) -> str:
    return show(PAYMENT, payment_id)


def auth(authentication_id: UUID) -> str:
    return show(AUTHENTICATION, authentication_id)


def ref(refund_id: UUID) -> str:
    return show(REFUND, refund_id)


async def test_sound_books_have_nothing_wrong(books: AsyncEngine) -> None:
    assert await examine(books, NOW) == []


# --- what is due ---


async def test_an_open_payment_with_nothing_due_is_found(books: AsyncEngine) -> None:
    found = await plant(books, of(OPEN).values(due_at=None))
    assert found == [f"payment {pay(OPEN)} is processing, and what is due on it does not fit that"]
    assert await plant(books, of(OPEN).values(until_at=NOW)) == []


async def test_a_final_payment_that_waits_for_an_end_of_time_is_found(books: AsyncEngine) -> None:
    found = await plant(books, of(PAID).values(until_at=NOW))
    assert found == [f"payment {pay(PAID)} is succeeded, and what is due on it does not fit that"]


async def test_a_final_payment_may_be_looked_at_again(books: AsyncEngine) -> None:
    assert await plant(books, of(FAILED).values(due_at=NOW)) == []


@pytest.mark.parametrize(
    ("update_of", "key", "shown", "column"),
    [
        (of, OPEN, pay(OPEN), "due_at"),
        (of, OPEN, pay(OPEN), "until_at"),
        (of, FAILED, pay(FAILED), "due_at"),
        (of_authentication, BINDING, auth(BINDING), "due_at"),
        (of_refund, GOING_BACK, ref(GOING_BACK), "due_at"),
    ],
)
async def test_what_is_due_and_nobody_takes_up_is_found(
    books: AsyncEngine, update_of: Any, key: UUID, shown: str, column: str
) -> None:
    found = await plant(books, update_of(key).values(**{column: LATE}))
    assert found == [
        f"{shown} has been waiting for what is due on it since 2026-10-01 11:57:00 UTC: does a worker run?"
    ]
    assert await plant(books, update_of(key).values(lease_until=NOW + timedelta(seconds=1))) == []
    assert len(await plant(books, update_of(key).values(lease_until=LATE))) == 1


async def test_a_delivery_that_nobody_takes_up_is_found(books: AsyncEngine) -> None:
    event_id = EVENT_IDS[PAID]
    pending = {"status": "pending", "due_at": LATE, "delivered_at": None}
    (found,) = await plant(books, update(deliveries).where(deliveries.c.event_id == event_id).values(**pending))
    assert found.startswith(f"event {show(EVENT, event_id)} has been waiting for its delivery")


# --- usage ---


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("reserved", "says reserved 7, succeeded 100, insufficient 1; the payments say 200, 100, 1"),
        ("succeeded", "says reserved 200, succeeded 7, insufficient 1; the payments say 200, 100, 1"),
        ("insufficient", "says reserved 200, succeeded 100, insufficient 7; the payments say 200, 100, 1"),
    ],
)
async def test_usage_that_is_not_what_the_payments_say_is_found(books: AsyncEngine, column: str, says: str) -> None:
    (found,) = await plant(books, update(channel_usage).values(**{column: 7}))
    assert found == f"usage of user u1 on unionpay on 2026-10-01 {says}"


async def test_usage_that_is_missing_is_found(books: AsyncEngine) -> None:
    (found,) = await plant(books, channel_usage.delete())
    assert "says reserved 0, succeeded 0, insufficient 0; the payments say 200, 100, 1" in found


async def test_a_late_success_counts_as_succeeded(books: AsyncEngine) -> None:
    late = intent_of(FAILED).values(late_success=True)
    assert await plant(books, late, update(channel_usage).values(succeeded=200)) == []


# --- events ---


async def test_an_event_without_its_delivery_is_found(books: AsyncEngine) -> None:
    event_id = EVENT_IDS[PAID]
    (found,) = await plant(books, deliveries.delete().where(deliveries.c.event_id == event_id))
    assert found == f"event {show(EVENT, event_id)} was written for 1 endpoints and has 0 deliveries"


@pytest.mark.parametrize(("key", "shown"), [(PAID, pay(PAID)), (WENT_BACK, ref(WENT_BACK))])
async def test_a_gap_in_the_numbers_of_events_is_found(books: AsyncEngine, key: UUID, shown: str) -> None:
    found = await plant(books, update(events).where(events.c.event_id == EVENT_IDS[key]).values(sequence=2))
    assert found == [f"the 1 events of {shown} are numbered from 2 to 2"]


@pytest.mark.parametrize(("update_of", "key", "shown"), [(of, PAID, pay(PAID)), (of_refund, WENT_BACK, ref(WENT_BACK))])
async def test_a_final_object_that_nobody_was_told_of_is_found(
    books: AsyncEngine, update_of: Any, key: UUID, shown: str
) -> None:
    gone = EVENT_IDS[key]
    removed = (
        deliveries.delete().where(deliveries.c.event_id == gone),
        events.delete().where(events.c.event_id == gone),
    )
    assert await plant(books, *removed) == [f"{shown} says it had 1 events, and there are 0"]
    assert await plant(books, update_of(key).values(sequence=0)) == [
        f"{shown} is succeeded and nobody was told: it has no event"
    ]


@pytest.mark.parametrize(
    ("key", "kind", "shown"), [(OPEN, "payment", pay(OPEN)), (GOING_BACK, "refund", ref(GOING_BACK))]
)
async def test_an_event_that_its_object_does_not_know_of_is_found(
    books: AsyncEngine, key: UUID, kind: str, shown: str
) -> None:
    stray = event(key, uuid4(), kind) | {"deliveries": 0}
    found = await plant(books, insert(events).values(stray))
    assert found == [f"{shown} says it had 0 events, and there are 1"]


@pytest.mark.parametrize(
    ("key", "kind", "shown"), [(GOING_BACK, "payment", pay(GOING_BACK)), (OPEN, "refund", ref(OPEN))]
)
async def test_an_event_about_what_is_not_there_is_found(books: AsyncEngine, key: UUID, kind: str, shown: str) -> None:
    stray = event(key, uuid4(), kind) | {"deliveries": 0}
    assert await plant(books, insert(events).values(stray)) == [f"1 events are about {shown}, which is not there"]


# --- intents ---


@pytest.mark.parametrize(
    ("changed", "key", "says"),
    [
        (intent_of(OPEN).values(channel="allinpay"), OPEN, "processing on unionpay, … is open on allinpay"),
        (intent_of(OPEN).values(account="allinpay_main"), OPEN, "processing on unionpay, … is open on unionpay"),
        (intent_of(OPEN).values(number="another"), OPEN, "processing on unionpay, … is open on unionpay"),
        (intent_of(OPEN).values(amount=101), OPEN, "processing on unionpay, … is open on unionpay"),
        (intent_of(OPEN).values(state="not_sent"), OPEN, "processing on unionpay, … is not_sent on unionpay"),
        (intent_of(OPEN).values(state="done"), OPEN, "processing on unionpay, … is done on unionpay"),
        (intent_of(PAID).values(state="declined"), PAID, "succeeded on unionpay, … is declined on unionpay"),
        (intent_of(PAID).values(state="open"), PAID, "succeeded on unionpay, … is open on unionpay"),
        (intent_of(FAILED).values(state="done"), FAILED, "failed on unionpay, … is done on unionpay"),
        (intent_of(FAILED).values(state="open"), FAILED, "failed on unionpay, … is open on unionpay"),
        (of(FAILED).values(channel_order_no=None), FAILED, "failed on unionpay, … is declined on unionpay"),
    ],
)
async def test_an_intent_to_pay_that_its_payment_does_not_agree_with_is_found(
    books: AsyncEngine, changed: Any, key: UUID, says: str
) -> None:
    expected = f"payment {pay(key)} is {says.replace('…', 'and its intent to pay')}"
    assert await plant(books, changed) == [expected]


async def test_a_late_success_of_a_payment_in_flight_is_found(books: AsyncEngine) -> None:
    found = await plant(books, intent_of(OPEN).values(late_success=True), update(channel_usage).values(succeeded=200))
    assert found == [f"payment {pay(OPEN)} is processing on unionpay, and its intent to pay is open on unionpay"]


@pytest.mark.parametrize(("key", "status"), [(PAID, "succeeded"), (OPEN, "processing")])
async def test_a_payment_that_was_sent_and_has_no_intent_to_pay_is_found(
    books: AsyncEngine, key: UUID, status: str
) -> None:
    assert await plant(books, without_intent(key)) == [f"payment {pay(key)} is {status} and has no intent to pay"]


async def test_a_payment_that_does_not_know_how_its_authentication_ended_is_found(books: AsyncEngine) -> None:
    why = {"failure_code": "authentication_unknown", "failure_blame": "channel"}
    ended = {"status": "failed", "due_at": None, "finished_at": NOW} | why
    found = await plant(books, of_authentication(BINDING).values(**ended), intent_of(BINDING).values(state="unknown"))
    assert found == [f"payment {pay(WAITING)} does not know how the authentication that it waits for ended: failed"]


async def test_a_payment_that_failed_before_its_authentication_ended_is_found(books: AsyncEngine) -> None:
    found = await plant(
        books,
        of_authentication(UNBINDABLE).values(status="processing", account="another", due_at=NOW),
        intent_of(UNBINDABLE).values(state="open"),
    )
    assert found == [f"payment {pay(UNBOUND)} does not know how the authentication that it waits for ended: processing"]


async def test_a_payment_whose_authentication_has_just_succeeded_may_still_wait(books: AsyncEngine) -> None:
    bound = {"status": "succeeded", "due_at": None, "finished_at": NOW}
    assert await plant(books, of_authentication(BINDING).values(**bound), intent_of(BINDING).values(state="done")) == []


@pytest.mark.parametrize(
    ("changed", "key", "says"),
    [
        (without_intent(BINDING), BINDING, "is processing, and its intent is nothing"),
        (intent_of(BINDING).values(state="unknown"), BINDING, "is processing, and its intent is unknown"),
        (intent_of(UNBINDABLE).values(state="open"), UNBINDABLE, "is failed, and its intent is open"),
        (intent_of(UNBINDABLE).values(state="done"), UNBINDABLE, "is failed, and its intent is done"),
    ],
)
async def test_an_authentication_that_its_intent_does_not_agree_with_is_found(
    books: AsyncEngine, changed: Any, key: UUID, says: str
) -> None:
    assert await plant(books, changed) == [f"{auth(key)} {says}"]


@pytest.mark.parametrize(
    ("changed", "key", "says"),
    [
        (without_intent(GOING_BACK), GOING_BACK, "is processing, and its intent is nothing"),
        (intent_of(GOING_BACK).values(state="not_sent"), GOING_BACK, "is processing, and its intent is not_sent"),
        (intent_of(GOING_BACK).values(amount=11), GOING_BACK, "is processing, and its intent is open"),
        (intent_of(WENT_BACK).values(state="declined"), WENT_BACK, "is succeeded, and its intent is declined"),
        (intent_of(WENT_BACK).values(state="returned"), WENT_BACK, "is succeeded, and its intent is returned"),
        (intent_of(NOT_BACK).values(state="done"), NOT_BACK, "is failed, and its intent is done"),
        (intent_of(CAME_BACK).values(state="not_sent"), CAME_BACK, "is returned, and its intent is not_sent"),
    ],
)
async def test_a_refund_that_its_intent_does_not_agree_with_is_found(
    books: AsyncEngine, changed: Any, key: UUID, says: str
) -> None:
    assert await plant(books, changed) == [f"refund {ref(key)} {says}"]


# --- what left a payment, orders, decisions ---


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (outflows.delete(), "says that 0 fen were refunded; its refunds say 20"),
        (update(outflows).values(refunded=30), "says that 30 fen were refunded; its refunds say 20"),
        (update(outflows).values(excess=5), "says that 25 fen were refunded; its refunds say 20"),
    ],
)
async def test_refunds_that_a_payment_does_not_count_are_found(books: AsyncEngine, changed: Any, says: str) -> None:
    assert await plant(books, changed) == [f"payment {pay(PAID)} {says}"]


async def test_a_refund_that_was_done_after_all_counts_as_money_that_left(books: AsyncEngine) -> None:
    late = intent_of(NOT_BACK).values(late_success=True)
    assert await plant(books, late) == [f"payment {pay(PAID)} says that 20 fen were refunded; its refunds say 30"]
    assert await plant(books, update(outflows).values(refunded=25, excess=5)) == []


@pytest.mark.parametrize(("key", "shown"), [(PAID, pay(PAID)), (WENT_BACK, ref(WENT_BACK))])
@pytest.mark.parametrize("column", ["merchant_order_no", "app"])
async def test_an_order_whose_object_does_not_know_it_is_found(
    books: AsyncEngine, key: UUID, shown: str, column: str
) -> None:
    found = await plant(books, update(orders).where(orders.c.object_id == key).values(**{column: "another"}))
    number, app = ("another", "loans") if column == "merchant_order_no" else (str(key), "another")
    assert f"order {number} of {app} is {shown}, which does not say so" in found


async def test_an_order_of_nothing_is_found(books: AsyncEngine) -> None:
    nobodys = order(refund(PAID, "processing", merchant_order_no="r-9"), "refund")
    found = await plant(books, insert(orders).values(nobodys))
    assert found == [f"order r-9 of loans is {ref(PAID)}, which does not say so"]


@pytest.mark.parametrize("table", [orders, decisions])
async def test_a_payment_without_its_order_or_its_decision_is_found(books: AsyncEngine, table: Any) -> None:
    found = await plant(books, table.delete().where(table.c.object_id == REFUSED))
    assert found == [f"payment {pay(REFUSED)} ({REFUSED}) has no order, or no decision"]


# --- cards ---

TWIN = UUID("01998f00-0000-7000-8000-0000000000c2")
IS_THE_SAME: dict[str, Any] = {"same_as": CARD_ID, "print": None}
AGREEMENT = {"merchant_id": MERCHANT, "card_id": TWIN, "account": "unionpay_main", "agreement_no": b"n",
             "key_version": 0, "status": "active", "verified_at": NOW}  # fmt: skip


async def test_a_card_that_is_the_same_as_one_that_is_found_is_sound(books: AsyncEngine) -> None:
    assert await plant(books, insert(cards).values(card(TWIN, **IS_THE_SAME))) == []


@pytest.mark.parametrize(
    "broken",
    [
        [insert(cards).values(card(TWIN, **IS_THE_SAME | {"same_as": uuid4()}))],
        [insert(cards).values(card(TWIN, **IS_THE_SAME | {"user_id": "u2"}))],
        [insert(cards).values(card(TWIN, **IS_THE_SAME | {"elements": None, "erased_at": NOW}))],
        [insert(cards).values(card(TWIN, **IS_THE_SAME)), update(cards).values(print=None)],
        [insert(cards).values(card(TWIN, **IS_THE_SAME)), insert(agreements).values(AGREEMENT)],
    ],
    ids=["of nothing", "of another user", "erased alone", "of one that is not found", "with an agreement"],
)
async def test_a_card_that_is_the_same_as_what_is_not_found_in_its_place_is_found(
    books: AsyncEngine, broken: list[Any]
) -> None:
    (found,) = await plant(books, *broken)
    assert found.startswith(f"card {show(CARD, TWIN)} is the same as card_")
    assert found.endswith(", which is not what is found in its place")


# --- many ---


async def test_many_findings_of_a_kind_are_counted(books: AsyncEngine) -> None:
    many = [payment(uuid4(), "failed", sequence=3, **NO_CHANNEL) for _ in range(25)]
    async with books.begin() as connection:
        await connection.execute(insert(payments), many)
        await connection.execute(insert(orders), [order(row, "payment") for row in many])
        made = [{"merchant_id": MERCHANT, "object_id": row["payment_id"], "decision": {}} for row in many]
        await connection.execute(insert(decisions), made)
    found = await examine(books, NOW)
    assert len(found) == 21
    assert found[-1] == "and 5 more like this"


# --- piece by piece ---


@pytest.mark.parametrize("rows_at_once", [1, 2, 3])
async def test_what_is_wrong_is_found_once_however_small_the_pieces_are(
    books: AsyncEngine, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    whole = await plant(
        books,
        of(OPEN).values(due_at=None),
        of(PAID).values(amount=101),
        update(channel_usage).values(reserved=7),
        update(events).where(events.c.object_id == CAME_BACK).values(sequence=events.c.sequence + 1),
        deliveries.delete().where(deliveries.c.event_id == EVENT_IDS[PAID]),
        insert(outflows).values(merchant_id=MERCHANT, payment_id=OPEN, amount=1, refunded=1, settled=0, excess=0),
        orders.delete().where(orders.c.object_id == REFUSED),
        insert(orders).values(order(payment(uuid4(), "failed", merchant_order_no="zz"), "payment")),
        insert(cards).values(card(TWIN, **IS_THE_SAME | {"same_as": uuid4()})),
    )
    assert len(whole) >= 9
    monkeypatch.setattr(doctor, "ROWS_AT_ONCE", rows_at_once)
    assert sorted(await examine(books, NOW)) == sorted(whole)


async def test_rows_of_a_merchant_who_is_not_there_are_looked_at(books: AsyncEngine) -> None:
    stranger = UUID(int=77)
    theirs = payment(uuid4(), "processing", due_at=None) | {"merchant_id": stranger}
    found = await plant(books, insert(payments).values(theirs))
    assert any("what is due on it does not fit that" in sentence for sentence in found)


async def test_it_says_what_it_looked_at_and_how_far_it_is(books: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(doctor, "TELL_EVERY_S", 0.0)
    monkeypatch.setattr(doctor, "ROWS_AT_ONCE", 4)
    told = await diagnose(books, NOW, said.append)
    assert told.looked_at == {
        "payments": 6, "events": 8, "users": 1, "authentications": 2, "refunds": 4, "orders": 10, "cards": 1,
        "routes": 0, "checkouts": 0, "payouts": 0, "payout_days": 0, "anomalies": 0,
    }  # fmt: skip
    assert [line for line in said if "payments" in line] == ["4 payments so far", "6 payments so far"]


async def test_no_snapshot_is_held_from_one_piece_to_the_next(
    books: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes wrong while it works is found in the pieces that come after."""
    planted = False
    ask = doctor._ask

    async def plant_then_ask(engine: AsyncEngine, check: Any, *rest: Any) -> None:
        nonlocal planted
        if check.walk.table == "cards" and not planted:
            planted = True
            async with books.begin() as connection:
                await connection.execute(insert(cards).values(card(TWIN, **IS_THE_SAME | {"same_as": uuid4()})))
        await ask(engine, check, *rest)

    monkeypatch.setattr(doctor, "_ask", plant_then_ask)
    assert len(await examine(books, NOW)) == 1


# --- what waits for a person ---


async def test_dead_letters_and_open_anomalies_wait_for_a_person_and_are_not_wrong(books: AsyncEngine) -> None:
    anomaly = {
        "merchant_id": MERCHANT, "anomaly_id": uuid4(), "object": "payment", "object_id": PAID, "kind": "late_success",
        "detail": "", "source": "poll", "found_at": NOW,
    }  # fmt: skip
    resolved = anomaly | {"anomaly_id": uuid4(), "kind": "amount_differs", "resolved_at": NOW}
    async with books.begin() as connection:
        await connection.execute(update(deliveries).values(status="dead", delivered_at=None))
        for row in (anomaly, resolved):
            await connection.execute(insert(anomalies), row)
    told = await diagnose(books, NOW)
    assert told.wrong == []
    assert told.attention == [
        f"dead letters: 8 to endpoint {ENDPOINT} of demo (GET /v1/admin/merchants/demo/dead_letters)",
        (
            "open anomalies: 1 of kind late_success of demo, the oldest of 2026-10-01 12:00:00 UTC"
            " (GET /v1/admin/merchants/demo/anomalies)"
        ),
    ]


async def test_a_stopped_endpoint_waits_for_a_person_with_what_is_held_for_it(books: AsyncEngine) -> None:
    stopped = {
        "merchant_id": MERCHANT, "endpoint_id": ENDPOINT, "code": "shop", "url": "https://shop.example/hook",
        "allow_private": False, "secrets": b"", "stopped_at": NOW, "stopped_because": "it answered 410",
    }  # fmt: skip
    gone = stopped | {"endpoint_id": uuid4(), "code": "old", "removed_at": NOW}
    async with books.begin() as connection:
        for row in (stopped, gone):
            await connection.execute(insert(endpoints), row)
        await connection.execute(update(deliveries).values(status="held", due_at=None, delivered_at=None))
    told = await diagnose(books, NOW)
    assert told.wrong == []
    assert told.attention == [
        (
            "stopped endpoint: shop of demo since 2026-10-01 12:00:00 UTC (it answered 410), held for it: 8"
            " (POST /v1/admin/merchants/demo/endpoints/shop/start)"
        ),
    ]


async def test_a_transaction_that_was_left_open_is_told_by_pid_application_and_age(
    books: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "OLD_AFTER", timedelta(0))
    async with books.connect() as reader:
        await reader.execution_options(isolation_level="REPEATABLE READ")
        pid = (await reader.execute(text("SELECT pg_backend_pid() FROM payments"))).scalars().first()
        (sentence,) = (await diagnose(books, NOW)).attention
        assert sentence.startswith(f"session {pid} (test), idle in transaction, holds an old snapshot for ")
    assert (await diagnose(books, NOW)).attention == []
