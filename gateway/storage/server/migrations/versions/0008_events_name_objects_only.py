"""Events name their object by kind and UUID, last step: nothing else names it any more.

Whatever is long (the check, the index) holds nobody up; what locks the table is over at once.
"""

from alembic import op

from gateway.storage.server.ddl import create_index, validate

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

tolerates = "0008"

CHECK, INDEX = "events_object_check", "events_object_sequence_idx"


def upgrade() -> None:
    # Proved before NOT NULL is said, which then need not look at the rows under its lock.
    op.execute(f"ALTER TABLE events DROP CONSTRAINT IF EXISTS {CHECK}")
    op.execute(
        f"ALTER TABLE events ADD CONSTRAINT {CHECK} CHECK (object IS NOT NULL AND object_id IS NOT NULL) NOT VALID"
    )
    create_index(INDEX, "events", ["merchant_id", "object_id", "sequence"], unique=True)
    validate(CHECK, "events")
    op.alter_column("events", "object", nullable=False)
    op.alter_column("events", "object_id", nullable=False)
    op.drop_constraint(CHECK, "events")
    op.drop_constraint("events_sequence_key", "events")
    op.drop_column("events", "object_text")
    op.execute(f"ALTER TABLE events ADD CONSTRAINT events_sequence_key UNIQUE USING INDEX {INDEX}")
