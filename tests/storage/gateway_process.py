"""One gateway process as the database sees it: its own pool, stores and queues. Two of them make a race."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ailing import Ails
from gateway.domain.authentications import Authentication
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.domain.orders import Order
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.payments import Payment
from gateway.domain.payouts import Part
from gateway.domain.recorded_routes import RecordedRoute, Report
from gateway.domain.refunds import Refund
from gateway.flows.notify import DueDelivery
from gateway.flows.observations import key_of
from gateway.flows.payout_acts import PayoutOpening, PayoutResult, PayoutRules, RuleAnswer
from gateway.flows.recorded_routes import ReportResult, RouteOpening, RouteReport, RouteResult
from gateway.flows.refund import RefundOpening
from gateway.ports import GoOn, IntentKey, Observation, OpenResult, Recorded, RefundResult
from gateway.run.rooms import ProcessRooms
from gateway.storage.keys import Keys
from gateway.storage.server.database import Database
from gateway.storage.writing.authenticating import AuthenticatingStore
from gateway.storage.writing.authentications import authentications_by_id
from gateway.storage.writing.books import Books
from gateway.storage.writing.claims import KnownChannels
from gateway.storage.writing.due import DueStore
from gateway.storage.writing.opening import OpeningStore
from gateway.storage.writing.paying_out import PayingOutStore
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.payout_books import PayoutStore
from gateway.storage.writing.payout_words import PayoutWordsStore
from gateway.storage.writing.recording import RecordingStore
from gateway.storage.writing.refunding import RefundingStore
from gateway.storage.writing.reporting import ReportingStore
from gateway.storage.writing.route_books import RouteBooks
from gateway.storage.writing.routes import RouteDueStore, routes_by_id
from gateway.storage.writing.routing import RoutingStore
from gateway.storage.writing.users import BusyUsers
from tests.databases import database_on
from tests.unit.domain.samples import NOW, opening, order, payout_order, refund_order, terms_of

TIMEZONE = ZoneInfo("Asia/Shanghai")
LOOKS_FOR_A_WAITER = 300
WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@dataclass
class Process:
    """Stores over one engine. `handed_over` collects what would be delivered at once."""

    engine: AsyncEngine
    keys: Keys
    catalogue: Catalogue
    max_waiting: int = 1000
    delivers: bool = True
    handed_over: list[DueDelivery] = field(default_factory=list)
    lost_commits: int = 0
    """How many COMMITs succeed while their answer is lost."""
    now: datetime = NOW
    """What its clock says when it opens payments."""
    unusable: Collection[str] = ()
    """Accounts whose settings cannot be used."""
    carries_of: CarriesOf = carries_all
    """What its providers carry, and how they authenticate."""
    refused_silently: list[tuple[str, str, str | None]] = field(default_factory=list)
    """What it was told of banks that an account does not bind silently."""
    payout_rules: PayoutRules = lambda question: RuleAnswer()
    """Everything is allowed."""
    ailing: Ails = field(default_factory=dict)
    """Which channels its payments are to avoid."""
    calls_at_once: int = 1000
    """Of every channel. Nothing here gives a place back by itself."""

    def __post_init__(self) -> None:
        self.rooms = ProcessRooms(100_000, lambda merchant_id, channel: self.calls_at_once)
        self._speak_to(database_on(self.engine))
        if self.lost_commits:
            self._speak_to(LostCommitDatabase(self.database, self.lost_commits))

    def witnessed_by(self, around: Callable[[Database], Database]) -> None:
        """Speak to the database through another one."""
        self._speak_to(around(self.database))

    def _speak_to(self, database: Database) -> None:
        hand_over = self.handed_over.extend if self.delivers else None
        self.database = database
        busy = BusyUsers(self.database)
        self.opening = OpeningStore(
            self.database,
            self.keys,
            lambda: self.catalogue,
            terms_of,
            TIMEZONE,
            hand_over,
            lambda: self.now,
            self.rooms,
            lambda merchant_id: self.unusable,
            busy,
            self.carries_of,
            ailing=lambda merchant_id: self.ailing,
        )
        self.recording = RecordingStore(
            self.database,
            self.keys,
            lambda: self.catalogue,
            terms_of,
            TIMEZONE,
            hand_over,
            busy,
            self.carries_of,
            lambda merchant_id, refused, now: self.refused_silently.extend(refused),
        )
        self.authenticating = AuthenticatingStore(
            self.database,
            self.keys,
            lambda: self.catalogue,
            terms_of,
            TIMEZONE,
            hand_over,
            lambda: self.now,
            self.rooms,
            lambda merchant_id: self.unusable,
            busy,
            self.carries_of,
        )
        self.refunding = RefundingStore(
            self.database, self.keys, terms_of, TIMEZONE, lambda: self.now, self.rooms, busy
        )
        self.paying_out = PayingOutStore(
            self.database,
            self.keys,
            lambda: self.catalogue,
            terms_of,
            TIMEZONE,
            hand_over,
            lambda: self.now,
            self.rooms,
            lambda question: self.payout_rules(question),
        )
        self.payout_words = PayoutWordsStore(
            self.database, self.keys, lambda: self.catalogue, terms_of, TIMEZONE, hand_over
        )
        self.payouts = PayoutStore(self.database, self.keys)
        self.books = Books(
            self.opening,
            self.recording,
            self.refunding,
            self.max_waiting,
            self.authenticating.flush,
            self.paying_out.flush,
            self.payout_words.flush,
        )
        routing = RoutingStore(
            self.database, self.keys, lambda: self.catalogue, TIMEZONE, lambda: self.now, busy, self.carries_of
        )
        reporting = ReportingStore(self.database, lambda: self.catalogue, TIMEZONE, hand_over, busy)
        self.routes = RouteBooks(routing, reporting, self.max_waiting)
        self.routes_due = RouteDueStore(self.database)
        self.due = DueStore(
            self.database, self.keys, KnownChannels(lambda merchant: self.catalogue.channel_codes(merchant))
        )

    async def opened(self, *orders: Order, now: datetime = NOW) -> list[Payment]:
        """Open these orders in one flush; all of them must be taken."""
        self.now = now
        payments = []
        for result in await self.opening.flush([opening(asked, now) for asked in orders]):
            assert isinstance(result, OpenResult), result
            payments.append(result.payment)
        return payments

    async def open_one(self, now: datetime = NOW, **known: Any) -> Payment:
        """Open one order of its own number."""
        return (await self.opened(order(f"order-{uuid4().hex}", **known), now=now))[0]

    async def record_route(
        self, number: str | None = None, now: datetime = NOW, report_within: timedelta = timedelta(days=1), **known: Any
    ) -> RouteResult:
        """Record a route. Raises what the books refuse it with."""
        self.now = now
        asked = order(number or f"route-{uuid4().hex}", **known)
        return await self.routes.record(RouteOpening(asked, uuid4(), uuid4(), report_within, now))

    async def report(self, route: RecordedRoute, report: Report | None, at: datetime = NOW) -> ReportResult:
        """Say how a route ended; None: look at it by the clock."""
        return await self.routes.report(
            RouteReport(route.merchant_id, route.user_id, route.route_id, report, uuid4(), at)
        )

    async def read_route(self, route: RecordedRoute) -> RecordedRoute:
        """The route as it stands in the books."""
        async with self.database.connection() as connection:
            return (await routes_by_id(connection, route.merchant_id, [route.route_id]))[route.route_id]

    async def heard(
        self, payment: Payment, outcome: Outcome, source: Source = Source.POLL, at: datetime = NOW
    ) -> Recorded:
        """Record one word about a payment's intent to pay."""
        return await self.books.record(observation(payment, outcome, source, at))

    async def heard_of_card(
        self, payment: Payment, outcome: AuthenticationOutcome, source: Source = Source.ANSWER, at: datetime = NOW
    ) -> Recorded:
        """Record one word about the authentication that a payment needs."""
        return await self.books.record(card_observation(payment, outcome, source, at))

    async def heard_of_refund(
        self, refund: Refund, outcome: Outcome, source: Source = Source.POLL, at: datetime = NOW
    ) -> Recorded:
        """Record one word about a refund."""
        return await self.books.record(Observation(key_of(refund), source, outcome, at, uuid4()))

    async def goes_on(self, payment: Payment, at: datetime = NOW) -> Recorded:
        """Let a payment go on that waited for an authentication."""
        return await self.books.go_on(GoOn(payment.merchant_id, payment.user_id, payment.payment_id, uuid4(), at))

    async def authentication(self, payment: Payment) -> Authentication:
        """The authentication that a payment needs, as it stands in the books."""
        assert payment.authentication_id is not None
        ids = [payment.authentication_id]
        async with self.database.connection() as connection:
            return (await authentications_by_id(connection, payment.merchant_id, ids))[ids[0]]

    async def refund(self, payment: Payment, amount: int, number: str | None = None) -> RefundResult:
        """Open a refund of a payment; it must be taken."""
        asked = refund_order(number or f"refund-{uuid4().hex}", payment_id=payment.payment_id, amount=amount)
        return await self.books.open_refund(RefundOpening(asked, payment.user_id, uuid4(), uuid4(), self.now))

    async def pay_out(self, amount: int, *settled: Payment) -> PayoutResult:
        """Open a payout that settles as much of each of these payments; it must be taken."""
        parts = tuple(Part(payment.payment_id, amount // len(settled)) for payment in settled)
        asked = payout_order(f"payout-{uuid4().hex}", amount=amount, parts=parts)
        return await self.books.open_payout(PayoutOpening(asked, "up-1", uuid4(), uuid4()))

    async def read(self, payment: Payment) -> Payment:
        """The payment as it stands in the books."""
        async with self.database.connection() as connection:
            (found,) = await payments_by_id(connection, payment.merchant_id, [payment.payment_id])
        return found

    async def rows(self, sql: str, *values: Any) -> Sequence[Any]:
        """Read rows by plain SQL."""
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql, *values)]

    async def one(self, sql: str, *values: Any) -> Any:
        """Read one row by plain SQL: its only value, or a tuple."""
        (row,) = await self.rows(sql, *values)
        return row if len(row) > 1 else row[0]

    async def count(self, table: str) -> int:
        return int(await self.one(f"SELECT count(*) FROM {table}"))

    async def somebody_waits(self) -> None:
        """Return when a connection to this database waits for a lock."""
        for _ in range(LOOKS_FOR_A_WAITER):
            if await self.one(WAITERS):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody waits for a lock")

    async def usage(self, user_id: str = "u1", channel: str = "up") -> Any:
        """(reserved, succeeded, insufficient) over all days."""
        return await self.one(
            "SELECT sum(reserved)::bigint, sum(succeeded)::bigint, sum(insufficient)::bigint "
            "FROM channel_usage WHERE user_id = $1 AND channel = $2",
            user_id,
            channel,
        )


def payment_in(recorded: Recorded | Exception) -> Payment:
    """The payment that a word was about, or whose authentication it was about."""
    assert isinstance(recorded, Recorded), recorded
    assert recorded.payment is not None
    return recorded.payment


def observation(payment: Payment, outcome: Outcome, source: Source = Source.POLL, at: datetime = NOW) -> Observation:
    return Observation(key_of(payment), source, outcome, at, uuid4())


def card_observation(
    payment: Payment, outcome: AuthenticationOutcome, source: Source = Source.ANSWER, at: datetime = NOW
) -> Observation:
    assert payment.authentication_id is not None
    key = IntentKey(payment.merchant_id, payment.user_id, payment.authentication_id, Verb.AUTHENTICATE)
    return Observation(key, source, outcome, at, uuid4())


class LostCommitDatabase(Database):
    """A database whose COMMIT succeeds while its answer is lost, as often as `times` says."""

    def __init__(self, real: Database, times: int) -> None:
        self._real = real
        self.times = times

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self._real.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._real.transaction() as connection:
            yield connection
        if self.times:
            self.times -= 1
            raise ConnectionError("the answer to COMMIT was lost")
