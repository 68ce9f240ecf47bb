"""One noun for everything that is sent: orders, intents, authentications as objects, refunds, decisions apart.

An attempt becomes an intent to pay where its payment was to be sent (or was paid, as its PSP says, though it never was),
an authentication has an intent of its own, and open payments go on: they are asked about as before, by the numbers that
they had. `fee` becomes `expected_fee`, and stays `fee` where the money moved. Last attempts that we ourselves kept from
being sent go, and the ones before them come back.

The version before let several authentications of one card run on one account. Of those that are in flight the oldest
stays; the payments of the others wait for it, and what was sent beside it is looked at again later.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

tolerates = "0009"

OPEN = "('processing', 'requires_action')"
STATUSES = "('processing', 'requires_action', 'succeeded', 'failed', 'closed')"


def upgrade() -> None:
    for statement in (*TABLES, *FILL, *NARROW, *AGAIN, *NAMES):
        op.execute(statement)


TABLES = (
    """
CREATE TABLE orders (
    merchant_id uuid NOT NULL, app text NOT NULL, merchant_order_no text NOT NULL, object text NOT NULL,
    object_id uuid NOT NULL, body_hash bytea NOT NULL, hash_version smallint NOT NULL, hash_form smallint NOT NULL
)""",
    "COMMENT ON COLUMN orders.object IS 'payment or refund'",
    "COMMENT ON COLUMN orders.body_hash IS 'HMAC of the canonical request'",
    "COMMENT ON COLUMN orders.hash_version IS '0: by the order key; else the ring''s key'",
    "COMMENT ON COLUMN orders.hash_form IS '1: the request as typed; 2: its card in one form'",
    "CREATE TABLE decisions (merchant_id uuid NOT NULL, object_id uuid NOT NULL, decision jsonb NOT NULL)",
    "COMMENT ON TABLE decisions IS 'why this channel: written once, rarely read, so apart from what changes'",
    """
CREATE TABLE intents (
    merchant_id uuid NOT NULL, object_id uuid NOT NULL, verb text NOT NULL, ordinal smallint NOT NULL,
    intent_id uuid NOT NULL, channel text NOT NULL, account text NOT NULL, number text NOT NULL,
    told_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL, amount bigint, state text NOT NULL,
    questions integer NOT NULL, acknowledged boolean NOT NULL, not_found integer NOT NULL, not_found_since timestamptz,
    channel_transaction_no text, channel_finished_at timestamptz, late_success boolean NOT NULL,
    looks smallint NOT NULL, ended_at timestamptz
)""",
    "COMMENT ON TABLE intents IS 'each is sent to a PSP at most once, and asked about until proved'",
    "COMMENT ON COLUMN intents.object_id IS 'the payment, refund or authentication, by the verb'",
    "COMMENT ON COLUMN intents.intent_id IS 'drawn by whoever recorded it, who alone sends it'",
    "COMMENT ON COLUMN intents.number IS 'of the order at the PSP'",
    "COMMENT ON COLUMN intents.acknowledged IS 'the PSP knows the order: not-found proves nothing'",
    f"""
CREATE TABLE refunds (
    merchant_id uuid NOT NULL, refund_id uuid NOT NULL, app text NOT NULL, merchant_order_no text NOT NULL,
    payment_id uuid NOT NULL, user_id text NOT NULL, amount bigint NOT NULL, currency text NOT NULL,
    status text NOT NULL, reason text, failure_code text, failure_blame text, failure_advice text, channel_code text,
    channel_message text, returned text, metadata jsonb NOT NULL, sequence integer NOT NULL, due_at timestamptz,
    lease_until timestamptz, created_at timestamptz NOT NULL, finished_at timestamptz, business_day date NOT NULL,
    CONSTRAINT refunds_pkey PRIMARY KEY (merchant_id, refund_id),
    CONSTRAINT refunds_payment_fkey FOREIGN KEY (merchant_id, payment_id) REFERENCES payments (merchant_id, payment_id),
    CONSTRAINT refunds_amount_check CHECK (amount > 0),
    CONSTRAINT refunds_status_check CHECK (status IN ('processing', 'succeeded', 'failed', 'returned')),
    CONSTRAINT refunds_agenda_check CHECK (status <> 'processing' OR due_at IS NOT NULL),
    CONSTRAINT refunds_lease_check CHECK (due_at IS NOT NULL OR lease_until IS NULL),
    CONSTRAINT refunds_finished_check CHECK ((status = 'processing') = (finished_at IS NULL)),
    CONSTRAINT refunds_failure_check CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CONSTRAINT refunds_blame_check CHECK ((failure_code IS NULL) = (failure_blame IS NULL)),
    CONSTRAINT refunds_returned_check CHECK ((status = 'returned') = (returned IS NOT NULL))
)""",
    "COMMENT ON COLUMN refunds.returned IS 'why the money came back'",
    "CREATE INDEX refunds_payment_idx ON refunds (merchant_id, payment_id)",
    "CREATE INDEX refunds_due_idx ON refunds (merchant_id, due_at) WHERE due_at IS NOT NULL",
    """
