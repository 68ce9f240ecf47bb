"""What each line of a statement and each entry of ours is: a table of stories, each told day by day.

A story is what our books have, the statements in the order in which they came, and what stands in the differences
afterwards. In all of them the sums by class equal both sides'. Not tested here: loading and replacing
(test_statements), mixtures of these cases (test_comparing_random).
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.statements import LineKind
from tests.databases import database_on
from tests.storage.reconciling_desk import Desk, Line, at, counted

PAYOUT, REFUND, RETURN, OUT = LineKind.PAYOUT, LineKind.REFUND, LineKind.RETURN, LineKind.OUT
Step = Callable[[Desk], Awaitable[Any]]


@pytest.fixture
async def desk(engine: AsyncEngine, alone: Any) -> Desk:
    return Desk(alone, database_on(engine))


def has(*values: Any, **more: Any) -> Step:
    return lambda desk: desk.has(*values, **more)


def becomes(*values: Any, **more: Any) -> Step:
    return lambda desk: desk.becomes(*values, **more)


def resolves(number: str) -> Step:
    return lambda desk: desk.resolves(number)


def takes_as_paid(number: str, day: int) -> Step:
    return lambda desk: desk.takes_as_paid(number, at("08:00", day))


def run(day: int, *lines: Any, cut: str = "00:00", **classes: str) -> Step:
    """A day is compared, and these are its classes: lines/entries+unknown? (held before)."""

    async def compares(desk: Desk) -> None:
        assert counted(await desk.compares(day, lines, cut=cut)) == classes

    return compares


STORIES: dict[str, tuple[list[Step], list[str]]] = {
    "an empty day": ([run(0)], []),
    "what both have": (
        [has("n", 100, fee=3), run(0, Line("n", 100, fee=3), matched="1/1")],
        [],
    ),
    "what only they have": ([run(0, Line("n", 100), long="1/0")], ["0 long in n open"]),
    "what they have without any number": ([run(0, Line(None, 100), long="1/0")], ["0 long in - open"]),
    "what only we have": ([has("n", 100), run(0, short="0/1")], ["0 short in n open"]),
    "what they refused and we never paid": (
        [
            has("failed", 100, state="declined"),
            run(0, Line("failed", 100, paid=False), Line("nobody's", 5, paid=False), matched="2/0"),
        ],
        [],
    ),
    "what they refused and is paid here": (
        [has("n", 100), run(0, Line("n", 100, paid=False), status_mismatch="1/1")],
        ["0 status_mismatch in n open, tell declined"],
    ),
    "what they refused and we do not know": (
        [has("n", 100, state="open"), run(0, Line("n", 100, paid=False), settled="1/1")],
        ["0 settled in n resolved, tell declined"],
    ),
    "what they paid and we do not know": (
        [has("n", 100, state="open"), run(0, Line("n", 100), settled="1/1")],
        ["0 settled in n resolved, tell succeeded"],
    ),
    "what we do not know, of another amount": (
        [has("n", 100, state="open"), run(0, Line("n", 99), amount_mismatch="1/0+1?")],
        ["0 amount_mismatch in n open, tell succeeded"],
    ),
    **{
        f"what they paid and is {state} here": (
            [has("n", 100, state=state), run(0, Line("n", 100), long="1/0")],
            ["0 long in n open, tell succeeded"],
        )
        for state in ("declined", "not_received", "not_sent")
    },
    "amount before fee": (
        [
            has("both", 100, fee=3),
            has("fee", 100, fee=3),
            has("unsaid", 100, fee=3),
            has("unheard", 100),
            run(
                0,
                Line("both", 99, fee=4),
                Line("fee", 100, fee=4),
                Line("unsaid", 100),
                Line("unheard", 100, fee=7),
                amount_mismatch="1/1",
                fee_mismatch="1/1",
                matched="2/2",
            ),
        ],
        ["0 amount_mismatch in both open, tell succeeded", "0 fee_mismatch in fee open"],
    ),
    "the fee of a payment that was opened long before it was paid": (
        [
            has("n", 100, when=at("10:00", -9), done_at=at("12:00"), ended_at=at("12:00"), fee=3),
            run(0, Line("n", 100, fee=4), fee_mismatch="1/1"),
        ],
        ["0 fee_mismatch in n open"],
    ),
    "byte-identical twins": (
        [has("n", 100), run(0, Line("n", 100), Line("n", 100), Line("n", 100), matched="1/1", duplicate="2/0")],
        ["0 duplicate in n open", "0 duplicate in n open"],
    ),
    "of two lines the one that fits claims": (
        [
            has("amount", 100),
            has("fee", 100, fee=3),
            has("paid", 100),
            run(
                0,
                Line("amount", 99),
                Line("amount", 100),
                Line("fee", 100, fee=4),
                Line("fee", 100, fee=3),
                Line("paid", 100, paid=False),
                Line("paid", 100),
                matched="4/3",
                duplicate="2/0",
            ),
        ],
        ["0 duplicate in amount open", "0 duplicate in fee open"],
    ),
    "two lines for what we have not": (
        [run(0, Line("n", 100), Line("n", 100), long="1/0", duplicate="1/0")],
        ["0 duplicate in n open", "0 long in n open"],
    ),
    "the same number on two days": (
        [has("n", 100), run(0, Line("n", 100), matched="1/1"), run(1, Line("n", 100), duplicate="1/0")],
        ["1 duplicate in n open"],
    ),
    "over the cut, first on our side": (
        [
            has("n", 100, when=at("23:50")),
            run(0, suspense="0/1"),
            run(1, Line("n", 100, when=at("00:01", 1)), matched="1/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became matched"],
    ),
    "over the cut, first on their side": (
        [
            has("n", 100, when=at("00:01", 1)),
            run(0, Line("n", 100, when=at("23:59")), suspense="1/0"),
            run(1, matched="0/1 (1/0)"),
        ],
        ["0 suspense in n resolved, became matched"],
    ),
    "over the cut, and the next day shows it twice": (
        [
            has("n", 100, when=at("00:01", 1)),
            run(0, Line("n", 100, when=at("23:59")), suspense="1/0"),
            run(1, Line("n", 100, when=at("00:01", 1)), duplicate="1/0", matched="0/1 (1/0)"),
        ],
        ["0 suspense in n resolved, became matched", "1 duplicate in n open"],
    ),
    "suspense that becomes long and short": (
        [
            has("ours", 100, when=at("23:50")),
            run(0, Line("theirs", 7, when=at("23:55")), suspense="1/1"),
            run(1, long="0/0 (1/0)", short="0/0 (0/1)"),
        ],
        [
            "0 suspense in ours resolved, became short",
            "0 suspense in theirs resolved, became long",
            "1 short in ours open",
            "1 long in theirs open",
        ],
    ),
    "suspense of another amount": (
        [
            has("n", 100, when=at("23:50")),
            run(0, suspense="0/1"),
            run(1, Line("n", 99, when=at("00:01", 1)), amount_mismatch="1/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became amount_mismatch", "1 amount_mismatch in n open, tell succeeded"],
    ),
    "their line comes late": (
        [
            has("n", 100),
            run(0, short="0/1"),
            run(1),
            run(2, Line("n", 100), matched="1/0 (0/1)"),
        ],
        ["0 short in n resolved, became matched"],
    ),
    "their line comes after a person has closed what was short": (
        [
            has("n", 100),
            run(0, short="0/1"),
            resolves("n"),
            run(1, Line("n", 100), matched="1/0"),
            run(2, Line("n", 100), duplicate="1/0"),
        ],
        ["0 short in n resolved", "1 matched in n resolved", "2 duplicate in n open"],
    ),
    "lost after two statements": (
        [
            has("n", 100, state="open"),
            run(0, suspense="0/0+1?"),
            run(1, lost="0/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became lost", "1 lost in n resolved, tell not_received"],
    ),
    "lost is counted from the day of theirs on which it was sent": (
        [
            has("n", 100, state="open", when=at("23:30")),
            run(0, cut="23:00", suspense="0/0+1?"),
            run(
                1,
                cut="23:00",
            ),
            run(2, cut="23:00", lost="0/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became lost", "2 lost in n resolved, tell not_received"],
    ),
    "lost is counted from the day before where that ended after midnight": (
        [
            has("n", 100, state="open", when=at("00:10", 1)),
            run(0, cut="00:30"),
            run(1, cut="00:30", lost="0/0+1?"),
        ],
        ["1 lost in n resolved, tell not_received"],
    ),
    "a day that was skipped proves nothing lost": (
        [
            has("n", 100, state="open"),
            run(0, suspense="0/0+1?"),
            run(
                2,
            ),
            run(1, lost="0/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became lost", "1 lost in n resolved, tell not_received"],
    ),
    "unknown, settled by the next day's statement": (
        [
            has("n", 100, state="open"),
            run(0, suspense="0/0+1?"),
            run(1, Line("n", 100, when=at("00:01", 1)), settled="1/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became settled", "1 settled in n resolved, tell succeeded"],
    ),
    "unknown, settled, and its line comes again before our books have heard": (
        [
            has("n", 100, state="open"),
            run(0, Line("n", 100), settled="1/1"),
            run(1, Line("n", 100), duplicate="1/0"),
        ],
        ["0 settled in n resolved, tell succeeded", "1 duplicate in n open"],
    ),
    "unknown, refused, and paid on the next day before our books have heard": (
        [
            has("n", 100, state="open"),
            run(0, Line("n", 100, paid=False), settled="1/1"),
            run(1, Line("n", 100), settled="1/0"),
        ],
        ["0 settled in n resolved, tell declined", "1 settled in n resolved, tell succeeded"],
    ),
    "unknown, and ended otherwise meanwhile": (
        [
            has("failed", 100, state="open"),
            has("paid", 100, state="open"),
            has("without a line", 100, state="open"),
            run(0, suspense="0/0+3?"),
            becomes("failed", "declined", at("08:00", 1)),
            becomes("paid", "done", at("08:00", 1), at("10:01")),
            becomes("without a line", "done", at("08:00", 1), at("10:01")),
            run(1, Line("paid", 100, when=at("00:01", 1)), matched="1/0 (0/2)", short="0/0 (0/1)"),
        ],
        [
            "0 suspense in failed resolved, became matched",
            "0 suspense in paid resolved, became matched",
            "0 suspense in without a line resolved, became short",
            "1 short in without a line open",
        ],
    ),
    "unknown, done in the end near the next cut": (
        [
            has("n", 100, state="open", when=at("23:50")),
            run(0, suspense="0/0+1?"),
            becomes("n", "done", at("23:58", 1), at("23:55", 1)),
            run(
                1,
            ),
            run(2, Line("n", 100, when=at("00:01", 2)), matched="1/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became matched"],
    ),
    "what failed is paid at theirs after it was taken out of suspense": (
        [
            has("n", 100, state="open"),
            run(0, suspense="0/0+1?"),
            becomes("n", "declined", at("08:00", 1)),
            run(1, Line("n", 100, when=at("00:01", 1)), long="1/0 (0/1)"),
        ],
        ["0 suspense in n resolved, became long", "1 long in n open, tell succeeded"],
    ),
    "taken as paid": (
        [
            has("n", 100, state="declined", late=True),
            takes_as_paid("n", 0),
            run(0, Line("n", 100), matched="1/0"),
        ],
        [],
    ),
    "taken as paid before the line came": (
        [
            has("n", 100, state="declined", late=True),
            run(0),
            takes_as_paid("n", 1),
            run(1, Line("n", 100, when=at("00:01", 1)), matched="1/0"),
        ],
        ["1 matched in n resolved"],
    ),
    "taken as paid, and its line comes again": (
        [
            has("n", 100, state="declined", late=True),
            run(0, Line("n", 100), long="1/0"),
            takes_as_paid("n", 1),
            run(1, Line("n", 100, when=at("00:01", 1)), duplicate="1/0"),
        ],
        ["0 long in n open, tell succeeded", "1 duplicate in n open"],
    ),
    "kinds": (
        [
            has("p", 100),
            has("r", 50, "refund", fee=-1),
            has("o", 70, "payout", fee=2),
            has("r2", 50, "refund"),
            has("o2", 70, "payout"),
            run(
                0,
                Line("p", 100),
                Line("r", 50, REFUND, fee=-1),
                Line("o", 70, PAYOUT, fee=2),
                Line("r2", 50, OUT),
                Line("o2", 70, OUT),
                matched="5/5",
            ),
        ],
        [],
    ),
    "a payment's number on a line that gives back": (
        [has("n", 100), run(0, Line("n", 100, REFUND), long="1/0", short="0/1")],
        ["0 short in n open", "0 long out n open"],
    ),
    "refunds named by their payment alone": (
        [
            has("n", 2000),
            has("r1", 500, "refund", of="n", when=at("11:00")),
            has("r2", 500, "refund", of="n", when=at("11:01")),
            has("r3", 300, "refund", of="n", when=at("11:02")),
            run(
                0,
                Line("n", 2000),
                Line(None, 300, REFUND, original="n"),
                Line(None, 500, REFUND, original="n"),
                Line(None, 500, OUT, original="n"),
                Line(None, 400, REFUND, original="n"),
                matched="4/4",
                long="1/0",
            ),
        ],
        ["0 long out - open"],
    ),
    "refunds named by their payment alone, one yesterday and one today": (
        [
            has("n", 2000),
            has("r2", 500, "refund", of="n", when=at("09:00", 1)),
            has("r1", 500, "refund", of="n", when=at("11:01")),
            has("r3", 500, "refund", of="n", when=at("09:00", 2)),
            run(0, Line("n", 2000), Line(None, 500, REFUND, original="n"), matched="2/2"),
            run(1, Line(None, 500, REFUND, when=at("12:00", 1), original="n"), matched="1/1"),
            run(2, Line(None, 500, REFUND, when=at("12:00", 2), original="n"), matched="1/1"),
        ],
        [],
    ),
    "refunds named by their payment alone, over the cut": (
        [
            has("n", 2000),
            has("r1", 500, "refund", of="n", when=at("23:30")),
            has("r2", 500, "refund", of="n", when=at("09:00", 1)),
            has("r3", 500, "refund", of="n", when=at("09:00", 2)),
            run(0, Line("n", 2000), cut="23:00", matched="1/1", suspense="0/1"),
            run(
                1,
                Line(None, 500, REFUND, when=at("23:30"), original="n"),
                Line(None, 500, REFUND, when=at("09:00", 1), original="n"),
                cut="23:00",
                matched="2/1 (0/1)",
            ),
        ],
        ["0 suspense out r1 resolved, became matched"],
    ),
    "refunds named by their payment alone, of which one was refused": (
        [
            has("n", 2000),
            has("r1", 500, "refund", "declined", of="n", when=at("11:00")),
            has("r2", 500, "refund", of="n", when=at("11:01")),
            has("r3", 500, "refund", "open", of="n", when=at("10:59")),
            run(
                0,
                Line("n", 2000),
                Line(None, 500, REFUND, original="n", when=at("11:00"), paid=False),
                Line(None, 500, REFUND, original="n", when=at("11:01")),
                matched="3/2",
                suspense="0/0+1?",
            ),
        ],
        ["0 suspense out r3 open"],
    ),
    "a refund named by its payment alone that they refused": (
        [
            has("n", 2000),
            has("r", 500, "refund", of="n"),
            run(
                0,
                Line("n", 2000),
                Line(None, 500, REFUND, original="n", paid=False),
                matched="1/1",
                status_mismatch="1/1",
            ),
        ],
        ["0 status_mismatch out r open, tell declined"],
    ),
    "a refund named by a payment that had two tries": (
        [
            has("n", 2000, state="declined"),
            has("n", 2000, turn=2, same_as="n"),
            has("r1", 500, "refund", of="n"),
            has("r2", 500, "refund", of="n"),
            run(
                0,
                Line("n", 2000),
                Line(None, 500, REFUND, original="n"),
                Line(None, 500, REFUND, original="n"),
                matched="3/3",
            ),
        ],
        [],
    ),
    "a payout that came back, and we know": (
        [
            has("o", 70, "payout", "returned", done_at=at("10:01"), ended_at=at("15:00", 1)),
            run(0, Line("o", 70, PAYOUT), matched="1/1"),
            run(1, Line("o", 70, RETURN, when=at("15:00", 1)), returned="1/1"),
        ],
        [],
    ),
    "a refund that came back on its own day": (
        [
            has("r", 50, "refund", "returned", done_at=at("10:01"), ended_at=at("15:00")),
            run(0, Line("r", 50, REFUND), Line("r", 50, RETURN), matched="1/1", returned="1/1"),
        ],
        [],
    ),
    "a payout that came back, and we do not know yet": (
        [
            has("o", 70, "payout", done_at=at("10:01")),
            run(0, Line("o", 70, PAYOUT), matched="1/1"),
            run(1, Line("o", 70, RETURN, when=at("15:00", 1)), returned="1/0"),
            becomes("o", "returned", at("09:00", 2)),
            run(2),
        ],
        ["1 returned back o resolved, tell returned"],
    ),
    "a payout that came back twice before our books have heard": (
        [
            has("o", 70, "payout", done_at=at("10:01")),
            run(0, Line("o", 70, PAYOUT), Line("o", 70, RETURN), matched="1/1", returned="1/0"),
            run(1, Line("o", 70, RETURN), duplicate="1/0"),
        ],
        ["0 returned back o resolved, tell returned", "1 duplicate back o open"],
    ),
    "a payout that did not come back": (
        [
            has("o", 70, "payout", done_at=at("10:01")),
            run(0, Line("o", 70, PAYOUT), Line("o", 70, RETURN, paid=False), matched="2/1"),
        ],
        [],
    ),
    "a payout that came back with another amount": (
        [
            has("o", 70, "payout", "returned", done_at=at("10:01"), ended_at=at("15:00")),
            run(0, Line("o", 70, PAYOUT), Line("o", 60, RETURN), matched="1/1", amount_mismatch="1/1"),
        ],
        ["0 amount_mismatch back o open, tell returned"],
    ),
    "what came back of nothing, and of what failed": (
        [
            has("o", 70, "payout", "declined"),
            run(0, Line("o", 70, RETURN), Line("nobody's", 60, RETURN), long="2/0"),
        ],
        ["0 long back nobody's open", "0 long back o open, tell returned"],
    ),
    "what came back here and not there": (
        [
            has("o", 70, "payout", "returned", done_at=at("10:01"), ended_at=at("15:00")),
            run(0, Line("o", 70, PAYOUT), matched="1/1", short="0/1"),
        ],
        ["0 short back o open"],
    ),
    "a cut at 23:00 against a day that ends at midnight": (
        [
            has("early", 100, when=at("22:00")),
            has("late", 100, when=at("23:10")),
            run(0, Line("early", 100, when=at("22:00")), cut="23:00", matched="1/1", suspense="0/1"),
            run(1, Line("late", 100, when=at("23:10")), cut="23:00", matched="1/0 (0/1)"),
        ],
        ["0 suspense in late resolved, became matched"],
    ),
    "a cut at 00:30 against a day that ends at midnight": (
        [
            has("early", 100, when=at("23:50")),
            has("late", 100, when=at("00:10", 1)),
            run(
                0,
                Line("early", 100, when=at("23:50")),
                Line("late", 100, when=at("00:10", 1)),
                cut="00:30",
                matched="1/1",
                suspense="1/0",
            ),
            run(1, cut="00:30", matched="0/1 (1/0)"),
        ],
        ["0 suspense in late resolved, became matched"],
    ),
    "the first day of all": (
        [
            has("late", 100, when=at("00:10")),
            has("noon", 100, when=at("12:10")),
            run(0, cut="00:30", suspense="0/1", short="0/1"),
            run(1, cut="00:30", short="0/0 (0/1)"),
        ],
        [
            "0 suspense in late resolved, became short",
            "0 short in noon open",
            "1 short in late open",
        ],
    ),
    "days out of their order": (
        [
            has("yesterday's", 100, when=at("23:59")),
            has("today's", 100, when=at("12:00", 1)),
            run(
                1,
                Line("yesterday's", 100, when=at("00:01", 1)),
                Line("today's", 100, when=at("12:00", 1)),
                matched="2/1",
            ),
            run(0),
        ],
        ["1 matched in yesterday's resolved"],
    ),
    "days out of their order, and the same number on both": (
        [
            has("n", 100),
            run(1, Line("n", 100, when=at("00:01", 1)), matched="1/0"),
            run(0, Line("n", 100), duplicate="1/0"),
        ],
        ["0 duplicate in n open", "1 matched in n resolved"],
    ),
    "a day that is skipped": (
        [
            has("n", 100, when=at("00:05", 1)),
            has("late", 100, when=at("12:00", 1)),
            run(0, Line("n", 100, when=at("23:59")), suspense="1/0"),
            run(2, Line("late", 100, when=at("00:05", 2)), matched="1/0 (1/0)"),
            run(1),
        ],
        [
            "0 suspense in n resolved, became matched",
            "2 matched in late resolved",
            "2 matched in n resolved",
        ],
    ),
    "heard long after it was done": (
        [
            has("n", 100, when=at("10:00", -3), done_at=at("12:00"), ended_at=at("12:00", 20)),
            run(0, Line("n", 100), matched="1/1"),
        ],
        [],
    ),
    "the first code refused, the second right": (
        [
            has("n", 100, state="declined"),
            has("n", 100, turn=2, same_as="n"),
            run(0, Line("n", 100), Line("n", 100, paid=False), matched="2/1"),
        ],
        [],
    ),
    "the first code refused, the second right on the next day": (
        [
            has("n", 100, state="declined", when=at("23:58")),
            has("n", 100, turn=2, when=at("00:01", 1), same_as="n"),
            run(0, Line("n", 100, when=at("23:58"), paid=False), matched="1/0"),
            run(1, Line("n", 100, when=at("00:01", 1)), matched="1/1"),
        ],
        [],
    ),
    "what refused the first code says nothing of the second": (
        [
            has("n", 100, state="declined", when=at("12:00")),
            has("n", 100, state="open", turn=2, when=at("12:05"), same_as="n"),
            run(0, Line("n", 100, when=at("12:00:01"), paid=False), matched="1/0", suspense="0/0+1?"),
        ],
        ["0 suspense in n open"],
    ),
    "the first try was held, the second is paid": (
        [
            has("n", 100, state="open", when=at("12:00")),
            run(0, suspense="0/0+1?"),
            becomes("n", "not_received", at("09:00", 1)),
            has("n", 100, turn=2, when=at("09:05", 1), same_as="n"),
            run(1, Line("n", 100, when=at("09:06", 1)), matched="1/1 (0/1)"),
        ],
        ["0 suspense in n resolved, became matched"],
    ),
    "a payout that failed here and not there, sent again under another number": (
        [
            has("o1", 70, "payout", "declined"),
            run(0, Line("o1", 70, PAYOUT), long="1/0"),
            has("o2", 70, "payout", when=at("09:00", 1), turn=2, same_as="o1"),
            run(1, Line("o2", 70, PAYOUT, when=at("09:00", 1)), matched="1/1"),
        ],
        ["0 long out o1 open, tell succeeded"],
    ),
    "others' rows": (
        [
            has("n", 100),
            has("n", 100, account="up-2"),
            has("n", 100, merchant=UUID(int=2)),
            has("m", 100, account="up-2"),
            has("k", 100, merchant=UUID(int=2)),
            run(0, Line("n", 100), Line("m", 100), Line("k", 100), matched="1/1", long="2/0"),
        ],
        ["0 long in k open", "0 long in m open"],
    ),
}


@pytest.mark.parametrize("story", STORIES)
async def test_the_classes_of(desk: Desk, story: str) -> None:
    steps, differs = STORIES[story]
    for step in steps:
        await step(desk)
    assert sorted(await desk.differs()) == sorted(differs)
