"""A second router, written straight from the text of the specification and in another style on purpose.

Lists, loops and Fractions; it is slow, shares only the input values with the real one and none of its rules, so that
a misreading would have to be made twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from router import Candidate, ChannelFacts, FixedFee, LastAttempt, PercentFee, RouteRequest, TieredFee


@dataclass
class NaiveAnswer:
    chosen: str | None = None
    refusal: str | None = None
    step: int = 0
    max_single_limit: int | None = None
    max_amount_now: int | None = None
    limit: tuple[str, int, int, int | None] | None = None
    limits: dict[str, tuple[str, int, int, int | None]] = field(default_factory=dict)
    waits_only: bool | None = None
    other_card: bool | None = None
    wants_room: bool = False
    removed: dict[str, tuple[int, str]] = field(default_factory=dict)
    fees: dict[str, int] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)
    ranking: list[str] = field(default_factory=list)


def naive_fee(fee: FixedFee | PercentFee | TieredFee, amount: int) -> int:
    if isinstance(fee, TieredFee):
        chosen = fee.tiers[len(fee.tiers) - 1].fee
        for tier in reversed(fee.tiers):
            if tier.up_to is None or amount <= tier.up_to:
                chosen = tier.fee
        return naive_fee(chosen, amount)
    if isinstance(fee, FixedFee):
        return fee.amount
    exact = Fraction(str(fee.rate)) * amount
    if fee.min is not None and exact < fee.min:
        exact = Fraction(fee.min)
    if fee.max is not None and exact > fee.max:
        exact = Fraction(fee.max)
    return floor(exact + Fraction(1, 2))


def naive_exact(fee: FixedFee | PercentFee | TieredFee, amount: int) -> Fraction:
    if isinstance(fee, TieredFee):
        for tier in fee.tiers:
            if tier.up_to is None or tier.up_to >= amount:
                return naive_exact(tier.fee, amount)
        return naive_exact(fee.tiers[-1].fee, amount)
    if isinstance(fee, FixedFee):
        return Fraction(fee.amount)
    exact = Fraction(str(fee.rate)) * amount
    exact = exact if fee.min is None else max(exact, Fraction(fee.min))
    return exact if fee.max is None else min(exact, Fraction(fee.max))


def naive_decide(
    request: RouteRequest, candidates: Sequence[Candidate], facts: Mapping[str, ChannelFacts]
) -> NaiveAnswer:
    answer = NaiveAnswer()
    if len(request.blocked) != 0:
        answer.refusal = "blocked"
        return answer
    rules: dict[str, Candidate] = {}
    known: dict[str, ChannelFacts] = {}
    for candidate in candidates:
        if (candidate.scene, candidate.bank) == (request.scene, request.bank):
            rules[candidate.channel] = candidate
            known[candidate.channel] = facts[candidate.channel] if candidate.channel in facts else ChannelFacts()
            answer.fees[candidate.channel] = naive_fee(candidate.fee, request.amount)
            exact = naive_exact(candidate.fee, request.amount)
            if request.authentication_spread is not None and not known[candidate.channel].bound:
                exact += Fraction(candidate.authentication_fee, request.authentication_spread)
            answer.compared[candidate.channel] = floor(exact + Fraction(1, 2))

    # 1
    signing_alone = set()
    available = []
    for code in rules:
        rule = rules[code]
        if rule.enabled and rule.channel_on and not rule.in_maintenance and rule.account_usable and rule.unfit is None:
            if rule.signing == "ready" and not rule.full:
                available.append(code)
            elif rule.signing == "ready":
                answer.removed[code] = (1, "channel_full")
                answer.wants_room = True
            else:
                signing_alone.add(rule.signing)
                answer.removed[code] = (1, rule.signing)
        elif not rule.enabled:
            answer.removed[code] = (1, "rule_disabled")
        elif not rule.channel_on:
            answer.removed[code] = (1, "channel_off")
        elif rule.in_maintenance:
            answer.removed[code] = (1, "in_maintenance")
        elif not rule.account_usable:
            answer.removed[code] = (1, "account_unusable")
        else:
            answer.removed[code] = (1, str(rule.unfit))
    # 1, ailing: whoever may not come is sent away, if somebody better stays.
    for whom, better in (("off", ("well", "ails")), ("ails", ("well",))):
        how = {code: _how_it_is(rules[code]) for code in available}
        if any(state in better for state in how.values()):
            for code, state in how.items():
                ill = rules[code].ailing
                if state == whom and ill is not None and not ill.passes:
                    available.remove(code)
                    answer.removed[code] = (1, {"off": "channel_switched_off", "ails": "channel_ailing"}[whom])
    if len(available) != 0:
        answer.wants_room = False
    if len(available) == 0:
        answer.step = 1
        answer.refusal = "no_channel_available"
        if answer.wants_room:
            return answer
        if "needs_signing" in signing_alone:
            answer.refusal = "card_needs_signing"
        if "signing_in_progress" in signing_alone:
            answer.refusal = "signing_in_progress"
        return answer

    # What each available channel fails by itself, limit by limit, in the order of the specification.
    infinite = float("inf")
    fails: dict[str, list[str]] = {}
    for code in available:
        limits, total, past = rules[code].limits, rules[code].channel_limits.daily_total, known[code]
        fails[code] = []
        if request.amount > (infinite if limits.single_limit is None else limits.single_limit):
            fails[code].append("single_limit_exceeded")
        if not past.used_today + request.amount <= (infinite if limits.daily_limit is None else limits.daily_limit):
            fails[code].append("daily_limit_exceeded")
        tries = infinite if limits.daily_insufficient_limit is None else limits.daily_insufficient_limit
        failed_before = past.insufficient_today
        if rules[code].daily_insufficient_by == "card":
            failed_before = past.card_insufficient_today
        if not failed_before < tries:
            fails[code].append("daily_insufficient_balance_exceeded")
        if total is not None and past.channel_used_today + request.amount > total:
            fails[code].append("channel_total_exceeded")
        of_card = (limits.card_daily_limit, past.card_used_today), (limits.card_single_limit, 0)
        if any(most is not None and used + request.amount > most for most, used in of_card):
            fails[code].append("card_limit_exceeded")

    # 2, 3, 4 and the two optional ones: each looks at all that step 1 left.
    steps = {
        "single_limit_exceeded": 2,
        "daily_limit_exceeded": 3,
        "daily_insufficient_balance_exceeded": 4,
        "channel_total_exceeded": 4,
        "card_limit_exceeded": 4,
    }
    for limit, step in steps.items():
        if len([code for code in available if limit in fails[code]]) == len(available):
            answer.refusal, answer.step = limit, step
            if step == 2:
                answer.max_single_limit = max(rules[code].limits.single_limit or 0 for code in available)
            for code in available:
                answer.removed[code] = (step, limit)
            naive_telling(answer, available, rules, known, request.amount)
            return answer

    # 5
    left = [code for code in available if fails[code] == []]
    for code in available:
        if fails[code] != []:
            answer.removed[code] = (5, fails[code][0])
    answer.step = 5
    answer.ranking = left
    if len(left) == 0:
        answer.refusal = "no_eligible_channel"
        naive_telling(answer, available, rules, known, request.amount)
        return answer
    naive_telling(answer, [code for code in available if code not in left], rules, known, request.amount)
    if len(left) == 1:
        answer.chosen = left[0]
        return answer

    # 6: three stable sorts, the least important first.
    left = sorted(left)
    left = sorted(left, key=lambda code: rules[code].priority, reverse=True)
    left = sorted(left, key=lambda code: answer.compared[code])
    answer.ranking = left

    # 7, 8, 9
    best, second = left[0], left[1]
    how_best = _how_it_went(known[best].last_attempt, request)
    how_second = _how_it_went(known[second].last_attempt, request)
    if how_best == "well":
        answer.step, answer.chosen = 7, best
    elif how_best == "badly, payer":
        answer.step, answer.chosen = 8, best
    elif how_second == "badly, not payer":
        answer.step, answer.chosen = 9, best
    else:
        answer.step, answer.chosen = 9, second
    return answer


def _how_it_is(rule: Candidate) -> str:
    if rule.ailing is None:
        return "well"
    return "off" if rule.ailing.switched_off else "ails"


def _how_it_went(last: LastAttempt | None, request: RouteRequest) -> str:
    if last is None:
        return "well"
    if (
        request.last_attempt_max_age is not None
        and last.finished_at is not None
        and last.finished_at + request.last_attempt_max_age < request.now
    ):
        return "well"
    if last.status == "succeeded":
        return "well"
    return "badly, payer" if last.blame == "payer" else "badly, not payer"


CODES = {
    "single_limit": "single_limit_exceeded",
    "daily_limit": "daily_limit_exceeded",
    "daily_insufficient_limit": "daily_insufficient_balance_exceeded",
    "daily_total": "channel_total_exceeded",
    "card_single_limit": "card_limit_exceeded",
    "card_daily_limit": "card_limit_exceeded",
}


def naive_telling(
    answer: NaiveAnswer,
    dropped: list[str],
    rules: Mapping[str, Candidate],
    known: Mapping[str, ChannelFacts],
    amount: int,
) -> None:
    """What is told of channels that failed a limit; of a refusal, what would go now and what would help."""
    tables = {code: naive_table(rules[code], known[code]) for code in dropped}

    def passes(code: str, asked: int, without: str = "") -> bool:
        for kind, (most, used, flying) in tables[code].items():
            gone = 0
            if without == "flying":
                gone = flying or 0
            if without == "card" and (kind == "card_daily_limit" or _tries_of_card(kind, rules[code])):
                gone = used
            if used - gone + (1 if kind == "daily_insufficient_limit" else asked) > most:
                return False
        return True

    def shown(code: str, kind: str) -> tuple[str, int, int, int | None]:
        most, used, flying = tables[code][kind]
        return kind, most, most - used if most > used else 0, flying

    failing: dict[str, list[str]] = {}
    for code in dropped:
        failing[code] = []
        for kind, (most, used, _) in tables[code].items():
            if used + (1 if kind == "daily_insufficient_limit" else amount) > most:
                failing[code].append(kind)
        told = [kind for kind in failing[code] if CODES[kind] == answer.removed[code][1]]
        answer.limits[code] = shown(code, told[0])
    if answer.refusal is None:
        return

    # The most that goes: by halving, since whoever takes an amount takes every smaller one.
    best = {}
    for code in dropped:
        low, high = 0, amount
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if passes(code, middle) else (low, middle)
        best[code] = low
    answer.max_amount_now = max(best.values())
    waiting = [code for code in dropped if passes(code, amount, without="flying")]
    answer.waits_only = len(waiting) > 0
    answer.other_card = len([code for code in dropped if passes(code, amount, without="card")]) > 0
    order = []
    for code in sorted(dropped):
        told = [k for k in failing[code] if answer.refusal in (CODES[k], "no_eligible_channel")]
        kind, most, left, flying = shown(code, told[0])
        order.append((-(best[code] if answer.refusal == "no_eligible_channel" else left), (kind, most, left, flying)))
        if code in waiting:
            order[-1] = (order[-1][0] - 10**15, order[-1][1])
    answer.limit = min(order, key=lambda each: each[0])[1]


def naive_table(rule: Candidate, past: ChannelFacts) -> dict[str, tuple[int, int, int | None]]:
    """By kind: the limit, what is used of it, and how much of that is in flight."""

    def flying(told: int | None, used: int) -> int | None:
        if used == 0:
            return 0
        return told if told is None or told < used else used

    tries = past.card_insufficient_today if rule.daily_insufficient_by == "card" else past.insufficient_today
    of_day = past.used_today, flying(past.in_flight_today, past.used_today)
    of_all = past.channel_used_today, flying(past.channel_in_flight_today, past.channel_used_today)
    of_card = past.card_used_today, flying(past.card_in_flight_today, past.card_used_today)
    every = [
        ("single_limit", rule.limits.single_limit, 0, 0),
        ("daily_limit", rule.limits.daily_limit, *of_day),
        ("daily_insufficient_limit", rule.limits.daily_insufficient_limit, tries, 0),
        ("daily_total", rule.channel_limits.daily_total, *of_all),
        ("card_single_limit", rule.limits.card_single_limit, 0, 0),
        ("card_daily_limit", rule.limits.card_daily_limit, *of_card),
    ]
    return {kind: (most, used, in_flight) for kind, most, used, in_flight in every if most is not None}


def _tries_of_card(kind: str, rule: Candidate) -> bool:
    return kind == "daily_insufficient_limit" and rule.daily_insufficient_by == "card"
