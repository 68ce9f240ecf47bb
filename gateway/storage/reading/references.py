"""Operators find payments by whatever they were given: an id of ours, a number of anybody's, a user, a card, a day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.ids import (
    ANOMALY,
    AUTHENTICATION,
    CHECKOUT,
    EVENT,
    PAYMENT,
    REFUND,
    ObjectKind,
    object_of_number,
)
from gateway.domain.intents import OBJECT_OF, Verb
from gateway.domain.payments import Payment
from gateway.ports import AgreementView, CardView, Found, PaymentFilter, Reference
from gateway.storage.reading.search import Place, find_payments, read_payments, searching

__all__ = ["OperatorSearch"]

NEWEST = timedelta(hours=24)
"""Where nothing but filters is given."""
CARDS_MAX = 128
"""Cards with the same first six and last four digits whose payments are looked at."""
CARDS_OF_USER_MAX = 200
OBJECTS_MAX = 1_000
"""Objects of one number, and payments of one authentication."""

# Apps and accounts are never deleted, so each number is found by a few reads of its index.
_BY_NUMBER = {
    "merchant_order_no": f"""
SELECT o.object, o.object_id FROM apps a
JOIN orders o ON o.merchant_id = :merchant AND o.app = a.code AND o.merchant_order_no = :given
WHERE a.merchant_id = :merchant LIMIT {OBJECTS_MAX}""",
    "channel_order_no": f"""
SELECT i.verb, i.object_id FROM accounts a
JOIN intents i ON i.merchant_id = :merchant AND i.account = a.code AND i.number = :given
WHERE a.merchant_id = :merchant LIMIT {OBJECTS_MAX}""",
    "channel_transaction_no": f"""
SELECT verb, object_id FROM intents WHERE merchant_id = :merchant AND channel_transaction_no = :given
LIMIT {OBJECTS_MAX}""",
}
_TOLD = {
    EVENT: "SELECT object, object_id FROM events WHERE merchant_id = :merchant AND event_id = :given",
    ANOMALY: "SELECT object, object_id FROM anomalies WHERE merchant_id = :merchant AND anomaly_id = :given",
}
_PAYMENTS_OF = {
    ObjectKind.PAYMENT: """
SELECT payment_id FROM payments WHERE merchant_id = :merchant AND payment_id = ANY(CAST(:ids AS uuid[]))""",
    ObjectKind.REFUND: """
SELECT payment_id FROM refunds WHERE merchant_id = :merchant AND refund_id = ANY(CAST(:ids AS uuid[]))""",
    ObjectKind.AUTHENTICATION: f"""
(SELECT payment_id FROM payments WHERE merchant_id = :merchant AND authentication_id = ANY(CAST(:ids AS uuid[]))
ORDER BY payment_id DESC LIMIT {OBJECTS_MAX})
UNION SELECT payment_id FROM authentications
WHERE merchant_id = :merchant AND authentication_id = ANY(CAST(:ids AS uuid[])) AND payment_id IS NOT NULL""",
    ObjectKind.CHECKOUT: """
SELECT payment_id FROM payments WHERE merchant_id = :merchant AND checkout_id = ANY(CAST(:ids AS uuid[]))""",
}
_KINDS = {
    PAYMENT: ObjectKind.PAYMENT,
    REFUND: ObjectKind.REFUND,
    AUTHENTICATION: ObjectKind.AUTHENTICATION,
    CHECKOUT: ObjectKind.CHECKOUT,
}
_NEVER_SENT = """
SELECT payment_id FROM payments WHERE merchant_id = :merchant AND payment_id = :id AND channel_order_no = :given"""
_CARD = "SELECT user_id, card_id, masked FROM cards WHERE merchant_id = :merchant AND card_id = :given"
_CARDS = f"""
SELECT user_id, card_id FROM cards WHERE merchant_id = :merchant AND masked = ANY(CAST(:masked AS text[]))
    AND (CAST(:user AS text) IS NULL OR user_id = :user)
