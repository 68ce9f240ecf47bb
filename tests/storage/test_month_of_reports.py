"""A month of payments, refunds and payouts as the gateway takes them, with new prices in the middle of it.

The report's sums are those of the books, and each channel's bill is what the sandbox's statements say that it took,
which is told the prices of each day and nothing of our books. Not here: authentications, which no statement states.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.outcomes import Declined, Outcome, Succeeded
from gateway.domain.payees import PayeeType
from gateway.domain.payments import Payment
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.prices import Price
from gateway.domain.reports import By, Charge, month_of, saving
from gateway.domain.statuses import Status
from gateway.flows.observations import key_of
from gateway.flows.payout_rules import rules_in_force
from gateway.ports import Observation
from gateway.run.demo.fees import schedule_of
from gateway.storage.reading.reports import Reports
from router.fees import Fee, FixedFee, PercentFee
from router.record import from_record
from sandbox.books import Order
from sandbox.fees import Fees
from tests.keys import new_keys
from tests.storage.gateway_process import TIMEZONE, Process, payment_in
from tests.unit.domain.samples import MERCHANT_ID, card_elements, catalogue, channel, rule

MARCH, MIDDLE = month_of(2026, 3), date(2026, 3, 16)
TL: Final[tuple[Fee, Fee]] = (PercentFee(Decimal("0.002"), min=20), PercentFee(Decimal("0.0015"), min=30))
UP: Final[tuple[Fee, Fee]] = (FixedFee(100), PercentFee(Decimal("0.001"), max=90))
OUT: Final[tuple[Fee, Fee]] = (FixedFee(200), FixedFee(150))
PLACE: Final = catalogue(
    (channel("tl"), channel("up")),
    tuple(
        replace(rule(code), fee=before, fees=(Price(MIDDLE, after),))
        for code, (before, after) in {"tl": TL, "up": UP}.items()
    ),
    payout_rules=tuple(
        PayoutRule(MERCHANT_ID, "up", payee, "*", True, OUT[0], fees=(Price(MIDDLE, OUT[1]),)) for payee in PayeeType
    ),
)
NO_MONEY = Declined(FailureCode.INSUFFICIENT_BALANCE, "51", "no")
NOT_TODAY = Declined(FailureCode.CHANNEL_REFUSED, "96", "no")
BEGINS: Final = datetime(2026, 2, 28, 16, tzinfo=UTC)
"""The first midnight of March in Shanghai."""


class Desk:
    """A provider's statements, which know its prices of each day and what was done there."""

    def __init__(self, before: Fee, after: Fee) -> None:
        self.prices = (Fees(), Fees())
        for fees, fee, out in zip(self.prices, (before, after), OUT, strict=True):
            back = {"rate_ppm": 500, "gives_back": True}
            fees.say({"payment": schedule_of(fee), "payout": schedule_of(out), "refund": back})
        self.taken: dict[str, list[int]] = defaultdict(list)

    def take(self, kind: str, amount: int, day: date) -> int:
        """The fee of a row of its statement."""
        done: Any = {"payment": "withhold"}.get(kind, kind)
        fees = self.prices[day >= MIDDLE]
        fee = fees.of(kind, Order("S1", done, amount, "CNY", "622202******1234", 0.0, 0.0, 0.0, "", ""))
        self.taken[kind].append(fee)
        return fee


