"""What a channel carries is shared by the processes that are live, and withholds wait for their place in the books.

A program of before goes on: it writes no beat, so it counts for nobody, and keeps what each limit says to itself. It
claims a withhold whose time to be sent has passed, finds nothing to do, and leaves it to a newer one.
"""

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import create_index

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

tolerates = "0009"

WAITS = "status = 'processing' AND due_at IS NULL"


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("process_id", sa.Uuid(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("process_id", name="processes_pkey"),
        comment="each process's last beat, by its own clock; a row that does not change is of a dead one",
        if_not_exists=True,
    )
    create_index(
        "payments_waiting_idx",
        "payments",
        ["merchant_id", "channel", "created_at", "payment_id"],
        where=WAITS,
    )
    create_index("payments_waiting_until_idx", "payments", ["merchant_id", "until_at"], where=WAITS)
