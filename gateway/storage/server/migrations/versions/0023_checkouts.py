"""Checkouts: orders that payers pay, or sign a card for, on pages of ours; their tries, and money that came twice."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# Programs of before open none. What they hear of a try's payment they record on the payment alone; the checkout hears
# of it when its time is over, or when its payer tries again.
tolerates = "0009"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "checkouts",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("checkout_id", sa.Uuid(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("merchant_order_no", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False, comment="pay, or sign a card"),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("methods", ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "custody_user_no",
            sa.Text(),
            nullable=True,
            comment="the payer's number at the custody bank; null: user_id",
        ),
        sa.Column("return_url", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "won_by", sa.Uuid(), nullable=True, comment="the payment or authentication that it succeeded with"
        ),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("codes", sa.SmallInteger(), nullable=False, comment="SMS asked for, over all its tries"),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("until_at", moment, nullable=True),
        sa.Column("lease_until", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.Column("metadata", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "checkout_id", name="checkouts_pkey"),
        sa.ForeignKeyConstraint(
            ["merchant_id", "user_id"], ["users.merchant_id", "users.user_id"], name="checkouts_user_fkey"
        ),
        sa.CheckConstraint("amount > 0", name="checkouts_amount_check"),
        sa.CheckConstraint("purpose IN ('pay', 'sign')", name="checkouts_purpose_check"),
        sa.CheckConstraint(
            "(purpose = 'pay') = (amount IS NOT NULL) AND (amount IS NULL) = (currency IS NULL)",
            name="checkouts_pay_check",
        ),
        sa.CheckConstraint("status IN ('open', 'succeeded', 'expired', 'canceled')", name="checkouts_status_check"),
        sa.CheckConstraint("(status = 'open') = (until_at IS NOT NULL)", name="checkouts_agenda_check"),
        sa.CheckConstraint("until_at IS NOT NULL OR lease_until IS NULL", name="checkouts_lease_check"),
        sa.CheckConstraint("(status = 'open') = (finished_at IS NULL)", name="checkouts_finished_check"),
        sa.CheckConstraint("(status = 'succeeded') = (won_by IS NOT NULL)", name="checkouts_won_check"),
        sa.CheckConstraint("tries >= 0 AND codes >= 0", name="checkouts_counts_check"),
    )
    waits = sa.text("until_at IS NOT NULL")
    op.create_index("checkouts_until_idx", "checkouts", ["merchant_id", "until_at"], postgresql_where=waits)
    op.create_index("checkouts_user_idx", "checkouts", ["merchant_id", "user_id", "checkout_id"])
    for table in ("payments", "authentications"):
        op.add_column(
            table, sa.Column("checkout_id", sa.Uuid(), nullable=True, comment="of whose tries it is one")
        )
    op.add_column(
        "anomalies",
        sa.Column("payment_id", sa.Uuid(), nullable=True, comment="of a checkout: whose money came beside another's"),
    )


def downgrade() -> None:
    op.drop_column("anomalies", "payment_id")
    for table in ("payments", "authentications"):
        op.drop_column(table, "checkout_id")
    op.drop_table("checkouts")
