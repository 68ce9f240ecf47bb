"""Endpoints stop and start: what is for a stopped one is held, and what died because of that is held again.

Programs of the version before go on. Until they end they answer 500 to whoever reads an event that is held.
"""

from collections.abc import Iterator
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from gateway.storage.server import ddl

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

tolerates = "0009"

CHECK, WIDER = "deliveries_status_check", "deliveries_status_wider_check"

LEFT_THE_FILE = "not in the catalogue file"
"""Why an endpoint stopped that had left the catalogue; only that told it from others."""

STOPPED = sa.text("SELECT merchant_id, endpoint_id FROM endpoints WHERE stopped_at IS NOT NULL")

HOLD = sa.text("""
WITH dead AS (
    SELECT event_id, endpoint_id FROM deliveries
    WHERE merchant_id = :merchant_id AND endpoint_id = :endpoint_id AND status = 'dead' AND event_id > :after
    ORDER BY event_id LIMIT :rows
)
UPDATE deliveries d SET status = 'held' FROM dead
WHERE d.merchant_id = :merchant_id AND d.event_id = dead.event_id AND d.endpoint_id = dead.endpoint_id
    AND d.status = 'dead'
RETURNING d.event_id
""").bindparams(*(sa.bindparam(name, type_=sa.Uuid()) for name in ("merchant_id", "endpoint_id", "after")))


def upgrade() -> None:
    for column in ("started_at", "removed_at"):
        op.execute(f"ALTER TABLE endpoints ADD COLUMN IF NOT EXISTS {column} timestamptz")
    op.execute(f"UPDATE endpoints SET removed_at = stopped_at WHERE stopped_because = '{LEFT_THE_FILE}'")
    # Proved under another name, so that the table is locked for moments only.
    op.execute(f"ALTER TABLE deliveries DROP CONSTRAINT IF EXISTS {WIDER}")
    op.execute(
        f"ALTER TABLE deliveries ADD CONSTRAINT {WIDER}"
        " CHECK (status IN ('pending', 'delivered', 'dead', 'held', 'discarded')) NOT VALID"
    )
    ddl.validate(WIDER, "deliveries")
    op.drop_constraint(CHECK, "deliveries")
    op.execute(f"ALTER TABLE deliveries RENAME CONSTRAINT {WIDER} TO {CHECK}")
    ddl.create_index(
        "deliveries_endpoint_idx", "deliveries", ["merchant_id", "endpoint_id", "due_at"], where="status = 'pending'"
    )
    ddl.create_index(
        "deliveries_held_idx", "deliveries", ["merchant_id", "endpoint_id", "event_id"], where="status = 'held'"
    )
    ddl.in_batches("deliveries", _hold)


def _hold(connection: sa.Connection) -> Iterator[int]:
    for merchant_id, endpoint_id in connection.execute(STOPPED).all():
        of_endpoint = {"merchant_id": merchant_id, "endpoint_id": endpoint_id, "rows": ddl.BATCH_ROWS}
        after = UUID(int=0)
        while held := connection.execute(HOLD, of_endpoint | {"after": after}).scalars().all():
            yield len(held)
            after = max(held)
