"""Limits and terms are one value each: what is set, as JSON, in place of a column for each limit and of `pace`.

The tables of the catalogue are small: each is written at once, under its own lock.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

tolerates = "0003"

LIMITS = {
    "route_rules": ("single_limit", "daily_limit", "daily_insufficient_limit", "card_daily_limit"),
    "channels": ("daily_total",),
}
CLASSES = {"route_rules": "RuleLimits", "channels": "ChannelLimits"}

# What `pace` said was said of payments, and its answer timeout of authentications, too, where a provider has them:
# of the first version's UnionPay had them alone.
TERMS = """
UPDATE accounts SET terms = jsonb_strip_nulls(jsonb_build_object(
    'payment', nullif(jsonb_strip_nulls(jsonb_build_object(
        'poll_gaps_s', pace -> 'poll_gaps_s',
        'not_found', CASE WHEN pace -> 'not_found_answers' IS NOT NULL THEN jsonb_build_object(
            'answers', pace -> 'not_found_answers', 'over_s', pace -> 'not_found_over_s') END,
        'answer_timeout_s', pace -> 'answer_timeout_s')), '{}'),
    'authentication', CASE WHEN provider = 'unionpay' AND pace -> 'answer_timeout_s' IS NOT NULL
        THEN jsonb_build_object('answer_timeout_s', pace -> 'answer_timeout_s') END))
WHERE pace <> '{}'
"""


def upgrade() -> None:
    for table, limits in LIMITS.items():
        _add(table, "limits", f"what is set of router.limits.{CLASSES[table]}")
        set_ = ", ".join(f"'{limit}', {limit}" for limit in limits)
        op.execute(f"UPDATE {table} SET limits = jsonb_strip_nulls(jsonb_build_object({set_}))")
        for limit in limits:
            op.drop_column(table, limit)
    _add("accounts", "terms", "product -> what the contract says otherwise")
    op.execute(TERMS)
    op.drop_column("accounts", "pace")


def _add(table: str, column: str, comment: str) -> None:
    op.add_column(table, sa.Column(column, JSONB(), nullable=False, server_default="{}", comment=comment))
    op.alter_column(table, column, server_default=None)
