"""Intents, objects, orders and catalogues that tests start from, each differing only in what the test names."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import orjson

from gateway.domain.authentications import Authentication
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
from gateway.domain.checkouts import CheckoutOrder, CheckoutPurpose, Method
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import number_of
from gateway.domain.intents import Intent, IntentState, Verb
from gateway.domain.orders import Order, PayoutOrder, RefundOrder
from gateway.domain.outcomes import ReturnReason
from gateway.domain.payees import Payee, PayeeType
from gateway.domain.payments import Payment
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.payouts import Hold, Part, Payout, ShownPayee
from gateway.domain.refunds import Refund
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import FINAL, Status
from gateway.domain.terms import NotFoundRule, Product, Terms, Watch
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
REFUND_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8061")
AUTHENTICATION_INTENT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8062")
REFUND_INTENT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8063")
PAYOUT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8067")
PAYOUT_INTENT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8068")
BANK = "ICBC"
ZONE = ZoneInfo("Asia/Shanghai")

LOST = NotFoundRule(answers=3, over_s=300.0)
LATE_LOOKS = 3
"""An hour after the end, six hours after it, and the next morning: few enough to be told one by one."""
TERMS = Terms(poll_gaps_s=(2.0, 10.0, 60.0), not_found=LOST, answer_timeout_s=30.0, late_looks=LATE_LOOKS)
AUTHENTICATION_TERMS = Terms(poll_gaps_s=(1.0,), not_found=None, answer_timeout_s=20.0, late_looks=LATE_LOOKS)
REDIRECT_TERMS = Terms(poll_gaps_s=(60.0, 300.0), not_found=LOST, answer_timeout_s=30.0, late_looks=LATE_LOOKS)
REFUND_TERMS = Terms(
    poll_gaps_s=(5.0, 30.0),
    not_found=NotFoundRule(answers=2, over_s=600.0),
    answer_timeout_s=25.0,
    late_looks=LATE_LOOKS,
)
PAYOUT_TERMS = Terms(poll_gaps_s=(7.0, 40.0), not_found=NotFoundRule(answers=2, over_s=900.0), answer_timeout_s=26.0,
                     late_looks=LATE_LOOKS,
                     watch=Watch(gaps_s=(3600.0, 7200.0), for_s=20_000.0, listed_days=2))  # fmt: skip


def terms_of(merchant_id: UUID, account: str, product: Product) -> Terms:
    """Every account's terms: those of two products are not the same."""
    return {
        Product.PAYMENT: TERMS,
        Product.AUTHENTICATION: AUTHENTICATION_TERMS,
        Product.REDIRECT: REDIRECT_TERMS,
        Product.REFUND: REFUND_TERMS,
        Product.PAYOUT: PAYOUT_TERMS,
    }[product]


def later(**duration: float) -> datetime:
    return NOW + timedelta(**duration)


def card_elements(number: int = 1) -> CardElements:
    """A made-up card; another number is another card."""
    return CardElements(f"622202{number:010d}{number % 1000:03d}", "张三", "11010519491231002X", "13800000000")


OBJECT_ID_OF = {
    Verb.AUTHENTICATE: AUTHENTICATION_ID,
    Verb.PAY: PAYMENT_ID,
    Verb.REFUND: REFUND_ID,
    Verb.PAYOUT: PAYOUT_ID,
}
INTENT_ID_OF = {
    Verb.AUTHENTICATE: AUTHENTICATION_INTENT_ID,
    Verb.PAY: ATTEMPT_ID,
    Verb.REFUND: REFUND_INTENT_ID,
    Verb.PAYOUT: PAYOUT_INTENT_ID,
}
STATE_OF = {
    Status.PROCESSING: IntentState.OPEN,
    Status.REQUIRES_ACTION: IntentState.OPEN,
    Status.SUCCEEDED: IntentState.DONE,
    Status.FAILED: IntentState.DECLINED,
    Status.CLOSED: IntentState.NOT_RECEIVED,
    Status.RETURNED: IntentState.RETURNED,
}
"""How the intent stands of a sample in this status."""


