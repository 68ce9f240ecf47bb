"""Totals: what all users together used of a channel today, and what is used of a card number there.

Only channels whose limits ask for them are counted. The flush that changes usage counts in its own statement, so a
total never says what usage does not; it is read by key, whatever lies in the tables.

A channel's total is the sum of *parts*. Each store counts into a part of its own, so flushes never wait for each other,
and into a new one each minute, so that a row has few versions even while an old snapshot keeps all of them. Parts that
nobody counts into any more are added up once and remembered.

When a store first sees a limit, what was not counted until then is made good (`making_good`).
"""

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from gateway.domain.catalogue import Counted
from gateway.domain.payments import Payment
from gateway.domain.recorded_routes import RecordedRoute
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import card_totals, cards, channel_totals
from gateway.storage.writing.making_good import MakingGood, begins_with
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "READ_TOTALS",
    "Change",
    "OfCard",
    "Totals",
    "UsedByAll",
    "count_changes",
    "count_reservations",
    "print_numbers",
]

COUNTED_INTO = timedelta(minutes=1)
"""How long a store counts into the same part."""
ENDED_AFTER = timedelta(minutes=3)
"""A part this old is not counted into any more: the slowest flush has ended, and clocks are not that far apart."""

READ_TOTALS = """
SELECT channel, NULL::bytea AS number_print, part < $4 AS ended, sum(used)::bigint, 0 FROM channel_totals
WHERE merchant_id = $1 AND business_day = $2 AND part >= $3 GROUP BY channel, part < $4
UNION ALL
SELECT channel, number_print, false, used, insufficient FROM card_totals
WHERE merchant_id = $1 AND business_day = $2 AND number_print = ANY($5::bytea[])
"""

_ADDS_CHANNEL = (
    "ON CONFLICT (merchant_id, business_day, part, channel) DO UPDATE SET used = channel_totals.used + excluded.used"
)
_ADDS_CARD = (
    "ON CONFLICT (merchant_id, business_day, number_print, channel) "
    "DO UPDATE SET used = card_totals.used + excluded.used, "
    "insufficient = card_totals.insufficient + excluded.insufficient"
)

Change = tuple[str, date, UUID | None]
"""What usage changed of: channel, business day, card."""


@dataclass(frozen=True, slots=True)
class OfCard:
    """What all who use a card number did today on a channel: used in fen, and failures for want of balance."""

    used: int = 0
    insufficient: int = 0


@dataclass(slots=True)
class UsedByAll:
    """What is used today, by whoever, of channels that count it. What is in flight is known where it was asked for."""

    channels: dict[str, int] = field(default_factory=dict)
    cards: dict[bytes, dict[str, OfCard]] = field(default_factory=dict)
    """print of a card number → channel"""
    channels_in_flight: dict[str, int] = field(default_factory=dict)
    cards_in_flight: dict[tuple[bytes, str], int] = field(default_factory=dict)

    def reserve(self, channel: str, amount: int, number_print: bytes | None) -> None:
        """Count an attempt that is about to be recorded, for those that are routed after it."""
        self.channels[channel] = self.channels.get(channel, 0) + amount
        if channel in self.channels_in_flight:
            self.channels_in_flight[channel] += amount
        if number_print is None:
            return
        of_card = self.cards.setdefault(number_print, {})
        before = of_card.get(channel, OfCard())
        of_card[channel] = replace(before, used=before.used + amount)
        if (number_print, channel) in self.cards_in_flight:
            self.cards_in_flight[number_print, channel] += amount


@dataclass(slots=True)
class _Ended:
    """What is remembered of a merchant's day: the parts before `mark`, added up."""

    day: date
    mark: UUID
    used: dict[str, int]


