"""Users, their cards, and how these were authenticated."""

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
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.storage.tables.base import OPEN, STATUSES, metadata, moment

__all__ = ["agreements", "authentications", "cards", "code_counts", "silent_refusals", "unbindings", "users"]

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
    # Who else has this number, phone or ID: transaction rules look for it.
    Index("cards_number_idx", "merchant_id", "number_print", postgresql_where=text("number_print IS NOT NULL")),
    Index("cards_phone_idx", "merchant_id", "phone_print", postgresql_where=text("phone_print IS NOT NULL")),
    Index("cards_id_idx", "merchant_id", "id_print", postgresql_where=text("id_print IS NOT NULL")),
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
    Column("customer_present", Boolean, comment="somebody can type a code; null: true, or its payment says so"),
    Column("checkout_id", Uuid, comment="of whose tries it is one"),
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
    Index(
        "authentications_checkout_idx",
        "merchant_id",
        "checkout_id",
        "authentication_id",
        postgresql_where=text("checkout_id IS NOT NULL"),
    ),
    Index(
        "authentications_checkout_key",
        "merchant_id",
        "checkout_id",
        unique=True,
        postgresql_where=text(f"checkout_id IS NOT NULL AND status IN {OPEN}"),
    ),
    # Those of a day or a month, for reports. It costs next to nothing and moves no row.
    Index(
        "authentications_created_idx", "created_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}
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
