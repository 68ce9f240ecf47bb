"""Random small books of one merchant: rows as the gateway leaves them, for what sums them to be held against."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.tables import (
    agreements,
    authentications,
    cards,
    decisions,
    intents,
    merchants,
    payments,
    payouts,
    refunds,
    routes,
    users,
)
from router.decide import decide
from router.facts import Candidate, ChannelFacts, LastAttempt, RouteRequest
from router.fees import FixedFee, PercentFee
from router.record import to_record

__all__ = ["CHANNELS", "MERCHANT", "OTHER", "ZONE", "Books", "put", "small_books"]

MERCHANT, OTHER = UUID(int=0xA), UUID(int=0xB)
ZONE: Final = ZoneInfo("Asia/Shanghai")
CHANNELS: Final = ("tl", "up", "yp")
BANKS, SCENES = ("ICBC", "ABC"), ("withhold", "quick_charge")
FIRST: Final = datetime(2026, 2, 27, 15, 30, tzinfo=UTC)
"""Half an hour before a midnight in Shanghai: days and months are crossed in both calendars."""
SPAN: Final = timedelta(days=35)
USER: Final = "u1"
OF_PAYERS: Final = ("scene", "user_id", "bank")
RATES: Final = (Decimal("0.001"), Decimal("0.002"))
Row = dict[str, Any]


@dataclass
class Books:
    """The rows of each table."""

    payments: list[Row] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    routes: list[Row] = field(default_factory=list)
    cards: list[Row] = field(default_factory=list)
    agreements: list[Row] = field(default_factory=list)
    authentications: list[Row] = field(default_factory=list)
    intents: list[Row] = field(default_factory=list)
    refunds: list[Row] = field(default_factory=list)
    payouts: list[Row] = field(default_factory=list)


def small_books(seed: int, rows: int = 150) -> Books:
    """Books of so many payments and fewer of the others; the same for the same seed."""
    rng, books = random.Random(seed), Books()
    ids = _ids(rng)
    books.cards = [_card(next(ids)) for _ in range(8)]
    for _ in range(rows):
        books.payments.append(_payment(rng, next(ids), books))
    for payment in [each for each in books.payments if each["status"] == "failed" and each["fee"] is not None][::2]:
        books.payments.append(_correction(rng, next(ids), payment))
    for _ in range(rows // 5):
        books.routes.append(_route(rng, next(ids), books))
        books.payouts.append(_payout(rng, next(ids)))
        _add_authentication(rng, next(ids), books)
    paid = [payment for payment in books.payments if payment["status"] == "succeeded"]
    books.refunds = [_refund(rng, next(ids), rng.choice(paid)) for _ in range(rows // 5)]
    return books


async def put(engine: AsyncEngine, books: Books) -> None:
    """Write them down."""
    tables = (payments, decisions, routes, agreements, authentications, intents, refunds, payouts)
    of_user = {"merchant_id": MERCHANT, "user_id": USER, "created_at": FIRST}
    async with engine.begin() as connection:
        await connection.execute(insert(merchants), {"merchant_id": MERCHANT, "code": "acme", "name": "Acme"})
        await connection.execute(insert(users), [of_user, of_user | {"merchant_id": OTHER}])
        await connection.execute(insert(cards), books.cards)
        for table in tables:
            by_columns: dict[tuple[str, ...], list[Row]] = {}
            for row in getattr(books, table.name):
                by_columns.setdefault(tuple(row), []).append(row)
            for alike in by_columns.values():
                await connection.execute(insert(table), alike)


def _ids(rng: random.Random) -> Iterator[UUID]:
    while True:
        yield UUID(int=rng.getrandbits(128))


def _at(rng: random.Random) -> datetime:
    return FIRST + SPAN * rng.random()


def _day(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def _card(card_id: UUID) -> Row:
    return {
        "merchant_id": MERCHANT,
        "card_id": card_id,
        "user_id": USER,
        "data_key": b"",
        "elements": b"",
        "print": card_id.bytes,
        "masked": "622202*********0000",
        "bank": "ICBC",
        "created_at": FIRST,
    }


def _failure(rng: random.Random) -> Row:
    blame = rng.choice(["payer", "channel", "platform"])
    return {"failure_code": "card_lost", "failure_blame": blame}


def _decided(rng: random.Random, object_id: UUID, at: datetime, books: Books) -> tuple[str, int, int]:
    """A real decision among some of the channels, written down: its channel, amount and fee."""
    amount = rng.randrange(100, 100_000)
    seen = sorted(rng.sample(CHANNELS, rng.randint(1, 3)))
    candidates = [
        Candidate(
            code,
            "withhold",
            "ICBC",
            FixedFee(rng.randrange(10, 90)) if rng.random() < 0.5 else PercentFee(rng.choice(RATES)),
            authentication_fee=rng.choice([0, 100]),
        )
        for code in seen
    ]
    failed = [LastAttempt("failed", "channel", at), LastAttempt("failed", "payer", at)]
    last = [None, LastAttempt("succeeded", None, at), *failed]
    facts = {code: ChannelFacts(last_attempt=rng.choice(last), bound=rng.random() < 0.5) for code in seen}
    decision = decide(RouteRequest(USER, "withhold", "ICBC", amount, at), candidates, facts, 1)
    assert decision.chosen is not None
    assert decision.fee is not None
    books.decisions.append({"merchant_id": MERCHANT, "object_id": object_id, "decision": to_record(decision)})
    return decision.chosen, amount, decision.fee


def _order(rng: random.Random, object_id: UUID, at: datetime) -> Row:
    return {
        "app": "shop",
        "merchant_order_no": object_id.hex,
        "scene": rng.choice(SCENES),
        "user_id": USER,
        "bank": rng.choice(BANKS),
        "currency": "CNY",
        "metadata": {},
        "sequence": 1,
        "created_at": at,
        "business_day": _day(at),
    }


def _payment(rng: random.Random, payment_id: UUID, books: Books) -> Row:
    at = _at(rng)
    row = _order(rng, payment_id, at) | {"payment_id": payment_id, "kind": "withhold", "customer_present": False}
    merchant = OTHER if rng.random() < 0.05 else MERCHANT
    status = rng.choices(["succeeded", "failed", "closed", "processing"], [70, 20, 5, 5])[0]
    ended = at + timedelta(milliseconds=rng.randrange(5_000))
    row |= {"merchant_id": merchant, "status": status, "finished_at": None if status == "processing" else ended}
    if status == "failed" and rng.random() < 0.2:
        return row | {"amount": 500, "failure_code": "no_channel_available", "failure_blame": "platform", "fee": None}
    channel, amount, fee = _decided(rng, payment_id, at, books)
    paid = status == "succeeded" or (status in ("failed", "closed") and rng.random() < 0.3)
    return (
        row
        | {"amount": amount, "channel": channel, "account": channel, "channel_order_no": payment_id.hex}
        | {"expected_fee": fee, "fee": fee if paid else None}
        | (_failure(rng) if status == "failed" else {})
        | ({"closed_reason": "expired"} if status == "closed" else {})
        | ({"due_at": ended} if status == "processing" else {})
    )


def _correction(rng: random.Random, payment_id: UUID, wrong: Row) -> Row:
    at = _at(rng)
    changed = {"payment_id": payment_id, "merchant_order_no": payment_id.hex, "status": "succeeded"}
    row = wrong | changed | {"created_at": at, "finished_at": at, "business_day": _day(at)}
    second = "another one" if rng.random() < 0.3 else None
    row |= {"corrects": wrong["payment_id"], "corrects_no": second}
    return row | {"failure_code": None, "failure_blame": None}


def _route(rng: random.Random, route_id: UUID, books: Books) -> Row:
    at = _at(rng)
    channel, amount, fee = _decided(rng, route_id, at, books)
    status = rng.choice(["succeeded", "succeeded", "failed", "open"])
    late = status == "failed" and rng.random() < 0.5
    return (
        _order(rng, route_id, at)
        | {"merchant_id": MERCHANT, "route_id": route_id, "amount": amount, "channel": channel, "account": channel}
        | {"status": status, "late_success": late, "report_before": at, "expected_fee": fee}
        | {"fee": fee + 1 if status == "succeeded" or late else None}
        | {"finished_at": None if status == "open" else at, "until_at": at if status == "open" else None}
        | (_failure(rng) if status == "failed" else {})
    )


def _payout(rng: random.Random, payout_id: UUID) -> Row:
    at, channel = _at(rng), rng.choice(CHANNELS)
    status = rng.choice(["succeeded", "succeeded", "failed", "returned", "processing"])
    paid = status in ("succeeded", "returned") or (status == "failed" and rng.random() < 0.2)
    order = {name: value for name, value in _order(rng, payout_id, at).items() if name not in OF_PAYERS}
    return (
        order
        | {"merchant_id": MERCHANT, "payout_id": payout_id, "channel": channel, "account": channel}
        | {"payee_type": "personal", "payee_masked": "6222*0000", "payee_bank": rng.choice(BANKS), "payee": b""}
        | {"data_key": b"", "amount": rng.randrange(100, 10_000), "purpose": "refund", "status": status}
        | {"fee": 100 if paid and status != "processing" else None, "parts": 0, "settles": 0, "intent_ordinal": 1}
        | {"finished_at": None if status == "processing" else at, "due_at": at if status == "processing" else None}
        | {"returned": "account_closed" if status == "returned" else None}
        | (_failure(rng) if status == "failed" else {})
    )


def _add_authentication(rng: random.Random, authentication_id: UUID, books: Books) -> None:
    at, channel = _at(rng), rng.choice(CHANNELS)
    card, payment = rng.choice(books.cards), rng.choice([None, *books.payments[:20]])
    state = rng.choice(["done", "declined", "unknown", "not_sent", "not_received", None])
    status = "succeeded" if state == "done" else "failed"
    books.authentications.append(
        {
            "merchant_id": MERCHANT,
            "authentication_id": authentication_id,
            "payment_id": payment["payment_id"] if payment and payment["merchant_id"] == MERCHANT else None,
            "user_id": USER,
            "card_id": card["card_id"],
            "bank": rng.choice(BANKS),
            "account": channel,
            "channel": channel,
            "status": status,
            "fee": rng.choice([30, 100]),
            "contradicts": state == "declined" and rng.random() < 0.2,
            "created_at": at,
            "finished_at": at,
            "failure_code": rng.choice(["phone_mismatch", "sms_code_wrong"]) if status == "failed" else None,
            "failure_blame": "payer" if status == "failed" else None,
        }
    )
    if state is not None:
        books.intents.append(
            {
                "merchant_id": MERCHANT,
                "object_id": authentication_id,
                "verb": "authenticate",
                "ordinal": 1,
                "intent_id": authentication_id,
                "channel": channel,
                "account": channel,
                "number": authentication_id.hex,
                "told_at": at,
                "recorded_at": at,
                "state": state,
                "questions": 0,
                "acknowledged": False,
                "not_found": 0,
                "late_success": False,
                "looks": 0,
                "ended_at": at,
            }
        )
    there = {(each["card_id"], each["account"]) for each in books.agreements}
    if state == "done" and (card["card_id"], channel) not in there:
        books.agreements.append(
            {
                "merchant_id": MERCHANT,
                "card_id": card["card_id"],
                "account": channel,
                "agreement_no": b"",
                "key_version": 0,
                "status": "active",
                "verified_at": at,
            }
        )


def _refund(rng: random.Random, refund_id: UUID, payment: Row) -> Row:
    at = _at(rng)
    status = rng.choice(["succeeded", "succeeded", "failed", "returned", "processing"])
    order = {name: value for name, value in _order(rng, refund_id, at).items() if name not in ("scene", "bank")}
    return (
        order
        | {"merchant_id": payment["merchant_id"], "refund_id": refund_id, "payment_id": payment["payment_id"]}
        | {"amount": rng.randrange(1, 100), "status": status, "fee_returned": rng.choice([None, 7])}
        | {"channel": rng.choice([None, payment["channel"]])}
        | {"finished_at": None if status == "processing" else at, "due_at": at if status == "processing" else None}
        | {"returned": "account_closed" if status == "returned" else None}
        | (_failure(rng) if status == "failed" else {})
    )
