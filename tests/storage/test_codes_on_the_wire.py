"""What reaches a PSP of codes: two processes with their flows on one real database, before a PSP that counts.

Not tested here: what is recorded (test_payer_acts.py), sockets and adapters (tests/e2e/test_codes.py).
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.codes import CODES_PER_SMS
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Authenticated, CodeSent, Declined, NotFound, SmsNeeded, Succeeded, Unknown
from gateway.domain.payments import Payment
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status
from gateway.domain.terms import Product
from gateway.flows.follow_up import FollowUp
from gateway.flows.observations import ObservationMaker
from gateway.flows.payer import ActRefusedError, PayerFlow
from gateway.flows.submit import Submission
from gateway.ports import (
    ActRefusal,
    AskAuthentication,
    AskPayment,
    Command,
    Declaration,
    Pay,
    SendPaymentCode,
    SendSigningCode,
    Wish,
)
from gateway.run.running_tasks import RunningTasks
from gateway.storage.keys import Keys
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.storage.payers import EACH, SMS, one_open, place, that_can
from tests.unit.domain.samples import MERCHANT_ID, NOW, TERMS, card_elements

WRONG = Declined(FailureCode.SMS_CODE_WRONG, "W1")


class Psp:
    """Says what it is told, and remembers what it heard."""

    commands = dict.fromkeys((AskAuthentication,))
    declaration = Declaration("mock", frozenset({Scene.WITHHOLD}), terms=dict.fromkeys(Product, TERMS))

    def __init__(self) -> None:
        self.heard: list[Command[Any]] = []
        self.says: dict[type, Any] = {
            SendPaymentCode: CodeSent("c-1"),
            Pay: Succeeded(1000),
            AskPayment: NotFound("34"),
        }
        self.at_once = asyncio.Event()
        self.at_once.set()
        self.reached = asyncio.Event()

    def provider(self, merchant_id: UUID, account: str) -> "Psp":
        return self

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        return "https://gateway.example/callbacks/acme.up-1"

    async def __call__(self, merchant_id: UUID, channel: str, account: str, command: Command[Any], *rest: Any) -> Any:
        self.heard.append(command)
        self.reached.set()
        await self.at_once.wait()
        return self.says[type(command)]

    def got(self, kind: type) -> list[Any]:
        return [command for command in self.heard if isinstance(command, kind)]


class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


class Gateway:
    """A process with its flows."""

    def __init__(self, process: Process, psp: Psp, clock: Clock) -> None:
        self.process, self.clock = process, clock
        self.submission = Submission(psp, psp, process.books, ObservationMaker(clock, uuid4))  # type: ignore[arg-type]
        self.payer = PayerFlow(self.submission, process.due, RunningTasks(), 10.0)
        self.follow_up = FollowUp(self.submission, process.due)

    async def opens(self) -> Payment:
        return await self.submission.submit(await one_open(self.process, self.clock.now), card_elements())

    async def follows_up(self) -> None:
        now = self.clock.now
        for due in await self.process.due.claim(MERCHANT_ID, now, 10, now + timedelta(seconds=30)):
            await self.follow_up(due)


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
def psp() -> Psp:
    return Psp()


@pytest.fixture
async def gateways(engine: AsyncEngine, other_engine: AsyncEngine, own_keys: Keys, psp: Psp) -> list[Gateway]:
    clock, engines = Clock(), (engine, other_engine)
    return [Gateway(Process(each, own_keys, place(EACH), carries_of=that_can()), psp, clock) for each in engines]


async def refusal_of(work: Any) -> ActRefusal:
    with pytest.raises(ActRefusedError) as refused:
        await work
    return refused.value.why


async def test_two_confirms_at_once_on_two_processes_are_one_call(gateways: list[Gateway], psp: Psp) -> None:
    one, two = gateways
    waiting = await one.opens()
    psp.at_once.clear()
    confirms = [asyncio.create_task(each.payer.confirm(waiting, "123456")) for each in (one, two)]
    done, _ = await asyncio.wait(confirms, return_when=asyncio.FIRST_COMPLETED)
    assert [await refusal_of(each) for each in done] == [ActRefusal.CONFIRMATION_IN_PROGRESS]
    psp.at_once.set()
    (paid,) = [await each for each in confirms if each not in done]
    assert paid.status is Status.SUCCEEDED
    assert [(each.sms_code, each.continuation) for each in psp.got(Pay)] == [("123456", "c-1")]
    assert await one.process.one("SELECT count(*) FROM intents WHERE row(intents.*)::text LIKE '%123456%'") == 0
    assert (await two.payer.confirm(waiting, "123456")).status is Status.SUCCEEDED
    assert len(psp.got(Pay)) == 1


async def test_sent_by_one_process_and_resent_it_is_confirmed_on_another_with_the_newest(
    gateways: list[Gateway], psp: Psp
) -> None:
    one, two = gateways
    waiting = await one.opens()
    one.clock.now += timedelta(seconds=61)
    psp.says[SendPaymentCode] = CodeSent("c-2")
    said = await asyncio.gather(*(each.payer.resend(waiting) for each in gateways), return_exceptions=True)
    assert [type(each) for each in said if isinstance(each, Exception)] in ([], [ActRefusedError])
    assert [(each.ordinal, each.continuation) for each in psp.got(SendPaymentCode)] == [(1, None), (2, "c-1")]
    psp.says[Pay] = WRONG
    assert (await two.payer.confirm(waiting, "111111")).status is Status.REQUIRES_ACTION
    psp.says[Pay] = Succeeded(1000)
    assert (await two.payer.confirm(waiting, "222222")).status is Status.SUCCEEDED
    assert [(each.sms_code, each.continuation, each.ordinal) for each in psp.got(Pay)] == [
        ("111111", "c-2", 1), ("222222", "c-2", 2),
    ]  # fmt: skip
    assert {(each.number, each.told_at) for each in psp.heard if not isinstance(each, AskPayment)} == {
        (waiting.channel_order_no, NOW)
    }


def may_pay_by_itself(one: Gateway, psp: Psp) -> None:
    """From now on the PSP sends the SMS when it is asked to pay."""
    one.process.carries_of = that_can(by_pay=True)
    one.process.witnessed_by(lambda database: database)
    one.submission = Submission(psp, psp, one.process.books, ObservationMaker(one.clock, uuid4))  # type: ignore[arg-type]
    one.payer = PayerFlow(one.submission, one.process.due, RunningTasks(), 10.0)
    one.follow_up = FollowUp(one.submission, one.process.due)
    psp.says[Pay] = SmsNeeded(sent=True)


async def test_clients_in_a_loop_do_not_flood_the_psp(gateways: list[Gateway], psp: Psp) -> None:
    one = gateways[0]
    may_pay_by_itself(one, psp)
    waiting = await one.opens()
    psp.says[AskPayment] = NotFound("34")
    for _ in range(60):  # a minute, each second from both processes
        wishes = (each.payer.close(waiting) for each in gateways)
        assert {await refusal_of(wish) for wish in wishes} == {ActRefusal.MAY_BE_PAID}
        one.clock.now += timedelta(seconds=1)
    assert len(psp.got(AskPayment)) == 6
    psp.says[Pay] = Declined(FailureCode.SMS_CODE_EXPIRED, "E1")
    for _ in range(10):
        await asyncio.gather(*(each.payer.confirm(waiting, "123456") for each in gateways), return_exceptions=True)
    assert len(psp.got(Pay)) == 1 + CODES_PER_SMS
    psp.says[Pay] = SmsNeeded(sent=True)
    await asyncio.gather(*(each.payer.resend(waiting) for each in gateways * 5), return_exceptions=True)
    assert len(psp.got(Pay)) == 2 + CODES_PER_SMS


async def test_while_somebody_has_it_asked_whether_it_may_be_closed_its_expiry_asks_nothing(
    gateways: list[Gateway], psp: Psp
) -> None:
    one, two = gateways
    may_pay_by_itself(one, psp)
    waiting = await one.opens()
    assert waiting.until_at is not None
    one.clock.now = waiting.until_at - timedelta(seconds=1)
    psp.at_once.clear()
    psp.reached.clear()
    psp.says[AskPayment] = NotFound("34")
    closing = asyncio.create_task(refusal_of(one.payer.close(waiting)))
    await psp.reached.wait()
    one.clock.now = waiting.until_at
    await asyncio.wait_for(two.follows_up(), 10.0)
    assert len(psp.got(AskPayment)) == 1
    after = await one.process.read(waiting)
    assert (after.status, after.due_at is not None) == (Status.REQUIRES_ACTION, True)
    psp.at_once.set()
    assert await closing is ActRefusal.MAY_BE_PAID
    # From its expiry on it is asked by the plan until that proves something.
    for _ in range(10):
        one.clock.now += timedelta(seconds=60)
        await two.follows_up()
    assert (await one.process.read(waiting)).status is Status.CLOSED


async def test_an_order_that_may_be_paid_is_asked_about_before_it_is_closed(gateways: list[Gateway], psp: Psp) -> None:
    one = gateways[0]
    may_pay_by_itself(one, psp)
    waiting = await one.opens()
    assert waiting.status is Status.REQUIRES_ACTION
    for said in (Unknown("timeout"), NotFound("34")):
        psp.says[AskPayment] = said
        assert await refusal_of(one.payer.close(waiting)) is ActRefusal.MAY_BE_PAID
        one.clock.now += timedelta(seconds=10)
    psp.says[AskPayment] = Declined(FailureCode.SMS_CODE_EXPIRED, "CLOSED")
    assert (await one.payer.close(waiting)).status is Status.CLOSED
    assert (len(psp.got(Pay)), len(psp.got(AskPayment))) == (1, 3)
    assert (await one.payer.confirm(waiting, "123456")).status is Status.CLOSED
    assert len(psp.got(Pay)) == 1


async def test_whoever_dies_before_the_sms_or_the_code_is_followed_up_without_sending_again(
    gateways: list[Gateway], psp: Psp
) -> None:
    one, two = gateways
    opened = await one_open(one.process)  # and dies
    one.clock.now += timedelta(seconds=60)
    await two.follows_up()
    waiting = await one.process.read(opened.payment)
    assert (waiting.status, psp.heard) == (Status.REQUIRES_ACTION, [])
    await one.payer.submission.books.act(one.submission.observations.act(waiting, Wish.CONFIRM))  # and dies
    one.clock.now += timedelta(seconds=60)
    psp.says[AskPayment] = WRONG
    await two.follows_up()
    after = await one.process.read(opened.payment)
    assert (after.status, after.sequence, [type(each) for each in psp.heard]) == (
        Status.REQUIRES_ACTION, 1, [AskPayment],
    )  # fmt: skip
    assert (await two.payer.confirm(after, "123456")).status is Status.SUCCEEDED


async def test_whoever_asks_about_a_lost_code_names_what_its_sms_gave(gateways: list[Gateway], psp: Psp) -> None:
    """At some PSPs each SMS is a binding of its own: to ask for the first one would lose the second."""
    one, two = gateways
    one.process.catalogue = place(SMS)
    one.process.witnessed_by(lambda database: database)
    one.submission = Submission(psp, psp, one.process.books, ObservationMaker(one.clock, uuid4))  # type: ignore[arg-type]
    one.payer = PayerFlow(one.submission, one.process.due, RunningTasks(), 10.0)
    psp.says |= {SendSigningCode: CodeSent("s-1"), AskAuthentication: Authenticated("token-1")}
    waiting = await one.opens()
    one.clock.now += timedelta(seconds=61)
    psp.says[SendSigningCode] = CodeSent("s-2")
    await one.payer.resend(waiting)
    await one.submission.books.act(one.submission.observations.act(waiting, Wish.CONFIRM))  # and dies
    one.clock.now += timedelta(seconds=60)
    await two.follows_up()
    assert [each.continuation for each in psp.got(AskAuthentication)] == ["s-2"]
    assert (await one.process.read(waiting)).status is Status.SUCCEEDED
