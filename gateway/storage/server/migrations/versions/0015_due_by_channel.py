"""What is due is found by channel: one that has no room costs nothing, however much of it is due.

A program of before goes on, by the indexes that it knows. Refunds that it records do not name their channel, as old ones
that nothing is due on; claims take them all for those of one channel.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import BATCH_ROWS, create_index, in_batches

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

tolerates = "0009"


# Who holds a row is waited for by nobody.
FILL = sa.text("""
WITH due AS (
    SELECT merchant_id, refund_id FROM refunds WHERE due_at IS NOT NULL AND channel IS NULL
    LIMIT :rows FOR UPDATE SKIP LOCKED
)
UPDATE refunds r SET channel = i.channel FROM due JOIN intents i
    ON i.merchant_id = due.merchant_id AND i.object_id = due.refund_id AND i.verb = 'refund'
WHERE r.merchant_id = due.merchant_id AND r.refund_id = due.refund_id RETURNING r.refund_id
""")


def upgrade() -> None:
    op.execute("ALTER TABLE refunds ADD COLUMN IF NOT EXISTS channel text")
    op.execute("COMMENT ON COLUMN refunds.channel IS 'of its intent; null in refunds of before'")
    in_batches("refunds", _fill)
    create_index(
        "payments_channel_due_idx",
        "payments",
        ["merchant_id", "channel", sa.text("least(due_at, until_at)")],
        where="due_at IS NOT NULL OR until_at IS NOT NULL",
    )
    create_index(
        "authentications_channel_due_idx",
        "authentications",
        ["merchant_id", "channel", "due_at"],
        where="due_at IS NOT NULL",
    )
    create_index(
        "refunds_channel_due_idx",
        "refunds",
        ["merchant_id", sa.text("coalesce(channel, '')"), "due_at"],
        where="due_at IS NOT NULL",
    )


def _fill(connection: sa.Connection) -> Iterator[int]:
    while rows := len(connection.execute(FILL, {"rows": BATCH_ROWS}).all()):
        yield rows
