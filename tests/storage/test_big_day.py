"""A big day with 500 injected differences: each is found in its class, nothing else is, and the order of rows does not
matter.

As many lines as `SLUICE_HUNT_LINES` says (`make hunt`: 100,000). Not tested here: memory (test_statements).
"""

import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.reconciled import Class
from gateway.domain.statements import LineKind, StatementLine
from tests.databases import REPLICA, connected, database_on
from tests.storage.reconciling_desk import ACCOUNT, DAY, MERCHANT, Desk, Line, at

LINES: Final = int(os.environ.get("SLUICE_HUNT_LINES", "10000"))
EACH: Final = 50
"""So many are injected of each class that differs: ten of them."""
CLASSES: Final = (
    "settled", "lost", "long", "short", "status_mismatch", "duplicate", "amount_mismatch", "fee_mismatch", "returned",
    "suspense",
)  # fmt: skip
KINDS: Final = {"pay": LineKind.PAYMENT, "refund": LineKind.REFUND, "payout": LineKind.PAYOUT}
INTENTS: Final = (
    "merchant_id", "object_id", "verb", "ordinal", "intent_id", "channel", "account", "number", "told_at",
    "recorded_at", "amount", "state", "questions", "acknowledged", "not_found", "channel_finished_at", "late_success",
    "looks", "ended_at",
)  # fmt: skip
PAYMENTS: Final = (
    "merchant_id", "payment_id", "app", "merchant_order_no", "kind", "scene", "user_id", "bank", "amount", "currency",
    "status", "channel", "account", "channel_order_no", "metadata", "customer_present", "sequence", "created_at",
    "finished_at", "business_day", "fee",
)  # fmt: skip
FOUND: Final = """
SELECT class, side, number FROM differences
WHERE merchant_id = $1 AND account = $2 AND day = $3 AND state <> 'superseded'
"""
Found = tuple[str, str, str]


@dataclass
class BigDay:
    """The second day's books and lines, and what is to be found. On the first day what will be lost was sent."""

    random: Random = field(default_factory=lambda: Random(12))
    intents: list[tuple[Any, ...]] = field(default_factory=list)
    payments: list[tuple[Any, ...]] = field(default_factory=list)
    lines: list[StatementLine] = field(default_factory=list)
    expected: Counter[Found] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        injected = [name for name in CLASSES for _ in range(EACH)]
        while len(self.lines) < LINES:
            # The injected ones stand among the others.
            left = LINES - len(self.lines)
            name = injected.pop() if injected and self.random.random() < 2 * len(injected) / left else None
            self._order(name)
        assert not injected

    def _order(self, name: str | None) -> None:
        n, random = len(self.intents), self.random
        verb = random.choice(("pay", "pay", "pay", "refund", "payout"))
        if name == "fee_mismatch":
            verb = "pay"
        elif name == "returned":
            verb = "payout"
        side, number = "in" if verb == "pay" else "out", f"{verb}{n}"
        amount, when = random.randrange(100, 1_000_000), at("01:00", 1) + timedelta(seconds=random.randrange(79_200))
        fee = amount // 500 if verb == "pay" else None
        line = Line(number, amount, KINDS[verb], when, fee=fee, no=f"T{n}")
        back = Line(number, amount, LineKind.RETURN, when + timedelta(minutes=9), no=f"R{n}")
        state, lines = "done", [line]
        match name:
            case "settled":
                state, lines = "open", [line._replace(paid=random.random() < 0.5)]
            case "lost":
                state, lines, when = "open", [], at("12:00")
            case "long":
                state = random.choice(("declined", "not_received"))
            case "short":
                lines = []
            case "status_mismatch":
                lines = [line._replace(paid=False)]
            case "duplicate":
                lines = [line, random.choice((line, line._replace(amount=amount + 1, transaction_no=f"T{n}b")))]
            case "amount_mismatch":
                lines = [line._replace(amount=amount + random.choice((-1, 1)))]
            case "fee_mismatch" if fee is not None:
                lines = [line._replace(fee=fee + random.choice((-1, 1)))]
            case "returned":
                lines, side = [line, back], "back"
            case "suspense":
                when = at("23:45", 1)
                state, lines = random.choice(("open", "done")), []
        if name:
            self.expected[name, side, number] += 1
        self.lines += lines
        self._has(n, verb, number, amount, state, when, fee)

    def _has(self, n: int, verb: str, number: str, amount: int, state: str, when: datetime, fee: int | None) -> None:
        object_id, ended = UUID(int=n + 1), None if state == "open" else when
        self.intents.append((
            MERCHANT, object_id, verb, 1, UUID(int=n + 1), "up", ACCOUNT, number, when, when, amount, state, 0, False,
            0, None, False, 0, ended,
        ))  # fmt: skip
        if verb == "pay":
            self.payments.append((
                MERCHANT, object_id, "shop", number, "withhold", "withhold", "u", "ICBC", amount, "CNY", "succeeded",
                "up", ACCOUNT, number, "{}", False, 0, when, when, when.date(), fee,
            ))  # fmt: skip


@pytest.fixture
async def desk(own_engine: AsyncEngine) -> AsyncIterator[Desk]:
    """In a database of its own: tens of thousands of rows would be left in what other tests read."""
    connection = await connected(own_engine.url.render_as_string(hide_password=False))
    await connection.execute(REPLICA)  # our rows stand alone here
    yield Desk(connection, database_on(own_engine))
    await connection.close()


async def _found(desk: Desk) -> Counter[Found]:
    rows = await desk.connection.fetch(FOUND, MERCHANT, ACCOUNT, DAY + timedelta(days=1))
    return Counter((row["class"], row["side"], row["number"]) for row in rows)


async def test_each_of_500_differences_of_a_big_day_is_found_in_its_class_and_no_other_in_any_order(desk: Desk) -> None:
    big = BigDay()
    await desk.connection.copy_records_to_table("intents", records=big.intents, columns=INTENTS)
    await desk.connection.copy_records_to_table("payments", records=big.payments, columns=PAYMENTS)
    await desk.compares(0, [])

    first = await desk.compares(1, big.lines)
    assert await _found(desk) == big.expected
    assert big.expected.total() == EACH * len(CLASSES)
    classes = first.totals.classes
    # What came back, or has one line more, has a plain line, too.
    others = len(big.lines) - sum(classes[Class(name)].theirs for name in CLASSES)
    assert (classes[Class.MATCHED].theirs, classes[Class.MATCHED].ours) == (others, others)

    shuffled = big.lines.copy()
    big.random.shuffle(shuffled)
    second = await desk.compares(1, shuffled, why="in another order")
    assert second.totals == first.totals
    assert await _found(desk) == big.expected
