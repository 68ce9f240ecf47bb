"""What reports and the clock do to a recorded route. Not tested here: how one is decided, and the books."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.failures import Advice, Blame, FailureCode, failure
from gateway.domain.hearing import AnomalyKind
from gateway.domain.recorded_routes import RecordedRoute, Report, after_report, after_time
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status
from tests.unit.domain.samples import BANK, MERCHANT_ID, NOW, PAYMENT_ID, later

PAID, REFUSED = Report(succeeded=True), Report(succeeded=False, code=FailureCode.CARD_FROZEN)
DAY_ENDS = NOW + timedelta(hours=4)
DECLINED = failure(FailureCode.CARD_FROZEN)


def route(status: Status = Status.OPEN, **known: Any) -> RecordedRoute:
    """A withhold of 10.00 yuan, to be reported within an hour."""
    ended = status is not Status.OPEN
    base = RecordedRoute(
        merchant_id=MERCHANT_ID,
        route_id=PAYMENT_ID,
        app="shop",
        merchant_order_no="r1",
        scene=Scene.WITHHOLD,
        user_id="u1",
        bank=BANK,
        amount=1000,
        currency="CNY",
        status=status,
        card=None,
        channel="up",
        account="up-1",
        psp_code=None,
        expected_fee=50,
        fee=50 if status is Status.SUCCEEDED else None,
        failure=DECLINED if status is Status.FAILED else None,
        late_success=False,
        report_before=later(hours=1),
        until_at=None if ended else later(hours=1),
        unreported_at=None,
        sequence=0,
        created_at=NOW,
        finished_at=NOW if ended else None,
        business_day=NOW.date(),
        description=None,
        metadata={},
        custody_user_no=None,
        decision={},
    )
    return replace(base, **known)


BY_THE_ROUTER = route(Status.FAILED, channel=None, account=None, failure=failure(FailureCode.DAILY_LIMIT_EXCEEDED))


def test_a_success_takes_what_was_reserved_and_its_fee_is_owed() -> None:
    done = after_report(route(), PAID, later(minutes=5)).route
    assert (done.status, done.fee, done.finished_at, done.until_at) == (Status.SUCCEEDED, 50, later(minutes=5), None)
    assert (route().reserved, done.reserved, done.taken) == (1000, 0, 1000)
    assert after_report(route(), replace(PAID, fee=70), NOW).route.fee == 70


def test_a_failure_frees_what_was_reserved() -> None:
    report = replace(REFUSED, channel_code="F1", channel_message="冻结")
    done = after_report(route(), report, later(minutes=5)).route
    assert (done.status, done.fee, done.reserved, done.taken) == (Status.FAILED, None, 0, 0)
    assert done.failure == failure(FailureCode.CARD_FROZEN, channel_code="F1", channel_message="冻结")


@pytest.mark.parametrize("code", FailureCode)
def test_the_blame_is_that_of_the_code(code: FailureCode) -> None:
    done = after_report(route(), Report(succeeded=False, code=code), NOW).route
    assert done.failure is not None
    assert done.failure.blame is failure(code).blame


@pytest.mark.parametrize(
    ("scene", "elsewhere", "code", "blame"),
    [
        (Scene.WITHHOLD, False, FailureCode.AUTHENTICATION_REJECTED, Blame.PAYER),
        (Scene.WITHHOLD, True, FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
        (Scene.WITHHOLD, True, FailureCode.NAME_MISMATCH, Blame.PAYER),
        (Scene.CUSTODY_WITHHOLD, False, FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
        (Scene.CUSTODY_QUICK_CHARGE, False, FailureCode.ID_MISMATCH, Blame.CHANNEL),
        (Scene.CUSTODY_WITHHOLD, False, FailureCode.CUSTODY_NOT_BOUND, Blame.PAYER),
    ],
)
def test_a_card_that_is_good_elsewhere_is_the_channels_fault(
    scene: Scene, elsewhere: bool, code: FailureCode, blame: Blame
) -> None:
    said = after_report(route(scene=scene), Report(succeeded=False, code=code), NOW, verified_elsewhere=elsewhere)
    assert said.route.failure is not None
    assert said.route.failure.blame is blame
    if blame is Blame.CHANNEL:
        assert said.route.failure.advice is Advice.RETRY_NOW


def test_a_failure_without_a_code_is_the_channels_refusal() -> None:
    done = after_report(route(), Report(succeeded=False), NOW).route
    assert done.failure == failure(FailureCode.CHANNEL_REFUSED)
    assert after_report(done, Report(succeeded=False), NOW).same


def test_a_withhold_advises_no_other_card() -> None:
    short = Report(succeeded=False, code=FailureCode.INSUFFICIENT_BALANCE)
    advised = {
        scene: after_report(route(scene=scene), short, NOW).route.failure
        for scene in (Scene.WITHHOLD, Scene.NETBANK_CHARGE)
    }
    assert [why.advice for why in advised.values() if why] == [Advice.RETRY_LATER, Advice.CHANGE_CARD]


SUCCEEDED, FAILED = route(Status.SUCCEEDED), route(Status.FAILED)
LATE = replace(FAILED, late_success=True, fee=50)


@pytest.mark.parametrize(
    ("before", "report", "same", "anomaly"),
    [
        (SUCCEEDED, PAID, True, None),
        (SUCCEEDED, replace(PAID, fee=50), True, None),
        (SUCCEEDED, replace(PAID, fee=51), False, None),
        (SUCCEEDED, REFUSED, False, AnomalyKind.LATE_FAILURE),
        (FAILED, REFUSED, True, None),
        (FAILED, replace(REFUSED, channel_message="again"), True, None),
        (FAILED, Report(succeeded=False, code=FailureCode.CARD_LOST), False, None),
        (FAILED, Report(succeeded=False), False, None),
        (FAILED, PAID, False, AnomalyKind.LATE_SUCCESS),
        (LATE, PAID, False, AnomalyKind.LATE_SUCCESS),
        (BY_THE_ROUTER, PAID, False, AnomalyKind.UNEXPECTED_SUCCESS),
        (BY_THE_ROUTER, REFUSED, False, None),
        (BY_THE_ROUTER, Report(succeeded=False, code=FailureCode.DAILY_LIMIT_EXCEEDED), False, None),
    ],
)
def test_what_ended_stays_whatever_is_reported_again(
    before: RecordedRoute, report: Report, same: bool, anomaly: AnomalyKind | None
) -> None:
    said = after_report(before, report, later(days=1))
    assert (said.same, said.conflict) == (same, not same)
    assert (said.anomaly.kind if said.anomaly else None) is anomaly
    assert replace(said.route, late_success=before.late_success, fee=before.fee) == before
    if anomaly is not AnomalyKind.LATE_SUCCESS:
        assert said.route is before


def test_a_late_success_has_moved_money_once() -> None:
    late = after_report(FAILED, replace(PAID, fee=60), NOW).route
    assert (late.status, late.taken, late.fee) == (Status.FAILED, 1000, 60)
    assert after_report(late, replace(PAID, fee=90), NOW).route == late


def test_before_its_time_nothing_happens_to_a_route() -> None:
    waiting = route()
    assert after_time(waiting, later(minutes=59), DAY_ENDS) == (waiting, None)
    assert after_time(SUCCEEDED, later(days=9), DAY_ENDS) == (SUCCEEDED, None)


def test_without_a_report_it_is_an_anomaly_and_its_reservation_stays_until_the_day_ends() -> None:
    overdue, anomaly = after_time(route(), later(hours=1), DAY_ENDS)
    assert anomaly is not None
    assert (anomaly.kind, overdue.sequence) == (AnomalyKind.UNREPORTED, 1)
    assert (overdue.is_unreported, overdue.status, overdue.until_at) == (True, Status.OPEN, DAY_ENDS)
    assert overdue.reserved == 1000
    assert after_time(overdue, later(hours=2), DAY_ENDS) == (overdue, None)
    released, again = after_time(overdue, DAY_ENDS, DAY_ENDS)
    assert (again, released.reserved, released.until_at, released.is_unreported) == (None, 0, None, True)
    assert after_time(released, later(days=30), DAY_ENDS) == (released, None)


def test_what_is_overdue_when_its_day_is_over_is_released_at_once() -> None:
    overdue, anomaly = after_time(route(), DAY_ENDS, DAY_ENDS)
    assert anomaly is not None
    assert (overdue.reserved, overdue.until_at, overdue.is_unreported) == (0, None, True)


@pytest.mark.parametrize("at", [later(hours=1), DAY_ENDS])
def test_a_report_that_is_late_is_taken(at: Any) -> None:
    overdue, _ = after_time(route(), at, DAY_ENDS)
    done = after_report(overdue, PAID, later(days=3)).route
    assert (done.status, done.is_unreported, done.taken, done.reserved) == (Status.SUCCEEDED, False, 1000, 0)
    assert done.unreported_at == at
