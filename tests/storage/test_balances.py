"""What accounts have, in the books: asked by one process, kept whatever comes later, told once.

On a real PostgreSQL, with the flow and the worker over it and a PSP that says what the test wants. Not tested here: the
wire (tests/adapters), the API and real sockets (tests/e2e).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Account, Catalogue, Channel, Merchant
from gateway.domain.outcomes import BalanceOutcome, BalanceStated, NotSent, Unknown
from gateway.flows.balances import LEASE, SOONER, AskingBalances, asked_accounts
from gateway.ports import AskBalance, UnusableAccountError
from gateway.storage.writing.balances import BalanceStore
from gateway.workers import balances as worker
from gateway.workers.balances import BalanceWatch
from tests.databases import database_on
from tests.unit.domain.samples import MERCHANT_ID, NOW

OTHER = UUID(int=77)
EVERY = timedelta(minutes=10)
FINE = BalanceStated(1_000, 50, channel_code="0000")
CODES = [0]
"""Metrics are the process's: each test has a merchant of its own there."""
BAD = Unknown("a balance that is no amount", "0000")


def a_catalogue(
    *accounts: str, below: int | None = None, off: tuple[str, ...] = (), merchants: tuple[UUID, ...] = (MERCHANT_ID,)
) -> Catalogue:
    """Accounts with a channel each; `off`: those whose channel is switched off."""
    pairs = [(merchant, account) for merchant in merchants for account in accounts]
    return Catalogue(
        1,
        merchants=tuple(Merchant(merchant, f"m{merchant.int}-{CODES[-1]}", "M") for merchant in merchants),
        accounts=tuple(Account(merchant, a, f"psp-{a[0]}", {}, balance_alert_below=below) for merchant, a in pairs),
        channels=tuple(Channel(merchant, f"c-{a}", a, a, a not in off, {}) for merchant, a in pairs),
    )


@dataclass
class World:
    """A process: its store, its worker, and a PSP that says what `says` says. Times pass as the test wants."""

    store: BalanceStore
    catalogue: Catalogue
    says: Callable[[str], BalanceOutcome | Exception] = lambda account: FINE
    now: datetime = NOW
    asked: list[str] = field(default_factory=list)
    held: "asyncio.Event | None" = None
    logged: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asking = AskingBalances(
            self.store, cast("Any", self._call), lambda: self.catalogue, lambda: self.now, uuid4, lambda: 1.0, EVERY
        )
        self.watch = BalanceWatch(
            self.store,
            self.asking.ask,
            lambda: self.catalogue,
            lambda merchant, account: not account.startswith("mute"),
            lambda: self.now,
            lambda: self.now.timestamp(),
            EVERY,
        )

    async def _call(self, merchant_id: UUID, channel: str, account: str, command: AskBalance) -> BalanceOutcome:
        assert channel == f"c-{account}"
        assert len(command.number) == 32
        self.asked.append(account)
        if self.held is not None:
            await self.held.wait()
        said = self.says(account)
        if isinstance(said, Exception):
            raise said
        return said

    async def ticks(self, after: timedelta = timedelta(seconds=20)) -> None:
        """So much later a tick, and all that it began."""
        self.now += after
        await self.watch.tick()
        await asyncio.gather(*self.watch._tasks)

    async def one(self, account: str = "a") -> Any:
        (found,) = [each for each in await self.store.balances(MERCHANT_ID) if each.account == account]
        return found


