"""What `sluice doctor` asks of corrections: money that went back by an anomaly, or was taken as paid."""

from gateway.storage.reading.checks import PAYMENTS, Check, Walk

__all__ = ["CORRECTION_CHECKS"]

ANOMALIES = Walk("anomalies", ("anomaly_id",))

CORRECTION_CHECKS = (
    Check(
        ANOMALIES,
        """
        WITH counted AS (
            SELECT r.merchant_id, r.anomaly_id, sum(r.amount) AS refunded FROM anomalies a
            JOIN refunds r ON r.merchant_id = a.merchant_id AND r.payment_id = a.object_id
                AND r.anomaly_id = a.anomaly_id AND r.second_no IS NOT NULL
            LEFT JOIN intents i ON i.merchant_id = r.merchant_id AND i.object_id = r.refund_id AND i.verb = 'refund'
            WHERE ROWS(a, anomaly_id) AND (r.status IN ('processing', 'succeeded') OR i.late_success)
            GROUP BY r.merchant_id, r.anomaly_id
        ), told AS (SELECT * FROM second_outflows o WHERE ROWS(o, anomaly_id))
        SELECT coalesce(c.anomaly_id, o.anomaly_id) AS anomaly_id, coalesce(c.refunded, 0) AS refunded,
            coalesce(o.refunded + o.excess, 0) AS has_refunded
        FROM counted c FULL JOIN told o ON o.merchant_id = c.merchant_id AND o.anomaly_id = c.anomaly_id
        WHERE coalesce(c.refunded, 0) <> coalesce(o.refunded + o.excess, 0)
        """,
        "the second transaction of {anomaly_id} says that {has_refunded} fen were refunded; its refunds say {refunded}",
    ),
    # What gives its money back failed or came back: then somebody has to know.
    Check(
        ANOMALIES,
        """
        SELECT a.anomaly_id, r.refund_id, r.status FROM anomalies a
        JOIN refunds r ON r.merchant_id = a.merchant_id AND r.refund_id = a.refund_id
        LEFT JOIN intents i ON i.merchant_id = r.merchant_id AND i.object_id = r.refund_id AND i.verb = 'refund'
        WHERE ROWS(a, anomaly_id) AND (r.anomaly_id IS DISTINCT FROM a.anomaly_id
            OR (r.status IN ('failed', 'returned') AND i.late_success IS NOT TRUE))
        """,
        "{anomaly_id} is resolved by {refund_id}, which is {status}",
    ),
    Check(
        PAYMENTS,
        """
        SELECT p.payment_id, p.status FROM payments p
        LEFT JOIN payments w ON w.merchant_id = p.merchant_id AND w.payment_id = p.corrects
        WHERE ROWS(p, payment_id) AND p.corrects IS NOT NULL AND (p.status <> 'succeeded'
            OR p.amount IS DISTINCT FROM w.amount
            OR NOT EXISTS (SELECT FROM anomalies a WHERE a.merchant_id = p.merchant_id
                AND a.object_id IN (w.payment_id, w.checkout_id) AND a.correction_id = p.payment_id)
            OR (p.corrects_no IS NULL AND NOT EXISTS (SELECT FROM intents i WHERE i.merchant_id = w.merchant_id
                AND i.object_id = w.payment_id AND i.verb = 'pay' AND i.late_success)))
        """,
        "payment {payment_id} takes money as paid that nothing proves: it is {status}",
    ),
)
