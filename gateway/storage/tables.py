"""The tables. `merchant_id` comes first in every key, so that the schema spreads over a cluster by merchant.

Invariants stand here as constraints. Errors are told apart by SQLSTATE and the prefix of the constraint's name.
Times, ids and JSON come from Python: there are no defaults, triggers or functions in the schema.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

STATUSES = "('processing', 'requires_action', 'succeeded', 'failed', 'closed')"
OPEN = "('processing', 'requires_action')"


def moment(name: str, *, nullable: bool = False) -> Column[object]:
    """An aware time, kept in UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


# --- which programs may run on this schema: written by migrations, read by every process ---

schema_versions = Table(
    "schema_versions",
    metadata,
    Column("revision", Text, nullable=False),
    Column("tolerates", Text, nullable=False, comment="the oldest revision whose programs run on this one's schema"),
    moment("applied_at"),
    PrimaryKeyConstraint("revision", name="schema_versions_pkey"),
)

# --- the processes that share the database, and so what a channel carries ---

processes = Table(
    "processes",
    metadata,
    Column("process_id", Uuid, nullable=False),
    moment("beat_at"),
    PrimaryKeyConstraint("process_id", name="processes_pkey"),
    comment="each process's last beat, by its own clock; a row that does not change is of a dead one",
)

# --- catalogue: small, read whole into memory, written in transactions of their own (reference tables) ---

