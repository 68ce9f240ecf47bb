"""A checkout has one open try at a time, and one anomaly for each payment whose money came beside another's."""

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import create_index, drop_index

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# Programs of before open no tries, and record each kind of anomaly of an object once, as they did.
tolerates = "0009"

OPEN = "status IN ('processing', 'requires_action')"
TABLES = (("payments", "payment_id"), ("authentications", "authentication_id"))


def upgrade() -> None:
    for table, key in TABLES:
        create_index(
            f"{table}_checkout_idx", table, ["merchant_id", "checkout_id", key], where="checkout_id IS NOT NULL"
        )
        create_index(
            f"{table}_checkout_key",
            table,
            ["merchant_id", "checkout_id"],
            unique=True,
            where=f"checkout_id IS NOT NULL AND {OPEN}",
        )
    create_index(
        "anomalies_money_key",
        "anomalies",
        ["merchant_id", "object_id", "kind", sa.text("coalesce(payment_id, object_id)")],
        unique=True,
    )
    op.execute("ALTER TABLE anomalies DROP CONSTRAINT IF EXISTS anomalies_kind_key")


def downgrade() -> None:
    op.create_unique_constraint("anomalies_kind_key", "anomalies", ["merchant_id", "object_id", "kind"])
    drop_index("anomalies_money_key")
    for table, _ in TABLES:
        drop_index(f"{table}_checkout_key")
        drop_index(f"{table}_checkout_idx")
