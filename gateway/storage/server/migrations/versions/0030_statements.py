"""Statements of PSPs, the days that were held against them, and what differed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from gateway.storage.server.ddl import create_index

revision = '0030'
down_revision = '0029'
branch_labels = None
depends_on = None

# Programs of before neither write nor read these tables. What they cannot read is an observation of a statement.
tolerates = '0009'


def upgrade() -> None:
    op.create_table('statement_errands',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True, comment='why the last try brought nothing'),
    sa.Column('told_late', sa.Boolean(), nullable=False),
    sa.Column('began_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('due_at IS NULL OR done_at IS NULL', name='statement_errands_done_check'),
    sa.PrimaryKeyConstraint('merchant_id', 'account', 'day', name='statement_errands_pkey'),
    comment='statements to be fetched, each until it is there',
    if_not_exists=True
    )
    op.create_index('statement_errands_due_idx', 'statement_errands', ['merchant_id', 'due_at'], postgresql_where=sa.text('due_at IS NOT NULL'), if_not_exists=True)
    op.create_table('statement_lines',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('statement_id', sa.Uuid(), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False, comment='from 1, as they were read'),
    sa.Column('line', sa.Integer(), nullable=False, comment='of its file'),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('side', sa.Text(), nullable=False, comment='in, out or back: what of ours it can be about'),
    sa.Column('number', sa.Text(), nullable=True, comment='our number of the order at the PSP'),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('paid', sa.Boolean(), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=True),
    sa.Column('transaction_no', sa.Text(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('original', sa.Text(), nullable=True),
    comment='what a statement says, in one normal form; never changed',
    if_not_exists=True
    )
    op.create_index('statement_lines_idx', 'statement_lines', ['statement_id'], postgresql_using='brin', postgresql_with={'autosummarize': 'on'}, if_not_exists=True)
    op.create_table('statements',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('statement_id', sa.Uuid(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('version', sa.SmallInteger(), nullable=False),
    sa.Column('sha256', sa.Text(), nullable=False, comment='of its files, one after the other'),
    sa.Column('lines_sha256', sa.Text(), nullable=False, comment='of what its lines say: other bytes may say the same'),
    sa.Column('files', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='their names'),
    sa.Column('lines', sa.Integer(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False, comment='signed sum of what it says was paid, in fen'),
    sa.Column('loaded_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('loaded_by', sa.Text(), nullable=False),
    sa.Column('note', sa.Text(), nullable=True, comment='why it takes the place of the version before'),
    sa.Column('replaced_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('lines >= 0 AND version >= 1', name='statements_lines_check'),
    sa.CheckConstraint('version = 1 OR note IS NOT NULL', name='statements_note_check'),
    sa.PrimaryKeyConstraint('merchant_id', 'statement_id', name='statements_pkey'),
    sa.UniqueConstraint('merchant_id', 'account', 'day', 'version', name='statements_version_key'),
    if_not_exists=True
    )
    op.create_index('statements_in_force_key', 'statements', ['merchant_id', 'account', 'day'], unique=True, postgresql_where=sa.text('replaced_at IS NULL'), if_not_exists=True)
    op.create_table('differences',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('difference_id', sa.Uuid(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False, comment='of the statement that shows it'),
    sa.Column('statement_id', sa.Uuid(), nullable=False),
    sa.Column('class', sa.Text(), nullable=False),
    sa.Column('side', sa.Text(), nullable=False),
    sa.Column('number', sa.Text(), nullable=True),
    sa.Column('line', sa.Integer(), nullable=True, comment='of theirs; null: they have none'),
    sa.Column('ordinal', sa.Integer(), nullable=True),
    sa.Column('kind', sa.Text(), nullable=True),
    sa.Column('amount', sa.BigInteger(), nullable=True, comment='theirs, in fen'),
    sa.Column('paid', sa.Boolean(), nullable=True),
    sa.Column('fee', sa.BigInteger(), nullable=True),
    sa.Column('transaction_no', sa.Text(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('verb', sa.Text(), nullable=True, comment='of ours; null: we have none'),
    sa.Column('object_id', sa.Uuid(), nullable=True),
    sa.Column('turn', sa.SmallInteger(), nullable=True, comment='which intent of it'),
    sa.Column('our_amount', sa.BigInteger(), nullable=True),
    sa.Column('our_state', sa.Text(), nullable=True, comment='of the intent, when it was compared'),
    sa.Column('our_fee', sa.BigInteger(), nullable=True),
    sa.Column('our_done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('word', sa.Text(), nullable=True, comment='what our books are to hear of it'),
    sa.Column('told_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('became', sa.Text(), nullable=True, comment='of suspense: its class on the later day'),
    sa.Column('became_on', sa.Date(), nullable=True),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('resolved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('resolved_by', sa.Text(), nullable=True),
    sa.Column('note', sa.Text(), nullable=True),
    sa.Column('superseded_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('history', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='who resolved and re-opened it, when, and why'),
    sa.CheckConstraint(
        "CASE state WHEN 'open' THEN resolved_at IS NULL WHEN 'resolved' THEN resolved_at IS NOT NULL ELSE true END"
        " AND (state = 'superseded') = (superseded_at IS NOT NULL)",
        name="differences_resolved_check",
    ),
    sa.CheckConstraint("class IN ('matched', 'settled', 'lost', 'long', 'short', 'status_mismatch', 'duplicate', 'amount_mismatch', 'fee_mismatch', 'returned', 'suspense')", name='differences_class_check'),
    sa.CheckConstraint("state IN ('open', 'resolved', 'superseded')", name='differences_state_check'),
    sa.CheckConstraint('(resolved_at IS NULL) = (resolved_by IS NULL)', name='differences_resolved_by_check'),
    sa.CheckConstraint('ordinal IS NOT NULL OR object_id IS NOT NULL', name='differences_sides_check'),
    sa.CheckConstraint('told_at IS NULL OR word IS NOT NULL', name='differences_told_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'statement_id'], ['statements.merchant_id', 'statements.statement_id'], name='differences_statement_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'difference_id', name='differences_pkey'),
    comment='each line of theirs and entry of ours that is no plain match',
    if_not_exists=True
    )
    op.create_index('differences_day_idx', 'differences', ['merchant_id', 'account', 'day'], if_not_exists=True)
    op.create_index('differences_line_key', 'differences', ['merchant_id', 'statement_id', 'ordinal'], unique=True, postgresql_where=sa.text("ordinal IS NOT NULL AND became_on IS NULL AND state <> 'superseded'"), if_not_exists=True)
    op.create_index('differences_object_idx', 'differences', ['merchant_id', 'object_id'], postgresql_where=sa.text('object_id IS NOT NULL'), if_not_exists=True)
    op.create_index('differences_open_idx', 'differences', ['merchant_id', 'difference_id'], postgresql_where=sa.text("state = 'open'"), if_not_exists=True)
    op.create_index('differences_untold_idx', 'differences', ['merchant_id', 'difference_id'], postgresql_where=sa.text('word IS NOT NULL AND told_at IS NULL'), if_not_exists=True)
    op.create_table('reconciled_days',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('statement_id', sa.Uuid(), nullable=False),
    sa.Column('totals', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='by class and in all: counts and signed sums of both sides'),
    sa.Column('balanced', sa.Boolean(), nullable=False),
    sa.Column('ran_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ran_by', sa.Text(), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_by', sa.Text(), nullable=True),
    sa.CheckConstraint('(closed_at IS NULL) = (closed_by IS NULL)', name='reconciled_days_closed_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'statement_id'], ['statements.merchant_id', 'statements.statement_id'], name='reconciled_days_statement_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'account', 'day', name='reconciled_days_pkey'),
    if_not_exists=True
    )
    create_index("intents_recorded_idx", "intents", ["recorded_at"], using="brin", storage={"autosummarize": "on"})
    ended = sa.text("ended_at timestamptz_minmax_multi_ops")
    create_index("intents_ended_idx", "intents", [ended], using="brin", storage={"autosummarize": "on"})


def downgrade() -> None:
    op.drop_index("intents_recorded_idx")
    op.drop_index("intents_ended_idx")
    for table in ("reconciled_days", "differences", "statements", "statement_lines", "statement_errands"):
        op.drop_table(table)
