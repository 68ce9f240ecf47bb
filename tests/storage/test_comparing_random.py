"""Any small books and any statements of three days: the SQL finds what a matcher in plain Python finds.

What is drawn are orders of ours, each with the lines that a PSP may have for it: those that agree and those that
differ, on its day or another, in any order of rows. What waits for a person is told, once. The matcher is
naive_matcher; where the two are not of one mind, a story of it belongs into test_comparing. Not tested here: days out
of their order, payments that were taken as paid.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import time, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ids import DIFFERENCE, show
from gateway.domain.statements import LineKind, StatementLine, day_of
from tests.databases import database_on
from tests.examples import examples
from tests.storage.naive_matcher import Entry, Found, NaiveMatcher, counts
from tests.storage.reconciling_desk import ACCOUNT, DAY, MERCHANT, Desk, Line, at, counted

DAYS: Final = range(3)
CLOCKS: Final = ("00:05", "00:20", "00:40", "12:00", "22:20", "22:50", "23:10", "23:20", "23:50")
KINDS: Final = {"pay": LineKind.PAYMENT, "refund": LineKind.REFUND, "payout": LineKind.PAYOUT}
STATES: Final = ("done", "done", "done", "open", "open", "declined", "not_received", "returned")
PLANS: Final = (
    "agrees", "agrees", "agrees", "none", "amount", "fee", "no fee", "no time", "refused", "only refused", "twin",
    "the next day, too", "the next day", "the day before", "wrong side", "came back", "came back twice",
    "another amount, too", "another fee, too", "did not come back", "original",
)  # fmt: skip
FOUND: Final = """
SELECT d.class, d.side, coalesce(d.number, '-') AS number, d.ordinal IS NOT NULL AS is_line, d.amount, d.paid, d.fee,
    d.done_at, d.turn, d.word
FROM differences d WHERE d.merchant_id = $1 AND d.account = $2 AND d.day = $3 AND d.state <> 'superseded'
"""
TOLD: Final = """
SELECT convert_from(body, 'UTF8')::jsonb -> 'data' ->> 'id' FROM events WHERE type = 'reconciliation.difference_found'
"""
OF_PEOPLE: Final = """
SELECT difference_id FROM differences WHERE day = $1 AND state = 'open' AND class <> 'suspense'
"""
RESOLVES: Final = """
UPDATE differences SET state = 'resolved', resolved_at = now(), resolved_by = 'ann', note = 'seen'
WHERE class = 'short' AND state = 'open'
"""
Row = tuple[object, ...]


@pytest.fixture
async def desk(engine: AsyncEngine, alone: Any) -> Desk:
    return Desk(alone, database_on(engine))


@dataclass
class Case:
    """Books, the lines of each day, and what happens between the days."""

    entries: list[Entry]
    lines: list[list[StatementLine]]
    cut: str
    tells: bool
    """Our books hear in the morning what the statement said."""
    resolves: bool
    """A person closes what is short."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    cut = draw(st.sampled_from(("00:00", "00:00", "23:00", "00:30")))
    entries: list[Entry] = []
    lines: list[list[StatementLine]] = [[] for _ in DAYS]
    for n in range(draw(st.integers(0, 6))):
        verb = draw(st.sampled_from(("pay", "pay", "refund", "payout")))
        state = draw(st.sampled_from(STATES))
        sent = at(draw(st.sampled_from(CLOCKS)), draw(st.integers(-1, 2)))
        # What ended was done at once, a while later, or at a time that the PSP does not tell.
        late = draw(st.sampled_from((None, timedelta(seconds=30), timedelta(hours=1), timedelta(days=1))))
        entry = Entry(
            f"{verb}{n}", verb, draw(st.sampled_from((100, 200))), state, sent, fee=draw(st.sampled_from((None, 3)))
        )
        if verb == "pay" and state == "returned":
            entry.state = "done"
        if entry.state != "open":
            entry.done_at = sent + late if late is not None and entry.took else None
            entry.ended_at = entry.done_at or sent
        if entry.state == "returned":
            entry.ended_at = entry.moment("out") + draw(st.sampled_from((timedelta(hours=1), timedelta(days=1))))
        if verb == "refund":
            entry.fee = entry.fee and -entry.fee
            entry.of = f"paid{n}"
            entries.append(Entry(entry.of, "pay", 500, "declined", at("09:00", -9), ended_at=at("09:00", -9)))
        entries.append(entry)
        if verb == "pay" and not entry.took and draw(st.booleans()):
            again = sent + draw(st.sampled_from((timedelta(minutes=5), timedelta(days=1))))
            state = draw(st.sampled_from(("done", "open", "declined")))
            ended = None if state == "open" else again
            entries.append(Entry(entry.number, verb, entry.amount, state, again, None, ended, entry.fee, turn=2))
        for of in entries[-2:]:
            if of.number == entry.number:
                for plan in draw(st.lists(st.sampled_from(PLANS), min_size=1, max_size=2)):
                    for day, line in _lines(of, plan, time.fromisoformat(cut)):
                        if day in DAYS:
                            lines[day].append(line)
    for day in DAYS:
        for number in draw(st.lists(st.sampled_from(("x", "y", None)), max_size=2)):
            kind = draw(st.sampled_from(list(LineKind)))
            when = at(draw(st.sampled_from(CLOCKS)), day + draw(st.integers(0, 2)))
            lines[day].append(Line(number, 7, kind, when, paid=draw(st.booleans())))
        lines[day] = draw(st.permutations(lines[day]))
    return Case(entries, lines, cut, draw(st.booleans()), draw(st.booleans()))


