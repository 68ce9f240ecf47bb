"""Every constraint of `tables`, violated by raw SQL: the database itself refuses what must not be, by name.

A world with one valid row in each table is the start; each case copies a row and breaks one thing. Keys and unique
indexes come from the tables' own description; what a CHECK refuses is written here. And what the constraints must let
through. Not tested here: NOT NULL, other indexes, who writes the rows.
"""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
)

from gateway.storage.tables import metadata
from tests.databases import Server, connected, own_url
from tests.unit.domain.samples import NOW, later

MERCHANT, PAYMENT, REFUND, AUTHENTICATION, CARD, EVENT, ENDPOINT, ROUTE, CHECKOUT, PAYOUT, ANOMALY, STATEMENT = (
    UUID(int=n) for n in range(1, 13)
)
DAY = date(2026, 3, 5)
Row = dict[str, Any]

WORLD: dict[str, Row] = {
    "schema_versions": {"revision": "9999", "tolerates": "9998", "applied_at": NOW},
    "processes": {"process_id": uuid4(), "beat_at": NOW},
    "catalogue_versions": {"version": 1, "changed_at": NOW, "changed_by": "me", "note": ""},
    "merchants": {"code": "acme", "name": "Acme"},
    "apps": {"code": "shop", "name": "Shop"},
    "api_keys": {"key_id": uuid4(), "app": "shop", "label": "", "key_hash": b"h", "created_at": NOW},
    "endpoints": {
        "endpoint_id": ENDPOINT,
        "code": "e",
        "app": "shop",
        "url": "https://example.com",
        "allow_private": False,
        "secrets": b"",
    },
    "accounts": {"code": "up-1", "provider": "mock", "settings": "{}", "secrets": b"", "terms": "{}"},
    "channels": {
        "code": "up",
        "account": "up-1",
        "name": "UP",
        "is_on": True,
        "authentication": "{}",
        "authentication_fee": 0,
        "limits": "{}",
    },
    "maintenance_windows": {
        "window_id": uuid4(),
        "channel": "up",
        "starts_at": NOW,
        "ends_at": later(seconds=1),
        "note": "",
    },
    "route_rules": {
        "channel": "up",
        "scene": "withhold",
        "bank": "ICBC",
        "enabled": True,
        "fee": "{}",
        "priority": 0,
        "limits": "{}",
    },
    "payout_rules": {
        "channel": "up",
        "payee": "personal",
        "bank": "*",
        "enabled": True,
        "fee": "{}",
        "single_limit": 1,
        "daily_limit": 1,
        "windows": "[{}]",
    },
    "transaction_rules": {
        "code": "declines",
        "name": "declines",
        "enabled": True,
        "filter": "{}",
        "key": "user",
        "window_s": 600,
        "at_least": 5,
        "then": "alert",
    },
    "transaction_looks": {"looked_to": NOW},
    "transaction_hits": {"rule": "declines", "key": "u1", "since_at": NOW, "until_at": NOW},
    "users": {"user_id": "u1", "created_at": NOW},
    "cards": {
        "card_id": CARD,
        "user_id": "u1",
        "data_key": b"k",
        "elements": b"e",
        "print": b"p",
        "masked": "622202******1234",
        "bank": "ICBC",
        "created_at": NOW,
    },
    "agreements": {
        "card_id": CARD,
        "account": "up-1",
        "agreement_no": b"",
        "key_version": 0,
        "status": "active",
        "verified_at": NOW,
    },
    "orders": {
        "app": "shop",
        "merchant_order_no": "o1",
        "object": "payment",
        "object_id": PAYMENT,
        "body_hash": b"",
        "hash_version": 0,
        "hash_form": 2,
    },
    "payments": {
        "payment_id": PAYMENT,
        "app": "shop",
        "merchant_order_no": "o1",
        "kind": "withhold",
        "scene": "withhold",
        "user_id": "u1",
        "card_id": CARD,
        "bank": "ICBC",
        "amount": 1000,
        "currency": "CNY",
        "status": "processing",
        "channel": "up",
        "account": "up-1",
        "channel_order_no": "n1",
        "expected_fee": 50,
        "metadata": "{}",
        "customer_present": False,
        "sequence": 0,
        "due_at": NOW,
        "created_at": NOW,
        "business_day": DAY,
        "checkout_id": CHECKOUT,
    },
    "decisions": {"object_id": PAYMENT, "decision": "{}"},
    "intents": {
        "object_id": PAYMENT,
        "verb": "pay",
        "ordinal": 2,
        "intent_id": uuid4(),
        "channel": "up",
        "account": "up-1",
        "number": "n1",
        "told_at": NOW,
        "recorded_at": NOW,
        "amount": 1000,
        "state": "open",
        "questions": 0,
        "acknowledged": False,
        "not_found": 0,
        "late_success": False,
        "looks": 0,
    },
    "authentications": {
        "authentication_id": AUTHENTICATION,
        "payment_id": PAYMENT,
        "user_id": "u1",
        "card_id": CARD,
        "bank": "ICBC",
        "account": "up-1",
        "channel": "up",
        "status": "processing",
        "fee": 100,
        "contradicts": False,
        "due_at": NOW,
        "created_at": NOW,
        "asked": "{}",
        "checkout_id": CHECKOUT,
    },
    "blocks": {
        "block_id": uuid4(),
        "kind": "user",
        "print": b"p",
        "masked": "u***1",
        "reason": "",
        "by_file": False,
        "added_by": "me",
        "added_at": NOW,
    },
    "block_proposals": {
        "proposal_id": uuid4(),
        "kind": "user",
        "print": b"p",
        "masked": "u***1",
        "reason": "",
        "state": "proposed",
        "proposed_by": "a rule",
        "proposed_at": NOW,
    },
    "code_counts": {"phone_print": b"p", "business_day": DAY, "sent": 1},
    "silent_refusals": {"account": "up-1", "bank": "ICBC", "refused_at": NOW},
    "unbindings": {
        "card_id": CARD,
        "account": "up-1",
        "channel": "up",
        "tries": 0,
        "asked_at": NOW,
        "due_at": NOW,
    },
    "refunds": {
        "refund_id": REFUND,
        "app": "shop",
        "merchant_order_no": "r1",
        "payment_id": PAYMENT,
        "user_id": "u1",
        "amount": 400,
        "currency": "CNY",
        "status": "processing",
        "metadata": "{}",
        "sequence": 0,
        "due_at": NOW,
        "created_at": NOW,
        "business_day": DAY,
    },
    "routes": {
        "route_id": ROUTE,
        "app": "shop",
        "merchant_order_no": "rt1",
        "scene": "withhold",
        "user_id": "u1",
        "card_id": CARD,
        "bank": "ICBC",
        "amount": 1000,
        "currency": "CNY",
        "status": "open",
        "channel": "up",
        "account": "up-1",
        "late_success": False,
        "metadata": "{}",
        "sequence": 0,
        "report_before": NOW,
        "until_at": NOW,
        "created_at": NOW,
        "business_day": DAY,
    },
    "checkouts": {
        "checkout_id": CHECKOUT,
        "app": "shop",
        "merchant_order_no": "co1",
        "purpose": "pay",
        "user_id": "u1",
        "amount": 1000,
        "currency": "CNY",
        "methods": ["quick"],
        "return_url": "https://shop.example/",
        "status": "open",
        "tries": 1,
        "codes": 0,
        "sequence": 0,
        "expires_at": NOW,
        "until_at": NOW,
        "created_at": NOW,
        "metadata": "{}",
    },
    "payouts": {
        "payout_id": PAYOUT,
        "app": "shop",
        "merchant_order_no": "po1",
        "channel": "up",
        "account": "up-1",
        "payee_type": "personal",
        "payee_masked": "622202******1234",
        "payee_bank": "ICBC",
        "payee": b"",
        "data_key": b"",
        "amount": 1000,
        "currency": "CNY",
        "purpose": "",
        "status": "processing",
        "intent_ordinal": 1,
        "parts": 1,
        "settles": 1000,
        "metadata": "{}",
        "sequence": 0,
        "due_at": NOW,
        "created_at": NOW,
        "business_day": DAY,
    },
    "payout_days": {"channel": "up", "business_day": DAY, "used": 1000},
    "settles": {"payout_id": PAYOUT, "payment_id": PAYMENT, "amount": 600, "counted": 600},
    "return_lists": {"account": "up-1", "day": DAY, "channel": "up", "due_at": NOW},
    "balances": {
        "account": "up-1",
        "for_payouts": 5,
        "since_at": NOW,
        "stated_at": NOW,
        "asked_at": NOW,
        "told_low": False,
        "told_silent": False,
        "due_at": NOW,
    },
    "alerts": {
        "alert_id": uuid4(),
        "kind": "dead_letters",
        "about": "e",
        "severity": "warning",
        "detail": "{}",
        "raised_at": NOW,
        "last_at": NOW,
        "times": 1,
    },
    "watches": {"watch": "channels", "holder": PAYMENT, "lease_until": NOW},
    "channel_switches": {
        "scene": "withhold",
        "bank": "ICBC",
        "channel": "up",
        "off_at": NOW,
        "rests_until": NOW + timedelta(minutes=5),
        "rests": 1,
        "waits": False,
    },
    "event_counters": {"object": "account", "code": "up", "sequence": 1},
    "outflows": {"payment_id": PAYMENT, "amount": 1000, "refunded": 400, "settled": 600, "excess": 50},
    "second_outflows": {"anomaly_id": ANOMALY, "payment_id": PAYMENT, "amount": 1000, "refunded": 400, "excess": 0},
    "channel_usage": {
        "user_id": "u1",
        "channel": "up",
        "business_day": DAY,
        "reserved": 0,
        "succeeded": 0,
        "insufficient": 0,
    },
    "channel_totals": {"business_day": DAY, "part": PAYMENT, "channel": "up", "used": 0},
    "card_totals": {"business_day": DAY, "number_print": b"n", "channel": "up", "used": 0},
    "last_attempts": {
        "user_id": "u1",
        "channel": "up",
        "payment_id": PAYMENT,
        "status": "succeeded",
        "finished_at": NOW,
    },
    "observations": {
        "observation_id": uuid4(),
        "object_id": PAYMENT,
        "verb": "pay",
        "source": "poll",
        "says": "unknown",
        "observed_at": NOW,
    },
    "anomalies": {
        "anomaly_id": ANOMALY,
        "object": "payment",
        "object_id": PAYMENT,
        "kind": "late_success",
        "detail": "",
        "source": "poll",
        "found_at": NOW,
    },
    "strays": {"account": "up-1", "number": "n9", "verb": "pay", "says": "succeeded", "heard_at": NOW},
    "events": {
        "event_id": EVENT,
        "app": "shop",
        "type": "payment.failed",
        "object": "payment",
        "object_id": PAYMENT,
        "sequence": 1,
        "body": b"{}",
        "deliveries": 1,
        "created_at": NOW,
    },
    "deliveries": {
        "event_id": EVENT,
        "endpoint_id": ENDPOINT,
        "status": "pending",
        "tries": 0,
        "due_at": NOW,
    },
    "statements": {
        "statement_id": STATEMENT,
        "account": "up-1",
        "day": DAY,
        "version": 2,
        "sha256": "5a",
        "lines_sha256": "5a",
        "files": "[]",
        "lines": 1,
        "amount": 1000,
        "loaded_at": NOW,
        "loaded_by": "me",
        "note": "they sent another",
    },
    "statement_lines": {
        "statement_id": STATEMENT,
        "ordinal": 1,
        "line": 2,
        "kind": "payment",
        "side": "in",
        "amount": 1000,
        "paid": True,
    },
    "reconciled_days": {
        "account": "up-1",
        "day": DAY,
        "statement_id": STATEMENT,
        "totals": "{}",
        "balanced": True,
        "ran_at": NOW,
        "ran_by": "me",
    },
    "differences": {
        "difference_id": uuid4(),
        "account": "up-1",
        "day": DAY,
        "statement_id": STATEMENT,
        "class": "long",
        "side": "in",
        "line": 2,
        "ordinal": 1,
        "state": "open",
        "found_at": NOW,
        "history": "[]",
    },
    "statement_errands": {
        "account": "up-1",
        "day": DAY,
        "due_at": NOW,
        "tries": 0,
        "told_late": False,
        "began_at": NOW,
    },
}

