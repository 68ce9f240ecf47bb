"""What all tables share."""

from sqlalchemy import Column, DateTime, MetaData

__all__ = ["OPEN", "STATUSES", "metadata", "moment"]

metadata = MetaData()

STATUSES = "('processing', 'requires_action', 'succeeded', 'failed', 'closed')"
OPEN = "('processing', 'requires_action')"


def moment(name: str, *, nullable: bool = False, comment: str | None = None) -> Column[object]:
    """An aware time, kept in UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)
