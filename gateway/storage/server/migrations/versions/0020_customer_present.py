"""An authentication that an app asks for says whether somebody is there to type a code, should it need one."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# Programs of before ask for a code all the same.
tolerates = "0009"


def upgrade() -> None:
    comment = "somebody can type a code; null: true, or its payment says so"
    op.add_column("authentications", sa.Column("customer_present", sa.Boolean(), nullable=True, comment=comment))