FINAL: Row = {"due_at": None, "finished_at": NOW}
WHY: Row = {"failure_code": "card_frozen", "failure_blame": "payer"}
SUCCEEDED: Row = FINAL | {"status": "succeeded"}
FAILED: Row = FINAL | {"status": "failed"} | WHY
HELD: Row = {"held_for": "app", "until_at": NOW, "due_at": None, "intent_ordinal": None}
REFUSED_BY_ROUTER: Row = FAILED | dict.fromkeys(("channel", "account", "channel_order_no"))
ENDED_CHECKOUT = {"status": "expired", "until_at": None, "finished_at": NOW}
ENDED_ROUTE: Row = {"until_at": None, "finished_at": NOW}
REFUSED_ROUTE: Row = ENDED_ROUTE | {"status": "failed", "channel": None, "account": None} | WHY
RESOLVED: Row = {"state": "resolved", "resolved_at": NOW, "resolved_by": "me"}
GIVEN_UP: Row = {"state": "unknown", "ended_at": NOW}

REFUSED_BY_CHECKS: dict[str, list[Row]] = {
    "channels_fee_check": [{"authentication_fee": -1}],
    "maintenance_windows_order_check": [{"ends_at": NOW}],
    "maintenance_windows_repeats_check": [
        {"repeats": "yearly"},
        {"repeats": "daily", "ends_at": later(days=1)},
        {"repeats": "weekly", "ends_at": later(days=7)},
        {"repeats": "monthly", "ends_at": later(days=28)},
    ],
    "maintenance_windows_limited_check": [{"banks": []}, {"scenes": []}],
    "cards_elements_check": [{"elements": None}, {"erased_at": NOW, "data_key": None, "print": None}],
    "cards_erased_check": [
        {"erased_at": NOW, "elements": None},
        {"erased_at": NOW, "elements": None, "data_key": None, "print": None, "phone_print": b"p"},
    ],
    "cards_fingerprint_check": [{"fingerprint": b"f"}, {"key_version": 1}],
    "cards_same_as_check": [{"same_as": CARD}, {"same_as": CARD, "print": None, "fingerprint": b"f", "key_version": 1}],
    "agreements_number_check": [{"agreement_no": None}],
    "agreements_status_check": [{"status": "perhaps"}],
    "agreements_void_check": [{"status": "void"}, {"voided_at": NOW}],
    "payments_amount_check": [{"amount": 0}, {"amount": -1}],
    "payments_status_check": [FINAL | {"status": "perhaps"}],
    "payments_agenda_check": [{"due_at": None}, {"status": "requires_action", "due_at": None}],
    "payments_until_check": [SUCCEEDED | {"until_at": NOW}, FAILED | {"until_at": NOW}],
    "payments_lease_check": [SUCCEEDED | {"lease_until": NOW}],
    "payments_finished_check": [{"finished_at": NOW}, SUCCEEDED | {"finished_at": None}],
    "payments_failure_check": [FINAL | {"status": "failed"}, SUCCEEDED | WHY, WHY],
    "payments_blame_check": [FAILED | {"failure_blame": None}, {"failure_blame": "payer"}],
    "payments_channel_check": [
        {"channel": None},
        REFUSED_BY_ROUTER | SUCCEEDED | {"failure_code": None, "failure_blame": None},
    ],
    "payments_limit_check": [
        {"failure_limit": "{}"},
        FAILED | {"failure_limit": "{}"},
    ],
    "route_rules_insufficient_check": [{"daily_insufficient_by": "user"}],
    "transaction_rules_key_check": [{"key": "shoe_size"}],
    "transaction_rules_distinct_check": [{"distinct": "phones"}],
    "transaction_rules_then_check": [{"then": "refuse"}],
    "transaction_rules_window_check": [{"window_s": 0}, {"window_s": 604_801}],
    "transaction_rules_threshold_check": [{"at_least": None}, {"sum_at_least": 1}, {"at_least": 0}],
    "payout_rules_payee_check": [{"payee": "perhaps"}],
    "payout_rules_limits_check": [{"single_limit": 0}, {"daily_limit": 0}, {"single_limit": None, "daily_limit": 0}],
    "payout_rules_windows_check": [{"windows": "[]"}, {"windows": "{}"}, {"windows": "null"}],
    "payments_number_check": [
        {"channel_order_no": None},
        {"account": None},
        REFUSED_BY_ROUTER | {"channel_order_no": "n2"},
        REFUSED_BY_ROUTER | {"account": "up-1"},
    ],
    "payments_closed_check": [SUCCEEDED | {"status": "closed"}, {"closed_reason": "expired"}],
    "payments_fee_check": [{"fee": 50}, {"status": "requires_action", "fee": 50}],
    "intents_verb_check": [{"verb": "perhaps", "amount": None}],
    "intents_ordinal_check": [{"ordinal": 0}, {"verb": "refund"}],
    "intents_state_check": [{"state": "perhaps", "ended_at": NOW}],
    "intents_ended_check": [{"ended_at": NOW}, {"state": "done"}],
    "intents_amount_check": [{"amount": None}, {"amount": 0}, {"amount": -1}, {"verb": "authenticate"}],
    "intents_unknown_check": [GIVEN_UP, GIVEN_UP | {"verb": "refund", "ordinal": 1}],
    "authentications_status_check": [FINAL | {"status": "returned"}],
    "authentications_finished_check": [{"finished_at": NOW}, {"status": "succeeded"}],
    "authentications_agenda_check": [{"due_at": None}],
    "authentications_lease_check": [SUCCEEDED | {"lease_until": NOW}],
    "authentications_failure_check": [FINAL | {"status": "failed"}, SUCCEEDED | WHY],
    "authentications_closed_check": [FINAL | {"status": "closed"}, {"closed_reason": "expired"}],
    "authentications_app_check": [{"app": "shop"}, {"merchant_order_no": "s1"}],
    "blocks_kind_check": [{"kind": "perhaps"}],
    "block_proposals_kind_check": [{"kind": "perhaps"}],
    "block_proposals_decided_check": [{"decided_by": "me"}, {"state": "rejected"}, {"state": "perhaps"}],
    "code_counts_sent_check": [{"sent": 0}],
    "unbindings_due_check": [{"due_at": None}, {"ended": "unbound"}],
    "authentications_blame_check": [FAILED | {"failure_blame": None}, SUCCEEDED | {"failure_blame": "payer"}],
    "refunds_amount_check": [{"amount": 0}, {"amount": -1}],
    "refunds_status_check": [FINAL | {"status": "closed"}],
    "refunds_agenda_check": [{"due_at": None}],
    "refunds_lease_check": [SUCCEEDED | {"lease_until": NOW}],
    "refunds_finished_check": [{"finished_at": NOW}, {"status": "succeeded"}],
    "refunds_failure_check": [FINAL | {"status": "failed"}, SUCCEEDED | WHY, WHY],
    "refunds_blame_check": [FAILED | {"failure_blame": None}, SUCCEEDED | {"failure_blame": "channel"}],
    "refunds_returned_check": [FINAL | {"status": "returned"}, SUCCEEDED | {"returned": "other"}],
    "refunds_fee_returned_check": [SUCCEEDED | {"fee_returned": -1}],
    "routes_amount_check": [{"amount": 0}],
    "routes_status_check": [ENDED_ROUTE | {"status": "closed"}, ENDED_ROUTE | {"status": "processing"}],
    "routes_agenda_check": [{"until_at": None}],
    "routes_until_check": [{"status": "succeeded", "finished_at": NOW}],
    "routes_lease_check": [{"until_at": None, "unreported_at": NOW, "lease_until": NOW}],
    "routes_finished_check": [{"finished_at": NOW}, {"status": "succeeded", "until_at": None}],
    "routes_failure_check": [ENDED_ROUTE | {"status": "failed"}, WHY],
    "routes_blame_check": [ENDED_ROUTE | {"status": "failed", "failure_code": "card_frozen"}],
    "routes_channel_check": [{"channel": None, "account": None}],
    "routes_account_check": [{"account": None}, REFUSED_ROUTE | {"account": "up-1"}],
    "routes_limit_check": [{"failure_limit": "{}"}, ENDED_ROUTE | {"status": "failed", "failure_limit": "{}"} | WHY],
    "routes_late_check": [{"late_success": True}, REFUSED_ROUTE | {"late_success": True}],
    "routes_fee_check": [{"fee": 50}, ENDED_ROUTE | {"status": "failed", "fee": 50} | WHY],
    "checkouts_amount_check": [{"amount": 0}],
    "checkouts_purpose_check": [{"purpose": "perhaps", "amount": None, "currency": None}],
    "checkouts_pay_check": [{"amount": None}, {"currency": None}, {"purpose": "sign"}],
    "checkouts_status_check": [ENDED_CHECKOUT | {"status": "failed"}],
    "checkouts_agenda_check": [{"until_at": None}, ENDED_CHECKOUT | {"until_at": NOW}],
    "checkouts_lease_check": [ENDED_CHECKOUT | {"lease_until": NOW}],
    "checkouts_finished_check": [{"finished_at": NOW}, ENDED_CHECKOUT | {"finished_at": None}],
    "checkouts_won_check": [{"won_by": PAYMENT}, ENDED_CHECKOUT | {"status": "succeeded"}],
    "checkouts_counts_check": [{"tries": -1}, {"codes": -1}],
    "payouts_amount_check": [{"amount": 0, "settles": 0, "parts": 0}],
    "payouts_payee_check": [{"payee_type": "nobody"}],
    "payouts_status_check": [FINAL | {"status": "closed"}],
    "payouts_hold_check": [HELD | {"held_for": "nobody"}],
    "payouts_agenda_check": [{"due_at": None}],
    "payouts_until_check": [{"until_at": NOW}, {"held_for": "suspicion"}],
    "payouts_held_check": [SUCCEEDED | {"held_for": "suspicion", "until_at": NOW}],
    "payouts_suspicion_check": [{"suspicion": "duplicate"}, HELD | {"suspicion": "duplicate"}],
    "payouts_sent_check": [HELD | {"intent_ordinal": 1}, {"intent_ordinal": None}],
    "payouts_lease_check": [SUCCEEDED | {"lease_until": NOW}],
    "payouts_finished_check": [{"finished_at": NOW}, {"status": "succeeded"}],
    "payouts_failure_check": [FINAL | {"status": "failed"}, SUCCEEDED | WHY, WHY],
    "payouts_blame_check": [FAILED | {"failure_blame": None}, SUCCEEDED | {"failure_blame": "channel"}],
    "payouts_returned_check": [FINAL | {"status": "returned"}, SUCCEEDED | {"returned": "other"}],
    "payouts_fee_check": [{"fee": 50}],
    "balances_amounts_check": [{"for_payouts": -1}, {"for_refunds": -1}, {"total": -1}],
    "balances_stated_check": [{"stated_at": None}, {"for_payouts": None}],
    "alerts_severity_check": [{"severity": "loud"}],
    "alerts_times_check": [{"times": 0}],
    "alerts_acknowledged_check": [{"acknowledged_at": NOW}, {"acknowledged_by": "me"}, {"note": "seen"}],
    "balances_failed_check": [{"failed": "stated", "reason": ""}],
    "balances_reason_check": [{"failed": "unknown"}, {"reason": "because"}],
    "balances_asked_check": [{"asked_at": None}],
    "payouts_settles_check": [HELD | {"settles": 1001}, {"settles": 0}, {"parts": 0}, {"parts": -1, "settles": 0}],
    "payouts_complete_check": [{"settles": 999}],
    "payout_days_used_check": [{"used": -1}],
    "settles_amount_check": [{"amount": 0, "counted": 0}, {"counted": 601}, {"counted": -1}],
    "outflows_sign_check": [{"refunded": -1}, {"settled": -1}, {"excess": -1}],
    "second_outflows_sign_check": [{"refunded": -1}, {"excess": -1}],
    "second_outflows_rest_check": [{"refunded": 1001}],
    "payments_corrects_check": [{"corrects": PAYMENT}, FAILED | {"corrects": PAYMENT}],
    "refunds_second_check": [{"second_no": "theirs-2"}],
    "anomalies_resolution_check": [{"resolution": "explained"}],
    "anomalies_money_check": [
        {"refund_id": REFUND},
        {"correction_id": PAYMENT},
        {"resolved_at": NOW, "resolution": "refunded"},
        {"resolved_at": NOW, "resolution": "taken_as_paid", "refund_id": REFUND},
        {"resolved_at": NOW, "resolution": "refunded", "refund_id": REFUND, "correction_id": PAYMENT},
    ],
    "outflows_rest_check": [{"refunded": 401}, {"settled": 601}, {"refunded": 0, "settled": 1001}],
    "channel_usage_sign_check": [{"reserved": -1}, {"succeeded": -1}, {"insufficient": -1}],
    "last_attempts_status_check": [{"status": "closed"}],
    "last_attempts_blame_check": [{"status": "failed", "blame": "platform"}],
    "deliveries_status_check": [{"status": "perhaps", "due_at": None}],
    "deliveries_due_check": [{"due_at": None}, {"status": "dead"}],
    "deliveries_delivered_check": [{"delivered_at": NOW}, {"status": "delivered", "due_at": None}],
    "statements_lines_check": [{"lines": -1}, {"version": 0}],
    "statements_note_check": [{"note": None}],
    "reconciled_days_closed_check": [{"closed_at": NOW}, {"closed_by": "me"}],
    "differences_class_check": [{"class": "perhaps"}],
    "differences_state_check": [{"state": "perhaps"}],
    "differences_resolved_check": [
        RESOLVED | {"state": "open"},
        {"state": "resolved"},
        {"state": "superseded"},
        {"superseded_at": NOW},
        RESOLVED | {"superseded_at": NOW},
    ],
    "differences_resolved_by_check": [{"resolved_by": "me"}, RESOLVED | {"resolved_by": None}],
    "differences_sides_check": [{"ordinal": None}],
    "differences_told_check": [{"told_at": NOW}],
    "statement_errands_done_check": [{"done_at": NOW}],
    "watches_state_check": [{"looked_at": NOW}, {"state": "{}"}],
    "channel_switches_rest_check": [{"rests_until": NOW}],
    "channel_switches_rests_check": [{"rests": 0}],
    "channel_switches_on_check": [
        {"on_by": "me"},
        {"on_at": NOW, "waits": True},
        {"on_at": NOW - timedelta(seconds=1)},
    ],
    "event_counters_sequence_check": [{"sequence": 0}],
}


