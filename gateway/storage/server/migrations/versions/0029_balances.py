"""What accounts at PSPs have, and below how much somebody is told."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# Programs of before neither ask nor read it; a catalogue file that they put in force leaves thresholds as they are.
tolerates = "0009"


def upgrade() -> None:
    op.add_column("accounts", sa.Column(
            "balance_alert_below",
            sa.BigInteger(),
            nullable=True,
            comment="in fen; somebody is told when the account has less",
        ))
    op.create_table(
        "balances",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("for_payouts", sa.BigInteger(), comment="what payouts can take, in fen; null: it does not say"),
        sa.Column("for_refunds", sa.BigInteger()),
        sa.Column("total", sa.BigInteger()),
        _moment("since_at"),
        _moment("stated_at", nullable=True),
        _moment("asked_at", nullable=True),
        sa.Column("failed", sa.Text(), comment="how the last question ended, where it told nothing"),
        sa.Column("reason", sa.Text()),
        sa.Column("channel_code", sa.Text()),
        sa.Column("told_low", sa.Boolean(), nullable=False, comment="the last alert said that it is below its threshold"),
        sa.Column("told_silent", sa.Boolean(), nullable=False, comment="the last alert said that it is not known any more"),
        _moment("due_at"),
        _moment("lease_until", nullable=True),
        sa.PrimaryKeyConstraint("merchant_id", "account", name="balances_pkey"),
        sa.CheckConstraint(
            "coalesce(for_payouts, 0) >= 0 AND coalesce(for_refunds, 0) >= 0 AND coalesce(total, 0) >= 0",
            name="balances_amounts_check",
        ),
        # An account that states nothing has no amounts, and never 0 in their place.
        sa.CheckConstraint(
            "(stated_at IS NULL) = (for_payouts IS NULL AND for_refunds IS NULL AND total IS NULL)",
            name="balances_stated_check",
        ),
        sa.CheckConstraint("failed IN ('unknown', 'not_sent')", name="balances_failed_check"),
        sa.CheckConstraint("(failed IS NULL) = (reason IS NULL)", name="balances_reason_check"),
        sa.CheckConstraint("asked_at IS NOT NULL OR (stated_at IS NULL AND failed IS NULL)", name="balances_asked_check"),
        comment="the newest word of each account that can tell what it has",
        if_not_exists=True,
    )
    op.create_index("balances_due_idx", "balances", ["merchant_id", "due_at"], if_not_exists=True)


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def downgrade() -> None:
    op.drop_table("balances")
    op.drop_column("accounts", "balance_alert_below")
