"""What was proved lost while its sender slept with the request in its hand, and was then sent after all.

Over fakes of the ports. Not tested here: how long the waits are, what an anomaly writes (tests/storage).
"""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.domain.clocks import PROOF_MARGIN_S
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import AnomalyKind, Source
from gateway.domain.outcomes import Declined, NotFound, NotSent, Outcome, Processing, Succeeded, Unknown
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.flows import submit
from gateway.flows.observations import key_of
from gateway.ports import AskPayment, Pay
from tests.unit.domain.samples import LOST, card_elements, opening, order
from tests.unit.flows.ports_in_memory import World

LATE, AMOUNT = AnomalyKind.LATE_SUCCESS, AnomalyKind.AMOUNT_MISMATCH


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(submit.LATE_WAITS_S) == 3
    monkeypatch.setattr(submit, "LATE_WAITS_S", (0.0, 0.0, 0.0))


@dataclass
class Sleeper:
    """A sender whose send says `says` only after `meanwhile` was recorded; queries are then told `told` in turn."""

    says: Outcome
    told: list[Outcome] = field(default_factory=list)
    meanwhile: tuple[Outcome, ...] = (NotFound(),) * LOST.answers
    world: World = field(default_factory=World)
    statuses: list[Status] = field(default_factory=list)
    """The payment as it was at each question."""

    async def submit(self) -> Payment:
        opened = await self.world.open(opening(order()))
        self.world.provider_.says = {Pay: self.says}
        self.world.provider_.before_answer = self._before_answer
        return await self.world.submission.submit(opened, card_elements())

    def _before_answer(self) -> Coroutine[Any, Any, None]:
        asked_about = isinstance(self.world.provider_.asked[-1], AskPayment)
        return self._tell() if asked_about else self._sleep()

    async def _tell(self) -> None:
        self.statuses.append(self.world.only_payment().status)
        self.world.provider_.says[AskPayment] = self.told.pop(0)

    async def _sleep(self) -> None:
        for outcome in self.meanwhile:
            self.world.pass_time(LOST.over_s + PROOF_MARGIN_S)
            await self.world.record(self.world.observations.of(key_of(self.world.only_payment()), Source.POLL, outcome))

    @property
    def questions(self) -> int:
        return len(self.world.provider_.got(AskPayment))

    @property
    def anomalies(self) -> list[AnomalyKind]:
        """What was said of this payment that cannot be true together."""
        return self.world.anomalies


@pytest.mark.parametrize("says", [Processing(), Unknown("timeout"), Unknown("unmapped", "ZZ", received=True)], ids=repr)
@pytest.mark.parametrize(
    ("told", "questions", "anomalies"),
    [
        ([Succeeded(1000)], 1, [LATE]),
        ([Declined(FailureCode.CARD_FROZEN)], 1, []),
        ([Succeeded(999)], 1, [AMOUNT]),
        ([NotFound(), Succeeded(1000)], 2, [LATE]),
        ([NotSent("refused"), Declined(FailureCode.CARD_FROZEN)], 2, []),
        ([Unknown("timeout"), Processing(), Succeeded(1000)], 3, [LATE]),
        ([NotFound(), NotFound(), NotFound(), Succeeded(1000)], 3, []),
        ([NotSent("refused"), Unknown("timeout"), Processing(), Succeeded(1000)], 3, []),
    ],
)
async def test_it_is_asked_about_up_to_three_times_until_a_final_word_and_a_success_is_an_anomaly(
    says: Outcome, told: list[Outcome], questions: int, anomalies: list[AnomalyKind]
) -> None:
    sleeper = Sleeper(says, list(told))
    after = await sleeper.submit()
    assert (sleeper.questions, sleeper.anomalies) == (questions, anomalies)
    assert after == sleeper.world.only_payment()
    assert after.status is Status.FAILED
    assert after.attempt is not None
    assert after.attempt.late_success is (LATE in anomalies)
    assert set(sleeper.statuses) == {Status.FAILED}
    assert len(sleeper.world.provider_.got(Pay)) == 1


async def test_every_question_has_the_number_and_time_that_the_payment_was_sent_with() -> None:
    sleeper = Sleeper(Unknown("timeout"), [NotFound(), NotFound(), NotFound()])
    await sleeper.submit()
    (sent,) = sleeper.world.provider_.got(Pay)
    for question in sleeper.world.provider_.got(AskPayment):
        assert (question.number, question.told_at) == (sent.number, sent.told_at)
        assert (question.scene, question.amount) == (sent.scene, sent.amount)


@pytest.mark.parametrize(
    ("says", "anomalies"),
    [
        (Succeeded(1000), [LATE]),
        (Declined(FailureCode.CARD_FROZEN), []),
        (NotSent("refused"), []),
        (NotSent("too late", ours=True), []),
    ],
    ids=repr,
)
async def test_a_send_with_a_final_word_is_not_asked_about(says: Outcome, anomalies: list[AnomalyKind]) -> None:
    sleeper = Sleeper(says)
    assert (await sleeper.submit()).status is Status.FAILED
    assert (sleeper.questions, sleeper.anomalies) == (0, anomalies)


@pytest.mark.parametrize(
    ("says", "status"),
    [
        (Declined(FailureCode.CARD_FROZEN), Status.FAILED),
        (NotSent("refused"), Status.FAILED),
        (Processing(), Status.PROCESSING),
        (Unknown("timeout"), Status.PROCESSING),
    ],
    ids=repr,
)
@pytest.mark.parametrize("meanwhile", [(), (NotFound(),), (Unknown("timeout"),)], ids=repr)
async def test_a_payment_that_nobody_gave_up_is_left_to_the_workers(
    says: Outcome, status: Status, meanwhile: tuple[Outcome, ...]
) -> None:
    sleeper = Sleeper(says, meanwhile=meanwhile)
    assert (await sleeper.submit()).status is status
    assert (sleeper.questions, sleeper.anomalies) == (0, [])


async def test_a_payment_that_was_seen_to_succeed_meanwhile_is_not_asked_about() -> None:
    sleeper = Sleeper(Unknown("timeout"), meanwhile=(Succeeded(1000),))
    assert (await sleeper.submit()).status is Status.SUCCEEDED
    assert sleeper.questions == 0