BREAKS_INDEX: dict[str, Row] = {
    # Another intent of the same payment beside one that is open; another signing of the same card.
    "intents_again_key": {"object_id": PAYMENT, "ordinal": 3},
    "authentications_signing_key": {"account": "up-2"},
    "payments_checkout_key": {"checkout_id": CHECKOUT},
    "authentications_checkout_key": {"checkout_id": CHECKOUT, "account": "up-2", "asked": None},
    "statements_in_force_key": {"account": "up-1"},
}
"""What a copy of the row needs to break an index, beside being a copy."""

ELSEWHERE = {"payments_corrects_key"}
"""Indexes of rows that are not in the world: test_corrections breaks them."""
TRIES = {"payments", "authentications"}
BOUNDED = {"verb", "ordinal", "kind", "payee"}
"""Columns of keys that a CHECK leaves few values: they stay when a key is made fresh by its other columns."""

TAKEN: list[tuple[str, Row]] = [
    # It ended without the PSP's word, so it is looked at again.
    ("payments", FAILED | {"due_at": NOW, "lease_until": NOW}),
    ("payments", SUCCEEDED | {"status": "closed", "closed_reason": "expired", "due_at": NOW}),
    # Its wait ends by our own clock.
    ("payments", {"status": "requires_action", "due_at": None, "until_at": NOW, "lease_until": NOW}),
    # A late success has its fee.
    ("payments", FAILED | {"fee": 50}),
    ("payments", REFUSED_BY_ROUTER),
    ("payments", REFUSED_BY_ROUTER | {"failure_limit": "{}"}),
    ("intents", {"verb": "authenticate", "amount": None} | GIVEN_UP),
    ("authentications", {"account": "up-2", "asked": None}),
    # A code that was refused is followed by another.
    ("intents", {"object_id": PAYMENT, "ordinal": 3, "state": "declined", "ended_at": NOW}),
    ("authentications", FAILED | {"due_at": NOW}),
    ("refunds", SUCCEEDED | {"status": "returned", "returned": "other"}),
    # It may come back, and is asked about; the PSP gives nothing of its fee back, and says so.
    ("refunds", SUCCEEDED | {"due_at": NOW, "lease_until": NOW, "fee_returned": 0}),
    # It comes back, or is asked about because it may.
    ("payouts", SUCCEEDED | {"status": "returned", "returned": "other"}),
    ("payouts", SUCCEEDED | {"due_at": NOW, "lease_until": NOW, "fee": 50}),
    # It waits for its app, with a part so far; for a person; and nobody said that it may be paid.
    ("payouts", HELD | {"settles": 600, "lease_until": NOW}),
    ("payouts", {"held_for": "suspicion", "suspicion": "duplicate", "until_at": NOW}),
    ("payouts", FAILED | {"intent_ordinal": None}),
    # Beside a try of a checkout that is open, one that has ended.
    ("payments", SUCCEEDED | {"checkout_id": CHECKOUT}),
    ("checkouts", {"purpose": "sign", "amount": None, "currency": None}),
    ("checkouts", ENDED_CHECKOUT | {"status": "succeeded", "won_by": PAYMENT}),
    # Each payment of a checkout whose money came beside another's.
    ("anomalies", {"object_id": CHECKOUT, "kind": "paid_twice", "payment_id": PAYMENT}),
    # What the PSP did under two numbers: the second is kept, too.
    ("payments", SUCCEEDED | {"corrects": PAYMENT, "corrects_no": "theirs-2"}),
    ("refunds", {"anomaly_id": ANOMALY, "second_no": "theirs-2"}),
    # Its report is overdue, and its day is over: it waits for nobody, and a report is taken all the same.
    ("routes", {"until_at": None, "unreported_at": NOW}),
    ("routes", ENDED_ROUTE | {"status": "failed", "late_success": True, "fee": 50} | WHY),
    ("routes", REFUSED_ROUTE | {"failure_limit": "{}"}),
    # Beside the statement in force, those that it replaced.
    ("statements", {"account": "up-1", "version": 1, "note": None, "replaced_at": NOW}),
    # A line that waited is the next day's again; what was superseded stays beside what took its place.
    ("differences", RESOLVED | {"class": "suspense", "became": "matched", "became_on": DAY}),
    ("differences", {"state": "superseded", "superseded_at": NOW}),
    ("differences", RESOLVED | {"state": "superseded", "superseded_at": NOW}),
    # What is ours alone.
    ("differences", {"class": "short", "line": None, "ordinal": None, "verb": "pay", "object_id": PAYMENT, "turn": 2}),
]
"""What must be possible beside the rows of the world."""


