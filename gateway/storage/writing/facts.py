"""What the router must know of users: usage of the day, last attempts, known cards and agreements, in one read."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal, cast
from uuid import UUID

from gateway.domain.ids import ObjectKind
from gateway.ports import UserFacts
from gateway.storage.keys import Keys
from gateway.storage.server.database import Connection
from gateway.storage.writing.cards import IS_THERE, CardRow, KnownCards
from gateway.storage.writing.orders import OrderKey, TakenOrder
from gateway.storage.writing.totals import UsedByAll
from gateway.storage.writing.unresolved import read_unresolved
from router.facts import Blame, ChannelFacts, LastAttempt, or_unresolved

READ_FACTS = f"""
WITH known AS MATERIALIZED (
    SELECT 'print' AS what, user_id, masked, NULL::smallint AS key_version, created_at AS at, card_id, print AS blob,
           data_key, NULL::uuid AS named
    FROM cards
    WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND print = ANY($4::bytea[]) AND print IS NOT NULL
    UNION ALL
    SELECT 'first', user_id, masked, key_version, created_at, card_id, elements, data_key, NULL
    FROM cards
    WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND masked = ANY($8::text[]) AND fingerprint IS NOT NULL
    UNION ALL
    SELECT 'named', c.user_id, NULL, NULL, h.created_at, h.card_id, h.elements, h.data_key, c.card_id
    FROM cards c JOIN cards h ON h.merchant_id = $1 AND h.card_id = coalesce(c.same_as, c.card_id)
    WHERE c.merchant_id = $1 AND c.user_id = ANY($2::text[]) AND c.card_id = ANY($5::uuid[])
        AND {IS_THERE.format(card="h")}
)
SELECT 'usage' AS what, user_id AS one, channel AS two, reserved + succeeded AS fen, insufficient AS times,
       NULL::timestamptz AS at, NULL::uuid AS id, NULL::bytea AS blob, NULL::bytea AS data_key, NULL::uuid AS named,
       reserved AS in_flight
FROM channel_usage WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND business_day = $3
UNION ALL
SELECT 'last', user_id, channel || ' ' || status || ' ' || coalesce(blame, ''), NULL, NULL, finished_at, NULL, NULL,
       NULL, NULL, NULL
FROM last_attempts WHERE merchant_id = $1 AND user_id = ANY($2::text[])
UNION ALL
SELECT what, user_id, masked, key_version, NULL, at, card_id, blob, data_key, named, NULL FROM known
UNION ALL
SELECT 'agreement', a.account, a.status, NULL, NULL, NULL, a.card_id, a.agreement_no, NULL, NULL, NULL
FROM agreements a WHERE a.merchant_id = $1 AND a.card_id = ANY(ARRAY(SELECT card_id FROM known))
UNION ALL
SELECT 'authenticating', t.account, CASE WHEN t.asked IS NOT NULL THEN 'sms' END, NULL, NULL, NULL,
       t.authentication_id, NULL, NULL, t.card_id, NULL
FROM authentications t
WHERE t.merchant_id = $1 AND t.card_id = ANY(ARRAY(SELECT card_id FROM known))
  AND t.status IN ('processing', 'requires_action')
UNION ALL
SELECT 'order ' || o.object, o.app, o.merchant_order_no, o.hash_version, o.hash_form, NULL, o.object_id, o.body_hash,
       NULL, NULL, NULL
