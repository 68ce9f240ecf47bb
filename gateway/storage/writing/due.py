"""What is due: claimed by lease, per merchant and noun, without waiting for anybody (SKIP LOCKED)."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import Card, CardElements
from gateway.domain.ids import ObjectKind, object_of_number
from gateway.domain.intents import Verb
from gateway.domain.one_form import one_form
from gateway.domain.outcomes import Outcome
from gateway.domain.payments import Payment
from gateway.flows.follow_up import Due, channel_of
from gateway.flows.operator_word import NothingSentError
from gateway.ports import IntentKey, StoredCard
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.server.database import Database
from gateway.storage.writing.authentications import authentications_by_id
from gateway.storage.writing.cards import IS_THERE
from gateway.storage.writing.claims import (
    CLAIM_AUTHENTICATIONS,
    CLAIM_PAYMENTS,
    CLAIM_PAYOUTS,
    CLAIM_REFUNDS,
    DUE_CHANNELS,
    OLDEST_DUE,
    WITH_WORK,
    KnownChannels,
    shares,
)
from gateway.storage.writing.low_water import LowWater
from gateway.storage.writing.observations import says, words_of
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.payouts import payouts_by_id
from gateway.storage.writing.refunds import refunds_by_id
from gateway.storage.writing.with_work import merchants_with_work

READ_CARD = "SELECT elements, data_key FROM cards WHERE merchant_id = $1 AND card_id = $2"
READ_ENDING = """
SELECT a.agreement_no, c.data_key, c.card_id FROM cards c
JOIN agreements a ON a.merchant_id = $1 AND a.card_id = c.card_id AND a.account = $3 AND a.status = 'unbinding'
WHERE c.merchant_id = $1 AND c.card_id = $2 AND c.erased_at IS NULL
"""
READ_AGREEMENT = """
SELECT a.agreement_no, c.data_key, c.card_id FROM cards asked
JOIN cards c ON c.merchant_id = $1 AND c.card_id = coalesce(asked.same_as, asked.card_id)
JOIN agreements a ON a.merchant_id = $1 AND a.card_id = c.card_id AND a.account = $3 AND a.status = 'active'
WHERE asked.merchant_id = $1 AND asked.card_id = $2
"""
# What an SMS gave for the binding that was asked for with its code.
READ_CONTINUATION = """
SELECT i.continuation, c.card_id, c.data_key FROM authentications t
JOIN cards asked ON asked.merchant_id = $1 AND asked.card_id = t.card_id
JOIN cards c ON c.merchant_id = $1 AND c.card_id = coalesce(asked.same_as, asked.card_id) AND c.erased_at IS NULL
JOIN intents i ON i.merchant_id = $1 AND i.object_id = t.authentication_id AND i.verb = 'send_signing_code'
    AND i.number = $3 AND i.continuation IS NOT NULL
WHERE t.merchant_id = $1 AND t.authentication_id = $2 ORDER BY i.ordinal DESC LIMIT 1
"""
# The one that is found from now on, where the one that is asked for is the same card typed differently.
FIND_CARD = f"""
SELECT c.card_id, c.masked, c.bank, c.elements, c.data_key FROM cards asked
JOIN cards c ON c.merchant_id = $1 AND c.card_id = coalesce(asked.same_as, asked.card_id)
WHERE asked.merchant_id = $1 AND asked.user_id = $2 AND asked.card_id = $3 AND c.erased_at IS NULL
    AND {IS_THERE.format(card="c")}
