"""What all users together used of a channel, and what is used of a card number, is counted in tables of its own.

They begin empty: each process counts into them, and makes good what was not counted when it begins to look at a limit.
"""

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import create_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

tolerates = "0009"


def upgrade() -> None:
    op.create_table(
        "channel_totals",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column(
            "part",
            sa.Uuid(),
            nullable=False,
            comment="begins with the time; one process counts into it for a minute",
        ),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column(
            "used", sa.BigInteger(), nullable=False, comment="fen, of all users; one part alone may be negative"
        ),
        sa.PrimaryKeyConstraint("merchant_id", "business_day", "part", "channel", name="channel_totals_pkey"),
        comment="what is used of channels whose limit counts all users together: the sum of a day's parts",
        if_not_exists=True,
    )
    op.create_table(
        "card_totals",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column(
            "number_print", sa.LargeBinary(), nullable=False, comment="keyed print of the card number alone"
        ),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False, comment="fen, by whoever used the number"),
        sa.PrimaryKeyConstraint("merchant_id", "business_day", "number_print", "channel", name="card_totals_pkey"),
        comment="what is used of a card number on channels with a limit of each card",
        if_not_exists=True,
    )
    for table in ("channel_usage", "payments"):
        name = f"{table}_day_idx"
        create_index(name, table, ["business_day"], using="brin", storage={"autosummarize": "on"})
