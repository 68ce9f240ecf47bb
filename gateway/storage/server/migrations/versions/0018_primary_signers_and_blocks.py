"""A merchant names the channel that alone signs cards by SMS, for all banks or for some, and how many SMS a phone gets;
and it has a block list, with proposals that wait for a person."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Programs of before neither read nor write any of it: their merchants sign no card by SMS. What a newer program blocks
# they still take, until they are replaced.
tolerates = "0009"

KINDS = "kind IN ('user', 'card_no', 'id_no', 'phone')"


def upgrade() -> None:
    op.add_column("merchants", sa.Column("primary_signer", sa.Text(), nullable=True))
    op.add_column("merchants", sa.Column("primary_signers", JSONB(), nullable=True, comment="bank code -> channel"))
    op.add_column("merchants", sa.Column("sms_per_phone_and_day", sa.BigInteger(), nullable=True))
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "blocks",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("block_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("print", sa.LargeBinary(), nullable=False, comment="of the value, under the order key"),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "by_file", sa.Boolean(), nullable=False, comment="it leaves the list when it leaves the catalogue file"
        ),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("merchant_id", "block_id", name="blocks_pkey"),
        sa.UniqueConstraint("merchant_id", "kind", "print", name="blocks_print_key"),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="blocks_merchant_fkey"),
        sa.CheckConstraint(KINDS, name="blocks_kind_check"),
        comment="no payment is taken from these; read by print, and only where a merchant has any",
    )
    op.create_index("blocks_kind_idx", "blocks", ["merchant_id", "kind", "block_id"])
    op.create_table(
        "block_proposals",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("proposal_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("print", sa.LargeBinary(), nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", moment, nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", moment, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("merchant_id", "proposal_id", name="block_proposals_pkey"),
        sa.UniqueConstraint("merchant_id", "kind", "print", name="block_proposals_print_key"),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="block_proposals_merchant_fkey"),
        sa.CheckConstraint(KINDS, name="block_proposals_kind_check"),
        sa.CheckConstraint(
            "CASE state WHEN 'proposed' THEN decided_by IS NULL AND decided_at IS NULL "
            "WHEN 'rejected' THEN decided_by IS NOT NULL AND decided_at IS NOT NULL ELSE false END",
            name="block_proposals_decided_check",
        ),
        comment="wait for a person and block nothing; one that is accepted moves to blocks",
    )
    op.create_index("block_proposals_state_idx", "block_proposals", ["merchant_id", "state", "proposal_id"])
