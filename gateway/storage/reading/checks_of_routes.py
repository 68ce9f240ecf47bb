"""What `sluice doctor` asks of recorded routes alone; what they share with payments stands in `checks`."""

from gateway.storage.reading.checks import Check, Walk

__all__ = ["ROUTE_CHECKS"]

ROUTES = Walk("routes", ("route_id",))

ROUTE_CHECKS = (
    Check(
        ROUTES,
        """
        SELECT 'route' AS object, r.route_id AS object_id, r.status FROM routes r
        WHERE ROWS(r, route_id) AND ((r.status = 'open' AND r.until_at IS NULL AND r.unreported_at IS NULL)
            OR (r.status <> 'open' AND r.until_at IS NOT NULL) OR (r.late_success AND r.status <> 'failed'))
        """,
        "recorded route {object_id} is {status}, and what it waits for does not fit that",
    ),
    Check(
        ROUTES,
        """
        SELECT 'route' AS object, r.route_id AS object_id, i.verb FROM routes r
        JOIN intents i ON i.merchant_id = r.merchant_id AND i.object_id = r.route_id
        WHERE ROWS(r, route_id)
        """,
        "recorded route {object_id} has an intent to {verb}: nothing of it is ours to send",
    ),
    Check(
        ROUTES,
        """
        SELECT 'route' AS object, r.route_id AS object_id FROM routes r
        WHERE ROWS(r, route_id) AND (NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = r.merchant_id
            AND o.app = r.app AND o.merchant_order_no = r.merchant_order_no AND o.object_id = r.route_id)
            OR NOT EXISTS (SELECT FROM decisions d WHERE d.merchant_id = r.merchant_id AND d.object_id = r.route_id))
        """,
        "recorded route {object_id} has no order, or no decision",
    ),
)
