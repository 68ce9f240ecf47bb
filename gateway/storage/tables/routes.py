"""Recorded routes: decided and reserved here, executed elsewhere. A table of its own, so nothing ever sends them."""

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
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables.base import metadata, moment

__all__ = ["routes"]

routes = Table(
    "routes",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("route_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("merchant_order_no", Text, nullable=False),
    Column("scene", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("card_id", Uuid),
    Column("bank", Text, nullable=False),
    Column("custody_user_no", Text, comment="the payer's number at the custody bank; null: user_id"),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("channel", Text),
    Column("account", Text),
    Column("psp_code", Text, comment="custody: whom the bank is to charge through"),
    Column("expected_fee", BigInteger, comment="what the router counted with, in fen"),
    Column("fee", BigInteger, comment="what the PSP is owed; null until the money is reported to have moved"),
    Column("failure_code", Text),
    Column("failure_blame", Text),
    Column("failure_advice", Text),
    Column("channel_code", Text),
    Column("channel_message", Text),
    Column("failure_limit", JSONB(none_as_null=True), comment="of a refusal for a limit: what it told"),
    Column("late_success", Boolean, nullable=False, comment="failed, and reported as succeeded afterwards"),
    Column("description", Text),
    Column("metadata", JSONB, nullable=False),
    Column("sequence", Integer, nullable=False),
    moment("report_before"),
    moment("until_at", nullable=True),
    moment("lease_until", nullable=True),
    moment("unreported_at", nullable=True),
    moment("created_at"),
    moment("finished_at", nullable=True),
    Column("business_day", Date, nullable=False),
    PrimaryKeyConstraint("merchant_id", "route_id", name="routes_pkey"),
    ForeignKeyConstraint(["merchant_id", "user_id"], ["users.merchant_id", "users.user_id"], name="routes_user_fkey"),
    ForeignKeyConstraint(["merchant_id", "card_id"], ["cards.merchant_id", "cards.card_id"], name="routes_card_fkey"),
    CheckConstraint("amount > 0", name="routes_amount_check"),
    CheckConstraint("status IN ('open', 'succeeded', 'failed')", name="routes_status_check"),
    # An open one waits for its report; an unreported one waits until its day ends, and from then on for nobody.
    CheckConstraint(
        "status <> 'open' OR until_at IS NOT NULL OR unreported_at IS NOT NULL", name="routes_agenda_check"
    ),
    CheckConstraint("status = 'open' OR until_at IS NULL", name="routes_until_check"),
    CheckConstraint("until_at IS NOT NULL OR lease_until IS NULL", name="routes_lease_check"),
    CheckConstraint("(status = 'open') = (finished_at IS NULL)", name="routes_finished_check"),
    CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="routes_failure_check"),
    CheckConstraint("(failure_code IS NULL) = (failure_blame IS NULL)", name="routes_blame_check"),
    CheckConstraint("status = 'failed' OR channel IS NOT NULL", name="routes_channel_check"),
    CheckConstraint("(channel IS NULL) = (account IS NULL)", name="routes_account_check"),
    CheckConstraint(
        "failure_limit IS NULL OR (failure_code IS NOT NULL AND channel IS NULL)", name="routes_limit_check"
    ),
    # Only what an app said to have failed can turn out to have succeeded.
    CheckConstraint("NOT late_success OR (status = 'failed' AND channel IS NOT NULL)", name="routes_late_check"),
    CheckConstraint("fee IS NULL OR status = 'succeeded' OR late_success", name="routes_fee_check"),
    Index("routes_until_idx", "merchant_id", "until_at", postgresql_where=text("until_at IS NOT NULL")),
    # What a channel has in flight, of those that wait for their report.
    Index("routes_channel_idx", "merchant_id", "channel", postgresql_where=text("until_at IS NOT NULL")),
    Index("routes_user_idx", "merchant_id", "user_id", "route_id"),
    # What its app still owes a word of, for operators.
    Index(
        "routes_unreported_idx",
        "merchant_id",
        "route_id",
        postgresql_where=text("status = 'open' AND unreported_at IS NOT NULL"),
    ),
    Index("routes_day_idx", "business_day", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    comment="decided and reserved for an app that executes elsewhere and reports",
)
