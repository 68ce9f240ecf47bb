"""`python -m benchmarks.statements [lines]`: a day of a million lines held against a million payments of ours.

The rows of ours are made by the database itself: payments and their intents on one account and one day. In turns, on
the same server: a bare COPY of the same lines with one FULL JOIN, and our whole run in a process of its own. Of a
thousand lines one is missing, one is of nobody, one has another amount, one another fee, and one is there twice.

`--meanwhile`: what is left of payments while a file of CSV goes the whole way in the process that the worker starts.
"""

import argparse
import asyncio
import base64
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from benchmarks.stage import staged
from gateway.domain.catalogue import Catalogue
from gateway.domain.catalogue_content import AccountContent, MerchantContent
from gateway.domain.reconciled import Loading
from gateway.domain.statements import LineKind, StatementLine
from gateway.ports.statements import StatementFile
from gateway.run.apart import ReconciledApart
from gateway.run.supervising import interruptible
from gateway.settings import Settings
from gateway.storage.reconciling.lines import COLUMNS, LineCounter
from gateway.storage.reconciling.store import WORK_MEM, StatementStore
from gateway.storage.server.database import Database
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.migrate import upgrade

__all__ = ["ACCOUNT", "DAY", "MERCHANT", "fill", "lines"]

LINES: Final = 1_000_000
MERCHANT: Final = UUID(int=0xA)
ACCOUNT: Final = "up-1"
ZONE: Final = ZoneInfo("Asia/Shanghai")
DAY: Final = date(2026, 3, 5)
DAY_BEGINS: Final = datetime.combine(DAY, clock_time(0), ZONE)
ONE_IN: Final = 1_000
"""Of each kind of difference."""
CHILD_WITHIN_S: Final = 1_800.0
OTHER: Final = "reconciled"
"""Whose day is compared while payments of another merchant go on."""
JD: Final = {"url": "http://127.0.0.1:9", "merchant": "22294531", "terminal": "00000001", "assumed": ["order_numbers"]}
JD_KEYS: Final = {"md5_key": "0" * 32, "des_key": base64.b64encode(bytes(range(24))).decode()}
MAPPING: Final = {
    "columns": {
        "number": "number", "amount": "amount", "fee": "fee", "transaction_no": "transaction", "at": "at",
    },
    "unit": "fen",
    "kind": "payment",
    "day_by": "time",
    "total": "none",
}  # fmt: skip

FILL: Final = (
    """
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, bank, amount, currency,
    status, channel, account, channel_order_no, expected_fee, fee, metadata, customer_present, sequence, created_at,
    finished_at, business_day)
SELECT $1, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
    || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid, 'shop', 'order-' || n, 'withhold', 'withhold',
    'u' || n % 1000, 'ICBC', 100 + n % 90000, 'CNY', 'succeeded', 'up', $2, 'N' || lpad(n::text, 19, '0'), 50, 50,
    '{}', false, 1, at, at, (at AT TIME ZONE 'Asia/Shanghai')::date
FROM (SELECT n, md5('p' || n) AS h, $4::timestamptz + n * (interval '23 hours' / $3::int) AS at
    FROM generate_series(0, $3::int - 1) n) made""",
    """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks, ended_at, channel_transaction_no)
SELECT $1, payment_id, 'pay', 1, payment_id, channel, account, channel_order_no, created_at, created_at, amount,
    'done', 0, false, 0, false, 0, finished_at, 't-' || substr(merchant_order_no, 7) FROM payments
WHERE account = $2 AND merchant_id = $1""",
)
EMPTY: Final = "TRUNCATE statements, statement_lines, reconciled_days, differences"
BARE_TABLE: Final = "CREATE TABLE bare_lines (LIKE statement_lines)"
OURS: Final = """SELECT number, amount FROM intents WHERE merchant_id = $1 AND account = $2 AND verb = 'pay'
    AND recorded_at >= $3 AND recorded_at < $4"""
OURS_WITH_FEES: Final = """SELECT i.number, i.amount, p.fee FROM intents i JOIN payments p ON p.merchant_id = $1
    AND p.payment_id = i.object_id WHERE i.merchant_id = $1 AND i.account = $2 AND i.verb = 'pay'
    AND i.recorded_at >= $3 AND i.recorded_at < $4 AND p.business_day = $5"""