@pytest.fixture
async def world(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    CODES.append(CODES[-1] + 1)
    world = World(BalanceStore(database_on(engine)), a_catalogue("a"))

    class Log:
        def warning(self, event: str, **_: object) -> None:
            world.logged.append(("warning", event))

        def info(self, event: str, **_: object) -> None:
            world.logged.append(("info", event))

    monkeypatch.setattr(worker, "log", Log())
    yield world
    await world.watch.close()


@pytest.fixture
async def other(world: World, other_engine: AsyncEngine) -> AsyncIterator[World]:
    """A second process on the same database."""
    second = World(BalanceStore(database_on(other_engine)), world.catalogue, logged=world.logged)
    yield second
    await second.watch.close()


def metric(name: str, **labels: str) -> float | None:
    merchant = f"m{MERCHANT_ID.int}-{CODES[-1]}"
    return REGISTRY.get_sample_value(f"sluice_account_balance_{name}", {"merchant": merchant, **labels})


async def test_a_new_account_is_asked_at_once_and_then_every_ten_minutes(world: World) -> None:
    await world.ticks()
    assert (await world.one()).stated == FINE
    await world.ticks(EVERY - timedelta(seconds=1))
    assert world.asked == ["a"]
    await world.ticks(timedelta(seconds=2))
    assert world.asked == ["a", "a"]


async def test_a_bad_answer_keeps_the_last_good_statement_and_its_age_grows(world: World) -> None:
    await world.ticks()
    first = await world.one()
    world.says = lambda account: BAD
    await world.ticks(EVERY)
    later = await world.one()
    assert (later.stated.for_payouts, later.stated_at) == (1_000, first.stated_at)
    assert later.age(world.now) == EVERY
    assert (later.failed.failed, later.failed.reason, later.failed.channel_code) == ("unknown", BAD.reason, "0000")
    assert metric("fen", account="a", of="payouts") == 1_000
    assert metric("age_seconds", account="a") == EVERY.total_seconds()
    # After a failure the next question comes sooner, and a statement ends the failure.
    world.says = lambda account: BalanceStated(total=7)
    await world.ticks(SOONER)
    assert (await world.one()).failed is None
    assert (await world.one()).stated == BalanceStated(total=7)
    assert math.isnan(metric("fen", account="a", of="payouts") or 0.0), "what is not told any more is no number"


@pytest.mark.parametrize(
    "said", [BAD, NotSent("refused"), UnusableAccountError("a"), Unknown("odd \x00\ud800", "\x00" * 99)]
)
async def test_an_account_that_never_told_has_no_amount_and_never_zero(
    world: World, said: BalanceOutcome | Exception
) -> None:
    world.says = lambda account: said
    world.catalogue = a_catalogue("a", below=10**9)
    await world.ticks()
    found = await world.one()
    assert (found.stated, found.stated_at, found.age(world.now)) == (None, None, None)
    assert found.failed is not None
    assert not found.is_low(10**9)
    assert math.isnan(metric("fen", account="a", of="total") or math.nan)
    assert world.logged == []


async def test_it_is_told_once_when_it_falls_below_its_threshold_and_once_when_it_is_not_below_any_more(
    world: World,
) -> None:
    world.catalogue = a_catalogue("a", below=1_000)
    await world.ticks()
    assert (world.logged, metric("low", account="a")) == ([], 0)
    world.says = lambda account: BalanceStated(999)
    for _ in range(3):
        await world.ticks(EVERY)
    assert [level for level, _ in world.logged] == ["warning"]
    assert (await world.one()).told_low
    assert metric("low", account="a") == 1
    world.says = lambda account: BAD
    await world.ticks(EVERY)
    assert metric("low", account="a") == 1, "by its last statement"
    world.says = lambda account: BalanceStated(1_000)
    for _ in range(3):
        await world.ticks(EVERY)
    assert [level for level, _ in world.logged] == ["warning", "info"]
    assert metric("low", account="a") == 0


async def test_a_threshold_counts_as_soon_as_it_is_changed_without_another_question(world: World) -> None:
    await world.ticks()
    world.catalogue = a_catalogue("a", below=1_001)
    await world.ticks()
    assert [level for level, _ in world.logged] == ["warning"]
    world.catalogue = a_catalogue("a")
    await world.ticks()
    assert [level for level, _ in world.logged] == ["warning", "info"]
    assert world.asked == ["a"]
    assert math.isnan(metric("low", account="a") or 0.0)


async def test_one_that_is_asked_in_vain_for_long_is_told_once_and_once_when_it_is_known_again(world: World) -> None:
    await world.ticks()
    world.says = lambda account: BAD
    for _ in range(12):
        await world.ticks(EVERY)
    assert world.logged == [("warning", "what an account has is not known any more: its payment company does not say")]
    assert (await world.one()).stated == replace(FINE, channel_code=None)
    world.says = lambda account: FINE
    await world.ticks(EVERY)
    assert [level for level, _ in world.logged] == ["warning", "info"]


async def test_a_pause_of_our_own_is_nobodys_silence(world: World) -> None:
    await world.ticks()
    world.now += timedelta(days=3)
    await world.watch.look()
    assert world.logged == []


async def test_two_processes_ask_once_and_tell_once(world: World, other: World) -> None:
    accounts = tuple(f"a{n}" for n in range(6))
    for each in (world, other):
        each.catalogue = a_catalogue(*accounts, below=5_000)
        each.held = None
    for _ in range(3):
        await asyncio.gather(world.ticks(EVERY), other.ticks(EVERY))
    assert sorted(world.asked + other.asked) == sorted(accounts * 3)
    assert world.logged == [("warning", "an account has less than its balance_alert_below: pay in")] * 6


async def test_a_psp_that_hangs_stops_only_itself_and_is_asked_by_nobody_else_meanwhile(
    world: World, other: World
) -> None:
    world.held, hangs = asyncio.Event(), asyncio.Event()
    world.catalogue = other.catalogue = a_catalogue("a", "b")

    async def call(merchant_id: UUID, channel: str, account: str, command: AskBalance) -> BalanceOutcome:
        if account == "a":
            await hangs.wait()
        return FINE

    world.asking._calls = cast("Any", call)
    world.now += timedelta(seconds=20)
    await asyncio.wait_for(world.watch.tick(), 10)
    if len(world.watch._tasks) > 1:  # the one that hangs, and the other one
        await asyncio.wait(world.watch._tasks, return_when=asyncio.FIRST_COMPLETED)
    assert [(each.account, each.stated is not None) for each in await world.store.balances(MERCHANT_ID)] == [
        ("a", False),
        ("b", True),
    ]
    await other.ticks(timedelta(seconds=25))
    assert other.asked == [], "it is in the first one's hand"
    # The first one died over it: its lease runs out.
    await other.ticks(LEASE)
    assert other.asked == ["a"]
    hangs.set()
    await asyncio.gather(*world.watch._tasks)
    assert (await other.one()).asked_at > NOW + timedelta(seconds=30), "a late answer to an older question is no news"


async def test_a_psp_whose_accounts_all_hang_leaves_the_others_their_places(world: World) -> None:
    world.catalogue = a_catalogue(*(f"h{n:02}" for n in range(60)), "ok")
    hangs = asyncio.Event()

    async def call(merchant_id: UUID, channel: str, account: str, command: AskBalance) -> BalanceOutcome:
        world.asked.append(account)
        if account.startswith("h"):
            await hangs.wait()
        return FINE

    world.asking._calls = cast("Any", call)
    for _ in range(3):
        world.now += timedelta(seconds=2)
        await world.watch.tick()
    assert "ok" in world.asked
    assert len([each for each in world.asked if each.startswith("h")]) == worker.OF_A_PROVIDER
    hangs.set()
    await asyncio.gather(*world.watch._tasks)
    for _ in range(9):
        await world.ticks(timedelta(seconds=2))
    assert len(set(world.asked)) == 61, "and in the end everybody's turn comes"


async def test_a_question_without_an_answer_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.flows.balances.ANSWER_WITHIN_S", 0.01)
    world.held = asyncio.Event()
    await world.ticks()
    assert "no answer within" in (await world.one()).failed.reason


async def test_accounts_that_left_that_cannot_tell_or_that_no_channel_uses_are_forgotten(world: World) -> None:
    world.catalogue = a_catalogue("a", "b", "mute", merchants=(MERCHANT_ID, OTHER))
    await world.ticks()
    assert sorted(world.asked) == ["a", "a", "b", "b"]
    assert metric("fen", account="b", of="payouts") == 1_000
    world.catalogue = a_catalogue("a", "b", off=("b",))
    await world.ticks()
    assert [each.account for each in await world.store.balances(MERCHANT_ID)] == ["a"]
    assert math.isnan(metric("fen", account="b", of="payouts") or 0.0)
    assert math.isnan(metric("age_seconds", account="b") or 0.0)
    world.catalogue = a_catalogue("a", "b")
    await world.ticks()
    assert world.asked[-1] == "b", "back, and asked at once"


async def test_what_left_while_no_process_ran_is_forgotten_at_the_start(world: World, other: World) -> None:
    world.catalogue = a_catalogue("a", "gone")
    await world.ticks()
    other.now = world.now
    await other.ticks()
    assert [each.account for each in await other.store.balances(MERCHANT_ID)] == ["a"]


async def test_people_may_have_it_asked_but_not_twice_within_seconds_nor_while_it_is_asked(world: World) -> None:
    await world.asking.ask_now(MERCHANT_ID, "a")
    await world.asking.ask_now(MERCHANT_ID, "a")
    assert world.asked == ["a"]
    world.now += timedelta(seconds=6)
    await asyncio.gather(*(world.asking.ask_now(MERCHANT_ID, "a") for _ in range(8)))
    assert world.asked == ["a", "a"]
    await world.ticks()
    assert world.asked == ["a", "a"], "it was asked just now"


async def test_that_the_database_is_away_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ConnectionError

    await world.ticks()
    monkeypatch.setattr(BalanceStore, "heard", away)
    await world.ticks(EVERY)
    monkeypatch.undo()
    await world.ticks(LEASE)
    assert world.asked == ["a"] * 3
    assert (await world.one()).stated == FINE


def test_only_accounts_with_a_channel_that_is_on_are_asked() -> None:
    found = asked_accounts(a_catalogue("a", "b", off=("b",)), lambda merchant, account: True)
    assert found == {MERCHANT_ID: {"a"}}
    assert asked_accounts(a_catalogue("a"), lambda merchant, account: False) == {MERCHANT_ID: frozenset()}
