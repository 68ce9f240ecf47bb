"""The pace of a channel: calls per second, without a timer for each, under a clock that the test moves.

Not tested here: places (test_rooms.py), that calls keep to it (test_calls.py), whose share it is (test_live.py).
"""

import asyncio
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.outcomes import NotSent, Processing, Unknown
from gateway.ports import Authenticate, Pay
from gateway.run.calls import ProviderCalls
from gateway.run.pace import Pace
from gateway.run.places import Places, Room
from gateway.run.rooms import ProcessRooms
from tests.unit.flows.ports_in_memory import FakeProvider
from tests.unit.test_calls import AUTHENTICATE, PAY, URL

A = UUID(int=1)
AMPLE_S = 10.0


class Watch:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def called(pace: Pace) -> bool:
    """Make a call if the pace lets it."""
    if not pace.is_free:
        return False
    pace.take()
    pace.spend()
    return True


def test_without_a_limit_any_number_of_calls_is_made() -> None:
    pace = Pace(Watch())
    assert all(called(pace) for _ in range(1000))
    assert (pace.tokens, pace.left) == (None, None)


def test_a_second_has_as_many_calls_as_the_limit_says_and_the_next_one_as_many_again() -> None:
    watch = Watch()
    pace = Pace(watch)
    pace.set(Fraction(5))
    assert [called(pace) for _ in range(7)] == [True] * 5 + [False] * 2
    watch.now += 0.999
    assert not called(pace)
    watch.now += 0.001
    assert [called(pace) for _ in range(6)] == [True] * 5 + [False]


def test_a_token_that_is_taken_counts_from_its_call_and_not_before() -> None:
    watch = Watch()
    pace = Pace(watch)
    pace.set(Fraction(1))
    pace.take()
    watch.now += 50
    assert not pace.is_free  # it may be called any moment
    assert pace.wait_s is None
    pace.spend()
    watch.now += 0.9
    assert not pace.is_free
    assert pace.wait_s == pytest.approx(0.1)
    watch.now += 0.1
    assert pace.is_free


def test_a_token_whose_call_is_not_made_is_back_at_once() -> None:
    pace = Pace(Watch())
    pace.set(Fraction(1))
    pace.take()
    pace.give_back()
    assert pace.is_free


@given(
    per_second=st.fractions(min_value=Fraction(1, 20), max_value=40, max_denominator=20),
    tries_s=st.lists(st.integers(0, 400), min_size=50, max_size=200),
)
def test_a_share_that_is_a_fraction_is_exact_and_no_second_has_a_call_too_many(
    per_second: Fraction, tries_s: list[int]
) -> None:
    watch = Watch()
    pace = Pace(watch)
    pace.set(per_second)
    made = []
    for pause in tries_s:
        watch.now += pause / 1024
        while called(pace):
            made.append(watch.now)
    tokens = -(-per_second.numerator // per_second.denominator)
    back = float(Fraction(tokens) / per_second)
    assert back >= 1
    for first, last in zip(made, made[tokens:], strict=False):
        assert last - first >= back - 1e-9
    # As much as the share allows: whoever tries all the time is never kept back longer than that.
    assert len(made) >= (watch.now - 100.0) / (back + 400 / 1024) * tokens - tokens


def test_a_limit_that_changes_holds_at_once() -> None:
    watch = Watch()
    pace = Pace(watch)
    pace.set(Fraction(2))
    assert [called(pace) for _ in range(3)] == [True, True, False]
    pace.set(Fraction(4))
    assert [called(pace) for _ in range(3)] == [True, True, False]
    pace.set(Fraction(1))
    watch.now += 0.5
    assert not called(pace)
    watch.now += 0.5
    assert [called(pace) for _ in range(2)] == [True, False]
    pace.set(None)
    assert called(pace)


def test_questions_have_one_call_in_five_and_never_take_the_others() -> None:
    places = Places(100, clock=Watch())
    places.resize(100, Fraction(10))
    questions, rest = places.room(asks=True), places.room(asks=False)
    assert [questions.take_now() for _ in range(3)] == [True, True, False]
    assert [rest.take_now() for _ in range(9)] == [True] * 8 + [False]
    assert places.for_questions == 2  # no more are asked at once than the pace carries


async def test_all_who_wait_for_a_token_are_woken_by_one_timer_in_their_order() -> None:
    room = Room()
    room.resize(10)
    room.set_pace(Fraction(3))
    assert [called(room.pace) for _ in range(4)] == [True] * 3 + [False]
    order: list[int] = []

    async def take(number: int) -> None:
        assert await room.take(AMPLE_S)
        room.spend()
        order.append(number)

    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(take(number) for number in range(3)))
    assert order == [0, 1, 2]
    assert loop.time() - began > 0.5


async def test_who_has_a_place_calls_again_before_those_who_wait_for_one() -> None:
    room = Room(clock=Watch())
    room.resize(10)
    room.set_pace(Fraction(1))
    assert room.take_now()
    room.spend()
    waiting = asyncio.create_task(room.take(AMPLE_S))
    await asyncio.sleep(0)
    again = asyncio.create_task(room.call_again(AMPLE_S))
    await asyncio.sleep(0)
    room.set_pace(Fraction(2))  # one more token
    assert await again
    assert not waiting.done()
    room.set_pace(Fraction(3))
    assert await waiting


async def test_an_order_that_calls_twice_takes_two_tokens_and_one_that_makes_no_call_takes_none() -> None:
    watch = Watch()
    rooms = ProcessRooms(200, lambda *_: 100, calls_per_second=lambda *_: 5, clock=watch)
    ids = [UUID(int=number) for number in range(10)]
    assert [rooms.take(holder, A, "up") for holder in ids[:5]] == [True] * 4 + [False]
    assert rooms.full(A) == ["up"]
    rooms.leave(ids[3])
    assert rooms.full(A) == []
    assert await rooms.may_call(ids[0], 0)
    assert await rooms.may_call(ids[0], 0)
    assert rooms.full(A) == ["up"]
    assert not await rooms.may_call(ids[0], 0)
    assert await rooms.may_call(ids[1], 0)  # its own token was taken with its place


async def test_who_gives_up_waiting_for_a_token_leaves_it_to_the_next() -> None:
    room = Room()
    room.resize(10)
    room.set_pace(Fraction(1))
    assert room.take_now()
    room.spend()
    assert not await room.call_again(0.01)
    patient, gone = (asyncio.create_task(room.take(AMPLE_S)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    room.set_pace(None)
    assert await patient
    assert room.waiting == 0


async def test_whoever_holds_a_place_makes_its_second_call_when_there_is_a_token() -> None:
    provider = FakeProvider(says={Authenticate: Unknown("timeout"), Pay: Processing()})
    rooms = ProcessRooms(200, lambda *_: 100, calls_per_second=lambda *_: 1, clock=Watch())
    call = ProviderCalls(_Only(provider), rooms)
    holder = UUID(int=7)
    assert rooms.take(holder, A, "up")
    assert await call(A, "up", "up-1", AUTHENTICATE, 0.0, holder) == Unknown("timeout")
    told = await call(A, "up", "up-1", PAY, 0.0, holder)
    assert isinstance(told, NotSent)
    assert told.ours
    assert [type(each) for each in provider.asked] == [Authenticate]


class _Only:
    """Every account is this PSP's."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider

    def provider(self, merchant_id: UUID, account: str) -> FakeProvider:
        return self._provider

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        return URL
