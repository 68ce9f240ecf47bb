"""Alerts, who watches, how channels are watched, and the numbers of events that are about no object."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None

# Programs of before neither write nor read them; a catalogue file that they put in force leaves `watch` as it is.
tolerates = "0009"


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False, comment="of what: a channel, scene/bank/channel, an account, an endpoint"),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="numbers and codes, as last seen"),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False, comment="how often it was seen while it is open"),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("severity IN ('warning', 'critical')", name="alerts_severity_check"),
        sa.CheckConstraint("times >= 1", name="alerts_times_check"),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL) AND (acknowledged_at IS NULL) = (note IS NULL)",
            name="alerts_acknowledged_check",
        ),
        sa.PrimaryKeyConstraint("merchant_id", "alert_id", name="alerts_pkey"),
        if_not_exists=True,
    )
    op.create_index(
        "alerts_open_key", "alerts", ["merchant_id", "kind", "about"], unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"), if_not_exists=True,
    )
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
    op.drop_table("alerts")