catalogue_versions = Table(
    "catalogue_versions",
    metadata,
    Column("version", BigInteger, nullable=False),
    moment("changed_at"),
    Column("changed_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("version", name="catalogue_versions_pkey"),
    comment="one row per change; the newest is what is in force, and decisions name it",
)

merchants = Table(
    "merchants",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("last_attempt_max_age_s", BigInteger),
    Column("authentication_spread", BigInteger),
    Column("primary_signer", Text),
    Column("primary_signers", JSONB(none_as_null=True), comment="bank code -> channel"),
    Column("sms_per_phone_and_day", BigInteger),
    PrimaryKeyConstraint("merchant_id", name="merchants_pkey"),
    UniqueConstraint("code", name="merchants_code_key"),
)

apps = Table(
    "apps",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("merchant_id", "code", name="apps_pkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="apps_merchant_fkey"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("key_id", Uuid, nullable=False),
    Column("app", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    moment("created_at"),
    moment("revoked_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "key_id", name="api_keys_pkey"),
    UniqueConstraint("key_hash", name="api_keys_hash_key"),
    ForeignKeyConstraint(["merchant_id", "app"], ["apps.merchant_id", "apps.code"], name="api_keys_app_fkey"),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("endpoint_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("app", Text),
    Column("url", Text, nullable=False),
    Column("event_types", ARRAY(Text)),
    Column("allow_private", Boolean, nullable=False),
    Column("secrets", LargeBinary, nullable=False, comment="JSON list of whsec_ texts, encrypted"),
    moment("stopped_at", nullable=True),
    Column("stopped_because", Text),
    moment("started_at", nullable=True),
    moment("removed_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "endpoint_id", name="endpoints_pkey"),
    UniqueConstraint("merchant_id", "code", name="endpoints_code_key"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="endpoints_merchant_fkey"),
    ForeignKeyConstraint(["merchant_id", "app"], ["apps.merchant_id", "apps.code"], name="endpoints_app_fkey"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("secrets", LargeBinary, nullable=False, comment="JSON object of texts, encrypted"),
    Column("terms", JSONB, nullable=False, comment="product -> what the contract says otherwise"),
    PrimaryKeyConstraint("merchant_id", "code", name="accounts_pkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="accounts_merchant_fkey"),
)

channels = Table(
    "channels",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("is_on", Boolean, nullable=False),
    Column("authentication", JSONB, nullable=False, comment="bank code or * -> none|silent|sms|sms_each_payment"),
    Column("authentication_fee", BigInteger, nullable=False),
    Column("limits", JSONB, nullable=False, comment="what is set of router.limits.ChannelLimits"),
    PrimaryKeyConstraint("merchant_id", "code", name="channels_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "account"], ["accounts.merchant_id", "accounts.code"], name="channels_account_fkey"
    ),
    CheckConstraint("authentication_fee >= 0", name="channels_fee_check"),
)

maintenance_windows = Table(
    "maintenance_windows",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("window_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    moment("starts_at"),
    moment("ends_at"),
    Column("note", Text, nullable=False),
    Column("repeats", Text, comment="daily, weekly or monthly; none: once"),
    Column("banks", ARRAY(Text), comment="none: all of them"),
    Column("scenes", ARRAY(Text), comment="none: all of them"),
    PrimaryKeyConstraint("merchant_id", "window_id", name="maintenance_windows_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "channel"], ["channels.merchant_id", "channels.code"], name="maintenance_windows_channel_fkey"
    ),
    CheckConstraint("starts_at < ends_at", name="maintenance_windows_order_check"),
    # It has ended when it begins again.
    CheckConstraint(
        "CASE repeats WHEN 'daily' THEN ends_at - starts_at < interval '24 hours' "
        "WHEN 'weekly' THEN ends_at - starts_at < interval '168 hours' "
        "WHEN 'monthly' THEN ends_at - starts_at < interval '672 hours' ELSE repeats IS NULL END",
        name="maintenance_windows_repeats_check",
    ),
    CheckConstraint(
        "cardinality(banks) IS DISTINCT FROM 0 AND cardinality(scenes) IS DISTINCT FROM 0",
        name="maintenance_windows_limited_check",
    ),
)

_BLOCK_KINDS = "kind IN ('user', 'card_no', 'id_no', 'phone')"

blocks = Table(
    "blocks",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("block_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("print", LargeBinary, nullable=False, comment="of the value, under the order key"),
    Column("masked", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by_file", Boolean, nullable=False, comment="it leaves the list when it leaves the catalogue file"),
    Column("added_by", Text, nullable=False),
    moment("added_at"),
    moment("expires_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "block_id", name="blocks_pkey"),
    UniqueConstraint("merchant_id", "kind", "print", name="blocks_print_key"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="blocks_merchant_fkey"),
    CheckConstraint(_BLOCK_KINDS, name="blocks_kind_check"),
    Index("blocks_kind_idx", "merchant_id", "kind", "block_id"),
    comment="no payment is taken from these; read by print, and only where a merchant has any",
)

block_proposals = Table(
    "block_proposals",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("proposal_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("print", LargeBinary, nullable=False),
    Column("masked", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    moment("proposed_at"),
    Column("decided_by", Text),
    moment("decided_at", nullable=True),
    Column("note", Text),
    PrimaryKeyConstraint("merchant_id", "proposal_id", name="block_proposals_pkey"),
    UniqueConstraint("merchant_id", "kind", "print", name="block_proposals_print_key"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="block_proposals_merchant_fkey"),
    CheckConstraint(_BLOCK_KINDS, name="block_proposals_kind_check"),
    CheckConstraint(
        "CASE state WHEN 'proposed' THEN decided_by IS NULL AND decided_at IS NULL "
        "WHEN 'rejected' THEN decided_by IS NOT NULL AND decided_at IS NOT NULL ELSE false END",
        name="block_proposals_decided_check",
    ),
    Index("block_proposals_state_idx", "merchant_id", "state", "proposal_id"),
    comment="wait for a person and block nothing; one that is accepted moves to blocks",
)

route_rules = Table(
    "route_rules",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("scene", Text, nullable=False),
    Column("bank", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("fee", JSONB, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("limits", JSONB, nullable=False, comment="what is set of router.limits.RuleLimits"),
    PrimaryKeyConstraint("merchant_id", "channel", "scene", "bank", name="route_rules_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "channel"], ["channels.merchant_id", "channels.code"], name="route_rules_channel_fkey"
    ),
)

# --- the books: spread by merchant_id ---

users = Table(
    "users",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("user_id", Text, nullable=False),
    moment("created_at"),
    PrimaryKeyConstraint("merchant_id", "user_id", name="users_pkey"),
    comment="the lock: whatever changes a user's payments, cards or usage holds the user's row",
)

cards = Table(
    "cards",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("card_id", Uuid, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("data_key", LargeBinary, comment="the card's own key, wrapped by a key of the ring"),
    Column("elements", LargeBinary, comment="the four elements under the card's own key, AES-GCM"),
    Column("print", LargeBinary, comment="keyed print of the four elements in one form: finds the card"),
    Column("number_print", LargeBinary),
    Column("phone_print", LargeBinary),
    Column("id_print", LargeBinary),
    Column("same_as", Uuid, comment="the card that is found in this one's place: the same one, typed differently"),
    Column("fingerprint", LargeBinary, comment="the first version's print; until the card is rewritten"),
    Column("key_version", SmallInteger, comment="the ring's key of the fingerprint"),
    Column("masked", Text, nullable=False),
    Column("bank", Text, nullable=False),
    moment("created_at"),
    moment("erased_at", nullable=True),
    moment("hidden_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "card_id", name="cards_pkey"),
    CheckConstraint("(erased_at IS NULL) = (elements IS NOT NULL)", name="cards_elements_check"),
    CheckConstraint(
        "erased_at IS NULL OR num_nonnulls(data_key, print, number_print, phone_print, id_print, fingerprint) = 0",
        name="cards_erased_check",
    ),
    CheckConstraint("(fingerprint IS NULL) = (key_version IS NULL)", name="cards_fingerprint_check"),
    CheckConstraint("same_as IS NULL OR (print IS NULL AND fingerprint IS NULL)", name="cards_same_as_check"),
    # One card for each print of a user. One that is the same as another has none, and is not found.
    Index(
        "cards_print_key", "merchant_id", "user_id", "print", unique=True, postgresql_where=text("print IS NOT NULL")
    ),
    # Empty as soon as `sluice cards rewrap` is done.
    Index(
        "cards_first_version_idx",
        "merchant_id",
        "user_id",
        "masked",
        postgresql_where=text("fingerprint IS NOT NULL"),
    ),
    Index("cards_same_as_idx", "merchant_id", "same_as", postgresql_where=text("same_as IS NOT NULL")),
    Index("cards_masked_idx", "merchant_id", "masked"),
)

agreements = Table(
    "agreements",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("card_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("agreement_no", LargeBinary, comment="AES-GCM"),
    Column("key_version", SmallInteger, nullable=False, comment="0: under the card's own key; else the ring's key"),
    Column("status", Text, nullable=False),
    moment("verified_at"),
    moment("voided_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "card_id", "account", name="agreements_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "card_id"], ["cards.merchant_id", "cards.card_id"], name="agreements_card_fkey"
    ),
    # `unbinding`: the user gave it up, and the PSP is told until it says so.
    CheckConstraint("status IN ('active', 'unbinding', 'void')", name="agreements_status_check"),
    CheckConstraint("(status = 'void') = (voided_at IS NOT NULL)", name="agreements_void_check"),
    CheckConstraint("status = 'void' OR agreement_no IS NOT NULL", name="agreements_number_check"),
)

# --- orders: the arbiter of what an app calls by a number of its own, over every kind of object ---

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
    Column("attempt_ordinal", SmallInteger, comment="of its newest intent to pay; null: the first"),
    PrimaryKeyConstraint("merchant_id", "payment_id", name="payments_pkey"),
    ForeignKeyConstraint(["merchant_id", "user_id"], ["users.merchant_id", "users.user_id"], name="payments_user_fkey"),
    ForeignKeyConstraint(["merchant_id", "card_id"], ["cards.merchant_id", "cards.card_id"], name="payments_card_fkey"),
    CheckConstraint("amount > 0", name="payments_amount_check"),
    CheckConstraint(f"status IN {STATUSES}", name="payments_status_check"),
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
        "verb IN ('authenticate', 'send_signing_code', 'send_payment_code', 'pay', 'refund')",
        name="intents_verb_check",
    ),
    CheckConstraint("ordinal >= 1 AND (ordinal = 1 OR verb <> 'refund')", name="intents_ordinal_check"),
    CheckConstraint(
        "state IN ('open', 'done', 'returned', 'declined', 'not_sent', 'not_received', 'unknown')",
        name="intents_state_check",
    ),
    CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="intents_ended_check"),
    CheckConstraint("(verb IN ('pay', 'refund')) = (amount IS NOT NULL) AND (amount IS NULL OR amount > 0)",
                    name="intents_amount_check"),
    # Where money moves nothing is given up without proof.
    CheckConstraint("state <> 'unknown' OR verb NOT IN ('pay', 'refund')", name="intents_unknown_check"),
    # Of those after the first, one at a time. That the first took nothing is looked at under the lock of the user.
    Index("intents_again_key", "merchant_id", "object_id", "verb", unique=True,
          postgresql_where=text("ordinal > 1 AND state IN ('open', 'done') AND verb IN ('pay', 'authenticate')")),
    # Operators look orders up by the PSP's own number.
    Index("intents_transaction_idx", "merchant_id", "channel_transaction_no",
          postgresql_where=text("channel_transaction_no IS NOT NULL")),
    comment="each is sent to a PSP at most once, and asked about until proved",
)  # fmt: skip

authentications = Table(
    "authentications",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("authentication_id", Uuid, nullable=False),
    Column("payment_id", Uuid, comment="the payment that started it"),
    Column("user_id", Text, nullable=False),
    Column("card_id", Uuid, nullable=False),
    Column("bank", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("fee", BigInteger, nullable=False, comment="what this try costs, in fen"),
    Column("failure_code", Text),
    Column("failure_blame", Text),
    Column("failure_advice", Text),
    Column("channel_code", Text),
    Column("channel_message", Text),
    Column("contradicts", Boolean, nullable=False, comment="refused here though another account had verified the card"),
    moment("due_at", nullable=True),
    moment("lease_until", nullable=True),
    moment("created_at"),
    moment("finished_at", nullable=True),
    Column("asked", JSONB, comment="the code that the payer is asked for: domain.codes.Asked; null: silent"),
    moment("until_at", nullable=True),
    Column("closed_reason", Text),
    Column("intent_ordinal", SmallInteger, comment="of its newest intent that binds; null: the first"),
    Column("app", Text, comment="who asked for it by itself; null: a payment needs it"),
    Column("merchant_order_no", Text),
    Column("sequence", Integer),
    Column("expires_in_s", Integer),
    Column("metadata", JSONB),
    PrimaryKeyConstraint("merchant_id", "authentication_id", name="authentications_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "card_id"], ["cards.merchant_id", "cards.card_id"], name="authentications_card_fkey"
    ),
    CheckConstraint(f"status IN {STATUSES}", name="authentications_status_check"),
    CheckConstraint(f"(status IN {OPEN}) = (finished_at IS NULL)", name="authentications_finished_check"),
    CheckConstraint(f"status NOT IN {OPEN} OR due_at IS NOT NULL", name="authentications_agenda_check"),
    CheckConstraint("due_at IS NOT NULL OR lease_until IS NULL", name="authentications_lease_check"),
    CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="authentications_failure_check"),
    CheckConstraint("(failure_code IS NULL) = (failure_blame IS NULL)", name="authentications_blame_check"),
    CheckConstraint("(status = 'closed') = (closed_reason IS NOT NULL)", name="authentications_closed_check"),
    CheckConstraint("(app IS NULL) = (merchant_order_no IS NULL)", name="authentications_app_check"),
    # One code at a time binds a card, whoever asked for it and on whatever account.
    Index(
        "authentications_signing_key",
        "merchant_id",
        "card_id",
        unique=True,
        postgresql_where=text(f"status IN {OPEN} AND asked IS NOT NULL"),
    ),
    Index(
        "authentications_app_idx", "merchant_id", "app", "authentication_id", postgresql_where=text("app IS NOT NULL")
    ),
    # One authentication of a card on an account is in flight at a time: each costs money.
    Index(
        "authentications_open_key",
        "merchant_id",
        "card_id",
        "account",
        unique=True,
        postgresql_where=text(f"status IN {OPEN}"),
    ),
    Index("authentications_due_idx", "merchant_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index(
        "authentications_channel_due_idx",
        "merchant_id",
        "channel",
        "due_at",
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

code_counts = Table(
    "code_counts",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("phone_print", LargeBinary, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("sent", Integer, nullable=False, comment="SMS asked for, by whatever user, card and channel"),
    PrimaryKeyConstraint("merchant_id", "phone_print", "business_day", name="code_counts_pkey"),
    CheckConstraint("sent > 0", name="code_counts_sent_check"),
)

silent_refusals = Table(
    "silent_refusals",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("bank", Text, nullable=False),
    Column("channel_code", Text),
    moment("refused_at"),
    PrimaryKeyConstraint("merchant_id", "account", "bank", name="silent_refusals_pkey"),
    comment="banks whose cards the account does not bind silently, until an operator clears it",
)

unbindings = Table(
    "unbindings",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("card_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    moment("asked_at"),
    moment("due_at", nullable=True),
    moment("lease_until", nullable=True),
    Column("ended", Text, comment="unbound, refused or given_up"),
    PrimaryKeyConstraint("merchant_id", "card_id", "account", name="unbindings_pkey"),
    CheckConstraint("(ended IS NULL) = (due_at IS NOT NULL)", name="unbindings_due_check"),
    Index("unbindings_due_idx", "merchant_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    comment="agreements that users gave up: told to the PSP until it says so; safe to repeat",
)

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

channel_usage = Table(
    "channel_usage",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("reserved", BigInteger, nullable=False, comment="fen in flight: processing or requiring action"),
    Column("succeeded", BigInteger, nullable=False, comment="fen that succeeded, late successes included"),
    Column("insufficient", Integer, nullable=False, comment="attempts that failed with insufficient_balance"),
    PrimaryKeyConstraint("merchant_id", "user_id", "channel", "business_day", name="channel_usage_pkey"),
    # A release that was never reserved, or one that comes twice, is refused by the database.
    CheckConstraint("reserved >= 0 AND succeeded >= 0 AND insufficient >= 0", name="channel_usage_sign_check"),
    # Rows of one day lie together: it finds them, and costs next to nothing to keep.
    Index(
        "channel_usage_day_idx",
        "business_day",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    ),
)

channel_totals = Table(
    "channel_totals",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("part", Uuid, nullable=False, comment="begins with the time; one process counts into it for a minute"),
    Column("channel", Text, nullable=False),
    Column("used", BigInteger, nullable=False, comment="fen, of all users; one part alone may be negative"),
    PrimaryKeyConstraint("merchant_id", "business_day", "part", "channel", name="channel_totals_pkey"),
    comment="what is used of channels whose limit counts all users together: the sum of a day's parts",
)

card_totals = Table(
    "card_totals",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("business_day", Date, nullable=False),
    Column("number_print", LargeBinary, nullable=False, comment="keyed print of the card number alone"),
    Column("channel", Text, nullable=False),
    Column("used", BigInteger, nullable=False, comment="fen, by whoever used the number"),
    PrimaryKeyConstraint("merchant_id", "business_day", "number_print", "channel", name="card_totals_pkey"),
    comment="what is used of a card number on channels with a limit of each card",
)

last_attempts = Table(
    "last_attempts",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("payment_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("blame", Text),
    moment("finished_at"),
    PrimaryKeyConstraint("merchant_id", "user_id", "channel", name="last_attempts_pkey"),
    CheckConstraint("status IN ('succeeded', 'failed')", name="last_attempts_status_check"),
    # What we ourselves kept from being sent says nothing of the channel.
    CheckConstraint("blame <> 'platform'", name="last_attempts_blame_check"),
    comment="the user's latest finished attempt per channel, by finish time then id",
)

observations = Table(
    "observations",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("observation_id", Uuid, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("verb", Text, nullable=False, comment="which intent of the object"),
    Column("source", Text, nullable=False),
    Column("says", Text, nullable=False, comment="succeeded, declined, processing, unknown, not_found, ..."),
    Column("channel_code", Text),
    Column("channel_message", Text),
    Column("note", Text, comment="of an operator: who says so, and where the PSP's word stands"),
    moment("observed_at"),
    Column("times", Integer, comment="how often it was heard; null: once"),
    moment("last_at", nullable=True),
    Column("last_ids", ARRAY(Uuid), comment="what was counted last, so that none is counted twice"),
    PrimaryKeyConstraint("merchant_id", "observation_id", name="observations_pkey"),
    Index("observations_object_idx", "merchant_id", "object_id"),
    comment="every word of a PSP about an intent, as it came; one that says nothing new is counted",
)

anomalies = Table(
    "anomalies",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("anomaly_id", Uuid, nullable=False),
    Column("object", Text, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("source", Text, nullable=False),
    moment("found_at"),
    moment("resolved_at", nullable=True),
    Column("resolved_by", Text),
    Column("note", Text),
    PrimaryKeyConstraint("merchant_id", "anomaly_id", name="anomalies_pkey"),
    UniqueConstraint("merchant_id", "object_id", "kind", name="anomalies_kind_key"),
    Index("anomalies_open_idx", "merchant_id", "anomaly_id", postgresql_where=text("resolved_at IS NULL")),
)

strays = Table(
    "strays",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("says", Text, nullable=False),
    Column("amount", BigInteger),
    Column("channel_transaction_no", Text),
    Column("channel_code", Text),
    Column("channel_message", Text),
    moment("heard_at"),
    # The same word that comes again says nothing new.
    PrimaryKeyConstraint("merchant_id", "account", "number", "verb", "says", name="strays_pkey"),
    comment="what a PSP told, signed, of orders that nobody here asked for",
)

events = Table(
    "events",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("app", Text),
    Column("type", Text, nullable=False),
    Column("object", Text, nullable=False, comment="what it is about: payment, refund"),
    Column("object_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the exact bytes that every delivery sends"),
    Column("deliveries", SmallInteger, nullable=False, comment="how many endpoints it was written for"),
    moment("created_at"),
    PrimaryKeyConstraint("merchant_id", "event_id", name="events_pkey"),
    # Exactly one event per change of an object.
    UniqueConstraint("merchant_id", "object_id", "sequence", name="events_sequence_key"),
    Index("events_app_idx", "merchant_id", "app", "event_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("endpoint_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    moment("due_at", nullable=True),
    moment("lease_until", nullable=True),
    Column("last_status", SmallInteger),
    Column("last_error", Text),
    moment("delivered_at", nullable=True),
    PrimaryKeyConstraint("merchant_id", "event_id", "endpoint_id", name="deliveries_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "event_id"], ["events.merchant_id", "events.event_id"], name="deliveries_event_fkey"
    ),
    CheckConstraint("status IN ('pending', 'delivered', 'dead', 'held', 'discarded')", name="deliveries_status_check"),
    CheckConstraint("(status = 'pending') = (due_at IS NOT NULL)", name="deliveries_due_check"),
    CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name="deliveries_delivered_check"),
    Index("deliveries_dead_idx", "merchant_id", "event_id", postgresql_where=text("status = 'dead'")),
    Index("deliveries_due_idx", "merchant_id", "due_at", postgresql_where=text("status = 'pending'")),
    # Each endpoint's own line: a long one stands before nobody else's.
    Index(
        "deliveries_endpoint_idx",
        "merchant_id",
        "endpoint_id",
        "due_at",
        postgresql_where=text("status = 'pending'"),
    ),
    Index("deliveries_held_idx", "merchant_id", "endpoint_id", "event_id", postgresql_where=text("status = 'held'")),
)
