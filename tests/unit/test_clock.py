"""A process's clock against the database's, with both set by hand.

Not tested here: that a real gateway takes nothing while its clock is wrong (tests/e2e/test_clocks.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from gateway.domain.clocks import MAX_AGE_S
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.outcomes import Declined, NotFound, Processing, Succeeded, Unknown
from gateway.flows.observations import ObservationMaker, key_of
from gateway.ports import ClockOffError
from gateway.run.clock import AGAIN_AFTER_S, MEASURE_EVERY_S, Clock, Ours
from tests.unit.domain.samples import payment

START = datetime(2026, 3, 1, 4, tzinfo=UTC)


@dataclass
class Machine:
    """Time passes for everybody at once; `ahead_s` is how far this machine's clock is from the database's."""

    ahead_s: float = 0.0
    there_s: float = 0.0
    """How long a question is on its way to the database."""
    back_s: float = 0.0
    away: bool = False
    passed_s: float = 0.0
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(self._read, self.now, lambda: 5_000.0 + self.passed_s)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s + self.ahead_s)

    async def _read(self, ours: Callable[[], Ours]) -> tuple[Ours, datetime, Ours]:
        if self.away:
            raise ConnectionResetError
        asked = ours()
        self.passed_s += self.there_s
        theirs = START + timedelta(seconds=self.passed_s)
        self.passed_s += self.back_s
        return asked, theirs, ours()


async def test_nothing_is_taken_before_the_clock_was_measured() -> None:
    machine = Machine()
    with pytest.raises(ClockOffError):
        machine.clock.right_now()
    await machine.clock.measure()
    assert machine.clock.right_now() == START


@pytest.mark.parametrize(
    ("ahead_s", "right"),
    [(0.0, True), (1.9, True), (-1.9, True), (2.1, False), (-2.1, False), (2400.0, False), (-20.0, False)],
)
async def test_a_clock_is_right_within_two_seconds_of_the_databases(ahead_s: float, right: bool) -> None:
    machine = Machine(ahead_s=ahead_s)
    assert await machine.clock.measure() == MEASURE_EVERY_S
    verdict = machine.clock.verdict()
    assert (verdict.is_right, round(verdict.offset_s or 0.0, 3)) == (right, ahead_s)


@pytest.mark.parametrize(("there_s", "back_s"), [(1.5, 0.0), (0.0, 1.5), (0.7, 0.7)])
async def test_half_the_round_trip_may_be_wrong_and_is_counted(there_s: float, back_s: float) -> None:
    machine = Machine(ahead_s=0.5, there_s=there_s, back_s=back_s)
    await machine.clock.measure()
    assert machine.clock.is_right()
    assert abs((machine.clock.verdict().offset_s or 0.0) - 0.5) <= (there_s + back_s) / 2


async def test_a_round_trip_that_cannot_tell_right_from_wrong_is_no_measurement() -> None:
    machine = Machine(there_s=4.0, back_s=4.0)
    assert await machine.clock.measure() == AGAIN_AFTER_S
    assert not machine.clock.is_right()
    machine.there_s = machine.back_s = 0.0
    await machine.clock.measure()
    machine.there_s = machine.back_s = 4.0
    await machine.clock.measure()
    assert machine.clock.is_right(), "the one before still counts"


async def test_a_measurement_is_believed_for_a_minute() -> None:
    machine = Machine()
    await machine.clock.measure()
    machine.away = True
    machine.passed_s = MAX_AGE_S
    assert await machine.clock.measure() == AGAIN_AFTER_S
    assert machine.clock.is_right()
    machine.passed_s = MAX_AGE_S + 0.1
    assert not machine.clock.is_right()
    machine.away = False
    await machine.clock.measure()
    assert machine.clock.is_right()


@pytest.mark.parametrize("step_s", [2400.0, 3.0, -3.0, -3600.0])
async def test_a_clock_that_is_set_wrong_between_two_measurements_is_found_at_once(step_s: float) -> None:
    machine = Machine()
    await machine.clock.measure()
    machine.passed_s, machine.ahead_s = 1.0, step_s
    with pytest.raises(ClockOffError):
        machine.clock.right_now()
    machine.ahead_s = 0.0
    assert machine.clock.right_now() == START + timedelta(seconds=1)


async def test_what_runs_only_by_a_right_clock_is_left_out_while_it_is_wrong() -> None:
    machine, ran = Machine(), []

    async def job() -> None:
        ran.append(machine.ahead_s)

    when_right = machine.clock.when_right(job)
    await machine.clock.measure()
    for machine.ahead_s in (0.0, 30.0, 0.0):
        await when_right()
    assert ran == [0.0, 0.0]


async def test_a_clock_that_goes_wrong_and_right_again_is_told_once_each() -> None:
    machine = Machine()
    with capture_logs() as logs:
        for machine.ahead_s in (0.0, 0.0, 30.0, 30.0, 0.0, 0.0):
            await machine.clock.measure()
    assert [(line["log_level"], line.get("offset_s")) for line in logs] == [("warning", 30.0), ("info", 0.0)]


@pytest.mark.parametrize("right", [True, False])
def test_not_found_by_a_clock_that_may_be_wrong_proves_nothing_and_every_other_word_counts(right: bool) -> None:
    maker = ObservationMaker(lambda: START, lambda: UUID(int=1), lambda: right)
    key = key_of(payment())

    def heard(outcome: NotFound | Succeeded | Declined | Processing) -> object:
        return maker.of(key, Source.POLL, outcome).outcome

    assert isinstance(heard(NotFound("34")), NotFound if right else Unknown)
    for word in (Succeeded(amount=100), Declined(FailureCode.CARD_LOST), Processing()):
        assert heard(word) == word
    assert maker.of(key, Source.OPERATOR, NotFound()).outcome == NotFound()
