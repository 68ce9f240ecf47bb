"""A refusal for a limit keeps what it told; a rule may count failures for want of balance by card number; an attempt
without a result may count as failed.

A program of before goes on: it writes and reads none of it. Where it counts a card number it counts no failures, so a
rule counts by card from the day on which only newer programs run.
"""

from alembic import op

from gateway.storage.server.ddl import validate

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

tolerates = "0009"

# In the order in which a flush takes their locks.
COLUMNS = {
    "payments": ("failure_limit jsonb", "of a refusal for a limit: what it told"),
    "card_totals": ("insufficient integer NOT NULL DEFAULT 0", "attempts that failed with insufficient_balance"),
    "merchants": ("unresolved_counts_after_s bigint", None),
    "route_rules": ("daily_insufficient_by text", "card: each card number counts for itself; null: the user"),
}
CHECKS = {
    "payments": (
        "payments_limit_check",
        "failure_limit IS NULL OR (failure_code IS NOT NULL AND channel IS NULL)",
    ),
    "route_rules": ("route_rules_insufficient_check", "daily_insufficient_by = 'card'"),
}


def upgrade() -> None:
    for table, (column, comment) in COLUMNS.items():
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}")
        if comment is not None:
            op.get_bind().exec_driver_sql(f"COMMENT ON COLUMN {table}.{column.split()[0]} IS '{comment}'")
    for table, (name, condition) in CHECKS.items():
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    op.create_table_comment("card_totals", "what a card number did on channels with a limit of each card")
    for table, (name, _) in CHECKS.items():
        validate(name, table)
