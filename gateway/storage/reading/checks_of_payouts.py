"""What `sluice doctor` asks of payouts, of what they settle, and of what they take of a channel's day."""

from gateway.storage.reading.checks import PAYMENTS, Check, Walk

__all__ = ["PAYOUT_CHECKS"]

PAYOUTS = Walk("payouts", ("payout_id",))
DAYS = Walk("payout_days", ("channel", "business_day"))

_NEWEST = (
    "i.merchant_id = p.merchant_id AND i.object_id = p.payout_id AND i.verb = 'payout' AND i.ordinal = p.intent_ordinal"
)
_TAKES = "(p.status IN ('processing', 'succeeded') OR coalesce(i.late_success, false))"

PAYOUT_CHECKS = (
    Check(
        PAYOUTS,
        """
        SELECT 'payout' AS object, p.payout_id AS object_id, least(p.due_at, p.until_at) AS due_at FROM payouts p
        WHERE ROWS(p, payout_id) AND least(p.due_at, p.until_at) < :overdue
            AND (p.lease_until IS NULL OR p.lease_until < :overdue)
        """,
        "{object_id} has been waiting for what is due on it since {due_at}: does a worker run?",
    ),
    Check(
        PAYOUTS,
        f"""
        SELECT 'payout' AS object, p.payout_id AS object_id, p.status, i.state FROM payouts p
        LEFT JOIN intents i ON {_NEWEST}
        WHERE ROWS(p, payout_id) AND CASE WHEN p.intent_ordinal IS NULL THEN p.status NOT IN ('processing', 'failed')
            ELSE i.state IS NULL OR (p.status = 'processing') <> (i.state = 'open')
            OR (p.status = 'succeeded') <> (i.state = 'done') OR (p.status = 'returned') <> (i.state = 'returned')
            OR i.amount <> p.amount OR i.channel <> p.channel OR i.account <> p.account END
        """,
        "payout {object_id} is {status}, and its newest intent is {state}",
    ),
    Check(
        PAYOUTS,
        """
        SELECT 'payout' AS object, p.payout_id AS object_id, count(*) AS found FROM payouts p
        JOIN intents i ON i.merchant_id = p.merchant_id AND i.object_id = p.payout_id AND i.verb = 'payout'
            AND i.ordinal < p.intent_ordinal AND i.state <> 'declined'
        WHERE ROWS(p, payout_id) GROUP BY p.payout_id
        """,
        "payout {object_id} was confirmed while {found} earlier intents were not over",
    ),
    Check(
        PAYOUTS,
        f"""
        SELECT 'payout' AS object, p.payout_id AS object_id, p.parts, p.settles, count(s.payment_id) AS found,
            coalesce(sum(s.amount), 0) AS summed, coalesce(sum(s.counted), 0) AS counted
        FROM payouts p LEFT JOIN intents i ON {_NEWEST}
        LEFT JOIN settles s ON s.merchant_id = p.merchant_id AND s.payout_id = p.payout_id
        WHERE ROWS(p, payout_id)
        GROUP BY p.payout_id, p.parts, p.settles, p.status, i.late_success
        HAVING p.parts <> count(s.payment_id) OR p.settles <> coalesce(sum(s.amount), 0)
            OR (p.status IN ('processing', 'succeeded') AND coalesce(sum(s.counted), 0) <> p.settles)
            OR (NOT {_TAKES} AND coalesce(sum(s.counted), 0) <> 0)
        """,
        "payout {object_id} says that it settles {settles} fen of {parts} payments; its {found} parts say {summed}, of"
        " which {counted} are counted",
    ),
    Check(
        PAYMENTS,
        """
        WITH counted AS (
            SELECT s.merchant_id, s.payment_id, sum(s.counted) AS settled FROM settles s WHERE ROWS(s, payment_id)
            GROUP BY s.merchant_id, s.payment_id
        ), told AS (SELECT * FROM outflows o WHERE ROWS(o, payment_id))
        SELECT coalesce(c.payment_id, o.payment_id) AS payment_id, coalesce(c.settled, 0) AS settled,
            coalesce(o.settled, 0) AS has_settled
        FROM counted c FULL JOIN told o ON o.merchant_id = c.merchant_id AND o.payment_id = c.payment_id
        WHERE coalesce(c.settled, 0) <> coalesce(o.settled, 0)
        """,
        "payment {payment_id} says that {has_settled} fen were paid on; payouts say {settled}",
    ),
    Check(
        DAYS,
        f"""
        WITH counted AS (
            SELECT p.merchant_id, p.channel, p.business_day, sum(p.amount) AS used FROM payouts p
            JOIN intents i ON {_NEWEST}
            WHERE ROWS(p, channel, business_day) AND {_TAKES} GROUP BY p.merchant_id, p.channel, p.business_day
        ), told AS (SELECT * FROM payout_days d WHERE ROWS(d, channel, business_day))
        SELECT coalesce(c.channel, d.channel) AS channel, coalesce(c.business_day, d.business_day) AS business_day,
            coalesce(c.used, 0) AS used, coalesce(d.used, 0) AS has_used
        FROM counted c FULL JOIN told d ON d.merchant_id = c.merchant_id AND d.channel = c.channel
            AND d.business_day = c.business_day
        WHERE coalesce(c.used, 0) <> coalesce(d.used, 0)
        """,
        "{channel} says that payouts take {has_used} fen of {business_day}; they say {used}",
    ),
)