"""
# Of the object that an order at a PSP is for; an order has one intent that moves money.
FIND_INTENT = """
SELECT i.object_id, coalesce(p.user_id, r.user_id, '') AS user_id FROM intents i
LEFT JOIN payments p ON p.merchant_id = $1 AND p.payment_id = i.object_id AND i.verb = 'pay'
LEFT JOIN refunds r ON r.merchant_id = $1 AND r.refund_id = i.object_id AND i.verb = 'refund'
WHERE i.merchant_id = $1 AND i.account = $2 AND i.number = $3 AND i.verb = $4
"""
FIND_UNSENT = """
SELECT payment_id, user_id FROM payments
WHERE merchant_id = $1 AND payment_id = $2 AND account = $3 AND channel_order_no = $4
"""
FIND_OBJECT = {
    ObjectKind.PAYMENT: (Verb.PAY, "SELECT user_id FROM payments WHERE merchant_id = $1 AND payment_id = $2"),
    ObjectKind.REFUND: (Verb.REFUND, "SELECT user_id FROM refunds WHERE merchant_id = $1 AND refund_id = $2"),
    ObjectKind.PAYOUT: (Verb.PAYOUT, "SELECT '' FROM payouts WHERE merchant_id = $1 AND payout_id = $2"),
}
HAS_INTENT = "SELECT 1 FROM intents WHERE merchant_id = $1 AND object_id = $2 AND verb = $3"
KEEP_STRAY = """
INSERT INTO strays (merchant_id, account, number, verb, says, amount, channel_transaction_no, channel_code,
    channel_message, heard_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""


Room = Callable[[str], int]
"""How many of a channel may be taken."""
UNBOUNDED = 1_000_000


def _unbounded(_: str) -> int:
    return UNBOUNDED


@dataclass(frozen=True, slots=True)
class DueStore:
    """Claims objects with something due, and reads what the next step on one of them needs."""

    database: Database
    keys: Keys
    channels: KnownChannels
    marks: LowWater = field(default_factory=lambda: LowWater(OLDEST_DUE))

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have something due now."""
        found: list[UUID] = []
        async with self.database.connection() as connection:
            await self.marks.look(connection, merchants, now)
            for group, since in self.marks.groups(merchants, now):
                found += await merchants_with_work(connection, WITH_WORK, group, now, since)
        return found

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, room: Room = _unbounded
    ) -> list[Due]:
        """Take up to `limit` objects that are due until `lease_until`: nobody else gets them before that.

        Of each channel as many as `room` tells, and no channel more than its part while others have something due.
        """
        claimed: list[Due] = []
        counted: Counter[str] = Counter()
        async with self.database.transaction() as connection:
            await self.marks.look(connection, [merchant_id], now)
            since = self.marks.of(merchant_id)
            known = await self.channels.look(connection, merchant_id, now)
            channels = defaultdict(list)
            for table, channel in await connection.fetch(DUE_CHANNELS, merchant_id, now, since, known):
                channels[table].append(channel)

            async def take(table: str, statement: str, most: int) -> list[UUID]:
                most = min(limit - len(claimed), most)
                parts = shares(channels[table], most, lambda channel: room(channel) - counted[channel])
                if not parts:
                    return []
                values = (lease_until, list(parts), list(parts.values()), since)
                return [row[0] for row in await connection.fetch(statement, merchant_id, now, *values)]

            # What payments wait for comes first. Of nothing there may be so much that the rest stands still.
            if ids := await take("authentications", CLAIM_AUTHENTICATIONS, math.ceil(limit / 2)):
                claimed += (await authentications_by_id(connection, merchant_id, ids)).values()
                counted.update(channel_of(each) for each in claimed)
            if ids := await take("refunds", CLAIM_REFUNDS, math.ceil(limit / 4)):
                refunds = (await refunds_by_id(connection, merchant_id, ids)).values()
                claimed += refunds
                counted.update(channel_of(each) for each in refunds)
            if ids := await take("payouts", CLAIM_PAYOUTS, math.ceil(limit / 4)):
                payouts = (await payouts_by_id(connection, merchant_id, ids)).values()
                claimed += payouts
                counted.update(channel_of(each) for each in payouts)
            if ids := await take("payments", CLAIM_PAYMENTS, limit):
                claimed += await payments_by_id(connection, merchant_id, ids)
        return claimed

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements:
        """A card's elements as they were sent. Raises OverloadedError where this process lacks the key."""
        async with self.database.connection() as connection:
            elements, data_key = (await connection.fetch(READ_CARD, merchant_id, card_id))[0]
        assert elements is not None, "a card is erased only when none of its payments is open"
        try:
            return self.keys.box(merchant_id, card_id, data_key).open_elements(elements)
        except DecryptionError as error:
            raise stand_back(error) from None

    async def continuation(self, authentication: Authentication) -> str | None:
        """What the newest SMS of a signing gave, with which its code was submitted. Raises OverloadedError."""
        intent, object_id = authentication.intent, authentication.authentication_id
        if authentication.asked is None or intent is None:
            return None
        merchant_id = authentication.merchant_id
        async with self.database.connection() as connection:
            rows = await connection.fetch(READ_CONTINUATION, merchant_id, object_id, intent.number)
        if not rows:
            return None
        sealed, card_id, data_key = rows[0]
        try:
            return self.keys.box(merchant_id, card_id, data_key).open_continuation(object_id, sealed)
        except DecryptionError as error:
            raise stand_back(error) from None

    async def agreement_no(self, merchant_id: UUID, card_id: UUID, account: str) -> str | None:
        """The number of a card's active agreement with an account. Raises OverloadedError."""
        return await self._agreement(READ_AGREEMENT, merchant_id, card_id, account)

    async def ending_agreement_no(self, merchant_id: UUID, card_id: UUID, account: str) -> str | None:
        """The same of one that was given up, and whose PSP is still to be told. Raises OverloadedError."""
        return await self._agreement(READ_ENDING, merchant_id, card_id, account)

    async def _agreement(self, statement: str, merchant_id: UUID, card_id: UUID, account: str) -> str | None:
        async with self.database.connection() as connection:
            rows = await connection.fetch(statement, merchant_id, card_id, account)
        if not rows:
            return None
        sealed, data_key, found_id = rows[0]
        try:
            return self.keys.box(merchant_id, found_id, data_key).open_agreement(account, sealed)
        except DecryptionError as error:
            raise stand_back(error) from None

    async def find_card(self, merchant_id: UUID, user_id: str, card_id: UUID) -> StoredCard | None:
        """A user's own card, its elements in one form; None: there is none, or it was given up.

        Raises OverloadedError where a key is missing here.
        """
        async with self.database.connection() as connection:
            rows = await connection.fetch(FIND_CARD, merchant_id, user_id, card_id)
        if not rows:
            return None
        found_id, masked, bank, sealed, data_key = rows[0]
        try:
            elements = self.keys.box(merchant_id, found_id, data_key).open_elements(sealed)
        except DecryptionError as error:
            raise stand_back(error) from None
        return StoredCard(Card(found_id, masked, bank), one_form(elements))

    async def intent_of_number(self, merchant_id: UUID, account: str, number: str, verb: Verb) -> IntentKey | None:
        """Whose intent an order is for that a PSP names, or None: nobody here asked for it.

        A payment is found, too, whose order was never sent: its number is made from its id.
        """
        async with self.database.connection() as connection:
            rows = await connection.fetch(FIND_INTENT, merchant_id, account, number, verb)
            if not rows and verb is Verb.PAY and (payment_id := object_of_number(number)) is not None:
                rows = await connection.fetch(FIND_UNSENT, merchant_id, payment_id, account, number)
        return IntentKey(merchant_id, rows[0][1], rows[0][0], verb) if rows else None

    async def intent_of_object(self, merchant_id: UUID, kind: ObjectKind, object_id: UUID) -> IntentKey | None:
        """The intent by which an object's money moves; None: no such object. Raises NothingSentError."""
        verb, find = FIND_OBJECT[kind]
        async with self.database.connection() as connection:
            rows = await connection.fetch(find, merchant_id, object_id)
            if not rows:
                return None
            if not await connection.fetch(HAS_INTENT, merchant_id, object_id, verb):
                raise NothingSentError
        return IntentKey(merchant_id, rows[0][0], object_id, verb)

    async def keep_stray(
        self, merchant_id: UUID, account: str, number: str, verb: Verb, outcome: Outcome, now: datetime
    ) -> None:
        """Keep what a PSP told of an order that nobody here asked for. The same word again says nothing new."""
        code, message = words_of(outcome)
        amount, transaction_no = getattr(outcome, "amount", None), getattr(outcome, "channel_transaction_no", None)
        async with self.database.connection() as connection:
            await connection.execute(
                KEEP_STRAY,
                merchant_id,
                account,
                number,
                verb,
                says(outcome),
                amount,
                transaction_no,
                code,
                message,
                now,
            )

    async def authentication(self, merchant_id: UUID, authentication_id: UUID) -> Authentication | None:
        """An authentication as it is now, whoever's app it is."""
        async with self.database.connection() as connection:
            found = await authentications_by_id(connection, merchant_id, [authentication_id])
        return found.get(authentication_id)

    async def return_url(self, merchant_id: UUID, payment_id: UUID) -> str | None:
        """Where the app wants a payment's payer to go afterwards."""
        sql = "SELECT return_url FROM payments WHERE merchant_id = $1 AND payment_id = $2"
        async with self.database.connection() as connection:
            found: str | None = await connection.fetchval(sql, merchant_id, payment_id)
            return found

    async def payment(self, merchant_id: UUID, payment_id: UUID) -> Payment | None:
        """A payment as it is now, whoever's app it is."""
        async with self.database.connection() as connection:
            found = await payments_by_id(connection, merchant_id, [payment_id])
        return found[0] if found else None
