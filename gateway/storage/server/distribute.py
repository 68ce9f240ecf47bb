"""Spreading the tables over a Citus cluster: the books by merchant, the catalogue on every server.

What is done is read from `gateway.storage.tables` and from what the cluster says it has, so that it can be run again:
after a migration that adds a table, or after an interruption.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.server.migrate import _alone as alone  # what migrates keeps others away
from gateway.storage.tables import metadata

__all__ = ["NO_CLUSTER", "REFERENCE", "DistributionError", "Step", "distribute", "require_cluster", "steps"]

Tell = Callable[[str], None]

CATALOGUE = ("catalogue_versions", "merchants", "apps", "api_keys", "endpoints", "accounts", "channels")
RULES = ("maintenance_windows", "route_rules", "payout_rules", "transaction_rules")
REFERENCE = frozenset((*CATALOGUE, *RULES, "blocks", "block_proposals"))
"""What is small or rarely written. A table of the catalogue must stand here, every other one has `merchant_id`."""
LOCAL = frozenset({"schema_versions", "processes"})
"""What migrations write together with what they change, and the beats of processes: they stay on the coordinator,
through which all processes go."""
HAS_EXTENSION = "SELECT 1 FROM pg_extension WHERE extname = 'citus'"
CAN_HAVE = "SELECT 1 FROM pg_available_extensions WHERE name = 'citus'"
DONE = "SELECT table_name::text FROM citus_tables WHERE citus_table_type IN ('reference', 'distributed')"

NO_CLUSTER = (
    "this PostgreSQL has no extension citus, so its tables cannot be spread: name the coordinator of a Citus cluster "
    "in SLUICE_DATABASE_URL (docs/operations.md, on a cluster), or leave out --distribute"
)


class DistributionError(Exception):
    """The tables cannot be spread here. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One table, and what it becomes: `reference` or `distributed`."""

    table: str
    kind: str
    sql: str


def steps(done: Collection[str] = ()) -> list[Step]:
    """What is left to do, what foreign keys point at first: the catalogue, then the books.

    All of the books lie where the first of them lies, so that whatever is a merchant's is on one server.
    """
    tables = [table.name for table in metadata.sorted_tables if table.name not in LOCAL]
    catalogue = [name for name in tables if name in REFERENCE]
    first, *rest = [name for name in tables if name not in REFERENCE]
    found = [Step(name, "reference", f"SELECT create_reference_table('{name}')") for name in catalogue]
    found.append(Step(first, "distributed", f"SELECT create_distributed_table('{first}', 'merchant_id')"))
    found += [
        Step(
            name, "distributed", f"SELECT create_distributed_table('{name}', 'merchant_id', colocate_with => '{first}')"
        )
        for name in rest
    ]
    return [step for step in found if step.table not in done]


async def require_cluster(url: str) -> None:
    """Refuse a server that is no coordinator of a cluster. Raises DistributionError."""
    async with alone(url) as connection:
        if await _is_there(connection, HAS_EXTENSION):
            return
        if await _is_there(connection, CAN_HAVE):
            raise DistributionError(
                "the extension citus is not in this database: run there CREATE EXTENSION citus, then this command again"
            )
    raise DistributionError(NO_CLUSTER)


async def distribute(url: str, tell: Tell = lambda _: None) -> int:
    """Spread the tables of a migrated database that are not spread yet; how many these were."""
    async with alone(url) as connection:
        done = set((await connection.execute(sa.text(DONE))).scalars())
        await connection.rollback()
        left = steps(done)
        for step in left:
            tell(f"{step.table}: {step.kind}")
            await connection.execute(sa.text(step.sql))
            await connection.commit()  # each for itself: interrupted, it goes on where it ended
    return len(left)


async def _is_there(connection: AsyncConnection, sql: str) -> bool:
    found = (await connection.execute(sa.text(sql))).scalar_one_or_none()
    await connection.rollback()
    return found is not None