def _lines(entry: Entry, plan: str, cut: time) -> Iterable[tuple[int, StatementLine]]:
    """What a PSP has of an order, and on which day."""
    moment = entry.moment("out")
    day = (day_of(moment, cut) - DAY).days
    line = Line(entry.number, entry.amount, KINDS[entry.verb], moment, fee=entry.fee)
    back = Line(entry.number, entry.amount, LineKind.RETURN, entry.moment("back"))
    came_back = (day_of(entry.moment("back"), cut) - DAY).days
    told: dict[str, list[tuple[int, StatementLine]]] = {
        "agrees": [(day, line)],
        "none": [],
        "amount": [(day, line._replace(amount=entry.amount + 1))],
        "fee": [(day, line._replace(fee=4))],
        "no fee": [(day, line._replace(fee=None))],
        "no time": [(day, line._replace(at=None))],
        "refused": [(day, line._replace(paid=False)), (day, line)],
        "only refused": [(day, line._replace(paid=False))],
        "another amount, too": [(day, line._replace(amount=1)), (day, line)],
        "another fee, too": [(day, line._replace(fee=1)), (day, line)],
        "twin": [(day, line), (day, line)],
        "the next day, too": [(day, line), (day + 1, line)],
        "the next day": [(day + 1, line._replace(at=moment + timedelta(days=1)))],
        "the day before": [(day - 1, line._replace(at=moment - timedelta(minutes=20)))],
        "wrong side": [(day, line._replace(kind=LineKind.OUT if entry.verb == "pay" else LineKind.PAYMENT))],
        "original": [(day, line._replace(number=None, original=entry.of))],
        "came back": [(day, line), (came_back, back)],
        "came back twice": [(came_back, back), (came_back + 1, back)],
        "did not come back": [(day, line), (came_back, back._replace(paid=False))],
    }
    return told[plan]


async def _has(desk: Desk, entries: list[Entry]) -> None:
    for each in entries:
        await desk.has(each.number, each.amount, each.verb, "open", each.sent, turn=each.turn, account="up-2")
    seen: set[str] = set()
    for each in entries:
        again = each.number in seen
        seen.add(each.number)
        await desk.has(
            each.number, each.amount, each.verb, each.state, each.sent, done_at=each.done_at, ended_at=each.ended_at,
            fee=None if again else each.fee, turn=each.turn, of=each.of, same_as=each.number if again else None,
        )  # fmt: skip


