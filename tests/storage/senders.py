"""Gateway processes on one real database before one PSP that counts what reaches it: who sends what, and how often.

Everything here that knows how an intent is built, kept and sent is private; tests speak of order numbers, of requests
that reached the PSP, and of words like `PAID`.

    own_place    a database for a module's tests; each of their towns begins by emptying it
    Town         one database, one PSP and one clock; `gateway()` starts a process, `books()` counts rows
    Gateway      one process: takes orders, loses answers to its COMMITs, is held up, dies, follows up, serves the line
    Psp          says what it is told to say, remembers what it heard, can hold a request in its hand
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg

from gateway.domain.authentications import Authentication
from gateway.domain.carrying import Carries, CarriesOf, carries_all
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.clocks import PROOF_MARGIN_S
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.domain.orders import Order
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    CodeSent,
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment
from gateway.domain.scenes import Scene
from gateway.domain.terms import ANSWER_MARGIN_S, Product
from gateway.flows import submit
from gateway.flows.follow_up import Due, FollowUp
from gateway.flows.observations import ObservationMaker, key_of
from gateway.flows.pay import PayFlow
from gateway.flows.payer import PayerFlow
from gateway.flows.route import carries_now
from gateway.flows.sending import SEND_WITHIN_S
from gateway.flows.submit import Submission
from gateway.ports import (
    AskAuthentication,
    AskPayment,
    Authenticate,
    Command,
    Commands,
    Declaration,
    IntentKey,
    Observation,
    OrderConflictError,
    OverloadedError,
    Pay,
    SendPaymentCode,
    SendSigningCode,
    Sign,
)
from gateway.run.calls import ProviderCalls
from gateway.run.lines import ProcessLines
from gateway.run.rooms import ProcessRooms
from gateway.run.running_tasks import RunningTasks
from gateway.storage.server.database import Connection, Database
from gateway.storage.writing.authenticating import AuthenticatingStore
from gateway.storage.writing.books import Books
from gateway.storage.writing.claims import KnownChannels
from gateway.storage.writing.due import DueStore
from gateway.storage.writing.line import LineStore
from gateway.storage.writing.opening import OpeningStore
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.recording import RecordingStore
from gateway.storage.writing.refunding import RefundingStore
from gateway.storage.writing.users import BusyUsers
from gateway.workers.line import Line
from tests.databases import Server, own_url
from tests.keys import new_keys
from tests.unit.domain.samples import (
    AUTHENTICATION_TERMS,
    LOST,
    MERCHANT_ID,
    NOW,
    TERMS,
    catalogue,
    channel,
    order,
    rule,
    terms_of,
)

__all__ = [
    "ASKED",
    "BIND_REFUSED",
    "BOUND",
    "DUE_AFTER_S",
    "FIRST",
    "LOOKS",
    "LOST_ANSWER",
    "NOT_FOUND",
    "NOT_SENT",
    "PAID",
    "PENDING",
    "PROVED_LOST_AFTER",
    "PROVED_LOST_AFTER_S",
    "REFUSED",
    "SEND_WITHIN_S",
    "SMS_NEEDED",
    "Answer",
    "Anything",
    "Claim",
    "CodeRequest",
    "Flush",
    "Gateway",
    "Hold",
    "OrderConflictError",
    "Outcome",
    "OverloadedError",
    "Place",
    "Psp",
    "Request",
    "Route",
    "Rows",
    "Town",
    "new",
    "own_place",
    "replay",
    "without_late_waits",
]

FIRST = "order-1"
"""The order number of whoever names none."""
AMOUNT = 1000
TIMEZONE = ZoneInfo("Asia/Shanghai")
POOL_SIZE = 4
A_READING = timedelta(microseconds=1)
"""What passes between two looks at the clock."""
WITHIN_S = 60.0
"""Longer than anything takes, on a busy machine too."""

DUE_AFTER_S = max(terms.answer_timeout_s for terms in (TERMS, AUTHENTICATION_TERMS)) + ANSWER_MARGIN_S + 1
"""After so long without a word, workers take up whatever was opened."""
ASKED = max(TERMS.poll_gaps_s) + 1
"""After so long without a final word, workers ask again."""
PROVED_LOST_AFTER, PROVED_LOST_AFTER_S = LOST.answers, LOST.over_s + PROOF_MARGIN_S
"""So many answers of "not found" over so long prove that a payment never came."""
LOOKS = AUTHENTICATION_TERMS.late_looks
"""So often workers look again at a binding that was given up."""

# What a PSP may say.
PAID: Outcome = Succeeded(AMOUNT)
PENDING: Outcome = Processing("05")
REFUSED: Outcome = Declined(FailureCode.CARD_FROZEN)
BOUND: AuthenticationOutcome = Authenticated("token-1")
BIND_REFUSED: AuthenticationOutcome = Declined(FailureCode.NAME_MISMATCH)
SMS_NEEDED: AuthenticationOutcome = SmsNeeded()
LOST_ANSWER = Unknown("timeout")
NOT_FOUND = NotFound("34")
NOT_SENT = NotSent("refused")

# Whatever a PSP may say of a payment or of a binding, or a bug in its adapter.
Anything = Outcome | AuthenticationOutcome | Exception
Meanwhile = Callable[[], Awaitable[object]]


class Route(StrEnum):
    """How an order goes; each has a bank of its own."""

    DIRECT = "ICBC"
    BINDS = "ABC"  # the card is bound silently first
    NOWHERE = "CMB"  # the router refuses


class Request(StrEnum):
    """What can reach a PSP."""

    BIND = "bind"
    ASK_ABOUT_BINDING = "ask about binding"
    PAY = "pay"
    ASK = "ask"


class CodeRequest(StrEnum):
    """What else can reach one whose payers type codes."""

    SMS_TO_SIGN = "SMS to sign"
    SIGN = "sign"
    SMS_TO_PAY = "SMS to pay"


class Flush(StrEnum):
    """Which of a process's transactions."""

    OPENING = "opening"
    RECORDING = "recording"


