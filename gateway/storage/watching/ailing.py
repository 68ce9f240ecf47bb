"""What the watch of channels has written of those that ail, for every process that routes payments."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.domain.ailing import SeenAiling
from gateway.domain.rates import Counted, Rate
from gateway.storage.server.database import Database
from gateway.storage.watching.switches import switches_of

__all__ = ["AilingStore"]

READ_WITHIN_S: Final = 3.0
DEGRADED: Final = """
SELECT w.merchant_id, one ->> 'scene', one ->> 'bank', one ->> 'channel',
    (one -> 'channel_fault' ->> 'succeeded')::int, (one -> 'channel_fault' ->> 'attempts')::int, w.looked_at
FROM watches w CROSS JOIN LATERAL jsonb_array_elements(w.state) AS one
WHERE w.watch = 'channels' AND w.merchant_id = ANY($1::uuid[]) AND one ->> 'degraded_since' IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class AilingStore:
    """Implements `watch.ailing.Seeing`."""

    database: Database

    async def seen(self, merchants: Collection[UUID]) -> Mapping[UUID, Mapping[Counted, SeenAiling]]:
        """What is degraded or switched off, by merchant, as it was seen last."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(DEGRADED, list(merchants), timeout=READ_WITHIN_S)
            switches = await switches_of(connection, merchants)
        found: dict[UUID, dict[Counted, SeenAiling]] = {merchant_id: {} for merchant_id in merchants}
        for merchant_id, kept in switches.items():
            found[merchant_id] |= {what: SeenAiling(Rate(), None, switch) for what, switch in kept.items()}
        for merchant_id, scene, bank, channel, succeeded, attempts, looked_at in rows:
            what = Counted(scene, bank, channel)
            switch = switches.get(merchant_id, {}).get(what)
            found[merchant_id][what] = SeenAiling(Rate(succeeded, attempts), looked_at, switch)
        return found