BARE_JOIN: Final = f"""
SELECT count(*) FILTER (WHERE o.number IS NULL) AS long, count(*) FILTER (WHERE l.number IS NULL) AS short,
    count(*) FILTER (WHERE l.amount <> o.amount) AS apart, sum(l.amount), sum(o.amount)
FROM bare_lines l FULL JOIN ({OURS}) o ON o.number = l.number
"""
BARE_JOIN_WITH_FEES: Final = f"""
SELECT count(*) FILTER (WHERE o.number IS NULL) AS long, count(*) FILTER (WHERE l.number IS NULL) AS short,
    count(*) FILTER (WHERE l.amount <> o.amount) AS apart, count(*) FILTER (WHERE l.fee <> o.fee) AS fees,
    sum(l.amount), sum(o.amount), sum(l.fee), sum(o.fee)
FROM bare_lines l FULL JOIN ({OURS_WITH_FEES}) o ON o.number = l.number
"""


async def fill(dsn: str, payments: int, account: str = ACCOUNT, merchant: UUID = MERCHANT) -> None:
    """Make our side of the day."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET session_replication_role = replica")  # no other rows stand around them
        await connection.execute(FILL[0], merchant, account, payments, DAY_BEGINS + timedelta(minutes=30))
        await connection.execute(FILL[1], merchant, account)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def lines(count: int) -> Iterator[StatementLine]:
    """Their side, in an order that is not ours."""
    step, kind = 7_919, LineKind.PAYMENT
    for place in range(count):
        n = place * step % count
        what = n % ONE_IN
        if what == 1:
            continue
        number = f"X{n:019}" if what == 2 else f"N{n:019}"
        at = DAY_BEGINS + timedelta(minutes=30, seconds=n * 82_800 // count)
        amount, fee = 100 + n % 90_000 + (what == 3), 50 + (what == 4)
        line = StatementLine(place + 2, kind, number, amount, True, fee, f"t-{n}", at)
        yield line
        if what == 5:
            yield line


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of the phases of one run, and what its process had in memory at most."""

    read: float
    compare: float
    peak_mb: float = 0.0

    @property
    def whole(self) -> float:
        return self.read + self.compare


def _peak_mb() -> float:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def _load(url: str, count: int) -> tuple[Took, list[str]]:
    return asyncio.run(_loaded(url, count))


async def _loaded(url: str, count: int) -> tuple[Took, list[str]]:
    database, marks = Database(url, 1), [time.perf_counter()] * 2
    files, at = ["made"], datetime.now(UTC)
    loading = Loading(uuid4(), MERCHANT, ACCOUNT, DAY, clock_time(0), files, uuid4().hex, "bench", at)

    def seen(_: int) -> None:
        marks[1] = time.perf_counter()

    try:
        done = await StatementStore(database, ZONE, lambda: Catalogue(1), uuid4).load(loading, lines(count), seen)
    finally:
        await database.close()
    ended = time.perf_counter()
    told = [f"{name.value} {sums.theirs}/{sums.ours}" for name, sums in done.totals.classes.items()]
    assert done.balanced, done.totals.wrong()
    return Took(marks[1] - marks[0], ended - marks[1], _peak_mb()), told


