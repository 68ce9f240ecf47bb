"""Events name their object by kind and UUID, second step: what was written before is converted, in batches.

Each batch commits. After an interruption it begins again, and passes over what is done: the events whose `object_id` is
there. Events can be written meanwhile.
"""

from collections.abc import Iterator
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from typeid import TypeID

from gateway.storage.server import ddl

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

tolerates = "0007"

KINDS = {"pay": "payment"}
"""What events were about until now."""

READ = sa.text("""
SELECT merchant_id, event_id, object_text FROM events
WHERE (merchant_id, event_id) > (:merchant_id, :event_id) AND object_id IS NULL
ORDER BY merchant_id, event_id LIMIT :rows
""").bindparams(sa.bindparam("merchant_id", type_=sa.Uuid()), sa.bindparam("event_id", type_=sa.Uuid()))

WRITE = sa.text("""
UPDATE events e SET object = v.object, object_id = v.object_id
FROM unnest(:merchant_ids, :event_ids, :objects, :object_ids) AS v (merchant_id, event_id, object, object_id)
WHERE e.merchant_id = v.merchant_id AND e.event_id = v.event_id
""").bindparams(
    sa.bindparam("merchant_ids", type_=ARRAY(sa.Uuid())),
    sa.bindparam("event_ids", type_=ARRAY(sa.Uuid())),
    sa.bindparam("objects", type_=ARRAY(sa.Text())),
    sa.bindparam("object_ids", type_=ARRAY(sa.Uuid())),
)


def upgrade() -> None:
    ddl.in_batches("events", _fill)


def _fill(connection: sa.Connection) -> Iterator[int]:
    merchant_id = event_id = UUID(int=0)
    while True:
        after = {"merchant_id": merchant_id, "event_id": event_id, "rows": ddl.BATCH_ROWS}
        rows = connection.execute(READ, after).all()
        if not rows:
            return
        objects = [_object_of(row.object_text) for row in rows]
        connection.execute(
            WRITE,
            {
                "merchant_ids": [row.merchant_id for row in rows],
                "event_ids": [row.event_id for row in rows],
                "objects": [kind for kind, _ in objects],
                "object_ids": [object_id for _, object_id in objects],
            },
        )
        yield len(rows)
        merchant_id, event_id = rows[-1].merchant_id, rows[-1].event_id


def _object_of(text: str) -> tuple[str, UUID]:
    """The kind and the UUID in a TypeID, as the programs before this migration wrote them."""
    parsed = TypeID.from_string(text)
    return KINDS[parsed.prefix], UUID(bytes=parsed.uuid_bytes)
