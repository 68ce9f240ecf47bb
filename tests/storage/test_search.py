"""Payments and events are found by whatever is known of them, and a search that would look at too much is cut.

Not tested here: that each is found by an index (test_plans), how a page is answered (tests/api, test_admin_calls).
"""

import re
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ids import PAYMENT, show
from gateway.domain.outcomes import Succeeded
from gateway.domain.statuses import Status
from gateway.ports import Found, PaymentFilter, Reference, SearchCutError
from gateway.run.commands import explain_payment
from gateway.run.local import LocalError
from gateway.storage.reading import search
from gateway.storage.reading.reader import Reader
from gateway.storage.reading.references import OperatorSearch
from gateway.storage.server.engine import create_engine
from gateway.storage.tables import accounts, apps, cards, events, merchants
from tests.databases import close, database_on
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.storage.test_reading import (
    ATTEMPT,
    DAY,
    FAILED,
    GOES_BACK,
    KEYS,
    MERCHANT,
    NOW,
    OTHER,
    REFUND_ID,
    at,
    id_at,
    order_of,
    pay,
    write,
)
from tests.storage.test_recording import PAYS

ZONE = ZoneInfo("Asia/Shanghai")
AUTHENTICATION_ID, EVENT_ID, ANOMALY_ID, CHECKOUT_ID = UUID(int=5), UUID(int=61), UUID(int=62), UUID(int=63)
LOOKED_AT = 8


@pytest.fixture
def operators(engine: AsyncEngine) -> OperatorSearch:
    return OperatorSearch(engine, ZONE)


@pytest.fixture
def reader(engine: AsyncEngine) -> Reader:
    return Reader(engine, database_on(engine), KEYS, ZONE)


