"""Calling providers: what is counted, how many at once, how many requests, and what becomes of an adapter's bugs.

Over a provider that is a fake. Not tested here: building adapters (test_accounts), their wire (tests/adapters).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.domain.failures import FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    Succeeded,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.ports import (
    AnswerLostError,
    AskAuthentication,
    AskPayment,
    AskRefund,
    Authenticate,
    Callback,
    Command,
    Commands,
    NoSuchCommandError,
    NotSentError,
    Pay,
    Refund,
    Transport,
    UnusableAccountError,
    command_name,
)
from gateway.run.calls import OneTooManyError, ProviderCalls, guarded
from gateway.run.places import Places
from gateway.run.rooms import ProcessRooms
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements
from tests.unit.flows.ports_in_memory import FakeProvider

NUMBER, URL = "0" * 32, "https://gateway.example/callbacks/acme.up-1"
CARD_NO = card_elements().card_no
AUTHENTICATE = Authenticate(NUMBER, NOW, "ICBC", card_elements(), "u-1", URL)
ASK_AUTHENTICATION = AskAuthentication(NUMBER, NOW, "ICBC", card_elements(), "u-1")
PAY = Pay(NUMBER, NOW, Scene.WITHHOLD, 1000, "ICBC", card_elements(), None, "u1", "order-1", URL)
ASK_PAYMENT = AskPayment(NUMBER, NOW, Scene.WITHHOLD, 1000)
REFUND = Refund(NUMBER, NOW, Scene.WITHHOLD, 500, "1" * 32, NOW, "theirs-1", 1000, URL)
ASK_REFUND = AskRefund(NUMBER, NOW, Scene.WITHHOLD, 500)
SOON_S = 0.01

Doing = Callable[[Any], Awaitable[Any]]


@dataclass
class World:
    """One account `up-1` on a channel `up` with room for `at_once` calls."""

    provider_: FakeProvider = field(default_factory=FakeProvider)
    at_once: int | None = None
    merchant: str = "acme"

    def __post_init__(self) -> None:
        rooms = ProcessRooms(1000, lambda merchant_id, channel: self.at_once)
        self.calls = ProviderCalls(self, rooms, lambda merchant_id: self.merchant)

    def provider(self, merchant_id: UUID, account: str) -> Any:
        if account != "up-1":
            raise UnusableAccountError(account)
        return self.provider_

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        raise NotImplementedError

    async def call(self, command: Command[Any], within_s: float = 5.0) -> Any:
        return await self.calls(MERCHANT_ID, "up", "up-1", command, within_s)


@pytest.fixture
def world() -> World:
    return World()


class Doer(FakeProvider):
    """A provider that pays as it is told to."""

    doing: Doing

    @property
    def commands(self) -> Commands:
        return {Pay: self.doing}


def doing(function: Doing) -> World:
    provider = Doer()
    provider.doing = function
    return World(provider)


# What is counted, and what is told


async def test_accounts_of_the_same_name_are_counted_by_merchant(world: World) -> None:
    world.merchant = "merchant-with-calls-of-its-own"
    world.provider_.says[Pay] = Succeeded(1000)
    before = counted("pay", "succeeded")
    await world.call(PAY)
    assert counted("pay", "succeeded", world.merchant) == (1.0, 1.0)
    assert counted("pay", "succeeded") == before


@pytest.mark.parametrize(
    ("outcome", "level", "what", "reason"),
    [
        (Declined(FailureCode.INSUFFICIENT_BALANCE, "51", "no money"), "info", "refused", "insufficient_balance"),
        (Declined(FailureCode.CHANNEL_REFUSED, "51", CARD_NO), "warning", "refused", "channel_refused"),
        (NotSent(f"not connected: {CARD_NO}"), "info", "not sent", "not connected: "),
        (Unknown("no answer: the server hung up"), "info", "not answered, or not believed", "no answer: the server"),
        (Unknown("the signature is wrong", "51", CARD_NO), "info", "not answered, or not believed", "the signature"),
    ],
    ids=str,
)
async def test_a_call_that_was_refused_or_not_answered_leaves_one_line(
    world: World, outcome: Outcome, level: str, what: str, reason: str
) -> None:
    world.provider_.says[Pay] = outcome
    with capture_logs() as told, structlog.contextvars.bound_contextvars(request_id="req_1"):
        await world.call(PAY)
    (line,) = told
    assert (line["log_level"], line["event"]) == (level, f"call to the payment company: {what}")
    assert line["event.reason"].startswith(reason)
    named = ("sluice.merchant", "sluice.account", "sluice.channel", "event.action", "sluice.number", "http.request.id")
    assert [line[name] for name in named] == ["acme", "up-1", "up", "pay", NUMBER, "req_1"]
    assert line["event.duration"] > 0
    assert line["sluice.ms"] >= 0
    for secret in (CARD_NO, "no money", card_elements().holder_name, card_elements().phone):
        assert secret not in str(line)


@pytest.mark.parametrize("outcome", [Succeeded(1000), Processing()], ids=str)
async def test_a_call_that_was_answered_leaves_no_line(world: World, outcome: Outcome) -> None:
    world.provider_.says[Pay] = outcome
    with capture_logs() as told:
        await world.call(PAY)
    assert not told


async def test_a_call_that_was_given_up_leaves_a_line() -> None:
    async def never(_: Pay) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    with capture_logs() as told, pytest.raises(TimeoutError):
        async with asyncio.timeout(SOON_S):
            await doing(never).call(PAY)
    assert [line["event"] for line in told] == ["call to the payment company: given up"]


def counted(operation: str, outcome: str, merchant: str = "acme") -> tuple[float, float]:
    """Calls counted with this outcome, and calls timed."""
    labels = {"merchant": merchant, "account": "up-1", "operation": operation}
    calls = REGISTRY.get_sample_value("sluice_psp_calls_total", labels | {"outcome": outcome})
    timed = REGISTRY.get_sample_value("sluice_psp_call_seconds_count", labels)
    return calls or 0.0, timed or 0.0


@pytest.mark.parametrize(
    ("command", "operation", "outcome", "name"),
    [
        (AUTHENTICATE, "authenticate", Authenticated("token-1"), "authenticated"),
        (AUTHENTICATE, "authenticate", NotSent("refused"), "notsent"),
        (ASK_AUTHENTICATION, "ask_authentication", NotFound(), "notfound"),
        (PAY, "pay", Succeeded(1000), "succeeded"),
        (PAY, "pay", Declined(FailureCode.CARD_FROZEN), "declined"),
        (ASK_PAYMENT, "ask_payment", Unknown("timeout"), "unknown"),
        (REFUND, "refund", Processing(), "processing"),
        (ASK_REFUND, "ask_refund", NotFound(), "notfound"),
    ],
    ids=str,
)
@pytest.mark.parametrize("at_once", [None, 1])
async def test_a_call_is_passed_on_and_counted_by_what_it_told(
    world: World,
    command: Command[Any],
    operation: str,
    outcome: Outcome | AuthenticationOutcome,
    name: str,
    at_once: int | None,
) -> None:
    world.at_once = at_once
    world.provider_.says = {type(command): outcome}
    calls, timed = counted(operation, name)
    assert await world.call(command) is outcome
    assert counted(operation, name) == (calls + 1, timed + 1)
    assert world.provider_.asked == [command]


def test_a_command_is_named_as_people_read_it() -> None:
    assert command_name(AskAuthentication) == "ask_authentication"
    assert [kind.verb for kind in (Pay, AskPayment, Refund)] == [Verb.PAY, Verb.PAY, Verb.REFUND]
    assert not Pay.asks
    assert AskPayment.asks
    assert Callback(NUMBER, Verb.REFUND, Processing()).verb is Verb.REFUND


# What cannot be called


async def test_an_account_without_an_adapter_is_named(world: World) -> None:
    with pytest.raises(UnusableAccountError, match="account gone has no adapter"):
        await world.calls(MERCHANT_ID, "up", "gone", PAY)


async def test_a_command_that_the_provider_cannot_do_is_named() -> None:
    async def never(command: Any) -> Any:
        raise AssertionError

    with pytest.raises(NoSuchCommandError, match="account up-1: mock has no ask_refund"):
        await doing(never).call(ASK_REFUND)


# An adapter's bugs


async def test_an_adapter_that_raises_is_unknown_and_told_once_without_what_it_said() -> None:
    async def broken(command: Pay) -> Outcome:
        assert command.card is not None
        raise ValueError(f"no such bank for {command.card.card_no} {command.card.holder_name}")

    world = doing(broken)
    calls, _ = counted("pay", "unknown")
    with capture_logs() as said:
        outcome = await world.call(PAY)
    assert outcome == Unknown("the adapter failed: see the log")
    line, _unknown = said
    assert (line["log_level"], line["account"], line["operation"], line["error"]) == (
        "error",
        "up-1",
        "pay",
        "ValueError",
    )
    assert "test_calls.py" in line["where"][-1]
    assert CARD_NO not in str(said)
    assert card_elements().holder_name not in str(said)
    assert counted("pay", "unknown")[0] == calls + 1


async def test_cancelling_goes_through_and_gives_the_place_back(world: World) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    world.at_once, world.provider_.before_answer = 1, for_ever
    task = asyncio.create_task(world.call(PAY))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.provider_.before_answer, world.provider_.says = None, {Pay: Processing()}
    assert await world.call(PAY, 0) == Processing()


# The number of requests

REQUEST = httpx.Request("POST", "https://psp.example/")


def sending(times: int, told: Exception | None = None) -> tuple[World, list[httpx.Request]]:
    """A provider whose `pay` sends so often, over a wire that tells `told`; it catches what transports raise."""
    wire: list[httpx.Request] = []

    async def transport(request: httpx.Request) -> httpx.Response:
        wire.append(request)
        if told is not None:
            raise told
        return httpx.Response(200)

    send: Transport = guarded(transport)

    async def pay(command: Pay) -> Outcome:
        for _ in range(times):
            try:
                await send(REQUEST)
            except (NotSentError, AnswerLostError):
                continue
        return Succeeded(command.amount)

    return doing(pay), wire


async def test_a_command_may_make_its_one_request_and_so_may_the_next() -> None:
    world, wire = sending(1)
    for _ in range(3):
        assert await world.call(PAY) == Succeeded(1000)
    assert len(wire) == 3


async def test_calls_at_the_same_time_have_a_request_each() -> None:
    world, wire = sending(1)
    assert await asyncio.gather(*(world.call(PAY) for _ in range(5))) == [Succeeded(1000)] * 5
    assert len(wire) == 5


@pytest.mark.parametrize("told", [None, AnswerLostError("timeout")], ids=repr)
async def test_a_second_request_is_refused_and_the_outcome_is_unknown(told: Exception | None) -> None:
    world, wire = sending(2, told)
    with capture_logs() as said:
        outcome = await world.call(PAY)
    assert isinstance(outcome, Unknown)
    assert len(wire) == 1
    errors = [line for line in said if line["log_level"] == "error"]
    assert [(line["operation"], line["allowed"]) for line in errors] == [("pay", 1)]


async def test_a_second_request_after_one_that_was_never_sent_is_refused_too_and_nothing_was_sent() -> None:
    world, wire = sending(2, NotSentError("refused"))
    with capture_logs() as said:
        outcome = await world.call(PAY)
    assert isinstance(outcome, NotSent)
    assert outcome.ours
    assert [line["log_level"] for line in said] == ["error", "info"]
    assert len(wire) == 1


async def test_an_adapter_that_hides_the_refusal_is_found_out() -> None:
    async def transport(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200)

    send = guarded(transport)

    async def pay(command: Pay) -> Outcome:
        await send(REQUEST)
        with pytest.raises(OneTooManyError):
            await send(REQUEST)
        return Succeeded(command.amount)

    with capture_logs():
        assert isinstance(await doing(pay).call(PAY), Unknown)


async def test_a_command_without_requests_may_make_none() -> None:
    class Redirect(Pay):
        requests: ClassVar[int] = 0

    world, wire = sending(1)
    provider = world.provider_
    assert isinstance(provider, Doer)
    command = Redirect(NUMBER, NOW, Scene.WITHHOLD, 1000, "ICBC", card_elements(), None, "u1", "order-1", URL)
    with capture_logs():
        world.provider_ = _also(provider, Redirect)
        outcome = await world.call(command)
    assert isinstance(outcome, NotSent)
    assert wire == []


def _also(provider: Doer, kind: type[Command[Any]]) -> FakeProvider:
    class Also(FakeProvider):
        @property
        def commands(self) -> Commands:
            return {kind: provider.doing}

    return Also()


async def test_nothing_is_sent_outside_of_a_command() -> None:
    async def transport(request: httpx.Request) -> httpx.Response:
        raise AssertionError

    with pytest.raises(OneTooManyError):
        await guarded(transport)(REQUEST)


# How many at once


@dataclass
class Crowd:
    """Calls that stay under way until they are released."""

    world: World
    under_way: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    tasks: list["asyncio.Task[Any]"] = field(default_factory=list)

    async def start(self, name: str, command: Command[Any] = PAY, within_s: float = 5.0) -> "asyncio.Task[Any]":
        self.gates[name] = asyncio.Event()
        task = asyncio.create_task(self._call(name, command, within_s), name=name)
        self.tasks.append(task)
        await settle()
        return task

    async def _call(self, name: str, command: Command[Any], within_s: float) -> Any:
        return await self.world.call(command, within_s)

    async def before_answer(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.under_way.append(task.get_name())
        await self.gates[task.get_name()].wait()

    async def release(self, name: str) -> None:
        self.gates[name].set()
        await settle()


async def settle() -> None:
    """Let every task go as far as it goes."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def crowd(world: World) -> AsyncIterator[Crowd]:
    crowd = Crowd(world)
    world.provider_.says = {Pay: Processing(), AskPayment: Processing()}
    world.provider_.before_answer = crowd.before_answer
    yield crowd
    for task in crowd.tasks:
        task.cancel()
    await asyncio.gather(*crowd.tasks, return_exceptions=True)


