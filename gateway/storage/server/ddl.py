"""Changing tables that are in use: what a migration calls instead of Alembic's own where that would hold others up."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

__all__ = ["BATCH_ROWS", "create_index", "drop_index", "in_batches", "validate"]

BATCH_ROWS = 5_000
"""Rows in one statement of `in_batches`: some tenths of a second each."""
SAY_EVERY_S = 5.0

IS_INVALID = """
SELECT NOT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname = :name AND c.relnamespace = current_schema()::regnamespace
"""


def create_index(
    name: str,
    table: str,
    columns: Sequence[str | sa.TextClause],
    *,
    unique: bool = False,
    where: str | None = None,
    using: str = "btree",
    storage: Mapping[str, Any] | None = None,
) -> None:
    """Build an index while the table is written; it waits for transactions that are older, and nobody waits for it.

    What stands before it in the migration is committed. One that an earlier try left unfinished is built anew.
    """
    with _outside_of_transactions() as connection:
        if connection.execute(sa.text(IS_INVALID), {"name": name}).scalar_one_or_none():
            op.drop_index(name, postgresql_concurrently=True)
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            postgresql_where=None if where is None else sa.text(where),
            postgresql_using=using,
            postgresql_with=storage or {},
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def drop_index(name: str) -> None:
    """Drop an index while its table is used."""
    with _outside_of_transactions():
        op.drop_index(name, postgresql_concurrently=True, if_exists=True)


def validate(constraint: str, table: str) -> None:
    """Prove a constraint that was added NOT VALID, while the table is written. What stands before it is committed."""
    with _outside_of_transactions() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}"))


def in_batches(what: str, batches: Callable[[sa.Connection], Iterator[int]]) -> None:
    """Run work on many rows, each statement of which commits by itself. `batches` yields how many rows it did.

    It must find out what is left to do, since it is run from its start again after an interruption.
    """
    done, said_at = 0, time.monotonic()
    with _outside_of_transactions() as connection:
        for rows in batches(connection):
            done += rows
            if time.monotonic() - said_at >= SAY_EVERY_S:
                said_at = time.monotonic()
                _tell(f"{what}: {done} rows so far")
    if done:
        _tell(f"{what}: {done} rows")


def _tell(message: str) -> None:
    config = op.get_context().config
    assert config is not None
    config.attributes["tell"](message)


class _outside_of_transactions:  # noqa: N801 -- read as a word of the sentence: with _outside_of_transactions()
    """Autocommit, and no limit to waits for locks: nothing that is run here makes others wait."""

    def __enter__(self) -> sa.Connection:
        self._block = op.get_context().autocommit_block()
        self._block.__enter__()
        connection = op.get_bind()
        connection.execute(sa.text("SET lock_timeout = 0"))
        return connection

    def __exit__(self, *error: Any) -> None:
        try:
            op.get_bind().execute(sa.text("RESET lock_timeout"))
        finally:
            self._block.__exit__(*error)