def intent(verb: Verb = Verb.PAY, state: IntentState = IntentState.OPEN, **known: Any) -> Intent:
    """What was sent for a sample object, of 10.00 yuan where money moves. It ended a second after it was recorded."""
    base = Intent(
        intent_id=INTENT_ID_OF[verb],
        object_id=OBJECT_ID_OF[verb],
        verb=verb,
        ordinal=1,
        channel="up",
        account="up-1",
        number=number_of(OBJECT_ID_OF[verb]),
        told_at=NOW,
        recorded_at=NOW,
        amount=None if verb is Verb.AUTHENTICATE else 1000,
        state=state,
        ended_at=None if state is IntentState.OPEN else later(seconds=1),
    )
    return replace(base, **known)


def sent(authentication: Authentication) -> Intent:
    """What was sent for an authentication to bind its card."""
    assert authentication.intent is not None
    return authentication.intent


def attempt(state: IntentState = IntentState.OPEN, **known: Any) -> Intent:
    """The intent to pay of the sample payment."""
    return intent(Verb.PAY, state, **known)


def payment(status: Status = Status.PROCESSING, **known: Any) -> Payment:
    """A payment of 10.00 yuan that was sent, in a state that the database would take."""
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
        channel="up",
        account="up-1",
        channel_order_no=number_of(PAYMENT_ID),
        authentication_id=None,
        expected_fee=50,
        fee=50 if status is Status.SUCCEEDED else None,
        authentication_fee=None,
        failure=failure(FailureCode.INSUFFICIENT_BALANCE) if status is Status.FAILED else None,
        attempt=attempt(STATE_OF[status]),
        due_at=None if final else later(seconds=35),
        until_at=later(minutes=15) if status is Status.REQUIRES_ACTION else None,
        sequence=1 if final else 0,
        created_at=NOW,
        finished_at=later(seconds=1) if final else None,
        business_day=date(2026, 3, 5),
        description=None,
        metadata={},
    )
    return replace(base, **known)


def waiting_payment(**known: Any) -> Payment:
    """A payment that has sent nothing: its card is being authenticated, by the sample authentication."""
    return payment(**({"attempt": None, "authentication_id": AUTHENTICATION_ID, "due_at": later(seconds=25)} | known))


def refused_payment(**known: Any) -> Payment:
    """A payment that the router refused: it has no channel, and nothing of it was sent."""
    nothing = dict.fromkeys(("attempt", "channel", "account", "channel_order_no", "expected_fee"))
    return payment(Status.FAILED, **({"failure": failure(FailureCode.NO_CHANNEL_AVAILABLE)} | nothing | known))


def authentication(status: Status = Status.PROCESSING, **known: Any) -> Authentication:
    """The authentication that the sample payment started, for 1.00 yuan."""
    final = status in FINAL
    base = Authentication(
        merchant_id=MERCHANT_ID,
        authentication_id=AUTHENTICATION_ID,
        payment_id=PAYMENT_ID,
        user_id="u1",
        card_id=CARD_ID,
        bank=BANK,
        channel="up",
        account="up-1",
        status=status,
        fee=100,
        failure=failure(FailureCode.AUTHENTICATION_REJECTED) if status is Status.FAILED else None,
        contradicts=False,
        intent=intent(Verb.AUTHENTICATE, STATE_OF[status]),
        due_at=None if final else later(seconds=25),
        created_at=NOW,
        finished_at=later(seconds=1) if final else None,
    )
    return replace(base, **known)


def refund(status: Status = Status.PROCESSING, **known: Any) -> Refund:
    """The sample payment's 10.00 yuan on their way back."""
    final = status in FINAL
    base = Refund(
        merchant_id=MERCHANT_ID,
        refund_id=REFUND_ID,
        app="shop",
        merchant_order_no="refund-1",
        payment_id=PAYMENT_ID,
        user_id="u1",
        scene=Scene.WITHHOLD,
        amount=1000,
        currency="CNY",
        status=status,
        reason=None,
        failure=failure(FailureCode.CHANNEL_REFUSED) if status is Status.FAILED else None,
        returned=ReturnReason.PAYEE_ACCOUNT_INVALID if status is Status.RETURNED else None,
        intent=intent(Verb.REFUND, STATE_OF[status]),
        due_at=None if final else later(seconds=30),
        sequence={Status.PROCESSING: 0, Status.RETURNED: 2}.get(status, 1),
        created_at=NOW,
        finished_at=later(seconds=1) if final else None,
        business_day=date(2026, 3, 5),
        metadata={},
    )
    return replace(base, **known)


