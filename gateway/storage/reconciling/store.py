"""Loading a day's statement and comparing it: one transaction, so that nothing is half-loaded and nothing loads twice.

Runs of one account follow each other: a lock of its own holds the second back. The same file again changes nothing, nor
does one of other bytes whose lines are the same; another one for the same day is refused until a person says that it
takes the place of the first.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import orjson

from gateway.domain.catalogue import Catalogue
from gateway.domain.reconciled import (
    NEAR_CUT,
    Class,
    ClassTotals,
    DayClosedError,
    Loading,
    OtherStatementError,
    ReconciledDay,
    Totals,
)
from gateway.domain.statements import StatementLine, ends_at
from gateway.storage.merchant_events import count_told
from gateway.storage.reconciling import replacing
from gateway.storage.reconciling.comparing import COMPARE
from gateway.storage.reconciling.lines import COLUMNS, LineCounter
from gateway.storage.reconciling.telling import Finished, tell_days
from gateway.storage.server.database import Connection, Database
from gateway.storage.server.nice import as_nice_as_we

__all__ = ["StatementStore"]

WITHIN_S: Final = 1800
"""A statement of the transaction may take so long; payments do not wait for it."""
WORK_MEM: Final = "192MB"
ENDS_WITHIN_S: Final = 1.0
"""After its connection is lost a COPY has so long to notice it by itself."""
MANY_LINES: Final = "SET LOCAL enable_sort = off"
"""Lines of a new statement are taken for few, and few are sorted; a million are found faster by hash tables."""

# A number of the transaction's own namespace: no other lock of ours is taken by two numbers.
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 12))"
IN_FORCE: Final = """
SELECT s.statement_id, s.version, s.sha256, s.lines_sha256, s.loaded_at, r.totals, r.balanced, r.ran_at, r.ran_by,
    r.closed_at, r.closed_by
FROM statements s JOIN reconciled_days r ON r.merchant_id = $1 AND r.account = $2 AND r.day = $3
WHERE s.merchant_id = $1 AND s.account = $2 AND s.day = $3 AND s.replaced_at IS NULL
"""
REPLACED: Final = "UPDATE statements SET replaced_at = $3 WHERE merchant_id = $1 AND statement_id = $2"
KEEP: Final = """
INSERT INTO statements (merchant_id, statement_id, account, day, version, sha256, lines_sha256, files, lines, amount,
    loaded_at, loaded_by, note)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
# Refunds that name their payment alone get the numbers of that payment's refunds of the same amount, as they fit best:
# rows of what was done from the first on, rows of what was refused from the last on. First those of this day, then what
# waits for its line, then those of later, then all others; what failed here last.
NAME_REFUNDS: Final = """
UPDATE statement_lines l SET number = m.number FROM (
    SELECT t.ordinal, o.number FROM (
        SELECT ordinal, original, amount, paid,
            count(*) FILTER (WHERE paid) OVER (PARTITION BY original, amount) AS done,
            row_number() OVER (PARTITION BY original, amount, paid
                ORDER BY done_at, transaction_no, fee, ordinal) AS nth
        FROM statement_lines
        WHERE merchant_id = $1 AND statement_id = $3 AND number IS NULL AND original IS NOT NULL AND side = 'out'
    ) t JOIN LATERAL (
        SELECT r.number, r.took, row_number() OVER first AS nth,
            count(*) OVER () + 1 - row_number() OVER first AS nth_last
        FROM (
            SELECT i.number, i.recorded_at, i.state = 'open' AS is_open,
                i.state IN ('open', 'done', 'returned') AS took,
                CASE WHEN d.at >= $4 AND d.at < $5 THEN 0
                    WHEN EXISTS (SELECT FROM differences h WHERE h.merchant_id = $1 AND h.object_id = i.object_id
                        AND h.verb = 'refund' AND h.ordinal IS NULL AND h.state = 'open') THEN 1
                    WHEN d.at >= $5 THEN 2 ELSE 3 END AS rank
            FROM refunds r JOIN intents i ON i.merchant_id = $1 AND i.object_id = r.refund_id AND i.verb = 'refund',
                LATERAL (SELECT coalesce(i.channel_finished_at, CASE i.state WHEN 'returned' THEN r.finished_at
                    ELSE i.ended_at END, i.recorded_at) AS at) d
            WHERE r.merchant_id = $1 AND i.account = $2 AND i.amount = t.amount AND r.payment_id IN (
                SELECT p.object_id FROM intents p WHERE p.merchant_id = $1 AND p.account = $2
                    AND p.number = t.original AND p.verb = 'pay'
                UNION SELECT c.payment_id FROM intents p JOIN payments c ON c.merchant_id = $1
                    AND c.corrects = p.object_id WHERE p.merchant_id = $1 AND p.account = $2
                    AND p.number = t.original AND p.verb = 'pay')
        ) r WINDOW first AS (ORDER BY r.took DESC, CASE WHEN r.took THEN r.rank ELSE -r.rank END, r.is_open,
            r.recorded_at, r.number)
    ) o ON CASE WHEN t.paid THEN o.took AND o.nth = t.nth ELSE o.nth_last = t.nth AND o.nth > t.done END
) m WHERE l.merchant_id = $1 AND l.statement_id = $3 AND l.ordinal = m.ordinal
"""
DAY_BEFORE: Final = "SELECT FROM reconciled_days WHERE merchant_id = $1 AND account = $2 AND day = $3"
KEEP_DAY: Final = """
INSERT INTO reconciled_days (merchant_id, account, day, statement_id, totals, balanced, ran_at, ran_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (merchant_id, account, day) DO UPDATE SET statement_id = excluded.statement_id, totals = excluded.totals,
    balanced = excluded.balanced, ran_at = excluded.ran_at, ran_by = excluded.ran_by
"""
FETCHED: Final = """
UPDATE statement_errands SET done_at = $4, due_at = NULL, lease_until = NULL, reason = NULL
WHERE merchant_id = $1 AND account = $2 AND day = $3 AND done_at IS NULL
"""