def fresh(table: Table, name: str) -> Any:
    """A value that no row has yet."""
    kind = table.c[name].type
    if isinstance(kind, Uuid):
        return uuid4()
    if isinstance(kind, LargeBinary):
        return uuid4().bytes
    if isinstance(kind, Integer):
        return 99
    return uuid4().hex


def columns(constraint: Any) -> set[str]:
    return set(constraint.columns.keys()) - {"merchant_id"}


def of_kind(table: Table, *kinds: type) -> list[Any]:
    return sorted((c for c in table.constraints if isinstance(c, kinds)), key=lambda c: str(c.name))


def named(index: Index) -> str:
    return str(index.name)


def a_copy(table: Table, but_for: set[str]) -> Row:
    """The table's row again, its keys fresh but for these columns."""
    keys = {name for key in of_kind(table, PrimaryKeyConstraint, UniqueConstraint) for name in columns(key)}
    plain = {
        name
        for name in keys - but_for - BOUNDED
        if name in WORLD[table.name] and table.c[name].type.python_type is not date
    }
    row = {"merchant_id": MERCHANT} if "merchant_id" in table.c else {}
    if table.name == "merchants" and "merchant_id" not in but_for:
        row["merchant_id"] = uuid4()
    if table.name in TRIES:  # a checkout has one open try at a time
        plain.add("checkout_id")
    return row | WORLD[table.name] | {name: fresh(table, name) for name in plain}