class Answer(NamedTuple):
    """What an order is answered: the payment's status, with why it failed, and whether it was there before."""

    says: str
    replayed: bool


def new(says: str) -> Answer:
    """The answer to an order that opened its payment."""
    return Answer(says, replayed=False)


def replay(says: str) -> Answer:
    """The answer to an order whose payment is in other hands."""
    return Answer(says, replayed=True)


class Rows(NamedTuple):
    """What stands in the tables."""

    payments: int
    to_bind: int
    """Intents to bind a card, whatever became of them."""
    to_pay: int
    """Intents to pay, whatever became of them."""
    observations: int
    events: int


@dataclass(frozen=True)
class Claim:
    """Something that a worker has claimed: a payment, or the binding that payments wait for."""

    order_no: str
    """Of a binding: that of the payment that started it."""
    binds: bool
    _due: Due


@dataclass(frozen=True)
class _Word:
    """Something that was heard, with its time and name."""

    observation: Observation


class Hold:
    """Something that waits until it is released: a request in a PSP's hand, an answer to a COMMIT."""

    def __init__(self) -> None:
        self._reached, self._released = asyncio.Event(), asyncio.Event()

    async def reached(self) -> None:
        """Return when it is there."""
        await asyncio.wait_for(self._reached.wait(), WITHIN_S)

    def release(self) -> None:
        self._released.set()

    async def keep(self) -> None:
        self._reached.set()
        await self._released.wait()


