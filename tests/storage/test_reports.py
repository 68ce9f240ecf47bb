"""Reports and bills: what the database sums is what a plain loop over the same rows sums.

Not here: the arithmetic of one row (tests/unit/domain/test_reports), the calls and the command (test_report_calls).
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.reports import COUNTED, Bill, BillLine, By, Charge, Days, Figures, month_of, saving
from gateway.storage.reading.reports import BILL, Reports, report_sql
from router.record import from_record
from tests.storage.cluster_shape import against_the_shape
from tests.storage.flush_sql import readable
from tests.storage.small_books import CHANNELS, MERCHANT, ZONE, Books, Row, put, small_books

MARCH: Final = month_of(2026, 3)
EACH: Final = (
    (),
    (By.DAY,),
    (By.MONTH,),
    (By.CHANNEL,),
    (By.SCENE, By.BANK),
    (By.DAY, By.CHANNEL, By.BANK, By.SCENE),
)
NOT_SENT: Final = (None, "not_sent", "not_received")


def local_day(at: datetime) -> date:
    return at.astimezone(ZONE).date()


class Naive:
    """The same sums, row by row."""

    def __init__(self, books: Books, days: Days) -> None:
        self.books, self.days = books, days
        self.decisions = {row["object_id"]: row["decision"] for row in books.decisions}
        self.payments = {row["payment_id"]: row for row in books.payments}
        self.taken = {row["corrects"] for row in books.payments if row.get("corrects") and row["corrects_no"] is None}
        self.states = {row["object_id"]: row["state"] for row in books.intents}
        self.verified = {(row["card_id"], row["account"]) for row in books.agreements}

    def mine(self, rows: Sequence[Row], day: Callable[[Row], date] = lambda row: row["business_day"]) -> Iterator[Row]:
        yield from (r for r in rows if r["merchant_id"] == MERCHANT and self.days.first <= day(r) <= self.days.last)

    def is_late(self, row: Row) -> bool:
        if "route_id" in row:
            return bool(row["late_success"])
        return row["status"] != "succeeded" and row["fee"] is not None and row["payment_id"] not in self.taken

    def was_sent(self, row: Row) -> bool:
        return self.states.get(row["authentication_id"]) not in NOT_SENT

    def disagrees(self, row: Row) -> bool:
        elsewhere = any(card == row["card_id"] and account != row["account"] for card, account in self.verified)
        refused = self.states.get(row["authentication_id"]) == "declined" and row["failure_code"] != "sms_code_wrong"
        return row["status"] == "failed" and (row["contradicts"] or (refused and elsewhere))

    def report(self, by: Sequence[By]) -> dict[tuple[Any, ...], Figures]:
        sums: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0))
        times: dict[tuple[Any, ...], list[int]] = defaultdict(list)

        def at(day: date, channel: str | None, bank: str, scene: str | None) -> tuple[Any, ...]:
            said = {By.DAY: day, By.MONTH: day.replace(day=1), By.CHANNEL: channel, By.BANK: bank, By.SCENE: scene}
            return tuple(said[each] for each in by)

        for row in (*self.mine(self.books.payments), *self.mine(self.books.routes)):
            key = at(row["business_day"], row.get("channel"), row["bank"], row["scene"])
            self._count(row, sums[key])
            if row["status"] in ("succeeded", "failed") and "payment_id" in row and self._is_attempt(row):
                times[key].append(round((row["finished_at"] - row["created_at"]).total_seconds() * 1000))
        for row in self.mine(self.books.authentications, lambda row: local_day(row["created_at"])):
            scene = self.payments[row["payment_id"]]["scene"] if row["payment_id"] else None
            found = sums[at(local_day(row["created_at"]), row["channel"], row["bank"], scene)]
            found["authentications"] += self.was_sent(row)
            found["authentication_fee"] += row["fee"] * self.was_sent(row)
            found["disagreements"] += self.disagrees(row)
        for row in self.mine(self.books.refunds):
            of = self.payments[row["payment_id"]]
            found = sums[at(row["business_day"], of["channel"], of["bank"], of["scene"])]
            if row["status"] == "succeeded":
                found["refunds"] += 1
                found["refunded"] += row["amount"]
                found["fee_returned"] += row["fee_returned"] or 0
            if row["status"] == "returned":
                found["refunds_returned"] += 1
                found["refunds_returned_amount"] += row["amount"]
        for row in self.mine(self.books.payouts):
            found = sums[at(row["business_day"], row["channel"], row["payee_bank"], None)]
            found["payout_fee"] += row["fee"] or 0
            if row["status"] in ("succeeded", "returned"):
                names = ("payouts", "paid_out") if row["status"] == "succeeded" else RETURNED
                found[names[0]] += 1
                found[names[1]] += row["amount"]
        figures = {key: Figures(**found, **_percentiles(times[key])) for key, found in sums.items()}
        return {key: found for key, found in figures.items() if found != Figures()}

    def _is_attempt(self, row: Row) -> bool:
        return row.get("channel") is not None and row.get("corrects") is None

    def _count(self, row: Row, found: dict[str, int]) -> None:
        paid = row["status"] == "succeeded"
        found["payments"] += paid
        found["amount"] += row["amount"] * paid
        found["late_payments"] += self.is_late(row)
        found["late_amount"] += row["amount"] * self.is_late(row)
        found["fee"] += (row["fee"] or 0) * (paid or self.is_late(row))
        found["refused"] += row.get("channel") is None
        if not self._is_attempt(row):
            return
        found["attempts"] += 1
        found["succeeded"] += paid
        found["failed"] += row["status"] == "failed"
        found["failed_by_channel"] += row["status"] == "failed" and row["failure_blame"] == "channel"
        found["closed"] += row["status"] == "closed"
        found["open"] += row["finished_at"] is None
        if paid:
            saved = saving(from_record(self.decisions[row.get("payment_id") or row["route_id"]]))
            found["saved"] += saved.saved
            found["kept"] += saved.kept
            found["kept_cost"] += saved.kept_cost

    def bill(self, channel: str) -> Bill:
        lines: dict[tuple[Charge, str | None, str], list[int]] = defaultdict(lambda: [0, 0, 0])

        def add(charge: Charge, scene: str | None, bank: str, amount: int, fee: int) -> None:
            line = lines[charge, scene, bank]
            line[0], line[1], line[2] = line[0] + 1, line[1] + amount, line[2] + fee

        still_open = 0
        for row in (*self.mine(self.books.payments), *self.mine(self.books.routes)):
            if row.get("channel") == channel and (row["status"] == "succeeded" or self.is_late(row)):
                add(Charge.PAYMENT, row["scene"], row["bank"], row["amount"], row["fee"])
            still_open += row.get("channel") == channel and row["finished_at"] is None
        for row in self.mine(self.books.authentications, lambda row: local_day(row["created_at"])):
            if row["channel"] == channel and self.was_sent(row):
                scene = self.payments[row["payment_id"]]["scene"] if row["payment_id"] else None
                add(Charge.AUTHENTICATION, scene, row["bank"], 0, row["fee"])
        for row in self.mine(self.books.payouts):
            if row["channel"] == channel and row["fee"] is not None:
                add(Charge.PAYOUT, None, row["payee_bank"], row["amount"], row["fee"])
            still_open += row["channel"] == channel and row["finished_at"] is None
        for row in self.mine(self.books.refunds):
            of = self.payments[row["payment_id"]]
            if of["channel"] == channel and row["status"] == "succeeded":
                add(Charge.REFUND, of["scene"], of["bank"], row["amount"], -(row["fee_returned"] or 0))
        found = [BillLine(*key, *line) for key, line in lines.items()]
        return Bill(channel, self.days, in_order(found), still_open)


RETURNED: Final = ("payouts_returned", "payouts_returned_amount")


def in_order(lines: Sequence[BillLine]) -> list[BillLine]:
    order = list(Charge)
    return sorted(lines, key=lambda line: (order.index(line.charge), line.scene or "", line.bank or ""))


def _percentiles(times: list[int]) -> dict[str, int]:
    """The least time within which so many of them were final."""
    times.sort()
    return {f"p{part}_ms": times[max(0, -(-len(times) * part // 100) - 1)] for part in (50, 99)} if times else {}


PAGE: Final = Path(__file__).parents[2] / "docs" / "reports.sql"
ABOUT: Final = """\
-- What `sluice report --by day,channel` sends. Written by
-- `SLUICE_WRITE_SQL=1 .venv/bin/python -m pytest tests/storage/test_reports.py -k page`;
-- that test holds it to what is sent.
"""


def numbered(sql: str) -> str:
    """As the server gets it: each name is a number."""
    return re.sub(r"(?<!:):[a-z_]+", "$1", sql)


def test_the_page_shows_what_is_sent() -> None:
    shown = f"{ABOUT}{readable(report_sql((By.DAY, By.CHANNEL)))}\n"
    if os.environ.get("SLUICE_WRITE_SQL"):
        PAGE.write_text(shown, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == shown


@pytest.mark.parametrize("sql", [*map(report_sql, EACH), BILL], ids=lambda sql: sql[:40])
def test_a_report_has_the_shape_that_a_cluster_takes(sql: str) -> None:
    assert against_the_shape(numbered(sql)) == []


@pytest.fixture
def reports(engine: AsyncEngine) -> Reports:
    return Reports(engine, ZONE)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_report_sums_what_a_loop_over_the_rows_sums(engine: AsyncEngine, reports: Reports, seed: int) -> None:
    books = small_books(seed)
    await put(engine, books)
    for days in (MARCH, Days(date(2026, 3, 1), date(2026, 3, 1)), Days(date(2026, 2, 1), date(2026, 4, 30))):
        naive = Naive(books, days)
        for by in EACH:
            rows = [row async for row in reports.rows(MERCHANT, days, by)]
            assert {row.key: row.figures for row in rows} == naive.report(by)
            assert len(rows) == len({row.key for row in rows})


@pytest.mark.parametrize("seed", [4, 5])
async def test_a_bill_sums_what_a_loop_over_the_rows_sums(engine: AsyncEngine, reports: Reports, seed: int) -> None:
    books = small_books(seed)
    await put(engine, books)
    for channel in CHANNELS:
        expected = Naive(books, MARCH).bill(channel)
        assert expected.lines
        assert await reports.bill(MERCHANT, channel, MARCH) == expected


async def test_the_bills_of_all_channels_are_the_fees_of_the_report(engine: AsyncEngine, reports: Reports) -> None:
    await put(engine, small_books(6))
    (all_of_it,) = [row.figures async for row in reports.rows(MERCHANT, MARCH, ())]
    bills = [await reports.bill(MERCHANT, channel, MARCH) for channel in CHANNELS]
    owed = all_of_it.fee + all_of_it.authentication_fee + all_of_it.payout_fee - all_of_it.fee_returned
    assert sum(bill.fee for bill in bills) == owed


async def test_where_nothing_happened_there_is_no_row(engine: AsyncEngine, reports: Reports) -> None:
    await put(engine, small_books(7))
    far = Days(date(2030, 1, 1), date(2030, 1, 31))
    for by in EACH:
        assert [row async for row in reports.rows(MERCHANT, far, by)] == []
    assert await reports.bill(MERCHANT, "tl", far, invoiced=5) == Bill("tl", far, [], 0, 5)


async def test_rows_come_by_key_and_what_is_of_nothing_last(engine: AsyncEngine, reports: Reports) -> None:
    await put(engine, small_books(8))
    keys = [row.key async for row in reports.rows(MERCHANT, MARCH, (By.CHANNEL, By.DAY))]
    assert keys == sorted(keys, key=lambda key: (key[0] is None, key))
    assert {key[0] for key in keys} == {*CHANNELS, None}
