"""What is switched off while it is degraded, and the alert of it, in one transaction.

The watch writes what it made of what it read (`keep`), and nothing where somebody else was there before; an operator
may end it at any time. It is gone when the channel is well again.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from gateway.domain.alerts import AlertKind, Severity
from gateway.domain.events import Event
from gateway.domain.rates import Counted
from gateway.domain.switches import Switch
from gateway.storage.merchant_events import count_told
from gateway.storage.server.database import Connection, Database
from gateway.storage.watching.alerts import AlertStore

__all__ = ["SWITCHES", "SwitchStore", "switches_of"]

READ_WITHIN_S: Final = 3.0
SWITCHES: Final = """
SELECT merchant_id, scene, bank, channel, off_at, rests_until, rests, waits, on_at, on_by FROM channel_switches
WHERE merchant_id = ANY($1::uuid[])
"""
INSERT: Final = """
INSERT INTO channel_switches (merchant_id, scene, bank, channel, off_at, rests_until, rests, waits)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (merchant_id, scene, bank, channel) DO NOTHING RETURNING channel
"""
# Only what was read is changed: an operator may have switched it on meanwhile, or another process have taken over.
AS_IT_WAS: Final = """
WHERE merchant_id = $1 AND scene = $2 AND bank = $3 AND channel = $4 AND off_at = $5 AND rests_until = $6
AND on_at IS NOT DISTINCT FROM $7
"""
UPDATE: Final = f"""
UPDATE channel_switches SET off_at = $8, rests_until = $9, rests = $10, waits = $11, on_at = $12, on_by = $13
{AS_IT_WAS} RETURNING channel
"""
DELETE: Final = f"DELETE FROM channel_switches {AS_IT_WAS} RETURNING channel"
SWITCH_ON: Final = """
UPDATE channel_switches SET on_at = greatest($5, off_at), on_by = $6, waits = false
WHERE merchant_id = $1 AND channel = $2 AND ($3::text IS NULL OR scene = $3) AND ($4::text IS NULL OR bank = $4)
AND on_at IS NULL
RETURNING scene, bank, channel
"""
KIND: Final = AlertKind.CHANNEL_SWITCHED_OFF


@dataclass(frozen=True, slots=True)
class SwitchStore:
    """Implements `watch.channels.Switches` and what operators need of it."""

    database: Database
    alerts: AlertStore

    async def switches(self, merchants: Collection[UUID]) -> Mapping[UUID, Mapping[Counted, Switch]]:
        """What is or was switched off, by merchant."""
        async with self.database.connection() as connection:
            return await switches_of(connection, merchants)

    async def keep(
        self, merchant_id: UUID, what: Counted, before: Switch | None, after: Switch | None,
        shown: Mapping[str, Any], now: datetime,
    ) -> bool:  # fmt: skip
        """It is so now, where it is still as it was before; whether it is."""
        told: list[Event] = []
        async with self.database.transaction() as connection:
            if not await _write(connection, (merchant_id, *what), before, after):
                return False
            place = (connection, merchant_id, KIND, str(what))
            if after is None or after.on_at is not None:
                told = await self.alerts.clear_in(*place, now)
            elif before is None or before.rests_until != after.rests_until:
                told = await self.alerts.raise_in(*place, Severity.WARNING, shown, now) or []
        count_told(told)
        return True

    async def switch_on(
        self, merchant_id: UUID, channel: str, scene: str | None, bank: str | None, *, by: str, now: datetime
    ) -> list[Counted]:
        """An operator ends it, for all that is off of a channel or of a scene and bank of it; what was off."""
        told: list[Event] = []
        async with self.database.transaction() as connection:
            rows = await connection.fetch(SWITCH_ON, merchant_id, channel, scene, bank, now, by)
            found = sorted(Counted(*row) for row in rows)
            for what in found:
                told += await self.alerts.clear_in(connection, merchant_id, KIND, str(what), now)
        count_told(told)
        return found


async def switches_of(connection: Connection, merchants: Collection[UUID]) -> Mapping[UUID, Mapping[Counted, Switch]]:
    """What is or was switched off, by merchant."""
    found: dict[UUID, dict[Counted, Switch]] = defaultdict(dict)
    for row in await connection.fetch(SWITCHES, list(merchants), timeout=READ_WITHIN_S):
        merchant_id, scene, bank, channel, *rest = row
        found[merchant_id][Counted(scene, bank, channel)] = Switch(*rest)
    return found


async def _write(connection: Connection, place: tuple[Any, ...], before: Switch | None, after: Switch | None) -> bool:
    if before is None:
        if after is None:
            return False
        return bool(
            await connection.fetch(INSERT, *place, after.off_at, after.rests_until, after.rests, after.waits)
        )  # fmt: skip
    was = (before.off_at, before.rests_until, before.on_at)
    if after is None:
        return bool(await connection.fetch(DELETE, *place, *was))
    now = (after.off_at, after.rests_until, after.rests, after.waits, after.on_at, after.on_by)
    return bool(await connection.fetch(UPDATE, *place, *was, *now))
