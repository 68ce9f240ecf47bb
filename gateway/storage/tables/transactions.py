"""What the looks at transactions remember: how far they are, and which keys have too many just now."""

from sqlalchemy import Column, PrimaryKeyConstraint, Table, Text, Uuid

from gateway.storage.tables.base import metadata, moment

__all__ = ["transaction_hits", "transaction_looks"]

transaction_looks = Table(
    "transaction_looks",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    moment("looked_to", nullable=True),
    moment("lease_until", nullable=True),
    PrimaryKeyConstraint("merchant_id", name="transaction_looks_pkey"),
    comment="one process looks at a time; the next look begins a little before where this one ended",
)

transaction_hits = Table(
    "transaction_hits",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("rule", Text, nullable=False),
    Column("key", Text, nullable=False, comment="of cards, phones and IDs the print"),
    moment("since_at"),
    moment("until_at"),
    PrimaryKeyConstraint("merchant_id", "rule", "key", name="transaction_hits_pkey"),
    comment="each has an alert; gone when it is over",
)
