"""What `sluice doctor` asks of checkouts and their tries; what they share with payments stands in `checks`."""

from gateway.storage.reading.checks import Check, Walk

__all__ = ["CHECKOUT_CHECKS"]

CHECKOUTS = Walk("checkouts", ("checkout_id",))

_TRIES = """(
            SELECT p.merchant_id, p.checkout_id, 'payment' AS kind, p.payment_id AS try_id, p.status
            FROM payments p WHERE p.checkout_id IS NOT NULL
            UNION ALL
            SELECT t.merchant_id, t.checkout_id, 'authentication', t.authentication_id, t.status
            FROM authentications t WHERE t.checkout_id IS NOT NULL
        )"""
_COUNT = f"(SELECT count(*) FROM {_TRIES} n WHERE n.merchant_id = k.merchant_id AND n.checkout_id = k.checkout_id)"

CHECKOUT_CHECKS = (
    Check(
        CHECKOUTS,
        f"""
        SELECT 'checkout' AS object, k.checkout_id AS object_id, k.status, n.kind, n.try_id FROM checkouts k
        JOIN {_TRIES} n ON n.merchant_id = k.merchant_id AND n.checkout_id = k.checkout_id AND n.status = 'succeeded'
        WHERE ROWS(k, checkout_id) AND k.won_by IS DISTINCT FROM n.try_id
        """,
        "checkout {object_id} is {status}, and its {kind} {try_id} succeeded unheard of",
    ),
    Check(
        CHECKOUTS,
        f"""
        SELECT 'checkout' AS object, k.checkout_id AS object_id FROM checkouts k
        WHERE ROWS(k, checkout_id) AND k.status = 'succeeded' AND NOT EXISTS (SELECT FROM {_TRIES} n
            WHERE n.merchant_id = k.merchant_id AND n.checkout_id = k.checkout_id AND n.try_id = k.won_by
                AND n.status = 'succeeded')
        """,
        "checkout {object_id} succeeded, and none of its tries did",
    ),
    Check(
        CHECKOUTS,
        f"""
        SELECT 'checkout' AS object, k.checkout_id AS object_id, k.tries, {_COUNT} AS found FROM checkouts k
        WHERE ROWS(k, checkout_id) AND k.tries <> {_COUNT}
        """,
        "checkout {object_id} says that it was tried {tries} times, and there are {found}",
    ),
    Check(
        CHECKOUTS,
        f"""
        SELECT 'checkout' AS object, k.checkout_id AS object_id, k.status, n.kind, n.try_id FROM checkouts k
        JOIN {_TRIES} n ON n.merchant_id = k.merchant_id AND n.checkout_id = k.checkout_id
            AND n.status IN ('processing', 'requires_action')
        WHERE ROWS(k, checkout_id) AND k.status <> 'open'
        """,
        "checkout {object_id} is {status}, and its {kind} {try_id} is still open",
    ),
    Check(
        CHECKOUTS,
        """
        SELECT 'checkout' AS object, k.checkout_id AS object_id, p.payment_id FROM checkouts k
        JOIN payments p ON p.merchant_id = k.merchant_id AND p.checkout_id = k.checkout_id AND p.payment_id <> k.won_by
        JOIN intents i ON i.merchant_id = p.merchant_id AND i.object_id = p.payment_id AND i.verb = 'pay'
            AND i.late_success
        WHERE ROWS(k, checkout_id) AND k.status = 'succeeded'
            AND NOT EXISTS (SELECT FROM anomalies a WHERE a.merchant_id = k.merchant_id
                AND (a.object_id = p.payment_id OR (a.object_id = k.checkout_id AND a.payment_id = p.payment_id)))
        """,
        "checkout {object_id} was paid by {payment_id} too, and no anomaly tells it",
    ),
    Check(
        CHECKOUTS,
        """
        SELECT 'checkout' AS object, k.checkout_id AS object_id, k.until_at AS due_at FROM checkouts k
        WHERE ROWS(k, checkout_id) AND k.until_at < :overdue AND (k.lease_until IS NULL OR k.lease_until < :overdue)
        """,
        "{object_id} has been waiting for what is due on it since {due_at}: does a worker run?",
    ),
    Check(
        CHECKOUTS,
        """
        SELECT 'checkout' AS object, k.checkout_id AS object_id FROM checkouts k
        WHERE ROWS(k, checkout_id) AND NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = k.merchant_id
            AND o.app = k.app AND o.merchant_order_no = k.merchant_order_no AND o.object_id = k.checkout_id)
        """,
        "checkout {object_id} has no order",
    ),
)
