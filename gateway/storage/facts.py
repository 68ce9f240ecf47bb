"""What the router must know of users: usage of the day, last attempts, known cards and agreements, in one read."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import UserFacts
from gateway.storage.crypto import KeyRing
from gateway.storage.statement import fetch
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
"""

READ_CHANNEL_TOTALS = """
SELECT channel, sum(reserved + succeeded)::bigint FROM channel_usage
WHERE merchant_id = $1 AND business_day = $2 GROUP BY channel
"""

READ_CARD_TOTALS = """
SELECT p.card_id, p.channel, sum(p.amount)::bigint FROM payments p
JOIN attempts a ON a.merchant_id = $1 AND a.payment_id = p.payment_id
WHERE p.merchant_id = $1 AND p.card_id = ANY($2::uuid[]) AND p.business_day = $3
  AND (p.status IN ('processing', 'requires_action', 'succeeded') OR a.late_success)
GROUP BY p.card_id, p.channel
"""


def agreement_context(merchant_id: UUID, card_id: UUID, account: str) -> bytes:
    """What an encrypted agreement number is bound to."""
    return b"agreement:%s:%s:%s" % (merchant_id.bytes, card_id.bytes, account.encode())


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
    connection: AsyncConnection,
    merchant_id: UUID,
    users: Iterable[str],
    day: date,
    fingerprints: Iterable[bytes],
    card_ids: Iterable[UUID],
) -> Facts:
    """Read the facts of users and of the cards that are named by fingerprint or id."""
    facts = Facts()
    parameters = (merchant_id, list(users), day, list(fingerprints), list(card_ids))
    for what, one, two, fen, times, at, card_id, blob in await fetch(connection, READ_FACTS, *parameters):
        if what == "usage":
            facts.usage[one][two] = (fen, times)
        elif what == "last":
            channel, status, blame = two.split(" ")
            said = cast("Literal['succeeded', 'failed']", status)
            facts.last[one][channel] = LastAttempt(said, cast("Blame | None", blame or None), at)
        elif what == "card":
            facts.cards[one, bytes(blob)] = card_id
        else:
            facts.verified[card_id].add(one)
            if two == "active":
                facts.agreements[card_id][one] = bytes(blob)
    return facts


async def add_totals(
    connection: AsyncConnection, facts: Facts, merchant_id: UUID, day: date, card_ids: Iterable[UUID]
) -> None:
    """Read the optional totals: per channel over all users, and per card and channel. Only where a limit asks."""
    for channel, total in await fetch(connection, READ_CHANNEL_TOTALS, merchant_id, day):
        facts.channel_totals[channel] = total
    for card_id, channel, total in await fetch(connection, READ_CARD_TOTALS, merchant_id, list(card_ids), day):
        facts.card_totals[card_id][channel] = total
