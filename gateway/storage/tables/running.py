"""Which programs may run on this schema (written by migrations, read by every process), and which processes run."""

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text, Uuid

from gateway.storage.tables.base import metadata, moment

__all__ = ["processes", "schema_versions"]

schema_versions = Table(
    "schema_versions",
    metadata,
    Column("revision", Text, nullable=False),
    Column("tolerates", Text, nullable=False, comment="the oldest revision whose programs run on this one's schema"),
    moment("applied_at"),
    PrimaryKeyConstraint("revision", name="schema_versions_pkey"),
)

processes = Table(
    "processes",
    metadata,
    Column("process_id", Uuid, nullable=False),
    moment("beat_at"),
    PrimaryKeyConstraint("process_id", name="processes_pkey"),
    comment="each process's last beat, by its own clock; a row that does not change is of a dead one",
)
