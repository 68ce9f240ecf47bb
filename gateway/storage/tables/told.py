"""What PSPs told us, and what we tell apps."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.storage.tables.base import metadata, moment

__all__ = ["anomalies", "deliveries", "events", "observations", "strays"]

observations = Table(
    "observations",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("observation_id", Uuid, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("verb", Text, nullable=False, comment="which intent of the object"),
    Column("source", Text, nullable=False),
    Column("says", Text, nullable=False, comment="succeeded, declined, processing, unknown, not_found, ..."),
    Column("channel_code", Text),
    Column("channel_message", Text),
    Column("note", Text, comment="of an operator: who says so, and where the PSP's word stands"),
    moment("observed_at"),
    Column("times", Integer, comment="how often it was heard; null: once"),
    moment("last_at", nullable=True),
    Column("last_ids", ARRAY(Uuid), comment="what was counted last, so that none is counted twice"),
    PrimaryKeyConstraint("merchant_id", "observation_id", name="observations_pkey"),
    Index("observations_object_idx", "merchant_id", "object_id"),
    comment="every word of a PSP about an intent, as it came; one that says nothing new is counted",
)

anomalies = Table(
    "anomalies",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("anomaly_id", Uuid, nullable=False),
    Column("object", Text, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("source", Text, nullable=False),
    moment("found_at"),
    moment("resolved_at", nullable=True),
    Column("resolved_by", Text),
    Column("note", Text),
    Column("payment_id", Uuid, comment="of a checkout: whose money came beside another's"),
    Column("transaction_no", Text, comment="of a transaction mismatch: the PSP's number of the second one"),
    Column("resolution", Text, comment="refunded or taken_as_paid; null: explained, or open"),
    Column("refund_id", Uuid, comment="what gives its money back"),
    Column("correction_id", Uuid, comment="the payment that its money was taken as"),
    PrimaryKeyConstraint("merchant_id", "anomaly_id", name="anomalies_pkey"),
    CheckConstraint("resolved_at IS NOT NULL OR resolution IS NULL", name="anomalies_resolution_check"),
    # By the database: the same money is not given back and kept.
    CheckConstraint(
        "(coalesce(resolution, '') = 'refunded') = (refund_id IS NOT NULL)"
        " AND (correction_id IS NULL OR coalesce(resolution, '') = 'taken_as_paid')",
        name="anomalies_money_check",
    ),
    # One of each kind of an object; of a checkout one for each payment whose money came beside another's, and one for
    # each transaction beside the first.
    Index(
        "anomalies_money_key",
        "merchant_id",
        "object_id",
        "kind",
        text("coalesce(payment_id, object_id)"),
        text("coalesce(transaction_no, '')"),
        unique=True,
    ),
    Index("anomalies_open_idx", "merchant_id", "anomaly_id", postgresql_where=text("resolved_at IS NULL")),
)

strays = Table(
    "strays",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("says", Text, nullable=False),
    Column("amount", BigInteger),
    Column("channel_transaction_no", Text),
    Column("channel_code", Text),
    Column("channel_message", Text),
    moment("heard_at"),
    # The same word that comes again says nothing new.
    PrimaryKeyConstraint("merchant_id", "account", "number", "verb", "says", name="strays_pkey"),
    comment="what a PSP told, signed, of orders that nobody here asked for",
)

events = Table(
    "events",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("app", Text),
    Column("type", Text, nullable=False),
    Column("object", Text, nullable=False, comment="what it is about: payment, refund"),
    Column("object_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the exact bytes that every delivery sends"),
    Column("deliveries", SmallInteger, nullable=False, comment="how many endpoints it was written for"),
    moment("created_at"),
    PrimaryKeyConstraint("merchant_id", "event_id", name="events_pkey"),
    # Exactly one event per change of an object.
    UniqueConstraint("merchant_id", "object_id", "sequence", name="events_sequence_key"),
    Index("events_app_idx", "merchant_id", "app", "event_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("endpoint_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    moment("due_at", nullable=True),
    moment("lease_until", nullable=True),
    Column("last_status", SmallInteger),
    Column("last_error", Text),
    moment("delivered_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "event_id", "endpoint_id", name="deliveries_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "event_id"], ["events.merchant_id", "events.event_id"], name="deliveries_event_fkey"
    ),
    CheckConstraint("status IN ('pending', 'delivered', 'dead', 'held', 'discarded')", name="deliveries_status_check"),
    CheckConstraint("(status = 'pending') = (due_at IS NOT NULL)", name="deliveries_due_check"),
    CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="deliveries_delivered_check"),
    Index("deliveries_dead_idx", "merchant_id", "event_id", postgresql_where=text("status = 'dead'")),
    Index("deliveries_due_idx", "merchant_id", "due_at", postgresql_where=text("status = 'pending'")),
    # Each endpoint's own line: a long one stands before nobody else's.
    Index(
        "deliveries_endpoint_idx",
        "merchant_id",
        "endpoint_id",
        "due_at",
        postgresql_where=text("status = 'pending'"),
    ),
    Index("deliveries_held_idx", "merchant_id", "endpoint_id", "event_id", postgresql_where=text("status = 'held'")),
)
