"""A gateway that dies at a chosen seam, and one that comes after it.

A seam is a place between two steps: before and after each statement, each BEGIN and COMMIT, each call of the PSP. What
dies there does nothing any more: its transaction is rolled back by the server, its connections are gone.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.carrying import carries_all
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.orders import Order, RefundOrder
from gateway.domain.outcomes import Authenticated, NotFound, Processing, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.flows.follow_up import FollowUp
from gateway.flows.observations import ObservationMaker
from gateway.flows.pay import PayFlow
from gateway.flows.refund import RefundFlow
from gateway.flows.submit import Submission
from gateway.ports import (
    AskAuthentication,
    AskPayment,
    AskRefund,
    Authenticate,
    Command,
    Commands,
    Declaration,
    Pay,
)
from gateway.ports import Refund as RefundCommand
from gateway.run.rooms import ProcessRooms
from gateway.run.running_tasks import RunningTasks
from gateway.storage.keys import Keys
from gateway.storage.server.database import Database
from gateway.storage.writing.authenticating import AuthenticatingStore
from gateway.storage.writing.books import Books
from gateway.storage.writing.claims import KnownChannels
from gateway.storage.writing.due import DueStore
from gateway.storage.writing.opening import OpeningStore
from gateway.storage.writing.recording import RecordingStore
from gateway.storage.writing.refunding import RefundingStore
from gateway.storage.writing.users import BusyUsers
from tests.databases import database_on
from tests.storage.gateway_process import TIMEZONE
from tests.unit.domain.samples import MERCHANT_ID, NOW, catalogue, channel, rule, terms_of

__all__ = ["Clock", "Gateway", "Psp", "Seams", "new_name"]

PLACE = catalogue((channel("up", AuthenticationMode.SILENT, authentication_fee=100),), (rule("up"),))
STEP = timedelta(minutes=2)
"""More than any lease or plan of the samples: at each step all that is open is due."""
STEPS = 12
CLAIMED_AT_ONCE = 20


@dataclass
class Seams:
    """The places between two steps, in the order they are passed. At the `dies_at`th the process is gone."""

    dies_at: int | None = None
    passed: list[str] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def at(self, name: str) -> None:
        """Pass a seam, or die there: nothing of a dead process goes on."""
        if not self.gone.is_set():
            self.passed.append(name)
            if len(self.passed) != self.dies_at:
                return
            self.gone.set()
        await asyncio.Event().wait()


@dataclass
class Psp:
    """A PSP that opens cards at once and finishes orders when it is asked; it counts what it is sent."""

    sent: Counter[str] = field(default_factory=Counter)
    """Submissions by number."""
    bound: set[str] = field(default_factory=set)
    orders: dict[str, int] = field(default_factory=dict)
    """Fen by number."""

    def hear(self, command: Command[Any]) -> Any:
        """Do what is asked, and say what this PSP says to it."""
        number = command.number
        match command:
            case Authenticate():
                self.sent[number] += 1
                self.bound.add(number)
                return Authenticated(f"token-{number}")
            case AskAuthentication():
                return Authenticated(f"token-{number}") if number in self.bound else NotFound("34")
            case Pay() | RefundCommand():
                self.sent[number] += 1
                self.orders[number] = command.amount
                return Processing("00")
            case AskPayment() | AskRefund():
                known = self.orders.get(number)
                return NotFound("34") if known is None else Succeeded(known, f"theirs-{number}")
        raise AssertionError(type(command).__name__)


@dataclass
class Clock:
    """Time that passes only when somebody says so, but for a moment at each look."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


class _SeamConnection:
    def __init__(self, connection: Any, seams: Seams) -> None:
        self._connection, self._seams = connection, seams

    async def fetch(self, sql: str, *values: Any) -> Any:
        return await self._step(sql, lambda: self._connection.fetch(sql, *values))

    async def execute(self, sql: str, *values: Any) -> Any:
        return await self._step(sql, lambda: self._connection.execute(sql, *values))

    async def _step(self, sql: str, run: Callable[[], Awaitable[Any]]) -> Any:
        name = " ".join(sql.split()[:3])
        await self._seams.at(f"before {name}")
        told = await run()
        await self._seams.at(f"after {name}")
        return told