def dangling(table: Table, key: ForeignKeyConstraint) -> Row:
    """A row that refers by this key to what is not there, and by all others to what is."""
    others = {name for other in of_kind(table, ForeignKeyConstraint) if other is not key for name in columns(other)}
    nowhere: Row = {name: fresh(table, name) for name in columns(key)} or {"merchant_id": uuid4(), "app": None}
    row = a_copy(table, others) | nowhere
    return {name: row[name] for name in row if name in table.c}


def violations() -> list[Any]:
    """For each constraint the rows that break it, and nothing that is checked before it."""
    cases = []
    for table in metadata.sorted_tables:
        cases += [
            (key.name, table, a_copy(table, set(key.columns.keys())))
            for key in of_kind(table, PrimaryKeyConstraint)
            if key.columns  # lines of statements have no key
        ]
        cases += [(key.name, table, a_copy(table, columns(key))) for key in of_kind(table, UniqueConstraint)]
        cases += [(key.name, table, dangling(table, key)) for key in of_kind(table, ForeignKeyConstraint)]
        cases += [
            (check.name, table, a_copy(table, set()) | broken)
            for check in of_kind(table, CheckConstraint)
            for broken in REFUSED_BY_CHECKS[str(check.name)]
        ]
        # Of some rows only, so an index and no constraint.
        cases += [
            (index.name, table, a_copy(table, set()) | BREAKS_INDEX.get(named(index), {}))
            for index in sorted(table.indexes, key=named)
            if index.unique and index.name not in ELSEWHERE
        ]
    return [pytest.param(table.name, row, str(name), id=f"{name}-{n}") for n, (name, table, row) in enumerate(cases)]