class Psp:
    """Says what it is told to say, the last of it for ever; remembers every request."""

    def __init__(self) -> None:
        self.heard: list[Request | CodeRequest] = []
        self.payments: Counter[str] = Counter()
        """How often each order was sent to be paid."""
        self.paid_with: list[str | None] = []
        """The agreement that each payment named."""
        self.numbers: dict[Request | CodeRequest, list[str]] = {request: [] for request in (*Request, *CodeRequest)}
        self.declaration = Declaration(
            "mock",
            frozenset({Scene.WITHHOLD}),
            terms={Product.PAYMENT: TERMS, Product.AUTHENTICATION: AUTHENTICATION_TERMS},
        )
        self._says: dict[Request | CodeRequest, list[Any]] = {
            Request.BIND: [BOUND],
            Request.ASK_ABOUT_BINDING: [NOT_FOUND],
            Request.PAY: [PAID],
            Request.ASK: [NOT_FOUND],
            CodeRequest.SMS_TO_SIGN: [CodeSent("given")],
            CodeRequest.SIGN: [BOUND],
            CodeRequest.SMS_TO_PAY: [CodeSent("given")],
        }
        self._meanwhile: dict[Request | CodeRequest, Meanwhile] = {}

    # --- what it is told ---

    def says(self, request: Request | CodeRequest, *answers: Any) -> None:
        """Answer requests of this kind with these in turn, then with the last of them."""
        self._says[request] = list(answers)

    def holds(self, request: Request | CodeRequest) -> Hold:
        """Keep requests of this kind in the hand until they are released."""
        hold = Hold()
        self._meanwhile[request] = hold.keep
        return hold

    def meanwhile(self, request: Request | CodeRequest, happens: Meanwhile) -> None:
        """Let something happen between each request of this kind and its answer."""
        self._meanwhile[request] = happens

    # --- the port ---

    callbacks = None

    @property
    def commands(self) -> Commands:
        return {
            Authenticate: partial(self._hear, Request.BIND),
            AskAuthentication: partial(self._hear, Request.ASK_ABOUT_BINDING),
            Pay: self._pay,
            AskPayment: partial(self._hear, Request.ASK),
            SendSigningCode: partial(self._hear, CodeRequest.SMS_TO_SIGN),
            Sign: partial(self._hear, CodeRequest.SIGN),
            SendPaymentCode: partial(self._hear, CodeRequest.SMS_TO_PAY),
        }

    async def _hear(self, request: Request | CodeRequest, command: Command[Any]) -> Any:
        return await self._answer(request, command.number)

    async def _pay(self, command: Pay) -> Any:
        self.payments[command.description] += 1
        self.paid_with.append(command.agreement_no)
        return await self._answer(Request.PAY, command.number)

    async def _answer(self, request: Request | CodeRequest, number: str) -> Any:
        self.heard.append(request)
        self.numbers[request].append(number)
        if happens := self._meanwhile.get(request):
            await happens()
        answers = self._says[request]
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(said, Exception):
            raise said
        return said

    # --- Providers: every account is this PSP's ---

    def provider(self, merchant_id: UUID, account: str) -> "Psp":
        return self

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        return f"https://gateway.example/callbacks/acme.{account}"


