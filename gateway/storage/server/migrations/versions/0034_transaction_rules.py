"""Transaction rules: what of payments and payouts looks wrong, how far it was looked for, and what was found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.server.ddl import create_index, drop_index

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

# Programs of before neither read nor write them; a catalogue file that they put in force leaves rules as they are.
tolerates = "0009"

INDEXES = {"cards_number_idx": "number_print", "cards_phone_idx": "phone_print", "cards_id_idx": "id_print"}


def upgrade() -> None:
    op.create_table(
        "transaction_rules",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column(
            "filter",
            JSONB(),
            nullable=False,
            comment="what is given of domain.transaction_rules.TransactionFilter",
        ),
        sa.Column("key", sa.Text(), nullable=False, comment="by what rows are gathered"),
        sa.Column("distinct", sa.Text(), comment="what is counted instead of rows"),
        sa.Column("window_s", sa.Integer(), nullable=False),
        sa.Column("at_least", sa.Integer()),
        sa.Column("sum_at_least", sa.BigInteger(), comment="in fen"),
        sa.Column("then", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "code", name="transaction_rules_pkey"),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="transaction_rules_merchant_fkey"),
        sa.CheckConstraint(
            "key IN ('user', 'card', 'phone', 'id_no', 'bank', 'channel', 'app', 'payee')",
            name="transaction_rules_key_check",
        ),
        sa.CheckConstraint("\"distinct\" IN ('cards', 'users', 'kinds')", name="transaction_rules_distinct_check"),
        sa.CheckConstraint("\"then\" IN ('alert', 'propose_block')", name="transaction_rules_then_check"),
        sa.CheckConstraint("window_s BETWEEN 1 AND 604800", name="transaction_rules_window_check"),
        sa.CheckConstraint(
            "num_nonnulls(at_least, sum_at_least) = 1 AND coalesce(at_least, sum_at_least) > 0",
            name="transaction_rules_threshold_check",
        ),
        if_not_exists=True,
    )
    op.create_table(
        "transaction_looks",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        _moment("looked_to", nullable=True),
        _moment("lease_until", nullable=True),
        sa.PrimaryKeyConstraint("merchant_id", name="transaction_looks_pkey"),
        comment="one process looks at a time; the next look begins a little before where this one ended",
        if_not_exists=True,
    )
    op.create_table(
        "transaction_hits",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="of cards, phones and IDs the print"),
        _moment("since_at"),
        _moment("until_at"),
        sa.PrimaryKeyConstraint("merchant_id", "rule", "key", name="transaction_hits_pkey"),
        comment="each has an alert; gone when it is over",
        if_not_exists=True,
    )
    for name, column in INDEXES.items():
        create_index(name, "cards", ["merchant_id", column], where=f"{column} IS NOT NULL")


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def downgrade() -> None:
    for name in INDEXES:
        drop_index(name)
    op.drop_table("transaction_hits")
    op.drop_table("transaction_looks")
    op.drop_table("transaction_rules")
