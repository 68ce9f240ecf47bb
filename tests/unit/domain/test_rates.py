"""Success rates and when a channel is told of, as functions of values.

Not tested here: counting rows (tests/storage/test_watched_channels.py).
"""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.rates import AGAIN_AFTER, SLICE, Change, Counted, Rate, Tally, health, judge, slice_of
from gateway.domain.watch_settings import (
    WatchRule,
    WatchSettings,
    WatchSettingsError,
    watch_from_json,
    watch_to_json,
)
from tests.unit.domain.samples import NOW

RULE = WatchRule()
LATELY = slice_of(NOW) - SLICE
LONG_AGO = slice_of(NOW) - 12 * SLICE
TALLIES = st.builds(Tally, *[st.integers(0, 40)] * 5)


def told(tally: Tally, since: datetime | None = None, rule: WatchRule = RULE) -> Change | None:
    return judge({LATELY: tally}, since, NOW, rule)


def test_three_of_four_that_fail_tell_nothing() -> None:
    assert told(Tally(succeeded=1, channel=3)) is None


def test_nothing_of_nothing_is_no_rate_and_tells_nothing() -> None:
    seen = health({}, NOW, RULE)
    assert (seen.raw.share, seen.channel_fault.share) == (None, None)
    assert judge({}, None, NOW, RULE) is None
    assert Rate().share is None


def test_the_twentieth_attempt_that_brings_it_below_is_told_and_the_nineteenth_is_not() -> None:
    assert told(Tally(succeeded=11, channel=8)) is None
    assert told(Tally(succeeded=11, channel=9)) is Change.DEGRADED
    assert told(Tally(succeeded=12, channel=8)) is None  # 60 % is not below 60 %


def test_a_rate_near_the_threshold_rings_once() -> None:
    degraded_since, rung = None, []
    for percent in (59, 61, 59, 74, 75, 74):
        change = told(Tally(succeeded=percent, channel=100 - percent), degraded_since)
        if change is not None:
            rung.append((percent, change))
            degraded_since = NOW if change is Change.DEGRADED else None
    assert rung == [(59, Change.DEGRADED), (75, Change.RESTORED)]


def test_payers_without_money_show_in_the_raw_rate_alone() -> None:
    payers = Tally(succeeded=5, payer=30, platform=5)
    seen = health({LATELY: payers}, NOW, RULE)
    assert (seen.raw, seen.channel_fault) == (Rate(5, 40), Rate(5, 5))
    assert told(payers + Tally(succeeded=20)) is None


def test_a_channel_that_times_out_for_everyone_is_told_with_its_first_twenty() -> None:
    assert told(Tally(open=20)) is None  # they may still succeed
    assert judge({LONG_AGO: Tally(open=19)}, None, NOW, RULE) is None
    assert judge({LONG_AGO: Tally(open=20)}, None, NOW, RULE) is Change.DEGRADED


def test_what_is_unresolved_counts_until_it_is_resolved() -> None:
    assert health({LONG_AGO: Tally(open=3)}, NOW, RULE).channel_fault == Rate(0, 3)
    assert health({LONG_AGO: Tally(succeeded=3)}, NOW, RULE).channel_fault == Rate(3, 3)


def test_what_is_older_than_the_window_counts_no_more() -> None:
    assert health({NOW - timedelta(minutes=16): Tally(channel=50)}, NOW, RULE).raw.attempts == 0


@pytest.mark.parametrize(
    ("tally", "minutes", "change"),
    [
        (Tally(succeeded=19), 29, None),  # too few, and too soon
        (Tally(succeeded=5), 31, Change.RESTORED),
        (Tally(succeeded=4), 31, None),
        (Tally(), 600, None),  # no traffic: it stays as it is
        (Tally(succeeded=3, channel=2), 31, None),
    ],
)
def test_a_degraded_channel_with_little_traffic_is_judged_again_after_half_an_hour(
    tally: Tally, minutes: int, change: Change | None
) -> None:
    assert told(tally, NOW - timedelta(minutes=minutes)) is change
    assert timedelta(minutes=30) == AGAIN_AFTER


@given(st.dictionaries(st.integers(0, 200), TALLIES), st.integers(1, 100), st.integers(1, 100))
def test_rates_are_shares_and_nothing_is_told_in_both_ways(
    told_slices: dict[int, Tally], below: int, above: int
) -> None:
    rule = WatchRule(below_percent=min(below, above), back_at_percent=max(below, above))
    slices = {slice_of(NOW) - SLICE * number: tally for number, tally in told_slices.items()}
    seen = health(slices, NOW, rule)
    for rate in (seen.raw, seen.channel_fault):
        assert rate.share is None if rate.attempts == 0 else 0 <= (rate.share or 0) <= 1
        assert 0 <= rate.succeeded <= rate.attempts
    assert seen.channel_fault.attempts <= seen.raw.attempts
    # What is just told is not taken back by the same numbers, and what is taken back is not told again.
    if judge(slices, None, NOW, rule) is Change.DEGRADED:
        assert judge(slices, NOW, NOW, rule) is None
    if judge(slices, NOW, NOW, rule) is Change.RESTORED:
        assert judge(slices, None, NOW, rule) is None


