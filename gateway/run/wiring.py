"""Builds and wires everything; nobody else does."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web
from prometheus_client import Counter, Histogram
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from adapters.http import AiohttpTransport, retry_not_sent
from adapters.registry import offer_for, why_no_statements
from gateway import metrics
from gateway.api.admin.operators import Operators, operator_routes
from gateway.api.application import Api, Readiness, build_app
from gateway.domain.catalogue import Catalogue, Endpoint
from gateway.domain.checkouts import CheckoutLimits
from gateway.domain.scenes import SCENES_OF, Kind, Scene
from gateway.flows.authentication import AuthenticationFlow
from gateway.flows.balances import AskingBalances
from gateway.flows.callbacks import Callbacks
from gateway.flows.cashier import Cashier
from gateway.flows.checkouts import CheckoutFlow
from gateway.flows.corrections import CorrectionFlow
from gateway.flows.follow_up import FollowUp
from gateway.flows.observations import ObservationMaker
from gateway.flows.operator_word import OperatorWord
from gateway.flows.pay import PayFlow
from gateway.flows.payer import PayerFlow
from gateway.flows.payout import PayoutFlow
from gateway.flows.payout_rules import rules_in_force
from gateway.flows.recorded_routes import RouteFlow
from gateway.flows.redirects import Redirects
from gateway.flows.refund import RefundFlow
from gateway.flows.route import Unable, carries_now
from gateway.flows.statement_words import StatementWords
from gateway.flows.submit import Submission
from gateway.logs import get
from gateway.ports import AskBalance, CallbackAnswer, CallbackRequest
from gateway.run.apart import ReconciledApart
from gateway.run.calls import ProviderCalls, guarded
from gateway.run.clock import Clock
from gateway.run.keys import keys_of
from gateway.run.lines import ProcessLines
from gateway.run.live import LiveProcesses
from gateway.run.providers import NOTES, AdapterProviders, Build
from gateway.run.remembering import Remembered
from gateway.run.rooms import ProcessRooms
from gateway.run.running_tasks import RunningTasks
from gateway.run.watches import watch_ticks
from gateway.settings import Settings
from gateway.storage.catalogue.blocks import BlockStore
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.catalogue.watch import CatalogueWatch
from gateway.storage.reading.cards import CardReader
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.key_use import require_order_key
from gateway.storage.reading.open_payments import open_payments
from gateway.storage.reading.payouts import PayoutSearch
from gateway.storage.reading.reader import Reader
from gateway.storage.reading.recorded_routes import RouteSearch
from gateway.storage.reading.references import OperatorSearch
from gateway.storage.reading.reports import REPORT_POOL_SIZE, REPORT_TIMEOUT_MS, Reports
from gateway.storage.reading.snapshots import SnapshotStore
from gateway.storage.reconciling.days import DayStore
from gateway.storage.reconciling.differences import DifferenceStore
from gateway.storage.reconciling.errands import ErrandStore
from gateway.storage.reconciling.fees import TakenFeeStore
from gateway.storage.reconciling.store import StatementStore
from gateway.storage.reconciling.words import UntoldStore
from gateway.storage.server.clock import read_clock
from gateway.storage.server.database import Database
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import is_current
from gateway.storage.server.processes import ProcessBeats
from gateway.storage.server.sessions import end_idle
from gateway.storage.server.troubles import condemns, is_away, is_busy
from gateway.storage.watching.ailing import AilingStore
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.rates import RateStore
from gateway.storage.watching.switches import SwitchStore
from gateway.storage.watching.transactions import TransactionStore
from gateway.storage.writing.anomalies import AnomalyStore
from gateway.storage.writing.authenticating import AuthenticatingStore
from gateway.storage.writing.balances import BalanceStore
from gateway.storage.writing.books import Books
from gateway.storage.writing.checkout_books import CheckoutStore
from gateway.storage.writing.claims import KnownChannels
from gateway.storage.writing.correcting import CorrectingStore
from gateway.storage.writing.deliveries import DeliveryStore
from gateway.storage.writing.due import DueStore
from gateway.storage.writing.held import HeldStore
from gateway.storage.writing.line import LineStore
from gateway.storage.writing.opening import OpeningStore
from gateway.storage.writing.paying_out import PayingOutStore
from gateway.storage.writing.payout_books import PayoutStore
from gateway.storage.writing.payout_words import PayoutWordsStore
from gateway.storage.writing.recording import RecordingStore
from gateway.storage.writing.refunding import RefundingStore
from gateway.storage.writing.reporting import ReportingStore
from gateway.storage.writing.route_books import RouteBooks
from gateway.storage.writing.routes import RouteDueStore
from gateway.storage.writing.routing import RoutingStore
from gateway.storage.writing.unbinding import UnbindingStore
from gateway.storage.writing.users import BusyUsers
from gateway.watch.ailing import AilingChannels
from gateway.workers.balances import BalanceWatch
from gateway.workers.checkouts import CheckoutWatch
from gateway.workers.deliver import Deliverer
from gateway.workers.egress import Egress
from gateway.workers.follow_up import Follower
from gateway.workers.hold import Holder
from gateway.workers.line import Line
from gateway.workers.open_payments import OpenPaymentsWatch
from gateway.workers.payouts import HeldPayoutWatch, ReturnsWatch
from gateway.workers.routes import RouteWatch
from gateway.workers.schedule import Schedule
from gateway.workers.snapshots import SnapshotWatch
from gateway.workers.statements import StatementWatch
from gateway.workers.unbind import Unbinder
from reconciliation.day_runs import DayRuns
from reconciliation.running import Reconciler

log = get(__name__)

FINISH_WITHIN_S = 20.0
"""How long running submissions may take when the process ends; what is left is followed up by others."""
READY_TICK_AGE_S = 15.0
READY_FOR_S = 1.0
"""Load balancers of every kind ask /readyz; the database is asked once in a second."""
HTTP_FAILURE = 400
CONNECTIONS_BESIDE = 256
"""Connections to PSPs beyond those of running submissions: for polls. Nothing ever waits for a connection."""
CATALOGUE_POOL_SIZE = 2
CATALOGUE_TIMEOUT_MS = 4_000
READ_POOL_SIZE = 4
READ_TIMEOUT_MS = 3_000
"""Reads have connections of their own, so that a search never stands in the way of money."""
LOADING_POOL_SIZE = 2
"""Statements are loaded on connections of their own, one account at a time, and looked at beside that."""


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class System:
    """A running gateway: what commands and tests need of it."""

    settings: Settings
    engine: AsyncEngine
    reading: Reader
    catalogue_store: CatalogueStore
    watch: CatalogueWatch
    books: Books
    providers: AdapterProviders
    reconciler: Reconciler
    differences: DifferenceStore
    taken_fees: TakenFeeStore
    errands: ErrandStore
    app: web.Application | None

    async def doctor(self) -> list[str]:
        """What is wrong in the books, in words; nothing when all is well."""
        return await examine(self.engine, utc_now())


@dataclass(frozen=True, slots=True)
class _CountedCallbacks:
    """Callbacks, counted by account and by whether they were believed."""

    callbacks: Callbacks

    async def receive(self, account_name: str, request: CallbackRequest) -> CallbackAnswer | None:
        answer = await self.callbacks.receive(account_name, request)
        if answer is not None:
            believed = "accepted" if answer.status < HTTP_FAILURE else "rejected"
            merchant, _, account = account_name.partition(".")
            metrics.CALLBACKS.labels(merchant, account, believed).inc()
        return answer


@contextlib.asynccontextmanager
async def system(
    settings: Settings,
    *,
    workers: bool,
    api: bool,
    build_provider: Build | None = None,
    shares: bool = True,
    watching: bool = True,
) -> AsyncIterator[System]:
    """A gateway on the settings' database: its API, its workers, or both. `shares`: whether it takes a share of what
    channels carry; a command that only reads them does not. `watching`: without it workers look at no channel and no
    transaction and raise no alert, so that a benchmark can tell what that costs.

    The exit stack is the shutdown order: what is pushed last ends first, so each part ends while what it needs still
    runs. From the outside in:

    1. the ticks stop, then the follower lets its questions end: nothing new is claimed;
    2. running submissions finish, a bounded time: what they hear is still recorded;
    3. the books are drained: every order and observation that waits is committed;
    4. the deliverer ends, the results of its sends are written, the way out to endpoints is closed;
    5. the catalogue is watched no more;
    6. connections to PSPs are dropped, then those to the database.

    The HTTP server stands before all of it (`gateway.run.serving`): it takes no new requests once this begins.
    """
    assert settings.database_url is not None, "the caller starts or names a database"
    timezone = ZoneInfo(settings.business_timezone)
    keys = keys_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        engine = create_engine(settings.database_url, CATALOGUE_POOL_SIZE, statement_timeout_ms=CATALOGUE_TIMEOUT_MS)
        stack.push_async_callback(engine.dispose)
        reading_pool = create_engine(settings.database_url, READ_POOL_SIZE, statement_timeout_ms=READ_TIMEOUT_MS)
        stack.push_async_callback(reading_pool.dispose)

        def lost() -> None:
            end_idle(engine)
            end_idle(reading_pool)

        database = Database(settings.database_url, settings.pool_size, lost=lost)
        stack.push_async_callback(database.close)
        # Each read is one statement: no BEGIN, no ROLLBACK.
        reads = reading_pool.execution_options(isolation_level="AUTOCOMMIT")
        transport = AiohttpTransport(connections=settings.max_waiting + CONNECTIONS_BESIDE)
        stack.push_async_callback(transport.aclose)

        clock = Clock(lambda ours: read_clock(database, ours), utc_now)
        await clock.start()
        stack.push_async_callback(clock.stop)

        catalogue_store = CatalogueStore(engine, keys.ring, zone=timezone, prints=keys.order)
        watch = CatalogueWatch(catalogue_store)
        sending = guarded(retry_not_sent(transport))
        callback_base = settings.callback_base
        providers = (
            AdapterProviders(sending, callback_base, build_provider)
            if build_provider
            else AdapterProviders(sending, callback_base)
        )
        watch.on_change(providers.take)
        watch.on_change(lambda catalogue: metrics.CATALOGUE_VERSION.set(catalogue.version))
        await watch.start()
        await require_order_key(engine, keys)
        stack.push_async_callback(watch.stop)

        async def endpoint_gone(endpoint: Endpoint, sent_at: datetime) -> bool:
            return await catalogue_store.endpoint_gone(
                endpoint.merchant_id, endpoint.endpoint_id, url=endpoint.url, sent_at=sent_at, now=utc_now()
            )

        egress = Egress()
        stack.push_async_callback(egress.close)
        deliveries, held = DeliveryStore(database), HeldStore(database)
        stack.push_async_callback(deliveries.drain)
        deliverer = Deliverer(deliveries, egress, lambda: watch.current, utc_now, random.random, endpoint_gone)
        stack.push_async_callback(deliverer.close)
        hand_over = deliverer.hand_over if workers else None
        busy = BusyUsers(database)
        limits = CheckoutLimits(settings.checkout_tries, settings.checkout_sms, settings.checkout_cards_per_hour)

        def comes_back(error: Exception) -> bool:
            return is_away(error) or is_busy(error)

        def silent_refused(merchant_id: UUID, refused: Sequence[tuple[str, str, str | None]], now: datetime) -> None:
            for account, bank, code in refused:
                tasks.start(catalogue_store.refuse_silent(merchant_id, account, bank, code, now=now))

        def provider_of(merchant_id: UUID, channel: str) -> str:
            return watch.current.provider_of(merchant_id, channel)

        def questions_at_once(merchant_id: UUID, channel: str) -> int:
            if watch.current.account_of_channel(merchant_id, channel) in providers.unusable(merchant_id):
                return 0
            return rooms.places(merchant_id, channel).for_questions

        live = LiveProcesses(ProcessBeats(database, utc_now), uuid7())
        if shares:
            await live.start()
            stack.push_async_callback(live.stop)
        rooms = ProcessRooms(
            settings.max_waiting,
            lambda merchant_id, channel: watch.current.calls_at_once(merchant_id, channel),
            provider_of,
            lambda merchant_id, channel: watch.current.calls_per_second(merchant_id, channel),
            lambda: live.processes,
        )
        ailing = AilingChannels(AilingStore(database), lambda: watch.current, utc_now)
        await ailing.start()
        stack.push_async_callback(ailing.stop)
        books = Books(
            OpeningStore(
                database,
                keys,
                lambda: watch.current,
                providers.terms,
                timezone,
                hand_over,
                clock.right_now,
                rooms,
                providers.unusable,
                busy,
                providers.carries,
                callback_base,
                limits,
                ailing.of,
            ),
            RecordingStore(
                database,
                keys,
                lambda: watch.current,
                providers.terms,
                timezone,
                hand_over,
                busy,
                providers.carries,
                silent_refused,
                limits,
            ),
            RefundingStore(database, keys, providers.terms, timezone, clock.right_now, rooms, busy),
            settings.max_waiting,
            AuthenticatingStore(
                database,
                keys,
                lambda: watch.current,
                providers.terms,
                timezone,
                hand_over,
                clock.right_now,
                rooms,
                providers.unusable,
                busy,
                providers.carries,
                limits,
            ).flush,
            PayingOutStore(
                database,
                keys,
                lambda: watch.current,
                providers.terms,
                timezone,
                hand_over,
                clock.right_now,
                rooms,
                rules_in_force(lambda: watch.current, timezone),
            ).flush,
            PayoutWordsStore(database, keys, lambda: watch.current, providers.terms, timezone, hand_over).flush,
        )
        stack.push_async_callback(books.drain)
        checkouts = CheckoutStore(database, keys, lambda: watch.current, hand_over, limits, busy)
        route_books = RouteBooks(
            RoutingStore(database, keys, lambda: watch.current, timezone, clock.right_now, busy, providers.carries),
            ReportingStore(database, lambda: watch.current, timezone, hand_over, busy),
            settings.max_waiting,
        )
        stack.push_async_callback(route_books.drain)
        due = DueStore(database, keys, KnownChannels(lambda merchant_id: watch.current.channel_codes(merchant_id)))
        observations = ObservationMaker(clock.now, uuid7, clock.is_right)
        calls = ProviderCalls(providers, rooms, lambda merchant_id: watch.current.code_of(merchant_id))
        submission = Submission(providers, calls, books, observations)
        tasks = RunningTasks()
        stack.push_async_callback(tasks.finish, FINISH_WITHIN_S)
        payout_store = PayoutStore(database, keys)
        payouts = PayoutFlow(
            books,
            payout_store,
            providers,
            submission,
            tasks,
            lambda: watch.current,
            clock.right_now,
            uuid7,
            settings.answer_within_s,
            rooms,
        )
        reading = Reader(
            reads,
            database,
            keys,
            timezone,
            lambda merchant_id: watch.current.has_totals(merchant_id),
            lambda merchant_id: watch.current.blocks(merchant_id),
            lambda merchant_id: watch.current.unresolved_counts_after(merchant_id),
        )
        balances, every = BalanceStore(database), timedelta(seconds=settings.balances_every_s)
        asking = AskingBalances(balances, calls, lambda: watch.current, utc_now, uuid7, _around_one, every)
        loading = Database(
            settings.database_url,
            LOADING_POOL_SIZE,
            application_name="sluice reconciliation",
            statement_timeout_ms=READ_TIMEOUT_MS,
        )
        stack.push_async_callback(loading.close)
        tell = StatementWords(UntoldStore(loading), due, books, observations).tell
        statements = StatementStore(loading, timezone, lambda: watch.current, uuid7)
        reconciler = Reconciler(
            providers,
            statements,
            tell,
            transport.download,
            utc_now,
            uuid7,
            why_no_statements=lambda *account: why_no_statements(watch.current.accounts[account]),
        )
        differences, taken_fees, errands = DifferenceStore(loading), TakenFeeStore(loading), ErrandStore(loading)
        transactions = TransactionStore(reads, engine)
        blocks = BlockStore(engine, keys.order, catalogue_store.change)
        schedule: Schedule | None = None
        if workers:
            follow_up = FollowUp(submission, due)
            follower = Follower(
                due,
                follow_up,
                lambda: watch.current.merchants.keys() if clock.is_right() else (),
                providers.longest_call_s,
                questions_at_once,
                provider_of,
                utc_now,
                metrics.POLLS_CLAIMED.labels("poll").inc,
            )
            stack.push_async_callback(follower.close)

            def carrying(merchant_id: UUID, now: datetime) -> list[str]:
                unusable = providers.unusable(merchant_id)
                return [
                    channel.code
                    for channel in watch.current.channels_of(merchant_id)
                    if channel.on
                    and channel.account not in unusable
                    and not watch.current.rests(merchant_id, channel.code, now)
                ]

            line = Line(
                LineStore(database),
                ProcessLines(rooms),
                follow_up.send_from_line,
                follow_up.end_wait,
                lambda: watch.current.merchants.keys() if clock.is_right() else (),
                carrying,
                lambda payment, now: carries_now(watch.current, payment, now),
                utc_now,
            )
            stack.push_async_callback(line.close)
            holder = Holder(held, lambda: watch.current, utc_now)
            held_snapshots = SnapshotStore(engine)
            snapshots = SnapshotWatch(held_snapshots.held, metrics.OLDEST_SNAPSHOT_SECONDS.set, time.monotonic)
            unbinder = Unbinder(
                UnbindingStore(database, lambda: watch.current), due, calls, lambda: watch.current, utc_now, uuid7
            )
            stack.push_async_callback(unbinder.close)
            balance_watch = BalanceWatch(
                balances,
                asking.ask,
                lambda: watch.current,
                lambda merchant_id, account: _tells_balance(watch.current, merchant_id, account),
                utc_now,
                time.monotonic,
                every,
            )
            stack.push_async_callback(balance_watch.close)
            statement_watch = StatementWatch(
                errands,
                ReconciledApart(settings),
                tell,
                providers.statement_rules,
                lambda: watch.current,
                utc_now,
                time.monotonic,
            )
            stack.push_async_callback(statement_watch.close)
            ticks: dict[str, Callable[[], Awaitable[object]]] = {
                "follow_up": follower.tick,
                "line": line.tick,
                "deliver": deliverer.tick,
                "hold": holder.tick,
                "snapshots": snapshots.tick,
                "unbind": unbinder.tick,
                "routes": RouteWatch(RouteDueStore(database), route_books, lambda: watch.current, utc_now, uuid7).tick,
                "payouts": HeldPayoutWatch(payout_store, payouts.look, lambda: watch.current, utc_now, comes_back).tick,
                "returns": ReturnsWatch(payout_store, due, calls, books, observations, lambda: watch.current).tick,
                "balances": balance_watch.tick,
                "statements": statement_watch.tick,
                "checkouts": CheckoutWatch(checkouts, lambda: watch.current, utc_now, uuid7, comes_back).tick,
            }
            if watching:
                ticks |= watch_ticks(
                    stack,
                    loading,
                    held_snapshots,
                    transactions,
                    blocks,
                    keys.order,
                    lambda: watch.current,
                    utc_now,
                )
            schedule = Schedule({name: clock.when_right(tick) for name, tick in ticks.items()}, _ticked)
            schedule.start()
            stack.callback(schedule.stop)
            counted = OpenPaymentsWatch(lambda merchant: open_payments(reads, merchant), lambda: watch.current, utc_now)
            counted.start()
            stack.push_async_callback(counted.stop)

        app: web.Application | None = None
        if api:
            now = clock.right_now
            pay = PayFlow(books, submission, tasks, now, uuid7, settings.answer_within_s, rooms)
            refunds = RefundFlow(books, due, providers, submission, tasks, now, uuid7, settings.answer_within_s, rooms)

            def unable(merchant_id: UUID, scene: Scene) -> Unable:
                full = rooms.full(merchant_id) if scene in SCENES_OF[Kind.CHARGE] else ()
                return Unable(providers.unusable(merchant_id), full, ailing.of(merchant_id))

            payer = PayerFlow(submission, due, tasks, settings.answer_within_s)
            authentications = AuthenticationFlow(
                books, due, submission, tasks, now, uuid7, settings.answer_within_s, rooms
            )
            cards = CardReader(database)
            cashier = Cashier(
                checkouts,
                due,
                reading,
                cards,
                pay,
                authentications,
                payer,
                blocks,
                keys.order,
                providers,
                lambda: watch.current,
                unable,
                providers.carries,
                now,
                uuid7,
                callback_base,
                limits.tries,
            )
            callbacks = Callbacks(providers, books, observations, due, lambda: watch.current)
            database_ready = Remembered(lambda: _database_ready(engine), READY_FOR_S)
            needs = Api(
                settings=settings,
                payments=pay,
                authentications=authentications,
                shown_cards=cards,
                unbinding=UnbindingStore(database, lambda: watch.current),
                payer=payer,
                refunds=refunds,
                payouts=payouts,
                routes=RouteFlow(route_books, reading, now, uuid7),
                checkouts=CheckoutFlow(checkouts, payer, now, uuid7),
                cashier=cashier,
                reading=reading,
                callbacks=_CountedCallbacks(callbacks),
                cards=due,
                redirects=Redirects(
                    providers,
                    calls,
                    due,
                    lambda: watch.current,
                    now,
                    keys.order.page_token,
                    keys.order.payment_of_page,
                    callback_base,
                    cashier.url_of,
                ),
                returns=callbacks,
                catalogue=lambda: watch.current,
                readiness=lambda: _readiness(database_ready, schedule, clock, providers),
                metrics=metrics.render,
                clock=utc_now,
                observe=_observe_request,
                unable=unable,
                comes_back=comes_back,
                carries_of=providers.carries,
                connection_lost=condemns,
            )
            anomalies = AnomalyStore(database)
            correcting = CorrectingStore(database, keys, lambda: watch.current, timezone, clock.right_now, hand_over)
            day_tasks = RunningTasks()
            stack.push_async_callback(day_tasks.finish, FINISH_WITHIN_S)
            report_pool = create_engine(
                settings.database_url,
                REPORT_POOL_SIZE,
                application_name="sluice reports",
                statement_timeout_ms=REPORT_TIMEOUT_MS,
            )
            stack.push_async_callback(report_pool.dispose)
            open_alerts = AlertStore(database, uuid7, lambda: watch.current)
            operators = Operators(
                changes=catalogue_store,
                snapshots=watch,
                offer_of=offer_for,
                notes=NOTES,
                deliveries=deliveries,
                held=held,
                alerts=open_alerts,
                rates=RateStore(database),
                switches=SwitchStore(database, open_alerts),
                anomalies=anomalies,
                corrections=CorrectionFlow(anomalies, correcting, refunds, now, uuid7),
                blocks=blocks,
                words=OperatorWord(due, books, observations),
                payments=OperatorSearch(reads, timezone),
                recorded_routes=RouteSearch(reads),
                payouts=PayoutSearch(reads),
                held_payouts=payouts,
                balances=asking,
                days=DayStore(loading),
                differences=differences,
                day_runs=DayRuns(ReconciledApart(settings), day_tasks.start, settings.answer_within_s),
                taken_fees=taken_fees,
                reports=Reports(report_pool, timezone),
                transactions=transactions,
                catalogue=lambda: watch.current,
                clock=utc_now,
                new_id=uuid7,
                zone=timezone,
            )
            app = build_app(needs, operator_routes(operators))
        yield System(
            settings, engine, reading, catalogue_store, watch, books, providers, reconciler, differences, taken_fees,
            errands, app,
        )  # fmt: skip


def _around_one() -> float:
    """Accounts that began together drift apart."""
    return random.uniform(0.9, 1.1)  # noqa: S311 -- nothing is guarded by it


def _tells_balance(catalogue: Catalogue, merchant_id: UUID, account: str) -> bool:
    try:
        return AskBalance in offer_for(catalogue.accounts[merchant_id, account]).commands
    except KeyError:  # a provider that another version knows
        return False


def _ticked(job: str) -> None:
    metrics.LAST_TICK.labels(job).set(time.time())


def _observe_request(method: str, path: str, status: int, seconds: float) -> None:
    counted, timed = _request_metrics(method, path, status)
    counted.inc()
    timed.observe(seconds)


@cache
def _request_metrics(method: str, path: str, status: int) -> tuple[Counter, Histogram]:
    """`path` is a route's, not an address, so these are few."""
    return metrics.HTTP_REQUESTS.labels(method, path, status), metrics.HTTP_SECONDS.labels(path)


async def _database_ready(engine: AsyncEngine) -> tuple[bool, bool]:
    """Whether the database answers, and with the right schema."""
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        return True, await is_current(engine)
    except Exception:  # noqa: BLE001 -- whatever it is, this process cannot take payments
        return False, False


async def _readiness(
    database_ready: Callable[[], Awaitable[tuple[bool, bool]]],
    schedule: Schedule | None,
    clock: Clock,
    providers: AdapterProviders,
) -> Readiness:
    """Whether the database answers with the right schema, the workers' ticks are fresh and the clock is right."""
    ages = schedule.ages_s() if schedule else {}
    database, migrated = await database_ready()
    fresh = all(age is not None and age < READY_TICK_AGE_S for age in ages.values())
    of_clock = clock.verdict()
    ready = database and migrated and fresh and of_clock.is_right
    return Readiness(ready, database, migrated, ages, of_clock, providers.cannot_be_built(), providers.assumptions())
