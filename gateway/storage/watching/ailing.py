"""What the watch of channels has written of those that ail, for every process that routes payments."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway.domain.rates import Counted, Rate
from gateway.storage.server.database import Database

__all__ = ["AilingStore"]

READ_WITHIN_S: Final = 3.0
DEGRADED: Final = """
SELECT w.merchant_id, one ->> 'scene', one ->> 'bank', one ->> 'channel',
    (one -> 'channel_fault' ->> 'succeeded')::int, (one -> 'channel_fault' ->> 'attempts')::int
FROM watches w CROSS JOIN LATERAL jsonb_array_elements(w.state) AS one
WHERE w.watch = 'channels' AND w.merchant_id = ANY($1::uuid[]) AND w.looked_at >= $2
AND one ->> 'degraded_since' IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class AilingStore:
    """Implements `watch.ailing.SeenAiling`."""

    database: Database

    async def degraded(
        self, merchants: Collection[UUID], looked_since: datetime
    ) -> Mapping[UUID, Mapping[Counted, Rate]]:
        """What is degraded by merchant, with its rate, as it was seen last, but not before that."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(DEGRADED, list(merchants), looked_since, timeout=READ_WITHIN_S)
        found: dict[UUID, dict[Counted, Rate]] = defaultdict(dict)
        for merchant_id, scene, bank, channel, succeeded, attempts in rows:
            found[merchant_id][Counted(scene, bank, channel)] = Rate(succeeded, attempts)
        return found
