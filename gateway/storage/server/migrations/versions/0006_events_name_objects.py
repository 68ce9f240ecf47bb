"""Events name their object by kind and UUID, first step: room for it.

The text that named it until now stands aside as `object_text`, until the next step has read it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

tolerates = "0006"


def upgrade() -> None:
    op.alter_column("events", "object_id", new_column_name="object_text", nullable=True)
    op.add_column("events", sa.Column("object", sa.Text(), comment="what it is about: payment"))
    op.add_column("events", sa.Column("object_id", sa.Uuid()))
