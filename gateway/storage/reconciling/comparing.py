"""One statement that holds a day's lines against our books: each line and each entry of ours gets exactly one class.

Lines and entries meet by our number and the side that it stands on: `in` (payments), `out` (refunds, payouts), `back`
(what came back). A number that stands there twice claims its entry once, by the line that fits it best; the others are
duplicates. What is not met on its own day is looked for by its number, and held in suspense near the day's cut: as a
difference that the next day's run takes up. Plain matches are counted and leave no row.

    $1 merchant    $2 account    $3 day
    $4 $5          our day: from, until              (of the business zone)
    $6 statement
    $7             their day's end, less the margin  $8 their day's start, with the margin
    $9             whether the day before was compared
    $10 now        $11 their day's cut               $12 the name of the business zone
    $13            the numbers that may stand there more than once; null: it is not known which
"""

from typing import Final

__all__ = ["COMPARE", "ENTRIES"]

HEARD_LATE_DAYS: Final = 40
"""What the PSP did on a day is found there although we heard of it so much later."""
VERB_SIDE: Final = "CASE i.verb WHEN 'pay' THEN 'in' ELSE 'out' END"
FINISHED: Final = """CASE i.verb
    WHEN 'refund' THEN (SELECT r.finished_at FROM refunds r WHERE r.merchant_id = $1 AND r.refund_id = i.object_id)
    WHEN 'payout' THEN (SELECT o.finished_at FROM payouts o WHERE o.merchant_id = $1 AND o.payout_id = i.object_id)
    END"""
# When the money moved: by the PSP's word, else when we heard of it. Of what came back, before it did.
DONE_AT: Final = f"""coalesce(i.channel_finished_at,
    CASE i.state WHEN 'returned' THEN {FINISHED} ELSE i.ended_at END, i.recorded_at)"""
OWN_FEE: Final = """CASE i.verb
    WHEN 'pay' THEN (SELECT p.fee FROM payments p WHERE p.merchant_id = $1 AND p.payment_id = i.object_id)
    WHEN 'refund' THEN (SELECT -r.fee_returned FROM refunds r WHERE r.merchant_id = $1 AND r.refund_id = i.object_id)
    ELSE (SELECT o.fee FROM payouts o WHERE o.merchant_id = $1 AND o.payout_id = i.object_id) END"""
_TAKES: Final = "i.state IN ('open', 'done', 'returned')"
_MINE: Final = "i.merchant_id = $1 AND i.account = $2 AND i.verb IN ('pay', 'refund', 'payout')"

# What is known of another day already: it was compared there, or is held from there.
_ELSEWHERE: Final = """EXISTS (SELECT FROM differences d WHERE d.merchant_id = $1 AND d.object_id = e.object_id
    AND d.verb = e.verb AND d.turn = e.turn AND d.side = e.side AND d.day <> $3 AND d.state <> 'superseded')"""

# The payments of the day are read once; one that was opened long before is looked up.
_WITH_FEE: Final = f"CASE WHEN p.payment_id IS NOT NULL THEN p.fee ELSE {OWN_FEE} END"
_FEES: Final = """LEFT JOIN payments p ON p.merchant_id = $1 AND p.payment_id = i.object_id AND i.verb = 'pay'
            AND p.business_day >= $3::date - 2 AND p.business_day <= $3::date + 1"""


ENTRIES: Final = f"""
    SELECT e.* FROM (
        SELECT i.object_id, i.verb, i.ordinal AS turn, i.number, {VERB_SIDE} AS side, i.amount, i.state,
            {_WITH_FEE} AS fee, {DONE_AT} AS done_at, i.recorded_at
        FROM intents i {_FEES}
        WHERE {_MINE} AND {_TAKES} AND i.recorded_at >= $4::timestamptz - interval '1 day' AND i.recorded_at < $5
        AND {DONE_AT} >= $4 AND {DONE_AT} < $5
      UNION ALL
        SELECT i.object_id, i.verb, i.ordinal, i.number, {VERB_SIDE}, i.amount, i.state, {OWN_FEE}, {DONE_AT},
            i.recorded_at
        FROM intents i
        WHERE {_MINE} AND i.state IN ('done', 'returned') AND i.recorded_at < $4::timestamptz - interval '1 day'
        AND i.ended_at >= $4::timestamptz - interval '1 day'
        AND i.ended_at < $5::timestamptz + interval '{HEARD_LATE_DAYS} days'
        AND {DONE_AT} >= $4 AND {DONE_AT} < $5
      UNION ALL
        SELECT i.object_id, i.verb, i.ordinal, i.number, 'back', i.amount, i.state, NULL::bigint, i.ended_at,
            i.recorded_at
        FROM intents i
        WHERE {_MINE} AND i.verb <> 'pay' AND i.state = 'returned' AND i.ended_at >= $4 AND i.ended_at < $5
    ) e WHERE NOT {_ELSEWHERE}
"""
"""Our entries of a day: what is paid, came back, or is unknown."""

