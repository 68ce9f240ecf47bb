"""What was not counted in the totals is made good, when a process begins to look at a limit.

Whoever counted before, or did not: the difference between totals and usage is found in one snapshot and added. Later
changes are counted on both sides, so it may be added later. It is done beside the flushes, which wait a moment at most
for the first time, and holds no user's lock.
"""

import asyncio
import secrets
from datetime import date, datetime, timedelta
from uuid import UUID

from gateway.domain.catalogue import NOTHING_COUNTED, Counted
from gateway.logs import get
from gateway.storage.server.database import Connection, Database
from gateway.storage.server.troubles import comes_again
from gateway.storage.tables.limits import NO_MORE_TODAY

__all__ = ["FILL_CARDS", "FILL_CHANNELS", "MISSING_OF_CARDS", "MakingGood", "begins_with"]

WAITED_FOR_S = 2.0
"""How long a flush waits; then it goes on with what is counted so far."""
WITHIN_S = 60
AGAIN_AFTER = timedelta(seconds=5)
"""Other processes learn of a new limit a moment later, and what they did until then is made good after this time."""
CARDS_AT_ONCE = 1_000
"""Rows of cards that are locked together: other flushes may wait for them."""
THE_LOCK = UUID(int=0)

log = get(__name__)

# WHERE false: locked and not written. Two that make good at once would both add the same difference.
LOCK = """
INSERT INTO channel_totals (merchant_id, business_day, part, channel, used) VALUES ($1, $2, $3, '', 0)
ON CONFLICT (merchant_id, business_day, part, channel) DO UPDATE SET used = excluded.used WHERE false
"""
FILL_CHANNELS = """
INSERT INTO channel_totals (merchant_id, business_day, part, channel, used)
SELECT $1::uuid, $2::date, $3::uuid, channel, sum(used)::bigint FROM (
    SELECT channel, reserved + succeeded AS used FROM channel_usage
    WHERE merchant_id = $1 AND business_day = $2 AND channel = ANY($4::text[])
    UNION ALL
    SELECT channel, -used FROM channel_totals
    WHERE merchant_id = $1 AND business_day = $2 AND channel = ANY($4::text[])
) AS missing GROUP BY channel HAVING sum(used) <> 0
"""
# An erased card has no print any more: as long as payments of today may be one's, nothing is taken from a total.
MISSING_OF_CARDS = f"""
WITH used AS (
    SELECT c.number_print, c.erased_at, p.channel,
        CASE WHEN p.status <> 'failed' OR i.late_success THEN p.amount ELSE 0 END AS used,
        CASE WHEN p.failure_code = 'insufficient_balance' THEN 1 ELSE 0 END AS insufficient
    FROM payments p
    JOIN cards c ON c.merchant_id = $1 AND c.card_id = p.card_id
    LEFT JOIN intents i ON i.merchant_id = $1 AND i.object_id = p.payment_id AND i.verb = 'pay'
        AND i.ordinal = coalesce(p.attempt_ordinal, 1)
    WHERE p.merchant_id = $1 AND p.business_day = $2 AND p.channel = ANY($3::text[])
        AND (p.status IN ('processing', 'requires_action', 'succeeded') OR i.late_success
            OR p.failure_code = 'insufficient_balance')
    UNION ALL
    SELECT c.number_print, c.erased_at, r.channel,
        CASE WHEN r.until_at IS NOT NULL OR r.status = 'succeeded' OR r.late_success THEN r.amount ELSE 0 END,
        CASE WHEN r.failure_code = 'insufficient_balance' THEN 1 ELSE 0 END
    FROM routes r
    JOIN cards c ON c.merchant_id = $1 AND c.card_id = r.card_id
    WHERE r.merchant_id = $1 AND r.business_day = $2 AND r.channel = ANY($3::text[])
        AND (r.until_at IS NOT NULL OR r.status = 'succeeded' OR r.late_success
            OR r.failure_code = 'insufficient_balance')
), missing AS (
    SELECT number_print, channel, sum(used)::bigint AS used, sum(insufficient)::integer AS insufficient FROM (
        SELECT number_print, channel, used, insufficient FROM used WHERE number_print IS NOT NULL
        UNION ALL
        SELECT number_print, channel, -used, -(insufficient % {NO_MORE_TODAY}) FROM card_totals
        WHERE merchant_id = $1 AND business_day = $2 AND channel = ANY($3::text[])
    ) AS missing GROUP BY number_print, channel
), erased AS (SELECT EXISTS (SELECT FROM used WHERE erased_at IS NOT NULL) AS any_one)
SELECT number_print, channel, CASE WHEN any_one THEN greatest(used, 0) ELSE used END AS used,
    CASE WHEN any_one THEN greatest(insufficient, 0) ELSE insufficient END AS insufficient
FROM missing, erased
WHERE used > 0 OR insufficient > 0 OR ((used < 0 OR insufficient < 0) AND NOT any_one)
ORDER BY number_print, channel
"""
FILL_CARDS = """
INSERT INTO card_totals (merchant_id, business_day, number_print, channel, used, insufficient)
SELECT $1::uuid, $2::date, v.number_print, v.channel, v.used, v.insufficient
FROM unnest($3::bytea[], $4::text[], $5::bigint[], $6::integer[]) AS v (number_print, channel, used, insufficient)
ON CONFLICT (merchant_id, business_day, number_print, channel) DO UPDATE SET used = card_totals.used + excluded.used,
    insufficient = card_totals.insufficient + excluded.insufficient
"""