class Place:
    """A migrated database that many towns use, one after the other. Pools of processes that ended are used again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._all: list[Database] = []
        self._idle: list[Database] = []

    def take(self) -> Database:
        if not self._idle:
            self._idle.append(Database(self._url, POOL_SIZE))
            self._all += self._idle
        return self._idle.pop()

    def give_back(self, database: Database) -> None:
        self._idle.append(database)

    async def close(self) -> None:
        for database in self._all:
            await database.close()


@asynccontextmanager
async def own_place(postgres: Server, template: str) -> AsyncIterator[Place]:
    """A place of one's own on the tests' server."""
    async with own_url(postgres, template) as url:
        place = Place(url)
        yield place
        await place.close()


class Town:
    """One database, one PSP, one clock, and the processes that were started."""

    def __init__(self, place: Place) -> None:
        self.psp = Psp()
        self.keys = new_keys()
        self.catalogue = catalogue(
            (channel("up"), channel("tl", AuthenticationMode.SILENT)),
            (rule("up", bank=Route.DIRECT), rule("tl", bank=Route.BINDS)),
        )
        self.carries_of: CarriesOf = carries_all
        self._place, self._database = place, place.take()
        self._now = NOW
        self._stands_still = False
        self._gateways: list[Gateway] = []

    def gateway(self, **how: Any) -> "Gateway":
        """Start a process; `how` as `Gateway` says."""
        started = Gateway(self, self._place.take(), **how)
        self._gateways.append(started)
        return started

    def pass_time(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def stop_the_clock(self) -> None:
        """From now on whatever happens, happens in the same moment."""
        self._stands_still = True

    def passed_s(self) -> float:
        """The clock that nobody can set."""
        return (self._now - NOW).total_seconds()

    def now(self) -> datetime:
        if not self._stands_still:
            self._now += A_READING
        return self._now

    async def says(self, order_no: str = FIRST) -> str:
        """What the books say of a payment, as `Answer.says`."""
        return _says(await self.payment(order_no))

    async def books(self) -> Rows:
        """How many rows there are."""
        async with self._database.connection() as connection:
            return Rows(*(await connection.fetchrow(COUNT_ROWS)))

    async def payment(self, order_no: str) -> Payment:
        """The payment of an order as it stands."""
        async with self._database.connection() as connection:
            payment_id = await connection.fetchval(FIND_PAYMENT, order_no)
            (found,) = await payments_by_id(connection, MERCHANT_ID, [payment_id])
        return found

    async def order_no(self, due: Due) -> str:
        """Of a payment, or of the one that started an authentication."""
        if not isinstance(due, Authentication):
            return due.merchant_order_no
        async with self._database.connection() as connection:
            return str(await connection.fetchval(FIND_ORDER_NO, due.payment_id))

    async def begin(self) -> None:
        """Empty the books that others may have left."""
        async with self._database.transaction() as connection:
            await connection.execute(NO_REFERENCES)
            for (table,) in await connection.fetch(TABLES):
                await connection.execute(f"DELETE FROM {table}")

    async def close(self) -> None:
        for gateway in self._gateways:
            await gateway.close()
            self._place.give_back(gateway.database)
        self._place.give_back(self._database)


NO_REFERENCES = "SET LOCAL session_replication_role = replica"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ 'version'"
COUNT_ROWS = """
SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM intents WHERE verb = 'authenticate'),
(SELECT count(*) FROM intents WHERE verb = 'pay'), (SELECT count(*) FROM observations),
(SELECT count(*) FROM events)
"""
FIND_PAYMENT = "SELECT payment_id FROM payments WHERE merchant_order_no = $1"
FIND_ORDER_NO = "SELECT merchant_order_no FROM payments WHERE payment_id = $1"


def _says(payment: Payment) -> str:
    why = f": {payment.failure.code}/{payment.failure.blame}" if payment.failure else ""
    return f"{payment.status}{why}"


class Gateway:
    """One process with queues, stores and flows of its own.

    `ahead_s`: how far its clock is before the others'. `answer_within_s`: that of `PayFlow`;
    `max_running`: orders in hand; `max_waiting`: that of `Books`. `at_once`, `per_second`: what each channel carries.
    """

    def __init__(
        self,
        town: Town,
        database: Database,
        ahead_s: float = 0.0,
        answer_within_s: float = WITHIN_S,
        max_running: int = 1000,
        max_waiting: int = 1000,
        at_once: int | None = None,
        per_second: int | None = None,
    ) -> None:
        self._town, self.database = town, database
        self.at_once, self.per_second = at_once, per_second
        self.unusable: tuple[str, ...] = ()
        self._ahead = timedelta(seconds=ahead_s)
        self._transactions = {flush: _Transactions(database, town) for flush in Flush}
        self.rooms = rooms = ProcessRooms(
            max_running,
            lambda merchant_id, channel: self.at_once,
            calls_per_second=lambda merchant_id, channel: self.per_second,
            clock=town.passed_s,
        )
        opening = OpeningStore(
            self._transactions[Flush.OPENING],
            town.keys,
            lambda: town.catalogue,
            terms_of,
            TIMEZONE,
            None,
            self._clock,
            rooms,
            lambda merchant_id: self.unusable,
            carries_of=self._carries,
        )
        recording = RecordingStore(
            self._transactions[Flush.RECORDING],
            town.keys,
            lambda: town.catalogue,
            terms_of,
            TIMEZONE,
            None,
            carries_of=self._carries,
        )
        refunding = RefundingStore(database, town.keys, terms_of, TIMEZONE, self._clock, rooms)
        authenticating = AuthenticatingStore(
            database,
            town.keys,
            lambda: town.catalogue,
            terms_of,
            TIMEZONE,
            None,
            self._clock,
            rooms,
            lambda merchant_id: self.unusable,
            BusyUsers(database),
            carries_all,
        )
        self._books = Books(opening, recording, refunding, max_waiting, authenticating.flush)
        self._due = DueStore(database, town.keys, KnownChannels(lambda merchant_id: ()))
        self._observations = ObservationMaker(self._clock, uuid4)
        self._tasks = RunningTasks()
        submission = Submission(town.psp, ProviderCalls(town.psp, rooms), self._books, self._observations)
        self._follow_up = FollowUp(submission, self._due)
        self._payer = PayerFlow(submission, self._due, self._tasks, WITHIN_S)
        self._flow = PayFlow(self._books, submission, self._tasks, self._clock, uuid4, answer_within_s, rooms)
        self.lines = ProcessLines(rooms, town.passed_s)
        self._line = Line(
            LineStore(database),
            self.lines,
            self._follow_up.send_from_line,
            self._follow_up.end_wait,
            lambda: [MERCHANT_ID],
            self._carrying,
            lambda payment, now: carries_now(town.catalogue, payment, now),
            self._clock,
        )

    # --- what it does ---

    async def pay(self, order_no: str = FIRST, route: Route = Route.DIRECT, **known: Any) -> Answer:
        """Take an order, carry it out, and answer as HTTP would."""
        opened = await self._flow.open(_order(order_no, route, known))
        return Answer(_says(opened.payment), opened.replayed)

    async def types(self, sms_code: str, order_no: str = FIRST) -> str:
        """Submit the code that a payer typed; what becomes of the payment, as `Answer.says`."""
        return _says(await self._payer.confirm(await self._town.payment(order_no), sms_code))

    async def gives_up(self, order_no: str = FIRST) -> str:
        """Close a payment. Raises ActRefusedError."""
        return _says(await self._payer.close(await self._town.payment(order_no)))

    async def finishes(self) -> None:
        """Wait for what goes on after the answers."""
        await self._books.drain(WITHIN_S)
        await self._tasks.finish(WITHIN_S)

    async def pays_and_dies(self, flush: Flush, order_no: str = FIRST, route: Route = Route.DIRECT) -> None:
        """Take an order and die right after the next COMMIT of `flush`, before anything else."""
        transactions = self._transactions[flush]
        transactions.dies = True
        taken = asyncio.create_task(self.pay(order_no, route))
        await asyncio.wait_for(transactions.dying.wait(), WITHIN_S)
        taken.cancel()
        await asyncio.gather(taken, return_exceptions=True)
        await self.close()

    async def claims(self, lease_s: float = DUE_AFTER_S, limit: int = 100) -> list[Claim]:
        """Claim what is due."""
        now = self._clock()
        due = await self._due.claim(MERCHANT_ID, now, limit, now + timedelta(seconds=lease_s))
        return [Claim(await self._town.order_no(each), isinstance(each, Authentication), each) for each in due]

    async def takes_up(self, claims: Iterable[Claim]) -> None:
        """Do the one thing that is due on each of these."""
        await asyncio.gather(*(self._follow_up(claim._due) for claim in claims))

    async def follows_up(self) -> list[str]:
        """Claim what is due and do it, as a worker; the order numbers of what was claimed, each once."""
        claims = await self.claims()
        await self.takes_up(claims)
        return list(dict.fromkeys(claim.order_no for claim in claims))

    def fills_its_places(self, many: int, channel: str = "up") -> list[UUID]:
        """Have so many places taken by somebody; who has them."""
        holders = [uuid4() for _ in range(many)]
        assert all(self.rooms.take(holder, MERCHANT_ID, channel) for holder in holders)
        return holders

    async def serves_the_line(self) -> None:
        """Send what there are places for, to its end; and end what stood in line too long."""
        await self._line.tick()
        await self.line_is_quiet()

    async def looks_at_the_line(self) -> None:
        """The same, and what is sent goes on by itself."""
        await self._line.tick()

    async def line_is_quiet(self) -> None:
        """Return when nothing that was sent from the line is in hand."""
        await asyncio.wait_for(self._line.is_quiet(), WITHIN_S)

    def _carries(self, merchant_id: UUID, account: str) -> Carries:
        return self._town.carries_of(merchant_id, account)

    def _carrying(self, merchant_id: UUID, now: datetime) -> list[str]:
        channels = self._town.catalogue.channels_of(merchant_id)
        return [each.code for each in channels if each.on and each.account not in self.unusable]

    async def hears_of_binding(
        self, said: AuthenticationOutcome, order_no: str = FIRST, *, polled: bool = False
    ) -> _Word:
        """Hear a word about the binding before a payment; it is not recorded yet."""
        source = Source.POLL if polled else Source.ANSWER
        payment = await self._town.payment(order_no)
        assert payment.authentication_id is not None
        key = IntentKey(payment.merchant_id, payment.user_id, payment.authentication_id, Verb.AUTHENTICATE)
        return _Word(self._observations.of(key, source, said))

    async def hears_of_payment(self, said: Outcome, order_no: str = FIRST, *, called_back: bool = False) -> _Word:
        """Hear a word about a payment; it is not recorded yet."""
        source = Source.CALLBACK if called_back else Source.POLL
        return _Word(self._observations.of(key_of(await self._town.payment(order_no)), source, said))

    async def records(self, word: _Word) -> bool:
        """Record what was heard; whether whoever heard it has to send the payment now."""
        return (await self._books.record(word.observation)).submit

    async def close(self) -> None:
        """End, as a killed process would: nothing that runs is finished."""
        await self._tasks.finish(0)
        for task in self._line._tasks:
            task.cancel()
        for transactions in self._transactions.values():
            transactions.killed.set()
        await self._books.drain(WITHIN_S)

    # --- what befalls it ---

    def loses_commit(
        self,
        flush: Flush,
        *,
        times: int = 1,
        after: int = 0,
        meanwhile: Meanwhile | None = None,
        error: Callable[[], Exception] | None = None,
    ) -> None:
        """The next COMMIT of `flush` (`after` so many that go well) is done, its answer lost, its connection dead.

        `meanwhile` happens before this process knows. `error`: what it is told, else what asyncpg says.
        """
        transactions = self._transactions[flush]
        transactions.well, transactions.lost, transactions.meanwhile = after, times, meanwhile
        if error is not None:
            transactions.error = error

    def is_held_up(self, flush: Flush, *, before_s: float = 0.0, after_s: float = 0.0) -> None:
        """The next transaction of `flush` begins so late, or so much passes between its COMMIT and the answer."""
        transactions = self._transactions[flush]
        transactions.before_s, transactions.after_s = before_s, after_s

    def hold_up(self, flush: Flush) -> "Hold":
        """Keep the next transaction of `flush` after its COMMIT until it is released."""
        self._transactions[flush].hold = hold = Hold()
        return hold

    def _clock(self) -> datetime:
        return self._town.now() + self._ahead


class _Transactions(Database):
    """A process's database as one of its stores sees it, with what befalls its COMMITs."""

    def __init__(self, real: Database, town: Town) -> None:
        self._real, self._town = real, town
        self.well = self.lost = 0
        self.before_s = self.after_s = 0.0
        self.meanwhile: Meanwhile | None = None
        self.error: Callable[[], Exception] = _connection_died
        self.hold: Hold | None = None
        self.dies = False
        self.dying, self.killed = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._real.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        self._town.pass_time(self.before_s)
        self.before_s = 0.0
        async with self._real.connection() as connection:
            async with connection.transaction():
                yield connection
            # Here it is committed.
            loses = self.lost > 0 and self.well == 0
            if loses:
                connection.terminate()
        self._town.pass_time(self.after_s)
        self.after_s = 0.0
        if (hold := self.hold) is not None:
            self.hold = None
            await hold.keep()
        if self.dies:
            self.dying.set()
            await self.killed.wait()
            raise asyncio.CancelledError
        if loses:
            self.lost -= 1
            if self.meanwhile is not None:
                await self.meanwhile()
            raise self.error()
        self.well = max(0, self.well - 1)


def _connection_died() -> Exception:
    died: Exception = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    return died


def _order(order_no: str, route: Route, known: dict[str, Any]) -> Order:
    return order(order_no, **({"bank": route.value, "amount": AMOUNT} | known))


def without_late_waits(monkeypatch: Any) -> None:
    """Let a sender that slept too long ask again without waiting."""
    monkeypatch.setattr(submit, "LATE_WAITS_S", (0.0,) * len(submit.LATE_WAITS_S))
