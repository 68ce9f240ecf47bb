"""The answer as a value: what was chosen or refused, by which step, and everything it was decided from."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from router.facts import Candidate, ChannelFacts, RouteRequest
from router.left import Told, ToldLimit, exceeded_limit, told_of
from router.reasons import Hidden, Refusal

_OF_LIMITS: Final = frozenset({2, 3, 4, 5})
"""The steps that remove channels for a limit."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One channel in the trace: the step that removed it and why, its fee in fen, its rank among the eligible.

    `compared`: the fee that it was ranked by, with its share of an authentication's fee.
    """

    channel: str
    removed_by_step: int | None
    reason: str | None
    fee: int
    rank: int | None
    compared: int


@dataclass(frozen=True, slots=True)
class Decision:
    """A channel or a refusal, never both. `candidates` and `trace` stand in the order of the channel codes.

    `chosen_by_step` is 5, 7, 8 or 9; `refused_by_step` 1 to 5, or 0 where the payer is blocked. `max_single_limit`
    is told when the amount is above the largest single limit. `facts` holds those of every channel seen.
    """

    chosen: str | None
    refusal: Refusal | None
    chosen_by_step: int | None
    refused_by_step: int | None
    max_single_limit: int | None
    trace: tuple[Seen, ...]
    config_version: int
    request: RouteRequest
    candidates: tuple[Candidate, ...]
    facts: Mapping[str, ChannelFacts]

    @property
    def ranked(self) -> list[Seen]:
        """The channels that survived step 5, best first."""
        return sorted((seen for seen in self.trace if seen.rank is not None), key=lambda seen: seen.rank or 0)

    @property
    def told(self) -> Told | None:
        """What a refusal for a limit tells; None: no limit refused this."""
        if self.refusal is None or self.refused_by_step not in _OF_LIMITS:
            return None
        hidden = {seen.channel for seen in self.trace if seen.removed_by_step == 1}
        available = [(c, self.facts[c.channel]) for c in self.candidates if c.channel not in hidden]
        return told_of(self.refusal, self.request.amount, available)

    def limit_of(self, seen: Seen) -> ToldLimit | None:
        """The limit for which a channel of the trace was removed, if it was one."""
        if seen.removed_by_step not in _OF_LIMITS or seen.reason is None:
            return None
        candidate = next(c for c in self.candidates if c.channel == seen.channel)
        return exceeded_limit(candidate, self.facts[seen.channel], self.request.amount, Refusal(seen.reason))

    @property
    def wants_room(self) -> bool:
        """Refused because all that is left are channels that are full just now: the same order may come again."""
        return self.refused_by_step == 1 and any(seen.reason == Hidden.CHANNEL_FULL for seen in self.trace)

    @property
    def fee(self) -> int | None:
        """What the chosen channel charges for this payment, in fen; None when refused."""
        return next((seen.fee for seen in self.trace if seen.channel == self.chosen), None)

    @property
    def saved_against_next(self) -> int | None:
        """What the other of the two best would have cost more, in fen; None when there was no other.

        What is to be paid now counts: the fee, and the whole fee of an authentication where this card needs one,
        however the two were compared. Negative where the chosen one costs more: to avoid the best one, or to bind a new
        card.
        """
        ranked = self.ranked
        if self.chosen is None or len(ranked) < 2:
            return None
        best, second = ranked[:2]
        saved = self.cost(second) - self.cost(best)
        return saved if best.channel == self.chosen else -saved

    def cost(self, seen: Seen) -> int:
        """What a payment there costs now, in fen: its fee, and an authentication where this card needs one."""
        return seen.fee + self.to_authenticate(seen.channel)

    def to_authenticate(self, channel: str) -> int:
        """What authenticating this card there would cost, in fen; 0 where it is bound or needs none."""
        if self.facts[channel].bound:
            return 0
        return next(c.authentication_fee for c in self.candidates if c.channel == channel)

    def share(self, channel: str) -> Fraction:
        """The share of an authentication's fee that step 6 added, exact; 0 where none was."""
        spread = self.request.authentication_spread
        return Fraction(self.to_authenticate(channel), spread) if spread is not None else Fraction(0)
