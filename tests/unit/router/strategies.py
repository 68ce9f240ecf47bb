"""Random requests, candidates and facts, drawn narrow so that limits and ties are often met exactly."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from hypothesis import strategies as st

from router import (
    Ailing,
    Candidate,
    ChannelFacts,
    ChannelLimits,
    Fee,
    FixedFee,
    LastAttempt,
    PercentFee,
    RouteRequest,
    RuleLimits,
    Tier,
    TieredFee,
)
from router.limits import Limits

CHANNELS = ["allinpay", "baofoo", "chinapay", "unionpay", "yeepay"]
NOW = datetime(2025, 6, 3, 4, 5, 6, 7, tzinfo=UTC)


class Case(NamedTuple):
    request: RouteRequest
    candidates: list[Candidate]
    facts: Mapping[str, ChannelFacts]


@cache  # a strategy costs more to make than to draw from
def rates() -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=0, max_value=1, allow_nan=False, places=4)


@st.composite
def percent_fees(draw: st.DrawFn) -> PercentFee:
    bounds = sorted(draw(st.lists(st.integers(0, 300), min_size=2, max_size=2)))
    return PercentFee(
        draw(rates()),
        min=draw(st.sampled_from([None, bounds[0]])),
        max=draw(st.sampled_from([None, bounds[1]])),
    )


@st.composite
def tiered_fees(draw: st.DrawFn) -> TieredFee:
    ends: list[int | None] = [*sorted(draw(st.sets(st.integers(1, 2000), min_size=1, max_size=4)))]
    if draw(st.booleans()):
        ends[-1] = None
    return TieredFee(tuple(Tier(end, draw(_fees_of_a_tier())) for end in ends))


@cache
def fixed_fees() -> st.SearchStrategy[FixedFee]:
    return st.builds(FixedFee, st.integers(0, 5))


@cache
def _fees_of_a_tier() -> st.SearchStrategy[FixedFee | PercentFee]:
    return st.one_of(fixed_fees(), percent_fees())


@cache
def fees() -> st.SearchStrategy[Fee]:
    return st.one_of(fixed_fees(), fixed_fees(), percent_fees(), tiered_fees())


@cache
def last_attempts() -> st.SearchStrategy[LastAttempt | None]:
    ages = st.sampled_from([0, 1, 59, 60, 61, 3600, 86400 * 30])
    finished = st.none() | ages.map(lambda minutes: NOW - timedelta(minutes=minutes))
    failed = st.builds(
        LastAttempt, st.just("failed"), st.sampled_from(["payer", "channel", "platform", None]), finished
    )
    succeeded = st.builds(LastAttempt, st.just("succeeded"), st.none(), finished)
    since = st.sampled_from([1, 60, 86400 * 30]).map(lambda minutes: NOW - timedelta(minutes=minutes))
    unresolved = st.builds(LastAttempt, st.just("failed"), st.just("channel"), st.none(), since)
    return st.one_of(failed, failed, failed, succeeded, unresolved, st.none())


@cache
def facts() -> st.SearchStrategy[ChannelFacts]:
    used = st.sampled_from([0, 0, 100, 500, 1000])
    in_flight = st.sampled_from([None, 0, 100, 500, 1000])
    several = st.integers(0, 3)
    return st.builds(
        ChannelFacts,
        used,
        several,
        last_attempts(),
        used,
        used,
        in_flight_today=in_flight,
        channel_in_flight_today=in_flight,
        card_in_flight_today=in_flight,
        card_insufficient_today=several,
    )


@cache
def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 6 + list(others))


@cache
def limits(kind: type[Limits]) -> st.SearchStrategy[Limits]:
    drawn = {
        "fen": st.sampled_from([None, None, None, 0, 100, 500, 1000, 1500, 10_000]),
        "times": st.sampled_from([None, None, None, 0, 1, 2]),
        "calls": st.sampled_from([None, None, 1, 10]),
    }
    return st.builds(kind, **{each.name: drawn[each.unit] for each in kind.each()})


@cache
def ailing() -> st.SearchStrategy[Ailing | None]:
    attempts = st.integers(0, 200).flatmap(lambda most: st.tuples(st.integers(0, most), st.just(most)))
    drawn = st.builds(
        lambda counted, window_s, let, passes, off: Ailing(counted[0], counted[1], window_s, let, passes, off),
        attempts, st.sampled_from([60, 900]), st.sampled_from([None, 2, 10]), mostly(False, True, True), st.booleans(),
    )  # fmt: skip
    return st.none() | st.none() | drawn


@st.composite
def candidates(draw: st.DrawFn, channel: str) -> Candidate:
    known: dict[str, st.SearchStrategy[Any]] = {
        "scene": mostly("withhold", "quick_charge"),
        "bank": mostly("ICBC", "CCB"),
        "fee": fees(),
        "enabled": mostly(True, False),
        "channel_on": mostly(True, False),
        "in_maintenance": mostly(False, True),
        "unfit": mostly(None, "bank_unsupported", "name_unwritable", "id_type_unsupported"),
        "account_usable": mostly(True, False),
        "full": mostly(False, True),
        "ailing": ailing(),
        "signing": mostly("ready", "needs_signing", "signing_in_progress"),
        "priority": st.integers(-1, 2),
        "authentication_fee": st.sampled_from([0, 0, 1, 100, 101]),
        "limits": limits(RuleLimits),
        "channel_limits": limits(ChannelLimits),
        "daily_insufficient_by": mostly("user", "card"),
    }
    drawn: dict[str, Any] = {name: draw(strategy) for name, strategy in known.items()}
    return Candidate(channel=channel, **drawn)


@st.composite
def open_candidates(draw: st.DrawFn, channel: str) -> Candidate:
    """Without anything that steps 1 to 5 could remove, so that steps 6 to 9 are reached often."""
    fee = FixedFee(draw(st.integers(0, 3)))
    authentication_fee = draw(st.integers(0, 5))
    return Candidate(
        channel, "withhold", "ICBC", fee, priority=draw(st.integers(0, 1)), authentication_fee=authentication_fee
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    request = RouteRequest(
        user_id="u1",
        scene="withhold",
        bank="ICBC",
        amount=draw(st.sampled_from([1, 100, 500, 1000, 1001]) | st.integers(1, 2000)),
        now=NOW,
        customer_present=draw(st.booleans()),
        last_attempt_max_age=draw(st.none() | st.sampled_from([0, 60, 1440]).map(lambda m: timedelta(minutes=m))),
        authentication_spread=draw(st.none() | st.integers(1, 12)),
        blocked=draw(mostly((), ("card_no",), ("user", "phone"))),
    )
    if draw(st.booleans()):
        codes = draw(st.lists(st.sampled_from(CHANNELS), unique=True, min_size=2, max_size=4))
        rules = [draw(open_candidates(code)) for code in codes]
    else:
        # Built one by one, since lists drawn freely are mostly empty.
        rules = [draw(candidates(code)) for code in CHANNELS if draw(st.booleans())]
    known = {code: draw(facts()) for code in CHANNELS if draw(mostly(True, False))}
    return Case(request, rules, known)
