"""The catalogue: small, read whole into memory, written in transactions of their own (reference tables)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from gateway.storage.tables.base import metadata, moment

__all__ = [
    "accounts",
    "api_keys",
    "apps",
    "block_proposals",
    "blocks",
    "catalogue_versions",
    "channels",
    "endpoints",
    "maintenance_windows",
    "merchants",
    "payout_rules",
    "route_rules",
    "transaction_rules",
]

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
    Column("unresolved_counts_after_s", BigInteger),
    Column("authentication_spread", BigInteger),
    Column("primary_signer", Text),
    Column("primary_signers", JSONB(none_as_null=True), comment="bank code -> channel"),
    Column("sms_per_phone_and_day", BigInteger),
    Column("watch", JSONB(none_as_null=True), comment="how channels are watched, where not as by default"),
    PrimaryKeyConstraint("merchant_id", name="merchants_pkey"),
    UniqueConstraint("code", name="merchants_code_key"),
)

apps = Table(
    "apps",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("return_hosts", JSONB(none_as_null=True), comment="hosts that payers may be sent back to, in one form"),
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
    Column("balance_alert_below", BigInteger, comment="in fen; somebody is told when the account has less"),
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
    Column("psp_code", Text, comment="custody: whom the bank is to charge through, as the bank calls them"),
    Column(
        "authentication_fees", JSONB(none_as_null=True), comment="list of {effective_from, fee}, fees of later days"
    ),
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
    Column("daily_insufficient_by", Text, comment="card: each card number counts for itself; null: the user"),
    Column("fees", JSONB(none_as_null=True), comment="list of {effective_from, fee}, fees of later business days"),
    PrimaryKeyConstraint("merchant_id", "channel", "scene", "bank", name="route_rules_pkey"),
    CheckConstraint("daily_insufficient_by = 'card'", name="route_rules_insufficient_check"),
    ForeignKeyConstraint(
        ["merchant_id", "channel"], ["channels.merchant_id", "channels.code"], name="route_rules_channel_fkey"
    ),
)

payout_rules = Table(
    "payout_rules",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("payee", Text, nullable=False, comment="personal or corporate"),
    Column("bank", Text, nullable=False, comment="*: every bank that has no rule of its own"),
    Column("enabled", Boolean, nullable=False),
    Column("fee", JSONB, nullable=False),
    Column("single_limit", BigInteger),
    Column("daily_limit", BigInteger, comment="of the channel in one business day, over all its payouts"),
    Column("windows", JSONB(none_as_null=True), comment="list of {opens, closes, days}; none: always open"),
    Column("fees", JSONB(none_as_null=True), comment="list of {effective_from, fee}, fees of later business days"),
    PrimaryKeyConstraint("merchant_id", "channel", "payee", "bank", name="payout_rules_pkey"),
    ForeignKeyConstraint(
        ["merchant_id", "channel"], ["channels.merchant_id", "channels.code"], name="payout_rules_channel_fkey"
    ),
    CheckConstraint("payee IN ('personal', 'corporate')", name="payout_rules_payee_check"),
    CheckConstraint("single_limit > 0 AND daily_limit > 0", name="payout_rules_limits_check"),
    CheckConstraint(
        "CASE jsonb_typeof(windows) WHEN 'array' THEN jsonb_array_length(windows) > 0 ELSE windows IS NULL END",
        name="payout_rules_windows_check",
    ),
)

transaction_rules = Table(
    "transaction_rules",
    metadata,
    Column("merchant_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("filter", JSONB, nullable=False, comment="what is given of domain.transaction_rules.TransactionFilter"),
    Column("key", Text, nullable=False, comment="by what rows are gathered"),
    Column("distinct", Text, comment="what is counted instead of rows"),
    Column("window_s", Integer, nullable=False),
    Column("at_least", Integer),
    Column("sum_at_least", BigInteger, comment="in fen"),
    Column("then", Text, nullable=False),
    PrimaryKeyConstraint("merchant_id", "code", name="transaction_rules_pkey"),
    ForeignKeyConstraint(["merchant_id"], ["merchants.merchant_id"], name="transaction_rules_merchant_fkey"),
    CheckConstraint(
        "key IN ('user', 'card', 'phone', 'id_no', 'bank', 'channel', 'app', 'payee')",
        name="transaction_rules_key_check",
    ),
    CheckConstraint("\"distinct\" IN ('cards', 'users', 'kinds')", name="transaction_rules_distinct_check"),
    CheckConstraint("\"then\" IN ('alert', 'propose_block')", name="transaction_rules_then_check"),
    CheckConstraint("window_s BETWEEN 1 AND 604800", name="transaction_rules_window_check"),
    CheckConstraint(
        "num_nonnulls(at_least, sum_at_least) = 1 AND coalesce(at_least, sum_at_least) > 0",
        name="transaction_rules_threshold_check",
    ),
)
