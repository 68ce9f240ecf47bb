"""Transaction rules as rows: written, and read as values of the domain."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gateway.domain.transaction_rules import (
    Distinct,
    RuleKey,
    Then,
    TransactionRule,
    filter_from_json,
    filter_to_json,
    in_one_form,
)

__all__ = ["TRANSACTION_RULE_KEY", "transaction_rule_of", "transaction_rule_row"]

TRANSACTION_RULE_KEY = ("merchant_id", "code")


def transaction_rule_row(merchant_id: UUID, rule: TransactionRule) -> dict[str, Any]:
    """A rule as a row."""
    return {
        "merchant_id": merchant_id,
        "code": rule.code,
        "name": rule.name,
        "enabled": rule.enabled,
        "filter": filter_to_json(in_one_form(rule.filter)),
        "key": rule.key.value,
        "distinct": None if rule.distinct is None else rule.distinct.value,
        "window_s": rule.window_s,
        "at_least": rule.at_least,
        "sum_at_least": rule.sum_at_least,
        "then": rule.then.value,
    }


def transaction_rule_of(row: Mapping[str, Any]) -> TransactionRule:
    """The rule of a row."""
    return TransactionRule(
        code=row["code"],
        name=row["name"],
        key=RuleKey(row["key"]),
        window_s=row["window_s"],
        at_least=row["at_least"],
        sum_at_least=row["sum_at_least"],
        distinct=None if row["distinct"] is None else Distinct(row["distinct"]),
        filter=filter_from_json(row["filter"]),
        then=Then(row["then"]),
        enabled=row["enabled"],
    )
