"""What accounts at PSPs have, as they last stated it."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, PrimaryKeyConstraint, Table, Text, Uuid

from gateway.storage.tables.base import metadata, moment

__all__ = ["balances"]

balances = Table(
    "balances",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("for_payouts", BigInteger, comment="what payouts can take, in fen; null: it does not say"),
    Column("for_refunds", BigInteger),
    Column("total", BigInteger),
    moment("since_at"),
    moment("stated_at", nullable=True),
    moment("asked_at", nullable=True),
    Column("failed", Text, comment="how the last question ended, where it told nothing"),
    Column("reason", Text),
    Column("channel_code", Text),
    Column("told_low", Boolean, nullable=False, comment="the last alert said that it is below its threshold"),
    Column("told_silent", Boolean, nullable=False, comment="the last alert said that it is not known any more"),
    moment("due_at"),
    moment("lease_until", nullable=True),
    PrimaryKeyConstraint("merchant_id", "account", name="balances_pkey"),
    CheckConstraint(
        "coalesce(for_payouts, 0) >= 0 AND coalesce(for_refunds, 0) >= 0 AND coalesce(total, 0) >= 0",
        name="balances_amounts_check",
    ),
    # An account that states nothing has no amounts, and never 0 in their place.
    CheckConstraint(
        "(stated_at IS NULL) = (for_payouts IS NULL AND for_refunds IS NULL AND total IS NULL)",
        name="balances_stated_check",
    ),
    CheckConstraint("failed IN ('unknown', 'not_sent')", name="balances_failed_check"),
    CheckConstraint("(failed IS NULL) = (reason IS NULL)", name="balances_reason_check"),
    CheckConstraint("asked_at IS NOT NULL OR (stated_at IS NULL AND failed IS NULL)", name="balances_asked_check"),
    Index("balances_due_idx", "merchant_id", "due_at"),
    comment="the newest word of each account that can tell what it has",
)
