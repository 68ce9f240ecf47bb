"""Which merchants have something due: one look into an index for each, many merchants in one statement.

A look stops at the first row, so that it costs the same whether one is due or a hundred thousand. Each is a query of
its own on one merchant: a cluster sends it to the one server that has that merchant, where a sub-query that depends on
a list of merchants is refused.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

__all__ = ["merchants_with_work", "statement"]

SIZES = (1, 4, 16)
"""Merchants in one statement: few texts, none beyond the 15 kB up to which asyncpg keeps a statement prepared."""


@cache
def statement(looks: tuple[str, ...], merchants: int) -> str:
    """The statement for so many merchants: $1 is the time, $2 where to begin (`low_water`), $3 and so on are they.

    A look is what stands behind FROM, with `{merchant}` for the merchant.
    """
    return "\nUNION ALL\n".join(
        f"(SELECT ${n}::uuid AS merchant_id FROM {look.format(merchant=f'${n}')} LIMIT 1)"
        for n in range(3, merchants + 3)
        for look in looks
    )


async def merchants_with_work(
    connection: Any, looks: tuple[str, ...], merchants: Collection[UUID], now: datetime, since: datetime
) -> list[UUID]:
    """Which of these merchants have a row that one of the looks finds."""
    found: dict[UUID, None] = {}
    for some in _batches(list(merchants)):
        rows = await connection.fetch(statement(looks, len(some)), now, since, *some)
        found |= dict.fromkeys(row["merchant_id"] for row in rows)
    return list(found)


def _batches(merchants: Sequence[UUID]) -> list[list[UUID]]:
    """What does not fill a size is filled up with the last one."""
    batches = []
    for begin in range(0, len(merchants), SIZES[-1]):
        some = list(merchants[begin : begin + SIZES[-1]])
        size = next(size for size in SIZES if size >= len(some))
        batches.append(some + some[-1:] * (size - len(some)))
    return batches
