"""Maintenance windows that repeat, or are of some banks and scenes only.

A program of the version before sees such a window once, at its first time, and for every bank and scene.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

tolerates = "0009"

TABLE = "maintenance_windows"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("repeats", sa.Text(), comment="daily, weekly or monthly; none: once"))
    op.add_column(TABLE, sa.Column("banks", ARRAY(sa.Text()), comment="none: all of them"))
    op.add_column(TABLE, sa.Column("scenes", ARRAY(sa.Text()), comment="none: all of them"))
    # A few rows: proving them takes no time.
    op.create_check_constraint(
        "maintenance_windows_repeats_check",
        TABLE,
        "CASE repeats WHEN 'daily' THEN ends_at - starts_at < interval '24 hours' "
        "WHEN 'weekly' THEN ends_at - starts_at < interval '168 hours' "
        "WHEN 'monthly' THEN ends_at - starts_at < interval '672 hours' ELSE repeats IS NULL END",
    )
    op.create_check_constraint(
        "maintenance_windows_limited_check",
        TABLE,
        "cardinality(banks) IS DISTINCT FROM 0 AND cardinality(scenes) IS DISTINCT FROM 0",
    )
