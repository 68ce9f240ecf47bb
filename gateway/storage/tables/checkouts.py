"""Checkouts: what payers pay, or sign a card for, on pages of ours."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from gateway.storage.tables.base import metadata, moment

__all__ = ["checkouts"]

checkouts = Table(
    "checkouts",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("checkout_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("merchant_order_no", Text, nullable=False),
    Column("purpose", Text, nullable=False, comment="pay, or sign a card"),
    Column("user_id", Text, nullable=False),
    Column("amount", BigInteger),
    Column("currency", Text),
    Column("description", Text),
    Column("methods", ARRAY(Text), nullable=False),
    Column("custody_user_no", Text, comment="the payer's number at the custody bank; null: user_id"),
    Column("return_url", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("won_by", Uuid, comment="the payment or authentication that it succeeded with"),
    Column("tries", SmallInteger, nullable=False),
    Column("codes", SmallInteger, nullable=False, comment="SMS asked for, over all its tries"),
    Column("sequence", Integer, nullable=False),
    moment("expires_at"),
    moment("until_at", nullable=True),
    moment("lease_until", nullable=True),
    moment("created_at"),
    moment("finished_at", nullable=True),
    Column("metadata", JSONB, nullable=False),
    PrimaryKeyConstraint("merchant_id", "checkout_id", name="checkouts_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "user_id"], ["users.merchant_id", "users.user_id"], name="checkouts_user_fkey"
    ),
    CheckConstraint("amount > 0", name="checkouts_amount_check"),
    CheckConstraint("purpose IN ('pay', 'sign')", name="checkouts_purpose_check"),
    CheckConstraint(
        "(purpose = 'pay') = (amount IS NOT NULL) AND (amount IS NULL) = (currency IS NULL)", name="checkouts_pay_check"
    ),
    CheckConstraint("status IN ('open', 'succeeded', 'expired', 'canceled')", name="checkouts_status_check"),
    CheckConstraint("(status = 'open') = (until_at IS NOT NULL)", name="checkouts_agenda_check"),
    CheckConstraint("until_at IS NOT NULL OR lease_until IS NULL", name="checkouts_lease_check"),
    CheckConstraint("(status = 'open') = (finished_at IS NULL)", name="checkouts_finished_check"),
    CheckConstraint("(status = 'succeeded') = (won_by IS NOT NULL)", name="checkouts_won_check"),
    CheckConstraint("tries >= 0 AND codes >= 0", name="checkouts_counts_check"),
    Index("checkouts_until_idx", "merchant_id", "until_at", postgresql_where=text("until_at IS NOT NULL")),
    Index("checkouts_user_idx", "merchant_id", "user_id", "checkout_id"),
)