class Totals:
    """One store's view of the totals: the part that it counts into, and what it remembers."""

    def __init__(self, database: Database) -> None:
        self.making_good = MakingGood(database)
        self._part: tuple[datetime, UUID] | None = None
        self._ended: dict[UUID, _Ended] = {}

    def part(self, now: datetime) -> UUID:
        """The part to count into now."""
        if self._part is None or not timedelta() <= now - self._part[0] < COUNTED_INTO:
            self._part = now, begins_with(now, secrets.randbits(80))
        return self._part[1]

    async def read(
        self, connection: Connection, merchant_id: UUID, day: date, number_prints: Collection[bytes], now: datetime
    ) -> UsedByAll:
        """What is used today: by channel, and by print of a card number and channel."""
        ended = self._ended.get(merchant_id)
        if ended is None or ended.day != day:
            ended = _Ended(day, UUID(int=1), {})
        mark = max(ended.mark, begins_with(now - ENDED_AFTER))
        rows = await connection.fetch(READ_TOTALS, merchant_id, day, ended.mark, mark, list(number_prints))
        of_channels: dict[str, int] = dict(ended.used)
        of_cards: dict[bytes, dict[str, OfCard]] = {}
        more_ended = dict(ended.used)
        for channel, number_print, has_ended, used, insufficient in rows:
            if number_print is not None:
                of_cards.setdefault(bytes(number_print), {})[channel] = OfCard(used, insufficient)
                continue
            of_channels[channel] = of_channels.get(channel, 0) + used
            if has_ended:
                more_ended[channel] = more_ended.get(channel, 0) + used
        self._ended[merchant_id] = _Ended(day, mark, more_ended)
        return UsedByAll(of_channels, of_cards)


def count_reservations(
    write: Write,
    routed: Iterable[Payment] | Iterable[RecordedRoute],
    counted: Counted,
    part: UUID,
    number_prints: Mapping[UUID, bytes],
    *,
    only: str,
) -> None:
    """Count payments, or routes, that the part `only` of the statement returned. `number_prints`: of their cards."""
    of_channels: list[Row] = []
    of_cards: list[Row] = []
    for payment in routed:
        row: Row = {"payment_id": payment.payment_id, "business_day": payment.business_day}
        if payment.channel in counted.channels:
            of_channels.append(row | {"part": part, "channel": payment.channel, "used": payment.amount})
        number_print = number_prints.get(payment.card.card_id) if payment.card else None
        if payment.channel in counted.cards and number_print is not None:
            of_card = {"number_print": number_print, "channel": payment.channel}
            of_cards.append(row | of_card | {"used": payment.amount, "insufficient": 0})
    _write(write, of_channels, of_cards, only=(only, "payment_id"))


def count_changes(
    write: Write,
    changes: Mapping[Change, OfCard],
    counted: Counted,
    part: UUID,
    number_prints: Mapping[UUID, bytes],
) -> None:
    """Count what became of payments: `used` is below zero for what failed or was closed, above it for what succeeded
    late."""
    of_channels: list[Row] = []
    of_cards: list[Row] = []
    for (channel, day, card_id), change in changes.items():
        if channel in counted.channels:
            of_channels.append({"business_day": day, "part": part, "channel": channel, "used": change.used})
        number_print = number_prints.get(card_id) if card_id is not None else None
        if channel in counted.cards and number_print is not None:
            of_card = {"business_day": day, "number_print": number_print, "channel": channel}
            of_cards.append(of_card | {"used": change.used, "insufficient": change.insufficient})
    _write(write, of_channels, of_cards, only=None)


def _write(write: Write, of_channels: list[Row], of_cards: list[Row], *, only: tuple[str, str] | None) -> None:
    # Rows of cards are shared with other flushes: all of them take them in the order of their key.
    write.insert(channel_totals, of_channels, only=only, summed=("used",), conflict=_ADDS_CHANNEL)
    write.insert(card_totals, of_cards, only=only, summed=("used", "insufficient"), conflict=_ADDS_CARD)


def print_numbers(write: Write, number_prints: Mapping[UUID, bytes]) -> None:
    """Give known cards the print of their number where the first version wrote none: by it they are counted."""
    rows: list[Row] = [{"card_id": key, "number_print": printed} for key, printed in sorted(number_prints.items())]
    write.update(cards, rows, by=["card_id"], when="t.number_print IS NULL AND t.erased_at IS NULL")
