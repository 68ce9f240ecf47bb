"""Fakes of what the API needs: books in memory that do what their ports say, and a catalogue of two channels."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from stdnum import luhn
from uuid_utils.compat import uuid7

from gateway.api.http.needs import Api, Readiness
from gateway.domain.authentications import Authentication
from gateway.domain.cards import Card, CardElements, mask_card_no
from gateway.domain.catalogue import (
    Account,
    ApiKey,
    AuthenticationMode,
    Catalogue,
    Channel,
    Merchant,
    RouteRule,
)
from gateway.domain.events import EVENTS_OF, RecordedEvent, Redelivered
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import ObjectKind, number_of
from gateway.domain.intents import Intent, IntentState, Verb
from gateway.domain.orders import AuthenticationOrder, Order, PayoutOrder, RefundOrder
from gateway.domain.payments import Payment
from gateway.domain.payouts import Part, Payout
from gateway.domain.recorded_routes import RecordedRoute, Report, after_report
from gateway.domain.refunds import Refund
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status
from gateway.domain.terms import Terms
from gateway.domain.timeline import PaymentOpened, TimelinePage, TimelinePosition
from gateway.flows.authentication import AuthenticationResult
from gateway.flows.payout_acts import PayoutOpening, PayoutRefusedError, PayoutResult, new_payout
from gateway.flows.recorded_routes import ReportResult, RouteOpening, RouteResult, record_route
from gateway.flows.refund import RefundOpening, new_refund, refundable
from gateway.objects.events import event_of
from gateway.ports import (
    AmountExceedsRestError,
    AssumedHere,
    Assumption,
    CallbackAnswer,
    CallbackRequest,
    CardNotFoundError,
    Found,
    OpenResult,
    OrderConflictError,
    PaymentFilter,
    RefundResult,
    StoredCard,
    UserFacts,
)
from gateway.settings import Settings
from router.decide import decide
from router.facts import Candidate, RouteRequest
from router.fees import FixedFee
from router.limits import RuleLimits
from router.record import to_record
from tests.unit.domain.samples import authentication

MERCHANT, OTHER_MERCHANT = UUID(int=0xA), UUID(int=0xB)
KEY, OTHER_APP_KEY, OTHER_MERCHANT_KEY = "sk_test_shop", "sk_test_books", "sk_test_elsewhere"
ADMIN = "admin_test_token_of_32_characters"
NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
CARD_NO = "622202000000000000" + luhn.calc_check_digit("622202000000000000")
CARD = {"card_no": CARD_NO, "holder_name": "张三", "id_no": "110101199003077774", "phone": "13800000000"}
ICBC_CARD_ID = uuid7()
REFUND_TERMS = Terms((5.0,), None, 25.0)
ZONE = ZoneInfo("Asia/Shanghai")

OrderKey = tuple[UUID, str, str]
"""Merchant, app, the order's number."""


def order(**changes: object) -> dict[str, object]:
    """The body of a withhold; a change to `...` takes a field away."""
    body = {
        "merchant_order_no": "A-1",
        "scene": "withhold",
        "user_id": "u1",
        "amount": 10_000,
        "currency": "CNY",
        "card": CARD,
        "bank": "ICBC",
    }
    return {name: value for name, value in (body | changes).items() if value is not ...}


def catalogue() -> Catalogue:
    """Two merchants; the first has two apps and two channels, the cheaper of which is `tlt`."""
    apps = ((MERCHANT, "shop", KEY), (MERCHANT, "books", OTHER_APP_KEY), (OTHER_MERCHANT, "shop", OTHER_MERCHANT_KEY))
    keys = [
        ApiKey(m, UUID(int=i), app, "", hashlib.sha256(key.encode()).digest()) for i, (m, app, key) in enumerate(apps)
    ]
    fees = {"tlt": 50, "unionpay": 100}
    return Catalogue(
        7,
        merchants=(Merchant(MERCHANT, "acme", "Acme"), Merchant(OTHER_MERCHANT, "other", "Other")),
        keys=tuple(keys),
        accounts=tuple(Account(MERCHANT, code, code, {}) for code in fees),
        channels=tuple(Channel(MERCHANT, c, c, c, True, {"*": AuthenticationMode.SILENT}) for c in fees),
        rules=tuple(
            RouteRule(MERCHANT, code, Scene.WITHHOLD, "ICBC", True, FixedFee(fee), limits=RuleLimits(1_000_000))
            for code, fee in fees.items()
        ),
    )


