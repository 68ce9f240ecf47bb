"""The answer as a value: what was chosen or refused, by which step, and everything it was decided from."""

from collections.abc import Mapping
from dataclasses import dataclass

from router.facts import Candidate, ChannelFacts, RouteRequest
from router.reasons import Hidden, Refusal


@dataclass(frozen=True, slots=True)
class Seen:
    """One channel in the trace: the step that removed it and why, its fee in fen, its rank among the eligible."""

    channel: str
    removed_by_step: int | None
    reason: str | None
    fee: int
    rank: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A channel or a refusal, never both. `candidates` and `trace` stand in the order of the channel codes.

    `chosen_by_step` is 5, 7, 8 or 9; `refused_by_step` 1 to 5. `max_single_limit` is told when the amount is above the
    largest single limit. `facts` holds those of every channel seen.
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
    def wants_room(self) -> bool:
        """Refused because all that is left are channels that are full just now: the same order may come again."""
        return self.refused_by_step == 1 and any(seen.reason == Hidden.CHANNEL_FULL for seen in self.trace)

    @property
    def fee(self) -> int | None:
        """What the chosen channel charges for this payment, in fen; None when refused."""
        return next((seen.fee for seen in self.trace if seen.channel == self.chosen), None)

    @property
    def saved_against_next(self) -> int | None:
        """What the other of the two best would have charged more, in fen; None when there was no other.

        Zero or negative when the second best was chosen: that is what avoiding the best one cost.
        """
        ranked = self.ranked
        if self.chosen is None or len(ranked) < 2:
            return None
        best, second = ranked[:2]
        return second.fee - best.fee if best.channel == self.chosen else best.fee - second.fee
