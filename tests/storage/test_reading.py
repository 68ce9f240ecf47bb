"""What the API reads, on PostgreSQL: who sees what, pages, filters, timelines, events, facts.

Rows are written here as tables have them; that the flows write such rows is tested where they do.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.cards import Card, CardElements, mask_card_no
from gateway.domain.events import DeliveryStatus, RecordedEvent, Redelivered
from gateway.domain.failures import Advice, Blame, Failure, FailureCode
from gateway.domain.ids import PAYMENT, REFUND, ObjectKind, show
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import ReturnReason
from gateway.domain.payments import Payment
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status
from gateway.domain.timeline import TimelinePosition
from gateway.objects.timeline import timeline_object
from gateway.ports import Found, PaymentFilter
from gateway.storage.keys.boxes import CardBox
from gateway.storage.reading.reader import Reader
from gateway.storage.tables import decisions, metadata, observations, orders, payments, users
from gateway.storage.writing.cards import new_card_row
from router.facts import ChannelFacts, LastAttempt
from tests.databases import database_on
from tests.keys import keys

MERCHANT, OTHER = UUID(int=0xA), UUID(int=0xB)
NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
DAY = date(2026, 3, 1)
KEYS = keys(1)
ELEMENTS = CardElements("6222020000000000000", "张三", "110101199003077774", "13800000000")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def id_at(moment: datetime, number: int = 0) -> UUID:
    """A UUIDv7 of that time."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x8 << 60 | number)


@pytest.fixture
def reader(engine: AsyncEngine) -> Reader:
    return Reader(engine, database_on(engine), KEYS, ZoneInfo("Asia/Shanghai"))


async def write(engine: AsyncEngine, **rows: dict[str, Any]) -> None:
    """One row in each of the named tables, of `MERCHANT` unless it says otherwise."""
    async with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name in rows:
                await connection.execute(insert(table).values({"merchant_id": MERCHANT} | rows[table.name]))


async def pay(engine: AsyncEngine, number: int, **columns: Any) -> UUID:
    """A withhold that is under way, taken `number` seconds after NOW, without a card; its order and decision."""
    payment_id = columns.pop("payment_id", id_at(at(number), number))
    row = {
        "payment_id": payment_id,
        "app": "shop",
        "merchant_order_no": f"A-{number}",
        "kind": "withhold",
        "scene": "withhold",
        "user_id": "u1",
        "bank": "ICBC",
        "amount": 10_000,
        "currency": "CNY",
        "status": "processing",
        "channel": "tlt",
        "account": "tlt-main",
        "channel_order_no": f"n-{number}",
        "expected_fee": 50,
        "metadata": {"a": 1},
        "customer_present": False,
        "sequence": 0,
        "due_at": at(60),
        "created_at": at(number),
        "business_day": DAY,
    } | columns
    merchant_id = row.get("merchant_id", MERCHANT)
    async with engine.begin() as connection:
        user = {"merchant_id": merchant_id, "user_id": row["user_id"], "created_at": NOW}
        known = (await connection.execute(users.select().where(users.c.user_id == row["user_id"]))).all()
        if merchant_id not in {one.merchant_id for one in known}:
            await connection.execute(insert(users).values(user))
        await connection.execute(insert(payments).values({"merchant_id": merchant_id} | row))
        decision = {"chosen": "tlt", "chosen_by_step": 5, "config_version": 7}
        made = {"merchant_id": merchant_id, "object_id": payment_id, "decision": decision}
        await connection.execute(insert(decisions).values(made))
        await connection.execute(insert(orders).values(order_of(row, ObjectKind.PAYMENT, payment_id)))
    return UUID(int=payment_id.int)


def order_of(row: dict[str, Any], kind: ObjectKind, object_id: UUID) -> dict[str, Any]:
    return {
        "merchant_id": row.get("merchant_id", MERCHANT),
        "app": row["app"],
        "merchant_order_no": row["merchant_order_no"],
        "object": kind,
        "object_id": object_id,
        "body_hash": b"h",
        "hash_version": 0,
        "hash_form": 2,
    }


