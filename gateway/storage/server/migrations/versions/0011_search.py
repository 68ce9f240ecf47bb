"""Observations that say nothing new are counted; and the indexes by which payments and events are searched."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.storage.server.ddl import create_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

tolerates = "0009"


def upgrade() -> None:
    op.add_column("observations", sa.Column("times", sa.Integer(), comment="how often it was heard; null: once"))
    op.add_column("observations", sa.Column("last_at", sa.DateTime(timezone=True)))
    counted = "what was counted last, so that none is counted twice"
    op.add_column("observations", sa.Column("last_ids", ARRAY(sa.Uuid()), comment=counted))
    op.create_table_comment(
        "observations", "every word of a PSP about an intent, as it came; one that says nothing new is counted"
    )
    create_index(
        "intents_transaction_idx",
        "intents",
        ["merchant_id", "channel_transaction_no"],
        where="channel_transaction_no IS NOT NULL",
    )
    create_index("cards_masked_idx", "cards", ["merchant_id", "masked"])
    create_index("payments_app_idx", "payments", ["merchant_id", "app", "payment_id"])
    create_index("events_app_idx", "events", ["merchant_id", "app", "event_id"])