CREATE TABLE outflows (
    merchant_id uuid NOT NULL, payment_id uuid NOT NULL, amount bigint NOT NULL, refunded bigint NOT NULL,
    settled bigint NOT NULL, excess bigint NOT NULL,
    CONSTRAINT outflows_pkey PRIMARY KEY (merchant_id, payment_id),
    CONSTRAINT outflows_payment_fkey FOREIGN KEY (merchant_id, payment_id)
        REFERENCES payments (merchant_id, payment_id),
    CONSTRAINT outflows_sign_check CHECK (refunded >= 0 AND settled >= 0 AND excess >= 0),
    CONSTRAINT outflows_rest_check CHECK (refunded + settled <= amount)
)""",
    "COMMENT ON TABLE outflows IS 'what has left a payment, in fen; written with its first refund'",
    "COMMENT ON COLUMN outflows.amount IS 'the payment''s'",
    "COMMENT ON COLUMN outflows.refunded IS 'by refunds that are in flight or succeeded'",
    "COMMENT ON COLUMN outflows.settled IS 'paid on to others'",
    "COMMENT ON COLUMN outflows.excess IS 'by refunds that failed here and were done there, beyond it'",
    """
CREATE TABLE strays (
    merchant_id uuid NOT NULL, account text NOT NULL, number text NOT NULL, verb text NOT NULL, says text NOT NULL,
    amount bigint, channel_transaction_no text, channel_code text, channel_message text, heard_at timestamptz NOT NULL,
    CONSTRAINT strays_pkey PRIMARY KEY (merchant_id, account, number, verb, says)
)""",
    "COMMENT ON TABLE strays IS 'what a PSP told, signed, of orders that nobody here asked for'",
)

# Hex digits of a UUID are the number that its order had at the PSP.
FILL = (
    """
INSERT INTO orders SELECT merchant_id, app, merchant_order_no, 'payment', payment_id, body_hash, hash_version, hash_form
FROM payments""",
    "INSERT INTO decisions SELECT merchant_id, payment_id, decision FROM payments",
    """
INSERT INTO intents
SELECT a.merchant_id, a.payment_id, 'pay', 1, a.attempt_id, a.channel, a.account, replace(a.attempt_id::text, '-', ''),
    a.submitted_at, a.submitted_at, p.amount,
    CASE WHEN a.stage <> 'paying' THEN 'not_sent'
        WHEN p.status = 'succeeded' THEN 'done'
        WHEN p.status = 'closed' THEN 'not_received'
        WHEN p.status <> 'failed' THEN 'open'
        WHEN p.failure_code <> 'channel_unavailable' THEN 'declined'
        WHEN p.channel_message LIKE 'not received:%' THEN 'not_received'
        WHEN p.channel_code IS NULL THEN 'not_sent'
        ELSE 'declined' END,
    a.polls, a.acknowledged, a.not_found, a.not_found_since, a.channel_transaction_no, a.channel_finished_at,
    a.late_success, 0, p.finished_at
FROM attempts a JOIN payments p ON p.merchant_id = a.merchant_id AND p.payment_id = a.payment_id
WHERE a.stage = 'paying' OR a.late_success""",
    """
