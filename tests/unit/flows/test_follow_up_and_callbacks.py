"""Following up what is due, and receiving callbacks: what is asked, what is recorded, what the PSP is answered.

Over fakes of the ports. Not tested here: claiming and leases (tests/storage), verifying signatures (tests/adapters).
"""

from typing import Any
from uuid import UUID

import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Authenticated, Declined, NotFound, NotSent, Outcome, Processing, Succeeded, Unknown
from gateway.domain.payments import Payment, Stage, Status
from gateway.domain.transitions import Source
from gateway.flows.callbacks import Callbacks
from gateway.flows.follow_up import FollowUp
from gateway.ports import AskAuthentication, AskPayment, Callback, CallbackRequest, Pay, PaymentObservation
from tests.unit.domain.samples import ATTEMPT_ID, NOW, attempt, catalogue, channel, payment
from tests.unit.flows.ports_in_memory import World

ACCOUNT = "acme.up-1"
REQUEST = CallbackRequest("POST", "", {}, b"body")


@pytest.fixture
def world() -> World:
    return World()


def kept(world: World, known: Payment) -> Payment:
    world.payments[known.payment_id] = known
    return known


# --- what is due ---


async def test_a_payment_is_asked_about_with_the_number_and_time_it_was_sent_with(world: World) -> None:
    world.provider_.says = {AskPayment: Succeeded(1000)}
    due = kept(world, payment(attempt=attempt(polls=4)))
    world.pass_time(3600)
    after = await FollowUp(world.submission, world)(due)
    assert after.status is Status.SUCCEEDED
    (asked,) = world.provider_.asked
    assert asked == AskPayment(ATTEMPT_ID.hex, NOW, due.scene, 1000, tries=4)
    assert [observation.source for observation in world.recorded] == [Source.POLL]


@pytest.mark.parametrize("told", [NotSent("refused"), Unknown("timeout"), Processing(), NotFound()], ids=repr)
async def test_a_question_that_settles_nothing_is_asked_again_later_and_nothing_is_sent(
    world: World, told: Outcome
) -> None:
    world.provider_.says = {AskPayment: told}
    after = await FollowUp(world.submission, world)(kept(world, payment()))
    assert after.status is Status.PROCESSING
    assert after.due is not None
    assert after.due.at > world.now
    assert world.provider_.got(Pay) == []


async def test_a_question_that_was_not_sent_says_nothing_of_the_payment(world: World) -> None:
    world.provider_.says = {AskPayment: NotSent("refused")}
    await FollowUp(world.submission, world)(kept(world, payment()))
    assert [observation.outcome for observation in world.recorded] == [Unknown("refused")]


async def test_a_payment_whose_bearer_died_is_never_sent_however_often_it_is_followed_up(world: World) -> None:
    world.provider_.says = {AskPayment: NotFound()}
    due, polls = kept(world, payment()), 0
    while not due.is_final:
        assert due.due is not None
        world.now, polls = due.due.at, polls + 1
        due = await FollowUp(world.submission, world)(due)
        assert polls < 100
    assert due.failure is not None
    assert due.failure.code is FailureCode.CHANNEL_UNAVAILABLE
    assert world.provider_.got(Pay) == []


async def test_an_authentication_whose_bearer_died_is_asked_about_and_the_payment_goes_on(world: World) -> None:
    world.provider_.says = {AskAuthentication: Authenticated("token-1"), Pay: Succeeded(1000)}
    waiting = kept(world, payment(stage=Stage.AUTHENTICATING))
    world.pass_time(3600)
    after = await FollowUp(world.submission, world)(waiting)
    assert after.status is Status.SUCCEEDED
    assert [type(command) for command in world.provider_.asked] == [AskAuthentication, Pay]


@pytest.mark.parametrize("told", [NotFound(), Unknown("timeout"), NotSent("refused")], ids=repr)
async def test_an_authentication_that_nobody_knows_charges_nothing(world: World, told: Any) -> None:
    world.provider_.says = {AskAuthentication: told}
    after = await FollowUp(world.submission, world)(kept(world, payment(stage=Stage.AUTHENTICATING)))
    assert after.failure is not None
    assert after.failure.code is FailureCode.AUTHENTICATION_UNKNOWN
    assert world.provider_.got(Pay) == []


