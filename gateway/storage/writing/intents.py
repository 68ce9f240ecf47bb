"""Rows of intents: what they hold, and how they are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from gateway.domain.intents import Intent, IntentState, Verb
from gateway.storage.tables import intents
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "INTENT_COLUMNS",
    "IntentOf",
    "SmsAnswer",
    "change_intents",
    "change_sms",
    "insert_intents",
    "intent_key",
    "intent_of",
]

_i = intents.c

IntentOf = tuple[UUID, Verb, int]
"""Names an intent: object, verb, ordinal."""


def intent_key(intent: Intent) -> IntentOf:
    """What names an intent."""
    return intent.object_id, intent.verb, intent.ordinal


INTENT_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _i.intent_id,
    _i.ordinal,
    _i.channel.label("intent_channel"),
    _i.account.label("intent_account"),
    _i.number,
    _i.told_at,
    _i.recorded_at,
    _i.amount.label("intent_amount"),
    _i.state,
    _i.questions,
    _i.acknowledged,
    _i.not_found,
    _i.not_found_since,
    _i.channel_transaction_no,
    _i.channel_finished_at,
    _i.late_success,
    _i.looks,
    _i.ended_at,
)
"""What `intent_of` reads, beside the columns of the object whose intent it is."""


def intent_of(row: Mapping[str, Any], object_id: UUID, verb: Verb) -> Intent:
    """The intent of a row that has INTENT_COLUMNS."""
    return Intent(
        intent_id=row["intent_id"],
        object_id=object_id,
        verb=verb,
        ordinal=row["ordinal"],
        channel=row["intent_channel"],
        account=row["intent_account"],
        number=row["number"],
        told_at=row["told_at"],
        recorded_at=row["recorded_at"],
        amount=row["intent_amount"],
        state=IntentState(row["state"]),
        questions=row["questions"],
        acknowledged=row["acknowledged"],
        not_found=row["not_found"],
        not_found_since=row["not_found_since"],
        channel_transaction_no=row["channel_transaction_no"],
        channel_finished_at=row["channel_finished_at"],
        late_success=row["late_success"],
        looks=row["looks"],
        ended_at=row["ended_at"],
    )


def insert_intents(write: Write, recorded: Sequence[tuple[UUID, Intent]], *, only: str | None = None) -> None:
    """Insert intents, each with the id of the order's object; with `only`, where that part returned the object."""
    rows = [{"of_order": of_order, **_row(intent)} for of_order, intent in recorded]
    write.insert(intents, rows, only=(only, "of_order") if only else None)


def change_intents(write: Write, changed: Sequence[Intent], given: Mapping[IntentOf, bytes]) -> None:
    """Write what was heard of intents; `given`: what some of them gave to go on with, sealed."""
    plain = [_changing(intent) for intent in changed if intent_key(intent) not in given]
    write.update(intents, plain, by=["object_id", "verb", "ordinal"])
    giving = [
        _changing(intent) | {"continuation": given[key]} for intent in changed if (key := intent_key(intent)) in given
    ]
    write.update(intents, giving, by=["object_id", "verb", "ordinal"], part="giving_intents")


@dataclass(frozen=True, slots=True)
class SmsAnswer:
    """How the request for an SMS ended, and what it gave to go on with (sealed)."""

    object_id: UUID
    verb: Verb
    ordinal: int
    state: IntentState
    ended_at: datetime
    continuation: bytes | None


def change_sms(write: Write, answered: Sequence[SmsAnswer]) -> None:
    """Write how requests for SMS ended."""
    rows: list[Row] = [
        {
            "object_id": each.object_id,
            "verb": each.verb,
            "ordinal": each.ordinal,
            "state": each.state,
            "ended_at": each.ended_at,
            "continuation": each.continuation,
        }
        for each in answered
    ]
    write.update(intents, rows, by=["object_id", "verb", "ordinal"], part="answered_sms")


def _row(intent: Intent) -> Row:
    return {
        "object_id": intent.object_id,
        "verb": intent.verb,
        "ordinal": intent.ordinal,
        "intent_id": intent.intent_id,
        "channel": intent.channel,
        "account": intent.account,
        "number": intent.number,
        "told_at": intent.told_at,
        "recorded_at": intent.recorded_at,
        "amount": intent.amount,
        "state": intent.state,
        "questions": intent.questions,
        "acknowledged": intent.acknowledged,
        "not_found": intent.not_found,
        "not_found_since": intent.not_found_since,
        "channel_transaction_no": intent.channel_transaction_no,
        "channel_finished_at": intent.channel_finished_at,
        "late_success": intent.late_success,
        "looks": intent.looks,
        "ended_at": intent.ended_at,
    }


def _changing(intent: Intent) -> Row:
    return {
        "object_id": intent.object_id,
        "verb": intent.verb,
        "ordinal": intent.ordinal,
        "state": intent.state,
        "questions": intent.questions,
        "acknowledged": intent.acknowledged,
        "not_found": intent.not_found,
        "not_found_since": intent.not_found_since,
        "channel_transaction_no": intent.channel_transaction_no,
        "channel_finished_at": intent.channel_finished_at,
        "late_success": intent.late_success,
        "looks": intent.looks,
        "ended_at": intent.ended_at,
    }