LENDER = Payee(
    PayeeType.CORPORATE, "11001234567890123", "某某信托有限公司", BANK, "北京分行", "102100099996", "北京", "北京"
)


def payout(status: Status = Status.PROCESSING, held_for: Hold | None = None, **known: Any) -> Payout:
    """10.00 yuan that are paid out, in a state that the database would take."""
    final, sent = status in FINAL, held_for in (None, Hold.SUSPICION)
    base = Payout(
        merchant_id=MERCHANT_ID,
        payout_id=PAYOUT_ID,
        app="shop",
        merchant_order_no="payout-1",
        channel="up",
        account="up-1",
        payee=ShownPayee(PayeeType.CORPORATE, "110012*******0123", BANK),
        amount=1000,
        currency="CNY",
        purpose="归集还款",
        status=status,
        held_for=held_for,
        suspicion=None,
        expected_fee=None,
        fee=None,
        failure=failure(FailureCode.CHANNEL_REFUSED) if status is Status.FAILED else None,
        returned=ReturnReason.PAYEE_ACCOUNT_INVALID if status is Status.RETURNED else None,
        intent=intent(Verb.PAYOUT, STATE_OF[status]) if sent else None,
        due_at=later(seconds=31) if sent and not final else None,
        until_at=later(days=7) if held_for else None,
        parts=0,
        settles=0,
        sequence={Status.PROCESSING: 0, Status.RETURNED: 2}.get(status, 1),
        created_at=NOW,
        finished_at=later(seconds=1) if final else None,
        business_day=date(2026, 3, 5),
        metadata={},
    )
    return replace(base, **known)


def payout_order(order_no: str = "payout-1", **known: Any) -> PayoutOrder:
    """A payout of 10.00 yuan to a lender."""
    parts: tuple[Part, ...] = ()
    base = PayoutOrder(MERCHANT_ID, "shop", order_no, "up", LENDER, 1000, "CNY", "归集还款", parts, False, {}, b"")
    asked = replace(base, **known)
    return asked if "body" in known else replace(asked, body=f"{asked.merchant_order_no} {asked.amount}".encode())


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


def refund_order(order_no: str = "refund-1", **known: Any) -> RefundOrder:
    """A refund of 10.00 yuan of the payment of `payment()`."""
    base = RefundOrder(MERCHANT_ID, "shop", order_no, PAYMENT_ID, 1000, None, {}, b"")
    asked = replace(base, **known)
    body = f"{asked.merchant_order_no} {asked.payment_id} {asked.amount}".encode()
    return asked if "body" in known else replace(asked, body=body)


def checkout_order(number: str = "recharge-1", **known: Any) -> CheckoutOrder:
    """An order of 10.00 yuan that its payer pays on our pages."""
    base: dict[str, Any] = {
        "merchant_id": MERCHANT_ID,
        "app": "shop",
        "merchant_order_no": number,
        "purpose": CheckoutPurpose.PAY,
        "user_id": "u1",
        "amount": 1000,
        "currency": "CNY",
        "description": "充值",
        "methods": tuple(Method),
        "custody_user_no": None,
        "return_url": "https://shop.example/done",
        "expires_in_s": 600,
        "metadata": {},
    }
    asked = base | known
    if asked["purpose"] is CheckoutPurpose.SIGN:
        asked |= {"amount": None, "currency": None, "methods": ()}
    body = orjson.dumps({name: str(value) for name, value in sorted(asked.items())})
    return CheckoutOrder(**({"body": body} | asked))


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
    channels: tuple[Channel, ...],
    rules: tuple[RouteRule, ...],
    endpoints: tuple[Endpoint, ...] = (),
    version: int = 7,
    payout_rules: tuple[PayoutRule, ...] = (),
    **merchant: Any,
) -> Catalogue:
    """One merchant with these channels and rules, and what else is said of it."""
    return Catalogue(
        version,
        merchants=(Merchant(MERCHANT_ID, "acme", "Acme", **merchant),),
        accounts=tuple(Account(MERCHANT_ID, c.account, "mock", {}) for c in channels),
        channels=channels,
        rules=rules,
        endpoints=endpoints,
        payout_rules=payout_rules,
    )