@dataclass
class FakeBooks:
    """Opens payments in memory and reads them again: `PaymentsFlow` and `Reading`."""

    becomes: Callable[[Payment], Payment] = lambda payment: payment
    """What an opened payment is when the answer is made; may raise."""
    pause: asyncio.Event | None = None
    """Payments are opened only once it is set."""
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set as soon as an order has come in."""
    orders: list[Order] = field(default_factory=list)
    by_number: dict[OrderKey, tuple[Order, Payment]] = field(default_factory=dict)
    refunds: dict[OrderKey, tuple[RefundOrder, Refund]] = field(default_factory=dict)
    recorded: dict[UUID, RecordedRoute] = field(default_factory=dict)
    told: list[tuple[UUID, str | None, RecordedEvent]] = field(default_factory=list)
    cut_at: UUID | None = None
    """How far searches come."""
    redelivered: Redelivered = field(default_factory=lambda: Redelivered(2, 1))
    """What comes of sending any event again."""

    async def order_taken(self, merchant_id: UUID, app: str, merchant_order_no: str) -> bool:
        return (merchant_id, app, merchant_order_no) in self.by_number

    async def checkout(self, merchant_id: UUID, app: str, checkout_id: UUID) -> Any:
        return None

    async def open(self, order: Order) -> OpenResult:
        self.entered.set()
        if self.pause is not None:
            await self.pause.wait()
        key = (order.merchant_id, order.app, order.merchant_order_no)
        if key in self.by_number:
            before, payment = self.by_number[key]
            if before.body != order.body:
                raise OrderConflictError
            return OpenResult(payment, replayed=True)
        if key in self.refunds:
            raise OrderConflictError
        if order.card_id is not None and order.card is None:
            raise CardNotFoundError
        payment = self.becomes(payment_of(order))
        self.orders.append(order)
        self.by_number[key] = (order, payment)
        self.tell(ObjectKind.PAYMENT, payment)
        return OpenResult(payment, replayed=False)

    def tell(self, kind: ObjectKind, about: Payment | Refund) -> None:
        """Write the event of an object's status, if it has one."""
        if about.status in EVENTS_OF[kind]:
            event = event_of(about, EVENTS_OF[kind][about.status], uuid7(), NOW)
            recorded = RecordedEvent(event.event_id, event.type, event.object, event.object_id, 1, NOW, event.body, ())
            self.told.append((about.merchant_id, about.app, recorded))

    def _of(self, merchant_id: UUID, app: str) -> list[Payment]:
        mine = [
            p for (merchant, its_app, _), (_, p) in self.by_number.items() if (merchant, its_app) == (merchant_id, app)
        ]
        return sorted(mine, key=lambda payment: payment.payment_id, reverse=True)

    async def payment(self, merchant_id: UUID, app: str, payment_id: UUID) -> Payment | None:
        return next((p for p in self._of(merchant_id, app) if p.payment_id == payment_id), None)

    async def payments(self, merchant_id: UUID, app: str, wanted: PaymentFilter) -> Found[Payment]:
        found = [
            p
            for p in self._of(merchant_id, app)
            if wanted.before is None or p.payment_id < wanted.before
            if wanted.status in (None, p.status) and wanted.user_id in (None, p.user_id)
            if wanted.merchant_order_no in (None, p.merchant_order_no)
        ]
        return Found(found[: wanted.limit], self.cut_at)

    async def refund(self, merchant_id: UUID, app: str, refund_id: UUID) -> Refund | None:
        return next(
            (
                refund
                for (merchant, its_app, _), (_, refund) in self.refunds.items()
                if (merchant, its_app, refund.refund_id) == (merchant_id, app, refund_id)
            ),
            None,
        )

    async def payout(self, merchant_id: UUID, app: str, payout_id: UUID) -> Payout | None:
        return None

    async def authentication(self, merchant_id: UUID, app: str, authentication_id: UUID) -> Authentication | None:
        return None

    async def route(self, merchant_id: UUID, app: str, route_id: UUID) -> RecordedRoute | None:
        found = self.recorded.get(route_id)
        return found if found and (found.merchant_id, found.app) == (merchant_id, app) else None

    async def decision(self, merchant_id: UUID, app: str, payment_id: UUID) -> dict[str, Any] | None:
        payment = await self.payment(merchant_id, app, payment_id)
        if payment is None:
            return None
        request = RouteRequest(payment.user_id, payment.scene, payment.bank, payment.amount, NOW)
        rules = [Candidate("tlt", payment.scene, payment.bank, FixedFee(50))]
        return dict(to_record(decide(request, rules, {}, 7)))

    async def timeline(
        self, merchant_id: UUID, app: str, payment_id: UUID, *, after: TimelinePosition | None, limit: int
    ) -> TimelinePage | None:
        found = await self.payment(merchant_id, app, payment_id)
        if found is None:
            return None
        return TimelinePage([PaymentOpened(found.created_at, found.kind, found.scene, found.amount)], None)

    async def events(
        self,
        merchant_id: UUID,
        app: str,
        *,
        of: tuple[ObjectKind, UUID] | None,
        event_type: str | None,
        before: UUID | None,
        limit: int,
    ) -> Found[RecordedEvent]:
        mine = [e for m, a, e in self.told if (m, a) == (merchant_id, app)]
        newest_first = sorted(mine, key=lambda event: event.event_id, reverse=True)
        found = [e for e in newest_first if of in (None, (e.object, e.object_id)) and event_type in (None, e.type)]
        return Found([e for e in found if before is None or e.event_id < before][:limit], self.cut_at)

    async def redeliver(self, merchant_id: UUID, app: str, event_id: UUID, now: datetime) -> Redelivered | None:
        known = {(m, a, e.event_id) for m, a, e in self.told}
        return self.redelivered if (merchant_id, app, event_id) in known else None

    async def facts(
        self, merchant_id: UUID, user_id: str, card: CardElements | None, card_id: UUID | None, now: datetime
    ) -> UserFacts:
        return UserFacts()


