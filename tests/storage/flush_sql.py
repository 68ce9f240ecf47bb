"""The finished SQL of flushes: what is really sent to the database, statement by statement, beside its plan."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.outcomes import Authenticated, Processing, Returned, ReturnReason, Succeeded
from gateway.domain.recorded_routes import Report
from gateway.domain.scenes import Scene
from gateway.flows.observations import key_of
from gateway.ports import Observation
from gateway.storage.keys import Keys
from gateway.storage.server.database import Database
from tests.storage.gateway_process import Process
from tests.storage.tills import PAID, Till
from tests.unit.domain.samples import NOW, catalogue, channel, endpoint, later, order, rule

__all__ = ["Statement", "as_markdown", "flushes", "readable"]

PLACE = catalogue(
    (channel("up", AuthenticationMode.SILENT, authentication_fee=100),),
    (rule("up"), rule("up", scene=Scene.QUICK_CHARGE)),
    (endpoint(1, "shop"),),
)
BACK = Returned(ReturnReason.PAYEE_NAME_MISMATCH)
_PARTS = re.compile(r"\), (\w+) AS \(")
_CLAUSES = re.compile(r" +(?=(?:SELECT|FROM|WHERE|JOIN|LEFT OUTER JOIN|GROUP BY|ON CONFLICT|RETURNING|SET|UPDATE) )")
STATEMENTS_OF_A_LOOK = 4
"""The lock, the checkout, its tries, and what becomes of it."""
_DRAWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|\\\\x[0-9a-f]{64}")
"""Ids and prints that are others each time."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as it was sent, and how the database goes about it."""

    sql: str
    plan: str


@dataclass
class Witness:
    """Hears every statement that is sent through it, and asks for its plan first."""

    heard: list[Statement] = field(default_factory=list)

    async def hear(self, connection: Any, sql: str, values: tuple[Any, ...]) -> None:
        rows = await connection.fetch(f"EXPLAIN (COSTS OFF) {sql}", *values)
        self.heard.append(Statement(readable(sql), _DRAWN.sub("…", "\n".join(row[0] for row in rows))))


class _Heard:
    """A connection that tells the witness."""

    def __init__(self, connection: Any, witness: Witness) -> None:
        self._connection, self._witness = connection, witness

    async def fetch(self, sql: str, *values: Any) -> Any:
        await self._witness.hear(self._connection, sql, values)
        return await self._connection.fetch(sql, *values)

    async def execute(self, sql: str, *values: Any) -> Any:
        await self._witness.hear(self._connection, sql, values)
        return await self._connection.execute(sql, *values)


class WitnessedDatabase(Database):
    """A database whose transactions are heard."""

    def __init__(self, real: Database, witness: Witness) -> None:
        self._real, self._witness = real, witness

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self._real.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._real.transaction() as connection:
            yield _Heard(connection, self._witness)


async def flushes(engine: AsyncEngine, keys: Keys) -> dict[str, list[Statement]]:
    """Each kind of flush by what it is, with its statements in turn."""
    told: dict[str, list[Statement]] = {}
    witness = Witness()

    def now_told(what: str) -> None:
        told[what], witness.heard = witness.heard, []

    process = Process(engine, keys, PLACE)
    process.witnessed_by(lambda database: WitnessedDatabase(database, witness))
    (first,) = await process.opened(order("a"))
    now_told("An order whose card must be authenticated first")
    await process.heard_of_card(first, Authenticated("token-1"))
    now_told("The card is bound: the agreement, and the intent to pay")
    (known,) = await process.opened(order("b"))
    now_told("An order whose card is known")
    await process.heard(known, Processing("05"), Source.ANSWER)
    now_told("An answer that is not final")
    await process.heard(known, Succeeded(1000, "theirs-1"), Source.CALLBACK)
    now_told("A payment succeeds")
    await process.heard(known, Succeeded(1000, "theirs-1"), Source.CALLBACK)
    now_told("A callback that says nothing new")
    refund = (await process.refund(known, 400)).refund
    now_told("An order for a refund")
    await process.heard_of_refund(refund, Succeeded(400, "theirs-2"), Source.CALLBACK)
    now_told("A refund succeeds")
    route = (await process.record_route("c")).route
    now_told("An order is recorded as a route")
    short = Report(succeeded=False, code=FailureCode.INSUFFICIENT_BALANCE)
    await process.report(route, short)
    now_told("A recorded route is reported")
    await process.report(route, Report(succeeded=True))
    now_told("A report contradicts what was reported before")
    payout = (await process.pay_out(600, known)).payout
    now_told("An order for a payout that settles a payment")
    await process.books.record(Observation(key_of(payout), Source.CALLBACK, Succeeded(600), NOW, uuid4()))
    now_told("A payout succeeds")
    await process.books.record(Observation(key_of(payout), Source.CALLBACK, BACK, NOW, uuid4()))
    now_told("A payout comes back")
    till = Till(process)
    checkout = await till.opens("d")
    now_told("A checkout is opened")
    first = await till.fails(checkout)
    witness.heard = []
    second = (await till.tries(checkout, 2)).payment
    now_told("A checkout is tried")
    await process.heard(first, PAID, Source.CALLBACK)
    witness.heard = []
    await process.heard(second, PAID)
    now_told("A try of a checkout succeeds, and one before it was paid, too")
    await till.looks(await till.opens("e"), later(hours=1))
    told["Our clock ends a checkout"] = witness.heard[-STATEMENTS_OF_A_LOOK:]
    return told


def as_markdown(told: dict[str, list[Statement]]) -> str:
    """The page: each flush, its statements, and under each its plan."""
    page = [HEAD]
    for what, statements in told.items():
        page.append(f"## {what}\n")
        for number, statement in enumerate(statements, 1):
            page.append(f"Statement {number}:\n\n```sql\n{statement.sql}\n```\n")
            page.append(f"<details><summary>its plan</summary>\n\n```\n{statement.plan}\n```\n\n</details>\n")
    return "\n".join(page)


HEAD = """# The SQL of a flush

What Sluice really sends to PostgreSQL when it opens a payment, hears a PSP, refunds, pays out, records a route, or ends
a checkout: one transaction per flush, for all the orders or observations of a merchant that wait. Values are
parameters; an array has one element per row, so the text does not depend on how many there are. A part is there only
if it has rows: this page shows one payment at a time.

Written by `SLUICE_WRITE_SQL=1 .venv/bin/python -m pytest tests/storage/test_flush_sql.py`; that test holds it to
what is sent. Plans are those of nearly empty tables: they show what is read and locked, not what is fast.
"""


def readable(sql: str) -> str:
    """A statement for people: each clause on a line of its own."""
    sql = " ".join(sql.split())
    sql = _PARTS.sub(r"),\n\1 AS (", sql)
    return "\n  ".join(_CLAUSES.sub("\n", sql).split("\n"))
