"""The nine rules, each a small function that says its sentence of the specification, and the table of limits.

Rules look at what they are given and answer; the order in which they are asked is `decide`'s. Limits are inclusive and
a limit of None is no limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from router.ailing import hides_ailing
from router.facts import Candidate, ChannelFacts, LastAttempt, RouteRequest
from router.limits import RuleLimits
from router.reasons import Hidden, Refusal, yuan


@dataclass(frozen=True, slots=True)
class Offer:
    """A channel's offer to carry this payment: its rule, what the user did there, and its fee in fen.

    `compared`: the fee with its share of an authentication's, which step 6 ranks by.
    """

    candidate: Candidate
    facts: ChannelFacts
    fee: int
    compared: int


def step_1_hides(candidate: Candidate) -> Hidden | None:
    """Available are the rules that are enabled, whose channel is on, not in maintenance, and can carry this card and
    authenticate it now.

    The settings of its account must be usable, and a charge needs room there. Of those, ailing ones are left out
    (`step_1_hides_ailing`), which depends on the others.
    """
    if not candidate.enabled:
        return Hidden.RULE_DISABLED
    if not candidate.channel_on:
        return Hidden.CHANNEL_OFF
    if candidate.in_maintenance:
        return Hidden.IN_MAINTENANCE
    if not candidate.account_usable:
        return Hidden.ACCOUNT_UNUSABLE
    if candidate.unfit is not None:
        return Hidden(candidate.unfit)
    if candidate.signing != "ready":
        return Hidden(candidate.signing)
    return Hidden.CHANNEL_FULL if candidate.full else None


def step_1_hides_ailing(available: Sequence[Candidate]) -> dict[str, Hidden]:
    """Of these, what ails is left out but for one payment in n, and never the last one."""
    if all(each.ailing is None for each in available):
        return {}
    return hides_ailing(available)


def step_1_refuses(hidden: Sequence[Hidden]) -> Refusal:
    """None is available; a signing in progress, else a signing that is needed, is told if it alone hides some channel.

    Signing and want of room are the last reasons of step 1: a channel that has one has none before it. A channel that
    is only full is no refusal for good, so nothing is said of signing then (`Decision.wants_room`).
    """
    if Hidden.CHANNEL_FULL in hidden:
        return Refusal.NO_CHANNEL_AVAILABLE
    if Hidden.SIGNING_IN_PROGRESS in hidden:
        return Refusal.SIGNING_IN_PROGRESS
    if Hidden.NEEDS_SIGNING in hidden:
        return Refusal.CARD_NEEDS_SIGNING
    return Refusal.NO_CHANNEL_AVAILABLE


def step_2_refuses(available: Sequence[Offer], amount: int) -> Refusal | None:
    """The amount is above the largest single limit among all available channels."""
    largest = largest_single_limit(available)
    return Refusal.SINGLE_LIMIT_EXCEEDED if largest is not None and amount > largest else None


def step_3_refuses(available: Sequence[Offer], amount: int) -> Refusal | None:
    """What the user used today and this amount fit the daily limit of none of the available channels."""
    return None if any(within_daily_limit(o, amount) for o in available) else Refusal.DAILY_LIMIT_EXCEEDED


def step_4_refuses(available: Sequence[Offer], amount: int) -> Refusal | None:
    """The user failed for want of balance too often today on every available channel."""
    if any(within_insufficient_limit(o, amount) for o in available):
        return None
    return Refusal.DAILY_INSUFFICIENT_BALANCE_EXCEEDED


def step_4_refuses_channel_total(available: Sequence[Offer], amount: int) -> Refusal | None:
    """Optional, after step 4: the amount fits what is left today, over all users, of none of the available channels."""
    return None if any(within_channel_total(o, amount) for o in available) else Refusal.CHANNEL_TOTAL_EXCEEDED


def step_4_refuses_card(available: Sequence[Offer], amount: int) -> Refusal | None:
    """Optional, after step 4: none of the available channels takes the amount from this card number (now, or today)."""
    return None if any(within_card_limit(o, amount) for o in available) else Refusal.CARD_LIMIT_EXCEEDED


def step_5_drops(offer: Offer, amount: int) -> Refusal | None:
    """A channel that fails one of the limits by itself is dropped; the first limit it fails is told."""
    for limit in LIMITS:
        if not limit.fits(offer, amount):
            return limit.refusal
    return None


def step_6_ranks(eligible: Sequence[Offer]) -> list[Offer]:
    """Lowest fee first, with the share of an authentication's where the merchant spreads it; same fee: larger priority
    first; same again: channel code."""
    return sorted(eligible, key=_fee_then_priority_then_code)


def step_7_takes_best(best_last: LastAttempt | None) -> bool:
    """The user's last attempt on the best channel succeeded, or there is none."""
    return best_last is None or best_last.status == "succeeded"


def step_8_takes_best(best_last: LastAttempt) -> bool:
    """It failed and the payer is to blame: another channel would not help."""
    return best_last.blame == "payer"


