"""One process with a line, its PSP and its clock, for `benchmarks.waiting`: the real books, flows, places and line."""

import asyncio
import base64
import os
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from gateway.domain.cards import CardElements
from gateway.domain.carrying import carries_all
from gateway.domain.catalogue import Account, AuthenticationMode, Catalogue, Channel, Merchant, RouteRule
from gateway.domain.orders import Order
from gateway.domain.outcomes import Outcome, Succeeded
from gateway.domain.scenes import Kind, Scene
from gateway.domain.terms import Product, Terms
from gateway.flows.follow_up import FollowUp
from gateway.flows.observations import ObservationMaker
from gateway.flows.pay import PayFlow
from gateway.flows.route import carries_now
from gateway.flows.submit import Submission
from gateway.ports import AskPayment, Commands, Declaration, OverloadedError, Pay
from gateway.run.calls import ProviderCalls
from gateway.run.lines import ProcessLines
from gateway.run.rooms import ProcessRooms
from gateway.run.running_tasks import RunningTasks
from gateway.storage.keys import Keys
from gateway.storage.server.database import Database
from gateway.storage.writing.authenticating import AuthenticatingStore
from gateway.storage.writing.books import Books
from gateway.storage.writing.claims import KnownChannels
from gateway.storage.writing.due import DueStore
from gateway.storage.writing.line import LineStore
from gateway.storage.writing.opening import OpeningStore
from gateway.storage.writing.recording import RecordingStore
from gateway.storage.writing.refunding import RefundingStore
from gateway.storage.writing.users import BusyUsers
from gateway.workers.line import Line
from gateway.workers.schedule import TICK_S
from router.fees import FixedFee

__all__ = ["BEGINNING", "BESIDE", "LINE", "PER_SECOND", "SEND_BEFORE", "Charges", "World"]

PER_SECOND: Final = 20
BEGINNING: Final = datetime(2026, 3, 5, 4, tzinfo=UTC)
SEND_BEFORE: Final = BEGINNING + timedelta(hours=2)
ZONE: Final = ZoneInfo("Asia/Shanghai")
MERCHANT: Final = UUID(int=0xA)
HANDED_IN_AT_A_TIME: Final = 64
TERMS: Final = Terms(poll_gaps_s=(60.0,), not_found=None, answer_timeout_s=30.0)
LINE, BESIDE = "line", "beside"
"""The channel with the line, which charges go to as well, and another one of the same process."""
BANK_OF: Final = {LINE: "ICBC", BESIDE: "ABC"}


@dataclass(slots=True)
class Charges:
    """What became of the charges of one channel."""

    came: int = 0
    refused: int = 0
    """For want of a place."""
    ms: list[float] = field(default_factory=list)
    """What those took that came while the clock went as clocks do."""


