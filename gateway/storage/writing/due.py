"""What is due on payments: claimed by lease, per merchant, without waiting for anybody (SKIP LOCKED)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.cards import Card, CardElements
from gateway.domain.one_form import one_form
from gateway.domain.payments import Payment
from gateway.ports import PaymentKey, StoredCard
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.rows import payments_by_id
from gateway.storage.server.database import Database

MERCHANTS_WITH_WORK = """
SELECT m FROM unnest($1::uuid[]) AS m WHERE EXISTS (
    SELECT 1 FROM payments WHERE merchant_id = m AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
)
"""

CLAIM = """
WITH due AS (
    SELECT payment_id, $4::timestamptz AS lease_until FROM payments
    WHERE merchant_id = $1 AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
    AND channel <> ALL ($5::text[])
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE payments p SET lease_until = due.lease_until FROM due
WHERE p.merchant_id = $1 AND p.payment_id = due.payment_id RETURNING p.payment_id
"""

READ_CARD = "SELECT elements, data_key FROM cards WHERE merchant_id = $1 AND card_id = $2"
READ_AGREEMENT = """
SELECT a.agreement_no, c.data_key, c.card_id FROM cards asked
JOIN cards c ON c.merchant_id = $1 AND c.card_id = coalesce(asked.same_as, asked.card_id)
JOIN agreements a ON a.merchant_id = $1 AND a.card_id = c.card_id AND a.account = $3 AND a.status = 'active'
WHERE asked.merchant_id = $1 AND asked.card_id = $2
"""
# The one that is found from now on, where the one that is asked for is the same card typed differently.
FIND_CARD = """
SELECT c.card_id, c.masked, c.bank, c.elements, c.data_key FROM cards asked
JOIN cards c ON c.merchant_id = $1 AND c.card_id = coalesce(asked.same_as, asked.card_id)
WHERE asked.merchant_id = $1 AND asked.user_id = $2 AND asked.card_id = $3 AND c.erased_at IS NULL
"""
FIND_ATTEMPT = """
SELECT p.payment_id, p.user_id FROM attempts a JOIN payments p ON p.merchant_id = $1 AND p.payment_id = a.payment_id
WHERE a.merchant_id = $1 AND a.attempt_id = $2 AND a.account = $3
"""


@dataclass(frozen=True, slots=True)
class DueStore:
    """Claims payments with something due, and reads what the next step on one of them needs."""

    database: Database
    keys: Keys

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have something due now."""
        async with self.database.connection() as connection:
            return [row[0] for row in await connection.fetch(MERCHANTS_WITH_WORK, list(merchants), now)]

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, full: Collection[str] = ()
    ) -> list[Payment]:
        """Take up to `limit` due payments until `lease_until`: nobody else gets them before that.

        Channels in `full` are left out: whoever claims has as many of theirs in hand as it should.
        """
        async with self.database.transaction() as connection:
            ids = [row[0] for row in await connection.fetch(CLAIM, merchant_id, now, limit, lease_until, list(full))]
            if not ids:
                return []
            return await payments_by_id(connection, merchant_id, ids)

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements:
        """A card's elements as they were sent. Raises OverloadedError where this process lacks the key."""
        async with self.database.connection() as connection:
            elements, data_key = (await connection.fetch(READ_CARD, merchant_id, card_id))[0]
        assert elements is not None, "a card is erased only when none of its payments is open"
        try:
            return self.keys.box(merchant_id, card_id, data_key).open_elements(elements)
        except DecryptionError as error:
            raise stand_back(error) from None

    async def agreement_no(self, merchant_id: UUID, card_id: UUID, account: str) -> str | None:
        """The number of a card's active agreement with an account. Raises OverloadedError."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(READ_AGREEMENT, merchant_id, card_id, account)
        if not rows:
            return None
        sealed, data_key, found_id = rows[0]
        try:
            return self.keys.box(merchant_id, found_id, data_key).open_agreement(account, sealed)
        except DecryptionError as error:
            raise stand_back(error) from None

    async def find_card(self, merchant_id: UUID, user_id: str, card_id: UUID) -> StoredCard | None:
        """A user's own card, its elements in one form, or None. Raises OverloadedError where a key is missing here."""
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

    async def payment_of_attempt(self, merchant_id: UUID, account: str, attempt_id: UUID) -> PaymentKey | None:
        """The payment of an attempt that was made on this account, or None."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(FIND_ATTEMPT, merchant_id, attempt_id, account)
        return PaymentKey(merchant_id, *rows[0]) if rows else None