INSERT INTO intents
SELECT t.merchant_id, t.authentication_id, 'authenticate', 1, t.authentication_id, t.channel, t.account,
    replace(t.authentication_id::text, '-', ''), t.created_at, t.created_at, NULL,
    CASE t.status WHEN 'processing' THEN 'open' WHEN 'succeeded' THEN 'done' WHEN 'rejected' THEN 'declined'
        ELSE t.status END,
    0, false, 0, NULL, NULL, NULL, false, 0, t.finished_at
FROM authentications t""",
    # --- authentications become objects ---
    """
ALTER TABLE authentications
    DROP CONSTRAINT authentications_status_check, DROP CONSTRAINT authentications_finished_check,
    ADD COLUMN user_id text, ADD COLUMN bank text, ADD COLUMN failure_code text, ADD COLUMN failure_blame text,
    ADD COLUMN failure_advice text, ADD COLUMN due_at timestamptz, ADD COLUMN lease_until timestamptz""",
    """
UPDATE authentications t SET user_id = c.user_id, bank = coalesce(p.bank, c.bank),
    status = CASE WHEN t.status IN ('processing', 'succeeded') THEN t.status ELSE 'failed' END,
    failure_code = CASE t.status WHEN 'rejected' THEN 'authentication_rejected'
        WHEN 'unknown' THEN 'authentication_unknown' WHEN 'not_sent' THEN 'channel_unavailable' END,
    failure_blame = CASE WHEN t.status IN ('processing', 'succeeded') THEN NULL
        WHEN t.status IN ('rejected', 'not_sent') THEN coalesce(p.failure_blame, 'channel') ELSE 'channel' END,
    due_at = CASE WHEN t.status = 'processing' THEN coalesce(p.due_at, t.created_at) END
FROM cards c, authentications same
    LEFT JOIN payments p ON p.merchant_id = same.merchant_id AND p.payment_id = same.payment_id
WHERE c.merchant_id = t.merchant_id AND c.card_id = t.card_id
    AND same.merchant_id = t.merchant_id AND same.authentication_id = t.authentication_id""",
    # --- payments say what their attempts said: every row is written anew, so without the columns that go, and their
    # index is built when all are written ---
    """
ALTER TABLE payments
    ADD COLUMN account text, ADD COLUMN channel_order_no text, ADD COLUMN authentication_id uuid,
    ADD COLUMN expected_fee bigint, ADD COLUMN authentication_fee bigint, ADD COLUMN failure_advice text,
    ADD COLUMN until_at timestamptz, DROP COLUMN body_hash, DROP COLUMN hash_version, DROP COLUMN hash_form,
    DROP COLUMN decision, DROP CONSTRAINT payments_due_check, DROP CONSTRAINT payments_due_kind_check,
    DROP CONSTRAINT payments_lease_check, DROP CONSTRAINT payments_status_check, DROP CONSTRAINT payments_order_key""",
    "DROP INDEX payments_due_idx",
    "DROP INDEX payments_user_idx",
    """
UPDATE payments p SET account = a.account, channel_order_no = replace(a.attempt_id::text, '-', ''),
    authentication_id = a.authentication_id, expected_fee = p.fee,
    fee = CASE WHEN p.status = 'succeeded' OR a.late_success THEN p.fee END,
    authentication_fee = t.fee,
    until_at = CASE WHEN p.due_kind = 'expire' THEN p.due_at END,
    due_at = CASE WHEN p.due_kind = 'expire' THEN NULL ELSE p.due_at END
FROM attempts a LEFT JOIN authentications t ON t.merchant_id = a.merchant_id
    AND t.authentication_id = a.authentication_id AND t.finished_at IS NOT NULL
    AND t.failure_code IS DISTINCT FROM 'channel_unavailable'
WHERE a.merchant_id = p.merchant_id AND a.payment_id = p.payment_id""",
    # --- one authentication of a card on an account is in flight ---
    """
CREATE TEMPORARY TABLE beside ON COMMIT DROP AS
SELECT * FROM (
    SELECT merchant_id, authentication_id, fee, row_number() OVER of_card AS place,
        first_value(authentication_id) OVER of_card AS stays
    FROM authentications WHERE status = 'processing'
    WINDOW of_card AS (PARTITION BY merchant_id, card_id, account ORDER BY created_at, authentication_id)
) AS in_flight WHERE place > 1""",
    """