FROM unnest($6::text[], $7::text[]) AS asked (app, merchant_order_no)
JOIN orders o ON o.merchant_id = $1 AND o.app = asked.app AND o.merchant_order_no = asked.merchant_order_no
"""

_UNUSED: Final = 0, 0, None


@dataclass
class Facts:
    """The facts of many users, kept up to date in memory while their orders are routed in turn."""

    usage: dict[str, dict[str, tuple[int, int, int]]] = field(default_factory=lambda: defaultdict(dict))
    """user → channel → (used_today, insufficient_today, in_flight_today)"""
    last: dict[str, dict[str, LastAttempt]] = field(default_factory=lambda: defaultdict(dict))
    cards: KnownCards = field(default_factory=KnownCards)
    orders: dict[OrderKey, TakenOrder] = field(default_factory=dict)
    """Which of the orders that were asked for are taken, and by what."""
    totals: UsedByAll = field(default_factory=UsedByAll)
    """What all users together, and all who use a card number, did of channels that count it."""

    def of(
        self, merchant_id: UUID, user_id: str, card_id: UUID | None, keys: Keys, number_print: bytes | None = None
    ) -> UserFacts:
        """One user's facts, with the agreements of one card. Raises DecryptionError."""
        mine = self.usage.get(user_id, {}).keys() | self.last.get(user_id, {}).keys() | self.totals.channels.keys()
        if number_print is not None:
            mine |= self.totals.cards.get(number_print, {}).keys()
        return UserFacts(
            channels={channel: self._of_channel(user_id, channel, number_print) for channel in mine},
            agreements=self._agreements(merchant_id, card_id, keys) if card_id else {},
            authentications=dict(self.cards.authenticating.get(card_id, {})) if card_id else {},
            verified_by=frozenset(self.cards.verified.get(card_id, ())) if card_id else frozenset(),
            signing=frozenset(self.cards.signing.get(card_id, ())) if card_id else frozenset(),
        )

    def _agreements(self, merchant_id: UUID, card_id: UUID, keys: Keys) -> dict[str, str]:
        if card_id not in self.cards.rows:
            return {}
        # The box is opened without agreements, too: who could not keep a new one must not ask for one.
        box = self.cards.box(merchant_id, card_id, keys)
        sealed = self.cards.agreements.get(card_id, {})
        return {account: box.open_agreement(account, blob) for account, blob in sealed.items()}

    def reserve(self, user_id: str, channel: str, amount: int, number_print: bytes | None = None) -> None:
        """Count an attempt that is about to be recorded, for those that are routed after it."""
        used, insufficient, in_flight = self.usage[user_id].get(channel, (0, 0, 0))
        self.usage[user_id][channel] = (used + amount, insufficient, in_flight + amount)
        self.totals.reserve(channel, amount, number_print)

    def _of_channel(self, user_id: str, channel: str, number_print: bytes | None) -> ChannelFacts:
        used, insufficient, in_flight = self.usage.get(user_id, {}).get(channel, _UNUSED)
        card, totals = number_print or b"", self.totals
        of_card = totals.cards.get(card, {}).get(channel)
        return ChannelFacts(
            used_today=used,
            insufficient_today=insufficient,
            last_attempt=self.last.get(user_id, {}).get(channel),
            channel_used_today=totals.channels.get(channel, 0),
            card_used_today=of_card.used if of_card else 0,
            in_flight_today=in_flight,
            channel_in_flight_today=totals.channels_in_flight.get(channel),
            card_in_flight_today=totals.cards_in_flight.get((card, channel)),
            card_insufficient_today=of_card.insufficient if of_card else 0,
        )


async def read_facts(
    connection: Connection,
    merchant_id: UUID,
    users: Iterable[str],
    day: date,
    prints: Mapping[bytes, str],
    card_ids: Iterable[UUID],
    orders: Collection[OrderKey] = (),
    *,
    unresolved: tuple[datetime, timedelta] | None = None,
) -> Facts:
    """Read the facts of users, of the cards that are named by print or id, and of order numbers.

    `prints` have the masked number of each card: by it those are found that the first version wrote. `unresolved`:
    what the time is, and how long an attempt may be without a result before it counts as failed; None: for ever.
    """
    facts, users = Facts(), list(users)
    cards = facts.cards
    apps, order_nos = [key[0] for key in orders], [key[1] for key in orders]
    masked = list(set(prints.values()))
    parameters = (merchant_id, users, day, list(prints), list(card_ids), apps, order_nos, masked)
    for what, one, two, fen, times, at, row_id, blob, data_key, named, in_flight in await connection.fetch(
        READ_FACTS, *parameters
    ):
        if what == "usage":
            facts.usage[one][two] = (fen, times, in_flight)
        elif what == "last":
            channel, status, blame = two.split(" ")
            said = cast("Literal['succeeded', 'failed']", status)
            facts.last[one][channel] = LastAttempt(said, cast("Blame | None", blame or None), at)
        elif what == "authenticating":
            if two is None:
                cards.authenticating[named][one] = row_id
            else:
                cards.signing[named].add(one)
        elif what.startswith("order "):
            kind = ObjectKind(what.removeprefix("order "))
            facts.orders[one, two] = TakenOrder(kind, row_id, bytes(blob), fen, times)
        elif what == "agreement":
            cards.verified[row_id].add(one)
            if two == "active":
                cards.agreements[row_id][one] = bytes(blob)
        else:
            first_version = blob if what == "first" else None
            cards.rows[row_id] = CardRow(row_id, data_key, at, first_version, erased=blob is None)
            if what == "print":
                cards.by_print[one, bytes(blob)] = row_id
            elif what == "first":
                cards.first_version[one, two].append(row_id)
            else:
                cards.named[named] = row_id
    if unresolved is not None:
        for (user_id, channel), since in (await read_unresolved(connection, merchant_id, users)).items():
            counted = or_unresolved(facts.last[user_id].get(channel), since, *unresolved)
            if counted is not None:
                facts.last[user_id][channel] = counted
    return facts