class MakingGood:
    """One store's memory of which limits it has made good, and the work that is under way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done: dict[UUID, Counted] = {}
        self._again: dict[UUID, tuple[datetime, Counted]] = {}
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def ready(self, merchant_id: UUID, counted: Counted, day: date, now: datetime) -> None:
        """Make good what was not counted of these channels, where they are new here. Waits a moment at most."""
        before = self._done.get(merchant_id, NOTHING_COUNTED)
        if not counted and not before:
            return
        at, missed = self._again.get(merchant_id, (now, NOTHING_COUNTED))
        self._done[merchant_id] = counted
        new = counted - before
        if (new or (missed and at <= now)) and merchant_id not in self._running:
            self._again.pop(merchant_id, None)
            if new:
                self._again[merchant_id] = now + AGAIN_AFTER, new
            work = asyncio.create_task(self._make_good(merchant_id, new | missed, day, now))
            self._running[merchant_id] = work
            if new:
                await asyncio.wait({work}, timeout=WAITED_FOR_S)
        elif new:
            self._again[merchant_id] = now, missed | new

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def _make_good(self, merchant_id: UUID, missing: Counted, day: date, now: datetime) -> None:
        try:
            async with self._one_at_a_time:
                await self._fill(merchant_id, missing, day, now)
        except Exception as error:
            if not comes_again(error):
                raise
            log.warning(
                "totals not made good, tried again", merchant_id=str(merchant_id), error_type=type(error).__name__
            )
            _, others = self._again.get(merchant_id, (now, NOTHING_COUNTED))
            self._again[merchant_id] = now + AGAIN_AFTER, missing | others
        finally:
            del self._running[merchant_id]

    async def _fill(self, merchant_id: UUID, missing: Counted, day: date, now: datetime) -> None:
        async with self._database.long_transaction(WITHIN_S) as connection:
            await connection.execute(LOCK, merchant_id, day, THE_LOCK)
            # In later statements: their snapshots are younger than the end of the wait.
            if missing.channels:
                part, channels = begins_with(now, secrets.randbits(80)), sorted(missing.channels)
                await connection.execute(FILL_CHANNELS, merchant_id, day, part, channels, timeout=WITHIN_S)
            if missing.cards:
                await self._fill_cards(connection, merchant_id, day, sorted(missing.cards))

    async def _fill_cards(self, locked: Connection, merchant_id: UUID, day: date, channels: list[str]) -> None:
        asked = (merchant_id, day, channels)
        missing = await locked.cursor(MISSING_OF_CARDS, *asked, timeout=WITHIN_S)
        while rows := await missing.fetch(CARDS_AT_ONCE, timeout=WITHIN_S):
            # Committed by itself, so that nobody waits for long; the lock keeps others from adding the same meanwhile.
            async with self._database.connection() as connection:
                await connection.execute(FILL_CARDS, merchant_id, day, *map(list, zip(*rows, strict=True)))


def begins_with(moment: datetime, rest: int = 0) -> UUID:
    """An id that begins with a time, as UUIDv7 do; without a rest it is below all others of that time."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80 | rest)
