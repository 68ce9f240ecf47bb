"""Two versions can run: the table that says which programs run on which schema.

The first version does not read it, and takes no payments on any revision but its own: from it to this version the
system stops and starts. From this version on, upgrades whose migrations tolerate the version before roll.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

tolerates = "0002"


def upgrade() -> None:
    op.create_table(
        "schema_versions",
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column(
            "tolerates",
            sa.Text(),
            nullable=False,
            comment="the oldest revision whose programs run on this one's schema",
        ),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="schema_versions_pkey"),
    )