UPDATE payments p SET authentication_id = b.stays, authentication_fee = b.fee FROM beside b
WHERE b.merchant_id = p.merchant_id AND b.authentication_id = p.authentication_id AND p.finished_at IS NULL""",
    """
UPDATE authentications t SET status = 'failed', failure_code = 'authentication_unknown', failure_blame = 'channel',
    finished_at = t.created_at, due_at = t.created_at + interval '1 hour'
FROM beside b WHERE b.merchant_id = t.merchant_id AND b.authentication_id = t.authentication_id""",
    """
UPDATE intents i SET state = 'unknown', ended_at = i.recorded_at
FROM beside b WHERE b.merchant_id = i.merchant_id AND b.authentication_id = i.object_id""",
    # --- observations and anomalies name objects ---
    "ALTER TABLE observations RENAME COLUMN payment_id TO object_id",
    "ALTER TABLE observations ADD COLUMN verb text NOT NULL DEFAULT 'pay', ADD COLUMN note text",
    "ALTER TABLE observations ALTER COLUMN verb DROP DEFAULT",
    """
UPDATE observations o SET verb = 'authenticate', says = substr(o.says, 16), object_id = a.authentication_id
FROM attempts a WHERE a.merchant_id = o.merchant_id AND a.payment_id = o.object_id
    AND a.authentication_id IS NOT NULL AND o.says LIKE 'authentication\\_%'""",
    "ALTER INDEX observations_payment_idx RENAME TO observations_object_idx",
    "COMMENT ON COLUMN observations.verb IS 'which intent of the object'",
    "COMMENT ON COLUMN observations.note IS 'of an operator: who says so, and where the PSP''s word stands'",
    "COMMENT ON TABLE observations IS 'every word of a PSP about an intent, as it came'",
    "ALTER TABLE anomalies RENAME COLUMN payment_id TO object_id",
    "ALTER TABLE anomalies ADD COLUMN object text NOT NULL DEFAULT 'payment'",
    "ALTER TABLE anomalies ALTER COLUMN object DROP DEFAULT",
    "COMMENT ON COLUMN events.object IS 'what it is about: payment, refund'",
)

NARROW = (
    """
ALTER TABLE orders ADD CONSTRAINT orders_pkey PRIMARY KEY (merchant_id, app, merchant_order_no)""",
    "ALTER TABLE decisions ADD CONSTRAINT decisions_pkey PRIMARY KEY (merchant_id, object_id)",
    """
ALTER TABLE intents
    ADD CONSTRAINT intents_pkey PRIMARY KEY (merchant_id, object_id, verb, ordinal),
    ADD CONSTRAINT intents_number_key UNIQUE (merchant_id, account, number, verb, ordinal),
    ADD CONSTRAINT intents_verb_check CHECK (verb IN ('authenticate', 'pay', 'refund')),
    ADD CONSTRAINT intents_ordinal_check CHECK (ordinal = 1),
    ADD CONSTRAINT intents_state_check
        CHECK (state IN ('open', 'done', 'returned', 'declined', 'not_sent', 'not_received', 'unknown')),
    ADD CONSTRAINT intents_ended_check CHECK ((state = 'open') = (ended_at IS NULL)),
    ADD CONSTRAINT intents_amount_check
        CHECK ((verb = 'authenticate') = (amount IS NULL) AND (amount IS NULL OR amount > 0)),
    ADD CONSTRAINT intents_unknown_check CHECK (state <> 'unknown' OR verb = 'authenticate')""",
    f"""
ALTER TABLE authentications
    ALTER COLUMN user_id SET NOT NULL, ALTER COLUMN bank SET NOT NULL,
    ADD CONSTRAINT authentications_status_check CHECK (status IN {STATUSES}),
    ADD CONSTRAINT authentications_finished_check CHECK ((status IN {OPEN}) = (finished_at IS NULL)),
    ADD CONSTRAINT authentications_agenda_check CHECK (status NOT IN {OPEN} OR due_at IS NOT NULL),
    ADD CONSTRAINT authentications_lease_check CHECK (due_at IS NOT NULL OR lease_until IS NULL),
    ADD CONSTRAINT authentications_failure_check CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    ADD CONSTRAINT authentications_blame_check CHECK ((failure_code IS NULL) = (failure_blame IS NULL))""",
    "COMMENT ON COLUMN authentications.payment_id IS 'the payment that started it'",
    f"""
