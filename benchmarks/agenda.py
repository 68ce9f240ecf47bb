"""`python -m benchmarks.agenda`: where what is due is kept cheapest, in the object's own row or in a narrow one.

Each payment is inserted open and made final in a second transaction, 32 at a time, as flushes do. Figures are the
database's own: WAL per payment, and CPU of its server per payment, the variants in turns.
"""

import asyncio
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.table import Table
from uuid_utils.compat import uuid7

from gateway.storage.server.embedded import EmbeddedPostgres

BATCH: Final = 32
BATCHES: Final = 400
ROUNDS: Final = 5

WIDE: Final = """
CREATE TABLE {name} (
    merchant_id uuid, payment_id uuid, user_id text, words text, status text, {due} finished_at timestamptz,
    PRIMARY KEY (merchant_id, payment_id)
) {fill};
CREATE INDEX ON {name} (merchant_id, user_id, payment_id);
"""
OWN: Final = WIDE.format(name="own", due="due_at timestamptz,", fill="") + (
    "CREATE INDEX ON own (merchant_id, due_at) WHERE due_at IS NOT NULL;"
)
BESIDE: Final = """
{wide}
CREATE TABLE agenda{n} (merchant_id uuid, payment_id uuid, due_at timestamptz, PRIMARY KEY (merchant_id, payment_id));
CREATE INDEX ON agenda{n} (merchant_id, due_at);
"""
INSERT: Final = """
INSERT INTO {name} (merchant_id, payment_id, user_id, words, status{due})
SELECT $1, v.id, 'user-' || v.n, repeat('x', 500), 'processing'{now} FROM unnest($2::uuid[], $3::int[]) AS v (id, n)
"""
FINISH: Final = """
UPDATE {name} t SET status = 'succeeded', finished_at = now(){due} FROM unnest($2::uuid[]) AS v (id)
WHERE t.merchant_id = $1 AND t.payment_id = v.id
"""
MERCHANT: Final = UUID(int=1)

Variant = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A name, the statements that open, those that finish."""


def _beside(n: str) -> Variant:
    opening = (
        INSERT.format(name=f"beside{n}", due="", now=""),
        f"INSERT INTO agenda{n} SELECT $1, v.id, now() FROM unnest($2::uuid[], $3::int[]) AS v (id, n)",
    )
    finishing = (
        FINISH.format(name=f"beside{n}", due=""),
        f"DELETE FROM agenda{n} WHERE merchant_id = $1 AND payment_id = ANY($2::uuid[])",
    )
    return f"a narrow row beside it{' (fillfactor 50)' if n else ''}", opening, finishing


VARIANTS: Final[tuple[Variant, ...]] = (
    (
        "the object's own row",
        (INSERT.format(name="own", due=", due_at", now=", now()"),),
        (FINISH.format(name="own", due=", due_at = NULL"),),
    ),
    _beside(""),
    _beside("50"),
)


async def _run(connection: Any, variant: Variant) -> tuple[float, float]:
    """Bytes of WAL, and seconds of the server's CPU, for each payment."""
    _, opening, finishing = variant
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    cpu, wal = _cpu_s(pid), await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'")
    for batch in range(BATCHES):
        ids, numbers = [uuid7() for _ in range(BATCH)], [batch * BATCH + n for n in range(BATCH)]
        async with connection.transaction():
            for statement in opening:
                await connection.execute(statement, MERCHANT, ids, numbers)
        async with connection.transaction():
            for statement in finishing:
                await connection.execute(statement, MERCHANT, ids)
    payments = BATCH * BATCHES
    told = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'")
    return float(told - wal) / payments, (_cpu_s(pid) - cpu) / payments


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measure(dsn: str) -> dict[str, list[tuple[float, float]]]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(OWN)
        for n, fill in (("", ""), ("50", "WITH (fillfactor = 50)")):
            wide = WIDE.format(name=f"beside{n}", due="", fill=fill)
            await connection.execute(BESIDE.format(wide=wide, n=n))
        told: dict[str, list[tuple[float, float]]] = {variant[0]: [] for variant in VARIANTS}
        for _ in range(ROUNDS):
            for variant in VARIANTS:
                await connection.execute("CHECKPOINT")
                told[variant[0]].append(await _run(connection, variant))
        return told
    finally:
        await connection.close()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="sluice-agenda-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder / "pg", durable=True, tell=lambda _: None) as server:
            told = asyncio.run(_measure(server.dsn))
    table = Table(title=f"{BATCH * BATCHES} payments a round, medians of {ROUNDS}")
    for heading in ("what is due stands in", "WAL per payment", "server CPU per payment"):
        table.add_column(heading)
    for what, rounds in told.items():
        wal, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
        table.add_row(what, f"{wal:,.0f} bytes", f"{1e6 * cpu:.0f} us")
    Console().print(table)


if __name__ == "__main__":
    main()
