"""How the catalogue is shown to operators: never a secret, never a hash of a key."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.domain.catalogue import (
    Account,
    Catalogue,
    Channel,
    Endpoint,
    MaintenanceWindow,
    Merchant,
    RouteRule,
    SilentRefusal,
)
from gateway.domain.catalogue_content import CatalogueChange
from gateway.domain.events import EndpointBacklog
from gateway.domain.ids import ENDPOINT, KEY, WINDOW, show
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.prices import amounts_to_json, fees_to_json
from gateway.domain.terms import NotFoundRule, OwnTerms, Product, terms_to_json
from gateway.domain.transaction_rules import TransactionRule, filter_to_json
from gateway.domain.watch_settings import watch_to_json
from gateway.objects.assumptions import assumption_object
from gateway.objects.times import timestamp
from gateway.ports import Assumption
from router.fees import fee_to_json

__all__ = [
    "AccountNotes",
    "catalogue_object",
    "change_object",
    "channel_object",
    "endpoint_object",
    "merchant_object",
    "payout_rule_object",
    "rule_object",
    "silent_refusal_object",
    "transaction_rule_object",
    "whole_merchant_object",
    "window_object",
]

Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccountNotes:
    """What its protocol says of an account: the assumptions that it is used with, and why its statements are not read
    (None: they are)."""

    assumptions_of: Callable[[Account], Iterable[Assumption]]
    why_no_statements: Callable[[Account], str | None]


def merchant_object(merchant: Merchant) -> Shown:
    """A merchant."""
    age, after = merchant.last_attempt_max_age, merchant.unresolved_counts_after
    return {
        "object": "merchant",
        "code": merchant.code,
        "name": merchant.name,
        "last_attempt_max_age_s": None if age is None else int(age.total_seconds()),
        "unresolved_counts_after_s": None if after is None else int(after.total_seconds()),
        "authentication_spread": merchant.authentication_spread,
        "primary_signer": merchant.primary_signer,
        "primary_signers": dict(merchant.primary_signers),
        "sms_per_phone_and_day": merchant.sms_per_phone_and_day,
        "watch": watch_to_json(merchant.watch),
    }


def channel_object(catalogue: Catalogue, channel: Channel, now: datetime) -> Shown:
    """A channel with the provider behind it and whether it rests now."""
    return {
        "object": "channel",
        "merchant": catalogue.merchants[channel.merchant_id].code,
        "code": channel.code,
        "account": channel.account,
        "provider": catalogue.accounts[channel.merchant_id, channel.account].provider,
        "name": channel.name,
        "on": channel.on,
        "in_maintenance": catalogue.rests(channel.merchant_id, channel.code, now),
        "authentication": dict(channel.authentication),
        "authentication_fee": channel.authentication_fee,
        "authentication_fees": amounts_to_json(channel.authentication_fees),
        **channel.limits.shown(),
    }


def window_object(window: MaintenanceWindow) -> Shown:
    """A maintenance window."""
    return {
        "object": "maintenance_window",
        "id": show(WINDOW, window.window_id),
        "channel": window.channel,
        "starts_at": timestamp(window.starts_at),
        "ends_at": timestamp(window.ends_at),
        "repeats": window.repeats,
        "banks": None if window.banks is None else list(window.banks),
        "scenes": None if window.scenes is None else list(window.scenes),
        "note": window.note,
    }


def rule_object(rule: RouteRule) -> Shown:
    """A rule."""
    return {
        "object": "rule",
        "channel": rule.channel,
        "scene": rule.scene,
        "bank": rule.bank,
        "enabled": rule.enabled,
        "fee": fee_to_json(rule.fee),
        "fees": fees_to_json(rule.fees),
        "priority": rule.priority,
        "daily_insufficient_by": rule.daily_insufficient_by,
        **rule.limits.shown(),
    }


def payout_rule_object(rule: PayoutRule) -> Shown:
    """A payout rule."""
    return {
        "object": "payout_rule",
        "channel": rule.channel,
        "payee": rule.payee,
        "bank": rule.bank,
        "enabled": rule.enabled,
        "fee": fee_to_json(rule.fee),
        "fees": fees_to_json(rule.fees),
        "single_limit": rule.single_limit,
        "daily_limit": rule.daily_limit,
        "windows": [
            {"opens": window.opens, "closes": window.closes, "days": list(window.days)} for window in rule.windows
        ]
        or None,
    }


def transaction_rule_object(rule: TransactionRule) -> Shown:
    """A transaction rule."""
    return {
        "object": "transaction_rule",
        "code": rule.code,
        "name": rule.name,
        "enabled": rule.enabled,
        "filter": filter_to_json(rule.filter),
        "key": rule.key,
        "distinct": rule.distinct,
        "window_s": rule.window_s,
        "at_least": rule.at_least,
        "sum_at_least": rule.sum_at_least,
        "then": rule.then,
    }


def silent_refusal_object(refusal: SilentRefusal) -> Shown:
    """A bank whose cards an account does not bind silently any more."""
    return {
        "object": "silent_refusal",
        "account": refusal.account,
        "bank": refusal.bank,
        "channel_code": refusal.channel_code,
        "refused_at": timestamp(refusal.refused_at),
    }


def endpoint_object(endpoint: Endpoint, backlog: EndpointBacklog) -> Shown:
    """An endpoint, and what has not reached it."""
    return {
        "object": "endpoint",
        "id": show(ENDPOINT, endpoint.endpoint_id),
        "code": endpoint.code,
        "app": endpoint.app,
        "url": endpoint.url,
        "state": "removed" if endpoint.removed else "stopped" if endpoint.stopped else "running",
        "stopped_at": timestamp(endpoint.stopped_at),
        "stopped_because": endpoint.stopped_because,
        "pending": backlog.pending,
        "held": backlog.held,
        "dead": backlog.dead,
    }


def catalogue_object(
    catalogue: Catalogue,
    apps: Mapping[tuple[UUID, str], str],
    history: Sequence[CatalogueChange],
    now: datetime,
    notes: AccountNotes,
) -> Shown:
    """Everything at once, for those whom nobody waits for; `apps` is (merchant id, app code) → name."""

    def whole(merchant: Merchant) -> Shown:
        mine = merchant.merchant_id
        rules = [rule for (owner, _, _), found in catalogue.rules.items() if owner == mine for rule in found]
        return whole_merchant_object(catalogue, merchant, apps, now, notes) | {
            "rules": [rule_object(rule) for rule in rules],
            "payout_rules": [payout_rule_object(rule) for rule in catalogue.payout_rules_of_merchant(mine)],
            "transaction_rules": [transaction_rule_object(rule) for rule in catalogue.transaction_rules_of(mine)],
        }

    merchants = sorted(catalogue.merchants.values(), key=lambda merchant: merchant.code)
    return {
        "object": "catalogue",
        "version": catalogue.version,
        "merchants": [whole(merchant) for merchant in merchants],
        "history": [change_object(change) for change in history],
    }


def change_object(change: CatalogueChange) -> Shown:
    """A change of the catalogue."""
    return {
        "version": change.version,
        "changed_at": timestamp(change.changed_at),
        "changed_by": change.changed_by,
        "note": change.note,
    }


def whole_merchant_object(
    catalogue: Catalogue,
    merchant: Merchant,
    apps: Mapping[tuple[UUID, str], str],
    now: datetime,
    notes: AccountNotes,
) -> Shown:
    """A merchant with everything but its rules, of which there are many; `apps` is (merchant id, app code) → name."""
    mine = merchant.merchant_id
    windows = [window for (owner, _), found in catalogue.windows.items() if owner == mine for window in found]
    return merchant_object(merchant) | {
        "apps": [_app(catalogue, mine, code, name) for (owner, code), name in apps.items() if owner == mine],
        "endpoints": [_endpoint(endpoint) for endpoint in catalogue.endpoints.get(mine, ())],
        "accounts": [_account(a, notes) for (owner, _), a in catalogue.accounts.items() if owner == mine],
        "channels": [
            channel_object(catalogue, c, now) for (owner, _), c in catalogue.channels.items() if owner == mine
        ],
        "maintenance_windows": [window_object(window) for window in windows],
        "silent_refusals": [silent_refusal_object(each) for each in catalogue.silent_refusals_of(mine)],
    }


def _app(catalogue: Catalogue, merchant_id: UUID, code: str, name: str) -> Shown:
    keys = [key for key in catalogue.keys.values() if (key.merchant_id, key.app) == (merchant_id, code)]
    return {"code": code, "name": name, "keys": [{"id": show(KEY, k.key_id), "label": k.label} for k in keys]}


def _endpoint(endpoint: Endpoint) -> Shown:
    return {
        "id": show(ENDPOINT, endpoint.endpoint_id),
        "app": endpoint.app,
        "url": endpoint.url,
        "event_types": None if endpoint.event_types is None else sorted(endpoint.event_types),
        "allow_private": endpoint.allow_private,
        "stopped": endpoint.stopped,
        "secrets": len(endpoint.secrets),
    }


def _account(account: Account, notes: AccountNotes) -> Shown:
    of_payments = account.terms.get(Product.PAYMENT, OwnTerms())
    rule = of_payments.not_found if isinstance(of_payments.not_found, NotFoundRule) else None
    return {
        "code": account.code,
        "provider": account.provider,
        "settings": dict(account.settings),
        "secrets": sorted(account.secrets),
        "poll_gaps_s": None if of_payments.poll_gaps_s is None else list(of_payments.poll_gaps_s),
        "not_found_answers": None if rule is None else rule.answers,
        "not_found_over_s": None if rule is None else rule.over_s,
        "answer_timeout_s": of_payments.answer_timeout_s,
        "terms": terms_to_json(account.terms),
        "assumptions": [assumption_object(assumption) for assumption in notes.assumptions_of(account)],
        "why_no_statements": notes.why_no_statements(account),
        "balance_alert_below": account.balance_alert_below,
    }