class _SameLinesError(Exception):
    """The day was compared with these very lines before: what was done so far is rolled back."""

    def __init__(self, day: ReconciledDay) -> None:
        super().__init__()
        self.day = day


@dataclass(frozen=True, slots=True)
class StatementStore:
    """Statements and the days that were compared with them. `zone`: of our business day; `new_id` draws ids of events,
    which go to the endpoints of the `catalogue`."""

    database: Database
    zone: ZoneInfo
    catalogue: Callable[[], Catalogue]
    new_id: Callable[[], UUID]

    async def load(
        self, loading: Loading, lines: Iterator[StatementLine], seen: Callable[[int], None] = lambda _: None
    ) -> ReconciledDay:
        """Load and compare. `seen` hears how many lines were read so far.

        Raises OtherStatementError, DayClosedError, and what reading the lines raises; then nothing was changed.
        """
        try:
            return await self._load(loading, lines, seen)
        except _SameLinesError as same:
            return same.day

    async def _load(
        self, loading: Loading, lines: Iterator[StatementLine], seen: Callable[[int], None]
    ) -> ReconciledDay:
        merchant_id, account, day = loading.merchant_id, loading.account, loading.day
        async with self.database.long_transaction(WITHIN_S) as connection:
            await connection.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")
            await connection.execute("SET LOCAL lock_timeout = 0")
            await connection.execute(MANY_LINES)
            await as_nice_as_we(connection)
            await connection.fetch(LOCK, str(merchant_id), account, timeout=WITHIN_S)
            known = await connection.fetchrow(IN_FORCE, merchant_id, account, day)
            was_whole = known is not None and known["loaded_at"] >= self._over_at(day, loading)
            # Of a day that was not over there may be more of ours by now, whatever the file.
            may_be_same = known is not None and was_whole
            if may_be_same and known["sha256"] == loading.sha256:
                return _day(account, day, known, is_new=False)
            counter = await self._copied(connection, loading, lines, seen)
            if may_be_same and known["lines_sha256"] == counter.sha256:
                raise _SameLinesError(_day(account, day, known, is_new=False))
            if known is not None and not was_whole:
                loading = replace(loading, replaces=loading.replaces or "the day was not over then")
            if known is not None and loading.replaces is None:
                raise OtherStatementError(account, day, known["version"], known["loaded_at"])
            later = [] if known is None else await self._taken_back(connection, loading, known)
            if counter.unnamed:
                place = (merchant_id, account, loading.statement_id)
                await connection.execute(NAME_REFUNDS, *place, *self._our_day(day), timeout=WITHIN_S)
            version = 1 if known is None else known["version"] + 1
            await connection.execute(
                KEEP, merchant_id, loading.statement_id, account, day, version, loading.sha256,
                counter.sha256, orjson.dumps(list(loading.files)).decode(), counter.count, counter.amount, loading.at,
                loading.by, loading.replaces,
            )  # fmt: skip
            loaded = (day, loading.statement_id, version, loading.at, loading.by)
            sums = (counter.count, counter.amount)
            finished = [await self._compare(connection, loading, *loaded, sums, counter.again)]
            for each in later:
                statement = (each["day"], each["statement_id"], each["version"], each["loaded_at"], each["ran_by"])
                sums = (each["lines"], each["amount"])
                finished.append(await self._compare(connection, loading, *statement, sums))
            if known is not None:
                await self._keep_work(connection, loading)
            told = await tell_days(
                connection, merchant_id, finished, loading.at, self.catalogue(), self.new_id, WITHIN_S
            )
        count_told(told)
        return finished[0].day

    async def fetched(self, merchant_id: UUID, account: str, day: date, at: datetime) -> None:
        """The errand of that day is done."""
        async with self.database.connection() as connection:
            await connection.execute(FETCHED, merchant_id, account, day, at)

    async def _taken_back(self, connection: Connection, loading: Loading, known: Any) -> list[Any]:
        """Take back what was compared with the statement in force, and answer with the later days to compare anew."""
        place = (loading.merchant_id, loading.account, loading.day)
        later = await connection.fetch(replacing.LATER_DAYS, *place)
        closed = [each["day"] for each in later if each["closed"]]
        if known["closed_at"] is not None or closed:
            raise DayClosedError(f"{loading.account}: {closed[0] if closed else loading.day} is closed")
        await connection.execute(REPLACED, loading.merchant_id, known["statement_id"], loading.at)
        await connection.execute(replacing.STAND_AGAIN, *place, timeout=WITHIN_S)
        await connection.execute(replacing.SUPERSEDE, *place, loading.at, timeout=WITHIN_S)
        return list(later)

    async def _keep_work(self, connection: Connection, loading: Loading) -> None:
        place = (loading.merchant_id, loading.account, loading.at)
        await connection.execute(replacing.KEEP_RESOLVED, *place, timeout=WITHIN_S)
        entry = {
            "at": loading.at,
            "by": loading.by,
            "did": "reopened",
            "note": f"a corrected statement: {loading.replaces}",
        }
        await connection.execute(replacing.OPEN_AGAIN, *place, orjson.dumps([entry]).decode(), timeout=WITHIN_S)

    async def _copied(
        self, connection: Connection, loading: Loading, lines: Iterator[StatementLine], seen: Callable[[int], None]
    ) -> LineCounter:
        counter = LineCounter(loading.merchant_id, loading.statement_id, lines)

        async def pieces() -> AsyncIterator[bytes]:
            # Reading is a processor's work: beside the loop, so that what else runs here goes on.
            while piece := await asyncio.to_thread(counter.piece):
                seen(counter.count)
                yield piece

        await _while_connected(
            connection,
            connection.copy_to_table(
                "statement_lines", source=pieces(), columns=COLUMNS, format="text", timeout=WITHIN_S
            ),
        )
        return counter

    def _our_day(self, day: date) -> tuple[datetime, datetime]:
        """From, until."""
        begin, end = (datetime.combine(each, time(0), self.zone) for each in (day, day + timedelta(days=1)))
        return begin, end

    def _over_at(self, day: date, loading: Loading) -> datetime:
        """Where theirs ends before midnight ours goes on: it, too, is to be compared whole."""
        return max(ends_at(day, loading.day_cut), self._our_day(day)[1])

    async def _compare(
        self,
        connection: Connection,
        loading: Loading,
        day: date,
        statement_id: UUID,
        version: int,
        loaded_at: datetime,
        by: str,
        theirs: tuple[int, int],
        again: list[str] | None = None,
    ) -> Finished:
        merchant_id, account, cut = loading.merchant_id, loading.account, loading.day_cut
        before = day - timedelta(days=1)
        had_before = await connection.fetchrow(DAY_BEFORE, merchant_id, account, before) is not None
        entries = (merchant_id, account, day, *self._our_day(day))
        rows = await connection.fetch(
            COMPARE, *entries, statement_id, ends_at(day, cut) - NEAR_CUT, ends_at(before, cut) + NEAR_CUT, had_before,
            loading.at, cut, str(self.zone), again, timeout=WITHIN_S,
        )  # fmt: skip
        ours = rows[0]["entries"], rows[0]["entries_amount"]
        rows = [row for row in rows if row["class"] is not None]  # a day without anything has our sums alone
        found = {Class(row["class"]): ClassTotals(**{name: row[name] for name in _SUMS}) for row in rows}
        classes = {name: sums for name, sums in found.items() if sums != ClassTotals()}
        totals = Totals(classes, *theirs, *ours).afterwards()
        balanced = not totals.wrong()
        await connection.execute(
            KEEP_DAY, merchant_id, account, day, statement_id, orjson.dumps(totals.to_json()).decode(), balanced,
            loading.at, by,
        )  # fmt: skip
        done = ReconciledDay(account, day, statement_id, version, totals, balanced, loading.at, by)
        return Finished(done, loaded_at < self._over_at(day, loading))


