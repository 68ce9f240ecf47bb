"""A merchant may spread the fee of an authentication over payments when channels are compared."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Programs of before neither read nor write it.
tolerates = "0009"


def upgrade() -> None:
    op.add_column("merchants", sa.Column("authentication_spread", sa.BigInteger(), nullable=True))
