"""Checkouts by themselves: each state with each word, and why a try may not begin.

Not here: what is told and written of it, and that one try is open at a time (tests/storage/test_checkouts).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.checkouts import (
    STANDARD_LIMITS,
    Checkout,
    CheckoutLimits,
    CheckoutPurpose,
    Method,
    NewTry,
    TryRefusal,
    after_time,
    after_try,
    canceled,
    number_of_try,
    opened,
    ordinal_of,
    tried,
    why_not_try,
)
from gateway.domain.statuses import FINAL, IllegalTransitionError, Status
from tests.unit.domain.samples import NOW, checkout_order, later

ENDED = (Status.SUCCEEDED, Status.EXPIRED, Status.CANCELED)
OF_TRIES = (Status.PROCESSING, Status.REQUIRES_ACTION, Status.SUCCEEDED, Status.FAILED, Status.CLOSED)
FIRST, SECOND = UUID(int=1), UUID(int=2)
IN_TIME, OVER = later(minutes=9), later(minutes=10)
AGAIN = timedelta(minutes=1)


def checkout(status: Status = Status.OPEN, **known: Any) -> Checkout:
    """A checkout of ten minutes, in a state that the database would take."""
    base = opened(checkout_order(), UUID(int=9), NOW)
    if status is not Status.OPEN:
        won_by = SECOND if status is Status.SUCCEEDED else None
        base = replace(base, status=status, won_by=won_by, sequence=1, until_at=None, finished_at=NOW)
    return replace(base, **known)


def test_a_new_one_is_open_until_its_time() -> None:
    new = opened(checkout_order(expires_in_s=60, methods=(Method.QUICK,)), UUID(int=9), NOW)
    assert (new.status, new.expires_at, new.until_at) == (Status.OPEN, later(seconds=60), later(seconds=60))
    assert (new.tries, new.codes, new.sequence, new.won_by, new.finished_at) == (0, 0, 0, None, None)
    assert (new.purpose, new.methods) == (CheckoutPurpose.PAY, (Method.QUICK,))


@pytest.mark.parametrize("status", OF_TRIES)
@pytest.mark.parametrize("at", [IN_TIME, OVER], ids=["in time", "when its time is over"])
def test_what_the_state_of_a_try_means_for_an_open_one(status: Status, at: datetime) -> None:
    before = checkout()
    after = after_try(before, FIRST, status, at)
    if status is Status.SUCCEEDED:
        assert (after.status, after.won_by) == (Status.SUCCEEDED, FIRST)
    elif status in FINAL and at is OVER:
        assert (after.status, after.won_by) == (Status.EXPIRED, None)
    else:
        assert after is before
        return
    assert (after.sequence, after.until_at, after.finished_at) == (1, None, at)


@pytest.mark.parametrize(("ended", "status", "at"), list(product(ENDED, OF_TRIES, (IN_TIME, OVER))))
def test_one_that_has_ended_is_moved_by_nothing(ended: Status, status: Status, at: datetime) -> None:
    before = checkout(ended)
    assert after_try(before, FIRST, status, at) is before
    assert after_time(before, [(FIRST, status)], at, at + AGAIN) is before
    with pytest.raises(IllegalTransitionError):
        canceled(before, at)


@pytest.mark.parametrize("status", OF_TRIES)
@pytest.mark.parametrize("at", [IN_TIME, OVER], ids=["in time", "when its time is over"])
def test_what_our_clock_means_for_an_open_one_with_a_try(status: Status, at: datetime) -> None:
    after = after_time(checkout(), [(SECOND, Status.FAILED), (FIRST, status)], at, at + AGAIN)
    if status is Status.SUCCEEDED:  # nobody heard of it so far
        assert (after.status, after.won_by) == (Status.SUCCEEDED, FIRST)
    elif at is IN_TIME:
        assert after == checkout()
    elif status in FINAL:
        assert (after.status, after.finished_at) == (Status.EXPIRED, at)
    else:
        assert after == replace(checkout(), until_at=at + AGAIN)


def test_one_that_nobody_tried_expires_when_its_time_is_over_and_not_before() -> None:
    assert after_time(checkout(), [], OVER - timedelta(microseconds=1), OVER + AGAIN) == checkout()
    assert after_time(checkout(), [], OVER, OVER + AGAIN).status is Status.EXPIRED


def test_its_app_ends_an_open_one() -> None:
    after = canceled(checkout(), IN_TIME)
    assert (after.status, after.sequence, after.finished_at) == (Status.CANCELED, 1, IN_TIME)


NEXT = NewTry(ordinal=3, in_progress=False, paid=False)
TWICE = checkout(tries=2)


@pytest.mark.parametrize(
    ("before", "new", "at", "why"),
    [
        (TWICE, NEXT, IN_TIME, None),
        (checkout(), replace(NEXT, ordinal=1), IN_TIME, None),
        *((checkout(ended, tries=2), NEXT, IN_TIME, TryRefusal.NOT_OPEN) for ended in ENDED),
        (TWICE, replace(NEXT, in_progress=True), IN_TIME, TryRefusal.IN_PROGRESS),
        (TWICE, replace(NEXT, in_progress=True), OVER, TryRefusal.IN_PROGRESS),
        (TWICE, replace(NEXT, in_progress=True, paid=True), IN_TIME, TryRefusal.IN_PROGRESS),
        (TWICE, replace(NEXT, paid=True), IN_TIME, TryRefusal.PAID_LATE),
        (TWICE, replace(NEXT, paid=True), OVER, TryRefusal.PAID_LATE),
        (TWICE, NEXT, OVER, TryRefusal.EXPIRED),
        (TWICE, NEXT, OVER - timedelta(microseconds=1), None),
        (checkout(tries=9), replace(NEXT, ordinal=10), IN_TIME, None),
        (checkout(tries=10), replace(NEXT, ordinal=11), IN_TIME, TryRefusal.TOO_MANY_TRIES),
        (TWICE, replace(NEXT, ordinal=2), IN_TIME, TryRefusal.OUT_OF_TURN),
        (TWICE, replace(NEXT, ordinal=4), IN_TIME, TryRefusal.OUT_OF_TURN),
        (TWICE, replace(NEXT, ordinal=0), IN_TIME, TryRefusal.OUT_OF_TURN),
        (TWICE, replace(NEXT, ordinal=-1), IN_TIME, TryRefusal.OUT_OF_TURN),
    ],
)
def test_why_a_try_may_not_begin(before: Checkout, new: NewTry, at: datetime, why: TryRefusal | None) -> None:
    assert why_not_try(before, new, STANDARD_LIMITS, at) is why


@given(
    before=st.sampled_from([checkout(each, tries=tries) for each in (Status.OPEN, *ENDED) for tries in range(4)]),
    new=st.builds(NewTry, st.integers(-2, 6), st.booleans(), st.booleans()),
    most=st.integers(1, 5),
    seconds=st.integers(0, 1200),
)
def test_whatever_may_begin_is_the_next_one_of_an_open_checkout_that_nobody_pays_or_has_paid(
    before: Checkout, new: NewTry, most: int, seconds: int
) -> None:
    may = why_not_try(before, new, CheckoutLimits(tries=most), later(seconds=seconds)) is None
    is_next = new.ordinal == before.tries + 1 <= most
    free = not new.in_progress and not new.paid
    assert may == (before.status is Status.OPEN and is_next and free and seconds < 600)


words = st.one_of(
    st.tuples(st.just("try"), st.sampled_from([FIRST, SECOND]), st.sampled_from(OF_TRIES)),
    st.tuples(st.just("time"), st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.sampled_from(OF_TRIES)))),
    st.tuples(st.just("cancel")),
)


@given(told=st.lists(st.tuples(words, st.integers(0, 1200)), max_size=12))
def test_whatever_is_heard_in_whatever_order_it_ends_once_and_is_told_once(told: Any) -> None:
    now = checkout()
    for word, seconds in sorted(told, key=lambda each: int(each[1])):
        what: str = word[0]
        more: Any = word[1:]
        before, at = now, later(seconds=seconds)
        if what == "try":
            now = after_try(before, more[0], more[1], at)
        elif what == "time":
            now = after_time(before, more[0], at, at + AGAIN)
        elif not before.is_final:
            now = canceled(before, at)
        assert now.sequence == (1 if now.is_final else 0)
        assert (now.until_at is None) == now.is_final == (now.finished_at is not None)
        assert (now.won_by is not None) == (now.status is Status.SUCCEEDED)
        assert now == before or not before.is_final
        assert now.status is not Status.EXPIRED or at >= now.expires_at or before.is_final


def test_a_try_is_counted_with_the_sms_that_is_asked_for_it() -> None:
    after = tried(tried(checkout(), codes=1), codes=0)
    assert (after.tries, after.codes, after.status, after.sequence) == (2, 1, Status.OPEN, 0)


@pytest.mark.parametrize(("number", "ordinal"), [("recharge-1", 1), ("a", 10), ("x" * 64, 99), ("old~7", 2)])
def test_a_trys_number_tells_which_try_it_is(number: str, ordinal: int) -> None:
    of_try = number_of_try(number, ordinal)
    assert of_try == f"{number}~{ordinal}"
    assert ordinal_of(of_try) == ordinal
    assert len(of_try) <= 72
