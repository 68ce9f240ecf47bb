"""Payments, orders and catalogues that tests start from, each differing only in what the test names."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from gateway.domain.cards import Card, CardElements
from gateway.domain.catalogue import (
    ANY_BANK,
    Account,
    AuthenticationMode,
    Catalogue,
    Channel,
    Endpoint,
    Merchant,
    RouteRule,
)
from gateway.domain.failures import FailureCode, failure
from gateway.domain.orders import Order
from gateway.domain.payments import FINAL, Attempt, Due, DueKind, Payment, Stage, Status
from gateway.domain.scenes import Kind, Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.flows.opening import Opening
from router import ChannelLimits, FixedFee, RuleLimits
from router.limits import Limits

L = TypeVar("L", bound=Limits)

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
MERCHANT_ID = UUID(int=0xA)
PAYMENT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ATTEMPT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
AUTHENTICATION_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8059")
CARD_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8060")
BANK = "ICBC"

LOST = NotFoundRule(answers=3, over_s=300.0)
TERMS = Terms(poll_gaps_s=(2.0, 10.0, 60.0), not_found=LOST, answer_timeout_s=30.0)
AUTHENTICATION_TERMS = Terms(poll_gaps_s=(1.0,), not_found=None, answer_timeout_s=20.0)


def terms_of(merchant_id: UUID, account: str, product: Product) -> Terms:
    """Every account's terms: those of the two products are not the same."""
    return {Product.PAYMENT: TERMS, Product.AUTHENTICATION: AUTHENTICATION_TERMS}[product]


def later(**duration: float) -> datetime:
    return NOW + timedelta(**duration)


def card_elements(number: int = 1) -> CardElements:
    """A made-up card; another number is another card."""
    return CardElements(f"622202{number:010d}{number % 1000:03d}", "张三", "11010519491231002X", "13800000000")


def attempt(stage: Stage = Stage.PAYING, **known: Any) -> Attempt:
    base = Attempt(
        attempt_id=ATTEMPT_ID,
        channel="up",
        account="up-1",
        stage=stage,
        authentication_id=AUTHENTICATION_ID if stage is Stage.AUTHENTICATING else None,
        submitted_at=NOW,
    )
    return replace(base, **known)


def payment(status: Status = Status.PROCESSING, stage: Stage | None = Stage.PAYING, **known: Any) -> Payment:
    """A payment of 10.00 yuan in a state that the database would take. `stage` None: refused by the router."""
    final = status in FINAL
    base = Payment(
        merchant_id=MERCHANT_ID,
        payment_id=PAYMENT_ID,
        app="shop",
        merchant_order_no="order-1",
        kind=Kind.WITHHOLD,
        scene=Scene.WITHHOLD,
        user_id="u1",
        bank=BANK,
        amount=1000,
        currency="CNY",
        status=status,
        card=Card(CARD_ID, "622202******1234", BANK),
        channel="up" if stage else None,
        fee=50 if stage else None,
        failure=failure(FailureCode.INSUFFICIENT_BALANCE) if status is Status.FAILED else None,
        attempt=attempt(stage) if stage else None,
        due=None if final else Due(DueKind.POLL, later(seconds=35)),
        sequence=1 if final else 0,
        created_at=NOW,
        finished_at=later(seconds=1) if final else None,
        business_day=date(2026, 3, 5),
        description=None,
        metadata={},
    )
    return replace(base, **known)


def order(order_no: str = "order-1", **known: Any) -> Order:
    """A withhold of 10.00 yuan. The canonical body follows what is asked for, unless it is given."""
    base = Order(
        merchant_id=MERCHANT_ID,
        app="shop",
        merchant_order_no=order_no,
        kind=Kind.WITHHOLD,
        scene=Scene.WITHHOLD,
        user_id="u1",
        amount=1000,
        currency="CNY",
        bank=BANK,
        bank_by_bin=BANK,
        card=card_elements(),
        card_id=None,
        customer_present=False,
        description=None,
        metadata={},
        return_url=None,
        expires_in_s=None,
        body=b"",
    )
    asked = replace(base, **({"bank_by_bin": known.get("bank", BANK)} | known))
    body = f"{asked.merchant_order_no} {asked.user_id} {asked.amount} {asked.bank}".encode()
    return asked if "body" in known else replace(asked, body=body)


def opening(asked: Order, now: datetime = NOW) -> Opening:
    """An order with fresh ids."""
    return Opening(asked, uuid4(), uuid4(), uuid4(), uuid4(), uuid4(), now)


def channel(code: str, mode: AuthenticationMode = AuthenticationMode.NONE, **known: Any) -> Channel:
    """A channel with an account of its own (`up` has `up-1`). Its limits are given by name."""
    limits = limits_among(known, ChannelLimits)
    base = Channel(MERCHANT_ID, code, f"{code}-1", code, on=True, authentication={ANY_BANK: mode}, limits=limits)
    return replace(base, **known)


def rule(channel_code: str, fee: int = 50, **known: Any) -> RouteRule:
    """A rule. Its limits are given by name."""
    limits = limits_among(known, RuleLimits)
    base = RouteRule(MERCHANT_ID, channel_code, Scene.WITHHOLD, BANK, True, FixedFee(fee), limits=limits)
    return replace(base, **known)


def limits_among(known: dict[str, Any], kind: type[L]) -> L:
    """The limits among what is known, which loses them."""
    return kind(**{each.name: known.pop(each.name) for each in kind.each() if each.name in known})


def endpoint(number: int, app: str | None = None, event_types: frozenset[str] | None = None, **known: Any) -> Endpoint:
    base = Endpoint(
        merchant_id=MERCHANT_ID,
        endpoint_id=UUID(int=number),
        app=app,
        url="https://example.com/hook",
        event_types=event_types,
        allow_private=False,
        stopped=False,
        secrets=(),
    )
    return replace(base, **known)


def catalogue(
    channels: tuple[Channel, ...], rules: tuple[RouteRule, ...], endpoints: tuple[Endpoint, ...] = (), version: int = 7
) -> Catalogue:
    """One merchant with these channels and rules."""
    return Catalogue(
        version,
        merchants=(Merchant(MERCHANT_ID, "acme", "Acme"),),
        accounts=tuple(Account(MERCHANT_ID, c.account, "mock", {}) for c in channels),
        channels=channels,
        rules=rules,
        endpoints=endpoints,
    )