class SeamDatabase(Database):
    """A database with a seam at each step."""

    def __init__(self, real: Database, seams: Seams) -> None:
        self._real, self._seams = real, seams

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self._real.connection() as connection:
            yield _SeamConnection(connection, self._seams)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        await self._seams.at("before BEGIN")
        async with self._real.transaction() as connection:
            yield _SeamConnection(connection, self._seams)
            await self._seams.at("before COMMIT")
        await self._seams.at("after COMMIT")


async def _by_calls(_: Any) -> Any:
    raise AssertionError("providers are called in one place, which is the PSP of this test")


class OneProvider:
    """The provider of every account: it can pay and give back, on the terms of the samples."""

    declaration = Declaration("mock", frozenset(Scene), {each: terms_of(MERCHANT_ID, "up-1", each) for each in Product})
    commands: Commands = dict.fromkeys(
        (Authenticate, AskAuthentication, Pay, AskPayment, RefundCommand, AskRefund), _by_calls
    )
    callbacks = None

    def provider(self, merchant_id: UUID, account: str) -> "OneProvider":
        return self

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        return "http://gateway/callbacks"


class Gateway:
    """One gateway with its seams, on a database and a PSP that outlive it."""

    def __init__(self, engine: AsyncEngine, keys: Keys, psp: Psp, clock: Clock, seams: Seams) -> None:
        self.seams, self._psp, self._clock = seams, psp, clock
        database = SeamDatabase(database_on(engine), seams)
        self._due = DueStore(database, keys, KnownChannels(PLACE.channel_codes))
        rooms = ProcessRooms(100, lambda merchant_id, channel: None)
        books = Books(
            OpeningStore(database, keys, lambda: PLACE, terms_of, TIMEZONE, None, clock, rooms, lambda merchant_id: ()),
            RecordingStore(database, keys, lambda: PLACE, terms_of, TIMEZONE, None),
            RefundingStore(database, keys, terms_of, TIMEZONE, clock, rooms),
            100,
            AuthenticatingStore(
                database,
                keys,
                lambda: PLACE,
                terms_of,
                TIMEZONE,
                None,
                clock,
                rooms,
                lambda merchant_id: (),
                BusyUsers(database),
                carries_all,
            ).flush,
        )
        submission = Submission(OneProvider(), self._call, books, ObservationMaker(clock, uuid7))
        tasks = RunningTasks()
        self._payments = PayFlow(books, submission, tasks, clock, uuid7, 60.0, rooms)
        self._refunds = RefundFlow(books, self._due, OneProvider(), submission, tasks, clock, uuid7, 60.0, rooms)
        self._follow_up = FollowUp(submission, self._due)

    async def _call(
        self,
        merchant_id: UUID,
        channel: str,
        account: str,
        command: Command[Any],
        within_s: float = 5.0,
        holder: UUID | None = None,
    ) -> Any:
        name = type(command).__name__
        await self.seams.at(f"before {name} is sent")
        said = self._psp.hear(command)
        await self.seams.at(f"before the answer to {name} is heard")
        return said

    async def pay(self, order: Order) -> Payment | None:
        """The payment of an order as far as this gateway brings it; None: it died."""
        opened = await self._unless_it_dies(self._payments.open(order))
        return opened.payment if opened else None

    async def refund(self, order: RefundOrder) -> Refund | None:
        """The refund of an order as far as this gateway brings it; None: it died."""
        opened = await self._unless_it_dies(self._refunds.open(order))
        return opened.refund if opened else None

    async def follow_up(self) -> None:
        """Do all that is due, step by step in time, until nothing is."""
        for _ in range(STEPS):
            self._clock.now += STEP
            due = await self._due.claim(MERCHANT_ID, self._clock(), CLAIMED_AT_ONCE, self._clock() + STEP / 2)
            if not due:  # after a step all that is open is due
                return
            await asyncio.gather(*(self._follow_up(each) for each in due))

    async def _unless_it_dies(self, work: Coroutine[Any, Any, Any]) -> Any:
        others = asyncio.all_tasks()
        task, gone = asyncio.create_task(work), asyncio.create_task(self.seams.gone.wait())
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not self.seams.gone.is_set():
            gone.cancel()
            return task.result()
        # Everything of a process ends with it; what it had begun in the database is rolled back.
        its_own = asyncio.all_tasks() - others
        for each in its_own:
            each.cancel()
        await asyncio.gather(*its_own, return_exceptions=True)
        return None


def new_name() -> str:
    """A name that nobody had before."""
    return uuid4().hex[:12]