_OUR_TOTALS: Final = """
SELECT count(*) FILTER (WHERE e.state <> 'open') AS entries, coalesce(sum(
    CASE e.side WHEN 'out' THEN -e.amount ELSE e.amount END) FILTER (WHERE e.state <> 'open'), 0)::bigint
    AS entries_amount
FROM ours e WHERE e.held IS NULL
"""
"""Of the entries: how many are paid or came back, and their signed sum, before they meet any line: another way to the
sums of COMPARE."""

# What was refused says nothing of a later try under the same number: by its time, and if it has none, not of one that
# is open.
_OF_A_TRY_BEFORE: Final = """NOT {line}.paid AND {turn} > 1
        AND coalesce({line}.done_at < {of}.recorded_at, {of}.state = 'open')"""

# The newest that takes, else that took nothing. One that failed here and was taken as paid all the same is paid.
_FOUND: Final = f"""
    SELECT i.object_id, i.verb, i.ordinal AS turn, i.amount, i.recorded_at, {_TAKES} AS took,
        CASE WHEN i.late_success AND EXISTS (SELECT FROM payments c WHERE c.merchant_id = $1
            AND c.corrects = i.object_id AND c.corrects_no IS NULL) THEN 'done' ELSE i.state END AS state,
        {OWN_FEE} AS fee,
        CASE c.side WHEN 'back' THEN i.ended_at ELSE {DONE_AT} END AS done_at
    FROM intents i
    WHERE i.merchant_id = $1 AND i.account = $2 AND i.number = c.number
    AND i.verb = ANY(CASE c.side WHEN 'in' THEN ARRAY['pay'] ELSE ARRAY['refund', 'payout'] END)
    AND NOT ({_OF_A_TRY_BEFORE.format(line="c", turn="i.ordinal", of="i")})
    ORDER BY {_TAKES} DESC, i.ordinal DESC LIMIT 1
"""

_LINES: Final = """
    SELECT l.statement_id, l.ordinal, l.line, l.kind, l.side, l.number, l.amount, l.paid, l.fee, l.transaction_no,
        l.done_at, NULL::uuid AS held
    FROM statement_lines l WHERE l.statement_id = $6 AND l.merchant_id = $1
  UNION ALL
    SELECT d.statement_id, d.ordinal, d.line, d.kind, d.side, d.number, d.amount, d.paid, d.fee, d.transaction_no,
        d.done_at, d.difference_id
    FROM differences d WHERE d.merchant_id = $1 AND d.account = $2 AND d.class = 'suspense' AND d.state = 'open'
    AND d.ordinal IS NOT NULL AND d.day < $3
"""
# Of ours: what waits for its line, and what was said to be short and may have come after all.
_HELD: Final = f"""
    SELECT i.object_id, i.verb, i.ordinal AS turn, i.number, d.side, i.amount, i.state, {OWN_FEE} AS fee,
        CASE d.side WHEN 'back' THEN i.ended_at ELSE {DONE_AT} END AS done_at, i.recorded_at, d.difference_id AS held,
        d.class = 'short' AS was_short,
        -- One that took nothing leaves the line to a later try.
        CASE WHEN {_TAKES} OR NOT EXISTS (SELECT FROM intents n WHERE n.merchant_id = $1 AND n.account = $2
            AND n.number = i.number AND n.verb = i.verb AND n.ordinal > i.ordinal) THEN i.number END AS claims
    FROM differences d JOIN intents i ON i.merchant_id = $1 AND i.object_id = d.object_id AND i.verb = d.verb
        AND i.ordinal = d.turn
    WHERE d.merchant_id = $1 AND d.account = $2 AND d.state = 'open' AND d.ordinal IS NULL AND d.day < $3
    AND d.class IN ('suspense', 'short')
"""
_IS_TWICE: Final = "l.number IN (SELECT t.number FROM twice t)"
# Of a plain match nothing but its sums is of use.
_OF_OTHERS: Final = ", ".join(
    f"CASE WHEN NOT plain THEN {name} END AS {name}"
    for name in (
        *("statement_id", "ordinal", "line", "kind", "number", "transaction_no", "done_at", "theirs_held", "nth"),
        *("object_id", "verb", "turn", "our_state", "our_done_at", "recorded_at", "ours_held", "was_short"),
    )
)
_SIGN: Final = "CASE WHEN side = 'out' THEN -1 ELSE 1 END"
# What an entry counts: what is unknown nothing, and once it is settled what the line says.
_OURS: Final = """CASE WHEN class = 'settled' THEN CASE WHEN paid THEN amount END
        WHEN stands = 'paid' THEN our_amount END"""

