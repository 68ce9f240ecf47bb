"""Who watches, how channels are watched, and the numbers of events that are about no object."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# Programs of before neither write nor read them; a catalogue file that they put in force leaves `watch` as it is.
tolerates = "0009"


def upgrade() -> None:
    op.create_table(
        "watches",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("watch", sa.Text(), nullable=False, comment="what is watched: channels"),
        sa.Column("holder", sa.Uuid(), nullable=False, comment="the process that watches it"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="what it sees, for all processes"),
        sa.CheckConstraint("(looked_at IS NULL) = (state IS NULL)", name="watches_state_check"),
        sa.PrimaryKeyConstraint("merchant_id", "watch", name="watches_pkey"),
        comment="what one process at a time watches",
        if_not_exists=True,
    )
    op.create_table(
        "event_counters",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False, comment="channel or account"),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="of its newest event"),
        sa.CheckConstraint("sequence >= 1", name="event_counters_sequence_check"),
        sa.PrimaryKeyConstraint("merchant_id", "object", "code", name="event_counters_pkey"),
        comment="what has a code and no id counts its events here, without a gap",
        if_not_exists=True,
    )
    op.add_column("merchants", sa.Column(
        "watch", postgresql.JSONB(astext_type=sa.Text()), nullable=True,
        comment="how channels are watched, where not as by default",
    ), if_not_exists=True)


def downgrade() -> None:
    op.drop_column("merchants", "watch")
    op.drop_table("event_counters")
    op.drop_table("watches")
