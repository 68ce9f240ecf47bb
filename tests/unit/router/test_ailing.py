"""Step 1 and channels that ail: who is left out, who is let through, and what the trace says.

Not tested here: whole decisions at random, with such channels among them (test_against_naive).
"""

from dataclasses import replace
from typing import Any, cast

import pytest

from router import Ailing, explain, replay, to_answer, to_record
from tests.unit.router.cases import removed, route, rule
from tests.unit.router.test_steps import HIDING

ILL = Ailing(succeeded=9, attempts=20, window_s=900, let_through=10)
OFF = replace(ILL, let_through=None, switched_off=True)
HALF_OPEN = replace(OFF, let_through=10)


@pytest.mark.parametrize(
    ("cheap", "dear", "out"),
    [
        (ILL, None, {"cheap": (1, "channel_ailing")}),
        (OFF, None, {"cheap": (1, "channel_switched_off")}),
        (HALF_OPEN, None, {"cheap": (1, "channel_switched_off")}),
        (replace(ILL, passes=True), None, {}),
        (replace(HALF_OPEN, passes=True), None, {}),
        # Never the last one: what is switched off goes before what ails, else none does.
        (ILL, ILL, {}),
        (OFF, OFF, {}),
        (OFF, ILL, {"cheap": (1, "channel_switched_off")}),
        (ILL, OFF, {"dear": (1, "channel_switched_off")}),
        # One that is only being tried is no reason to leave out another.
        (replace(HALF_OPEN, passes=True), ILL, {}),
        (replace(HALF_OPEN, passes=True), OFF, {}),
    ],
)
def test_what_ails_is_left_out_but_for_one_in_n_and_never_the_last(
    cheap: Ailing, dear: Ailing | None, out: dict[str, tuple[int, str]]
) -> None:
    decision = route(rule("cheap", fee=1, ailing=cheap), rule("dear", fee=200, ailing=dear))
    assert removed(decision) == out
    assert decision.chosen == ("dear" if "cheap" in out else "cheap")
    assert replay(to_record(decision)) == decision


@pytest.mark.parametrize(("state", "reason"), HIDING)
def test_the_last_one_is_the_last_of_those_that_could_carry_it(state: dict[str, Any], reason: str) -> None:
    decision = route(rule("cheap", fee=1, ailing=ILL), rule("dear", fee=200, **state))
    assert (decision.chosen, removed(decision)) == ("cheap", {"dear": (1, reason)})


@pytest.mark.parametrize(("state", "reason"), HIDING)
def test_whatever_else_hides_it_is_told_before(state: dict[str, Any], reason: str) -> None:
    decision = route(rule("cheap", fee=1, ailing=OFF, **state), rule("dear", fee=200))
    assert removed(decision) == {"cheap": (1, reason)}


def test_the_trace_says_the_rate_the_window_and_of_how_many_one_goes_there() -> None:
    decision = route(rule("cheap", fee=1, ailing=ILL), rule("dear", fee=200))
    assert explain(decision)[0] == (
        "Step 1: left out cheap, too few payments succeed there (9 of 20 payments succeeded in 900 s (45 %), "
        "one payment in 10 is let through)."
    )
    seen = cast("Any", to_answer(decision)["candidates"])[0]
    assert seen["ailing"] == {
        "succeeded": 9, "attempts": 20, "rate_percent": 45, "window_s": 900, "let_through": 10,
        "switched_off": False, "kept": None,
    }  # fmt: skip


def test_without_attempts_it_has_no_rate() -> None:
    nothing = Ailing(0, 0, 900, switched_off=True)
    decision = route(rule("cheap", fee=1, ailing=nothing), rule("dear", fee=200))
    assert nothing.rate_percent is None
    assert "(0 of 0 payments succeeded in 900 s, no payment is let through)" in explain(decision)[0]


@pytest.mark.parametrize(
    ("ailing", "others", "kept", "says"),
    [
        (replace(ILL, passes=True), [rule("dear", fee=200)], "let_through", "this payment is let through"),
        (OFF, [], "last_available", "nothing better is available"),
    ],
)
def test_the_trace_says_why_it_was_kept(ailing: Ailing, others: list[Any], kept: str, says: str) -> None:
    decision = route(rule("cheap", fee=1, ailing=ailing), *others)
    assert cast("Any", to_answer(decision)["candidates"])[0]["ailing"]["kept"] == kept
    assert explain(decision)[0].startswith("Step 1: kept cheap though ")
    assert explain(decision)[0].endswith(f"{says}.")


@pytest.mark.parametrize(("succeeded", "attempts", "let_through"), [(2, 1, 10), (-1, 1, None), (0, 0, 0)])
def test_numbers_that_cannot_be_are_refused(succeeded: int, attempts: int, let_through: int | None) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Ailing(succeeded, attempts, 60, let_through)


def test_a_record_from_before_is_one_of_channels_that_are_well() -> None:
    record: Any = to_record(route(rule("a", fee=1)))
    assert "ailing" not in record["candidates"][0]
    assert replay(record) == route(rule("a", fee=1))
