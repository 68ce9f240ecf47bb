"""The nine steps in their order: facts in, a decision out. Pure, and run once for every payment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from router import record_1, rules
from router.decision import Decision, Seen
from router.facts import Candidate, ChannelFacts, RouteRequest
from router.fees import compared_fee, fee_for
from router.reasons import Hidden, Refusal
from router.record import from_record
from router.rules import Offer

__all__ = ["Decision", "Refusal", "Seen", "decide", "replay"]

StepOneRefuses = Callable[[Sequence[Hidden]], Refusal]

_NO_FACTS: Final = ChannelFacts()
_BY_CHANNEL: Final = attrgetter("channel")
_REFUSE_THE_REQUEST: Final[tuple[tuple[int, Callable[[Sequence[Offer], int], Refusal | None]], ...]] = (
    (2, rules.step_2_refuses),
    (3, rules.step_3_refuses),
    (4, rules.step_4_refuses),
    (4, rules.step_4_refuses_channel_total),
    (4, rules.step_4_refuses_card),
)


def decide(
    request: RouteRequest,
    candidates: Sequence[Candidate],
    facts: Mapping[str, ChannelFacts],
    config_version: int,
    *,
    step_1_refuses: StepOneRefuses = rules.step_1_refuses,
) -> Decision:
    """Name the channel for this request, or refuse it.

    Candidates of another scene or bank do not take part, and none does where the payer is blocked. A channel without
    facts is one the user never used.
    `step_1_refuses` is given by `replay` alone: records of an older format are replayed by the words of that format.
    Raises ValueError when one channel comes with two rules for the scene and bank.
    """
    asked = () if request.blocked else candidates
    of_request = [c for c in asked if c.scene == request.scene and c.bank == request.bank]
    of_request.sort(key=_BY_CHANNEL)
    used = {c.channel: facts.get(c.channel, _NO_FACTS) for c in of_request}
    if len(used) != len(of_request):
        raise ValueError("a channel has more than one rule for this scene and bank")
    offers = [_offer(c, used[c.channel], request) for c in of_request]
    verdict = _BLOCKED if request.blocked else _follow_the_steps(request, offers, step_1_refuses)
    return Decision(
        chosen=verdict.chosen,
        refusal=verdict.refusal,
        chosen_by_step=verdict.step if verdict.refusal is None else None,
        refused_by_step=None if verdict.refusal is None else verdict.step,
        max_single_limit=verdict.max_single_limit,
        trace=_trace(offers, verdict),
        config_version=config_version,
        request=request,
        candidates=tuple(of_request),
        facts=used,
    )


def _offer(candidate: Candidate, facts: ChannelFacts, request: RouteRequest) -> Offer:
    fee = fee_for(candidate.fee, request.amount)
    spread = request.authentication_spread
    if spread is None or facts.bound or not candidate.authentication_fee:
        return Offer(candidate, facts, fee, fee)
    return Offer(
        candidate, facts, fee, compared_fee(candidate.fee, request.amount, candidate.authentication_fee, spread)
    )


def replay(record: Mapping[str, Any]) -> Decision:
    """Decide again on what a stored record was decided from; equals `from_record(record)` unless the rules changed.

    A record of an older format is decided by the words of that format. Raises RecordError for one that cannot be read.
    """
    stored = from_record(record)
    refuses = record_1.step_1_refuses if record["format"] == record_1.FORMAT else rules.step_1_refuses
    return decide(stored.request, stored.candidates, stored.facts, stored.config_version, step_1_refuses=refuses)


@dataclass(frozen=True, slots=True)
class _Verdict:
    step: int
    removed: dict[str, tuple[int, Hidden | Refusal]]
    chosen: str | None = None
    refusal: Refusal | None = None
    max_single_limit: int | None = None
    ranked: list[Offer] = field(default_factory=list)


_BLOCKED: Final = _Verdict(0, {}, refusal=Refusal.BLOCKED)
"""Before the steps: no channel is looked at."""


def _follow_the_steps(request: RouteRequest, offers: Sequence[Offer], step_1_refuses: StepOneRefuses) -> _Verdict:
    hidden = {o.candidate.channel: why for o in offers if (why := rules.step_1_hides(o.candidate)) is not None}
    hidden |= rules.step_1_hides_ailing([o.candidate for o in offers if o.candidate.channel not in hidden])
    removed: dict[str, tuple[int, Hidden | Refusal]] = {channel: (1, why) for channel, why in hidden.items()}
    available = [o for o in offers if o.candidate.channel not in hidden]
    if not available:
        return _Verdict(1, removed, refusal=step_1_refuses(list(hidden.values())))

    for step, refuses in _REFUSE_THE_REQUEST:
        refusal = refuses(available, request.amount)
        if refusal is not None:
            removed.update((o.candidate.channel, (step, refusal)) for o in available)
            largest = rules.largest_single_limit(available) if step == 2 else None
            return _Verdict(step, removed, refusal=refusal, max_single_limit=largest)

    eligible = []
    for offer in available:
        failed = rules.step_5_drops(offer, request.amount)
        if failed is None:
            eligible.append(offer)
        else:
            removed[offer.candidate.channel] = (5, failed)
    if not eligible:
        return _Verdict(5, removed, refusal=Refusal.NO_ELIGIBLE_CHANNEL)
    if len(eligible) == 1:
        return _Verdict(5, removed, chosen=eligible[0].candidate.channel, ranked=eligible)

    ranked = rules.step_6_ranks(eligible)
    step, chosen = _best_or_second(request, ranked[0], ranked[1])
    return _Verdict(step, removed, chosen=chosen.candidate.channel, ranked=ranked)


def _best_or_second(request: RouteRequest, best: Offer, second: Offer) -> tuple[int, Offer]:
    best_last = rules.counted_last_attempt(best.facts, request)
    if best_last is None or rules.step_7_takes_best(best_last):
        return 7, best
    if rules.step_8_takes_best(best_last):
        return 8, best
    if rules.step_9_takes_best(rules.counted_last_attempt(second.facts, request)):
        return 9, best
    return 9, second


def _trace(offers: Sequence[Offer], verdict: _Verdict) -> tuple[Seen, ...]:
    ranks = {offer.candidate.channel: rank for rank, offer in enumerate(verdict.ranked, start=1)}
    seen = []
    for offer in offers:
        channel = offer.candidate.channel
        step, reason = verdict.removed.get(channel, (None, None))
        seen.append(Seen(channel, step, reason, offer.fee, ranks.get(channel), offer.compared))
    return tuple(seen)
