"""Recorded routes: decided and reserved here for an app that executes elsewhere, and ended by what it reports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# Programs of before know nothing of this table, so they send nothing of it. They count what it reserves, since that
# stands in usage. What they cannot read are the events and anomalies of a route, and a payment under its order number.
tolerates = "0009"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "routes",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("route_id", sa.Uuid(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("merchant_order_no", sa.Text(), nullable=False),
        sa.Column("scene", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("card_id", sa.Uuid(), nullable=True),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column(
            "custody_user_no",
            sa.Text(),
            nullable=True,
            comment="the payer's number at the custody bank; null: user_id",
        ),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("psp_code", sa.Text(), nullable=True, comment="custody: whom the bank is to charge through"),
        sa.Column("expected_fee", sa.BigInteger(), nullable=True, comment="what the router counted with, in fen"),
        sa.Column(
            "fee",
            sa.BigInteger(),
            nullable=True,
            comment="what the PSP is owed; null until the money is reported to have moved",
        ),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("failure_blame", sa.Text(), nullable=True),
        sa.Column("failure_advice", sa.Text(), nullable=True),
        sa.Column("channel_code", sa.Text(), nullable=True),
        sa.Column("channel_message", sa.Text(), nullable=True),
        sa.Column(
            "failure_limit", JSONB(none_as_null=True), nullable=True, comment="of a refusal for a limit: what it told"
        ),
        sa.Column(
            "late_success", sa.Boolean(), nullable=False, comment="failed, and reported as succeeded afterwards"
        ),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("metadata", JSONB(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("report_before", moment, nullable=False),
        sa.Column("until_at", moment, nullable=True),
        sa.Column("lease_until", moment, nullable=True),
        sa.Column("unreported_at", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "route_id", name="routes_pkey"),
        sa.ForeignKeyConstraint(
            ["merchant_id", "user_id"], ["users.merchant_id", "users.user_id"], name="routes_user_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "card_id"], ["cards.merchant_id", "cards.card_id"], name="routes_card_fkey"
        ),
        sa.CheckConstraint("amount > 0", name="routes_amount_check"),
        sa.CheckConstraint("status IN ('open', 'succeeded', 'failed')", name="routes_status_check"),
        sa.CheckConstraint(
            "status <> 'open' OR until_at IS NOT NULL OR unreported_at IS NOT NULL", name="routes_agenda_check"
        ),
        sa.CheckConstraint("status = 'open' OR until_at IS NULL", name="routes_until_check"),
        sa.CheckConstraint("until_at IS NOT NULL OR lease_until IS NULL", name="routes_lease_check"),
        sa.CheckConstraint("(status = 'open') = (finished_at IS NULL)", name="routes_finished_check"),
        sa.CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="routes_failure_check"),
        sa.CheckConstraint("(failure_code IS NULL) = (failure_blame IS NULL)", name="routes_blame_check"),
        sa.CheckConstraint("status = 'failed' OR channel IS NOT NULL", name="routes_channel_check"),
        sa.CheckConstraint("(channel IS NULL) = (account IS NULL)", name="routes_account_check"),
        sa.CheckConstraint(
            "failure_limit IS NULL OR (failure_code IS NOT NULL AND channel IS NULL)", name="routes_limit_check"
        ),
        sa.CheckConstraint(
            "NOT late_success OR (status = 'failed' AND channel IS NOT NULL)", name="routes_late_check"
        ),
        sa.CheckConstraint("fee IS NULL OR status = 'succeeded' OR late_success", name="routes_fee_check"),
        comment="decided and reserved for an app that executes elsewhere and reports",
    )
    waits = sa.text("until_at IS NOT NULL")
    op.create_index("routes_until_idx", "routes", ["merchant_id", "until_at"], postgresql_where=waits)
    op.create_index("routes_channel_idx", "routes", ["merchant_id", "channel"], postgresql_where=waits)
    op.create_index("routes_user_idx", "routes", ["merchant_id", "user_id", "route_id"])
    op.create_index(
        "routes_unreported_idx",
        "routes",
        ["merchant_id", "route_id"],
        postgresql_where=sa.text("status = 'open' AND unreported_at IS NOT NULL"),
    )
    op.create_index(
        "routes_day_idx",
        "routes",
        ["business_day"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )


def downgrade() -> None:
    op.drop_table("routes")