class Month:
    """What was done, and by whom it was heard."""

    def __init__(self, process: Process) -> None:
        self.process, self.dice = process, random.Random(7)
        self.desks = {"tl": Desk(*TL), "up": Desk(*UP)}
        self.payments: list[Payment] = []
        self.refunded, self.paid_out = 0, 0

    async def day(self, day: date) -> None:
        """A day of payments from its first moment to its last one, some of which are refunded and paid on."""
        midnight = BEGINS + timedelta(days=(day - MARCH.first).days)
        ends = midnight + timedelta(days=1)
        times = [midnight, *(midnight + timedelta(seconds=self.dice.randrange(86_000)) for _ in range(8))]
        for at in [*sorted(times), ends - timedelta(microseconds=1)]:
            number = self.dice.randrange(6)
            asked = {
                "amount": self.dice.randrange(1_000, 200_000),
                "user_id": f"u{number}",
                "card": card_elements(number),
            }
            payment = await self.process.open_one(now=at, **asked)
            assert payment.channel is not None
            said: list[Outcome] = [Succeeded(payment.amount), NO_MONEY, NOT_TODAY]
            (outcome,) = self.dice.choices(said, [8, 1, 1])
            payment = payment_in(await self.process.heard(payment, outcome, at=at + timedelta(milliseconds=700)))
            self.payments.append(payment)
            if payment.status is Status.SUCCEEDED:
                self.desks[payment.channel or ""].take("payment", payment.amount, payment.business_day)
                await self._leaves(payment, at)

    async def _leaves(self, payment: Payment, at: datetime) -> None:
        assert payment.channel is not None
        if self.dice.random() < 0.2:
            amount = payment.amount // 2
            refund = (await self.process.refund(payment, amount)).refund
            fee = self.desks[payment.channel].take("refund", amount, payment.business_day)
            await self.process.heard_of_refund(refund, Succeeded(amount, fee_returned=-fee), at=at)
            self.refunded += amount
        elif payment.channel == "up":
            payout = (await self.process.pay_out(payment.amount, payment)).payout
            word = Observation(key_of(payout), Source.POLL, Succeeded(payment.amount), at, uuid4())
            await self.process.books.record(word)
            self.desks["up"].take("payout", payment.amount, payment.business_day)
            self.paid_out += payment.amount


@pytest.fixture
async def month(engine: AsyncEngine) -> Month:
    process = Process(engine, new_keys(), PLACE)
    process.payout_rules = rules_in_force(lambda: PLACE, TIMEZONE)
    month = Month(process)
    for number in range((MARCH.last - MARCH.first).days + 1):
        await month.day(MARCH.first + timedelta(days=number))
    return month


def paid(payments: Iterable[Payment]) -> list[Payment]:
    return [payment for payment in payments if payment.status is Status.SUCCEEDED]


async def test_a_months_sums_are_the_books_and_its_bills_are_what_the_statements_took(
    month: Month, engine: AsyncEngine
) -> None:
    reports, books = Reports(engine, TIMEZONE), month.payments
    (whole,) = [row.figures async for row in reports.rows(MERCHANT_ID, MARCH, ())]
    succeeded = paid(books)
    assert (whole.payments, whole.amount) == (len(succeeded), sum(payment.amount for payment in succeeded))
    assert whole.fee == sum(payment.fee or 0 for payment in succeeded)
    assert (whole.attempts, whole.failed) == (len(books), len(books) - len(succeeded))
    assert (whole.refunded, whole.paid_out) == (month.refunded, month.paid_out)
    assert (whole.p50_ms, whole.p99_ms) == (700, 700)
    for code, desk in month.desks.items():
        bill = await reports.bill(MERCHANT_ID, code, MARCH)
        of = {charge: sum(line.fee for line in bill.lines if line.charge is charge) for charge in Charge}
        assert of[Charge.PAYMENT] == sum(desk.taken["payment"]) > 0
        assert of[Charge.REFUND] == sum(desk.taken["refund"]) < 0
        assert of[Charge.PAYOUT] == sum(desk.taken["payout"])
        assert bill.fee == sum(map(sum, desk.taken.values()))
        assert bill.open == 0


async def test_each_day_costs_what_its_prices_say_to_its_edges(month: Month, engine: AsyncEngine) -> None:
    by_day = {row.key[0]: row.figures async for row in Reports(engine, TIMEZONE).rows(MERCHANT_ID, MARCH, (By.DAY,))}
    for day, figures in by_day.items():
        assert isinstance(day, date)
        desks = {code: Desk(*prices) for code, prices in {"tl": TL, "up": UP}.items()}
        of_day = [payment for payment in paid(month.payments) if payment.business_day == day]
        assert figures.fee == sum(
            desks[payment.channel or ""].take("payment", payment.amount, day) for payment in of_day
        )
    assert len(by_day) == 31


async def test_what_choices_saved_is_what_their_decisions_say(month: Month, engine: AsyncEngine) -> None:
    (whole,) = [row.figures async for row in Reports(engine, TIMEZONE).rows(MERCHANT_ID, MARCH, ())]
    records = dict(await month.process.rows("SELECT object_id, decision FROM decisions"))
    savings = [saving(from_record(_read(records[payment.payment_id]))) for payment in paid(month.payments)]
    assert whole.saved == sum(each.saved for each in savings) > 0
    assert whole.kept == sum(each.kept for each in savings) > 0
    assert whole.kept_cost == sum(each.kept_cost for each in savings) > 0


def _read(record: Any) -> Any:
    return orjson.loads(record) if isinstance(record, str | bytes) else record
