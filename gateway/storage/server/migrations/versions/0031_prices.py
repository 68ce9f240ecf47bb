"""Prices that begin on a day: rules and channels may have later fees beside theirs. Reports find the rows of a month."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.server.ddl import create_index, drop_index

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# Programs of before leave them as they are, and go on with the fee that they know.
tolerates = "0009"

DAYS = (
    ("refunds_day_idx", "refunds", "business_day"),
    ("authentications_created_idx", "authentications", "created_at"),
)


def upgrade() -> None:
    days = "list of {effective_from, fee}, fees of later business days"
    for table in ("route_rules", "payout_rules"):
        op.add_column(table, sa.Column("fees", JSONB(), comment=days), if_not_exists=True)
    amounts = "list of {effective_from, fee}, fees of later days"
    op.add_column("channels", sa.Column("authentication_fees", JSONB(), comment=amounts), if_not_exists=True)
    for name, table, column in DAYS:
        create_index(name, table, [column], using="brin", storage={"autosummarize": "on"})


def downgrade() -> None:
    for name, _, _ in DAYS:
        drop_index(name)
    op.drop_column("channels", "authentication_fees")
    for table in ("payout_rules", "route_rules"):
        op.drop_column(table, "fees")