async def test_a_full_channel_lets_payments_wait_in_their_order(crowd: Crowd) -> None:
    crowd.world.at_once = 3  # of which one is for questions
    for name in ("a", "b", "c", "d", "e"):
        await crowd.start(name)
    assert crowd.under_way == ["a", "b"]
    await crowd.release("b")
    assert crowd.under_way == ["a", "b", "c"]
    await crowd.start("f")
    await crowd.release("a")
    await crowd.release("c")
    assert crowd.under_way == ["a", "b", "c", "d", "e"]


async def test_a_place_is_kept_for_questions_and_they_take_no_other(crowd: Crowd) -> None:
    crowd.world.at_once = 10
    for number in range(12):
        await crowd.start(f"pay {number}")
        await crowd.start(f"ask {number}", ASK_PAYMENT)
    assert sorted(name.partition(" ")[0] for name in crowd.under_way) == ["ask"] * 2 + ["pay"] * 8


@pytest.mark.parametrize(("at_once", "payments", "questions"), [(1, 1, 0), (2, 1, 1), (4, 3, 1), (5, 4, 1), (11, 9, 2)])
async def test_one_place_in_five_is_for_questions_and_at_least_one_where_there_are_more_than_one(
    crowd: Crowd, at_once: int, payments: int, questions: int
) -> None:
    crowd.world.at_once = at_once
    for number in range(12):
        await crowd.start(f"pay {number}")
    for number in range(12):
        await crowd.start(f"ask {number}", ASK_PAYMENT)
    kinds = [name.partition(" ")[0] for name in crowd.under_way]
    assert (kinds.count("pay"), kinds.count("ask")) == (payments, questions)