@dataclass
class FakePayouts:
    """Opens payouts, remembers what was asked for, and refuses as it is told: `PayoutsFlow`."""

    asked: list[PayoutOrder] = field(default_factory=list)
    refuses: PayoutRefusedError | None = None

    async def open(self, order: PayoutOrder) -> PayoutResult:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(order)
        opening = PayoutOpening(order, "tlt-1", UUID(int=77), UUID(int=78))
        return PayoutResult(new_payout(opening, NOW, NOW.date()))

    async def settle(self, merchant_id: UUID, app: str, payout_id: UUID, parts: tuple[Part, ...]) -> Payout | None:
        if self.refuses is not None:
            raise self.refuses
        return None

    async def release(self, merchant_id: UUID, payout_id: UUID, app: str | None) -> Payout | None:
        if self.refuses is not None:
            raise self.refuses
        return None


@dataclass
class FakeRefunds:
    """Opens refunds in the same books: `RefundsFlow`."""

    books: FakeBooks
    becomes: Callable[[Refund], Refund] = lambda refund: refund
    """What an opened refund is when the answer is made; may raise."""
    supported: bool = True
    with_anomalies: set[UUID] = field(default_factory=set)
    """Payments that have one."""

    async def open(self, order: RefundOrder) -> RefundResult | None:
        payment = await self.books.payment(order.merchant_id, order.app, order.payment_id)
        if payment is None:
            return None
        key = (order.merchant_id, order.app, order.merchant_order_no)
        if key in self.books.by_number:
            raise OrderConflictError
        if key in self.books.refunds:
            before, refund = self.books.refunds[key]
            if before.body != order.body:
                raise OrderConflictError
            return RefundResult(refund, replayed=True)
        refusal = None if self.supported else "refunds_not_supported"
        opening = RefundOpening(order, payment.user_id, uuid7(), uuid7(), NOW, refusal)
        found = {UUID(int=1): "late_failure"} if payment.payment_id in self.with_anomalies else {}
        money = refundable(payment, opening, found, None)
        others = [refund for _, refund in self.books.refunds.values() if refund.payment_id == payment.payment_id]
        left = payment.amount - sum(refund.amount for refund in others if refund.takes)
        if order.amount > left:
            raise AmountExceedsRestError(left)
        opening = RefundOpening(order, payment.user_id, uuid7(), uuid7(), NOW)
        refund = self.becomes(new_refund(opening, money, REFUND_TERMS, ZONE))
        self.books.refunds[key] = (order, refund)
        self.books.tell(ObjectKind.REFUND, refund)
        return RefundResult(refund, replayed=False, payment=payment)