FAILED = {"status": "failed", "failure_code": "card_lost", "failure_blame": "payer", "due_at": None}
ATTEMPT = {
    "verb": "pay",
    "ordinal": 1,
    "intent_id": UUID(int=1),
    "channel": "tlt",
    "account": "tlt-main",
    "number": "n-0",
    "told_at": at(2),
    "recorded_at": at(2),
    "amount": 10_000,
    "state": "open",
    "questions": 1,
    "not_found": 0,
    "late_success": False,
    "acknowledged": True,
    "looks": 0,
}
DECLINED = {"state": "declined", "ended_at": at(9)}
REFUND_ID = UUID(int=7)
GOES_BACK = {
    "refund_id": REFUND_ID,
    "app": "shop",
    "merchant_order_no": "R-1",
    "user_id": "u1",
    "amount": 4_000,
    "currency": "CNY",
    "status": "returned",
    "returned": "payee_account_invalid",
    "reason": "goods came back",
    "metadata": {"b": 2},
    "sequence": 2,
    "created_at": at(10),
    "finished_at": at(11),
    "business_day": DAY,
}
BACK = ATTEMPT | {
    "verb": "refund",
    "object_id": REFUND_ID,
    "intent_id": UUID(int=8),
    "number": "r-1",
    "amount": 4_000,
    "state": "returned",
    "recorded_at": at(10),
    "ended_at": at(11),
}


async def test_a_payment_is_read_whole(engine: AsyncEngine, reader: Reader) -> None:
    card_id, payment_id = uuid7(), id_at(NOW)
    card = {"card_id": card_id, "user_id": "u1", "fingerprint": b"f", "key_version": 1, "elements": b"", "bank": "ABC"}
    await write(engine, cards=card | {"masked": "622202****", "created_at": NOW})
    ended = FAILED | {"channel_code": "3008", "channel_message": "余额不足", "finished_at": at(9), "sequence": 1}
    money = {"authentication_id": UUID(int=5), "authentication_fee": 100, "fee": 50, "failure_advice": "retry_later"}
    await pay(engine, 0, payment_id=payment_id, card_id=card_id, description="月供", **ended, **money)
    heard = {"not_found_since": at(3), "channel_transaction_no": "T1", "channel_finished_at": at(8)}
    outflow = {"payment_id": payment_id, "amount": 10_000, "refunded": 4_000, "settled": 1_000, "excess": 0}
    await write(engine, intents=ATTEMPT | DECLINED | heard | {"object_id": payment_id}, outflows=outflow)

    payment = await reader.payment(MERCHANT, "shop", payment_id)
    assert isinstance(payment, Payment)
    assert payment.failure == Failure(FailureCode.CARD_LOST, Blame.PAYER, Advice.RETRY_LATER, "3008", "余额不足")
    assert payment.card == Card(card_id, "622202****", "ICBC")  # the bank of the payment, not of the card's first one
    assert (payment.kind, payment.scene, payment.status) == (Kind.WITHHOLD, Scene.WITHHOLD, Status.FAILED)
    assert (payment.created_at, payment.finished_at, payment.business_day) == (NOW, at(9), DAY)
    assert (payment.description, payment.metadata, payment.sequence) == ("月供", {"a": 1}, 1)
    assert (payment.due_at, payment.until_at) == (None, None)
    assert (payment.account, payment.channel_order_no) == ("tlt-main", "n-0")
    assert payment.authentication_id == UUID(int=5)
    assert (payment.expected_fee, payment.fee, payment.authentication_fee) == (50, 50, 100)
    assert (payment.refunded, payment.settled) == (4_000, 1_000)
    attempt = payment.attempt
    assert attempt is not None
    assert (attempt.intent_id, attempt.object_id, attempt.verb) == (UUID(int=1), payment_id, Verb.PAY)
    assert (attempt.state, attempt.ended_at, attempt.number) == (IntentState.DECLINED, at(9), "n-0")
    assert (attempt.channel, attempt.account, attempt.amount) == ("tlt", "tlt-main", 10_000)
    assert (attempt.not_found_since, attempt.channel_finished_at) == (at(3), at(8))
    assert attempt.channel_transaction_no == "T1"


async def test_a_failure_of_the_first_version_is_advised_by_its_code(engine: AsyncEngine, reader: Reader) -> None:
    payment = await reader.payment(MERCHANT, "shop", await pay(engine, 0, finished_at=at(9), **FAILED))
    assert payment is not None
    assert payment.failure is not None
    assert payment.failure.advice is Advice.CHANGE_CARD