async def test_the_only_place_of_a_channel_is_for_questions_too(crowd: Crowd) -> None:
    crowd.world.at_once = 1
    await crowd.start("ask", ASK_PAYMENT)
    await crowd.start("pay")
    assert crowd.under_way == ["ask"]
    await crowd.release("ask")
    assert crowd.under_way == ["ask", "pay"]


async def test_what_finds_no_place_in_time_is_not_sent_by_us_and_counted(crowd: Crowd) -> None:
    crowd.world.at_once = 2
    await crowd.start("first")
    calls, timed = counted("pay", "notsent")
    outcome = await crowd.world.call(PAY, SOON_S)
    assert isinstance(outcome, NotSent)
    assert outcome.ours
    assert counted("pay", "notsent") == (calls + 1, timed)
    assert isinstance(await crowd.world.call(PAY, -1.0), NotSent)
    assert crowd.under_way == ["first"]


async def test_who_gave_up_holds_up_nobody(crowd: Crowd) -> None:
    crowd.world.at_once = 2
    await crowd.start("first")
    hasty = await crowd.start("hasty", within_s=SOON_S)
    patient = await crowd.start("patient")
    gone = await crowd.start("gone")
    assert isinstance(await hasty, NotSent)
    gone.cancel()
    await crowd.release("first")
    assert crowd.under_way == ["first", "patient"]
    await crowd.release("patient")
    assert await patient == Processing()
    await crowd.start("last")
    assert crowd.under_way[-1] == "last"