CREATE UNIQUE INDEX authentications_open_key ON authentications (merchant_id, card_id, account)
WHERE status IN {OPEN}""",
    "CREATE INDEX authentications_due_idx ON authentications (merchant_id, due_at) WHERE due_at IS NOT NULL",
    f"""
ALTER TABLE payments
    DROP COLUMN due_kind,
    ADD CONSTRAINT payments_status_check CHECK (status IN {STATUSES}),
    ADD CONSTRAINT payments_agenda_check CHECK (status NOT IN {OPEN} OR due_at IS NOT NULL OR until_at IS NOT NULL),
    ADD CONSTRAINT payments_until_check CHECK (status IN {OPEN} OR until_at IS NULL),
    ADD CONSTRAINT payments_lease_check CHECK (due_at IS NOT NULL OR until_at IS NOT NULL OR lease_until IS NULL),
    ADD CONSTRAINT payments_number_check
        CHECK ((channel IS NULL) = (channel_order_no IS NULL) AND (channel IS NULL) = (account IS NULL)),
    ADD CONSTRAINT payments_fee_check CHECK (status IN ('succeeded', 'failed', 'closed') OR fee IS NULL)""",
    "COMMENT ON COLUMN payments.channel_order_no IS 'of the order to pay, chosen at opening; its intent takes it'",
    "COMMENT ON COLUMN payments.authentication_id IS 'what it needs first: its own, or another payment''s'",
    "COMMENT ON COLUMN payments.expected_fee IS 'what the router counted with, in fen'",
    "COMMENT ON COLUMN payments.fee IS 'what the PSP is owed; null until the money is known to have moved'",
    "COMMENT ON COLUMN payments.authentication_fee IS 'what the authentication costs that it started'",
    "COMMENT ON COLUMN payments.failure_advice IS 'null: as its code means (the first version''s)'",
    """
CREATE INDEX payments_due_idx ON payments (merchant_id, least(due_at, until_at))
WHERE due_at IS NOT NULL OR until_at IS NOT NULL""",
    "CREATE INDEX payments_user_idx ON payments (merchant_id, user_id, payment_id)",
    """
CREATE INDEX payments_authentication_idx ON payments (merchant_id, authentication_id)
WHERE authentication_id IS NOT NULL""",
)

AGAIN = (
    "ALTER TABLE last_attempts RENAME COLUMN attempt_id TO payment_id",
    "DELETE FROM last_attempts WHERE blame = 'platform'",
    """
UPDATE last_attempts l SET payment_id = a.payment_id FROM attempts a
WHERE a.merchant_id = l.merchant_id AND a.attempt_id = l.payment_id""",
    """
INSERT INTO last_attempts (merchant_id, user_id, channel, payment_id, status, blame, finished_at)
SELECT DISTINCT ON (merchant_id, user_id, channel) merchant_id, user_id, channel, payment_id, status, failure_blame,
    finished_at
FROM payments WHERE channel IS NOT NULL AND status IN ('succeeded', 'failed')
    AND failure_blame IS DISTINCT FROM 'platform'
ORDER BY merchant_id, user_id, channel, finished_at DESC, payment_id DESC
ON CONFLICT DO NOTHING""",
    "ALTER TABLE last_attempts ADD CONSTRAINT last_attempts_blame_check CHECK (blame <> 'platform')",
    "DROP TABLE attempts",
)

# From PostgreSQL 18 on NOT NULL has a name, which is that of the column's first name.
_NAMED = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conname = '{table}_{before}_not_null') THEN
        ALTER TABLE {table} RENAME CONSTRAINT {table}_{before}_not_null TO {table}_{after}_not_null;
    END IF;
END $$"""
NAMES = tuple(
    _NAMED.format(table=table, before=before, after=after)
    for table, before, after in (
        ("observations", "payment_id", "object_id"),
        ("anomalies", "payment_id", "object_id"),
        ("last_attempts", "attempt_id", "payment_id"),
    )
)