@pytest.fixture
def looks_at_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks at eight rows."""
    monkeypatch.setattr(search, "LOOKED_AT_MAX", LOOKED_AT)


async def add_card(engine: AsyncEngine, number: int, user_id: str, masked: str) -> UUID:
    card_id = UUID(int=number)
    row = {"card_id": card_id, "user_id": user_id, "fingerprint": bytes([number]), "key_version": 1, "elements": b"",
           "bank": "ICBC", "masked": masked, "created_at": NOW, "merchant_id": MERCHANT}  # fmt: skip
    async with engine.begin() as connection:
        await connection.execute(insert(cards).values(row))
    return card_id


@pytest.fixture
async def payment_id(engine: AsyncEngine) -> UUID:
    """A payment with all that can be known of it, among others."""
    async with engine.begin() as connection:
        for merchant_id, code in ((MERCHANT, "acme"), (OTHER, "other")):
            await connection.execute(insert(merchants).values(merchant_id=merchant_id, code=code, name=code))
            for app in ("books", "shop"):
                await connection.execute(insert(apps).values(merchant_id=merchant_id, code=app, name=app))
        account = {"code": "tlt-main", "provider": "allinpay", "settings": {}, "secrets": b"", "terms": {}}
        await connection.execute(insert(accounts).values({"merchant_id": MERCHANT} | account))
    card_id = await add_card(engine, 3, "u1", "622202******1234")
    await pay(engine, 1, user_id="u2")
    payment_id = await pay(engine, 0, card_id=card_id, authentication_id=AUTHENTICATION_ID, amount=777,
                           checkout_id=CHECKOUT_ID)  # fmt: skip
    await pay(engine, 2, user_id="u3", merchant_id=OTHER)
    await write(
        engine,
        intents=ATTEMPT | {"object_id": payment_id, "channel_transaction_no": "T-9"},
        authentications={"authentication_id": AUTHENTICATION_ID, "payment_id": payment_id, "user_id": "u1",
                         "bank": "ABC", "card_id": card_id, "account": "tlt-main", "channel": "tlt",
                         "status": "processing", "fee": 100, "contradicts": False, "due_at": at(60),
                         "created_at": NOW},
        refunds=GOES_BACK | {"payment_id": payment_id},
        orders=order_of({"app": "shop", "merchant_order_no": "R-1"}, "refund", REFUND_ID),  # type: ignore[arg-type]
        events={"event_id": EVENT_ID, "app": "shop", "type": "refund.returned", "object": "refund",
                "object_id": REFUND_ID, "sequence": 1, "body": b"{}", "deliveries": 0, "created_at": NOW},
        anomalies={"anomaly_id": ANOMALY_ID, "object": "payment", "object_id": payment_id, "kind": "late_success",
                   "detail": "paid", "source": "callback", "found_at": at(20)},
    )  # fmt: skip
    goes_back = {"verb": "refund", "object_id": REFUND_ID, "intent_id": UUID(int=8), "number": "r-1", "amount": 4000}
    await write(engine, intents=ATTEMPT | goes_back | {"channel_transaction_no": "T-10"})
    await write(
        engine,
        orders=order_of({"app": "shop", "merchant_order_no": "CO-1"}, "checkout", CHECKOUT_ID),  # type: ignore[arg-type]
        checkouts={"checkout_id": CHECKOUT_ID, "app": "shop", "merchant_order_no": "CO-1", "purpose": "pay",
                   "user_id": "u1", "amount": 777, "currency": "CNY", "methods": ["quick"], "return_url": "",
                   "status": "open", "tries": 1, "codes": 0, "sequence": 0, "expires_at": at(60), "until_at": at(60),
                   "created_at": NOW, "metadata": {}},
    )  # fmt: skip
    return payment_id


def found_ids(found: Found[Any]) -> list[UUID]:
    return [each.payment_id for each in found.page]


KNOWN: list[dict[str, Any]] = [
    {"object_id": ("ref", REFUND_ID)},
    {"object_id": ("auth", AUTHENTICATION_ID)},
    {"object_id": ("co", CHECKOUT_ID)},
    {"object_id": ("evt", EVENT_ID)},
    {"object_id": ("ano", ANOMALY_ID)},
    {"merchant_order_no": "A-0"},
    {"merchant_order_no": "R-1"},
    {"merchant_order_no": "CO-1"},
    {"channel_order_no": "n-0"},
    {"channel_order_no": "r-1"},
    {"channel_transaction_no": "T-9"},
    {"channel_transaction_no": "T-10"},
    {"card_id": UUID(int=3)},
    {"card_ends": ("622202", "1234")},
    {"merchant_order_no": "A-0", "channel_transaction_no": "T-10", "channel_order_no": "n-0"},
    {"merchant_order_no": "A-0", "card_ends": ("622202", "1234"), "card_id": UUID(int=3)},
]


@pytest.mark.parametrize("known", KNOWN, ids=str)
async def test_a_payment_is_found_by_any_reference(
    operators: OperatorSearch, payment_id: UUID, known: dict[str, Any]
) -> None:
    by = Reference(**known)
    assert found_ids(await operators.find(MERCHANT, by, PaymentFilter(), NOW)) == [payment_id]
    assert await operators.find(OTHER, by, PaymentFilter(), NOW) == Found([])
    fit: list[PaymentFilter] = [
        PaymentFilter(amount=777, user_id="u1"),
        PaymentFilter(status=Status.PROCESSING, app="shop", business_day=DAY),
    ]
    for wanted in fit:
        assert found_ids(await operators.find(MERCHANT, by, wanted, NOW)) == [payment_id]
    fit_not = [
        PaymentFilter(amount=778),
        PaymentFilter(channel="up"),
        PaymentFilter(status=Status.CLOSED),
        PaymentFilter(app="books"),
        PaymentFilter(user_id="u9"),
        PaymentFilter(business_day=DAY + timedelta(days=1)),
        PaymentFilter(before=payment_id),
    ]
    for wanted in fit_not:
        assert await operators.find(MERCHANT, by, wanted, NOW) == Found([])


@pytest.mark.parametrize(
    "unknown",
    [
        {"object_id": ("pay", UUID(int=99))},
        {"object_id": ("evt", UUID(int=99))},
        {"merchant_order_no": "A-99"},
        {"channel_order_no": UUID(int=99).hex},
        {"channel_transaction_no": "T-99"},
        {"card_id": UUID(int=99)},
        {"card_ends": ("622202", "9999")},
        {"merchant_order_no": "A-0", "channel_transaction_no": "T-99"},
        {"merchant_order_no": "A-0", "card_ends": ("622202", "9999")},
        {"merchant_order_no": "A-1", "card_id": UUID(int=3)},
        {"card_id": UUID(int=3), "card_ends": ("622202", "9999")},
    ],
    ids=str,
)
async def test_a_reference_of_nothing_finds_nothing(
    operators: OperatorSearch, payment_id: UUID, unknown: dict[str, Any]
) -> None:
    assert await operators.find(MERCHANT, Reference(**unknown), PaymentFilter(), NOW) == Found([])


async def test_our_number_of_what_was_never_sent_finds_it_too(
    engine: AsyncEngine, operators: OperatorSearch, payment_id: UUID
) -> None:
    unsent = id_at(at(7), 7)
    await pay(engine, 7, payment_id=unsent, channel_order_no=unsent.hex)
    by = Reference(channel_order_no=unsent.hex)
    assert found_ids(await operators.find(MERCHANT, by, PaymentFilter(), NOW)) == [unsent]


async def test_a_day_is_the_business_day_and_filters_alone_look_at_the_last_24_hours(
    engine: AsyncEngine, operators: OperatorSearch, payment_id: UUID
) -> None:
    old = await pay(engine, 8, payment_id=id_at(at(-90_000)), created_at=at(-90_000), amount=777)
    evening = {"payment_id": id_at(at(-50_000)), "created_at": at(-50_000), "business_day": date(2026, 2, 28)}
    await pay(engine, 9, user_id="u4", **evening)

    async def found(**wanted: Any) -> list[UUID]:
        return found_ids(await operators.find(MERCHANT, Reference(), PaymentFilter(**wanted), at(100)))

    assert len(await found()) == 3
    assert await found(amount=777) == [payment_id]
    assert await found(amount=777, user_id="u1") == [payment_id, old]
    assert await found(business_day=DAY, amount=777) == [payment_id]
    assert [len(await found(business_day=day)) for day in (DAY, date(2026, 2, 28), date(2026, 2, 27))] == [2, 1, 0]


@pytest.mark.usefixtures("looks_at_little")
async def test_a_search_that_matches_little_is_cut_and_goes_on_to_the_end(engine: AsyncEngine, reader: Reader) -> None:
    rare = {3, 20}
    made = {n: await pay(engine, n, **(FAILED | {"finished_at": at(n)} if n in rare else {})) for n in range(30)}
    await pay(engine, 40, app="books")
    seen: list[UUID] = []
    cuts, before = 0, None
    while True:
        found = await reader.payments(MERCHANT, "shop", PaymentFilter(status=Status.FAILED, limit=3, before=before))
        seen += found_ids(found)
        if found.cut_at is None:
            break
        cuts, before = cuts + 1, found.cut_at
    assert seen == [made[20], made[3]]
    assert cuts == 30 // LOOKED_AT
    # What is asked for by a number or is on the first page is not cut.
    assert (await reader.payments(MERCHANT, "shop", PaymentFilter(merchant_order_no="A-0"))).cut_at is None
    assert (await reader.payments(MERCHANT, "shop", PaymentFilter(limit=5))).cut_at is None


@pytest.mark.usefixtures("looks_at_little")
async def test_payments_of_many_cards_that_look_alike_come_newest_first_each_once(
    engine: AsyncEngine, operators: OperatorSearch
) -> None:
    made: list[UUID] = []
    for n in range(24):
        user = f"u{n % 3}"
        if n < 3:
            await add_card(engine, 10 + n, user, f"622202{'*' * (2 + n)}1234")
        made.append(await pay(engine, n, user_id=user, card_id=UUID(int=10 + n % 3) if n % 2 else None))
    seen: list[UUID] = []
    before = None
    while True:
        wanted = PaymentFilter(limit=3, before=before)
        found = await operators.find(MERCHANT, Reference(card_ends=("622202", "1234")), wanted, NOW)
        seen += found_ids(found)
        before = found.page[-1].payment_id if len(found.page) == wanted.limit else found.cut_at
        if before is None:
            break
    assert seen == [made[n] for n in range(23, 0, -2)]


@pytest.mark.usefixtures("looks_at_little")
async def test_events_of_a_rare_type_are_looked_for_by_pages(engine: AsyncEngine, reader: Reader) -> None:
    async with engine.begin() as connection:
        for n in range(20):
            row = {"event_id": id_at(at(n), n), "app": "shop", "object": "payment", "object_id": UUID(int=n + 1),
                   "type": "payment.failed" if n == 2 else "payment.succeeded", "sequence": 1, "body": b"{}",
                   "deliveries": 0, "created_at": at(n), "merchant_id": MERCHANT}  # fmt: skip
            await connection.execute(insert(events).values(row))
    asked: dict[str, Any] = {"of": None, "event_type": "payment.failed", "limit": 5}
    first = await reader.events(MERCHANT, "shop", before=None, **asked)
    assert (first.page, first.cut_at) == ([], id_at(at(12), 12))
    second = await reader.events(MERCHANT, "shop", before=first.cut_at, **asked)
    third = await reader.events(MERCHANT, "shop", before=second.cut_at, **asked)
    assert [each.event_id for each in third.page] == [id_at(at(2), 2)]
    assert third.cut_at is None


async def test_a_search_that_takes_too_long_is_cut_and_is_no_database_that_is_away(
    engine: AsyncEngine, database_url: str, payment_id: UUID
) -> None:
    slow = create_engine(database_url, 1, statement_timeout_ms=50)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("LOCK TABLE payments, events, orders"))
            with pytest.raises(SearchCutError):
                await Reader(slow, database_on(engine), KEYS, ZONE).payments(MERCHANT, "shop", PaymentFilter())
            with pytest.raises(SearchCutError):
                await OperatorSearch(slow, ZONE).find(
                    MERCHANT, Reference(merchant_order_no="A-0"), PaymentFilter(), NOW
                )
    finally:
        await close(slow)


async def test_a_decision_is_explained_by_any_id_or_number(
    engine: AsyncEngine, database_url: str, operators: OperatorSearch
) -> None:
    process = Process(engine, new_keys(), PAYS)
    opened, other = await process.open_one(), await process.open_one(user_id="u2")
    async with engine.begin() as connection:
        merchant_id = opened.merchant_id
        await connection.execute(insert(merchants).values(merchant_id=merchant_id, code="acme", name="Acme"))
        await connection.execute(insert(apps).values(merchant_id=merchant_id, code=opened.app, name="Shop"))
        assert opened.account is not None
        account = {"code": opened.account, "provider": "p", "settings": {}, "secrets": b"", "terms": {}}
        await connection.execute(insert(accounts).values({"merchant_id": merchant_id} | account))
    await process.heard(opened, Succeeded(1000, "theirs-1"))
    shown = show(PAYMENT, opened.payment_id)
    whole = await explain_payment(database_url, shown)
    for named in (opened.merchant_order_no, opened.channel_order_no or "", "theirs-1"):
        assert await explain_payment(database_url, named) == [f"{named} is payment {shown} of app shop.", *whole]

    await process.heard(other, Succeeded(1000, "theirs-1"))
    for named, why in (("theirs-1", "2 payments go by theirs-1; name one of them by its id: pay_"),
                       ("A-99", "no payment in this database goes by A-99"),
                       ("card_01h2xcejqtf2nbrexx3vqjhp41", "name a payment by an id or a number of it")):  # fmt: skip
        with pytest.raises(LocalError, match=re.escape(why)):
            await explain_payment(database_url, named)
