"""What is seen beside the flow: alerts."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables.base import metadata, moment

__all__ = ["alerts"]

alerts = Table(
    "alerts",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("alert_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False, comment="of what: a channel, scene/bank/channel, an account, an endpoint"),
    Column("severity", Text, nullable=False),
    Column("detail", JSONB, nullable=False, comment="numbers and codes, as last seen"),
    moment("raised_at"),
    moment("last_at"),
    Column("times", Integer, nullable=False, comment="how often it was seen while it is open"),
    moment("cleared_at", nullable=True),
    moment("acknowledged_at", nullable=True),
    Column("acknowledged_by", Text),
    Column("note", Text),
    PrimaryKeyConstraint("merchant_id", "alert_id", name="alerts_pkey"),
    CheckConstraint("severity IN ('warning', 'critical')", name="alerts_severity_check"),
    CheckConstraint("times >= 1", name="alerts_times_check"),
    CheckConstraint(
        "(acknowledged_at IS NULL) = (acknowledged_by IS NULL) AND (acknowledged_at IS NULL) = (note IS NULL)",
        name="alerts_acknowledged_check",
    ),
    # Whatever processes see at once: of one thing one alert is open.
    Index("alerts_open_key", "merchant_id", "kind", "about", unique=True, postgresql_where=text("cleared_at IS NULL")),
)
