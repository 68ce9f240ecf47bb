"""Proves from the rows that nothing is lost: what `sluice doctor` asks, and what it tells of its work.

It reads whole books, in pieces that are each a short transaction: it never holds a snapshot for long, so it may run
beside payments.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.ids import ANOMALY, AUTHENTICATION, CARD, EVENT, REFUND, ObjectKind, show, show_object
from gateway.storage.reading.attention import needs_a_person
from gateway.storage.reading.checks import CHECKS, Check, Walk
from gateway.storage.reading.checks_of_checkouts import CHECKOUT_CHECKS
from gateway.storage.reading.checks_of_corrections import CORRECTION_CHECKS
from gateway.storage.reading.checks_of_payouts import PAYOUT_CHECKS
from gateway.storage.reading.checks_of_routes import ROUTE_CHECKS
from gateway.storage.tables import metadata

__all__ = ["OVERDUE_AFTER", "Diagnosis", "diagnose", "examine"]

OVERDUE_AFTER = timedelta(minutes=2)
"""Something due that nobody took up for this long means that no worker runs, or none that keeps up."""
MAX_SHOWN = 20
"""Findings told per check; the rest is counted."""
ROWS_AT_ONCE = 5_000
TELL_EVERY_S = 5.0
MERCHANTS = """
WITH RECURSIVE found (merchant_id) AS (
    (SELECT merchant_id FROM {table} ORDER BY merchant_id LIMIT 1)
  UNION ALL
    SELECT (SELECT t.merchant_id FROM {table} t WHERE t.merchant_id > f.merchant_id ORDER BY t.merchant_id LIMIT 1)
    FROM found f WHERE f.merchant_id IS NOT NULL
)
SELECT merchant_id FROM found WHERE merchant_id IS NOT NULL UNION SELECT merchant_id FROM merchants ORDER BY 1
"""
LEAST = {UUID: UUID(int=0), str: "", date: date.min}
"""Below every key."""

_ROWS = re.compile(r"ROWS\((\w+), ([\w, ]+)\)")

Tell = Callable[[str], None]


@dataclass(slots=True)
class Diagnosis:
    """What a doctor found."""

    wrong: list[str] = field(default_factory=list)
    """What cannot be in sound books, one sentence each with the ids."""
    attention: list[str] = field(default_factory=list)
    """What is sound and waits for a person."""
    looked_at: dict[str, int] = field(default_factory=dict)
    """How many rows, by table."""


@dataclass(slots=True)
class _Findings:
    """The first sentences of a check, and how many there are."""

    count: int = 0
    sentences: list[str] = field(default_factory=list)

    def told(self) -> list[str]:
        more = self.count - len(self.sentences)
        return [*self.sentences, f"and {more} more like this"] if more else self.sentences


_PREFIXES = {
    "event_id": EVENT,
    "card_id": CARD,
    "same_as": CARD,
    "authentication_id": AUTHENTICATION,
    "refund_id": REFUND,
    "anomaly_id": ANOMALY,
}


async def examine(engine: AsyncEngine, now: datetime) -> list[str]:
    """What is wrong, one sentence each with the ids; empty when nothing is."""
    return (await diagnose(engine, now)).wrong


async def diagnose(engine: AsyncEngine, now: datetime, tell: Tell | None = None) -> Diagnosis:
    """Look at everything. On large books `tell` hears every few seconds how far it is."""
    looked_at: Counter[str] = Counter()
    findings: defaultdict[Check, _Findings] = defaultdict(_Findings)
    said_at = time.monotonic()
    # Each question is a transaction of its own: BEGIN and ROLLBACK would take as long as the question.
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    checks = (*CHECKS, *ROUTE_CHECKS, *CHECKOUT_CHECKS, *PAYOUT_CHECKS, *CORRECTION_CHECKS)
    for walk in dict.fromkeys(check.walk for check in checks):
        looked_at[walk.table] = 0
        async for piece, rows in _pieces(alone, walk):
            for check in checks:
                if check.walk is walk:
                    await _ask(alone, check, piece, now - OVERDUE_AFTER, findings[check])
            looked_at[walk.table] += rows
            if tell is not None and time.monotonic() - said_at >= TELL_EVERY_S:
                said_at = time.monotonic()
                tell(f"{looked_at[walk.table]:,} {walk.table} so far")
    async with _short(engine) as connection:
        attention = await needs_a_person(connection)
    wrong = [sentence for check in checks for sentence in findings[check].told()]
    return Diagnosis(wrong, attention, dict(looked_at))


@dataclass(frozen=True, slots=True)
class _Piece:
    """The rows of one merchant behind one key and up to another; without it, to the end."""

    merchant_id: UUID
    after: tuple[Any, ...]
    upto: tuple[Any, ...] | None

    def sql(self, asked: str) -> str:
        """The question about this piece."""
        return _ROWS.sub(lambda found: self._between(found[1], found[2].split(", ")), asked)

    def values(self) -> dict[str, Any]:
        """The values of its parameters."""
        given = {f"after_{n}": value for n, value in enumerate(self.after)}
        given |= {f"upto_{n}": value for n, value in enumerate(self.upto or ())}
        return {"merchant": self.merchant_id, **given}

    def _between(self, table: str, columns: list[str]) -> str:
        key = ", ".join(f"{table}.{column}" for column in columns)
        after, upto = (", ".join(f":{end}_{n}" for n in range(len(columns))) for end in ("after", "upto"))
        above = f"{table}.merchant_id = :merchant AND ({key}) > ({after})"
        return above if self.upto is None else f"{above} AND ({key}) <= ({upto})"


async def _pieces(alone: AsyncEngine, walk: Walk) -> AsyncIterator[tuple[_Piece, int]]:
    """All pieces of a table, each with how many of its rows are in it. Together they leave no key out."""
    names = ", ".join(walk.key)
    columns = metadata.tables[walk.table].c
    least = tuple(LEAST[columns[name].type.python_type] for name in walk.key)
    for merchant_id in await _merchants(alone, walk.table):
        after: tuple[Any, ...] | None = least
        while after is not None:
            begin = _Piece(merchant_id, after, None)
            keys = f"SELECT {names} FROM {walk.table} t WHERE ROWS(t, {names}) ORDER BY {names} LIMIT :rows"
            async with alone.connect() as connection:
                rows = (await connection.execute(text(begin.sql(keys)), begin.values() | {"rows": ROWS_AT_ONCE})).all()
            upto = tuple(rows[-1]) if len(rows) == ROWS_AT_ONCE else None
            yield _Piece(merchant_id, after, upto), len(rows)
            after = upto


async def _merchants(alone: AsyncEngine, table: str) -> list[UUID]:
    """All merchants, and those that only have rows in this table: each is found by the index, behind the one before."""
    async with alone.connect() as connection:
        return list((await connection.execute(text(MERCHANTS.format(table=table)))).scalars())


async def _ask(alone: AsyncEngine, check: Check, piece: _Piece, overdue: datetime, findings: _Findings) -> None:
    given = piece.values() | ({"overdue": overdue} if ":overdue" in check.sql else {})
    async with alone.connect() as connection:
        rows = (await connection.execute(text(piece.sql(check.sql)), given)).mappings().all()
    findings.count += len(rows)
    for row in rows[: MAX_SHOWN - len(findings.sentences)]:
        told = {name: _shown(name, value, row) for name, value in row.items()}
        findings.sentences.append(check.sentence.format(**told))


@asynccontextmanager
async def _short(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that only reads, and ends soon: the engine's limit of statements holds for it."""
    async with engine.connect() as connection:
        await connection.execution_options(postgresql_readonly=True)
        yield connection


def _shown(name: str, value: Any, row: RowMapping) -> Any:
    if isinstance(value, UUID):
        if prefix := _PREFIXES.get(name):
            return show(prefix, value)
        if name == "try_id":
            return show_object(ObjectKind(row["kind"]), value)
        return show_object(ObjectKind(row["object"]) if name == "object_id" else ObjectKind.PAYMENT, value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC")
    return "nothing" if value is None else value