def step_9_takes_best(second_last: LastAttempt | None) -> bool:
    """The second best failed the user too, and not by the payer's fault; otherwise the second best is chosen."""
    return second_last is not None and second_last.failed_by_other_than_payer


def largest_single_limit(available: Sequence[Offer]) -> int | None:
    """None as soon as one channel has no single limit."""
    largest = 0
    for offer in available:
        limit = offer.candidate.limits.single_limit
        if limit is None:
            return None
        largest = max(largest, limit)
    return largest


def counted_last_attempt(facts: ChannelFacts, request: RouteRequest) -> LastAttempt | None:
    """The last attempt, unless it is older than the request lets count. One without a finish time is fresh."""
    last = facts.last_attempt
    if last is None or last.finished_at is None or request.last_attempt_max_age is None:
        return last
    return None if request.now - last.finished_at > request.last_attempt_max_age else last


def counted_insufficient(candidate: Candidate, facts: ChannelFacts) -> int:
    """Today's failures for want of balance that count here: the user's, or those of this card number."""
    by_card = candidate.daily_insufficient_by == "card"
    return facts.card_insufficient_today if by_card else facts.insufficient_today


def _fee_then_priority_then_code(offer: Offer) -> tuple[int, int, str]:
    return offer.compared, -offer.candidate.priority, offer.candidate.channel


# The limits: first whether an offer keeps each one for this amount, then the table.


def within_single_limit(offer: Offer, amount: int) -> bool:
    limit = offer.candidate.limits.single_limit
    return limit is None or amount <= limit


def within_daily_limit(offer: Offer, amount: int) -> bool:
    limit = offer.candidate.limits.daily_limit
    return limit is None or offer.facts.used_today + amount <= limit


def within_insufficient_limit(offer: Offer, _amount: int) -> bool:
    limit = offer.candidate.limits.daily_insufficient_limit
    return limit is None or counted_insufficient(offer.candidate, offer.facts) < limit


def within_channel_total(offer: Offer, amount: int) -> bool:
    limit = offer.candidate.channel_limits.daily_total
    return limit is None or offer.facts.channel_used_today + amount <= limit


def within_card_limit(offer: Offer, amount: int) -> bool:
    single, daily = offer.candidate.limits.card_single_limit, offer.candidate.limits.card_daily_limit
    return (single is None or amount <= single) and (daily is None or offer.facts.card_used_today + amount <= daily)


def _used(used: int, in_flight: int | None) -> str:
    told = f"{yuan(used)} are used"
    return f"{told} ({yuan(in_flight)} in flight)" if in_flight else told


def _card_takes(limits: RuleLimits, facts: ChannelFacts) -> str:
    takes = []
    if limits.card_single_limit is not None:
        takes.append(f"takes at most {yuan(limits.card_single_limit)} at once from a card")
    if limits.card_daily_limit is not None:
        used = f"of which {_used(facts.card_used_today, facts.card_in_flight_today)}"
        takes.append(f"takes at most {yuan(limits.card_daily_limit)} a day from this card, {used}")
    return " and ".join(takes)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: what it gives where it is exceeded, whether an offer keeps it, and what is said of one that does not."""

    refusal: Refusal
    fits: Callable[[Offer, int], bool]
    says: Callable[[Candidate, ChannelFacts], str]


LIMITS: Final[tuple[Limit, ...]] = (
    Limit(
        Refusal.SINGLE_LIMIT_EXCEEDED,
        within_single_limit,
        lambda rule, _facts: f"takes at most {yuan(rule.limits.single_limit)} at once",
    ),
    Limit(
        Refusal.DAILY_LIMIT_EXCEEDED,
        within_daily_limit,
        lambda rule, facts: (
            f"takes at most {yuan(rule.limits.daily_limit)} a day, "
            f"of which {_used(facts.used_today, facts.in_flight_today)}"
        ),
    ),
    Limit(
        Refusal.DAILY_INSUFFICIENT_BALANCE_EXCEEDED,
        within_insufficient_limit,
        lambda rule, facts: (
            f"has {counted_insufficient(rule, facts)} of {rule.limits.daily_insufficient_limit} failures "
            "for insufficient balance that are allowed a day"
            + (" to this card" if rule.daily_insufficient_by == "card" else "")
        ),
    ),
    Limit(
        Refusal.CHANNEL_TOTAL_EXCEEDED,
        within_channel_total,
        lambda rule, facts: (
            f"takes at most {yuan(rule.channel_limits.daily_total)} a day from all users, "
            f"of which {_used(facts.channel_used_today, facts.channel_in_flight_today)}"
        ),
    ),
    Limit(
        Refusal.CARD_LIMIT_EXCEEDED,
        within_card_limit,
        lambda rule, facts: _card_takes(rule.limits, facts),
    ),
)
"""In the order in which a channel that exceeds several tells them."""
