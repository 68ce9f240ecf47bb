"""Orders, and what became of them: payments, refunds, and every intent that was sent."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables.base import OPEN, STATUSES, metadata, moment

__all__ = ["decisions", "intents", "orders", "outflows", "payments", "refunds", "second_outflows"]

orders = Table(
    "orders",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("merchant_order_no", Text, nullable=False),
    Column("object", Text, nullable=False, comment="payment or refund"),
    Column("object_id", Uuid, nullable=False),
    Column("body_hash", LargeBinary, nullable=False, comment="HMAC of the canonical request"),
    Column("hash_version", SmallInteger, nullable=False, comment="0: by the order key; else the ring's key"),
    Column("hash_form", SmallInteger, nullable=False, comment="1: the request as typed; 2: its card in one form"),
    # Whoever comes second finds the first one's object: the same number is one order, for ever.
    PrimaryKeyConstraint("merchant_id", "app", "merchant_order_no", name="orders_pkey"),
)

payments = Table(
    "payments",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("merchant_order_no", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("scene", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("card_id", Uuid),
    Column("bank", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("channel", Text),
    Column("account", Text),
    Column("channel_order_no", Text, comment="of the order to pay, chosen at opening; its intent takes it"),
    Column("authentication_id", Uuid, comment="what it needs first: its own, or another payment's"),
    Column("expected_fee", BigInteger, comment="what the router counted with, in fen"),
    Column("fee", BigInteger, comment="what the PSP is owed; null until the money is known to have moved"),
    Column("authentication_fee", BigInteger, comment="what the authentication costs that it started"),
    Column("failure_code", Text),
    Column("failure_blame", Text),
    Column("failure_advice", Text, comment="null: as its code means (the first version's)"),
    Column("channel_code", Text),
    Column("channel_message", Text),
    Column("description", Text),
    Column("metadata", JSONB, nullable=False),
    Column("customer_present", Boolean, nullable=False),
    Column("return_url", Text),
    Column("expires_in_s", Integer),
    Column("sequence", Integer, nullable=False),
    moment("due_at", nullable=True),
    moment("until_at", nullable=True),
    moment("lease_until", nullable=True),
    moment("created_at"),
    moment("finished_at", nullable=True),
    Column("business_day", Date, nullable=False),
    Column("asked", JSONB, comment="the code that the payer is asked for, or will be: domain.codes.Asked"),
    Column("closed_reason", Text),
    Column("custody_user_no", Text, comment="the payer's number at the custody bank; null: user_id"),
    Column("psp_code", Text, comment="custody: whom the bank was told to charge through, as the bank calls them"),
    Column("attempt_ordinal", SmallInteger, comment="of its newest intent to pay; null: the first"),
    Column("failure_limit", JSONB(none_as_null=True), comment="of a refusal for a limit: what it told"),
    Column("checkout_id", Uuid, comment="of whose tries it is one"),
    Column("corrects", Uuid, comment="the payment whose money it takes as paid: its intent to pay is that one's"),
    Column("corrects_no", Text, comment="the PSP's number of that one's second transaction; null: its first"),
    PrimaryKeyConstraint("merchant_id", "payment_id", name="payments_pkey"),
    ForeignKeyConstraint(["merchant_id", "user_id"], ["users.merchant_id", "users.user_id"], name="payments_user_fkey"),
    ForeignKeyConstraint(["merchant_id", "card_id"], ["cards.merchant_id", "cards.card_id"], name="payments_card_fkey"),
    CheckConstraint("amount > 0", name="payments_amount_check"),
    CheckConstraint(f"status IN {STATUSES}", name="payments_status_check"),
    CheckConstraint("corrects IS NULL OR status = 'succeeded'", name="payments_corrects_check"),
    # Who is open is asked about, or its wait ends by our own clock. A final one may be watched for a while.
    CheckConstraint(
        f"status NOT IN {OPEN} OR due_at IS NOT NULL OR until_at IS NOT NULL", name="payments_agenda_check"
    ),
    CheckConstraint(f"status IN {OPEN} OR until_at IS NULL", name="payments_until_check"),
    CheckConstraint("due_at IS NOT NULL OR until_at IS NOT NULL OR lease_until IS NULL", name="payments_lease_check"),
    CheckConstraint(f"(status IN {OPEN}) = (finished_at IS NULL)", name="payments_finished_check"),
    CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="payments_failure_check"),
    CheckConstraint("(failure_code IS NULL) = (failure_blame IS NULL)", name="payments_blame_check"),
    CheckConstraint("status = 'failed' OR channel IS NOT NULL", name="payments_channel_check"),
    # Only the router refuses for a limit, and what it refuses has no channel.
    CheckConstraint(
        "failure_limit IS NULL OR (failure_code IS NOT NULL AND channel IS NULL)", name="payments_limit_check"
    ),
    CheckConstraint("(status = 'closed') = (closed_reason IS NOT NULL)", name="payments_closed_check"),
    CheckConstraint(
        "(channel IS NULL) = (channel_order_no IS NULL) AND (channel IS NULL) = (account IS NULL)",
        name="payments_number_check",
    ),
    # What a PSP is owed is known where the money has moved; a failed one may have a late success.
    CheckConstraint("status IN ('succeeded', 'failed', 'closed') OR fee IS NULL", name="payments_fee_check"),
    Index(
        "payments_due_idx",
        "merchant_id",
        text("least(due_at, until_at)"),
        postgresql_where=text("due_at IS NOT NULL OR until_at IS NOT NULL"),
    ),
    Index(
        "payments_channel_due_idx",
        "merchant_id",
        "channel",
        text("least(due_at, until_at)"),
        postgresql_where=text("due_at IS NOT NULL OR until_at IS NOT NULL"),
    ),
    # Withholds without a place on their channel: nothing else that is processing has no due. By age, and by their end.
    Index(
        "payments_waiting_idx",
        "merchant_id",
        "channel",
        "created_at",
        "payment_id",
        postgresql_where=text("status = 'processing' AND due_at IS NULL"),
    ),
    Index(
        "payments_waiting_until_idx",
        "merchant_id",
        "until_at",
        postgresql_where=text("status = 'processing' AND due_at IS NULL"),
    ),
    Index("payments_user_idx", "merchant_id", "user_id", "payment_id"),
    Index("payments_app_idx", "merchant_id", "app", "payment_id"),
    Index(
        "payments_authentication_idx",
        "merchant_id",
        "authentication_id",
        postgresql_where=text("authentication_id IS NOT NULL"),
    ),
    Index(
        "payments_checkout_idx",
        "merchant_id",
        "checkout_id",
        "payment_id",
        postgresql_where=text("checkout_id IS NOT NULL"),
    ),
    # A payer pays a checkout once at a time, whatever they press and in however many tabs.
    Index(
        "payments_checkout_key",
        "merchant_id",
        "checkout_id",
        unique=True,
        postgresql_where=text(f"checkout_id IS NOT NULL AND status IN {OPEN}"),
    ),
    # The same money is taken as paid once.
    Index(
        "payments_corrects_key",
        "merchant_id",
        "corrects",
        text("coalesce(corrects_no, '')"),
        unique=True,
        postgresql_where=text("corrects IS NOT NULL"),
    ),
    Index("payments_day_idx", "business_day", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
)

decisions = Table(
    "decisions",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("decision", JSONB, nullable=False),
    PrimaryKeyConstraint("merchant_id", "object_id", name="decisions_pkey"),
    comment="why this channel: written once, rarely read, so apart from what changes",
)

intents = Table(
    "intents",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("object_id", Uuid, nullable=False, comment="the payment, refund or authentication, by the verb"),
    Column("verb", Text, nullable=False),
    Column("ordinal", SmallInteger, nullable=False),
    Column("intent_id", Uuid, nullable=False, comment="drawn by whoever recorded it, who alone sends it"),
    Column("channel", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("number", Text, nullable=False, comment="of the order at the PSP"),
    moment("told_at"),
    moment("recorded_at"),
    Column("amount", BigInteger),
    Column("state", Text, nullable=False),
    Column("questions", Integer, nullable=False),
    Column("acknowledged", Boolean, nullable=False, comment="the PSP knows the order: not-found proves nothing"),
    Column("not_found", Integer, nullable=False),
    moment("not_found_since", nullable=True),
    Column("channel_transaction_no", Text),
    moment("channel_finished_at", nullable=True),
    Column("late_success", Boolean, nullable=False),
    Column("looks", SmallInteger, nullable=False),
    moment("ended_at", nullable=True),
    Column("continuation", LargeBinary, comment="what its answer gave to go on with, sealed by the card's key"),
    # One for each turn of each verb: a second `pay` of a payment is refused by the database.
    PrimaryKeyConstraint("merchant_id", "object_id", "verb", "ordinal", name="intents_pkey"),
    # An order at a PSP has one intent of each turn and verb. By it callbacks find theirs.
    UniqueConstraint("merchant_id", "account", "number", "verb", "ordinal", name="intents_number_key"),
    CheckConstraint(
        "verb IN ('authenticate', 'send_signing_code', 'send_payment_code', 'pay', 'refund', 'payout')",
        name="intents_verb_check",
    ),
    CheckConstraint("ordinal >= 1 AND (ordinal = 1 OR verb <> 'refund')", name="intents_ordinal_check"),
    CheckConstraint(
        "state IN ('open', 'done', 'returned', 'declined', 'not_sent', 'not_received', 'unknown')",
        name="intents_state_check",
    ),
    CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="intents_ended_check"),
    CheckConstraint(
        "(verb IN ('pay', 'refund', 'payout')) = (amount IS NOT NULL) AND (amount IS NULL OR amount > 0)",
        name="intents_amount_check",
    ),
    # Where money moves nothing is given up without proof.
    CheckConstraint("state <> 'unknown' OR verb NOT IN ('pay', 'refund', 'payout')", name="intents_unknown_check"),
    # Of those after the first, one at a time. That the first took nothing is looked at under the lock of the user.
    Index("intents_again_key", "merchant_id", "object_id", "verb", unique=True, postgresql_where=text(
        "ordinal > 1 AND state IN ('open', 'done') AND verb IN ('pay', 'authenticate', 'payout')")),
    # Operators look orders up by the PSP's own number.
    Index("intents_transaction_idx", "merchant_id", "channel_transaction_no",
          postgresql_where=text("channel_transaction_no IS NOT NULL")),
    # What was sent and what ended on a day, for reconciliation. They cost next to nothing and move no row.
    Index("intents_recorded_idx", "recorded_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    Index("intents_ended_idx", "ended_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"},
          postgresql_ops={"ended_at": "timestamptz_minmax_multi_ops"}),
    comment="each is sent to a PSP at most once, and asked about until proved",
)  # fmt: skip

refunds = Table(
    "refunds",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("refund_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("merchant_order_no", Text, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("failure_code", Text),
    Column("failure_blame", Text),
    Column("failure_advice", Text),
    Column("channel_code", Text),
    Column("channel_message", Text),
    Column("returned", Text, comment="why the money came back"),
    Column("metadata", JSONB, nullable=False),
    Column("sequence", Integer, nullable=False),
    moment("due_at", nullable=True),
    moment("lease_until", nullable=True),
    moment("created_at"),
    moment("finished_at", nullable=True),
    Column("business_day", Date, nullable=False),
    Column("channel", Text, comment="of its intent; null in refunds of before"),
    Column("anomaly_id", Uuid, comment="what proves that the money moved which it gives back"),
    Column("second_no", Text, comment="the PSP's number of the second transaction that it gives back"),
    Column("fee_returned", BigInteger, comment="what the PSP gives back of its fee, in fen; null: it did not say"),
    PrimaryKeyConstraint("merchant_id", "refund_id", name="refunds_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.payment_id"], name="refunds_payment_fkey"
    ),
    CheckConstraint("amount > 0", name="refunds_amount_check"),
    CheckConstraint("status IN ('processing', 'succeeded', 'failed', 'returned')", name="refunds_status_check"),
    CheckConstraint("status <> 'processing' OR due_at IS NOT NULL", name="refunds_agenda_check"),
    CheckConstraint("due_at IS NOT NULL OR lease_until IS NULL", name="refunds_lease_check"),
    CheckConstraint("(status = 'processing') = (finished_at IS NULL)", name="refunds_finished_check"),
    CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="refunds_failure_check"),
    CheckConstraint("(failure_code IS NULL) = (failure_blame IS NULL)", name="refunds_blame_check"),
    CheckConstraint("(status = 'returned') = (returned IS NOT NULL)", name="refunds_returned_check"),
    CheckConstraint("second_no IS NULL OR anomaly_id IS NOT NULL", name="refunds_second_check"),
    CheckConstraint("fee_returned >= 0", name="refunds_fee_returned_check"),
    Index("refunds_payment_idx", "merchant_id", "payment_id"),
    Index("refunds_due_idx", "merchant_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index(
        "refunds_channel_due_idx",
        "merchant_id",
        text("coalesce(channel, '')"),
        "due_at",
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

outflows = Table(
    "outflows",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False, comment="the payment's"),
    Column("refunded", BigInteger, nullable=False, comment="by refunds that are in flight or succeeded"),
    Column("settled", BigInteger, nullable=False, comment="paid on to others"),
    Column("excess", BigInteger, nullable=False, comment="by refunds that failed here and were done there, beyond it"),
    PrimaryKeyConstraint("merchant_id", "payment_id", name="outflows_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.payment_id"], name="outflows_payment_fkey"
    ),
    CheckConstraint("refunded >= 0 AND settled >= 0 AND excess >= 0", name="outflows_sign_check"),
    # Whatever runs at once, no more leaves a payment than came in.
    CheckConstraint("refunded + settled <= amount", name="outflows_rest_check"),
    comment="what has left a payment, in fen; written with its first refund",
)

second_outflows = Table(
    "second_outflows",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("anomaly_id", Uuid, nullable=False, comment="the transaction mismatch that tells of it"),
    Column("payment_id", Uuid, nullable=False, comment="what it was done for"),
    Column("amount", BigInteger, nullable=False, comment="the payment's"),
    Column("refunded", BigInteger, nullable=False, comment="by refunds that are in flight or succeeded"),
    Column("excess", BigInteger, nullable=False, comment="by refunds that failed here and were done there, beyond it"),
    PrimaryKeyConstraint("merchant_id", "anomaly_id", name="second_outflows_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "anomaly_id"], ["anomalies.merchant_id", "anomalies.anomaly_id"],
        name="second_outflows_anomaly_fkey",
    ),
    CheckConstraint("refunded >= 0 AND excess >= 0", name="second_outflows_sign_check"),
    CheckConstraint("refunded <= amount", name="second_outflows_rest_check"),
    comment="what has left the second transaction of a payment, in fen; written with its first refund",
)  # fmt: skip
