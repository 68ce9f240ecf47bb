"""The columns in which an object's failure is kept."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from gateway.domain.failures import MEANINGS, Advice, Blame, Failure, FailureCode
from gateway.storage.writing.statement import Row
from router.left import ToldLimit

__all__ = ["failure_columns", "failure_of", "limit_to_json", "with_limit"]


def failure_of(row: Mapping[str, Any]) -> Failure | None:
    """The failure of a row, or None. What the first version failed is advised by its code."""
    if row["failure_code"] is None:
        return None
    code, said = FailureCode(row["failure_code"]), row["failure_advice"]
    advice = Advice(said) if said is not None else MEANINGS[code].advice
    return Failure(code, Blame(row["failure_blame"]), advice, row["channel_code"], row["channel_message"])


def failure_columns(failure: Failure | None) -> Row:
    """The columns of a failure, or of none."""
    return {
        "failure_code": failure.code if failure else None,
        "failure_blame": failure.blame if failure else None,
        "failure_advice": failure.advice if failure else None,
        "channel_code": failure.channel_code if failure else None,
        "channel_message": failure.channel_message if failure else None,
    }


def limit_to_json(failure: Failure | None) -> Row | None:
    """What a refusal for a limit tells, as it is kept; None: it is none."""
    if failure is None or failure.limit is None:
        return None
    return asdict(failure.limit) | {"max_amount_now": failure.max_amount_now}


def with_limit(failure: Failure | None, told: Mapping[str, Any]) -> Failure | None:
    """The failure with what `limit_to_json` wrote of it."""
    if failure is None:
        return None
    limit = ToldLimit(told["kind"], told["limit"], told["left"], told["in_flight"])
    return replace(failure, limit=limit, max_amount_now=told["max_amount_now"])
