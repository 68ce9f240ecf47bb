"""The transition tables: every kind of object, every pair of statuses.

Not tested here: what moves an object (test_payments, test_authentications, test_refunds, test_payouts).
"""

from itertools import product

import pytest

from gateway.domain.ids import ObjectKind
from gateway.domain.statuses import FINAL, OPEN, TRANSITIONS, IllegalTransitionError, Status, move

# What is allowed, written a second time: from (None is the start) and to.
OF_A_PAYMENT = {
    (None, "processing"),
    (None, "requires_action"),
    (None, "failed"),
    ("requires_action", "processing"),
    ("requires_action", "succeeded"),
    ("requires_action", "failed"),
    ("requires_action", "closed"),
    ("processing", "requires_action"),
    ("processing", "succeeded"),
    ("processing", "failed"),
}
OF_A_REFUND = {
    (None, "processing"),
    ("processing", "succeeded"),
    ("processing", "failed"),
    ("succeeded", "returned"),
}
OF_A_ROUTE = {
    (None, "open"),
    (None, "failed"),
    ("open", "succeeded"),
    ("open", "failed"),
}
OF_A_CHECKOUT = {
    (None, "open"),
    ("open", "succeeded"),
    ("open", "expired"),
    ("open", "canceled"),
}
LEGAL = {
    "checkout": OF_A_CHECKOUT,
    # One that is taken as paid begins where another ends.
    "payment": OF_A_PAYMENT | {(None, "succeeded")},
    "authentication": OF_A_PAYMENT,
    "refund": OF_A_REFUND,
    "route": OF_A_ROUTE,
    "payout": OF_A_REFUND,
}


WITH_STATUS = [kind for kind in ObjectKind if kind not in {ObjectKind.CHANNEL, ObjectKind.ACCOUNT, ObjectKind.ALERT}]
"""Channels, accounts and alerts are only what events are about."""


@pytest.mark.parametrize(("kind", "before", "after"), list(product(WITH_STATUS, [None, *Status], Status)))
def test_an_object_moves_only_where_its_table_has_a_way(kind: ObjectKind, before: Status | None, after: Status) -> None:
    if (before and before.value, after.value) in LEGAL[kind]:
        assert move(kind, before, after) is after
        return
    with pytest.raises(IllegalTransitionError) as refused:
        move(kind, before, after)
    assert str(refused.value) == f"{kind}: {before or 'start'} -> {after}"


@pytest.mark.parametrize("kind", WITH_STATUS)
def test_every_status_that_an_object_can_reach_stands_in_its_table_and_no_other(kind: ObjectKind) -> None:
    reached = {after for ways in TRANSITIONS[kind].values() for after in ways}
    assert set(TRANSITIONS[kind]) == {None, *reached}


@pytest.mark.parametrize("kind", WITH_STATUS)
def test_nothing_leaves_a_final_status_but_money_that_comes_back(kind: ObjectKind) -> None:
    left = [status for status, ways in TRANSITIONS[kind].items() if status in FINAL and ways]
    assert left == ([Status.SUCCEEDED] if kind in {ObjectKind.REFUND, ObjectKind.PAYOUT} else [])


@pytest.mark.parametrize("kind", WITH_STATUS)
def test_whatever_is_open_can_still_succeed_or_fail(kind: ObjectKind) -> None:
    failed = Status.EXPIRED if kind is ObjectKind.CHECKOUT else Status.FAILED
    for status in OPEN & TRANSITIONS[kind].keys():
        assert {Status.SUCCEEDED, failed} <= TRANSITIONS[kind][status]


def test_every_status_is_open_or_final() -> None:
    assert set(Status) == OPEN | FINAL
    assert not OPEN & FINAL