@dataclass
class FakeRoutes:
    """Records routes in the same books: `RoutesFlow`."""

    books: FakeBooks
    orders: list[tuple[Order, timedelta]] = field(default_factory=list)

    async def record(self, order: Order, report_within: timedelta) -> RouteResult:
        if order.card_id is not None and order.card is None:
            raise CardNotFoundError
        for before, _ in self.orders:
            if before.merchant_order_no == order.merchant_order_no:
                if before.body != order.body:
                    raise OrderConflictError
                return RouteResult(next(iter(self.books.recorded.values())), replayed=True)
        self.orders.append((order, report_within))
        opening = RouteOpening(order, uuid7(), uuid7(), report_within, NOW)
        route = record_route(opening, order.card_id or uuid7(), UserFacts(), catalogue(), ZONE)
        self.books.recorded[route.route_id] = route
        return RouteResult(route, replayed=False)

    async def report(self, merchant_id: UUID, app: str, route_id: UUID, said: Report) -> ReportResult | None:
        route = await self.books.route(merchant_id, app, route_id)
        if route is None:
            return None
        done = after_report(route, said, NOW)
        self.books.recorded[route_id] = done.route
        return ReportResult(done.route, done.same, done.conflict)


@dataclass
class FakeCallbacks:
    """Knows the account `acme.unionpay` and believes bodies that begin with `signed`."""

    received: list[tuple[str, CallbackRequest]] = field(default_factory=list)

    async def receive(self, account_name: str, request: CallbackRequest) -> CallbackAnswer | None:
        if account_name != "acme.unionpay":
            return None
        self.received.append((account_name, request))
        if request.body.startswith(b"signed"):
            return CallbackAnswer(200, "text/plain", b"ok")
        return CallbackAnswer(400, "text/plain", b"rejected")


class FakeCards:
    """Knows one card, of user `u1`."""

    async def find_card(self, merchant_id: UUID, user_id: str, card_id: UUID) -> StoredCard | None:
        if (merchant_id, user_id, card_id) != (MERCHANT, "u1", ICBC_CARD_ID):
            return None
        return StoredCard(
            Card(card_id, mask_card_no(CARD_NO), "ICBC"),
            CardElements(CARD["card_no"], CARD["holder_name"], CARD["id_no"], CARD["phone"]),
        )


class FakeAuthentications:
    """Has taken one order, `sign-1`, with a card that is gone since."""

    async def open(self, asked: AuthenticationOrder) -> AuthenticationResult:
        if asked.merchant_order_no != "sign-1":
            raise CardNotFoundError
        assert (asked.card, asked.bank) == (None, "")
        known = {"app": "shop", "merchant_order_no": "sign-1", "card_masked": "622202******1234"}
        return AuthenticationResult(authentication(Status.SUCCEEDED, **known), replayed=True)


class FakeRedirects:
    """Nothing waits on a page."""

    def may_go(self, _: Payment) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class FakeCashier:
    """Nobody has a checkout."""

    def url_of(self, merchant_id: UUID, checkout_id: UUID) -> str:
        raise AssertionError(checkout_id)


