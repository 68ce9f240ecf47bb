"""What may leave payments: what is left of them, and which anomalies hold it.

A payment that corrects another has the same money as that one, or as a second transaction of it: what left by refunds
of that one, done after they were said to have failed, is not there any more, and its anomalies hold both.
"""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from gateway.domain.payments import Payment
from gateway.storage.server.database import Connection

__all__ = ["left_of", "open_anomalies_of", "taken_as_paid"]

# Of the payments, of their refunds and of what pays them on: what failed here and was done there has taken money, too.
# And of checkouts that a payment paid beside another.
READ_OPEN_ANOMALIES = """
SELECT a.object_id, a.anomaly_id, a.kind FROM anomalies a
WHERE a.merchant_id = $1 AND a.object_id = ANY($2::uuid[]) AND a.resolved_at IS NULL
UNION
SELECT p.payment_id, a.anomaly_id, a.kind FROM payments p
JOIN anomalies a ON a.merchant_id = $1 AND a.object_id = p.checkout_id AND a.payment_id = p.payment_id
    AND a.resolved_at IS NULL
WHERE p.merchant_id = $1 AND p.payment_id = ANY($2::uuid[])
UNION
SELECT r.payment_id, a.anomaly_id, a.kind FROM refunds r
JOIN anomalies a ON a.merchant_id = $1 AND a.object_id = r.refund_id AND a.resolved_at IS NULL
WHERE r.merchant_id = $1 AND r.payment_id = ANY($2::uuid[])
UNION
SELECT s.payment_id, a.anomaly_id, a.kind FROM settles s
JOIN anomalies a ON a.merchant_id = $1 AND a.object_id = s.payout_id AND a.resolved_at IS NULL
WHERE s.merchant_id = $1 AND s.payment_id = ANY($2::uuid[])
"""
# By what they correct.
READ_LEFT_BEFORE = """
SELECT p.payment_id, o.refunded + o.excess FROM payments p
JOIN outflows o ON o.merchant_id = $1 AND o.payment_id = p.corrects
WHERE p.merchant_id = $1 AND p.corrects = ANY($2::uuid[]) AND p.corrects_no IS NULL
UNION ALL
SELECT a.correction_id, o.refunded + o.excess FROM anomalies a
JOIN second_outflows o ON o.merchant_id = $1 AND o.anomaly_id = a.anomaly_id
WHERE a.merchant_id = $1 AND a.object_id = ANY($2::uuid[]) AND a.correction_id IS NOT NULL
"""
# Of payouts that failed and were paid after all, where something else had taken the place of their parts meanwhile.
READ_UNCOUNTED = """
SELECT s.payment_id, sum(s.amount - s.counted)::bigint FROM settles s
JOIN payouts p ON p.merchant_id = $1 AND p.payout_id = s.payout_id AND p.status = 'failed'
JOIN intents i ON i.merchant_id = $1 AND i.object_id = p.payout_id AND i.verb = 'payout'
    AND i.ordinal = p.intent_ordinal AND i.late_success
WHERE s.merchant_id = $1 AND s.payment_id = ANY($2::uuid[]) AND s.counted < s.amount
GROUP BY s.payment_id
"""
READ_TAKEN = """
SELECT corrects FROM payments WHERE merchant_id = $1 AND corrects = ANY($2::uuid[]) AND corrects_no IS NULL
"""


async def open_anomalies_of(
    connection: Connection, merchant_id: UUID, payments: Collection[Payment]
) -> dict[UUID, dict[UUID, str]]:
    """The anomalies that are open of payments, and of those that they correct: by payment, their kinds."""
    found: dict[UUID, dict[UUID, str]] = defaultdict(dict)
    if not payments:
        return found
    ids = {of for payment in payments for of in (payment.payment_id, payment.corrects) if of is not None}
    for object_id, anomaly_id, kind in await connection.fetch(READ_OPEN_ANOMALIES, merchant_id, list(ids)):
        found[object_id][anomaly_id] = kind
    for payment in payments:
        if payment.corrects is not None and payment.corrects in found:
            found[payment.payment_id] |= found[payment.corrects]
    return found


async def left_of(connection: Connection, merchant_id: UUID, payments: Collection[Payment]) -> dict[UUID, int]:
    """What is left of payments that say that they were paid, in fen. They are locked."""
    left = {each.payment_id: each.amount - each.refunded - each.settled for each in payments}
    # The same fen may have left twice: by a payout that was called failed, and by what came after it.
    for payment_id, gone in await connection.fetch(READ_UNCOUNTED, merchant_id, list(left)) if left else ():
        left[payment_id] -= gone
    if corrected := {each.corrects for each in payments if each.corrects is not None}:
        for payment_id, gone in await connection.fetch(READ_LEFT_BEFORE, merchant_id, list(corrected)):
            if payment_id in left:  # not the other one that corrects the same
                left[payment_id] -= gone
    return {payment_id: max(rest, 0) for payment_id, rest in left.items()}


async def taken_as_paid(connection: Connection, merchant_id: UUID, payment_ids: Collection[UUID]) -> set[UUID]:
    """Which of these have nothing left, for another payment has their money (`corrects`). They are locked."""
    return {row[0] for row in await connection.fetch(READ_TAKEN, merchant_id, list(payment_ids))}
