"""What the tables say of a play: when something is due next, and how everything stands."""

from typing import Final

__all__ = ["COUNTED", "DUE", "LATE", "OF_USERS", "STATUSES"]

DUE = """
SELECT min(at) AS at FROM (
    SELECT greatest(least(due_at, until_at), lease_until) AS at, finished_at FROM payments
        WHERE merchant_id = $1 AND (due_at IS NOT NULL OR until_at IS NOT NULL)
        AND NOT (status = 'processing' AND due_at IS NULL)
    UNION ALL SELECT coalesce(lease_until, $3), NULL FROM payments -- in line
        WHERE merchant_id = $1 AND status = 'processing' AND due_at IS NULL
    UNION ALL SELECT greatest(due_at, lease_until), finished_at FROM authentications
        WHERE merchant_id = $1 AND due_at IS NOT NULL
    UNION ALL SELECT greatest(due_at, lease_until), finished_at FROM refunds
        WHERE merchant_id = $1 AND due_at IS NOT NULL
    UNION ALL SELECT greatest(due_at, lease_until), finished_at FROM payouts
        WHERE merchant_id = $1 AND due_at IS NOT NULL
    UNION ALL SELECT greatest(until_at, lease_until), NULL FROM payouts
        WHERE merchant_id = $1 AND until_at IS NOT NULL
    UNION ALL SELECT greatest(due_at, lease_until), due_at FROM return_lists
        WHERE merchant_id = $1 AND due_at IS NOT NULL
    UNION ALL SELECT greatest(due_at, lease_until), NULL FROM unbindings
        WHERE merchant_id = $1 AND due_at IS NOT NULL
    UNION ALL SELECT greatest(until_at, lease_until), NULL FROM routes
        WHERE merchant_id = $1 AND until_at IS NOT NULL
    UNION ALL SELECT greatest(until_at, lease_until), NULL FROM checkouts
        WHERE merchant_id = $1 AND until_at IS NOT NULL
    UNION ALL SELECT greatest(due_at, lease_until), NULL FROM deliveries WHERE merchant_id = $1 AND status = 'pending'
) AS due WHERE $2 OR finished_at IS NULL
"""
STATUSES = """
SELECT 'payment' AS object, payment_id AS id, status FROM payments WHERE merchant_id = $1 AND user_id = ANY($2)
UNION ALL SELECT 'refund', refund_id, status FROM refunds WHERE merchant_id = $1 AND user_id = ANY($2)
UNION ALL SELECT 'payout', payout_id, status FROM payouts WHERE merchant_id = $1
UNION ALL SELECT 'route', route_id, status FROM routes WHERE merchant_id = $1 AND user_id = ANY($2)
UNION ALL SELECT 'checkout', checkout_id, status FROM checkouts WHERE merchant_id = $1 AND user_id = ANY($2)
UNION ALL SELECT 'authentication', authentication_id, status FROM authentications
    WHERE merchant_id = $1 AND user_id = ANY($2)
"""
OF_USERS = "SELECT * FROM {table} WHERE merchant_id = $1 AND user_id = ANY($2)"
COUNTED: Final = ("payments", "routes", "channel_usage")
"""What counts for a limit, and what is counted: tables that are read together."""
LATE = """
SELECT coalesce(payment_id, object_id) AS object_id FROM anomalies
WHERE merchant_id = $1 AND kind IN ('late_success', 'paid_twice')
"""
