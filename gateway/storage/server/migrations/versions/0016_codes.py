"""Codes by SMS: what payers are asked for, several intents of one verb, and agreements that users give up.

A program of before goes on. It asks for no codes; a catalogue that wants them is applied when all programs are new.
"""

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import create_index, validate

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

tolerates = "0009"

OPEN = "('processing', 'requires_action')"

COLUMNS = {
    "payments": ["asked jsonb", "closed_reason text", "attempt_ordinal smallint"],
    "intents": ["continuation bytea"],
    "cards": ["hidden_at timestamptz"],
    "authentications": [
        "asked jsonb",
        "until_at timestamptz",
        "closed_reason text",
        "intent_ordinal smallint",
        "app text",
        "merchant_order_no text",
        "sequence integer",
        "expires_in_s integer",
        "metadata jsonb",
    ],
}
COMMENTS = {
    "payments.asked": "the code that the payer is asked for, or will be: domain.codes.Asked",
    "payments.attempt_ordinal": "of its newest intent to pay; null: the first",
    "intents.continuation": "what its answer gave to go on with, sealed by the card's key",
    "authentications.asked": "the code that the payer is asked for: domain.codes.Asked; null: silent",
    "authentications.intent_ordinal": "of its newest intent that binds; null: the first",
    "authentications.app": "who asked for it by itself; null: a payment needs it",
}
CHECKS = {
    "payments": {"payments_closed_check": "(status = 'closed') = (closed_reason IS NOT NULL)"},
    "agreements": {"agreements_status_check": "status IN ('active', 'unbinding', 'void')"},
    "intents": {
        "intents_verb_check": "verb IN ('authenticate', 'send_signing_code', 'send_payment_code', 'pay', 'refund')",
        "intents_ordinal_check": "ordinal >= 1 AND (ordinal = 1 OR verb <> 'refund')",
        "intents_amount_check": (
            "(verb IN ('pay', 'refund')) = (amount IS NOT NULL) AND (amount IS NULL OR amount > 0)"
        ),
        "intents_unknown_check": "state <> 'unknown' OR verb NOT IN ('pay', 'refund')",
    },
    "authentications": {
        "authentications_closed_check": "(status = 'closed') = (closed_reason IS NOT NULL)",
        "authentications_app_check": "(app IS NULL) = (merchant_order_no IS NULL)",
    },
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        adding = ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in columns)
        op.execute(f"ALTER TABLE {table} {adding}")
    for column, comment in COMMENTS.items():
        op.execute(sa.text(f"COMMENT ON COLUMN {column} IS '{comment.replace(chr(39), chr(39) * 2)}'"))
    for table, checks in CHECKS.items():
        for name, condition in checks.items():
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    # No program of before closes anything that nobody waited for.
    for table in ("payments", "authentications"):
        op.execute(f"UPDATE {table} SET closed_reason = 'expired' WHERE status = 'closed' AND closed_reason IS NULL")
    _new_tables()
    for table, checks in CHECKS.items():
        for name in checks:
            validate(name, table)
    create_index(
        "intents_again_key",
        "intents",
        ["merchant_id", "object_id", "verb"],
        unique=True,
        where="ordinal > 1 AND state IN ('open', 'done') AND verb IN ('pay', 'authenticate')",
    )
    create_index(
        "authentications_signing_key",
        "authentications",
        ["merchant_id", "card_id"],
        unique=True,
        where=f"status IN {OPEN} AND asked IS NOT NULL",
    )
    create_index(
        "authentications_app_idx",
        "authentications",
        ["merchant_id", "app", "authentication_id"],
        where="app IS NOT NULL",
    )
    create_index("unbindings_due_idx", "unbindings", ["merchant_id", "due_at"], where="due_at IS NOT NULL")


def _new_tables() -> None:
    op.create_table(
        "code_counts",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("phone_print", sa.LargeBinary(), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False, comment="SMS asked for, by whatever user, card and channel"),
        sa.PrimaryKeyConstraint("merchant_id", "phone_print", "business_day", name="code_counts_pkey"),
        sa.CheckConstraint("sent > 0", name="code_counts_sent_check"),
        if_not_exists=True,
    )
    op.create_table(
        "silent_refusals",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column("channel_code", sa.Text()),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("merchant_id", "account", "bank", name="silent_refusals_pkey"),
        comment="banks whose cards the account does not bind silently, until an operator clears it",
        if_not_exists=True,
    )
    op.create_table(
        "unbindings",
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("card_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("ended", sa.Text(), comment="unbound, refused or given_up"),
        sa.PrimaryKeyConstraint("merchant_id", "card_id", "account", name="unbindings_pkey"),
        sa.CheckConstraint("(ended IS NULL) = (due_at IS NOT NULL)", name="unbindings_due_check"),
        comment="agreements that users gave up: told to the PSP until it says so; safe to repeat",
        if_not_exists=True,
    )