# --- callbacks ---


async def status_of(world: World, account: str = ACCOUNT) -> int:
    """What a callback to this account is answered."""
    answer = await callbacks(world).receive(account, REQUEST)
    assert answer is not None
    return answer.status


def callbacks(world: World) -> Callbacks:
    return Callbacks(world, world, world.observations, world, lambda: world.catalogue)


async def test_a_callback_is_acknowledged_after_it_was_recorded(world: World) -> None:
    known = kept(world, payment())
    world.provider_.callback = Callback(ATTEMPT_ID.hex, Verb.PAY, Succeeded(1000))
    assert await status_of(world) == 200
    assert world.payments[known.payment_id].status is Status.SUCCEEDED
    (observation,) = world.recorded
    assert isinstance(observation, PaymentObservation)
    assert observation.source is Source.CALLBACK


async def test_a_callback_that_cannot_be_recorded_is_not_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(observation: object) -> None:
        raise ConnectionError("the database is away")

    kept(world, payment())
    world.provider_.callback = Callback(ATTEMPT_ID.hex, Verb.PAY, Succeeded(1000))
    monkeypatch.setattr(world, "record", broken)
    with pytest.raises(ConnectionError):
        await callbacks(world).receive(ACCOUNT, REQUEST)


async def test_a_forged_callback_is_rejected_and_nothing_is_recorded(world: World) -> None:
    kept(world, payment())
    assert await status_of(world) == 400
    assert world.recorded == []


@pytest.mark.parametrize("number", ["", "1", "not hex at all, and thirty-two ch", UUID(int=1).hex])
async def test_a_callback_of_no_attempt_of_ours_is_rejected(world: World, number: str) -> None:
    kept(world, payment())
    world.provider_.callback = Callback(number, Verb.PAY, Succeeded(1000))
    assert await status_of(world) == 400
    assert world.recorded == []


async def test_a_refunds_callback_is_never_read_as_the_payments_of_the_same_number(world: World) -> None:
    known = kept(world, payment())
    world.provider_.callback = Callback(ATTEMPT_ID.hex, Verb.REFUND, Succeeded(1000))
    assert await status_of(world) == 400
    assert world.recorded == []
    assert world.payments[known.payment_id] == known


async def test_a_callback_of_a_psp_that_sends_none_has_no_answer(world: World) -> None:
    kept(world, payment())
    world.provider_.callback = Callback(ATTEMPT_ID.hex, Verb.PAY, Succeeded(1000))
    world.provider_.callbacks = None
    assert await callbacks(world).receive(ACCOUNT, REQUEST) is None
    assert world.recorded == []


async def test_a_callback_to_another_account_does_not_reach_the_attempt(world: World) -> None:
    world.catalogue = catalogue((channel("up"), channel("tl")), ())
    kept(world, payment())
    world.provider_.callback = Callback(ATTEMPT_ID.hex, Verb.PAY, Succeeded(1000))
    assert await status_of(world, "acme.tl-1") == 400
    assert world.recorded == []


async def test_a_callback_to_no_account_has_no_answer(world: World) -> None:
    world.provider_.callback = Callback(ATTEMPT_ID.hex, Verb.PAY, Succeeded(1000))
    for name in ("acme.xx", "other.up-1", "up-1", ""):
        assert await callbacks(world).receive(name, REQUEST) is None


@pytest.mark.parametrize("said", [Succeeded(999), Declined(FailureCode.CARD_FROZEN)], ids=repr)
async def test_a_callback_that_contradicts_is_acknowledged_and_changes_no_final_state(
    world: World, said: Outcome
) -> None:
    known = kept(world, payment(Status.SUCCEEDED))
    world.provider_.callback = Callback(ATTEMPT_ID.hex, Verb.PAY, said)
    assert await status_of(world) == 200
    assert world.payments[known.payment_id] == known