class World:
    """One process, its PSP and its clock. The clock stands still, but for `pass_s` and while `lives`."""

    callbacks = None
    declaration = Declaration("mock", frozenset(Scene), terms=dict.fromkeys(Product, TERMS))

    def __init__(self, url: str, per_second: float, psp_s: float = 0.0, seed: int = 1) -> None:
        """`url`: a database of its own, with the tables; `per_second`: charges that come to each channel.

        `psp_s`: how long the PSP takes, while the clock goes as clocks do.
        """
        self.called: list[tuple[float, str]] = []
        """When each order was sent to the channel with the line, and which."""
        self.charges = {channel: Charges() for channel in BANK_OF}
        self.database = Database(url, 8)
        self._passed_s, self._goes_since = 0.0, 0.0
        self._goes, self._psp_s = False, psp_s
        self._per_second, self._dice, self._numbers = per_second, random.Random(seed), count(1)
        ring, order_key = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
        keys = Keys.parse(f"1:{ring}", None, order_key)
        catalogue = _catalogue()
        rooms = ProcessRooms(
            10_000, lambda *_: None, calls_per_second=self._calls_per_second, clock=lambda: self.passed_s
        )
        opening = OpeningStore(
            self.database, keys, lambda: catalogue, _terms, ZONE, None, self.now, rooms, lambda _: ()
        )
        recording = RecordingStore(self.database, keys, lambda: catalogue, _terms, ZONE, None)
        refunding = RefundingStore(self.database, keys, _terms, ZONE, self.now, rooms)
        busy = BusyUsers(self.database)
        authenticating = AuthenticatingStore(
            self.database, keys, lambda: catalogue, _terms, ZONE, None, self.now, rooms, lambda _: (), busy, carries_all
        )
        self._books = Books(opening, recording, refunding, 10_000, authenticating.flush)
        due = DueStore(self.database, keys, KnownChannels(lambda _: ()))
        submission = Submission(self, ProviderCalls(self, rooms), self._books, ObservationMaker(self.now, uuid7))
        follow_up = FollowUp(submission, due)
        self._tasks = RunningTasks()
        self._flow = PayFlow(self._books, submission, self._tasks, self.now, uuid7, 30.0, rooms)
        self._line = Line(
            LineStore(self.database),
            ProcessLines(rooms, lambda: self.passed_s),
            follow_up.send_from_line,
            follow_up.end_wait,
            lambda: [MERCHANT],
            lambda *_: list(BANK_OF),
            lambda payment, now: carries_now(catalogue, payment, now),
            self.now,
        )

    # Its clock

    @property
    def passed_s(self) -> float:
        """What has passed so far, by the clock that nobody can set."""
        return self._passed_s + (time.perf_counter() - self._goes_since if self._goes else 0.0)

    def now(self) -> datetime:
        """The time of day."""
        return BEGINNING + timedelta(seconds=self.passed_s)

    async def pass_s(self, seconds: float, withholds: int = 0) -> None:
        """Let so much pass at once: the line ticks, charges come, and so many withholds are handed in."""
        work: list[Awaitable[object]] = [self._line.tick(), self._hand_in(withholds, SEND_BEFORE)]
        for channel in BANK_OF:
            came = sum(self._dice.random() < self._per_second * seconds / 100 for _ in range(100))
            work += [self._charge(channel, measured=False) for _ in range(came)]
        await asyncio.gather(*work)
        await self._line.is_quiet()
        self._passed_s += seconds

    async def lives(self, seconds: float, withholds_per_second: float = 0.0, *, measured: bool = True) -> None:
        """Let the clock go as clocks do for so long: the line ticks as in a gateway, and what charges take is kept.

        `withholds_per_second`: how many come meanwhile, to the channel with the line.
        """
        self._goes, self._goes_since = True, time.perf_counter()
        until = self._goes_since + seconds
        coming = [self._come(until, self._per_second, channel, measured=measured) for channel in BANK_OF]
        await asyncio.gather(self._tick(until), self._withholds(until, withholds_per_second), *coming)
        await self._line.is_quiet()
        self._passed_s, self._goes = self.passed_s, False

    async def _tick(self, until: float) -> None:
        while time.perf_counter() < until:
            await self._line.tick()
            await asyncio.sleep(TICK_S)

    async def _withholds(self, until: float, per_second: float) -> None:
        if per_second:
            async with asyncio.TaskGroup() as group:
                while (pause_s := self._dice.expovariate(per_second)) < until - time.perf_counter():
                    await asyncio.sleep(pause_s)
                    group.create_task(self._hand_in(1, None))

    async def _come(self, until: float, per_second: float, channel: str, *, measured: bool) -> None:
        async with asyncio.TaskGroup() as group:
            while (pause_s := self._dice.expovariate(per_second)) < until - time.perf_counter():
                await asyncio.sleep(pause_s)
                group.create_task(self._charge(channel, measured=measured))

    # What comes

    async def _hand_in(self, many: int, send_before: datetime | None) -> None:
        for begin in range(0, many, HANDED_IN_AT_A_TIME):
            numbers = [next(self._numbers) for _ in range(min(many - begin, HANDED_IN_AT_A_TIME))]
            orders = [_order(number, Kind.WITHHOLD, Scene.WITHHOLD, LINE, send_before) for number in numbers]
            await asyncio.gather(*map(self._flow.open, orders))

    async def _charge(self, channel: str, *, measured: bool) -> None:
        charges = self.charges[channel]
        charges.came += 1
        began = time.perf_counter()
        try:
            await self._flow.open(_order(next(self._numbers), Kind.CHARGE, Scene.QUICK_CHARGE, channel, None))
        except OverloadedError:
            charges.refused += 1
        else:
            if measured:
                charges.ms.append(1e3 * (time.perf_counter() - began))

    # What the books say

    async def withholds(self) -> dict[str, int]:
        """How many withholds there are of each status."""
        statement = "SELECT status, count(*) FROM payments WHERE kind = 'withhold' GROUP BY status"
        async with self.database.connection() as connection:
            return {row[0]: row[1] for row in await connection.fetch(statement)}

    async def stands(self) -> bool:
        """Whether somebody is in line, or anything in hand."""
        statement = "SELECT EXISTS (SELECT 1 FROM payments WHERE merchant_id = $1 AND status = 'processing')"
        async with self.database.connection() as connection:
            return bool(await connection.fetchval(statement, MERCHANT))

    async def close(self) -> None:
        """End it."""
        await self._line.close()
        await self._tasks.finish(5.0)
        await self._books.drain()
        await self.database.close()

    # What the flows need of a PSP

    def _calls_per_second(self, _: UUID, channel: str) -> int | None:
        return PER_SECOND if channel == LINE else None

    @property
    def commands(self) -> Commands:
        return {Pay: self._pay, AskPayment: self._pay}

    def provider(self, merchant_id: UUID, account: str) -> "World":  # noqa: ARG002 -- every account is this PSP's
        return self

    def notify_url(self, _: UUID, account: str) -> str:
        return f"https://gateway.example/callbacks/acme.{account}"

    async def _pay(self, command: Any) -> Outcome:
        if command.bank == BANK_OF[LINE]:
            self.called.append((self.passed_s, command.description))
        if self._goes:
            await asyncio.sleep(self._psp_s)
        return Succeeded(command.amount)


