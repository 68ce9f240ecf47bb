"""What a corrected statement takes back, and what of a person's work it leaves: all in the transaction of its loading.

The day, and the later ones of its account that were compared, are compared anew. What differed there before is kept as
superseded; what a person has resolved stays resolved where it is found again just as it was, and is open again, with
its history, where the corrected statement says otherwise.
"""

from typing import Final

__all__ = ["KEEP_RESOLVED", "LATER_DAYS", "OPEN_AGAIN", "STAND_AGAIN", "SUPERSEDE"]

LATER_DAYS: Final = """
SELECT r.day, r.statement_id, r.closed_at IS NOT NULL AS closed, s.version, s.loaded_at, s.lines, s.amount, r.ran_by
FROM reconciled_days r JOIN statements s ON s.merchant_id = $1 AND s.statement_id = r.statement_id
WHERE r.merchant_id = $1 AND r.account = $2 AND r.day > $3 ORDER BY r.day
"""
SUPERSEDE: Final = """
UPDATE differences SET state = 'superseded', superseded_at = $4
WHERE merchant_id = $1 AND account = $2 AND day >= $3 AND state <> 'superseded'
"""
# What one of these days had taken out of suspense, or found after all, is held again.
STAND_AGAIN: Final = """
UPDATE differences SET state = 'open', resolved_at = NULL, resolved_by = NULL, became = NULL, became_on = NULL
WHERE merchant_id = $1 AND account = $2 AND day < $3 AND became_on >= $3 AND state = 'resolved'
"""
# Twins are told apart by their order alone: as many stay resolved as a person has resolved.
_NTH: Final = """row_number() OVER (
    PARTITION BY {d}.day, {d}.side, {d}.class, {d}.number, {d}.transaction_no, {d}.object_id ORDER BY {order}) AS nth"""
_BY_PERSON: Final = f"""
    SELECT d.*, {_NTH.format(d="d", order="d.resolved_at, d.difference_id")} FROM differences d
    WHERE d.merchant_id = $1 AND d.account = $2 AND d.superseded_at = $3 AND d.resolved_by <> 'statement'
"""
_AS_IT_IS: Final = f"""
    SELECT d.*, {_NTH.format(d="d", order="d.ordinal, d.difference_id")} FROM differences d
    WHERE d.merchant_id = $1 AND d.account = $2 AND d.found_at = $3 AND d.state = 'open'
"""
_SAME_ONE: Final = """n.day = o.day AND n.side = o.side AND n.number IS NOT DISTINCT FROM o.number
    AND n.object_id IS NOT DISTINCT FROM o.object_id AND n.transaction_no IS NOT DISTINCT FROM o.transaction_no"""
KEEP_RESOLVED: Final = f"""
UPDATE differences d SET state = 'resolved', resolved_at = o.resolved_at, resolved_by = o.resolved_by, note = o.note,
    history = o.history
FROM ({_BY_PERSON}) o JOIN ({_AS_IT_IS}) n ON {_SAME_ONE} AND n.nth = o.nth AND n.class = o.class
    AND n.amount IS NOT DISTINCT FROM o.amount AND n.our_amount IS NOT DISTINCT FROM o.our_amount
    AND n.fee IS NOT DISTINCT FROM o.fee AND n.our_fee IS NOT DISTINCT FROM o.our_fee
    AND n.paid IS NOT DISTINCT FROM o.paid
WHERE d.merchant_id = $1 AND d.difference_id = n.difference_id
"""
# After KEEP_RESOLVED: of what was resolved and is still open something has changed.
OPEN_AGAIN: Final = f"""
UPDATE differences d SET history = o.history || $4::jsonb
FROM ({_BY_PERSON}) o JOIN ({_AS_IT_IS}) n ON {_SAME_ONE}
WHERE d.merchant_id = $1 AND d.difference_id = n.difference_id AND NOT EXISTS (SELECT FROM differences r
    WHERE r.merchant_id = $1 AND r.account = $2 AND r.found_at = $3 AND r.resolved_at = o.resolved_at
    AND r.resolved_by = o.resolved_by AND r.number IS NOT DISTINCT FROM o.number)
"""
