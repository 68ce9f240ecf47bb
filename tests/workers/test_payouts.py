"""Lists of payouts that came back, and holds that are over: what a tick does with what it is given.

Over fakes. Not tested here: which lists are due (tests/storage), the lists of a PSP (tests/adapters).
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.domain.outcomes import NotSent, Outcome, Returned, ReturnedPayout, ReturnReason, ReturnsListed, Unknown
from gateway.flows.observations import ObservationMaker
from gateway.flows.payout_acts import PayoutRefusedError
from gateway.ports import (
    AskReturnedPayouts,
    IntentKey,
    NoSuchCommandError,
    Observation,
    OverloadedError,
    Recorded,
    UnusableAccountError,
)
from gateway.workers.payouts import HeldPayoutWatch, ReturnsWatch
from tests.unit.domain.samples import MERCHANT_ID, NOW, catalogue, channel, payout

PLACE = catalogue((channel("up"),), ())
DAY = date(2026, 3, 4)
BACK = Returned(ReturnReason.BANK_REJECTED, "2", "拒绝")


class World:
    """One list that is due, a PSP that says something of it, and the books of what it told."""

    def __init__(self, said: Any, day: date = DAY) -> None:
        self.said, self.day = said, day
        self.asked: list[Any] = []
        self.listed_days: list[date] = []
        self.recorded: list[Observation] = []
        self.strays: list[str] = []

    async def merchants_with_lists(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        return list(merchants)

    async def claim_lists(self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int) -> list[Any]:
        return [("up-1", self.day, "up")]

    async def listed(self, merchant_id: UUID, account: str, day: date) -> None:
        self.listed_days.append(day)

    async def intent_of_number(self, merchant_id: UUID, account: str, number: str, verb: Verb) -> IntentKey | None:
        return IntentKey(merchant_id, "", UUID(int=7), verb) if number == "ours" else None

    async def keep_stray(
        self, merchant_id: UUID, account: str, number: str, verb: Verb, outcome: Outcome, now: datetime
    ) -> None:
        self.strays.append(number)

    async def __call__(self, merchant_id: UUID, channel: str, account: str, command: Any, *_: Any) -> Any:
        self.asked.append((channel, account, command))
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    async def record(self, observation: Observation) -> Recorded:
        self.recorded.append(observation)
        assert self.listed_days == [], "what a list tells is recorded before it counts as fetched"
        return Recorded(payout())

    async def ticks(self) -> None:
        all_of_it: Any = self
        await ReturnsWatch(self, self, all_of_it, all_of_it, ObservationMaker(lambda: NOW, uuid4), lambda: PLACE).tick()


async def test_what_a_list_tells_is_recorded_with_its_amount_and_then_it_is_done() -> None:
    world = World(ReturnsListed((ReturnedPayout("ours", 1000, BACK), ReturnedPayout("nobodys", 5, BACK))))
    await world.ticks()
    ((channel_code, account, command),) = world.asked
    assert (channel_code, account, command.day) == ("up", "up-1", DAY)
    assert isinstance(command, AskReturnedPayouts)
    (heard,) = world.recorded
    assert (heard.source, heard.outcome, heard.intent.object_id) == (
        Source.POLL, Returned(ReturnReason.BANK_REJECTED, "2", "拒绝", 1000), UUID(int=7),
    )  # fmt: skip
    assert (world.strays, world.listed_days) == (["nobodys"], [DAY])


@pytest.mark.parametrize(
    "said",
    [
        Unknown("timeout"),
        NotSent("no place"),
        UnusableAccountError("up-1"),
        NoSuchCommandError("up-1", "mock", AskReturnedPayouts),
    ],
    ids=repr,
)
async def test_a_list_that_was_not_told_is_asked_for_again_and_given_up_after_two_weeks(said: Any) -> None:
    world = World(said)
    await world.ticks()
    assert world.listed_days == []
    old = World(said, NOW.date() - timedelta(days=15))
    await old.ticks()
    assert old.listed_days == [old.day]


class Held:
    """Payouts whose hold is over."""

    def __init__(self, *ids: UUID) -> None:
        self.ids = list(ids)

    async def merchants_with_held(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        return list(merchants)

    async def claim_held(self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int) -> list[UUID]:
        return self.ids


@pytest.mark.parametrize("trouble", [OverloadedError(1), PayoutRefusedError("channel_off"), ConnectionError("away")])
async def test_of_payouts_whose_hold_is_over_one_that_must_wait_holds_up_no_other(trouble: Exception) -> None:
    first, second = UUID(int=1), UUID(int=2)
    looked: list[tuple[UUID, UUID]] = []

    async def look(merchant_id: UUID, payout_id: UUID) -> None:
        if payout_id == first:
            raise trouble
        looked.append((merchant_id, payout_id))

    def comes_back(error: Exception) -> bool:
        return isinstance(error, ConnectionError)

    await HeldPayoutWatch(Held(first, second), look, lambda: PLACE, lambda: NOW, comes_back).tick()
    assert looked == [(MERCHANT_ID, second)]