async def test_a_place_that_was_given_to_a_call_which_is_cancelled_goes_on_to_the_next() -> None:
    room = Places(1).room(asks=False)
    assert await room.take(0)
    first, second = (asyncio.create_task(room.take(5.0)) for _ in range(2))
    await settle()
    room.leave()
    first.cancel()  # it has the place, and was not run since
    await settle()
    assert first.cancelled()
    assert second.result()


async def test_a_limit_that_changes_holds_from_the_next_call_on(crowd: Crowd) -> None:
    crowd.world.at_once = 2
    for name in ("a", "b", "c"):
        await crowd.start(name)
    assert crowd.under_way == ["a"]
    crowd.world.at_once = 4
    await crowd.start("d")
    assert crowd.under_way == ["a", "b", "c"]
    crowd.world.at_once = 2
    await crowd.start("e")
    await crowd.release("a")
    await crowd.release("b")
    assert crowd.under_way == ["a", "b", "c"]
    crowd.world.at_once = None
    await crowd.start("f")
    assert sorted(crowd.under_way) == ["a", "b", "c", "d", "e", "f"]  # the limit of a channel for which nothing is said


async def test_a_place_taken_before_the_limit_changed_is_given_back_where_it_was_taken() -> None:
    places = Places(1)
    room = places.room(asks=True)
    assert await room.take(0)
    places.resize(5)
    assert places.room(asks=True) is not room
    room.leave()
    taken = [await places.room(asks=False).take(0) for _ in range(5)]
    assert taken == [True] * 4 + [False]
