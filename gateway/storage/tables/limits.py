"""What counts towards limits, and what the router knows of a user on a channel."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)

from gateway.storage.tables.base import metadata, moment

__all__ = ["card_totals", "channel_totals", "channel_usage", "last_attempts"]

channel_usage = Table(
    "channel_usage",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("reserved", BigInteger, nullable=False, comment="fen in flight: processing or requiring action"),
    Column("succeeded", BigInteger, nullable=False, comment="fen that succeeded, late successes included"),
    Column("insufficient", Integer, nullable=False, comment="attempts that failed with insufficient_balance"),
    PrimaryKeyConstraint("merchant_id", "user_id", "channel", "business_day", name="channel_usage_pkey"),
    # A release that was never reserved, or one that comes twice, is refused by the database.
    CheckConstraint("reserved >= 0 AND succeeded >= 0 AND insufficient >= 0", name="channel_usage_sign_check"),
    # Rows of one day lie together: it finds them, and costs next to nothing to keep.
    Index(
        "channel_usage_day_idx",
        "business_day",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    ),
)

channel_totals = Table(
    "channel_totals",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("part", Uuid, nullable=False, comment="begins with the time; one process counts into it for a minute"),
    Column("channel", Text, nullable=False),
    Column("used", BigInteger, nullable=False, comment="fen, of all users; one part alone may be negative"),
    PrimaryKeyConstraint("merchant_id", "business_day", "part", "channel", name="channel_totals_pkey"),
    comment="what is used of channels whose limit counts all users together: the sum of a day's parts",
)

card_totals = Table(
    "card_totals",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("number_print", LargeBinary, nullable=False, comment="keyed print of the card number alone"),
    Column("channel", Text, nullable=False),
    Column("used", BigInteger, nullable=False, comment="fen, by whoever used the number"),
    Column(
        "insufficient",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="attempts that failed with insufficient_balance",
    ),
    PrimaryKeyConstraint("merchant_id", "business_day", "number_print", "channel", name="card_totals_pkey"),
    comment="what a card number did on channels with a limit of each card",
)

last_attempts = Table(
    "last_attempts",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("blame", Text),
    moment("finished_at"),
    PrimaryKeyConstraint("merchant_id", "user_id", "channel", name="last_attempts_pkey"),
    CheckConstraint("status IN ('succeeded', 'failed')", name="last_attempts_status_check"),
    # What we ourselves kept from being sent says nothing of the channel.
    CheckConstraint("blame <> 'platform'", name="last_attempts_blame_check"),
    comment="the user's latest finished attempt per channel, by finish time then id",
)
