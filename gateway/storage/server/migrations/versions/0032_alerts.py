"""Alerts, each from the moment it was seen until it is over."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None

# Programs of before neither write nor read them.
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


def downgrade() -> None:
    op.drop_table("alerts")
