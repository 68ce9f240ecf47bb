-- What `sluice report --by day,channel` sends. Written by
-- `SLUICE_WRITE_SQL=1 .venv/bin/python -m pytest tests/storage/test_reports.py -k page`;
-- that test holds it to what is sent.
SELECT day, channel, sum(payments)::bigint AS payments, sum(amount)::bigint AS amount, sum(late_payments)::bigint AS late_payments, sum(late_amount)::bigint AS late_amount, sum(fee)::bigint AS fee, sum(attempts)::bigint AS attempts, sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed, sum(failed_by_channel)::bigint AS failed_by_channel, sum(closed)::bigint AS closed, sum(open)::bigint AS open, sum(refused)::bigint AS refused, sum(saved)::bigint AS saved, sum(kept)::bigint AS kept, sum(kept_cost)::bigint AS kept_cost, sum(authentications)::bigint AS authentications, sum(authentication_fee)::bigint AS authentication_fee, sum(disagreements)::bigint AS disagreements, sum(refunds)::bigint AS refunds, sum(refunded)::bigint AS refunded, sum(fee_returned)::bigint AS fee_returned, sum(refunds_returned)::bigint AS refunds_returned, sum(refunds_returned_amount)::bigint AS refunds_returned_amount, sum(payouts)::bigint AS payouts, sum(paid_out)::bigint AS paid_out, sum(payout_fee)::bigint AS payout_fee, sum(payouts_returned)::bigint AS payouts_returned, sum(payouts_returned_amount)::bigint AS payouts_returned_amount, max(p50_ms)::bigint AS p50_ms, max(p99_ms)::bigint AS p99_ms
  FROM ((SELECT p.business_day AS day, p.channel COLLATE "C" AS channel, count(*) FILTER (WHERE p.status = 'succeeded') AS payments, coalesce(sum(p.amount) FILTER (WHERE p.status = 'succeeded'), 0) AS amount, count(*) FILTER (WHERE p.is_late) AS late_payments, coalesce(sum(p.amount) FILTER (WHERE p.is_late), 0) AS late_amount, coalesce(sum(p.fee) FILTER (WHERE p.status = 'succeeded' OR p.is_late), 0) AS fee, count(*) FILTER (WHERE p.channel IS NOT NULL AND p.corrects IS NULL) AS attempts, count(*) FILTER (WHERE p.channel IS NOT NULL AND p.corrects IS NULL AND p.status = 'succeeded') AS succeeded, count(*) FILTER (WHERE p.channel IS NOT NULL AND p.corrects IS NULL AND p.status = 'failed') AS failed, count(*) FILTER (WHERE p.channel IS NOT NULL AND p.corrects IS NULL AND p.status = 'failed' AND p.failure_blame = 'channel') AS failed_by_channel, count(*) FILTER (WHERE p.channel IS NOT NULL AND p.corrects IS NULL AND p.status = 'closed') AS closed, count(*) FILTER (WHERE p.channel IS NOT NULL AND p.corrects IS NULL AND p.finished_at IS NULL) AS open, count(*) FILTER (WHERE p.channel IS NULL) AS refused, coalesce(sum(why.saved) FILTER (WHERE why.rank = 1), 0) AS saved, count(*) FILTER (WHERE why.rank = 2) AS kept, coalesce(-sum(why.saved) FILTER (WHERE why.rank = 2), 0) AS kept_cost, 0 AS authentications, 0 AS authentication_fee, 0 AS disagreements, 0 AS refunds, 0 AS refunded, 0 AS fee_returned, 0 AS refunds_returned, 0 AS refunds_returned_amount, 0 AS payouts, 0 AS paid_out, 0 AS payout_fee, 0 AS payouts_returned, 0 AS payouts_returned_amount, percentile_disc(0.5) WITHIN GROUP (ORDER BY (extract(epoch
  FROM p.finished_at - p.created_at) * 1000)::bigint) FILTER (WHERE p.status IN ('succeeded', 'failed') AND p.channel IS NOT NULL AND p.corrects IS NULL) AS p50_ms, percentile_disc(0.99) WITHIN GROUP (ORDER BY (extract(epoch
  FROM p.finished_at - p.created_at) * 1000)::bigint) FILTER (WHERE p.status IN ('succeeded', 'failed') AND p.channel IS NOT NULL AND p.corrects IS NULL) AS p99_ms
  FROM (SELECT p.*, p.fee IS NOT NULL AND p.status <> 'succeeded' AND NOT EXISTS (
  SELECT
  FROM payments c
  WHERE c.merchant_id = :merchant AND c.corrects = p.payment_id AND c.corrects_no IS NULL ) AS is_late
  FROM payments p
  WHERE p.merchant_id = :merchant AND p.business_day BETWEEN :first AND :last) p LEFT
  JOIN LATERAL (
  SELECT (d.decision ->> 'saved_against_next')::bigint AS saved, CASE d.decision ->> 'chosen_by_step' WHEN '9' THEN (
  SELECT (seen ->> 'rank')::int
  FROM jsonb_array_elements(d.decision -> 'trace') seen
  WHERE seen ->> 'channel' = d.decision ->> 'chosen' ) ELSE 1 END AS rank
  FROM decisions d
  WHERE d.merchant_id = :merchant AND d.object_id = p.payment_id OFFSET 0 ) why ON p.status = 'succeeded' AND p.corrects IS NULL
  GROUP BY 1, 2) UNION ALL (SELECT r.business_day AS day, r.channel COLLATE "C" AS channel, count(*) FILTER (WHERE r.status = 'succeeded') AS payments, coalesce(sum(r.amount) FILTER (WHERE r.status = 'succeeded'), 0) AS amount, count(*) FILTER (WHERE r.late_success) AS late_payments, coalesce(sum(r.amount) FILTER (WHERE r.late_success), 0) AS late_amount, coalesce(sum(r.fee) FILTER (WHERE r.status = 'succeeded' OR r.late_success), 0) AS fee, count(*) FILTER (WHERE r.channel IS NOT NULL) AS attempts, count(*) FILTER (WHERE r.channel IS NOT NULL AND r.status = 'succeeded') AS succeeded, count(*) FILTER (WHERE r.channel IS NOT NULL AND r.status = 'failed') AS failed, count(*) FILTER (WHERE r.channel IS NOT NULL AND r.status = 'failed' AND r.failure_blame = 'channel') AS failed_by_channel, count(*) FILTER (WHERE r.channel IS NOT NULL AND r.status = 'closed') AS closed, count(*) FILTER (WHERE r.channel IS NOT NULL AND r.finished_at IS NULL) AS open, count(*) FILTER (WHERE r.channel IS NULL) AS refused, coalesce(sum(why.saved) FILTER (WHERE why.rank = 1), 0) AS saved, count(*) FILTER (WHERE why.rank = 2) AS kept, coalesce(-sum(why.saved) FILTER (WHERE why.rank = 2), 0) AS kept_cost, 0 AS authentications, 0 AS authentication_fee, 0 AS disagreements, 0 AS refunds, 0 AS refunded, 0 AS fee_returned, 0 AS refunds_returned, 0 AS refunds_returned_amount, 0 AS payouts, 0 AS paid_out, 0 AS payout_fee, 0 AS payouts_returned, 0 AS payouts_returned_amount, NULL::bigint AS p50_ms, NULL::bigint AS p99_ms
  FROM (SELECT r.*
  FROM routes r
  WHERE r.merchant_id = :merchant AND r.business_day BETWEEN :first AND :last) r LEFT
  JOIN LATERAL (
  SELECT (d.decision ->> 'saved_against_next')::bigint AS saved, CASE d.decision ->> 'chosen_by_step' WHEN '9' THEN (
  SELECT (seen ->> 'rank')::int
  FROM jsonb_array_elements(d.decision -> 'trace') seen
  WHERE seen ->> 'channel' = d.decision ->> 'chosen' ) ELSE 1 END AS rank
  FROM decisions d
  WHERE d.merchant_id = :merchant AND d.object_id = r.route_id OFFSET 0 ) why ON r.status = 'succeeded'
  GROUP BY 1, 2) UNION ALL (SELECT (a.created_at AT TIME ZONE :zone)::date AS day, nullif(a.channel, '') COLLATE "C" AS channel, 0 AS payments, 0 AS amount, 0 AS late_payments, 0 AS late_amount, 0 AS fee, 0 AS attempts, 0 AS succeeded, 0 AS failed, 0 AS failed_by_channel, 0 AS closed, 0 AS open, 0 AS refused, 0 AS saved, 0 AS kept, 0 AS kept_cost, count(*) FILTER (WHERE a.was_sent) AS authentications, coalesce(sum(a.fee) FILTER (WHERE a.was_sent), 0) AS authentication_fee, count(*) FILTER (WHERE a.disagrees) AS disagreements, 0 AS refunds, 0 AS refunded, 0 AS fee_returned, 0 AS refunds_returned, 0 AS refunds_returned_amount, 0 AS payouts, 0 AS paid_out, 0 AS payout_fee, 0 AS payouts_returned, 0 AS payouts_returned_amount, NULL::bigint AS p50_ms, NULL::bigint AS p99_ms
  FROM (
  SELECT a.*, i.state IS NOT NULL AND i.state NOT IN ('not_sent', 'not_received') AS was_sent, a.status = 'failed' AND (a.contradicts OR ( i.state = 'declined' AND a.failure_code <> ALL(CAST(:of_codes AS text[])) AND EXISTS (
  SELECT
  FROM agreements g
  WHERE g.merchant_id = :merchant AND g.card_id = a.card_id AND g.account <> a.account ) )) AS disagrees
  FROM authentications a LEFT
  JOIN intents i ON i.merchant_id = :merchant AND i.object_id = a.authentication_id AND i.verb = 'authenticate' AND i.ordinal = coalesce(a.intent_ordinal, 1)
  WHERE a.merchant_id = :merchant AND a.created_at >= :begins AND a.created_at < :ends ) a LEFT
  JOIN payments p ON p.merchant_id = :merchant AND p.payment_id = a.payment_id
  GROUP BY 1, 2) UNION ALL (SELECT r.business_day AS day, coalesce(r.channel, p.channel) COLLATE "C" AS channel, 0 AS payments, 0 AS amount, 0 AS late_payments, 0 AS late_amount, 0 AS fee, 0 AS attempts, 0 AS succeeded, 0 AS failed, 0 AS failed_by_channel, 0 AS closed, 0 AS open, 0 AS refused, 0 AS saved, 0 AS kept, 0 AS kept_cost, 0 AS authentications, 0 AS authentication_fee, 0 AS disagreements, count(*) FILTER (WHERE r.status = 'succeeded') AS refunds, coalesce(sum(r.amount) FILTER (WHERE r.status = 'succeeded'), 0) AS refunded, coalesce(sum(r.fee_returned) FILTER (WHERE r.status = 'succeeded'), 0) AS fee_returned, count(*) FILTER (WHERE r.status = 'returned') AS refunds_returned, coalesce(sum(r.amount) FILTER (WHERE r.status = 'returned'), 0) AS refunds_returned_amount, 0 AS payouts, 0 AS paid_out, 0 AS payout_fee, 0 AS payouts_returned, 0 AS payouts_returned_amount, NULL::bigint AS p50_ms, NULL::bigint AS p99_ms
  FROM refunds r
  JOIN payments p ON p.merchant_id = :merchant AND p.payment_id = r.payment_id
  WHERE r.merchant_id = :merchant AND r.business_day BETWEEN :first AND :last
  GROUP BY 1, 2) UNION ALL (SELECT o.business_day AS day, o.channel COLLATE "C" AS channel, 0 AS payments, 0 AS amount, 0 AS late_payments, 0 AS late_amount, 0 AS fee, 0 AS attempts, 0 AS succeeded, 0 AS failed, 0 AS failed_by_channel, 0 AS closed, 0 AS open, 0 AS refused, 0 AS saved, 0 AS kept, 0 AS kept_cost, 0 AS authentications, 0 AS authentication_fee, 0 AS disagreements, 0 AS refunds, 0 AS refunded, 0 AS fee_returned, 0 AS refunds_returned, 0 AS refunds_returned_amount, count(*) FILTER (WHERE o.status = 'succeeded') AS payouts, coalesce(sum(o.amount) FILTER (WHERE o.status = 'succeeded'), 0) AS paid_out, coalesce(sum(o.fee), 0) AS payout_fee, count(*) FILTER (WHERE o.status = 'returned') AS payouts_returned, coalesce(sum(o.amount) FILTER (WHERE o.status = 'returned'), 0) AS payouts_returned_amount, NULL::bigint AS p50_ms, NULL::bigint AS p99_ms
  FROM payouts o
  WHERE o.merchant_id = :merchant AND o.business_day BETWEEN :first AND :last
  GROUP BY 1, 2)) AS part
  GROUP BY day, channel ORDER BY day, channel
