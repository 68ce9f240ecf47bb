"""What a day's statement says that its orders cost, counted by what a fee rule may look at. Never on the hot path."""

from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from gateway.storage.server.database import Database
from reconciliation.fee_proposals import TakenFee

__all__ = ["TakenFeeStore"]

MAX_ROWS: Final = 300_000
"""Different fees of different amounts at different banks: of more a part proves as much."""
WITHIN_S: Final = 120

# Orders that both sides have with the same amount. Refunds have no rule of their own.
TAKEN: Final = """
SELECT i.channel, p.scene, o.payee_type, coalesce(p.bank, o.payee_bank) AS bank, l.amount, l.fee, count(*)
FROM reconciled_days r
JOIN statement_lines l ON l.merchant_id = $1 AND l.statement_id = r.statement_id
JOIN intents i ON i.merchant_id = $1 AND i.account = $2 AND i.number = l.number AND i.amount = l.amount
    AND i.verb = CASE l.side WHEN 'in' THEN 'pay' ELSE 'payout' END AND i.state IN ('done', 'returned')
LEFT JOIN payments p ON i.verb = 'pay' AND p.merchant_id = $1 AND p.payment_id = i.object_id
LEFT JOIN payouts o ON i.verb = 'payout' AND o.merchant_id = $1 AND o.payout_id = i.object_id
WHERE r.merchant_id = $1 AND r.account = $2 AND r.day = $3 AND l.side IN ('in', 'out') AND l.paid
AND l.fee IS NOT NULL AND l.number IS NOT NULL
GROUP BY i.channel, p.scene, o.payee_type, coalesce(p.bank, o.payee_bank), l.amount, l.fee
ORDER BY count(*) DESC, i.channel, l.amount, l.fee LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class TakenFeeStore:
    """Counts what was taken."""

    database: Database

    async def taken(
        self, merchant_id: UUID, account: str, day: date, most: int = MAX_ROWS, within_s: int = WITHIN_S
    ) -> list[TakenFee]:
        """Of a day's statement in force, those orders that ours are, too; the `most` frequent amounts and fees."""
        async with self.database.long_transaction(within_s) as connection:
            rows = await connection.fetch(TAKEN, merchant_id, account, day, most, timeout=within_s)
        return [TakenFee(*row) for row in rows]