async def test_a_payment_without_card_or_intent_is_read_too(engine: AsyncEngine, reader: Reader) -> None:
    payment = await reader.payment(MERCHANT, "shop", await pay(engine, 0, until_at=at(90)))
    assert payment is not None
    assert (payment.card, payment.attempt, payment.due_at, payment.until_at) == (None, None, at(60), at(90))
    assert (payment.fee, payment.refunded, payment.settled) == (None, 0, 0)


async def test_a_refund_is_read_whole(engine: AsyncEngine, reader: Reader) -> None:
    payment_id = await pay(engine, 0)
    await write(engine, refunds=GOES_BACK | {"payment_id": payment_id}, intents=BACK)
    refund = await reader.refund(MERCHANT, "shop", REFUND_ID)
    assert refund is not None
    assert (refund.payment_id, refund.scene, refund.user_id) == (payment_id, Scene.WITHHOLD, "u1")
    assert (refund.status, refund.returned) == (Status.RETURNED, ReturnReason.PAYEE_ACCOUNT_INVALID)
    assert (refund.amount, refund.reason, refund.metadata, refund.sequence) == (
        4_000, "goods came back", {"b": 2}, 2,
    )  # fmt: skip
    assert (refund.intent.verb, refund.intent.state, refund.intent.number) == (
        Verb.REFUND, IntentState.RETURNED, "r-1",
    )  # fmt: skip
    assert (refund.failure, refund.due_at, refund.finished_at) == (None, None, at(11))
    assert await reader.refund(MERCHANT, "books", REFUND_ID) is None
    assert await reader.refund(OTHER, "shop", REFUND_ID) is None
    assert await reader.refund(MERCHANT, "shop", payment_id) is None


async def test_what_is_of_another_app_or_merchant_is_not_there(engine: AsyncEngine, reader: Reader) -> None:
    payment_id = await pay(engine, 0)
    assert await reader.decision(MERCHANT, "shop", payment_id) is not None
    for merchant_id, app in ((MERCHANT, "books"), (OTHER, "shop")):
        assert await reader.payment(merchant_id, app, payment_id) is None
        assert await reader.decision(merchant_id, app, payment_id) is None
        assert await reader.timeline(merchant_id, app, payment_id, after=None, limit=10) is None
        assert await reader.payments(merchant_id, app, PaymentFilter()) == Found([])


async def test_pages_go_from_new_to_old_without_gap_or_repeat(engine: AsyncEngine, reader: Reader) -> None:
    made = [await pay(engine, number) for number in range(5)]
    seen: list[UUID] = []
    for _ in range(3):
        wanted = PaymentFilter(limit=2, before=min(seen, default=None))
        seen += [payment.payment_id for payment in (await reader.payments(MERCHANT, "shop", wanted)).page]
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (PaymentFilter(merchant_order_no="A-1"), [1]),
        (PaymentFilter(user_id="u2"), [2]),
        (PaymentFilter(status=Status.FAILED), [3]),
        (PaymentFilter(channel="unionpay"), [4]),
        (PaymentFilter(status=Status.PROCESSING, channel="tlt", user_id="u1"), [1, 0]),
        (PaymentFilter(created_from=at(2)), [4, 3, 2]),
        (PaymentFilter(created_until=at(2)), [1, 0]),
        (PaymentFilter(created_from=at(1), created_until=at(2)), [1]),
        (PaymentFilter(created_from=datetime(1, 1, 2, tzinfo=UTC), limit=2), [4, 3]),
        (PaymentFilter(created_until=datetime(9999, 12, 30, tzinfo=UTC), limit=1), [4]),
        (PaymentFilter(created_from=at(5)), []),
    ],
)
async def test_filters_narrow_a_search(
    engine: AsyncEngine, reader: Reader, wanted: PaymentFilter, numbers: list[int]
) -> None:
    await pay(engine, 0)
    await pay(engine, 1)
    await pay(engine, 2, user_id="u2")
    await pay(engine, 3, finished_at=at(4), **FAILED)
    await pay(engine, 4, channel="unionpay")
    found = (await reader.payments(MERCHANT, "shop", wanted)).page
    assert [payment.merchant_order_no for payment in found] == [f"A-{number}" for number in numbers]


async def test_a_number_that_a_refund_has_finds_no_payment(engine: AsyncEngine, reader: Reader) -> None:
    payment_id = await pay(engine, 0)
    await write(engine, orders=order_of(GOES_BACK, ObjectKind.REFUND, REFUND_ID))
    await write(engine, orders=order_of(GOES_BACK | {"app": "books"}, ObjectKind.PAYMENT, payment_id))
    assert await reader.payments(MERCHANT, "shop", PaymentFilter(merchant_order_no="R-1")) == Found([])


