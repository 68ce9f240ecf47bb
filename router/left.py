"""What limits still leave: which limit a refusal is told by, the most that goes now, and what would help.

Asked only of a channel that failed a limit, so that it costs a payment that goes through nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from router.facts import Candidate, ChannelFacts
from router.reasons import Refusal
from router.rules import counted_insufficient


@dataclass(frozen=True, slots=True)
class ToldLimit:
    """One limit of one channel, as a refusal tells it.

    `kind` is its name in the catalogue (`router.limits`). `limit`, `left` and `in_flight` are fen; of
    `daily_insufficient_limit`, times. `in_flight`: how much of what is used has no result yet, and may come back; None:
    not known (decisions of before).
    """

    kind: str
    limit: int
    left: int
    in_flight: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a refusal for a limit tells.

    `max_amount_now`: the most that one available channel would still take, in fen; 0: none takes anything.
    `in_flight_only`: a channel would take the amount if nothing were in flight. `other_card_helps`: one would take it
    from a card number that was not used there today.
    """

    limit: ToldLimit
    max_amount_now: int
    in_flight_only: bool
    other_card_helps: bool


class _Rest(NamedTuple):
    """One limit with what is used of it. `of_card`: of that, another card number has used nothing."""

    kind: str
    refusal: Refusal
    limit: int
    used: int = 0
    in_flight: int | None = 0
    of_card: bool = False
    times: bool = False

    def fits(self, amount: int, freed: int = 0) -> bool:
        return self.used - freed + (1 if self.times else amount) <= self.limit

    @property
    def left(self) -> int:
        return max(self.limit - self.used, 0)

    @property
    def told(self) -> ToldLimit:
        return ToldLimit(self.kind, self.limit, self.left, self.in_flight)


def exceeded_limit(candidate: Candidate, facts: ChannelFacts, amount: int, refusal: Refusal) -> ToldLimit | None:
    """The limit by which a channel fails with this refusal; None: it keeps it, or it is no refusal for a limit."""
    failed = (rest for rest in _rests(candidate, facts) if rest.refusal is refusal and not rest.fits(amount))
    first = next(failed, None)
    return first.told if first is not None else None


def told_of(refusal: Refusal, amount: int, available: Sequence[tuple[Candidate, ChannelFacts]]) -> Told | None:
    """What a refusal tells of the channels that were available, each of which fails a limit.

    None: it is no refusal for a limit. Where every channel fails the same limit, that one is told, of a channel that
    waits only for what is in flight, else of the one that has most of it left. Where each fails one of its own, the
    limit is told that a channel fails first, of a channel that waits only for what is in flight, else of the one that
    would still take the most.
    """
    each = [_seen(candidate, facts) for candidate, facts in available]
    of_one = [
        (seen, rest)
        for seen in each
        if (rest := seen.first_failed(amount, None if refusal is Refusal.NO_ELIGIBLE_CHANNEL else refusal)) is not None
    ]
    if not of_one:
        return None
    waiting = {seen.channel for seen in each if seen.waits_for_flights(amount)}

    def rank(told: tuple[_Seen, _Rest]) -> tuple[bool, int, str]:
        seen, rest = told
        left = seen.most if refusal is Refusal.NO_ELIGIBLE_CHANNEL else rest.left
        return seen.channel not in waiting, -left, seen.channel

    _, rest = min(of_one, key=rank)
    return Told(
        limit=rest.told,
        max_amount_now=max(seen.most for seen in each),
        in_flight_only=bool(waiting),
        other_card_helps=any(seen.takes_another_card(amount) for seen in each),
    )


class _Seen(NamedTuple):
    """A channel with its limits. `most`: the least that they leave, in fen."""

    channel: str
    rests: list[_Rest]
    most: int

    def first_failed(self, amount: int, refusal: Refusal | None) -> _Rest | None:
        of_it = (rest for rest in self.rests if refusal is None or rest.refusal is refusal)
        return next((rest for rest in of_it if not rest.fits(amount)), None)

    def waits_for_flights(self, amount: int) -> bool:
        return all(rest.fits(amount, rest.in_flight or 0) for rest in self.rests)

    def takes_another_card(self, amount: int) -> bool:
        return all(rest.fits(amount, rest.used if rest.of_card else 0) for rest in self.rests)


def _seen(candidate: Candidate, facts: ChannelFacts) -> _Seen:
    rests = list(_rests(candidate, facts))
    bounds = [rest.left for rest in rests if not rest.times or not rest.left]
    return _Seen(candidate.channel, rests, min(bounds, default=0))


def _rests(candidate: Candidate, facts: ChannelFacts) -> Iterator[_Rest]:
    """The limits that a channel has, in the order in which one that exceeds several tells them."""
    limits, total = candidate.limits, candidate.channel_limits.daily_total
    if limits.single_limit is not None:
        yield _Rest("single_limit", Refusal.SINGLE_LIMIT_EXCEEDED, limits.single_limit)
    if limits.daily_limit is not None:
        in_flight = _known(facts.in_flight_today, facts.used_today)
        yield _Rest("daily_limit", Refusal.DAILY_LIMIT_EXCEEDED, limits.daily_limit, facts.used_today, in_flight)
    if limits.daily_insufficient_limit is not None:
        yield _Rest(
            "daily_insufficient_limit",
            Refusal.DAILY_INSUFFICIENT_BALANCE_EXCEEDED,
            limits.daily_insufficient_limit,
            counted_insufficient(candidate, facts),
            of_card=candidate.daily_insufficient_by == "card",
            times=True,
        )
    if total is not None:
        in_flight = _known(facts.channel_in_flight_today, facts.channel_used_today)
        yield _Rest("daily_total", Refusal.CHANNEL_TOTAL_EXCEEDED, total, facts.channel_used_today, in_flight)
    if limits.card_single_limit is not None:
        yield _Rest("card_single_limit", Refusal.CARD_LIMIT_EXCEEDED, limits.card_single_limit)
    if limits.card_daily_limit is not None:
        in_flight = _known(facts.card_in_flight_today, facts.card_used_today)
        yield _Rest(
            "card_daily_limit",
            Refusal.CARD_LIMIT_EXCEEDED,
            limits.card_daily_limit,
            facts.card_used_today,
            in_flight,
            of_card=True,
        )


def _known(in_flight: int | None, used: int) -> int | None:
    """What is in flight is a part of what is used: of nothing it is nothing."""
    return min(in_flight, used) if in_flight is not None else (None if used else 0)
