"""Proves from the rows that nothing is lost: what `sluice doctor` asks, each question as SQL and as words.

Every check reads one snapshot and looks at whole tables: it is for operators and tests, not for the hot path. Rows that
break a constraint cannot be; the checks ask it all the same, for a restored or repaired database.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.ids import CARD, EVENT, ObjectKind, show, show_object

__all__ = ["OVERDUE_AFTER", "examine"]

OVERDUE_AFTER = timedelta(minutes=2)
"""Something due that nobody took up for this long means that no worker runs, or none that keeps up."""
MAX_SHOWN = 20
"""Findings told per check; the rest is counted."""
READING_WITHIN_MS = 600_000


@dataclass(frozen=True, slots=True)
class _Check:
    """A query that finds what is wrong, and the sentence for one of its rows."""

    sql: str
    sentence: str


_IN_FLIGHT = "p.status IN ('processing', 'requires_action')"

_COUNTED_EVENTS = """
        WITH counted AS (
            SELECT e.merchant_id, e.object_id AS payment_id, count(*) AS found FROM events e
            WHERE e.object = 'payment' GROUP BY e.merchant_id, e.object_id
        )"""

_CHECKS = (
    _Check(
        f"""
        SELECT p.payment_id, p.status, p.due_kind, p.due_at FROM payments p
        WHERE ({_IN_FLIGHT}) <> (p.due_at IS NOT NULL) OR (p.due_at IS NULL) <> (p.due_kind IS NULL)
        """,
        "payment {payment_id} is {status}, and its next thing due is {due_kind} at {due_at}",
    ),
    _Check(
        """
        SELECT p.payment_id, p.due_kind, p.due_at FROM payments p
        WHERE p.due_at < :overdue AND (p.lease_until IS NULL OR p.lease_until < :overdue)
        """,
        "payment {payment_id} has been waiting for its {due_kind} since {due_at}: does a worker run?",
    ),
    _Check(
        """
        SELECT d.event_id, d.due_at FROM deliveries d
        WHERE d.status = 'pending' AND d.due_at < :overdue AND (d.lease_until IS NULL OR d.lease_until < :overdue)
        """,
        "event {event_id} has been waiting for its delivery since {due_at}: does a worker run?",
    ),
    _Check(
        f"""
        WITH counted AS (
            SELECT p.merchant_id, p.user_id, p.channel, p.business_day,
                coalesce(sum(p.amount) FILTER (WHERE {_IN_FLIGHT}), 0) AS reserved,
                coalesce(sum(p.amount) FILTER (WHERE p.status IN ('succeeded', 'returned') OR a.late_success), 0)
                    AS succeeded,
                count(*) FILTER (WHERE p.status = 'failed' AND p.failure_code = 'insufficient_balance') AS insufficient
            FROM payments p
            JOIN attempts a ON a.merchant_id = p.merchant_id AND a.payment_id = p.payment_id
            GROUP BY p.merchant_id, p.user_id, p.channel, p.business_day
        )
        SELECT coalesce(c.user_id, u.user_id) AS user_id, coalesce(c.channel, u.channel) AS channel,
            coalesce(c.business_day, u.business_day) AS business_day,
            coalesce(u.reserved, 0) AS has_reserved, coalesce(c.reserved, 0) AS reserved,
            coalesce(u.succeeded, 0) AS has_succeeded, coalesce(c.succeeded, 0) AS succeeded,
            coalesce(u.insufficient, 0) AS has_insufficient, coalesce(c.insufficient, 0) AS insufficient
        FROM counted c
        FULL JOIN channel_usage u ON u.merchant_id = c.merchant_id AND u.user_id = c.user_id
            AND u.channel = c.channel AND u.business_day = c.business_day
        WHERE coalesce(u.reserved, 0) <> coalesce(c.reserved, 0)
            OR coalesce(u.succeeded, 0) <> coalesce(c.succeeded, 0)
            OR coalesce(u.insufficient, 0) <> coalesce(c.insufficient, 0)
        """,
        "usage of user {user_id} on {channel} on {business_day} says reserved {has_reserved}, succeeded"
        " {has_succeeded}, insufficient {has_insufficient}; the payments say {reserved}, {succeeded}, {insufficient}",
    ),
    _Check(
        """
        SELECT e.event_id, e.deliveries, count(d.endpoint_id) AS found
        FROM events e LEFT JOIN deliveries d ON d.merchant_id = e.merchant_id AND d.event_id = e.event_id
        GROUP BY e.merchant_id, e.event_id, e.deliveries HAVING count(d.endpoint_id) <> e.deliveries
        """,
        "event {event_id} was written for {deliveries} endpoints and has {found} deliveries",
    ),
    _Check(
        """
        SELECT e.object, e.object_id, min(e.sequence) AS first, max(e.sequence) AS last, count(*) AS found
        FROM events e
        GROUP BY e.merchant_id, e.object, e.object_id HAVING min(e.sequence) <> 1 OR max(e.sequence) <> count(*)
        """,
        "the {found} events of {object_id} are numbered from {first} to {last}",
    ),
    _Check(
        f"""
        {_COUNTED_EVENTS}
        SELECT p.payment_id, p.sequence, coalesce(c.found, 0) AS found
        FROM payments p LEFT JOIN counted c ON c.merchant_id = p.merchant_id AND c.payment_id = p.payment_id
        WHERE coalesce(c.found, 0) <> p.sequence
        """,
        "payment {payment_id} says it had {sequence} events, and there are {found}",
    ),
    _Check(
        f"""
        {_COUNTED_EVENTS}
        SELECT p.payment_id, p.status
        FROM payments p LEFT JOIN counted c ON c.merchant_id = p.merchant_id AND c.payment_id = p.payment_id
        WHERE p.status <> 'processing' AND p.sequence = 0 AND c.found IS NULL
        """,
        "payment {payment_id} is {status} and nobody was told: it has no event",
    ),
    _Check(
        f"""
        SELECT a.payment_id, a.account, a.channel, p.channel AS payment_channel FROM attempts a
        JOIN payments p ON p.merchant_id = a.merchant_id AND p.payment_id = a.payment_id
        WHERE p.channel IS DISTINCT FROM a.channel OR (p.status = 'succeeded' AND a.stage <> 'paying')
            OR (a.stage = 'authenticating' AND a.authentication_id IS NULL)
            OR ({_IN_FLIGHT} AND a.late_success)
        """,
        "the attempt of payment {payment_id} (channel {channel}) does not agree with it (channel {payment_channel})",
    ),
    _Check(
        """
        SELECT p.payment_id, p.status, p.failure_code FROM payments p
        WHERE NOT EXISTS (SELECT FROM attempts a WHERE a.merchant_id = p.merchant_id AND a.payment_id = p.payment_id)
            AND (p.status <> 'failed' OR p.channel IS NOT NULL)
        """,
        "payment {payment_id} is {status} and has no attempt",
    ),
    _Check(
        """
        SELECT p.payment_id, p.status FROM payments p
        WHERE p.card_id IS NOT NULL AND p.status = 'processing' AND EXISTS (
            SELECT FROM attempts a JOIN authentications t
                ON t.merchant_id = a.merchant_id AND t.authentication_id = a.authentication_id
            WHERE a.merchant_id = p.merchant_id AND a.payment_id = p.payment_id
                AND (a.stage = 'authenticating') <> (t.status = 'processing'))
        """,
        "payment {payment_id} and its authentication disagree about whether the card is being authenticated",
    ),
    _Check(
        """
        SELECT c.card_id, c.same_as FROM cards c
        LEFT JOIN cards h ON h.merchant_id = c.merchant_id AND h.card_id = c.same_as
        WHERE c.same_as IS NOT NULL AND (h.card_id IS NULL OR h.user_id <> c.user_id OR h.same_as IS NOT NULL
            OR (h.erased_at IS NULL) <> (c.erased_at IS NULL) OR (h.erased_at IS NULL) <> (h.print IS NOT NULL)
            OR EXISTS (SELECT FROM agreements a
                WHERE a.merchant_id = c.merchant_id AND a.card_id = c.card_id AND a.status = 'active'))
        """,
        "card {card_id} is the same as {same_as}, which is not what is found in its place",
    ),
)


async def examine(engine: AsyncEngine, now: datetime) -> list[str]:
    """What is wrong, one sentence each with the ids; empty when nothing is."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        await connection.execute(text(f"SET LOCAL statement_timeout = {READING_WITHIN_MS}"))
        found: list[str] = []
        for check in _CHECKS:
            found += _limited(await _ask(connection, check, now - OVERDUE_AFTER))
        await connection.rollback()
        return found


async def _ask(connection: AsyncConnection, check: _Check, overdue: datetime) -> list[str]:
    given = {"overdue": overdue} if ":overdue" in check.sql else {}
    result = await connection.execute(text(check.sql), given)
    rows = ({name: _shown(name, value, row) for name, value in row.items()} for row in result.mappings())
    return [check.sentence.format(**row) for row in rows]


def _shown(name: str, value: Any, row: RowMapping) -> Any:
    if isinstance(value, UUID):
        if prefix := {"event_id": EVENT, "card_id": CARD, "same_as": CARD}.get(name):
            return show(prefix, value)
        return show_object(ObjectKind(row["object"]) if name == "object_id" else ObjectKind.PAYMENT, value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S UTC")
    return "nothing" if value is None else value


def _limited(sentences: list[str]) -> list[str]:
    more = len(sentences) - MAX_SHOWN
    return [*sentences[:MAX_SHOWN], f"and {more} more like this"] if more > 0 else sentences
