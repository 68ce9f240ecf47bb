"""What is seen beside the flow: alerts, who watches, and the numbers of events that are about no object."""

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables.base import metadata, moment

__all__ = ["alerts", "channel_switches", "event_counters", "watches"]

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

watches = Table(
    "watches",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("watch", Text, nullable=False, comment="what is watched: channels"),
    Column("holder", Uuid, nullable=False, comment="the process that watches it"),
    moment("lease_until"),
    moment("looked_at", nullable=True),
    Column("state", JSONB, comment="what it sees, for all processes"),
    PrimaryKeyConstraint("merchant_id", "watch", name="watches_pkey"),
    CheckConstraint("(looked_at IS NULL) = (state IS NULL)", name="watches_state_check"),
    comment="what one process at a time watches",
)

channel_switches = Table(
    "channel_switches",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("scene", Text, nullable=False, comment="* where all are counted together, as of bank"),
    Column("bank", Text, nullable=False),
    Column("channel", Text, nullable=False),
    moment("off_at"),
    moment("rests_until", comment="from then on one payment in n goes there"),
    Column("rests", Integer, nullable=False, comment="how often it was sent to rest"),
    Column("waits", Boolean, nullable=False, comment="enough were let through, and have no result yet"),
    moment("on_at", nullable=True, comment="it is on again since, by its tries or an operator"),
    Column("on_by", Text, comment="the operator"),
    PrimaryKeyConstraint("merchant_id", "scene", "bank", "channel", name="channel_switches_pkey"),
    CheckConstraint("rests_until > off_at", name="channel_switches_rest_check"),
    CheckConstraint("rests >= 1", name="channel_switches_rests_check"),
    CheckConstraint(
        "on_at IS NULL AND on_by IS NULL OR on_at IS NOT NULL AND on_at >= off_at AND NOT waits",
        name="channel_switches_on_check",
    ),
    comment="what is switched off, or was since it is degraded; gone when it is well again",
)

event_counters = Table(
    "event_counters",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("object", Text, nullable=False, comment="channel or account"),
    Column("code", Text, nullable=False),
    Column("sequence", Integer, nullable=False, comment="of its newest event"),
    PrimaryKeyConstraint("merchant_id", "object", "code", name="event_counters_pkey"),
    CheckConstraint("sequence >= 1", name="event_counters_sequence_check"),
    comment="what has a code and no id counts its events here, without a gap",
)
