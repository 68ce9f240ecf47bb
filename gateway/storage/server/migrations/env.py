"""Alembic's entry: runs on the connection that `storage.server.migrate` hands over, or for `alembic revision`.

Each migration is a transaction of its own, and with it goes the row that says which programs it tolerates.
"""

from datetime import UTC, datetime
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy.dialects.postgresql import insert

from gateway.storage.tables import metadata, schema_versions

FIRST_WITHOUT = "0001"
"""The first version's schema has no table for it."""


def note_tolerance(ctx: MigrationContext, step: MigrationInfo, heads: Any, run_args: Any) -> None:  # noqa: ARG001
    """Say in the database which programs may run on what this migration leaves."""
    if step.up_revision_id == FIRST_WITHOUT:
        return
    assert step.up_revision_id is not None
    script = context.script.get_revision(step.up_revision_id)
    assert script is not None
    assert ctx.connection is not None
    row = {
        "revision": step.up_revision_id,
        "tolerates": script.module.tolerates,
        "applied_at": datetime.now(UTC),
    }
    ctx.connection.execute(insert(schema_versions).values(row).on_conflict_do_nothing())


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    on_version_apply=note_tolerance,
)
with context.begin_transaction():
    context.run_migrations()
