"""Statements of PSPs, the days that were held against them, and what differed."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables.base import metadata, moment

__all__ = ["differences", "reconciled_days", "statement_errands", "statement_lines", "statements"]

CLASSES = (
    "('matched', 'settled', 'lost', 'long', 'short', 'status_mismatch', 'duplicate', 'amount_mismatch', "
    "'fee_mismatch', 'returned', 'suspense')"
)

statements = Table(
    "statements",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("statement_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("sha256", Text, nullable=False, comment="of its files, one after the other"),
    Column("lines_sha256", Text, nullable=False, comment="of what its lines say: other bytes may say the same"),
    Column("files", JSONB, nullable=False, comment="their names"),
    Column("lines", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False, comment="signed sum of what it says was paid, in fen"),
    moment("loaded_at"),
    Column("loaded_by", Text, nullable=False),
    Column("note", Text, comment="why it takes the place of the version before"),
    moment("replaced_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "statement_id", name="statements_pkey"),
    UniqueConstraint("merchant_id", "account", "day", "version", name="statements_version_key"),
    CheckConstraint("lines >= 0 AND version >= 1", name="statements_lines_check"),
    CheckConstraint("version = 1 OR note IS NOT NULL", name="statements_note_check"),
    # Whatever is loaded at once: a day has one statement in force.
    Index(
        "statements_in_force_key",
        "merchant_id",
        "account",
        "day",
        unique=True,
        postgresql_where=text("replaced_at IS NULL"),
    ),
)

statement_lines = Table(
    "statement_lines",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("statement_id", Uuid, nullable=False),
    Column("ordinal", Integer, nullable=False, comment="from 1, as they were read"),
    Column("line", Integer, nullable=False, comment="of its file"),
    Column("kind", Text, nullable=False),
    Column("side", Text, nullable=False, comment="in, out or back: what of ours it can be about"),
    Column("number", Text, comment="our number of the order at the PSP"),
    Column("amount", BigInteger, nullable=False),
    Column("paid", Boolean, nullable=False),
    Column("fee", BigInteger),
    Column("transaction_no", Text),
    moment("done_at", nullable=True),
    Column("original", Text),
    # Written by COPY, a million at a time: no key, and an index that costs nothing.
    Index("statement_lines_idx", "statement_id", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    comment="what a statement says, in one normal form; never changed",
)

reconciled_days = Table(
    "reconciled_days",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("statement_id", Uuid, nullable=False),
    Column("totals", JSONB, nullable=False, comment="by class and in all: counts and signed sums of both sides"),
    Column("balanced", Boolean, nullable=False),
    moment("ran_at"),
    Column("ran_by", Text, nullable=False),
    moment("closed_at", nullable=True),
    Column("closed_by", Text),
    PrimaryKeyConstraint("merchant_id", "account", "day", name="reconciled_days_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "statement_id"], ["statements.merchant_id", "statements.statement_id"],
        name="reconciled_days_statement_fkey",
    ),
    CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name="reconciled_days_closed_check"),
)  # fmt: skip

differences = Table(
    "differences",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("difference_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("day", Date, nullable=False, comment="of the statement that shows it"),
    Column("statement_id", Uuid, nullable=False),
    Column("class", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("number", Text),
    Column("line", Integer, comment="of theirs; null: they have none"),
    Column("ordinal", Integer),
    Column("kind", Text),
    Column("amount", BigInteger, comment="theirs, in fen"),
    Column("paid", Boolean),
    Column("fee", BigInteger),
    Column("transaction_no", Text),
    moment("done_at", nullable=True),
    Column("verb", Text, comment="of ours; null: we have none"),
    Column("object_id", Uuid),
    Column("turn", SmallInteger, comment="which intent of it"),
    Column("our_amount", BigInteger),
    Column("our_state", Text, comment="of the intent, when it was compared"),
    Column("our_fee", BigInteger),
    moment("our_done_at", nullable=True),
    Column("state", Text, nullable=False),
    Column("word", Text, comment="what our books are to hear of it"),
    moment("told_at", nullable=True),
    Column("became", Text, comment="of suspense: its class on the later day"),
    Column("became_on", Date),
    moment("found_at"),
    moment("resolved_at", nullable=True),
    Column("resolved_by", Text),
    Column("note", Text),
    moment("superseded_at", nullable=True),
    Column("history", JSONB, nullable=False, comment="who resolved and re-opened it, when, and why"),
    PrimaryKeyConstraint("merchant_id", "difference_id", name="differences_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "statement_id"], ["statements.merchant_id", "statements.statement_id"],
        name="differences_statement_fkey",
    ),
    CheckConstraint(f"class IN {CLASSES}", name="differences_class_check"),
    CheckConstraint("state IN ('open', 'resolved', 'superseded')", name="differences_state_check"),
    CheckConstraint(
        "CASE state WHEN 'open' THEN resolved_at IS NULL WHEN 'resolved' THEN resolved_at IS NOT NULL ELSE true END"
        " AND (state = 'superseded') = (superseded_at IS NOT NULL)",
        name="differences_resolved_check",
    ),
    CheckConstraint("(resolved_at IS NULL) = (resolved_by IS NULL)", name="differences_resolved_by_check"),
    CheckConstraint("ordinal IS NOT NULL OR object_id IS NOT NULL", name="differences_sides_check"),
    CheckConstraint("told_at IS NULL OR word IS NOT NULL", name="differences_told_check"),
    # One class for each line of theirs, and for each entry of ours on a day.
    Index("differences_line_key", "merchant_id", "statement_id", "ordinal", unique=True,
          postgresql_where=text("ordinal IS NOT NULL AND became_on IS NULL AND state <> 'superseded'")),
    Index("differences_day_idx", "merchant_id", "account", "day"),
    Index("differences_open_idx", "merchant_id", "difference_id", postgresql_where=text("state = 'open'")),
    Index("differences_untold_idx", "merchant_id", "difference_id",
          postgresql_where=text("word IS NOT NULL AND told_at IS NULL")),
    Index("differences_object_idx", "merchant_id", "object_id", postgresql_where=text("object_id IS NOT NULL")),
    comment="each line of theirs and entry of ours that is no plain match",
)  # fmt: skip

statement_errands = Table(
    "statement_errands",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("day", Date, nullable=False),
    moment("due_at", nullable=True),
    moment("lease_until", nullable=True),
    Column("tries", Integer, nullable=False),
    Column("reason", Text, comment="why the last try brought nothing"),
    Column("told_late", Boolean, nullable=False),
    moment("began_at"),
    moment("done_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "account", "day", name="statement_errands_pkey"),
    CheckConstraint("due_at IS NULL OR done_at IS NULL", name="statement_errands_done_check"),
    Index("statement_errands_due_idx", "merchant_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    comment="statements to be fetched, each until it is there",
)
