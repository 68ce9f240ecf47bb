"""What a statement on the books must look like to be sent to one server of a cluster, and which are asked."""

import re

from gateway.storage.tables import metadata
from gateway.storage.writing import (
    blocks,
    checkout_books,
    claims,
    deliveries,
    due,
    held,
    in_flight,
    line,
    payout_books,
    reporting,
    routes,
    settling,
    totals,
    trying,
    with_work,
)

__all__ = ["WORKERS", "against_the_shape"]

CLAIMS = ("CLAIM_PAYMENTS", "CLAIM_AUTHENTICATIONS", "CLAIM_REFUNDS", "CLAIM_PAYOUTS")
BOOKS = {table.name for table in metadata.tables.values() if "merchant_id" in table.c}
WORKERS = {
    **{name: getattr(claims, name) for name in CLAIMS},
    **{name: getattr(claims, name) for name in ("DUE_CHANNELS", "OPEN_CHANNELS", "OLDEST_DUE")},
    **{name: getattr(line, name) for name in ("CLAIM_LINE", "CLAIM_TOO_LATE", "PUT_BACK")},
    **{f"WITH_LINE, {size}": with_work.statement(line.WITH_LINE, size) for size in with_work.SIZES},
    **{name: getattr(held, name) for name in ("MISPLACED", "HOLD", "RELEASE", "DISCARD", "HELD")},
    **{name: getattr(due, name) for name in ("READ_CARD", "READ_AGREEMENT", "FIND_CARD", "FIND_INTENT", "FIND_UNSENT")},
    **{f"FIND_OBJECT {kind}": sql for kind, (_, sql) in due.FIND_OBJECT.items()},
    **{
        f"deliveries.{name}": getattr(deliveries, name)
        for name in ("CLAIM", "RECORD", "REDELIVER", "DEAD_LETTERS", "OLDEST_DUE")
    },
    **{f"WITH_WORK, {size}": with_work.statement(claims.WITH_WORK, size) for size in with_work.SIZES},
    **{f"deliveries.WITH_WORK, {size}": with_work.statement(deliveries.WITH_WORK, size) for size in with_work.SIZES},
    **{f"WITH_ROUTES, {size}": with_work.statement(routes.WITH_ROUTES, size) for size in with_work.SIZES},
    **{f"WITH_CHECKOUTS, {size}": with_work.statement(checkout_books.WITH_CHECKOUTS, size) for size in with_work.SIZES},
    "CLAIM_CHECKOUTS": checkout_books.CLAIM_CHECKOUTS,
    "READ_CARDS": trying.READ_CARDS,
    "CLAIM_ROUTES": routes.CLAIM_ROUTES,
    **{name: getattr(payout_books, name) for name in ("CLAIM_HELD", "CLAIM_LISTS", "LISTED", "READ_PAYEE")},
    "payout_books.READ_CONTINUATION": payout_books.READ_CONTINUATION,
    **{
        name: getattr(settling, name)
        for name in (
            "READ_DAYS_OF",
            "READ_USED",
            "READ_SETTLED",
            "FREE_OUTFLOWS",
            "FREE_PARTS",
            "TAKE_PARTS",
            "TAKE_OUTFLOWS",
        )
    },
    "READ_VERIFIERS": reporting.READ_VERIFIERS,
    "READ_NUMBER_PRINTS": reporting.READ_NUMBER_PRINTS,
    "READ_IN_FLIGHT": in_flight.READ_IN_FLIGHT,
    "READ_TOTALS": totals.READ_TOTALS,
    "READ_BLOCKS": blocks.READ_BLOCKS,
}
"""Statements beside those of flushes, by their names."""

_TABLE = re.compile(
    r"\b(?:FROM|JOIN|UPDATE)\s+(\w+)(?:\s+(?:AS\s+)?(?!WHERE|SET|JOIN|LEFT|ON|ORDER|FOR|UNION)([a-z]\w*))?"
)
_SET = re.compile(r"\bSET\b(.*?)(?=\bWHERE\b|\bFROM\b|\bRETURNING\b|$)")
_ON_CONFLICT = re.compile(r"\bDO UPDATE SET (.*?)(?=\bWHERE\b|\bRETURNING\b|\), |$)")
_RETURNING = re.compile(r"\bRETURNING\b([^()]*)")
_MADE_THERE = re.compile(r"\b(?:now|clock_timestamp|current_timestamp|gen_random_uuid|random)\b", re.IGNORECASE)


def against_the_shape(sql: str) -> list[str]:
    """What is wrong with a statement, in words; nothing when one server of a cluster can run it."""
    sql = " ".join(sql.split())
    found = [f"reads {table} without its merchant" for table in sorted(_without_merchant(sql))]
    if _MADE_THERE.search(sql):
        found.append("makes a time or an id in the database")
    if any("$" in part for part in _RETURNING.findall(sql)):
        found.append("has a parameter in RETURNING")
    if any("$" in part for part in _ON_CONFLICT.findall(sql)):
        found.append("has a parameter in ON CONFLICT")
    if any(re.search(r"\w+\(\)", part) for part in _SET.findall(sql)):
        found.append("calls a function in SET")
    return found


def _without_merchant(sql: str) -> set[str]:
    """Tables of the books that are not bound to a merchant, by a parameter or by another table that is."""
    missing = set()
    for table, alias in _TABLE.findall(sql):
        name = alias or table
        bound = rf"\b{name}\.merchant_id = (?:\$\d|\w+\.merchant_id)"
        alone = r"(?<![.\w])merchant_id = \$\d"
        if table in BOOKS and not re.search(bound, sql) and (alias or not re.search(alone, sql)):
            missing.add(table)
    return missing
