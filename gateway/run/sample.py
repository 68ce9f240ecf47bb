"""The sample catalogue of `sluice run` and `sluice demo`: put in force once, and never over what somebody changed."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from gateway.domain.catalogue_content import CatalogueFile, MerchantContent
from gateway.domain.payout_rules import windows_to_json
from gateway.domain.prices import amounts_to_json, fees_to_json
from gateway.domain.terms import terms_to_json
from gateway.domain.transaction_rules import filter_to_json
from gateway.domain.watch_settings import watch_to_json
from gateway.storage.catalogue.store import CatalogueStore
from router.fees import fee_to_json

__all__ = ["BY_RUN", "Sample", "put_sample"]

BY_RUN: Final = "sluice run"
NOTE: Final = "the sample catalogue"
DIGEST_CHARACTERS: Final = 32


class Sample(StrEnum):
    """What became of the sample."""

    APPLIED = "applied"
    THERE = "there"
    """It is in force already."""
    LEFT = "left"
    """Something else is in force: it stays."""


async def put_sample(store: CatalogueStore, content: CatalogueFile) -> Sample:
    """Put the sample in force where its merchants are new, or are as this function left them.

    What it put there stands in the history of versions, so this holds for every data folder and whatever the ports
    are. Raises CatalogueBusyError.
    """
    codes = {merchant.code for merchant in content.merchants}
    version = await store.version()
    in_force = [merchant for merchant in await store.content(whole=False) if merchant.code in codes]
    if in_force and not await _is_ours(store, in_force):
        return Sample.LEFT
    note = f"{NOTE}, {_digest(content.merchants)}"
    report = await store.apply(content, BY_RUN, note, datetime.now(UTC), only_at=version)
    return Sample.APPLIED if report.changed else Sample.THERE


async def _is_ours(store: CatalogueStore, in_force: Iterable[MerchantContent]) -> bool:
    """Whether nobody has changed them since."""
    last = await store.last_change_by(BY_RUN)
    if last is not None:
        return last.note == f"{NOTE}, {_digest(in_force)}"
    # The program of before told no digest: it is known only while nothing came after it.
    return any(change.note == NOTE for change in await store.history(1))


def _digest(merchants: Iterable[MerchantContent]) -> str:
    """The same for the same content, in whatever order it stands."""
    said = sorted((_said(merchant) for merchant in merchants), key=_text)
    return sha256(_text(said).encode()).hexdigest()[:DIGEST_CHARACTERS]


def _said(merchant: MerchantContent) -> dict[str, Any]:
    # Only what is said, so that digests of before, which knew nothing of it, stay.
    settings = {
        "unresolved_counts_after_s": merchant.unresolved_counts_after_s,
        "authentication_spread": merchant.authentication_spread,
        "primary_signer": merchant.primary_signer,
        "primary_signers": dict(merchant.primary_signers),
        "sms_per_phone_and_day": merchant.sms_per_phone_and_day,
        "watch": watch_to_json(merchant.watch) if merchant.watch else None,
        "balance_alerts": {a.code: a.balance_alert_below for a in merchant.accounts if a.balance_alert_below},
        "blocks": _any_order([b.kind, b.masked, b.reason] for b in merchant.blocks),
        "payout_rules": _any_order(
            [r.channel, r.payee, r.bank, r.enabled, fee_to_json(r.fee), r.single_limit, r.daily_limit, windows]
            for r in merchant.payout_rules
            for windows in [windows_to_json(r.windows)]
        ),
        "prices": _any_order(
            [*named, shown]
            for named, shown in (
                *(([c.code], amounts_to_json(c.authentication_fees)) for c in merchant.channels),
                *(([r.channel, r.scene, r.bank], fees_to_json(r.fees)) for r in merchant.rules),
                *(([r.channel, r.payee, r.bank], fees_to_json(r.fees)) for r in merchant.payout_rules),
            )
            if shown
        ),
        "transaction_rules": _any_order(
            [
                r.code,
                r.name,
                r.enabled,
                filter_to_json(r.filter),
                r.key,
                r.distinct,
                r.window_s,
                r.at_least,
                r.sum_at_least,
                r.then,
            ]
            for r in merchant.transaction_rules
        ),
    }
    return {name: value for name, value in settings.items() if value} | {
        "merchant": [merchant.code, merchant.name, merchant.last_attempt_max_age_s],
        "apps": _any_order([app.code, app.name] for app in merchant.apps),
        "keys": _any_order([app.code, key.label, key.key_hash.hex()] for app in merchant.apps for key in app.keys),
        "endpoints": _any_order(
            [e.code, e.app, e.url, sorted(e.event_types or ()), e.allow_private, list(e.secrets)]
            for e in merchant.endpoints
        ),
        "accounts": _any_order(
            [a.code, a.provider, dict(a.settings), dict(a.secrets), terms_to_json(a.terms)] for a in merchant.accounts
        ),
        "channels": _any_order(
            [c.code, c.account, c.name, c.on, dict(c.authentication), c.authentication_fee, c.limits.to_json()]
            for c in merchant.channels
        ),
        "windows": _any_order(
            [w.channel, w.starts_at.timestamp(), w.ends_at.timestamp(), w.note, w.repeats, w.banks, w.scenes]
            for w in merchant.windows
        ),
        "rules": _any_order(
            [r.channel, r.scene, r.bank, r.enabled, fee_to_json(r.fee), r.priority, r.limits.to_json()]
            + ([r.daily_insufficient_by] if r.daily_insufficient_by != "user" else [])
            for r in merchant.rules
        ),
    }


def _any_order(rows: Iterable[list[Any]]) -> list[str]:
    return sorted(map(_text, rows))


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