@dataclass
class FakeGateway:
    """Everything that the API needs, with handles for tests."""

    books: FakeBooks = field(default_factory=FakeBooks)
    callbacks: FakeCallbacks = field(default_factory=FakeCallbacks)
    ready: bool = True
    observed: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.refunds = FakeRefunds(self.books)
        self.payouts = FakePayouts()
        self.routes = FakeRoutes(self.books)

    def api(self) -> Api:
        snapshot = catalogue()
        return Api(
            settings=Settings(admin_token=SecretStr(ADMIN)),
            payments=self.books,
            payer=cast("Any", None),
            authentications=FakeAuthentications(),
            shown_cards=cast("Any", None),
            unbinding=cast("Any", None),
            refunds=self.refunds,
            payouts=self.payouts,
            routes=self.routes,
            checkouts=cast("Any", None),
            cashier=cast("Any", FakeCashier()),
            reading=self.books,
            callbacks=self.callbacks,
            cards=FakeCards(),
            redirects=FakeRedirects(),
            returns=cast("Any", None),
            catalogue=lambda: snapshot,
            readiness=self._readiness,
            metrics=lambda: b"sluice_up 1\n",
            clock=lambda: NOW,
            observe=lambda method, path, status, seconds: self.observed.append((method, path, status)),
            comes_back=lambda error: isinstance(error, ConnectionError),
            connection_lost=lambda error: isinstance(error, ConnectionError),
        )

    async def _readiness(self) -> Readiness:
        return Readiness(
            self.ready,
            database=self.ready,
            migrations=True,
            ticks={"poll": 0.5, "notify": None},
            unusable_accounts=["acme.up-1"],
            assumptions=[AssumedHere("acme.tl-1", Assumption("scene_code", "Withholds have code 1."))],
        )


def payment_of(order: Order) -> Payment:
    """What becomes of an order: sent to `tlt`, no answer yet."""
    payment_id = uuid7()
    attempt = Intent(
        intent_id=uuid7(),
        object_id=payment_id,
        verb=Verb.PAY,
        ordinal=1,
        channel="tlt",
        account="tlt",
        number=number_of(payment_id),
        told_at=NOW,
        recorded_at=NOW,
        amount=order.amount,
    )
    card = Card(order.card_id or uuid7(), mask_card_no(order.card.card_no), order.bank) if order.card else None
    return Payment(
        merchant_id=order.merchant_id,
        payment_id=payment_id,
        app=order.app,
        merchant_order_no=order.merchant_order_no,
        kind=order.kind,
        scene=order.scene,
        user_id=order.user_id,
        bank=order.bank,
        amount=order.amount,
        currency=order.currency,
        status=Status.PROCESSING,
        card=card,
        channel="tlt",
        account="tlt",
        channel_order_no=attempt.number,
        authentication_id=None,
        expected_fee=50,
        fee=None,
        authentication_fee=None,
        failure=None,
        attempt=attempt,
        due_at=None,
        until_at=None,
        sequence=0,
        created_at=NOW,
        finished_at=None,
        business_day=NOW.date(),
        description=order.description,
        metadata=order.metadata,
    )


def refused(payment: Payment) -> Payment:
    """Refused by the router."""
    why = failure(FailureCode.SINGLE_LIMIT_EXCEEDED)
    return replace(
        payment,
        status=Status.FAILED,
        channel=None,
        account=None,
        channel_order_no=None,
        expected_fee=None,
        attempt=None,
        failure=why,
        finished_at=NOW,
    )


def succeeded(payment: Payment) -> Payment:
    """Paid at once."""
    assert payment.attempt is not None
    attempt = replace(
        payment.attempt,
        state=IntentState.DONE,
        channel_transaction_no="theirs-1",
        channel_finished_at=NOW,
        ended_at=NOW,
    )
    return replace(payment, status=Status.SUCCEEDED, fee=payment.expected_fee, attempt=attempt, finished_at=NOW)