async def test_a_timeline_tells_everything_oldest_first(engine: AsyncEngine, reader: Reader) -> None:
    bound_by = {"authentication_id": UUID(int=5)}
    payment_id = await pay(engine, 0, finished_at=at(6), channel_code="3008", sequence=1, **FAILED, **bound_by)
    card_id = uuid7()
    authentication = bound_by | {
        "payment_id": payment_id,
        "user_id": "u1",
        "bank": "ABC",
        "card_id": card_id,
        "account": "tlt-main",
        "channel": "tlt",
        "status": "succeeded",
        "fee": 100,
        "contradicts": False,
        "created_at": at(0),
        "finished_at": at(1),
    }
    await write(
        engine,
        cards={"card_id": card_id, "user_id": "u1", "fingerprint": b"f", "key_version": 1, "elements": b"",
               "bank": "ABC", "masked": "*", "created_at": NOW},
        intents=ATTEMPT | DECLINED | {"object_id": payment_id},
        authentications=authentication,
        observations={"observation_id": uuid7(), "object_id": UUID(int=5), "verb": "authenticate", "source": "answer",
                      "says": "authenticated", "observed_at": at(1)},
        refunds=GOES_BACK | {"payment_id": payment_id},
        anomalies={"anomaly_id": uuid7(), "object": "payment", "object_id": payment_id, "kind": "late_success",
                   "detail": "paid", "source": "callback", "found_at": at(20), "resolved_at": at(30),
                   "resolved_by": "li", "note": "refunded"},
        events=_event(1, at(6), object_id=payment_id, type="payment.failed"),
        deliveries=_delivery(1, status="delivered", tries=2, delivered_at=at(7), last_status=200),
    )  # fmt: skip
    for object_id, verb, says, seconds in ((payment_id, "pay", "declined", 6), (REFUND_ID, "refund", "returned", 11)):
        await write(
            engine,
            observations={"observation_id": uuid7(), "object_id": object_id, "verb": verb, "source": "poll",
                          "says": says, "channel_code": "3008", "channel_message": "余额不足",
                          "observed_at": at(seconds)},
        )  # fmt: skip
    unexpected = {"anomaly_id": uuid7(), "object": "refund", "object_id": REFUND_ID, "kind": "late_failure"}
    await write(engine, anomalies=unexpected | {"detail": "code 9", "source": "poll", "found_at": at(40)})
    await write(engine, events=_event(2, at(11), object="refund", object_id=REFUND_ID, type="refund.returned"))

    told = await whole_timeline(reader, payment_id, by=100)
    assert [entry["what"] for entry in told] == [
        "payment_taken",
        "routed",
        "authentication_started",
        "authentication_finished",
        "channel_said",
        "submitted",
        "channel_said",
        "payment_finished",
        "event_written",
        "delivery_delivered",
        "refund_asked",
        "channel_said",
        "event_written",
        "anomaly_found",
        "anomaly_resolved",
        "anomaly_found",
    ]
    assert [entry["at"] for entry in told] == sorted(entry["at"] for entry in told)
    said = [entry["says"] for entry in told if entry["what"] == "channel_said"]
    assert said == ["authentication_authenticated", "declined", "refund_returned"]
    assert told[6]["channel_message"] == "余额不足"
    assert told[7]["failure"] == "card_lost"
    assert (told[10]["refund"], told[10]["amount"]) == (show(REFUND, REFUND_ID), 4_000)
    assert told[5]["channel_order_no"] == "n-0"
    orjson.dumps(told)
    for by in (1, 2, 3, 16):
        assert await whole_timeline(reader, payment_id, by) == told


async def test_a_timeline_tells_how_long_the_end_took_and_how_late_a_word_came(
    engine: AsyncEngine, reader: Reader
) -> None:
    payment_id = await pay(engine, 0)
    await write(engine, intents=ATTEMPT | {"object_id": payment_id, "recorded_at": at(0), "ended_at": at(20),
                                           "state": "not_received"})  # fmt: skip
    for seconds in (10, 20, 80):
        word = {"observation_id": uuid7(), "object_id": payment_id, "verb": "pay", "source": "poll"}
        await write(engine, observations=word | {"says": "not_found", "observed_at": at(seconds)})
    said = [entry for entry in await whole_timeline(reader, payment_id, by=2) if entry["what"] == "channel_said"]
    assert [(entry.get("took_s"), entry.get("after_end_s")) for entry in said] == [(None, None), (20, None), (None, 60)]


