"""Payments on the page of a bank or a PSP: whom a custody bank charges through, the payer's number there, and the hosts
that an app's payers may be sent back to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# Programs of before write none of it, and refuse the scenes that it is for.
tolerates = "0009"


def upgrade() -> None:
    op.add_column(
        "payments",
        sa.Column(
            "custody_user_no",
            sa.Text(),
            nullable=True,
            comment="the payer's number at the custody bank; null: user_id",
        ),
    )
    op.add_column(
        "payments",
        sa.Column(
            "psp_code",
            sa.Text(),
            nullable=True,
            comment="custody: whom the bank was told to charge through, as the bank calls them",
        ),
    )
    op.add_column(
        "channels",
        sa.Column(
            "psp_code",
            sa.Text(),
            nullable=True,
            comment="custody: whom the bank is to charge through, as the bank calls them",
        ),
    )
    op.add_column(
        "apps",
        sa.Column("return_hosts", JSONB(), nullable=True, comment="hosts that payers may be sent back to, in one form"),
    )


def downgrade() -> None:
    op.drop_column("apps", "return_hosts")
    op.drop_column("channels", "psp_code")
    op.drop_column("payments", "psp_code")
    op.drop_column("payments", "custody_user_no")
