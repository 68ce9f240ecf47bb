"""Attempts of a merchant counted by slices of time, scene, bank, channel and end; and who counts them.

An attempt is a payment, at the moment when the first intent to pay was recorded; one that never came so far, because
its card could not be authenticated, at the moment of that. Not counted: what waits for its payer, what was closed, and
authentications that succeeded. Read by the BRIN indexes of intents; nothing is locked.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.domain.rates import SLICE, Counted, Tally
from gateway.storage.server.database import Database

__all__ = ["COUNT", "TOUCHED", "RateStore"]

READ_WITHIN_S: Final = 3.0
_SLICE_SQL: Final = f"interval '{int(SLICE.total_seconds())} seconds'"
_START: Final = f"date_bin({_SLICE_SQL}, {{at}}, timestamptz '1970-01-01 00:00:00+00')"

COUNT: Final = f"""
SELECT {_START.format(at="sent.at")} AS slice, p.scene, p.bank, p.channel,
    CASE p.status WHEN 'failed' THEN p.failure_blame ELSE p.status END AS ended, count(*)
FROM unnest($2::timestamptz[], $3::timestamptz[]) AS r (since, until)
CROSS JOIN LATERAL (
    SELECT i.object_id AS payment_id, i.recorded_at AS at FROM intents i
    WHERE i.merchant_id = $1 AND i.recorded_at >= r.since AND i.recorded_at < r.until
    AND i.verb = 'pay' AND i.ordinal = 1
  UNION ALL
    SELECT w.payment_id, i.recorded_at FROM intents i
    JOIN payments w ON w.merchant_id = $1 AND w.authentication_id = i.object_id AND w.authentication_id IS NOT NULL
    WHERE i.merchant_id = $1 AND i.recorded_at >= r.since AND i.recorded_at < r.until
    AND i.verb = 'authenticate' AND i.ordinal = 1 AND i.state <> 'done'
    AND NOT EXISTS (SELECT FROM intents b WHERE b.merchant_id = $1 AND b.object_id = w.payment_id AND b.verb = 'pay')
) AS sent
JOIN payments p ON p.merchant_id = $1 AND p.payment_id = sent.payment_id
WHERE p.channel IS NOT NULL AND p.corrects IS NULL AND p.status IN ('succeeded', 'failed', 'processing')
GROUP BY 1, 2, 3, 4, 5
"""
TOUCHED: Final = f"""
SELECT DISTINCT {_START.format(at="i.recorded_at")} FROM intents i
WHERE i.merchant_id = $1 AND i.verb IN ('pay', 'authenticate') AND i.ended_at >= $2 AND i.recorded_at >= $3
"""
TAKE: Final = """
INSERT INTO watches (merchant_id, watch, holder, lease_until) VALUES ($1, $2, $3, $4)
ON CONFLICT (merchant_id, watch) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
WHERE watches.holder = excluded.holder OR watches.lease_until <= $5
RETURNING holder
"""
FREE: Final = "UPDATE watches SET lease_until = $3 WHERE holder = $1 AND watch = $2"
SAY: Final = """
UPDATE watches SET state = $4::text::jsonb, looked_at = $5 WHERE merchant_id = $1 AND watch = $2 AND holder = $3
RETURNING holder
"""
SAID: Final = """
SELECT merchant_id, looked_at, state FROM watches
WHERE watch = $1 AND merchant_id = ANY($2::uuid[]) AND looked_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class RateStore:
    """Implements `watch.channels.Attempts` and `watch.leases.Leases`."""

    database: Database

    async def take(self, merchant_id: UUID, watch: str, holder: UUID, now: datetime, lease: timedelta) -> bool:
        """Be the one process that watches this, until then; False: another one is."""
        async with self.database.connection() as connection:
            return bool(await connection.fetch(TAKE, merchant_id, watch, holder, now + lease, now))

    async def free(self, holder: UUID, watch: str, now: datetime) -> None:
        """Others may take it at once."""
        async with self.database.connection() as connection:
            await connection.execute(FREE, holder, watch, now)

    async def touched(self, merchant_id: UUID, since: datetime, sent_since: datetime) -> set[datetime]:
        """The slices of attempts that ended since then."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(TOUCHED, merchant_id, since, sent_since, timeout=READ_WITHIN_S)
        return {row[0] for row in rows}

    async def counted(self, merchant_id: UUID, slices: Collection[datetime]) -> dict[datetime, dict[Counted, Tally]]:
        """These slices as the rows are now; one without attempts is empty."""
        spans = _spans(slices)
        since, until = [span[0] for span in spans], [span[1] for span in spans]
        async with self.database.connection() as connection:
            rows = await connection.fetch(COUNT, merchant_id, since, until, timeout=READ_WITHIN_S)
        ends: dict[tuple[datetime, Counted], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for at, scene, bank, channel, ended, count in rows:
            ends[at, Counted(scene, bank, channel)][_NAMES[ended]] += count
        found: dict[datetime, dict[Counted, Tally]] = {at: {} for at in slices}
        for (at, what), counts in ends.items():
            found[at][what] = Tally(**counts)
        return found

    async def say(self, merchant_id: UUID, watch: str, holder: UUID, state: Any, now: datetime) -> bool:
        """What is known now, for all processes; False: another process watches it by now."""
        async with self.database.connection() as connection:
            told = orjson.dumps(state).decode()
            return bool(await connection.fetch(SAY, merchant_id, watch, holder, told, now))

    async def said(self, watch: str, merchants: Collection[UUID]) -> dict[UUID, tuple[datetime, Any]]:
        """What was said last, and when, by merchant."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(SAID, watch, list(merchants))
        return {row[0]: (row[1], orjson.loads(row[2]) if isinstance(row[2], str) else row[2]) for row in rows}


_NAMES: Final[Mapping[str, str]] = {
    "succeeded": "succeeded", "payer": "payer", "channel": "channel", "platform": "platform", "processing": "open",
}  # fmt: skip


def _spans(slices: Collection[datetime]) -> list[tuple[datetime, datetime]]:
    """Slices that follow each other are one span."""
    spans: list[tuple[datetime, datetime]] = []
    for at in sorted(slices):
        if spans and spans[-1][1] == at:
            spans[-1] = (spans[-1][0], at + SLICE)
        else:
            spans.append((at, at + SLICE))
    return spans