def _order(number: int, kind: Kind, scene: Scene, channel: str, send_before: datetime | None) -> Order:
    name = f"{'w' if kind is Kind.WITHHOLD else 'c'}{number}"
    return Order(
        merchant_id=MERCHANT,
        app="shop",
        merchant_order_no=name,
        kind=kind,
        scene=scene,
        user_id=f"u{number}",
        amount=1000,
        currency="CNY",
        bank=BANK_OF[channel],
        bank_by_bin=None,
        # A well-formed number of nobody.
        card=CardElements(f"622202{number:013d}", "张三", "11010519491231002X", "13800138000"),
        card_id=None,
        customer_present=kind is Kind.CHARGE,
        description=None,
        metadata={},
        return_url=None,
        expires_in_s=None,
        body=name.encode(),
        send_before=send_before,
    )


def _terms(merchant_id: UUID, account: str, product: Product) -> Terms:  # noqa: ARG001 -- all have the same
    return TERMS


def _catalogue() -> Catalogue:
    channels = [
        Channel(MERCHANT, code, f"{code}-1", code, on=True, authentication={"*": AuthenticationMode.NONE})
        for code in BANK_OF
    ]
    rules = [
        RouteRule(MERCHANT, code, scene, bank, enabled=True, fee=FixedFee(10))
        for code, bank in BANK_OF.items()
        for scene in (Scene.WITHHOLD, Scene.QUICK_CHARGE)
    ]
    accounts = tuple(Account(MERCHANT, channel.account, "mock", {}) for channel in channels)
    merchants = (Merchant(MERCHANT, "acme", "Acme"),)
    return Catalogue(1, merchants, accounts=accounts, channels=tuple(channels), rules=rules)
