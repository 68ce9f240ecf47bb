"""Payout rules as rows: written, read as values of the domain, and as a catalogue file would say them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from gateway.domain.catalogue_content import PayoutRuleContent
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import PayoutRule, PayoutWindow, windows_from_json, windows_to_json
from gateway.domain.prices import fees_from_json, fees_to_json
from router.fees import Fee, fee_to_json, parse_fee

__all__ = ["PAYOUT_RULE_KEY", "payout_rule_columns", "payout_rule_content", "payout_rule_of", "payout_rule_row"]

PAYOUT_RULE_KEY = ("merchant_id", "channel", "payee", "bank")
PARSED = 1_024
"""Fees and windows that are remembered by their text: most rules have those of many others."""


def payout_rule_row(rule: PayoutRule) -> dict[str, Any]:
    """A payout rule as a row."""
    said = ("enabled", "fee", "single_limit", "daily_limit", "windows", "fees")
    return {
        "merchant_id": rule.merchant_id,
        "channel": rule.channel,
        "payee": rule.payee.value,
        "bank": rule.bank,
        **payout_rule_columns({name: getattr(rule, name) for name in said}),
    }


def payout_rule_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Some of a payout rule's fields as columns of its row."""
    columns = dict(values)
    if "fee" in columns:
        columns["fee"] = fee_to_json(columns["fee"])
    if "fees" in columns:
        columns["fees"] = fees_to_json(columns["fees"]) or None
    if "windows" in columns:
        columns["windows"] = windows_to_json(columns["windows"]) or None
    return columns


def payout_rule_of(row: Mapping[str, Any]) -> PayoutRule:
    """The payout rule of a row."""
    return PayoutRule(
        merchant_id=row["merchant_id"],
        channel=row["channel"],
        payee=PayeeType(row["payee"]),
        bank=row["bank"],
        enabled=row["enabled"],
        fee=_fee(orjson.dumps(row["fee"])),
        single_limit=row["single_limit"],
        daily_limit=row["daily_limit"],
        windows=_windows(orjson.dumps(row["windows"])) if row["windows"] else (),
        fees=fees_from_json(row["fees"]),
    )


def payout_rule_content(row: Mapping[str, Any]) -> PayoutRuleContent:
    """What a payout rule's row says."""
    rule = payout_rule_of(row)
    return PayoutRuleContent(
        channel=rule.channel,
        payee=rule.payee,
        bank=rule.bank,
        enabled=rule.enabled,
        fee=rule.fee,
        single_limit=rule.single_limit,
        daily_limit=rule.daily_limit,
        windows=rule.windows,
        fees=rule.fees,
    )


@lru_cache(PARSED)
def _fee(text: bytes) -> Fee:
    return parse_fee(orjson.loads(text))


@lru_cache(PARSED)
def _windows(text: bytes) -> tuple[PayoutWindow, ...]:
    return windows_from_json(orjson.loads(text))