def _word(found: Found) -> str | None:
    """What our books are to hear."""
    if found.name == "lost":
        return "not_received"
    if found.line is None or found.entry is None:
        return None
    if found.side == "back":
        unheard = found.name == "returned" and found.entry.stands("back") == "unknown"
        return "returned" if found.name in ("long", "amount_mismatch") or unheard else None
    if found.name == "settled":
        return "succeeded" if found.line.paid else "declined"
    return {"long": "succeeded", "amount_mismatch": "succeeded", "status_mismatch": "declined"}.get(found.name)


def _rows(found: Iterable[Found]) -> Counter[Row]:
    """What differs, as it stands in the differences of a day; plain matches leave nothing."""
    rows: Counter[Row] = Counter()
    for each in found:
        word = _word(each)
        if each.stays or (each.name in ("matched", "returned") and word is None):
            continue
        line, entry = each.line, each.entry
        waits = line is not None and each.name == "suspense"
        number = line.number if line else entry.number if entry else None
        told = (line.amount, line.paid, line.fee, line.at) if line else (None, None, None, None)
        turn = entry.turn if entry and not waits else None
        rows[each.name, each.side, number or "-", line is not None, *told, turn, word] += 1
    return rows


async def _differs(desk: Desk, day: int) -> Counter[Row]:
    rows = await desk.connection.fetch(FOUND, MERCHANT, ACCOUNT, DAY + timedelta(days=day))
    return Counter(
        (
            row["class"], row["side"], row["number"], row["is_line"], row["amount"], row["paid"], row["fee"],
            row["done_at"], row["turn"], row["word"],
        )
        for row in rows
        if row["class"] not in ("matched", "returned") or row["word"]
    )  # fmt: skip


async def _hears(desk: Desk, found: Iterable[Found], day: int) -> None:
    """In the morning our books hear what the statement said of what was unknown."""
    for each in found:
        word, entry = _word(each), each.entry
        if entry is None or each.name not in ("settled", "lost", "returned") or word is None:
            continue
        entry.state = {"succeeded": "done", "returned": "returned"}.get(word, word)
        entry.ended_at = at("09:00", day + 1)
        if word == "succeeded" and each.line:
            entry.done_at = each.line.at
        done_at = entry.done_at if word == "succeeded" else None
        await desk.becomes(entry.number, entry.state, entry.ended_at, done_at, turn=entry.turn)


async def _told(desk: Desk, case: Case, turned: bool) -> list[tuple[dict[str, str], Counter[Row]]]:
    """Three days of a case; both sides of the comparison must agree on each."""
    await desk.empty()
    entries = [replace(each) for each in case.entries]
    await _has(desk, entries)
    naive = NaiveMatcher(entries, time.fromisoformat(case.cut))
    days = []
    heard: set[str] = set()
    for day in DAYS:
        lines = case.lines[day][:: -1 if turned else 1]
        found = naive.compares(day, lines)
        done = await desk.compares(day, lines, cut=case.cut)
        told = counted(done), await _differs(desk, day)
        assert told == (counts(found), _rows(found)), f"day {day}: {case}"
        heard = await _heard(desk, day, heard)
        days.append(told)
        if case.tells:
            await _hears(desk, found, day)
        if case.resolves:
            await desk.connection.execute(RESOLVES)
            naive.resolves()
    if turned and not (case.tells or case.resolves):
        # The lines of the first day once more in another order, and all days anew: nobody hears anything again.
        await desk.compares(0, case.lines[0], cut=case.cut, why="in another order")
        assert {row[0] for row in await desk.connection.fetch(TOLD)} == heard, case
    return days


async def _heard(desk: Desk, day: int, before: set[str]) -> set[str]:
    """What was told so far: with this day exactly what of it waits for a person."""
    told = [row[0] for row in await desk.connection.fetch(TOLD)]
    assert len(told) == len(set(told))
    rows = await desk.connection.fetch(OF_PEOPLE, DAY + timedelta(days=day))
    assert set(told) - before == {show(DIFFERENCE, row[0]) for row in rows}
    return set(told)


@given(case=cases())
@examples(30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_any_books_and_any_lines_have_the_classes_of_a_plain_matcher_in_any_order(desk: Desk, case: Case) -> None:
    assert await _told(desk, case, False) == await _told(desk, case, True)
