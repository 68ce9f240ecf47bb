"""A merchant names the channel that alone signs cards by SMS, for all banks or for some, and how many SMS a phone gets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

# Programs of before neither read nor write them: their merchants sign no card by SMS.
tolerates = "0009"


def upgrade() -> None:
    op.add_column("merchants", sa.Column("primary_signer", sa.Text(), nullable=True))
    op.add_column("merchants", sa.Column("primary_signers", JSONB(), nullable=True, comment="bank code -> channel"))
    op.add_column("merchants", sa.Column("sms_per_phone_and_day", sa.BigInteger(), nullable=True))
