"""What the router must know of users: usage of the day, last attempts, known cards and agreements, in one read."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, cast
from uuid import UUID

from gateway.ports import UserFacts
from gateway.storage.crypto import KeyRing
from gateway.storage.server.database import Connection
from router.facts import Blame, ChannelFacts, LastAttempt

READ_FACTS = """
SELECT 'usage' AS what, user_id AS one, channel AS two, reserved + succeeded AS fen, insufficient AS times,
       NULL::timestamptz AS at, NULL::uuid AS id, NULL::bytea AS blob
FROM channel_usage WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND business_day = $3
UNION ALL
SELECT 'last', user_id, channel || ' ' || status || ' ' || coalesce(blame, ''), NULL, NULL, finished_at, NULL, NULL
FROM last_attempts WHERE merchant_id = $1 AND user_id = ANY($2::text[])
UNION ALL
SELECT 'card', user_id, NULL, NULL, NULL, NULL, card_id, fingerprint
FROM cards WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND fingerprint = ANY($4::bytea[])
UNION ALL
SELECT 'agreement', a.account, a.status, NULL, NULL, NULL, a.card_id, a.agreement_no
FROM agreements a WHERE a.merchant_id = $1 AND a.card_id = ANY(ARRAY(
    SELECT card_id FROM cards WHERE merchant_id = $1 AND user_id = ANY($2::text[])
    AND (fingerprint = ANY($4::bytea[]) OR card_id = ANY($5::uuid[]))
))
UNION ALL
SELECT 'order', p.app, p.merchant_order_no, p.hash_version, NULL, NULL, p.payment_id, p.body_hash
FROM unnest($6::text[], $7::text[]) AS asked (app, merchant_order_no)
JOIN payments p ON p.merchant_id = $1 AND p.app = asked.app AND p.merchant_order_no = asked.merchant_order_no
"""

READ_CHANNEL_TOTALS = """
SELECT channel, sum(reserved + succeeded)::bigint FROM channel_usage
WHERE merchant_id = $1 AND business_day = $2 GROUP BY channel
"""

READ_CARD_TOTALS = """
SELECT p.card_id, p.channel, sum(p.amount)::bigint FROM payments p
JOIN attempts a ON a.merchant_id = $1 AND a.payment_id = p.payment_id
WHERE p.merchant_id = $1 AND p.user_id = ANY($4::text[]) AND p.card_id = ANY($2::uuid[]) AND p.business_day = $3
  AND (p.status IN ('processing', 'requires_action', 'succeeded') OR a.late_success)
GROUP BY p.card_id, p.channel
"""


def agreement_context(merchant_id: UUID, card_id: UUID, account: str) -> bytes:
    """What an encrypted agreement number is bound to."""
    return b"agreement:%s:%s:%s" % (merchant_id.bytes, card_id.bytes, account.encode())


OrderKey = tuple[str, str]
"""App and merchant_order_no."""


@dataclass(frozen=True, slots=True)
class TakenOrder:
    """An order number that has its payment, with the keyed hash of the request it came with."""

    payment_id: UUID
    body_hash: bytes
    hash_version: int


@dataclass
class Facts:
    """The facts of many users, kept up to date in memory while their orders are routed in turn."""

    usage: dict[str, dict[str, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    """user → channel → (used_today, insufficient_today)"""
    last: dict[str, dict[str, LastAttempt]] = field(default_factory=lambda: defaultdict(dict))
    cards: dict[tuple[str, bytes], UUID] = field(default_factory=dict)
    agreements: dict[UUID, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    """card → account → encrypted number; active ones"""
    verified: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    orders: dict[OrderKey, TakenOrder] = field(default_factory=dict)
    """Which of the orders that were asked for have a payment already."""
    channel_totals: dict[str, int] = field(default_factory=dict)
    card_totals: dict[UUID, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def of(self, merchant_id: UUID, user_id: str, card_id: UUID | None, ring: KeyRing) -> UserFacts:
        """One user's facts, with the agreements of one card."""
        agreements = self.agreements.get(card_id, {}) if card_id else {}
        mine = self.usage.get(user_id, {}).keys() | self.last.get(user_id, {}).keys() | self.channel_totals.keys()
        if card_id is not None:
            mine |= self.card_totals.get(card_id, {}).keys()
        return UserFacts(
            channels={channel: self._of_channel(user_id, channel, card_id) for channel in mine},
            agreements={
                account: ring.decrypt(blob, agreement_context(merchant_id, card_id, account)).decode()
                for account, blob in agreements.items()
                if card_id
            },
            verified_by=frozenset(self.verified.get(card_id, ())) if card_id else frozenset(),
        )

    def reserve(self, user_id: str, channel: str, card_id: UUID | None, amount: int) -> None:
        """Count an attempt that is about to be recorded, for those that are routed after it."""
        used, insufficient = self.usage[user_id].get(channel, (0, 0))
        self.usage[user_id][channel] = (used + amount, insufficient)
        self.channel_totals[channel] = self.channel_totals.get(channel, 0) + amount
        if card_id is not None:
            self.card_totals[card_id][channel] = self.card_totals[card_id].get(channel, 0) + amount

    def _of_channel(self, user_id: str, channel: str, card_id: UUID | None) -> ChannelFacts:
        used, insufficient = self.usage.get(user_id, {}).get(channel, (0, 0))
        return ChannelFacts(
            used_today=used,
            insufficient_today=insufficient,
            last_attempt=self.last.get(user_id, {}).get(channel),
            channel_used_today=self.channel_totals.get(channel, 0),
            card_used_today=self.card_totals.get(card_id, {}).get(channel, 0) if card_id else 0,
        )


async def read_facts(
    connection: Connection,
    merchant_id: UUID,
    users: Iterable[str],
    day: date,
    fingerprints: Iterable[bytes],
    card_ids: Iterable[UUID],
    orders: Collection[OrderKey] = (),
) -> Facts:
    """Read the facts of users, of the cards that are named by fingerprint or id, and of order numbers."""
    facts = Facts()
    apps, order_nos = [key[0] for key in orders], [key[1] for key in orders]
    parameters = (merchant_id, list(users), day, list(fingerprints), list(card_ids), apps, order_nos)
    for what, one, two, fen, times, at, row_id, blob in await connection.fetch(READ_FACTS, *parameters):
        if what == "usage":
            facts.usage[one][two] = (fen, times)
        elif what == "last":
            channel, status, blame = two.split(" ")
            said = cast("Literal['succeeded', 'failed']", status)
            facts.last[one][channel] = LastAttempt(said, cast("Blame | None", blame or None), at)
        elif what == "card":
            facts.cards[one, bytes(blob)] = row_id
        elif what == "order":
            facts.orders[one, two] = TakenOrder(row_id, bytes(blob), fen)
        else:
            facts.verified[row_id].add(one)
            if two == "active":
                facts.agreements[row_id][one] = bytes(blob)
    return facts


async def add_totals(
    connection: Connection,
    facts: Facts,
    merchant_id: UUID,
    users: Iterable[str],
    day: date,
    card_ids: Iterable[UUID],
) -> None:
    """Read the optional totals: per channel over all users, and per card and channel. Only where a limit asks."""
    for channel, total in await connection.fetch(READ_CHANNEL_TOTALS, merchant_id, day):
        facts.channel_totals[channel] = total
    for card_id, channel, total in await connection.fetch(
        READ_CARD_TOTALS, merchant_id, list(card_ids), day, list(users)
    ):
        facts.card_totals[card_id][channel] = total