ORDER BY card_id DESC LIMIT {CARDS_MAX + 1}"""

_CARDS_OF_USER = f"""
SELECT card_id, masked, bank, created_at, hidden_at, erased_at FROM cards
WHERE merchant_id = :merchant AND user_id = :user AND same_as IS NULL
ORDER BY created_at DESC, card_id LIMIT {CARDS_OF_USER_MAX}"""
_AGREEMENTS = """
SELECT card_id, account, status, verified_at, voided_at FROM agreements
WHERE merchant_id = :merchant AND card_id = ANY(CAST(:ids AS uuid[])) ORDER BY account"""


@dataclass(frozen=True, slots=True)
class OperatorSearch:
    """Finds payments of every app of a merchant. `timezone` is that of the business day."""

    engine: AsyncEngine
    timezone: ZoneInfo

    async def find(self, merchant_id: UUID, by: Reference, wanted: PaymentFilter, now: datetime) -> Found[Payment]:
        """The payments that fit all that is given, newest first.

        Where it is nothing but filters, those of the last 24 hours.
        """
        async with searching(self.engine) as connection:
            named = await _named(connection, merchant_id, by)
            if named is not None:
                found = await read_payments(connection, merchant_id, named, replace(wanted, limit=len(named)))
                return Found([each for each in found if _has_card(each, by)][: wanted.limit])
            places, all_of_them = await _places(connection, merchant_id, by, wanted)
            if by.card_ends is None and by.card_id is None and wanted.user_id is None and not _has_time(wanted):
                wanted = replace(wanted, created_from=now - NEWEST)
            ids, cut_at = await find_payments(connection, merchant_id, places, wanted, self.timezone)
            return Found(await read_payments(connection, merchant_id, ids), cut_at, cut=not all_of_them)

    async def cards_of(self, merchant_id: UUID, user_id: str) -> list[CardView]:
        """A user's cards with all their agreements, the newest first."""
        async with searching(self.engine) as connection:
            asked = {"merchant": merchant_id, "user": user_id}
            found = (await connection.execute(text(_CARDS_OF_USER), asked)).all()
            ids = [row.card_id for row in found]
            agreements: dict[UUID, list[AgreementView]] = {card_id: [] for card_id in ids}
            for row in await connection.execute(text(_AGREEMENTS), {"merchant": merchant_id, "ids": ids}):
                agreements[row.card_id].append(AgreementView(row.account, row.status, row.verified_at, row.voided_at))
        return [
            CardView(
                row.card_id,
                row.masked,
                row.bank,
                row.created_at,
                row.hidden_at,
                row.erased_at,
                tuple(agreements[row.card_id]),
            )
            for row in found
        ]

    async def anywhere(self, by: Reference) -> list[Payment]:
        """The payments that go by a number or an id, of any merchant."""
        found: list[Payment] = []
        async with self.engine.connect() as connection:
            merchants = (await connection.execute(text("SELECT merchant_id FROM merchants ORDER BY code"))).scalars()
            for merchant_id in list(merchants):
                named = await _named(connection, merchant_id, by)
                found += await read_payments(connection, merchant_id, named or [])
        return found


def _has_card(payment: Payment, by: Reference) -> bool:
    if by.card_id is None and by.card_ends is None:
        return True
    card = payment.card
    return (
        card is not None
        and by.card_id in (None, card.card_id)
        and (by.card_ends is None or card.masked in _masked(*by.card_ends))
    )


def _has_time(wanted: PaymentFilter) -> bool:
    return (wanted.business_day or wanted.created_from or wanted.created_until) is not None


async def _named(connection: AsyncConnection, merchant_id: UUID, by: Reference) -> list[UUID] | None:
    """The payments that are meant by numbers and ids; None: none is given."""
    found: list[set[UUID]] = []
    if by.object_id is not None:
        found.append(await _by_id(connection, merchant_id, *by.object_id))
    for name, sql in _BY_NUMBER.items():
        given = getattr(by, name)
        if given is not None:
            rows = (await connection.execute(text(sql), {"merchant": merchant_id, "given": given})).all()
            ids = await _payments_of(connection, merchant_id, [(_kind(row[0]), row[1]) for row in rows])
            if name == "channel_order_no" and (of_number := object_of_number(given)):
                asked = {"merchant": merchant_id, "id": of_number, "given": given}
                ids |= set((await connection.execute(text(_NEVER_SENT), asked)).scalars())
            found.append(ids)
    return list(set.intersection(*found)) if found else None


def _kind(said: str) -> ObjectKind:
    """Orders say the kind of their object, intents their verb."""
    return OBJECT_OF[Verb(said)] if said in set(Verb) else ObjectKind(said)


async def _by_id(connection: AsyncConnection, merchant_id: UUID, prefix: str, given: UUID) -> set[UUID]:
    if prefix in _TOLD:
        rows = await connection.execute(text(_TOLD[prefix]), {"merchant": merchant_id, "given": given})
        return await _payments_of(connection, merchant_id, [(ObjectKind(row[0]), row[1]) for row in rows])
    return await _payments_of(connection, merchant_id, [(_KINDS[prefix], given)])


async def _payments_of(
    connection: AsyncConnection, merchant_id: UUID, objects: Sequence[tuple[ObjectKind, UUID]]
) -> set[UUID]:
    found: set[UUID] = set()
    for kind, sql in _PAYMENTS_OF.items():
        if ids := [object_id for its_kind, object_id in objects if its_kind is kind]:
            found |= set((await connection.execute(text(sql), {"merchant": merchant_id, "ids": ids})).scalars())
    return found


async def _places(
    connection: AsyncConnection, merchant_id: UUID, by: Reference, wanted: PaymentFilter
) -> tuple[list[Place], bool]:
    """Where to look, and whether that is everywhere."""
    if by.card_id is not None:
        rows = await connection.execute(text(_CARD), {"merchant": merchant_id, "given": by.card_id})
        fits = [row for row in rows if by.card_ends is None or row.masked in _masked(*by.card_ends)]
        return [Place(row.user_id, card_id=row.card_id) for row in fits], True
    if by.card_ends is not None:
        asked: dict[str, Any] = {"merchant": merchant_id, "masked": _masked(*by.card_ends), "user": wanted.user_id}
        cards = (await connection.execute(text(_CARDS), asked)).all()
        return [Place(row.user_id, card_id=row.card_id) for row in cards[:CARDS_MAX]], len(cards) <= CARDS_MAX
    if wanted.user_id is not None:
        return [Place(wanted.user_id)], True
    return [Place(app=wanted.app)], True


def _masked(first: str, last: str) -> list[str]:
    """What a card number with these ends looks like, by its length: 12 to 19 digits."""
    return [first + "*" * (length - len(first) - len(last)) + last for length in range(12, 20)]
