"""first_payment"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

tolerates = '0001'


def upgrade() -> None:
    op.create_table('anomalies',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('anomaly_id', sa.Uuid(), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('resolved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('resolved_by', sa.Text(), nullable=True),
    sa.Column('note', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('merchant_id', 'anomaly_id', name='anomalies_pkey'),
    sa.UniqueConstraint('merchant_id', 'payment_id', 'kind', name='anomalies_kind_key')
    )
    op.create_index('anomalies_open_idx', 'anomalies', ['merchant_id', 'anomaly_id'], unique=False, postgresql_where=sa.text('resolved_at IS NULL'))
    op.create_table('cards',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('card_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('fingerprint', sa.LargeBinary(), nullable=False, comment='HMAC of the four elements, key version in the row'),
    sa.Column('key_version', sa.SmallInteger(), nullable=False),
    sa.Column('elements', sa.LargeBinary(), nullable=False, comment='the four elements, AES-GCM'),
    sa.Column('masked', sa.Text(), nullable=False),
    sa.Column('bank', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('merchant_id', 'card_id', name='cards_pkey'),
    sa.UniqueConstraint('merchant_id', 'user_id', 'fingerprint', name='cards_fingerprint_key')
    )
    op.create_table('catalogue_versions',
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('changed_by', sa.Text(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('version', name='catalogue_versions_pkey'),
    comment='one row per change; the newest is what is in force, and decisions name it'
    )
    op.create_table('channel_usage',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('business_day', sa.Date(), nullable=False),
    sa.Column('reserved', sa.BigInteger(), nullable=False, comment='fen in flight: processing or requiring action'),
    sa.Column('succeeded', sa.BigInteger(), nullable=False, comment='fen that succeeded, late successes included'),
    sa.Column('insufficient', sa.Integer(), nullable=False, comment='attempts that failed with insufficient_balance'),
    sa.CheckConstraint('reserved >= 0 AND succeeded >= 0 AND insufficient >= 0', name='channel_usage_sign_check'),
    sa.PrimaryKeyConstraint('merchant_id', 'user_id', 'channel', 'business_day', name='channel_usage_pkey')
    )
    op.create_table('events',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('event_id', sa.Uuid(), nullable=False),
    sa.Column('app', sa.Text(), nullable=True),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('object_id', sa.Text(), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False, comment='the exact bytes that every delivery sends'),
    sa.Column('deliveries', sa.SmallInteger(), nullable=False, comment='how many endpoints it was written for'),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('merchant_id', 'event_id', name='events_pkey'),
    sa.UniqueConstraint('merchant_id', 'object_id', 'sequence', name='events_sequence_key')
    )
    op.create_table('last_attempts',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('attempt_id', sa.Uuid(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('blame', sa.Text(), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("status IN ('succeeded', 'failed')", name='last_attempts_status_check'),
    sa.PrimaryKeyConstraint('merchant_id', 'user_id', 'channel', name='last_attempts_pkey'),
    comment="the user's latest finished attempt per channel, by finish time then id"
    )
    op.create_table('merchants',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('last_attempt_max_age_s', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('merchant_id', name='merchants_pkey'),
    sa.UniqueConstraint('code', name='merchants_code_key')
    )
    op.create_table('observations',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('observation_id', sa.Uuid(), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('says', sa.Text(), nullable=False, comment='succeeded, declined, processing, unknown, not_found, ...'),
    sa.Column('channel_code', sa.Text(), nullable=True),
    sa.Column('channel_message', sa.Text(), nullable=True),
    sa.Column('observed_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('merchant_id', 'observation_id', name='observations_pkey'),
    comment='every word of a PSP about a payment, as it came'
    )
    op.create_index('observations_payment_idx', 'observations', ['merchant_id', 'payment_id'], unique=False)
    op.create_table('users',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('merchant_id', 'user_id', name='users_pkey'),
    comment="the lock: whatever changes a user's payments, cards or usage holds the user's row"
    )
    op.create_table('accounts',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('settings', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('secrets', sa.LargeBinary(), nullable=False, comment='JSON object of texts, encrypted'),
    sa.Column('pace', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='poll_gaps_s, not_found_answers, not_found_over_s, answer_timeout_s'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.merchant_id'], name='accounts_merchant_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'code', name='accounts_pkey')
    )
    op.create_table('agreements',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('card_id', sa.Uuid(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('agreement_no', sa.LargeBinary(), nullable=False, comment='AES-GCM'),
    sa.Column('key_version', sa.SmallInteger(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('verified_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('voided_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(status = 'void') = (voided_at IS NOT NULL)", name='agreements_void_check'),
    sa.CheckConstraint("status IN ('active', 'void')", name='agreements_status_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'card_id'], ['cards.merchant_id', 'cards.card_id'], name='agreements_card_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'card_id', 'account', name='agreements_pkey')
    )
    op.create_table('apps',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.merchant_id'], name='apps_merchant_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'code', name='apps_pkey')
    )
    op.create_table('authentications',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('authentication_id', sa.Uuid(), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=True),
    sa.Column('card_id', sa.Uuid(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('fee', sa.BigInteger(), nullable=False, comment='what this try costs, in fen'),
    sa.Column('channel_code', sa.Text(), nullable=True),
    sa.Column('channel_message', sa.Text(), nullable=True),
    sa.Column('contradicts', sa.Boolean(), nullable=False, comment='refused here though another account had verified the card'),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(status = 'processing') = (finished_at IS NULL)", name='authentications_finished_check'),
    sa.CheckConstraint("status IN ('processing', 'succeeded', 'rejected', 'unknown', 'not_sent')", name='authentications_status_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'card_id'], ['cards.merchant_id', 'cards.card_id'], name='authentications_card_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'authentication_id', name='authentications_pkey')
    )
    op.create_table('deliveries',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('event_id', sa.Uuid(), nullable=False),
    sa.Column('endpoint_id', sa.Uuid(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('tries', sa.SmallInteger(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_status', sa.SmallInteger(), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('delivered_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name='deliveries_delivered_check'),
    sa.CheckConstraint("(status = 'pending') = (due_at IS NOT NULL)", name='deliveries_due_check'),
    sa.CheckConstraint("status IN ('pending', 'delivered', 'dead')", name='deliveries_status_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'event_id'], ['events.merchant_id', 'events.event_id'], name='deliveries_event_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'event_id', 'endpoint_id', name='deliveries_pkey')
    )
    op.create_index('deliveries_dead_idx', 'deliveries', ['merchant_id', 'event_id'], unique=False, postgresql_where=sa.text("status = 'dead'"))
    op.create_index('deliveries_due_idx', 'deliveries', ['merchant_id', 'due_at'], unique=False, postgresql_where=sa.text("status = 'pending'"))
    op.create_table('payments',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=False),
    sa.Column('app', sa.Text(), nullable=False),
    sa.Column('merchant_order_no', sa.Text(), nullable=False),
    sa.Column('body_hash', sa.LargeBinary(), nullable=False, comment='HMAC of the canonical request'),
    sa.Column('hash_version', sa.SmallInteger(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('scene', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('card_id', sa.Uuid(), nullable=True),
    sa.Column('bank', sa.Text(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=True),
    sa.Column('fee', sa.BigInteger(), nullable=True),
    sa.Column('failure_code', sa.Text(), nullable=True),
    sa.Column('failure_blame', sa.Text(), nullable=True),
    sa.Column('channel_code', sa.Text(), nullable=True),
    sa.Column('channel_message', sa.Text(), nullable=True),
    sa.Column('decision', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('metadata', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('customer_present', sa.Boolean(), nullable=False),
    sa.Column('return_url', sa.Text(), nullable=True),
    sa.Column('expires_in_s', sa.Integer(), nullable=True),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('due_kind', sa.Text(), nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('business_day', sa.Date(), nullable=False),
    sa.CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name='payments_failure_check'),
    sa.CheckConstraint("(status IN ('processing', 'requires_action')) = (due_at IS NOT NULL) AND (due_at IS NULL) = (due_kind IS NULL)", name='payments_due_check'),
    sa.CheckConstraint("(status IN ('processing', 'requires_action')) = (finished_at IS NULL)", name='payments_finished_check'),
    sa.CheckConstraint("due_kind IN ('poll', 'expire')", name='payments_due_kind_check'),
    sa.CheckConstraint("status = 'failed' OR channel IS NOT NULL", name='payments_channel_check'),
    sa.CheckConstraint("status IN ('processing', 'requires_action', 'succeeded', 'failed', 'closed', 'returned')", name='payments_status_check'),
    sa.CheckConstraint('(failure_code IS NULL) = (failure_blame IS NULL)', name='payments_blame_check'),
    sa.CheckConstraint('amount > 0', name='payments_amount_check'),
    sa.CheckConstraint('due_at IS NOT NULL OR lease_until IS NULL', name='payments_lease_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'card_id'], ['cards.merchant_id', 'cards.card_id'], name='payments_card_fkey'),
    sa.ForeignKeyConstraint(['merchant_id', 'user_id'], ['users.merchant_id', 'users.user_id'], name='payments_user_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'payment_id', name='payments_pkey'),
    sa.UniqueConstraint('merchant_id', 'app', 'merchant_order_no', name='payments_order_key')
    )
    op.create_index('payments_due_idx', 'payments', ['merchant_id', 'due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('payments_user_idx', 'payments', ['merchant_id', 'user_id', 'payment_id'], unique=False)
    op.create_table('api_keys',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('key_id', sa.Uuid(), nullable=False),
    sa.Column('app', sa.Text(), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('key_hash', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id', 'app'], ['apps.merchant_id', 'apps.code'], name='api_keys_app_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'key_id', name='api_keys_pkey'),
    sa.UniqueConstraint('key_hash', name='api_keys_hash_key')
    )
    op.create_table('attempts',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('attempt_id', sa.Uuid(), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('stage', sa.Text(), nullable=False),
    sa.Column('authentication_id', sa.Uuid(), nullable=True),
    sa.Column('submitted_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('polls', sa.Integer(), nullable=False),
    sa.Column('acknowledged', sa.Boolean(), nullable=False, comment='the PSP knows the order: not-found proves nothing'),
    sa.Column('not_found', sa.Integer(), nullable=False),
    sa.Column('not_found_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('channel_transaction_no', sa.Text(), nullable=True),
    sa.Column('channel_finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('late_success', sa.Boolean(), nullable=False),
    sa.CheckConstraint("stage IN ('authenticating', 'paying')", name='attempts_stage_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'payment_id'], ['payments.merchant_id', 'payments.payment_id'], name='attempts_payment_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'attempt_id', name='attempts_pkey'),
    sa.UniqueConstraint('merchant_id', 'payment_id', name='attempts_payment_key')
    )
    op.create_table('channels',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('is_on', sa.Boolean(), nullable=False),
    sa.Column('authentication', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='bank code or * -> none|silent|sms|sms_each_payment'),
    sa.Column('authentication_fee', sa.BigInteger(), nullable=False),
    sa.Column('daily_total', sa.BigInteger(), nullable=True),
    sa.CheckConstraint('authentication_fee >= 0', name='channels_fee_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'account'], ['accounts.merchant_id', 'accounts.code'], name='channels_account_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'code', name='channels_pkey')
    )
    op.create_table('endpoints',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('endpoint_id', sa.Uuid(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('app', sa.Text(), nullable=True),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('event_types', postgresql.ARRAY(sa.Text()), nullable=True),
    sa.Column('allow_private', sa.Boolean(), nullable=False),
    sa.Column('secrets', sa.LargeBinary(), nullable=False, comment='JSON list of whsec_ texts, encrypted'),
    sa.Column('stopped_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('stopped_because', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id', 'app'], ['apps.merchant_id', 'apps.code'], name='endpoints_app_fkey'),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchants.merchant_id'], name='endpoints_merchant_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'endpoint_id', name='endpoints_pkey'),
    sa.UniqueConstraint('merchant_id', 'code', name='endpoints_code_key')
    )
    op.create_table('maintenance_windows',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('window_id', sa.Uuid(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.CheckConstraint('starts_at < ends_at', name='maintenance_windows_order_check'),
    sa.ForeignKeyConstraint(['merchant_id', 'channel'], ['channels.merchant_id', 'channels.code'], name='maintenance_windows_channel_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'window_id', name='maintenance_windows_pkey')
    )
    op.create_table('route_rules',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('scene', sa.Text(), nullable=False),
    sa.Column('bank', sa.Text(), nullable=False),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('fee', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('single_limit', sa.BigInteger(), nullable=True),
    sa.Column('daily_limit', sa.BigInteger(), nullable=True),
    sa.Column('daily_insufficient_limit', sa.Integer(), nullable=True),
    sa.Column('card_daily_limit', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['merchant_id', 'channel'], ['channels.merchant_id', 'channels.code'], name='route_rules_channel_fkey'),
    sa.PrimaryKeyConstraint('merchant_id', 'channel', 'scene', 'bank', name='route_rules_pkey')
    )


def downgrade() -> None:
    op.drop_table('route_rules')
    op.drop_table('maintenance_windows')
    op.drop_table('endpoints')
    op.drop_table('channels')
    op.drop_table('attempts')
    op.drop_table('api_keys')
    op.drop_index('payments_user_idx', table_name='payments')
    op.drop_index('payments_due_idx', table_name='payments', postgresql_where=sa.text('due_at IS NOT NULL'))
    op.drop_table('payments')
    op.drop_index('deliveries_due_idx', table_name='deliveries', postgresql_where=sa.text("status = 'pending'"))
    op.drop_index('deliveries_dead_idx', table_name='deliveries', postgresql_where=sa.text("status = 'dead'"))
    op.drop_table('deliveries')
    op.drop_table('authentications')
    op.drop_table('apps')
    op.drop_table('agreements')
    op.drop_table('accounts')
    op.drop_table('users')
    op.drop_index('observations_payment_idx', table_name='observations')
    op.drop_table('observations')
    op.drop_table('merchants')
    op.drop_table('last_attempts')
    op.drop_table('events')
    op.drop_table('channel_usage')
    op.drop_table('catalogue_versions')
    op.drop_table('cards')
    op.drop_index('anomalies_open_idx', table_name='anomalies', postgresql_where=sa.text('resolved_at IS NULL'))
    op.drop_table('anomalies')