@given(st.dictionaries(st.integers(0, 200), st.tuples(TALLIES, TALLIES)))
def test_what_is_counted_in_parts_is_counted_as_a_whole(parts: dict[int, tuple[Tally, Tally]]) -> None:
    slices = {slice_of(NOW) - SLICE * number: one + two for number, (one, two) in parts.items()}
    for at, (one, two) in zip(slices, parts.values(), strict=True):
        assert slices[at] == two + one
    assert health(slices, NOW, RULE).raw.succeeded == sum(
        each.succeeded for at, each in slices.items() if at >= NOW - timedelta(minutes=15)
    )


def healthy_days(days: int, seed: int) -> int:
    """How often a channel that is well is told of: 95 % succeed that payers can pay, at any traffic."""
    chance, alarms, degraded_since = random.Random(seed), 0, None
    at, slices = datetime(2026, 3, 1, tzinfo=UTC), dict[datetime, Tally]()
    minute = timedelta(minutes=1)
    for _ in range(days * 24 * 60):
        at += minute
        traffic = chance.choice((0, 1, 1, 2, 3, 8))
        ends = [chance.random() for _ in range(traffic)]
        slices[slice_of(at)] = Tally(
            succeeded=sum(end < 0.80 for end in ends),
            payer=sum(0.80 <= end < 0.95 for end in ends),
            channel=sum(end >= 0.95 for end in ends),
        )
        slices = {when: each for when, each in slices.items() if when >= at - AGAIN_AFTER}
        change = judge(slices, degraded_since, at, RULE)
        alarms += change is Change.DEGRADED
        if change is not None:
            degraded_since = at if change is Change.DEGRADED else None
    return alarms


def test_healthy_days_ring_nobody_up() -> None:
    """Ten days here; a hundred by `python -m tests.unit.domain.test_rates`."""
    assert healthy_days(10, 13) == 0


def test_what_is_counted_together_is_a_star() -> None:
    what = Counted("withhold", "ICBC", "jd")
    assert str(what.only(("channel",))) == "*/*/jd"
    assert what.only(("scene", "bank", "channel")) == what


def test_what_names_more_has_the_last_word() -> None:
    settings = watch_from_json(
        {
            "at_least": 30,
            "own": [
                {"channel": "jd", "bank": "ICBC", "below_percent": 40},
                {"channel": "jd", "below_percent": 50, "window_s": 600},
            ],
        }
    )
    assert settings.rule_of("withhold", "ICBC", "jd") == WatchRule(600, 30, 60, 40, 75)
    assert settings.rule_of("withhold", "CCB", "jd") == WatchRule(600, 30, 60, 50, 75)
    assert settings.rule_of("withhold", "CCB", "baofoo") == WatchRule(at_least=30)


def test_payments_avoid_nothing_unless_somebody_says_so() -> None:
    assert not WatchSettings().avoids
    assert not watch_from_json({"let_through": 5, "own": [{"channel": "jd", "at_least": 5}]}).avoids
    settings = watch_from_json({"own": [{"channel": "jd", "hide": True}]})
    assert settings.avoids
    assert watch_from_json({"own": [{"channel": "jd", "switch_off": True}]}).avoids
    assert watch_from_json({"switch_off": True}).avoids
    assert settings.rule_of("withhold", "CCB", "jd").hide
    assert not settings.rule_of("withhold", "CCB", "baofoo").hide
    assert watch_from_json(watch_to_json(settings)) == settings


@pytest.mark.parametrize(
    ("told_", "field"),
    [
        ({"window_s": 3 * 365 * 86_400}, "window_s"),
        ({"below_percent": 101}, "below_percent"),
        ({"below_percent": 0.6}, "below_percent"),
        ({"below_percent": 80}, "back_at_percent"),
        ({"unresolved_after_s": 900}, "unresolved_after_s"),
        ({"at_least": 0}, "at_least"),
        ({"at_least": True}, "at_least"),
        ({"by": ["scene"]}, "by"),
        ({"by": ["channel", "channel"]}, "by"),
        ({"own": [{"below_percent": 50}]}, "own[0]"),
        ({"own": [{"channel": "jd"}]}, "own[0]"),
        ({"own": [{"channel": "jd", "back_at_percent": 20}]}, "own[0].back_at_percent"),
        ({"own": {"channel": "jd"}}, "own"),
        ({"hide": 1}, "hide"),
        ({"hide": "true"}, "hide"),
        ({"let_through": 1}, "let_through"),
        ({"own": [{"channel": "jd", "let_through": 0}]}, "own[0].let_through"),
        ({"switch_off": None}, "switch_off"),
        ({"rest_s": 9}, "rest_s"),
        ({"rest_s": 90_000}, "rest_s"),
        ({"tries": 0}, "tries"),
        ({"treshold": 1}, "treshold"),
        ("daily", ""),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(told_: object, field: str) -> None:
    with pytest.raises(WatchSettingsError) as refused:
        watch_from_json(told_)
    assert refused.value.field == field


@given(
    st.integers(100, 14_400), st.integers(1, 500), st.integers(1, 70),
    st.sampled_from([("scene", "bank", "channel"), ("channel",), ("bank", "channel")]),
)  # fmt: skip
def test_settings_that_are_written_are_read_as_the_same(
    window: int, least: int, below: int, by: tuple[str, ...]
) -> None:
    settings = WatchSettings(by, WatchRule(window, least, 60, below))
    assert watch_from_json(watch_to_json(settings)) == settings


if __name__ == "__main__":
    print(healthy_days(100, 13))  # noqa: T201
