"""Payouts: money out, what of payments they pay on, what of a channel's day they take, and lists of what came back."""

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.server.ddl import create_index, drop_index, validate

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Programs of before open none and ask about none. What a payout settles they see in `outflows`, so they refund no more
# than is left. A notice about a payout they refuse, so that it comes again, to a newer one.
tolerates = "0009"

CHECKS: Final[Mapping[str, str]] = {
    "intents_verb_check": (
        "verb IN ('authenticate', 'send_signing_code', 'send_payment_code', 'pay', 'refund', 'payout')"
    ),
    "intents_amount_check": (
        "(verb IN ('pay', 'refund', 'payout')) = (amount IS NOT NULL) AND (amount IS NULL OR amount > 0)"
    ),
    "intents_unknown_check": "state <> 'unknown' OR verb NOT IN ('pay', 'refund', 'payout')",
}
BEFORE: Final[Mapping[str, str]] = {
    "intents_verb_check": "verb IN ('authenticate', 'send_signing_code', 'send_payment_code', 'pay', 'refund')",
    "intents_amount_check": "(verb IN ('pay', 'refund')) = (amount IS NOT NULL) AND (amount IS NULL OR amount > 0)",
    "intents_unknown_check": "state <> 'unknown' OR verb NOT IN ('pay', 'refund')",
}


def upgrade() -> None:
    _new_tables()
    _put(CHECKS)
    _again("'pay', 'authenticate', 'payout'")


def _again(verbs: str) -> None:
    """Put the index of intents after the first in place of the one that is there, which holds until then."""
    create_index(
        "intents_again_new",
        "intents",
        ["merchant_id", "object_id", "verb"],
        unique=True,
        where=f"ordinal > 1 AND state IN ('open', 'done') AND verb IN ({verbs})",
    )
    drop_index("intents_again_key")
    op.execute("ALTER INDEX intents_again_new RENAME TO intents_again_key")


