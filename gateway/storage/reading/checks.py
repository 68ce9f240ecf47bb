"""What `sluice doctor` asks of the books: each question as SQL and as words, about one piece of them at a time.

A table is walked by its key, some thousand rows at a time, and each question is asked about what lies between two keys:
`ROWS(p, payment_id)` stands for those of `p`. So each is one short statement with a snapshot of its own, on books that
change meanwhile. Rows that break a constraint cannot be; the checks ask it all the same, for a restored or repaired
database.
"""

from dataclasses import dataclass

from gateway.storage.tables.limits import NO_MORE_TODAY

__all__ = ["CHECKS", "PAYMENTS", "Check", "Walk"]


@dataclass(frozen=True, slots=True)
class Walk:
    """A table, and the columns of its key behind the merchant. An index must hold them in this order."""

    table: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A query that finds what is wrong in a piece of the walk, and the sentence for one of its rows."""

    walk: Walk
    sql: str
    sentence: str


USERS = Walk("users", ("user_id",))
CARDS = Walk("cards", ("card_id",))
ORDERS = Walk("orders", ("app", "merchant_order_no"))
PAYMENTS = Walk("payments", ("payment_id",))
"""What is asked about refunds and events by their object is asked with the payments whose ids lie around theirs."""
AUTHENTICATIONS = Walk("authentications", ("authentication_id",))
REFUNDS = Walk("refunds", ("refund_id",))
EVENTS = Walk("events", ("event_id",))

_IN_FLIGHT = "p.status IN ('processing', 'requires_action')"

_COUNTED_EVENTS = """
        WITH counted AS (
            SELECT e.merchant_id, e.object, e.object_id, count(*) AS found FROM events e WHERE ROWS(e, object_id)
            GROUP BY e.merchant_id, e.object, e.object_id
        ), told AS (
            SELECT p.merchant_id, 'payment' AS object, p.payment_id AS object_id, p.status, p.sequence FROM payments p
            WHERE ROWS(p, payment_id)
            UNION ALL
            SELECT r.merchant_id, 'refund', r.refund_id, r.status, r.sequence FROM refunds r
            WHERE ROWS(r, refund_id)
            UNION ALL
            SELECT t.merchant_id, 'authentication', t.authentication_id, t.status, t.sequence FROM authentications t
            WHERE ROWS(t, authentication_id) AND t.app IS NOT NULL
            UNION ALL
            -- Only its anomalies are told.
            SELECT r.merchant_id, 'route', r.route_id, 'processing', r.sequence FROM routes r WHERE ROWS(r, route_id)
            UNION ALL
            SELECT k.merchant_id, 'checkout', k.checkout_id,
                CASE k.status WHEN 'open' THEN 'processing' ELSE k.status END, k.sequence FROM checkouts k
            WHERE ROWS(k, checkout_id)
            UNION ALL
            SELECT o.merchant_id, 'payout', o.payout_id, o.status, o.sequence FROM payouts o WHERE ROWS(o, payout_id)
        )"""

_TO_PAY = (
    "i.merchant_id = p.merchant_id AND i.object_id = p.payment_id AND i.verb = 'pay'"
    " AND i.ordinal = coalesce(p.attempt_ordinal, 1)"
)

CHECKS = (
    Check(
        PAYMENTS,
        f"""
        SELECT p.payment_id, p.status FROM payments p
        WHERE ROWS(p, payment_id) AND (({_IN_FLIGHT} AND p.due_at IS NULL AND p.until_at IS NULL)
            OR (NOT {_IN_FLIGHT} AND p.until_at IS NOT NULL))
        """,
        "payment {payment_id} is {status}, and what is due on it does not fit that",
    ),
    Check(
        PAYMENTS,
        """
        SELECT 'payment' AS object, p.payment_id AS object_id, least(p.due_at, p.until_at) AS due_at FROM payments p
        WHERE ROWS(p, payment_id) AND least(p.due_at, p.until_at) < :overdue
            AND (p.lease_until IS NULL OR p.lease_until < :overdue)
        UNION ALL
        SELECT 'authentication', t.authentication_id, t.due_at FROM authentications t
        WHERE ROWS(t, authentication_id) AND t.due_at < :overdue AND (t.lease_until IS NULL OR t.lease_until < :overdue)
        UNION ALL
        SELECT 'refund', r.refund_id, r.due_at FROM refunds r
        WHERE ROWS(r, refund_id) AND r.due_at < :overdue AND (r.lease_until IS NULL OR r.lease_until < :overdue)
        UNION ALL
        SELECT 'route', r.route_id, r.until_at FROM routes r
        WHERE ROWS(r, route_id) AND r.until_at < :overdue AND (r.lease_until IS NULL OR r.lease_until < :overdue)
        """,
        "{object_id} has been waiting for what is due on it since {due_at}: does a worker run?",
    ),
    Check(
        EVENTS,
        """
        SELECT d.event_id, d.due_at FROM deliveries d
        WHERE ROWS(d, event_id) AND d.status = 'pending' AND d.due_at < :overdue
            AND (d.lease_until IS NULL OR d.lease_until < :overdue)
        """,
        "event {event_id} has been waiting for its delivery since {due_at}: does a worker run?",
    ),
    Check(
        USERS,
        f"""
        WITH attempts AS (
            SELECT p.merchant_id, p.user_id, p.channel, p.business_day, p.amount, p.failure_code, {_IN_FLIGHT} AS open,
                p.status = 'succeeded' OR coalesce(i.late_success, false) AS taken
            FROM payments p
            LEFT JOIN intents i ON {_TO_PAY}
            WHERE ROWS(p, user_id) AND p.channel IS NOT NULL AND p.corrects IS NULL
            UNION ALL
            SELECT r.merchant_id, r.user_id, r.channel, r.business_day, r.amount, r.failure_code,
                r.until_at IS NOT NULL, r.status = 'succeeded' OR r.late_success
            FROM routes r WHERE ROWS(r, user_id) AND r.channel IS NOT NULL
        ), counted AS (
            SELECT t.merchant_id, t.user_id, t.channel, t.business_day,
                coalesce(sum(t.amount) FILTER (WHERE t.open), 0) AS reserved,
                coalesce(sum(t.amount) FILTER (WHERE t.taken), 0) AS succeeded,
                count(*) FILTER (WHERE t.failure_code = 'insufficient_balance') AS insufficient
            FROM attempts t GROUP BY t.merchant_id, t.user_id, t.channel, t.business_day
        ), told AS (SELECT * FROM channel_usage u WHERE ROWS(u, user_id))
        SELECT coalesce(c.user_id, u.user_id) AS user_id, coalesce(c.channel, u.channel) AS channel,
            coalesce(c.business_day, u.business_day) AS business_day,
            coalesce(u.reserved, 0) AS has_reserved, coalesce(c.reserved, 0) AS reserved,
            coalesce(u.succeeded, 0) AS has_succeeded, coalesce(c.succeeded, 0) AS succeeded,
            coalesce(u.insufficient, 0) % {NO_MORE_TODAY} AS has_insufficient,
            coalesce(c.insufficient, 0) AS insufficient
        FROM counted c
        FULL JOIN told u ON u.merchant_id = c.merchant_id AND u.user_id = c.user_id
            AND u.channel = c.channel AND u.business_day = c.business_day
        WHERE coalesce(u.reserved, 0) <> coalesce(c.reserved, 0)
            OR coalesce(u.succeeded, 0) <> coalesce(c.succeeded, 0)
            OR coalesce(u.insufficient, 0) % {NO_MORE_TODAY} <> coalesce(c.insufficient, 0)
        """,
        "usage of user {user_id} on {channel} on {business_day} says reserved {has_reserved}, succeeded"
        " {has_succeeded}, insufficient {has_insufficient}; the payments say {reserved}, {succeeded}, {insufficient}",
    ),
    Check(
        EVENTS,
        """
        SELECT e.event_id, e.deliveries, count(d.endpoint_id) AS found
        FROM events e LEFT JOIN deliveries d ON d.merchant_id = e.merchant_id AND d.event_id = e.event_id
        WHERE ROWS(e, event_id)
        GROUP BY e.merchant_id, e.event_id, e.deliveries HAVING count(d.endpoint_id) <> e.deliveries
        """,
        "event {event_id} was written for {deliveries} endpoints and has {found} deliveries",
    ),
    Check(
        PAYMENTS,
        """
        SELECT e.object, e.object_id, min(e.sequence) AS first, max(e.sequence) AS last, count(*) AS found
        FROM events e WHERE ROWS(e, object_id)
        GROUP BY e.merchant_id, e.object, e.object_id HAVING min(e.sequence) <> 1 OR max(e.sequence) <> count(*)
        """,
        "the {found} events of {object_id} are numbered from {first} to {last}",
    ),
    Check(
        PAYMENTS,
        f"""
        {_COUNTED_EVENTS}
        SELECT t.object, t.object_id, t.sequence, coalesce(c.found, 0) AS found
        FROM told t LEFT JOIN counted c
            ON c.merchant_id = t.merchant_id AND c.object = t.object AND c.object_id = t.object_id
        WHERE coalesce(c.found, 0) <> t.sequence
        """,
        "{object_id} says it had {sequence} events, and there are {found}",
    ),
    Check(
        PAYMENTS,
        f"""
        {_COUNTED_EVENTS}
        SELECT t.object, t.object_id, t.status
        FROM told t LEFT JOIN counted c
            ON c.merchant_id = t.merchant_id AND c.object = t.object AND c.object_id = t.object_id
        WHERE t.status <> 'processing' AND t.sequence = 0 AND c.found IS NULL
        """,
        "{object_id} is {status} and nobody was told: it has no event",
    ),
    Check(
        PAYMENTS,
        """
        SELECT e.object, e.object_id, count(*) AS found FROM events e
        -- Channels and accounts have codes: what their events name them by stands nowhere else.
        WHERE ROWS(e, object_id) AND e.object NOT IN ('channel', 'account') AND NOT EXISTS (SELECT FROM payments p
                WHERE e.object = 'payment' AND p.merchant_id = e.merchant_id AND p.payment_id = e.object_id)
            AND NOT EXISTS (SELECT FROM refunds r
                WHERE e.object = 'refund' AND r.merchant_id = e.merchant_id AND r.refund_id = e.object_id)
            AND NOT EXISTS (SELECT FROM authentications t WHERE e.object = 'authentication'
                AND t.merchant_id = e.merchant_id AND t.authentication_id = e.object_id)
            AND NOT EXISTS (SELECT FROM routes u
                WHERE e.object = 'route' AND u.merchant_id = e.merchant_id AND u.route_id = e.object_id)
            AND NOT EXISTS (SELECT FROM checkouts k
                WHERE e.object = 'checkout' AND k.merchant_id = e.merchant_id AND k.checkout_id = e.object_id)
            AND NOT EXISTS (SELECT FROM payouts o
                WHERE e.object = 'payout' AND o.merchant_id = e.merchant_id AND o.payout_id = e.object_id)
            AND NOT EXISTS (SELECT FROM alerts a
                WHERE e.object = 'alert' AND a.merchant_id = e.merchant_id AND a.alert_id = e.object_id)
        GROUP BY e.merchant_id, e.object, e.object_id
        """,
        "{found} events are about {object_id}, which is not there",
    ),
    Check(
        PAYMENTS,
        f"""
        SELECT p.payment_id, p.status, i.state, i.channel, p.channel AS payment_channel FROM payments p
        JOIN intents i ON {_TO_PAY}
        WHERE ROWS(p, payment_id) AND (p.channel IS DISTINCT FROM i.channel OR p.account IS DISTINCT FROM i.account
            OR (p.channel_order_no IS DISTINCT FROM i.number AND p.asked IS NULL)
            OR CASE WHEN p.asked IS NULL THEN ({_IN_FLIGHT}) <> (i.state = 'open')
                ELSE i.state = 'open' AND NOT {_IN_FLIGHT} END
            OR (p.status = 'succeeded') <> (i.state = 'done') OR ({_IN_FLIGHT} AND i.late_success)
            OR i.amount IS DISTINCT FROM p.amount)
        """,
        "payment {payment_id} is {status} on {payment_channel}, and its intent to pay is {state} on {channel}",
    ),
    Check(
        PAYMENTS,
        f"""
        SELECT p.payment_id, p.status FROM payments p
        WHERE ROWS(p, payment_id) AND NOT EXISTS (SELECT FROM intents i
                WHERE i.merchant_id = p.merchant_id AND i.object_id = coalesce(p.corrects, p.payment_id)
                    AND i.verb = 'pay')
            AND (p.status = 'succeeded' OR ({_IN_FLIGHT} AND p.authentication_id IS NULL AND p.asked IS NULL
                AND NOT (p.status = 'processing' AND p.due_at IS NULL)))
        """,
        "payment {payment_id} is {status} and has no intent to pay",
    ),
    Check(
        PAYMENTS,
        """
        SELECT p.payment_id, t.authentication_id, t.status FROM payments p
        JOIN authentications t ON t.merchant_id = p.merchant_id AND t.authentication_id = p.authentication_id
        WHERE ROWS(p, payment_id) AND (t.status = 'failed') <> (p.status = 'failed')
            AND NOT EXISTS (SELECT FROM intents i
                WHERE i.merchant_id = p.merchant_id AND i.object_id = p.payment_id AND i.verb = 'pay')
            AND NOT (t.status = 'succeeded' AND (p.due_at IS NOT NULL OR p.asked IS NOT NULL))
            AND p.failure_code IS DISTINCT FROM 'signing_in_progress'
        """,
        "payment {payment_id} does not know how the authentication that it waits for ended: {status}",
    ),
    Check(
        AUTHENTICATIONS,
        """
        SELECT t.authentication_id, t.status, i.state FROM authentications t LEFT JOIN intents i
            ON i.merchant_id = t.merchant_id AND i.object_id = t.authentication_id AND i.verb = 'authenticate'
            AND i.ordinal = coalesce(t.intent_ordinal, 1)
        WHERE ROWS(t, authentication_id) AND (
            CASE WHEN t.asked IS NOT NULL THEN i.state = 'open' AND t.finished_at IS NOT NULL
                ELSE (i.state IS NULL AND t.app IS NULL) OR (t.status = 'processing') <> (i.state = 'open') END
            OR ((t.status = 'succeeded') <> (coalesce(i.state, '') = 'done') AND NOT (t.app IS NOT NULL AND i IS NULL)))
        """,
        "{authentication_id} is {status}, and its intent is {state}",
    ),
    Check(
        REFUNDS,
        """
        SELECT r.refund_id, r.status, i.state FROM refunds r LEFT JOIN intents i
            ON i.merchant_id = r.merchant_id AND i.object_id = r.refund_id AND i.verb = 'refund'
        WHERE ROWS(r, refund_id) AND (i.state IS NULL OR (r.status = 'processing') <> (i.state = 'open')
            OR (r.status = 'succeeded') <> (i.state = 'done') OR (r.status = 'returned') <> (i.state = 'returned')
            OR i.amount IS DISTINCT FROM r.amount)
        """,
        "refund {refund_id} is {status}, and its intent is {state}",
    ),
    Check(
        PAYMENTS,
        """
        WITH counted AS (
            SELECT r.merchant_id, r.payment_id, sum(r.amount) AS refunded FROM refunds r
            LEFT JOIN intents i ON i.merchant_id = r.merchant_id AND i.object_id = r.refund_id AND i.verb = 'refund'
            WHERE ROWS(r, payment_id) AND r.second_no IS NULL
                AND (r.status IN ('processing', 'succeeded') OR i.late_success)
            GROUP BY r.merchant_id, r.payment_id
        ), told AS (SELECT * FROM outflows o WHERE ROWS(o, payment_id))
        SELECT coalesce(c.payment_id, o.payment_id) AS payment_id, coalesce(c.refunded, 0) AS refunded,
            coalesce(o.refunded + o.excess, 0) AS has_refunded
        FROM counted c FULL JOIN told o ON o.merchant_id = c.merchant_id AND o.payment_id = c.payment_id
        WHERE coalesce(c.refunded, 0) <> coalesce(o.refunded + o.excess, 0)
        """,
        "payment {payment_id} says that {has_refunded} fen were refunded; its refunds say {refunded}",
    ),
    Check(
        ORDERS,
        """
        SELECT o.app, o.merchant_order_no, o.object, o.object_id FROM orders o
        LEFT JOIN payments p ON o.object = 'payment' AND p.merchant_id = o.merchant_id AND p.payment_id = o.object_id
        LEFT JOIN refunds r ON o.object = 'refund' AND r.merchant_id = o.merchant_id AND r.refund_id = o.object_id
        LEFT JOIN authentications t
            ON o.object = 'authentication' AND t.merchant_id = o.merchant_id AND t.authentication_id = o.object_id
        LEFT JOIN routes u ON o.object = 'route' AND u.merchant_id = o.merchant_id AND u.route_id = o.object_id
        LEFT JOIN checkouts k
            ON o.object = 'checkout' AND k.merchant_id = o.merchant_id AND k.checkout_id = o.object_id
        LEFT JOIN payouts y ON o.object = 'payout' AND y.merchant_id = o.merchant_id AND y.payout_id = o.object_id
        WHERE ROWS(o, app, merchant_order_no) AND (coalesce(p.merchant_order_no, r.merchant_order_no,
                t.merchant_order_no, u.merchant_order_no, k.merchant_order_no, y.merchant_order_no)
            IS DISTINCT FROM o.merchant_order_no
            OR coalesce(p.app, r.app, t.app, u.app, k.app, y.app) IS DISTINCT FROM o.app)
        """,
        "order {merchant_order_no} of {app} is {object_id}, which does not say so",
    ),
    Check(
        PAYMENTS,
        """
        SELECT p.payment_id, p.merchant_order_no FROM payments p
        WHERE ROWS(p, payment_id) AND (NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = p.merchant_id
            AND o.app = p.app AND o.merchant_order_no = p.merchant_order_no AND o.object_id = p.payment_id)
            OR NOT EXISTS (SELECT FROM decisions d WHERE d.merchant_id = p.merchant_id AND d.object_id = p.payment_id))
        """,
        "payment {payment_id} ({merchant_order_no}) has no order, or no decision",
    ),
    Check(
        CARDS,
        """
        SELECT c.card_id, c.same_as FROM cards c
        LEFT JOIN cards h ON h.merchant_id = c.merchant_id AND h.card_id = c.same_as
        WHERE ROWS(c, card_id) AND c.same_as IS NOT NULL
            AND (h.card_id IS NULL OR h.user_id <> c.user_id OR h.same_as IS NOT NULL
            OR (h.erased_at IS NULL) <> (c.erased_at IS NULL) OR (h.erased_at IS NULL) <> (h.print IS NOT NULL)
            OR EXISTS (SELECT FROM agreements a
                WHERE a.merchant_id = c.merchant_id AND a.card_id = c.card_id AND a.status = 'active'))
        """,
        "card {card_id} is the same as {same_as}, which is not what is found in its place",
    ),
)