async def test_a_long_timeline_is_read_by_pages_and_each_page_reads_no_more_than_itself(
    engine: AsyncEngine, reader: Reader
) -> None:
    payment_id = await pay(engine, 0)
    await write(engine, intents=ATTEMPT | {"object_id": payment_id})
    async with engine.begin() as connection:
        # Five hundred words in a hundred moments, some of them those of other entries.
        said = [
            {"merchant_id": MERCHANT, "observation_id": uuid7(), "object_id": payment_id, "verb": "pay",
             "source": "callback", "says": "processing", "channel_code": str(n), "observed_at": at(n // 5)}
            for n in range(500)
        ]  # fmt: skip
        await connection.execute(insert(observations), said)
    told = await whole_timeline(reader, payment_id, by=70)
    assert [entry["channel_code"] for entry in told if entry["what"] == "channel_said"] == [str(n) for n in range(500)]
    assert len(told) == 503
    assert await whole_timeline(reader, payment_id, by=7) == told


async def whole_timeline(reader: Reader, payment_id: UUID, by: int) -> list[dict[str, Any]]:
    """All pages of so many entries."""
    told: list[dict[str, Any]] = []
    after: TimelinePosition | None = None
    while page := await reader.timeline(MERCHANT, "shop", payment_id, after=after, limit=by):
        assert len(page.happened) <= by
        told += timeline_object(page.happened)
        after = page.last
        if after is None:
            break
    return told


async def test_a_timeline_tells_of_a_payment_that_waited_for_anothers_authentication(
    engine: AsyncEngine, reader: Reader
) -> None:
    card_id, starter = uuid7(), await pay(engine, 0)
    waiter = await pay(engine, 1, authentication_id=UUID(int=5))
    await write(
        engine,
        cards={"card_id": card_id, "user_id": "u1", "fingerprint": b"f", "key_version": 1, "elements": b"",
               "bank": "ABC", "masked": "*", "created_at": NOW},
        authentications={"authentication_id": UUID(int=5), "payment_id": starter, "user_id": "u1", "bank": "ABC",
                         "card_id": card_id, "account": "tlt-main", "channel": "tlt", "status": "processing",
                         "fee": 100, "contradicts": False, "due_at": at(60), "created_at": NOW},
    )  # fmt: skip
    told = await whole_timeline(reader, waiter, by=100)
    assert [entry["what"] for entry in told] == ["payment_taken", "routed", "waited_for_authentication"]
    assert told[2]["started_by"] == show(PAYMENT, starter)


def _event(number: int, created_at: datetime, **columns: Any) -> dict[str, Any]:
    return {
        "event_id": id_at(created_at, number),
        "app": "shop",
        "type": "payment.succeeded",
        "object": "payment",
        "object_id": UUID(int=number),
        "sequence": 1,
        "body": orjson.dumps({"number": number}),
        "deliveries": 1,
        "created_at": created_at,
    } | columns


def _delivery(number: int, **columns: Any) -> dict[str, Any]:
    return {"event_id": id_at(at(6), number), "endpoint_id": UUID(int=9), "status": "pending", "tries": 0} | columns


def number_of(event: RecordedEvent) -> int:
    return int(orjson.loads(event.body)["number"])


async def test_events_come_newest_first_with_their_deliveries(engine: AsyncEngine, reader: Reader) -> None:
    dead = _delivery(1, status="dead", tries=13, last_status=500, last_error="status 500")
    await write(engine, events=_event(1, at(6)), deliveries=dead)
    await write(engine, events=_event(2, at(7), type="payment.failed"))
    await write(engine, events=_event(3, at(8), app="books"))

    every = (await reader.events(MERCHANT, "shop", of=None, event_type=None, before=None, limit=10)).page
    assert [number_of(event) for event in every] == [2, 1]
    assert (every[1].event_id, every[1].object_id) == (id_at(at(6), 1), UUID(int=1))
    assert [d.status for d in every[1].deliveries] == [DeliveryStatus.DEAD]
    assert every[0].deliveries == ()

    async def numbers(**narrower: Any) -> list[int]:
        asked = {"of": None, "event_type": None, "before": None} | narrower
        return [number_of(event) for event in (await reader.events(MERCHANT, "shop", limit=10, **asked)).page]

    assert await numbers(of=(ObjectKind.PAYMENT, UUID(int=1))) == [1]
    assert await numbers(event_type="payment.failed") == [2]
    assert await numbers(before=id_at(at(7), 2)) == [1]
    assert await reader.events(OTHER, "shop", of=None, event_type=None, before=None, limit=10) == Found([])


async def test_an_event_is_sent_again_for_its_own_app_only(engine: AsyncEngine, reader: Reader) -> None:
    delivered = _delivery(1, status="delivered", tries=1, delivered_at=at(7), last_status=200)
    await write(engine, events=_event(1, at(6)), deliveries=delivered)
    event_id = id_at(at(6), 1)
    assert await reader.redeliver(MERCHANT, "books", event_id, at(10)) is None
    assert await reader.redeliver(OTHER, "shop", event_id, at(10)) is None
    assert await reader.redeliver(MERCHANT, "shop", event_id, at(10)) == Redelivered(1, 0)
    (event,) = (await reader.events(MERCHANT, "shop", of=None, event_type=None, before=None, limit=1)).page
    (again,) = event.deliveries
    assert (again.status, again.tries, again.delivered_at) == (DeliveryStatus.PENDING, 0, None)
    assert again.due_at == at(10)


@pytest.mark.parametrize("written_by", ["the first version", "this version"])
async def test_facts_are_those_of_the_business_day_and_of_the_card(
    engine: AsyncEngine, reader: Reader, written_by: str
) -> None:
    card_id = UUID(int=uuid7().int)
    if written_by == "this version":
        card, box = new_card_row(MERCHANT, card_id, "u1", ELEMENTS, "ICBC", NOW, KEYS)
    else:
        box = CardBox(KEYS.ring, MERCHANT, card_id, None)
        card = {
            "card_id": card_id,
            "user_id": "u1",
            "fingerprint": b"f",
            "key_version": 1,
            "elements": box.seal_elements(ELEMENTS),
            "masked": mask_card_no(ELEMENTS.card_no),
            "bank": "ICBC",
            "created_at": NOW,
        }
    sealed = box.seal_agreement("tlt-main", "AGR-1")
    await write(
        engine,
        users={"user_id": "u1", "created_at": NOW},
        cards=card,
        agreements={"card_id": card_id, "account": "tlt-main", "agreement_no": sealed, "key_version": box.version,
                    "status": "active", "verified_at": NOW},
        authentications={"authentication_id": UUID(int=5), "payment_id": UUID(int=6), "user_id": "u1", "bank": "ICBC",
                         "card_id": card_id, "account": "up-main", "channel": "unionpay", "status": "processing",
                         "fee": 100, "contradicts": False, "due_at": at(60), "created_at": NOW},
        channel_usage={"user_id": "u1", "channel": "tlt", "business_day": DAY, "reserved": 100, "succeeded": 20,
                       "insufficient": 3},
        channel_totals={"channel": "tlt", "business_day": DAY, "part": UUID(int=7), "used": 500},
        last_attempts={"user_id": "u1", "channel": "tlt", "payment_id": uuid7(), "status": "failed", "blame": "payer",
                       "finished_at": NOW},
    )  # fmt: skip
    expected = ChannelFacts(120, 3, LastAttempt("failed", "payer", NOW), channel_used_today=500)
    expected = replace(expected, in_flight_today=100, channel_in_flight_today=0, card_in_flight_today=0)
    for typed, named in ((ELEMENTS, None), (ELEMENTS, card_id)):
        facts = await reader.facts(MERCHANT, "u1", typed, named, NOW)
        assert facts.channels == {"tlt": expected}
        assert facts.agreements == {"tlt-main": "AGR-1"}
        assert facts.authentications == {"up-main": UUID(int=5)}

    without_card = await reader.facts(MERCHANT, "u1", None, None, NOW)
    assert (without_card.channels["tlt"].used_today, without_card.agreements) == (120, {})
    # 16:00 UTC is the next day in Shanghai.
    tomorrow = await reader.facts(MERCHANT, "u1", ELEMENTS, None, datetime(2026, 3, 1, 16, 0, tzinfo=UTC))
    assert tomorrow.channels["tlt"].used_today == 0
    assert tomorrow.channels["tlt"].last_attempt is not None
    assert (await reader.facts(OTHER, "u1", ELEMENTS, None, NOW)).channels == {}