def _put(checks: Mapping[str, str]) -> None:
    for name, condition in checks.items():
        op.execute(f"ALTER TABLE intents DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE intents ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    for name in checks:
        validate(name, "intents")


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _new_tables() -> None:
    op.create_table(
        "payouts",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("merchant_order_no", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("payee_type", sa.Text(), nullable=False),
        sa.Column("payee_masked", sa.Text(), nullable=False, comment="of the account's number"),
        sa.Column("payee_bank", sa.Text(), nullable=False),
        sa.Column("payee", sa.LargeBinary(), nullable=False, comment="sealed by the payout's own key"),
        sa.Column("data_key", sa.LargeBinary(), nullable=False, comment="the payout's own key, wrapped by the ring"),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("held_for", sa.Text(), comment="app, suspicion or window; null: nothing holds it"),
        sa.Column("suspicion", sa.Text(), comment="what its PSP holds it for"),
        sa.Column("expected_fee", sa.BigInteger(), comment="by the channel's rule, in fen"),
        sa.Column("fee", sa.BigInteger(), comment="what the PSP is owed; null until the money is known to have moved"),
        sa.Column("failure_code", sa.Text()),
        sa.Column("failure_blame", sa.Text()),
        sa.Column("failure_advice", sa.Text()),
        sa.Column("channel_code", sa.Text()),
        sa.Column("channel_message", sa.Text()),
        sa.Column("returned", sa.Text(), comment="why the money came back"),
        sa.Column("intent_ordinal", sa.SmallInteger(), comment="of its newest intent; null: nothing of it was ever sent"),
        sa.Column("parts", sa.Integer(), nullable=False, comment="rows in settles"),
        sa.Column("settles", sa.BigInteger(), nullable=False, comment="their sum"),
        sa.Column("metadata", JSONB(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        _moment("due_at", nullable=True),
        _moment("until_at", nullable=True),
        _moment("lease_until", nullable=True),
        _moment("created_at"),
        _moment("finished_at", nullable=True),
        sa.Column("business_day", sa.Date(), nullable=False, comment="of its first intent; while there is none, of its opening"),
        sa.PrimaryKeyConstraint("merchant_id", "payout_id", name="payouts_pkey"),
        sa.CheckConstraint("amount > 0", name="payouts_amount_check"),
        sa.CheckConstraint("payee_type IN ('personal', 'corporate')", name="payouts_payee_check"),
        sa.CheckConstraint("status IN ('processing', 'succeeded', 'failed', 'returned')", name="payouts_status_check"),
        sa.CheckConstraint("held_for IN ('app', 'suspicion', 'window')", name="payouts_hold_check"),
        # Who is open is asked about, or what holds it ends by our own clock. A final one may be watched for a while.
        sa.CheckConstraint(
            "status <> 'processing' OR due_at IS NOT NULL OR until_at IS NOT NULL", name="payouts_agenda_check"
        ),
        sa.CheckConstraint("(held_for IS NULL) = (until_at IS NULL)", name="payouts_until_check"),
        sa.CheckConstraint("held_for IS NULL OR status = 'processing'", name="payouts_held_check"),
        sa.CheckConstraint("suspicion IS NULL OR coalesce(held_for = 'suspicion', false)", name="payouts_suspicion_check"),
        # What was never sent is held or failed; what waits to be sent was not.
        sa.CheckConstraint(
            "CASE WHEN held_for IN ('app', 'window') THEN intent_ordinal IS NULL "
            "ELSE status = 'failed' OR intent_ordinal IS NOT NULL END",
            name="payouts_sent_check",
        ),
        sa.CheckConstraint("due_at IS NOT NULL OR until_at IS NOT NULL OR lease_until IS NULL", name="payouts_lease_check"),
        sa.CheckConstraint("(status = 'processing') = (finished_at IS NULL)", name="payouts_finished_check"),
        sa.CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="payouts_failure_check"),
        sa.CheckConstraint("(failure_code IS NULL) = (failure_blame IS NULL)", name="payouts_blame_check"),
        sa.CheckConstraint("(status = 'returned') = (returned IS NOT NULL)", name="payouts_returned_check"),
        sa.CheckConstraint("fee IS NULL OR status <> 'processing'", name="payouts_fee_check"),
        sa.CheckConstraint(
            "parts >= 0 AND settles BETWEEN 0 AND amount AND (parts = 0) = (settles = 0)", name="payouts_settles_check"
        ),
        # Nothing is sent that pays on less than it says.
        sa.CheckConstraint("intent_ordinal IS NULL OR settles = 0 OR settles = amount", name="payouts_complete_check"),
        if_not_exists=True,
    )
    op.create_index("payouts_due_idx", "payouts", ["merchant_id", "due_at"], postgresql_where=sa.text("due_at IS NOT NULL"), if_not_exists=True)
    op.create_index("payouts_channel_due_idx", "payouts", ["merchant_id", "channel", "due_at"], postgresql_where=sa.text("due_at IS NOT NULL"), if_not_exists=True)
    op.create_index("payouts_until_idx", "payouts", ["merchant_id", "until_at"], postgresql_where=sa.text("until_at IS NOT NULL"), if_not_exists=True)
    op.create_index("payouts_held_idx", "payouts", ["merchant_id", "payout_id"], postgresql_where=sa.text("held_for IS NOT NULL"), if_not_exists=True)
    op.create_index("payouts_day_idx", "payouts", ["merchant_id", "channel", "business_day"], if_not_exists=True)
    op.create_table(
        "payout_days",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False, comment="by payouts that were sent and are not known to have failed"),
        # Whoever changes a payout locks the row of its channel and day first.
        sa.PrimaryKeyConstraint("merchant_id", "channel", "business_day", name="payout_days_pkey"),
        sa.CheckConstraint("used >= 0", name="payout_days_used_check"),
        comment="what of a channel's day payouts take, in fen; its row is their lock",
        if_not_exists=True,
    )
    op.create_table(
        "settles",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False, comment="of it in outflows.settled: all, or nothing once it is free"),
        sa.PrimaryKeyConstraint("merchant_id", "payout_id", "payment_id", name="settles_pkey"),
        sa.ForeignKeyConstraint(
            ["merchant_id", "payout_id"], ["payouts.merchant_id", "payouts.payout_id"], name="settles_payout_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.payment_id"], name="settles_payment_fkey"
        ),
        sa.CheckConstraint("amount > 0 AND counted BETWEEN 0 AND amount", name="settles_amount_check"),
        comment="which payments a payout pays on, and how much of each",
        if_not_exists=True,
    )
    op.create_index("settles_payment_idx", "settles", ["merchant_id", "payment_id"], if_not_exists=True)
    op.create_table(
        "return_lists",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False, comment="one of the account's: on its places it is asked for"),
        _moment("due_at", nullable=True),
        _moment("lease_until", nullable=True),
        sa.PrimaryKeyConstraint("merchant_id", "account", "day", name="return_lists_pkey"),
        comment="lists of payouts that came back on a day, to be fetched; read again they say the same",
        if_not_exists=True,
    )
    op.create_index("return_lists_due_idx", "return_lists", ["merchant_id", "due_at"], postgresql_where=sa.text("due_at IS NOT NULL"), if_not_exists=True)


def downgrade() -> None:
    op.execute("DELETE FROM intents WHERE verb = 'payout'")
    _put(BEFORE)
    _again("'pay', 'authenticate'")
    for table in ("return_lists", "settles", "payout_days", "payouts"):
        op.drop_table(table)