async def insert(connection: Any, table: str, row: Row) -> None:
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    columns = ", ".join(f'"{name}"' for name in row)  # `then` is a word of SQL
    await connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", *row.values())


@pytest.fixture(scope="module")
async def world(postgres: Server, template: str) -> AsyncIterator[Any]:
    """A connection to a database of this module in which one valid row of everything stands."""
    async with own_url(postgres, template) as url:
        connection = await connected(url)
        for table in metadata.sorted_tables:
            merchant = {"merchant_id": MERCHANT} if "merchant_id" in table.c else {}
            await insert(connection, table.name, merchant | WORLD[table.name])
        yield connection
        await connection.close()


@pytest.mark.parametrize(("table", "row", "constraint"), violations())
async def test_a_row_that_breaks_a_constraint_is_refused_by_its_name(
    world: Any, table: str, row: Row, constraint: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        async with world.transaction():
            await insert(world, table, row)
    assert refused.value.constraint_name == constraint


@pytest.mark.parametrize(("table", "row"), TAKEN)
async def test_a_row_that_must_be_is_taken(world: Any, table: str, row: Row) -> None:
    begun = world.transaction()
    await begun.start()
    await insert(world, table, a_copy(metadata.tables[table], set()) | row)
    await begun.rollback()


def test_every_check_is_violated_here_and_every_table_has_a_row() -> None:
    checks = {str(c.name) for table in metadata.sorted_tables for c in of_kind(table, CheckConstraint)}
    assert checks == REFUSED_BY_CHECKS.keys()
    assert {table.name for table in metadata.sorted_tables} == WORLD.keys()
