"""Switching off and coming back, as a function of what is kept, the attempts and the time.

Not tested here: where it is kept and who reads it (tests/storage/test_switched_channels.py).
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.rates import SLICE, Slices, Tally, slice_of
from gateway.domain.switches import TRIES_WITHIN, Switch, SwitchState, next_switch
from gateway.domain.watch_settings import WatchRule
from tests.unit.domain.samples import NOW

RULE = WatchRule(switch_off=True)
REST = timedelta(seconds=RULE.rest_s)
OFF_AT = slice_of(NOW)
OFF = Switch(OFF_AT, OFF_AT + REST)
HALF_OPEN_AT = OFF.rests_until
LOOK = HALF_OPEN_AT + timedelta(minutes=2)
TALLIES = st.builds(Tally, *[st.integers(0, 6)] * 5)


def after_tries(*tallies: Tally, rule: WatchRule = RULE) -> Switch | None:
    """What becomes of it when so much was sent since it is half-open, and is old enough to be judged."""
    slices = {HALF_OPEN_AT + SLICE * number: each for number, each in enumerate(tallies)}
    return next_switch(OFF, slices, LOOK, rule, degraded=True)


def test_what_is_degraded_is_switched_off_and_what_is_not_is_not() -> None:
    assert next_switch(None, {}, OFF_AT, RULE, degraded=True) == OFF
    assert next_switch(None, {}, OFF_AT, RULE, degraded=False) is None
    assert next_switch(None, {}, OFF_AT, WatchRule(), degraded=True) is None


def test_it_rests_then_one_in_n_goes_there_and_then_none_until_their_results_are_known() -> None:
    assert OFF.state(HALF_OPEN_AT - SLICE) is SwitchState.RESTING
    assert OFF.state(HALF_OPEN_AT) is SwitchState.HALF_OPEN
    assert replace(OFF, waits=True).state(HALF_OPEN_AT) is SwitchState.WAITING
    assert replace(OFF, on_at=NOW).state(HALF_OPEN_AT) is SwitchState.ON


def test_while_it_rests_nothing_that_is_seen_changes_it() -> None:
    slices = {OFF_AT: Tally(succeeded=50), OFF_AT + SLICE: Tally(channel=50)}
    assert next_switch(OFF, slices, HALF_OPEN_AT - SLICE, RULE, degraded=True) == OFF


RESTS_AGAIN = replace(OFF, rests_until=LOOK + REST, rests=2)
ON_AGAIN = replace(OFF, on_at=LOOK)


@pytest.mark.parametrize(
    ("tally", "becomes"),
    [
        (Tally(), OFF),
        (Tally(succeeded=4), OFF),
        (Tally(succeeded=5), ON_AGAIN),
        (Tally(succeeded=4, channel=1), ON_AGAIN),  # 80 %
        (Tally(succeeded=3, channel=1), OFF),
        (Tally(channel=2), RESTS_AGAIN),  # 3 of 5 would be 60 %: no need to wait for them
        (Tally(succeeded=7, channel=3), RESTS_AGAIN),
        (Tally(succeeded=9, channel=3), ON_AGAIN),
        # Two minutes without a result are failures.
        (Tally(succeeded=3, open=2), RESTS_AGAIN),
        # Payers without money prove nothing, and neither does what we did ourselves.
        (Tally(succeeded=1, payer=50, platform=50), OFF),
        (Tally(succeeded=5, payer=50), ON_AGAIN),
    ],
)
def test_its_tries_say_whether_it_comes_back(tally: Tally, becomes: Switch) -> None:
    assert after_tries(tally) == becomes


def test_when_enough_were_let_through_no_more_are_until_these_have_ended() -> None:
    just_sent = slice_of(LOOK)
    waits = next_switch(OFF, {just_sent: Tally(succeeded=1, open=4)}, LOOK, RULE, degraded=True)
    assert waits == replace(OFF, waits=True)
    # Two of them end by their payers' fault: two more are let through.
    assert next_switch(waits, {just_sent: Tally(succeeded=1, payer=2, open=2)}, LOOK, RULE, degraded=True) == OFF
    assert next_switch(waits, {just_sent: Tally(succeeded=5)}, LOOK, RULE, degraded=True) == ON_AGAIN


def test_what_was_sent_before_the_rest_ended_is_no_try_and_neither_is_what_is_old() -> None:
    before = {HALF_OPEN_AT - SLICE: Tally(succeeded=9)}
    assert next_switch(OFF, before, LOOK, RULE, degraded=True) == OFF
    long_after = HALF_OPEN_AT + TRIES_WITHIN + 2 * SLICE
    assert next_switch(OFF, {HALF_OPEN_AT: Tally(succeeded=9)}, long_after, RULE, degraded=True) == OFF


def test_what_is_on_again_is_judged_by_what_was_sent_since() -> None:
    failed_before = {HALF_OPEN_AT - SLICE: Tally(channel=100)}
    assert next_switch(ON_AGAIN, failed_before, LOOK, RULE, degraded=True) == ON_AGAIN
    later = LOOK + timedelta(minutes=1)
    since = failed_before | {slice_of(LOOK) + SLICE: Tally(succeeded=11, channel=8)}
    assert next_switch(ON_AGAIN, since, later, RULE, degraded=True) == ON_AGAIN
    since[slice_of(LOOK) + SLICE] += Tally(channel=1)
    assert next_switch(ON_AGAIN, since, later, RULE, degraded=True) == Switch(later, later + REST)


@pytest.mark.parametrize("switch", [None, OFF, replace(OFF, waits=True), ON_AGAIN])
def test_what_is_well_again_or_not_to_be_switched_off_is_on(switch: Switch | None) -> None:
    assert next_switch(switch, {}, LOOK, RULE, degraded=False) is None
    assert next_switch(switch, {}, LOOK, WatchRule(), degraded=True) is None


@pytest.mark.parametrize(
    "wrong",
    [{"rests_until": OFF_AT}, {"rests": 0}, {"on_at": LOOK, "waits": True}, {"on_at": OFF_AT - SLICE}, {"on_by": "li"}],
)
def test_switches_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="what is"):
        replace(OFF, **wrong)  # type: ignore[arg-type]


@given(
    st.dictionaries(st.integers(0, 400), TALLIES, max_size=30),
    st.lists(st.tuples(st.integers(1, 400), st.booleans()), max_size=12),
    st.integers(1, 20),
)
def test_whatever_is_seen_it_rests_before_each_try_and_comes_back_by_its_tries_alone(
    tallies: dict[int, Tally], looks: list[tuple[int, bool]], tries: int
) -> None:
    rule = replace(RULE, tries=tries)
    everything: Slices = {OFF_AT + SLICE * number: each for number, each in tallies.items()}
    switch, now = next_switch(None, {}, OFF_AT, rule, degraded=True), OFF_AT
    for seconds, degraded in looks:
        now += timedelta(seconds=seconds)
        seen = {at: each for at, each in everything.items() if at < now}
        after = next_switch(switch, seen, now, rule, degraded=degraded)
        # Looking again changes nothing: no matter how often somebody looks, or who takes over.
        assert next_switch(after, seen, now, rule, degraded=degraded) == after
        if not degraded:
            assert after is None
        elif switch is None or switch.on_at is not None:
            assert after is not None
            assert after == switch or after.state(now) is SwitchState.RESTING
        elif now < switch.rests_until:
            assert after == switch
        else:
            assert after is not None
            succeeded = sum(each.succeeded for at, each in seen.items() if at >= switch.rests_until)
            if after.on_at is not None:
                assert succeeded * 100 >= tries * rule.back_at_percent
        switch = after
