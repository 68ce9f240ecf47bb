"""After each load: nothing lost, nothing done twice, all of it final and told. Speed that loses money is none."""

import asyncio
import json
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from gateway.domain.ids import EVENT, show
from gateway.storage.reading.doctor import examine
from gateway.storage.server.engine import create_engine

__all__ = ["Expected", "compare_ours", "compare_theirs", "get_json", "prove"]

FINAL_WITHIN_S: Final = 90.0
LOOK_EVERY_S: Final = 0.25
ANSWER_WITHIN_S: Final = 30.0

BOOKS: Final = """
SELECT count(*) AS payments, coalesce(sum(amount), 0)::bigint AS amount,
    count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
    count(*) FILTER (WHERE status IN ('processing', 'requires_action')) AS unfinished,
    (SELECT count(*) FROM intents WHERE verb = 'pay') AS attempts,
    (SELECT count(*) FROM deliveries WHERE status <> 'delivered') AS undelivered
FROM payments
"""


@dataclass(slots=True)
class Expected:
    """What all loads on one gateway add up to."""

    payments: int = 0
    amount: int = 0


def get_json(url: str) -> Any:
    """Read a control page of a counterpart."""
    with urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S) as answer:
        return json.load(answer)


async def prove(database_url: str, dsn: str, expected: Expected, books_url: str, sandbox_url: str | None) -> list[str]:
    """What is wrong after the loads so far, in words; nothing when all is well."""
    connection = await asyncpg.connect(dsn)
    try:
        books = await _settled(connection)
        events = {show(EVENT, row[0]) for row in await connection.fetch("SELECT event_id FROM events")}
    finally:
        await connection.close()
    told = get_json(books_url)
    problems = compare_ours(books, expected)
    problems += compare_theirs(books, told["psp"] if sandbox_url is None else _sandbox_books(sandbox_url))
    missed = len(events - told["receiver"]["events"].keys())
    if missed or not events:
        problems.append(f"the receiver got nothing of {missed} of {len(events)} events")
    if told["receiver"]["rejected"]:
        problems.append(f"{told['receiver']['rejected']} notifications did not verify")
    engine = create_engine(database_url, 2, application_name="benchmark")
    try:
        return problems + await examine(engine, datetime.now(UTC))
    finally:
        await engine.dispose()


async def _settled(connection: Any) -> dict[str, int]:
    """The books once nothing is unfinished or undelivered, or as they are when that took too long."""
    give_up_at = time.monotonic() + FINAL_WITHIN_S
    while True:
        books = dict(await connection.fetchrow(BOOKS))
        if not (books["unfinished"] or books["undelivered"]) or time.monotonic() > give_up_at:
            return books
        await asyncio.sleep(LOOK_EVERY_S)


def compare_ours(books: dict[str, int], expected: Expected) -> list[str]:
    """Our books must have exactly what was asked for, succeeded and told."""
    problems = []
    if books["payments"] != expected.payments or books["amount"] != expected.amount:
        problems.append(
            f"asked for {expected.payments} payments of {expected.amount} fen; the books have {books['payments']} of"
            f" {books['amount']}"
        )
    if books["succeeded"] != books["payments"]:
        problems.append(f"{books['payments'] - books['succeeded']} payments did not succeed")
    problems += [f"{books[name]} {what}" for name, what in UNSETTLED.items() if books[name]]
    return problems


UNSETTLED: Final = {"unfinished": "payments are not final", "undelivered": "notifications are not delivered"}


def compare_theirs(books: dict[str, int], theirs: dict[str, Any]) -> list[str]:
    """The PSP must have exactly our attempts, each submitted once, with the same fen."""
    found = (theirs["orders"], theirs["submissions"], theirs["amount"])
    if found == (books["attempts"], books["attempts"], books["amount"]) and not theirs["forged"]:
        return []
    ours = f"we have {books['attempts']} attempts of {books['amount']} fen"
    them = f"the PSP has {found[0]} orders by {found[1]} submissions of {found[2]} fen"
    return [f"{ours}; {them}, and got {theirs['forged']} requests whose signature was wrong"]


def _sandbox_books(sandbox_url: str) -> dict[str, Any]:
    rows = get_json(f"{sandbox_url}/_sandbox/unionpay/transactions")["transactions"]
    paid = [row for row in rows if row["kind"] == "withhold" and row["state"] == "succeeded"]
    sums: Counter[str] = Counter()
    for row in paid:
        sums["submissions"] += row["submissions"]
        sums["amount"] += row["amount"]
    return {"orders": len(paid), "submissions": sums["submissions"], "amount": sums["amount"], "forged": 0}
