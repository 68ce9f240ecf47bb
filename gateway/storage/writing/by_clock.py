"""What waits until a time of ours: which merchants have such rows, and claiming some by lease, the oldest first.

Names of tables and columns come from the caller, never from a request.
"""

from uuid import UUID

from gateway.storage.server.database import Database

__all__ = ["claim_late", "claim_of", "look_for"]


def look_for(table: str) -> str:
    """A look of `merchants_with_work` for rows of a table whose time is over and that nobody has in hand."""
    return (
        f"{table} WHERE merchant_id = {{merchant}} AND until_at <= $1 AND until_at >= $2\n"
        "    AND (lease_until IS NULL OR lease_until <= $1)"
    )


def claim_of(table: str, key: str) -> str:
    """The statement that takes them: $1 merchant, $2 now, $3 the end of the lease, $4 how many; their ids and users."""
    return f"""
WITH late AS (
    SELECT {key}, $3::timestamptz AS lease_until FROM {table} WHERE merchant_id = $1 AND until_at <= $2
    AND (lease_until IS NULL OR lease_until <= $2)
    ORDER BY until_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE {table} t SET lease_until = late.lease_until FROM late
WHERE t.merchant_id = $1 AND t.{key} = late.{key} RETURNING t.{key}, t.user_id
"""


async def claim_late(database: Database, statement: str, merchant_id: UUID, *values: object) -> list[tuple[UUID, str]]:
    """Run a statement of `claim_of` in a transaction of its own."""
    async with database.transaction() as connection:
        rows = await connection.fetch(statement, merchant_id, *values)
    return [(row[0], row[1]) for row in rows]
