"""Alerts as they are kept. Raising and clearing are one statement each, whichever process does it, and with it, in one
transaction, stands the event that tells of it.

A channel that is degraded has events of its own (`channel_alerts`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.domain.alerts import AcknowledgedError, AlertKind, AlertSearch, RecordedAlert, Severity
from gateway.domain.catalogue import Catalogue
from gateway.domain.events import Event, EventType
from gateway.domain.ids import ObjectKind
from gateway.objects.alerts import alert_object
from gateway.objects.events import merchant_event
from gateway.storage.merchant_events import count_told, write_events
from gateway.storage.server.database import Connection, Database

__all__ = ["AlertStore"]

READ_MAX: Final = 201
"""The API's longest page, and the one more that tells whether there is a next."""
ABOUT_ENDPOINTS: Final = frozenset({AlertKind.DEAD_LETTERS, AlertKind.HELD_EVENTS})

COLUMNS: Final = (
    "alert_id, kind, about, severity, detail, raised_at, last_at, times, cleared_at, acknowledged_at,"
    " acknowledged_by, note"
)
# What is open already is seen once more; the id that comes back tells whose it is.
RAISE: Final = """
INSERT INTO alerts (merchant_id, alert_id, kind, about, severity, detail, raised_at, last_at, times)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $7, 1)
ON CONFLICT (merchant_id, kind, about) WHERE cleared_at IS NULL DO UPDATE SET
    severity = excluded.severity, detail = excluded.detail, last_at = excluded.last_at,
    times = alerts.times + excluded.times
RETURNING alert_id
"""
CLEAR: Final = f"""
UPDATE alerts SET cleared_at = $4 WHERE merchant_id = $1 AND kind = $2 AND about = $3 AND cleared_at IS NULL
RETURNING {COLUMNS}
"""
CLEAR_OTHERS: Final = f"""
UPDATE alerts SET cleared_at = $4
WHERE merchant_id = $1 AND kind = $2 AND NOT (about = ANY($3::text[])) AND cleared_at IS NULL
RETURNING {COLUMNS}
"""
# One of before that has none was raised by a program that told nothing.
TOLD: Final = """
SELECT object_id, max(sequence) FROM events WHERE merchant_id = $1 AND object_id = ANY($2::uuid[]) GROUP BY object_id
"""
FIND: Final = f"""
SELECT {COLUMNS} FROM alerts WHERE merchant_id = $1
    AND ($2::text IS NULL OR kind = $2) AND ($3::boolean IS NULL OR (cleared_at IS NULL) = $3)
    AND ($4::uuid IS NULL OR alert_id < $4)
ORDER BY alert_id DESC LIMIT $5
"""
OPEN: Final = f"SELECT {COLUMNS} FROM alerts WHERE merchant_id = $1 AND kind = $2 AND cleared_at IS NULL"
READ: Final = f"SELECT {COLUMNS} FROM alerts WHERE merchant_id = $1 AND alert_id = $2"
ACKNOWLEDGE: Final = f"""
UPDATE alerts SET acknowledged_at = $3, acknowledged_by = $4, note = $5
WHERE merchant_id = $1 AND alert_id = $2 AND acknowledged_at IS NULL RETURNING {COLUMNS}
"""
COUNT: Final = "SELECT kind, count(*) FROM alerts WHERE merchant_id = $1 AND cleared_at IS NULL GROUP BY kind"


