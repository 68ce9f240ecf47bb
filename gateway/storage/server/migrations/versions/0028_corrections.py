"""Corrections: how an anomaly was resolved, refunds of proved money, payments that take it as paid."""

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import create_index, drop_index, validate

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# Programs of before resolve by explaining, and see a payment that corrects another as one without an intent. A refund of
# proved money that fails while one of them hears of it stays counted, and its anomaly resolved: never too much goes back.
tolerates = "0009"

CHECKS = {
    "anomalies": {
        "anomalies_resolution_check": "resolved_at IS NOT NULL OR resolution IS NULL",
        "anomalies_money_check": (
            "(coalesce(resolution, '') = 'refunded') = (refund_id IS NOT NULL)"
            " AND (correction_id IS NULL OR coalesce(resolution, '') = 'taken_as_paid')"
        ),
    },
    "payments": {"payments_corrects_check": "corrects IS NULL OR status = 'succeeded'"},
    "refunds": {"refunds_second_check": "second_no IS NULL OR anomaly_id IS NOT NULL"},
}
SECOND_NUMBERS = """
UPDATE anomalies SET transaction_no = substring(detail FROM ', and as (.*)$')
WHERE kind = 'transaction_mismatch' AND object = 'payment' AND transaction_no IS NULL
"""


def upgrade() -> None:
    op.add_column(
        "anomalies",
        sa.Column(
            "transaction_no", sa.Text(), comment="of a transaction mismatch: the PSP's number of the second one"
        ),
    )
    op.add_column(
        "anomalies", sa.Column("resolution", sa.Text(), comment="refunded or taken_as_paid; null: explained, or open")
    )
    op.add_column("anomalies", sa.Column("refund_id", sa.Uuid(), comment="what gives its money back"))
    op.add_column(
        "anomalies", sa.Column("correction_id", sa.Uuid(), comment="the payment that its money was taken as")
    )
    op.add_column(
        "payments",
        sa.Column(
            "corrects",
            sa.Uuid(),
            comment="the payment whose money it takes as paid: its intent to pay is that one's",
        ),
    )
    op.add_column(
        "payments",
        sa.Column(
            "corrects_no", sa.Text(), comment="the PSP's number of that one's second transaction; null: its first"
        ),
    )
    op.add_column(
        "refunds",
        sa.Column("anomaly_id", sa.Uuid(), comment="what proves that the money moved which it gives back"),
    )
    op.add_column(
        "refunds",
        sa.Column("second_no", sa.Text(), comment="the PSP's number of the second transaction that it gives back"),
    )
    op.create_table(
        "second_outflows",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("anomaly_id", sa.Uuid(), nullable=False, comment="the transaction mismatch that tells of it"),
        sa.Column("payment_id", sa.Uuid(), nullable=False, comment="what it was done for"),
        sa.Column("amount", sa.BigInteger(), nullable=False, comment="the payment's"),
        sa.Column("refunded", sa.BigInteger(), nullable=False, comment="by refunds that are in flight or succeeded"),
        sa.Column(
            "excess",
            sa.BigInteger(),
            nullable=False,
            comment="by refunds that failed here and were done there, beyond it",
        ),
        sa.PrimaryKeyConstraint("merchant_id", "anomaly_id", name="second_outflows_pkey"),
        sa.ForeignKeyConstraint(
            ["merchant_id", "anomaly_id"],
            ["anomalies.merchant_id", "anomalies.anomaly_id"],
            name="second_outflows_anomaly_fkey",
        ),
        sa.CheckConstraint("refunded >= 0 AND excess >= 0", name="second_outflows_sign_check"),
        sa.CheckConstraint("refunded <= amount", name="second_outflows_rest_check"),
        comment="what has left the second transaction of a payment, in fen; written with its first refund",
    )
    op.execute(SECOND_NUMBERS)
    for table, checks in CHECKS.items():
        for name, condition in checks.items():
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    for table, checks in CHECKS.items():
        for name in checks:
            validate(name, table)
    _again("coalesce(payment_id, object_id)", "coalesce(transaction_no, '')")
    create_index(
        "payments_corrects_key",
        "payments",
        ["merchant_id", "corrects", sa.text("coalesce(corrects_no, '')")],
        unique=True,
        where="corrects IS NOT NULL",
    )


def _again(*by: str) -> None:
    """Put the index of what an anomaly is known by in place of the one that is there, which holds until then."""
    columns = ["merchant_id", "object_id", "kind", *map(sa.text, by)]
    create_index("anomalies_money_new", "anomalies", columns, unique=True)
    drop_index("anomalies_money_key")
    op.execute("ALTER INDEX anomalies_money_new RENAME TO anomalies_money_key")


def downgrade() -> None:
    _again("coalesce(payment_id, object_id)")
    drop_index("payments_corrects_key")
    for table, checks in CHECKS.items():
        for name in checks:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    op.drop_table("second_outflows")
    for table, columns in (
        ("refunds", ("second_no", "anomaly_id")),
        ("payments", ("corrects_no", "corrects")),
        ("anomalies", ("correction_id", "refund_id", "resolution", "transaction_no")),
    ):
        for column in columns:
            op.drop_column(table, column)
