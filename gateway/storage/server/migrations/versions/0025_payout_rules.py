"""Channels have payout rules: which payouts they carry, by type of payee and bank."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Programs of before neither read nor write them, and pay nothing out.
tolerates = "0009"


def upgrade() -> None:
    op.create_table(
        "payout_rules",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("payee", sa.Text(), nullable=False, comment="personal or corporate"),
        sa.Column("bank", sa.Text(), nullable=False, comment="*: every bank that has no rule of its own"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("fee", JSONB(), nullable=False),
        sa.Column("single_limit", sa.BigInteger(), nullable=True),
        sa.Column(
            "daily_limit",
            sa.BigInteger(),
            nullable=True,
            comment="of the channel in one business day, over all its payouts",
        ),
        sa.Column("windows", JSONB(), nullable=True, comment="list of {opens, closes, days}; none: always open"),
        sa.PrimaryKeyConstraint("merchant_id", "channel", "payee", "bank", name="payout_rules_pkey"),
        sa.ForeignKeyConstraint(
            ["merchant_id", "channel"], ["channels.merchant_id", "channels.code"], name="payout_rules_channel_fkey"
        ),
        sa.CheckConstraint("payee IN ('personal', 'corporate')", name="payout_rules_payee_check"),
        sa.CheckConstraint("single_limit > 0 AND daily_limit > 0", name="payout_rules_limits_check"),
        sa.CheckConstraint(
            "CASE jsonb_typeof(windows) WHEN 'array' THEN jsonb_array_length(windows) > 0 ELSE windows IS NULL END",
            name="payout_rules_windows_check",
        ),
    )


def downgrade() -> None:
    op.drop_table("payout_rules")
