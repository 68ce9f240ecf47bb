"""Codes by SMS in the books: how many a phone got today, whether its card is being signed, and what SMS gave to go on.

The count of a phone is over all users, cards and channels of a merchant, who are not under one lock: orders of several
users that are recorded at once may pass its limit by as many.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from gateway.domain.intents import Verb
from gateway.storage.server.database import Connection
from gateway.storage.tables import code_counts
from gateway.storage.writing.statement import Write

__all__ = ["KnownPhone", "KnownSms", "count_codes", "read_codes_sent", "read_phones", "read_sms"]

# First version's cards have no print of their phone until they are rewritten: they are counted by their own id.
READ_PHONES = """
SELECT c.card_id, c.phone_print, coalesce(k.sent, 0), EXISTS (
    SELECT 1 FROM authentications a WHERE a.merchant_id = $1 AND a.card_id = c.card_id AND a.asked IS NOT NULL
    AND a.status IN ('processing', 'requires_action')
)
FROM cards c LEFT JOIN code_counts k
    ON k.merchant_id = $1 AND k.phone_print = c.phone_print AND k.business_day = $3
WHERE c.merchant_id = $1 AND c.card_id = ANY($2::uuid[])
"""
READ_SENT = """
SELECT phone_print, sent FROM code_counts
WHERE merchant_id = $1 AND phone_print = ANY($2::bytea[]) AND business_day = $3
"""
# Where the PSP sends the SMS when it is asked to pay, the intent to pay has what it gave to go on with.
READ_SMS = """
SELECT object_id, verb, ordinal, intent_id, number, continuation FROM intents
WHERE merchant_id = $1 AND object_id = ANY($2::uuid[])
    AND (verb IN ('send_signing_code', 'send_payment_code') OR continuation IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class KnownPhone:
    """What is known of a card's phone: its print, the SMS it got today, and whether the card is being signed."""

    print: bytes
    sent: int
    signing: bool


async def read_phones(
    connection: Connection, merchant_id: UUID, cards: Collection[UUID], day: date
) -> dict[UUID, KnownPhone]:
    """By card."""
    rows = await connection.fetch(READ_PHONES, merchant_id, list(cards), day)
    return {
        card_id: KnownPhone(bytes(phone_print or card_id.bytes), sent, signing)
        for card_id, phone_print, sent, signing in rows
    }


async def read_codes_sent(
    connection: Connection, merchant_id: UUID, phones: Collection[bytes], day: date
) -> dict[bytes, int]:
    """By the print of a phone: the SMS it got today."""
    rows = await connection.fetch(READ_SENT, merchant_id, list(phones), day)
    return {bytes(phone): sent for phone, sent in rows}


@dataclass(frozen=True, slots=True)
class KnownSms:
    """What is known of an SMS: who asked for it, for which order at the PSP, and what it gave to go on with, sealed."""

    intent_id: UUID
    number: str
    continuation: bytes | None


async def read_sms(
    connection: Connection, merchant_id: UUID, objects: Collection[UUID]
) -> dict[tuple[UUID, Verb, int], KnownSms]:
    """The SMS of these objects, by object, verb and ordinal."""
    rows = await connection.fetch(READ_SMS, merchant_id, list(objects))
    return {
        (row[0], Verb(row[1]), row[2]): KnownSms(row[3], row[4], bytes(row[5]) if row[5] is not None else None)
        for row in rows
    }


def count_codes(write: Write, sent: Mapping[bytes, int], day: date) -> None:
    """Count SMS that are asked for now, by the print of the phone."""
    rows = [{"phone_print": phone, "business_day": day, "sent": count} for phone, count in sorted(sent.items())]
    write.insert(
        code_counts,
        rows,
        conflict=(
            "ON CONFLICT (merchant_id, phone_print, business_day) DO UPDATE SET sent = code_counts.sent + excluded.sent"
        ),
    )