COMPARE: Final = f"""
WITH twice AS MATERIALIZED (
    -- Who read the lines knows which numbers may stand there twice, and one is held from before: a number that is here
    -- and stands once is ranked alone, which costs a look and changes nothing.
    SELECT unnest($13::text[]) AS number
  UNION ALL
    SELECT l.number FROM ({_LINES}) l WHERE $13::text[] IS NOT NULL AND l.held IS NOT NULL
  UNION ALL
    SELECT l.number FROM ({_LINES}) l WHERE $13::text[] IS NULL AND l.number IS NOT NULL
    GROUP BY l.number HAVING count(*) > 1
), theirs AS (
    -- Nobody can know how many lines a new statement has: a join that takes them for few compares each with each. What
    -- is asked of `twice` this way is looked up in a hash table, whatever is thought.
    SELECT l.*, 1::bigint AS nth FROM ({_LINES}) l WHERE ({_IS_TWICE}) IS NOT TRUE
  UNION ALL
    SELECT c.*, row_number() OVER (PARTITION BY c.side, c.number
        ORDER BY c.paid DESC, (c.amount = f.amount) DESC NULLS LAST, (c.fee = f.fee) DESC NULLS LAST, c.held NULLS LAST,
        c.transaction_no, c.done_at, c.amount, c.fee, c.ordinal)
    FROM (SELECT * FROM ({_LINES}) l WHERE ({_IS_TWICE}) IS TRUE) c LEFT JOIN LATERAL ({_FOUND}) f ON true
), ours AS MATERIALIZED (
    SELECT e.*, NULL::uuid AS held, false AS was_short, e.number AS claims FROM ({ENTRIES}) e
  UNION ALL
    {_HELD}
), joined AS MATERIALIZED (
    SELECT side, amount, paid, fee, our_amount, our_fee, plain, {_OF_OTHERS} FROM (
    SELECT t.statement_id, t.ordinal, t.line, t.kind, coalesce(t.side, o.side) AS side,
        coalesce(t.number, o.number) AS number, t.amount, t.paid, t.fee, t.transaction_no, t.done_at,
        t.held AS theirs_held, t.nth, o.object_id, o.verb, o.turn, o.amount AS our_amount, o.state AS our_state,
        o.fee AS our_fee, o.done_at AS our_done_at, o.recorded_at, o.held AS ours_held, o.was_short,
        coalesce(t.held IS NULL AND o.held IS NULL AND t.paid AND o.state <> 'open' AND t.amount = o.amount
            AND coalesce(t.fee = o.fee, true), false) AS plain
    FROM theirs t FULL JOIN ours o
        ON CASE WHEN t.nth = 1 THEN t.number END = o.claims AND t.side = o.side
        AND NOT ({_OF_A_TRY_BEFORE.format(line="t", turn="o.turn", of="o")})
    ) j
), found AS (
    SELECT c.statement_id, c.ordinal, c.line, c.kind, c.side, c.number, c.amount, c.paid, c.fee, c.transaction_no,
        c.done_at, c.theirs_held, c.nth, c.ours_held, c.was_short, c.object_id IS NOT NULL AS own,
        coalesce(c.object_id, f.object_id) AS object_id, coalesce(c.verb, f.verb) AS verb,
        coalesce(c.turn, f.turn) AS turn, coalesce(c.our_amount, f.amount) AS our_amount,
        coalesce(c.our_state, f.state) AS our_state, coalesce(c.our_fee, f.fee) AS our_fee,
        coalesce(c.our_done_at, f.done_at) AS our_done_at, coalesce(c.recorded_at, f.recorded_at) AS recorded_at,
        f.took
    FROM joined c LEFT JOIN LATERAL ({_FOUND}) f ON c.object_id IS NULL AND c.number IS NOT NULL AND c.nth = 1
    WHERE NOT c.plain
), stood AS (
    SELECT *, CASE
        WHEN object_id IS NULL THEN NULL
        WHEN our_state = 'open' THEN 'unknown'
        WHEN side = 'back' THEN CASE our_state WHEN 'returned' THEN 'paid' WHEN 'done' THEN 'unknown' ELSE 'dead' END
        WHEN our_state IN ('done', 'returned') THEN 'paid'
        ELSE 'dead' END AS stands,
        NOT own AND our_done_at < $4 AS is_of_before,
        NOT own AND our_done_at >= $5 AND theirs_held IS NULL AS is_of_later,
        -- Another day's line has it.
        NOT own AND EXISTS (SELECT FROM differences d WHERE d.merchant_id = $1 AND d.object_id = found.object_id
            AND d.verb = found.verb AND d.turn = found.turn AND d.side = found.side AND d.ordinal IS NOT NULL
            AND d.paid AND d.day <> $3 AND d.state <> 'superseded') AS is_claimed,
        -- Its day was compared, and it was among that day's entries; unless it was short to the end.
        NOT own AND took AND our_done_at < $4 AND EXISTS (SELECT FROM reconciled_days r WHERE r.merchant_id = $1
            AND r.account = $2 AND r.day = (our_done_at AT TIME ZONE $12)::date)
            AND NOT EXISTS (SELECT FROM differences d WHERE d.merchant_id = $1 AND d.object_id = found.object_id
            AND d.verb = found.verb AND d.turn = found.turn AND d.side = found.side AND d.class = 'short'
            AND d.state = 'resolved' AND d.became IS NULL) AS was_met
    FROM found
), classed AS (
    SELECT *, CASE
        WHEN ordinal IS NULL THEN CASE
            WHEN was_short THEN 'short'
            WHEN stands = 'paid' THEN CASE
                WHEN our_done_at >= $7 OR (ours_held IS NULL AND our_done_at < $8 AND NOT $9) THEN 'suspense'
                ELSE 'short' END
            WHEN stands = 'unknown' THEN CASE
                -- The statements of the day on which it was submitted, and of the next: without it in both it is lost.
                -- One of a day that was not over proves nothing.
                WHEN (SELECT count(*) FROM statements r WHERE r.merchant_id = $1 AND r.account = $2
                    AND r.day IN (s.their_day, s.their_day + 1) AND r.day <= $3 AND r.replaced_at IS NULL
                    AND r.loaded_at >= (r.day + $11::time + CASE WHEN $11::time < time '12:00' THEN interval '1 day'
                        ELSE interval '0' END) AT TIME ZONE 'Asia/Shanghai') = 2 THEN 'lost'
                ELSE 'suspense' END
            ELSE 'matched' END
        WHEN nth > 1 THEN CASE WHEN paid THEN 'duplicate' ELSE 'matched' END
        WHEN is_of_later AND stands = 'paid' THEN 'suspense'
        WHEN NOT paid THEN CASE stands
            WHEN 'paid' THEN 'status_mismatch'
            -- What did not come back is not back here either.
            WHEN 'unknown' THEN CASE side WHEN 'back' THEN 'matched' ELSE 'settled' END
            ELSE 'matched' END
        WHEN stands IS NULL THEN CASE WHEN theirs_held IS NULL AND done_at >= $7 THEN 'suspense' ELSE 'long' END
        WHEN stands = 'dead' THEN 'long'
        WHEN is_claimed OR (was_met AND stands = 'paid') THEN 'duplicate'
        WHEN amount <> our_amount THEN 'amount_mismatch'
        WHEN side = 'back' THEN 'returned'
        WHEN stands = 'unknown' THEN 'settled'
        WHEN fee <> our_fee THEN 'fee_mismatch'
        ELSE 'matched' END AS class
    FROM (SELECT *, CASE
            WHEN $11::time >= time '12:00' THEN
                (recorded_at AT TIME ZONE 'Asia/Shanghai' + (interval '24:00' - $11::time))::date
            ELSE (recorded_at AT TIME ZONE 'Asia/Shanghai' - $11::time::interval)::date END AS their_day
        FROM stood) s
), worded AS (
    SELECT *, CASE
        WHEN class = 'lost' THEN 'not_received'
        WHEN ordinal IS NULL OR nth > 1 OR object_id IS NULL THEN NULL
        WHEN side = 'back' THEN CASE WHEN class IN ('long', 'amount_mismatch')
            OR (class = 'returned' AND stands = 'unknown') THEN 'returned' END
        WHEN class = 'settled' THEN CASE WHEN paid THEN 'succeeded' ELSE 'declined' END
        WHEN class IN ('long', 'amount_mismatch') THEN 'succeeded'
        WHEN class = 'status_mismatch' THEN 'declined' END AS word,
        -- It is held from an earlier day, and goes on being held.
        ordinal IS NULL AND ((was_short AND class = 'short') OR (ours_held IS NOT NULL AND class = 'suspense')) AS stays
    FROM classed
), let_go AS (
    UPDATE differences d SET state = 'resolved', resolved_at = $10, resolved_by = 'statement', became = w.class,
        became_on = $3
    FROM (
        SELECT theirs_held AS held, class FROM worded WHERE theirs_held IS NOT NULL
        UNION ALL SELECT ours_held, class FROM worded WHERE ours_held IS NOT NULL AND NOT stays
    ) w
    WHERE d.merchant_id = $1 AND d.difference_id = w.held RETURNING 1
), kept AS (
    INSERT INTO differences (merchant_id, difference_id, account, day, statement_id, class, side, number, line, ordinal,
        kind, amount, paid, fee, transaction_no, done_at, verb, object_id, turn, our_amount, our_state, our_fee,
        our_done_at, state, word, found_at, resolved_at, resolved_by, history)
    SELECT $1,
        md5(concat_ws(' ', $6::uuid, $10::timestamptz, statement_id, ordinal, object_id, turn, side, class))::uuid,
        $2, $3::date, coalesce(statement_id, $6), class, side, number, line, ordinal,
        kind, amount, paid, fee, transaction_no, done_at, CASE WHEN waits THEN NULL ELSE verb END,
        CASE WHEN waits THEN NULL ELSE object_id END, CASE WHEN waits THEN NULL ELSE turn END, our_amount, our_state,
        our_fee, our_done_at, CASE WHEN over THEN 'resolved' ELSE 'open' END, word,
        $10, CASE WHEN over THEN $10::timestamptz END,
        CASE WHEN over THEN 'statement' END, '[]'
    -- Of theirs that waits for an entry of ours of the next day: it is that day's.
    FROM (SELECT *, class = 'suspense' AND ordinal IS NOT NULL AS waits,
        class IN ('matched', 'returned', 'settled', 'lost') AS over FROM worded) worded
    -- First what was held goes: a line has one row in force.
    WHERE (SELECT count(*) FROM let_go) >= 0 AND NOT stays AND NOT (ordinal IS NULL AND class = 'matched')
    -- A plain match with another day's entry leaves a row: that day must know of it.
    AND (class NOT IN ('matched', 'returned') OR word IS NOT NULL
        OR (paid AND nth = 1 AND stands = 'paid' AND NOT own AND NOT (our_done_at >= $4 AND our_done_at < $5)))
), everything AS (
    SELECT CASE side WHEN 'back' THEN 'returned' ELSE 'matched' END AS class, side, true AS theirs_now,
        true AS ours_now, false AS theirs_then, false AS ours_then,
        amount, our_amount, paid, 'paid' AS stands, fee, our_fee, true AS own
    FROM joined WHERE plain
  UNION ALL
    SELECT class, side, ordinal IS NOT NULL AND theirs_held IS NULL, own AND ours_held IS NULL,
        theirs_held IS NOT NULL, ours_held IS NOT NULL AND NOT stays, amount, our_amount, paid, stands, fee, our_fee,
        own
    FROM worded
)
SELECT s.*, o.entries, o.entries_amount
FROM ({_OUR_TOTALS}) o LEFT JOIN (
SELECT class,
    count(*) FILTER (WHERE theirs_now) AS theirs,
    coalesce(sum(amount * {_SIGN}) FILTER (WHERE theirs_now AND paid), 0)::bigint AS theirs_amount,
    count(*) FILTER (WHERE ours_now AND (stands = 'paid' OR class = 'settled')) AS ours,
    coalesce(sum({_OURS} * {_SIGN}) FILTER (WHERE ours_now), 0)::bigint AS ours_amount,
    count(*) FILTER (WHERE ours_now AND stands = 'unknown' AND class <> 'settled') AS unknown,
    count(*) FILTER (WHERE theirs_then) AS theirs_held,
    coalesce(sum(amount * {_SIGN}) FILTER (WHERE theirs_then AND paid), 0)::bigint AS theirs_held_amount,
    count(*) FILTER (WHERE ours_then) AS ours_held,
    coalesce(sum({_OURS} * {_SIGN}) FILTER (WHERE ours_then), 0)::bigint AS ours_held_amount,
    coalesce(sum(fee) FILTER (WHERE theirs_now), 0)::bigint AS theirs_fee,
    coalesce(sum(our_fee) FILTER (WHERE ours_now AND stands = 'paid' AND (fee IS NOT NULL OR amount IS NULL)), 0)
        ::bigint AS ours_fee
FROM everything GROUP BY class
) s ON true
"""
