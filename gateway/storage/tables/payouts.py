"""Payouts: money out, what of payments they pay on, and what of a channel's day they take."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables.base import metadata, moment

__all__ = ["payout_days", "payouts", "return_lists", "settles"]

payouts = Table(
    "payouts",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("payout_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("merchant_order_no", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("payee_type", Text, nullable=False),
    Column("payee_masked", Text, nullable=False, comment="of the account's number"),
    Column("payee_bank", Text, nullable=False),
    Column("payee", LargeBinary, nullable=False, comment="sealed by the payout's own key"),
    Column("data_key", LargeBinary, nullable=False, comment="the payout's own key, wrapped by the ring"),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("held_for", Text, comment="app, suspicion or window; null: nothing holds it"),
    Column("suspicion", Text, comment="what its PSP holds it for"),
    Column("expected_fee", BigInteger, comment="by the channel's rule, in fen"),
    Column("fee", BigInteger, comment="what the PSP is owed; null until the money is known to have moved"),
    Column("failure_code", Text),
    Column("failure_blame", Text),
    Column("failure_advice", Text),
    Column("channel_code", Text),
    Column("channel_message", Text),
    Column("returned", Text, comment="why the money came back"),
    Column("intent_ordinal", SmallInteger, comment="of its newest intent; null: nothing of it was ever sent"),
    Column("parts", Integer, nullable=False, comment="rows in settles"),
    Column("settles", BigInteger, nullable=False, comment="their sum"),
    Column("metadata", JSONB, nullable=False),
    Column("sequence", Integer, nullable=False),
    moment("due_at", nullable=True),
    moment("until_at", nullable=True),
    moment("lease_until", nullable=True),
    moment("created_at"),
    moment("finished_at", nullable=True),
    Column("business_day", Date, nullable=False, comment="of its first intent; while there is none, of its opening"),
    PrimaryKeyConstraint("merchant_id", "payout_id", name="payouts_pkey"),
    CheckConstraint("amount > 0", name="payouts_amount_check"),
    CheckConstraint("payee_type IN ('personal', 'corporate')", name="payouts_payee_check"),
    CheckConstraint("status IN ('processing', 'succeeded', 'failed', 'returned')", name="payouts_status_check"),
    CheckConstraint("held_for IN ('app', 'suspicion', 'window')", name="payouts_hold_check"),
    # Who is open is asked about, or what holds it ends by our own clock. A final one may be watched for a while.
    CheckConstraint(
        "status <> 'processing' OR due_at IS NOT NULL OR until_at IS NOT NULL", name="payouts_agenda_check"
    ),
    CheckConstraint("(held_for IS NULL) = (until_at IS NULL)", name="payouts_until_check"),
    CheckConstraint("held_for IS NULL OR status = 'processing'", name="payouts_held_check"),
    CheckConstraint("suspicion IS NULL OR coalesce(held_for = 'suspicion', false)", name="payouts_suspicion_check"),
    # What was never sent is held or failed; what waits to be sent was not.
    CheckConstraint(
        "CASE WHEN held_for IN ('app', 'window') THEN intent_ordinal IS NULL "
        "ELSE status = 'failed' OR intent_ordinal IS NOT NULL END",
        name="payouts_sent_check",
    ),
    CheckConstraint("due_at IS NOT NULL OR until_at IS NOT NULL OR lease_until IS NULL", name="payouts_lease_check"),
    CheckConstraint("(status = 'processing') = (finished_at IS NULL)", name="payouts_finished_check"),
    CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="payouts_failure_check"),
    CheckConstraint("(failure_code IS NULL) = (failure_blame IS NULL)", name="payouts_blame_check"),
    CheckConstraint("(status = 'returned') = (returned IS NOT NULL)", name="payouts_returned_check"),
    CheckConstraint("fee IS NULL OR status <> 'processing'", name="payouts_fee_check"),
    CheckConstraint(
        "parts >= 0 AND settles BETWEEN 0 AND amount AND (parts = 0) = (settles = 0)", name="payouts_settles_check"
    ),
    # Nothing is sent that pays on less than it says.
    CheckConstraint("intent_ordinal IS NULL OR settles = 0 OR settles = amount", name="payouts_complete_check"),
    Index("payouts_due_idx", "merchant_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("payouts_channel_due_idx", "merchant_id", "channel", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("payouts_until_idx", "merchant_id", "until_at", postgresql_where=text("until_at IS NOT NULL")),
    Index("payouts_held_idx", "merchant_id", "payout_id", postgresql_where=text("held_for IS NOT NULL")),
    Index("payouts_day_idx", "merchant_id", "channel", "business_day"),
)

payout_days = Table(
    "payout_days",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("used", BigInteger, nullable=False, comment="by payouts that were sent and are not known to have failed"),
    # Whoever changes a payout locks the row of its channel and day first.
    PrimaryKeyConstraint("merchant_id", "channel", "business_day", name="payout_days_pkey"),
    CheckConstraint("used >= 0", name="payout_days_used_check"),
    comment="what of a channel's day payouts take, in fen; its row is their lock",
)

settles = Table(
    "settles",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("payout_id", Uuid, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("counted", BigInteger, nullable=False, comment="of it in outflows.settled: all, or nothing once it is free"),
    PrimaryKeyConstraint("merchant_id", "payout_id", "payment_id", name="settles_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "payout_id"], ["payouts.merchant_id", "payouts.payout_id"], name="settles_payout_fkey"
    ),
    ForeignKeyConstraint(
        ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.payment_id"], name="settles_payment_fkey"
    ),
    CheckConstraint("amount > 0 AND counted BETWEEN 0 AND amount", name="settles_amount_check"),
    Index("settles_payment_idx", "merchant_id", "payment_id"),
    comment="which payments a payout pays on, and how much of each",
)

return_lists = Table(
    "return_lists",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("channel", Text, nullable=False, comment="one of the account's: on its places it is asked for"),
    moment("due_at", nullable=True),
    moment("lease_until", nullable=True),
    PrimaryKeyConstraint("merchant_id", "account", "day", name="return_lists_pkey"),
    Index("return_lists_due_idx", "merchant_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    comment="lists of payouts that came back on a day, to be fetched; read again they say the same",
)