@dataclass(frozen=True, slots=True)
class AlertStore:
    """The alerts of merchants. `new_id` draws UUIDv7: alerts are listed in the order of their ids. Their events go to
    the endpoints of the `catalogue`."""

    database: Database
    new_id: Callable[[], UUID]
    catalogue: Callable[[], Catalogue]

    async def raise_(
        self, merchant_id: UUID, kind: AlertKind, about: str, severity: Severity, detail: Mapping[str, Any],
        now: datetime,
    ) -> bool:  # fmt: skip
        """There is this; whether it is new. What is open already is counted, and has the newest numbers."""
        async with self.database.transaction() as connection:
            told = await self.raise_in(connection, merchant_id, kind, about, severity, detail, now)
        count_told(told or [])
        return told is not None

    async def raise_in(
        self, connection: Connection, merchant_id: UUID, kind: AlertKind, about: str, severity: Severity,
        detail: Mapping[str, Any], now: datetime,
    ) -> list[Event] | None:  # fmt: skip
        """The same in a transaction of somebody's: the events to count once it is committed; None: it is not new."""
        alert_id, numbers = self.new_id(), orjson.dumps(dict(detail))
        place = (merchant_id, alert_id, kind.value, about)
        kept = await connection.fetchval(RAISE, *place, severity.value, numbers.decode(), now)
        if kept != alert_id:
            return None
        alert = RecordedAlert(alert_id, kind, about, severity, orjson.loads(numbers), now, now, 1)
        return await self._tell(connection, merchant_id, EventType.ALERT_RAISED, [alert], now)

    async def clear(self, merchant_id: UUID, kind: AlertKind, about: str, now: datetime) -> bool:
        """It is over; whether it was open."""
        return bool(await self._clear(merchant_id, CLEAR, kind, about, now))

    async def clear_in(
        self, connection: Connection, merchant_id: UUID, kind: AlertKind, about: str, now: datetime
    ) -> list[Event]:
        """The same in a transaction of somebody's: the events to count once it is committed."""
        _, told = await self._clear_in(connection, merchant_id, CLEAR, kind, about, now)
        return told

    async def clear_others(
        self, merchant_id: UUID, kind: AlertKind, still: Collection[str], now: datetime
    ) -> list[str]:
        """All of this kind are over but those about `still`; what the others were about."""
        return sorted(alert.about for alert in await self._clear(merchant_id, CLEAR_OTHERS, kind, sorted(still), now))

    async def open_of(self, merchant_id: UUID, kind: AlertKind) -> list[RecordedAlert]:
        """What is open of a kind."""
        async with self.database.connection() as connection:
            return [_alert(row) for row in await connection.fetch(OPEN, merchant_id, kind.value)]

    async def alerts(self, merchant_id: UUID, search: AlertSearch, limit: int) -> list[RecordedAlert]:
        """Newest first."""
        kind = None if search.kind is None else search.kind.value
        asked = (merchant_id, kind, search.is_open, search.before, min(limit, READ_MAX))
        async with self.database.connection() as connection:
            return [_alert(row) for row in await connection.fetch(FIND, *asked)]

    async def acknowledge(
        self, merchant_id: UUID, alert_id: UUID, *, by: str, note: str, now: datetime
    ) -> RecordedAlert | None:
        """Somebody has seen it; None: no such alert. Raises AcknowledgedError."""
        async with self.database.connection() as connection:
            row = await connection.fetchrow(ACKNOWLEDGE, merchant_id, alert_id, now, by, note)
            if row is not None:
                return _alert(row)
            if await connection.fetchrow(READ, merchant_id, alert_id) is None:
                return None
        raise AcknowledgedError

    async def counts(self, merchant_id: UUID) -> dict[AlertKind, int]:
        """How many are open of each kind; a kind without any is absent."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(COUNT, merchant_id)
        known = {kind.value for kind in AlertKind}  # a newer version may have more
        return {AlertKind(row[0]): row[1] for row in rows if row[0] in known}

    async def _clear(
        self, merchant_id: UUID, statement: str, kind: AlertKind, about: str | list[str], now: datetime
    ) -> list[RecordedAlert]:
        async with self.database.transaction() as connection:
            cleared, told = await self._clear_in(connection, merchant_id, statement, kind, about, now)
        count_told(told)
        return cleared

    async def _clear_in(
        self, connection: Connection, merchant_id: UUID, statement: str, kind: AlertKind, about: str | list[str],
        now: datetime,
    ) -> tuple[list[RecordedAlert], list[Event]]:  # fmt: skip
        cleared = [_alert(row) for row in await connection.fetch(statement, merchant_id, kind.value, about, now)]
        return cleared, await self._tell(connection, merchant_id, EventType.ALERT_CLEARED, cleared, now)

    async def _tell(
        self, connection: Connection, merchant_id: UUID, event_type: EventType, alerts: Sequence[RecordedAlert],
        now: datetime,
    ) -> list[Event]:  # fmt: skip
        alerts = [alert for alert in alerts if alert.kind is not AlertKind.CHANNEL_DEGRADED]
        if not alerts:
            return []
        before = dict(await connection.fetch(TOLD, merchant_id, [alert.alert_id for alert in alerts]))
        told = []
        for alert in alerts:
            place = (ObjectKind.ALERT, alert.alert_id, before.get(alert.alert_id, 0) + 1)
            shown = alert_object(alert)
            event = merchant_event(merchant_id, event_type, *place, self.new_id(), now, shown)
            # What an endpoint does not take is not told to it: that would be one more that it does not take.
            but = alert.about if alert.kind in ABOUT_ENDPOINTS else None
            await write_events(connection, [event], self.catalogue(), but=but)
            told.append(event)
        return told


def _alert(row: Mapping[str, Any]) -> RecordedAlert:
    told = {**row, "detail": orjson.loads(row["detail"]) if isinstance(row["detail"], str) else row["detail"]}
    return RecordedAlert(**{**told, "kind": AlertKind(row["kind"]), "severity": Severity(row["severity"])})
