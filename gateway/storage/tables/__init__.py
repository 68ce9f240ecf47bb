"""The tables. `merchant_id` comes first in every key, so that the schema spreads over a cluster by merchant.

Invariants stand here as constraints. Errors are told apart by SQLSTATE and the prefix of the constraint's name.
Times, ids and JSON come from Python: there are no defaults, triggers or functions in the schema.
"""

from gateway.storage.tables.balances import balances
from gateway.storage.tables.base import metadata
from gateway.storage.tables.catalogue import (
    accounts,
    api_keys,
    apps,
    block_proposals,
    blocks,
    catalogue_versions,
    channels,
    endpoints,
    maintenance_windows,
    merchants,
    payout_rules,
    route_rules,
    transaction_rules,
)
from gateway.storage.tables.checkouts import checkouts
from gateway.storage.tables.limits import card_totals, channel_totals, channel_usage, last_attempts
from gateway.storage.tables.money import decisions, intents, orders, outflows, payments, refunds, second_outflows
from gateway.storage.tables.payers import (
    agreements,
    authentications,
    cards,
    code_counts,
    silent_refusals,
    unbindings,
    users,
)
from gateway.storage.tables.payouts import payout_days, payouts, return_lists, settles
from gateway.storage.tables.routes import routes
from gateway.storage.tables.running import processes, schema_versions
from gateway.storage.tables.statements import (
    differences,
    reconciled_days,
    statement_errands,
    statement_lines,
    statements,
)
from gateway.storage.tables.told import anomalies, deliveries, events, observations, strays
from gateway.storage.tables.transactions import transaction_hits, transaction_looks
from gateway.storage.tables.watching import alerts, channel_switches, event_counters, watches

__all__ = [
    "accounts",
    "agreements",
    "alerts",
    "anomalies",
    "api_keys",
    "apps",
    "authentications",
    "balances",
    "block_proposals",
    "blocks",
    "card_totals",
    "cards",
    "catalogue_versions",
    "channel_switches",
    "channel_totals",
    "channel_usage",
    "channels",
    "checkouts",
    "code_counts",
    "decisions",
    "deliveries",
    "differences",
    "endpoints",
    "event_counters",
    "events",
    "intents",
    "last_attempts",
    "maintenance_windows",
    "merchants",
    "metadata",
    "observations",
    "orders",
    "outflows",
    "payments",
    "payout_days",
    "payout_rules",
    "payouts",
    "processes",
    "reconciled_days",
    "refunds",
    "return_lists",
    "route_rules",
    "routes",
    "schema_versions",
    "second_outflows",
    "settles",
    "silent_refusals",
    "statement_errands",
    "statement_lines",
    "statements",
    "strays",
    "transaction_hits",
    "transaction_looks",
    "transaction_rules",
    "unbindings",
    "users",
    "watches",
]
