"""Channels that are switched off while they are degraded."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# Programs of before neither write nor read them: payments that they route avoid nothing.
tolerates = "0009"


def upgrade() -> None:
    op.create_table(
        "channel_switches",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("scene", sa.Text(), nullable=False, comment="* where all are counted together, as of bank"),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        _moment("off_at"),
        _moment("rests_until", comment="from then on one payment in n goes there"),
        sa.Column("rests", sa.Integer(), nullable=False, comment="how often it was sent to rest"),
        sa.Column("waits", sa.Boolean(), nullable=False, comment="enough were let through, and have no result yet"),
        _moment("on_at", nullable=True, comment="it is on again since, by its tries or an operator"),
        sa.Column("on_by", sa.Text(), comment="the operator"),
        sa.PrimaryKeyConstraint("merchant_id", "scene", "bank", "channel", name="channel_switches_pkey"),
        sa.CheckConstraint("rests_until > off_at", name="channel_switches_rest_check"),
        sa.CheckConstraint("rests >= 1", name="channel_switches_rests_check"),
        sa.CheckConstraint(
            "on_at IS NULL AND on_by IS NULL OR on_at IS NOT NULL AND on_at >= off_at AND NOT waits",
            name="channel_switches_on_check",
        ),
        comment="what is switched off, or was since it is degraded; gone when it is well again",
        if_not_exists=True,
    )


def _moment(name: str, *, nullable: bool = False, comment: str | None = None) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def downgrade() -> None:
    op.drop_table("channel_switches")