def ours(url: str, count: int) -> tuple[Took, list[str]]:
    """One run in a process of its own, from the first line to the commit."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as children:
        return children.submit(_load, url, count).result(CHILD_WITHIN_S)


async def bare(dsn: str, file: Path, join: str) -> Took:
    """COPY of what was written to a file before, and one FULL JOIN, in one transaction."""
    connection = await asyncpg.connect(dsn, command_timeout=CHILD_WITHIN_S)
    try:
        began = time.perf_counter()
        async with connection.transaction():
            await connection.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")
            await connection.copy_to_table("bare_lines", source=file, columns=COLUMNS, format="text")
            copied = time.perf_counter()
            of = (MERCHANT, ACCOUNT, DAY_BEGINS, DAY_BEGINS + timedelta(days=1))
            await connection.fetch(join, *of, *((DAY,) if "$5" in join else ()))
        return Took(copied - began, time.perf_counter() - copied)
    finally:
        await connection.execute("TRUNCATE bare_lines")
        await connection.close()


def _write(file: Path, count: int) -> None:
    counter = LineCounter(MERCHANT, uuid4(), lines(count))
    with file.open("wb") as text:
        while piece := counter.piece():
            text.write(piece)


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _measure(server: EmbeddedPostgres, folder: Path, count: int, rounds: int) -> None:
    out, file = Console(width=120), folder / "lines.copy"
    await upgrade(server.url)
    await fill(server.dsn, count)
    _write(file, count)
    await _execute(server.dsn, BARE_TABLE)
    runs: dict[str, list[Took]] = {"bare, without fees": [], "bare, with fees": [], "ours": []}
    for _ in range(rounds):
        runs["bare, without fees"].append(await bare(server.dsn, file, BARE_JOIN))
        runs["bare, with fees"].append(await bare(server.dsn, file, BARE_JOIN_WITH_FEES))
        took, told = ours(server.url, count)
        runs["ours"].append(took)
        out.print(f"{took} {', '.join(told)}", highlight=False)
        await _execute(server.dsn, EMPTY)
    medians = {
        name: [statistics.median(getattr(each, of) for each in took) for of in ("read", "compare", "whole", "peak_mb")]
        for name, took in runs.items()
    }
    table = Table("run", "read + COPY s", "join s", "whole s", "process MB", title=f"{count} lines, {rounds} rounds")
    for name, (read, compare, whole, peak) in medians.items():
        table.add_row(name, f"{read:.1f}", f"{compare:.1f}", f"{whole:.1f}", f"{peak:.0f}" if peak else "")
    out.print(table)
    for name in ("bare, without fees", "bare, with fees"):
        of = [mine / theirs for mine, theirs in zip(medians["ours"], medians[name], strict=True) if theirs]
        out.print(f"ours to {name}: read {of[0]:.2f}, compare {of[1]:.2f}, whole {of[2]:.2f}", highlight=False)


def _write_csv(file: Path, count: int) -> None:
    with file.open("w", encoding="utf-8") as text:
        text.write("number,amount,fee,transaction,at\n")
        for line in lines(count):
            assert line.at is not None
            text.write(f"{line.number},{line.amount},{line.fee},{line.transaction_no},{line.at:%Y-%m-%d %H:%M:%S}\n")


async def _merchant_id(dsn: str) -> UUID:
    connection = await asyncpg.connect(dsn)
    try:
        found: UUID = await connection.fetchval("SELECT merchant_id FROM merchants WHERE code = $1", OTHER)
        return found
    finally:
        await connection.close()


async def _meanwhile(server: EmbeddedPostgres, folder: Path, count: int, rounds: int, at_once: int, s: float) -> None:
    out, left, file = Console(width=120), [], folder / "lines.csv"
    _write_csv(file, count)
    account = AccountContent(ACCOUNT, "jd", {**JD, "statement": MAPPING}, JD_KEYS)
    other = MerchantContent(OTHER, "Reconciled", accounts=(account,))
    async with staged(server, folder, "hmac", processes=1, profile=False, others=(other,)) as stage:
        merchant_id = await _merchant_id(stage.dsn)
        await fill(stage.dsn, count, merchant=merchant_id)
        ring, order_key = SecretStr(stage.ring), SecretStr(stage.order_key)
        reconcile = ReconciledApart(Settings(database_url=stage.url, card_keys=ring, order_key=order_key))
        statement = [StatementFile(file.name, file)]
        await asyncio.to_thread(stage.load, at_once, 0.0, s / 4, range(2_000))
        for _ in range(rounds):
            rates = []
            for is_with in (False, True):
                run = asyncio.create_task(reconcile(merchant_id, ACCOUNT, DAY, "bench", statement)) if is_with else None
                began = time.perf_counter()
                told = await asyncio.to_thread(stage.load, at_once, 0.0, s, range(2_000))
                rates.append(told["statuses"].get("201", 0) / told["seconds"])
                out.print(f"{rates[-1]:.0f} payments/s, problems: {told['problems']}", highlight=False)
                if run is not None:
                    was_busy = not run.done()
                    done = await run
                    whole = time.perf_counter() - began
                    assert done.balanced, done.totals.wrong()
                    lasted = "longer than the load" if was_busy else "less than the load"
                    out.print(f"meanwhile {whole:.0f} s or less for the day, {lasted}", highlight=False)
                    await _execute(stage.dsn, EMPTY)
            left.append(rates[1] / rates[0])
    out.print(
        f"left of {at_once} at once: {statistics.median(left):.2f} ({min(left):.2f} to {max(left):.2f})",
        highlight=False,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statements", description=__doc__)
    parser.add_argument("lines", type=int, nargs="?", default=LINES)
    parser.add_argument("--rounds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--meanwhile", action="store_true", help="measure payments while a day is compared")
    parser.add_argument("--at", type=int, default=128, metavar="N", help="payments at once (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each load (default %(default)s)")
    chosen = parser.parse_args()
    with interruptible(), tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder / "postgres") as server:
            if chosen.meanwhile:
                many = (chosen.lines, chosen.rounds, chosen.at, chosen.seconds)
                asyncio.run(_meanwhile(server, folder, *many))
            else:
                asyncio.run(_measure(server, folder, chosen.lines, chosen.rounds))


if __name__ == "__main__":
    main()