_SUMS: Final = tuple(ClassTotals.__dataclass_fields__)


def _day(account: str, day: date, row: Any, *, is_new: bool) -> ReconciledDay:
    totals = Totals.from_json(orjson.loads(row["totals"]))
    return ReconciledDay(
        account, day, row["statement_id"], row["version"], totals, row["balanced"], row["ran_at"], row["ran_by"],
        row["closed_at"], row["closed_by"], is_new,
    )  # fmt: skip


async def _while_connected(connection: Connection, copying: Coroutine[Any, Any, Any]) -> None:
    """A COPY as long as its connection is there: one that is lost while the server takes no more would be waited for
    until the COPY's own limit. Raises ConnectionDoesNotExistError."""
    lost = asyncio.Event()

    def gone(_: object) -> None:
        lost.set()

    connection.add_termination_listener(gone)
    copy, loss = asyncio.create_task(copying), asyncio.create_task(lost.wait())
    try:
        await asyncio.wait({copy, loss}, return_when=asyncio.FIRST_COMPLETED)
        if not copy.done():
            await asyncio.wait({copy}, timeout=ENDS_WITHIN_S)
        if not copy.done():
            raise asyncpg.ConnectionDoesNotExistError("the connection was lost in the middle of a COPY")
        await copy
    finally:
        for task in (copy, loss):
            task.cancel()
        if not connection.is_closed():
            connection.remove_termination_listener(gone)
