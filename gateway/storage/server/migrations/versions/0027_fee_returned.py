"""Refunds keep what the PSP gives back of its fee."""

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import validate

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Programs of before leave it as it is.
tolerates = "0009"


def upgrade() -> None:
    about = "what the PSP gives back of its fee, in fen; null: it did not say"
    op.add_column("refunds", sa.Column("fee_returned", sa.BigInteger(), comment=about), if_not_exists=True)
    op.execute("ALTER TABLE refunds DROP CONSTRAINT IF EXISTS refunds_fee_returned_check")
    op.execute(
        "ALTER TABLE refunds ADD CONSTRAINT refunds_fee_returned_check CHECK (fee_returned >= 0) NOT VALID"
    )
    validate("refunds_fee_returned_check", "refunds")


def downgrade() -> None:
    op.drop_column("refunds", "fee_returned")
