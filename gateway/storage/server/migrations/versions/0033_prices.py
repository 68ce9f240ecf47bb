"""Prices that begin on a day: rules and channels may have later fees beside theirs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0030"
branch_labels = None
depends_on = None

# Programs of before leave them as they are, and go on with the fee that they know.
tolerates = "0009"


def upgrade() -> None:
    days = "list of {effective_from, fee}, fees of later business days"
    for table in ("route_rules", "payout_rules"):
        op.add_column(table, sa.Column("fees", JSONB(), comment=days), if_not_exists=True)
    amounts = "list of {effective_from, fee}, fees of later days"
    op.add_column("channels", sa.Column("authentication_fees", JSONB(), comment=amounts), if_not_exists=True)


def downgrade() -> None:
    op.drop_column("channels", "authentication_fees")
    for table in ("payout_rules", "route_rules"):
        op.drop_column(table, "fees")
