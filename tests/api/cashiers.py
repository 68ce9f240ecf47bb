"""A cashier that shows what it is told to, and keeps what payers ask it: how its pages are tested without anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gateway.domain.checkouts import Checkout, CheckoutPurpose, Method
from gateway.domain.codes import Asked, ClosedReason, Purpose
from gateway.domain.failures import Failure, FailureCode, failure
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import FINAL, Status
from gateway.flows.cashier import Shown, Try
from gateway.flows.offers import BankOffer, CardOffer, Offer, Offers
from gateway.ports import ShownCard
from tests.unit.domain.samples import CARD_ID, MERCHANT_ID, NOW, attempt, authentication, payment

__all__ = [
    "BASE",
    "CHECKOUT_ID",
    "OFFERS",
    "STATES",
    "TOKEN",
    "FakeCashier",
    "checkout",
    "failed",
    "in_state",
    "offers",
    "refused",
    "waits_for_code",
    "waits_on_page",
]

BASE, TOKEN, FORM_TOKEN = "https://pay.example", "tok", "form-token"
CHECKOUT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8070")


def checkout(status: Status = Status.OPEN, **known: Any) -> Checkout:
    """A checkout of 1,234.56 yuan, opened a minute ago, with half an hour."""
    base = Checkout(
        merchant_id=MERCHANT_ID,
        checkout_id=CHECKOUT_ID,
        app="shop",
        merchant_order_no="recharge-1",
        purpose=CheckoutPurpose.PAY,
        user_id="u1",
        amount=123_456,
        currency="CNY",
        description="账户充值",
        methods=tuple(Method),
        custody_user_no=None,
        return_url="https://shop.example/b?o=7&payment=x#/done",
        status=status,
        won_by=None,
        tries=0,
        codes=0,
        sequence=0,
        expires_at=NOW + timedelta(minutes=29),
        until_at=None if status in FINAL else NOW + timedelta(minutes=29),
        created_at=NOW - timedelta(minutes=1),
        finished_at=NOW if status in FINAL else None,
        metadata={},
    )
    return replace(base, **known)


def signing(**known: Any) -> Checkout:
    """One by which a card is signed."""
    nothing: dict[str, Any] = {"amount": None, "currency": None, "methods": ()}
    return checkout(**({"purpose": CheckoutPurpose.SIGN} | nothing | known))


def of(checkout: Checkout, *tries: Try) -> Shown:
    return Shown(replace(checkout, tries=len(tries)), tries)


def charge(status: Status, **known: Any) -> Any:
    return payment(status, **({"kind": Kind.CHARGE, "scene": Scene.QUICK_CHARGE, "amount": 123_456} | known))


def waits_for_code(purpose: Purpose = Purpose.PAY, **asked: Any) -> Any:
    """A payment whose payer was sent an SMS 20 seconds ago."""
    sent = NOW - timedelta(seconds=20)
    of_it = replace(Asked(purpose, "138****8000", "1", sent, sms=1, sms_at=sent), **asked)
    return charge(Status.REQUIRES_ACTION, asked=of_it, attempt=None, created_at=sent)


def waits_on_page(**known: Any) -> Any:
    """A payment whose payer is to go to a bank's page, for a quarter of an hour."""
    asked = Asked(Purpose.REDIRECT, "", "1", NOW, url=f"{BASE}/pay/page-token")
    page = {"asked": asked, "scene": Scene.NETBANK_CHARGE, "card": None, "created_at": NOW, "expires_in_s": 900}
    return charge(Status.REQUIRES_ACTION, **(page | known))


def failed(code: FailureCode = FailureCode.CHANNEL_UNAVAILABLE, **known: Any) -> Any:
    """A payment that failed for this."""
    limit = known.pop("limit", {})
    return charge(Status.FAILED, failure=replace(failure(code), **limit), **known)


OPEN_OFFER = Offer(None, 500_000)


def refused(code: FailureCode, **known: Any) -> Offer:
    why: Failure = replace(failure(code), **known)
    return Offer(why, 100_000)


def card_offer(offer: Offer = OPEN_OFFER, *, number: int = 0, bank: str = "ICBC") -> CardOffer:
    card_id = UUID(int=CARD_ID.int + number)
    return CardOffer(ShownCard(card_id, "u1", f"622202******{1234 + number}", bank, NOW, ("up-1",)), offer)


def offers(**known: Any) -> Offers:
    """Two cards, one of which cannot carry the amount; new cards; banks of every method."""
    too_much = refused(FailureCode.SINGLE_LIMIT_EXCEEDED, max_amount_now=100_000)
    everything = Offers(
        cards=(card_offer(), card_offer(too_much, number=1, bank="SPABANK")),
        new_card=True,
        card_banks=tuple(BankOffer(Method.QUICK, bank, OPEN_OFFER) for bank in ("ABC", "ICBC")),
        banks=(
            BankOffer(Method.NETBANK, "ABC", OPEN_OFFER),
            BankOffer(Method.NETBANK, "CMB", too_much),
            BankOffer(Method.NETBANK, "SPDB", refused(FailureCode.DAILY_LIMIT_EXCEEDED, max_amount_now=0)),
            BankOffer(Method.NETBANK, "CITIC", refused(FailureCode.NO_CHANNEL_AVAILABLE)),
            BankOffer(Method.CUSTODY_QUICK, "ICBC", Offer(None, None)),
            BankOffer(Method.CUSTODY_NETBANK, "ANY", Offer(None, None)),
        ),
    )
    return replace(everything, **known)


OFFERS = offers()


def _authentication(status: Status, **known: Any) -> Any:
    return authentication(status, **({"payment_id": None, "app": "shop", "merchant_order_no": "recharge-1~1"} | known))


STATES: dict[str, Callable[[], Shown]] = {
    "choose": lambda: of(checkout()),
    "sign": lambda: of(signing(description=None)),
    "code": lambda: of(checkout(), waits_for_code()),
    "code that signs": lambda: of(checkout(), waits_for_code(Purpose.SIGN, sms=2)),
    "code is being sent": lambda: of(checkout(), waits_for_code(sending=True)),
    "code was wrong": lambda: of(checkout(), waits_for_code(wrong=2, submitted=2)),
    "code is used up": lambda: of(checkout(), waits_for_code(wrong=1, submitted=3, sms=4)),
    "bank": lambda: of(checkout(), waits_on_page()),
    "waiting": lambda: of(checkout(), charge(Status.PROCESSING)),
    "waiting for a card": lambda: of(signing(), _authentication(Status.PROCESSING)),
    "paid": lambda: of(checkout(Status.SUCCEEDED), charge(Status.SUCCEEDED)),
    "card added": lambda: of(signing(status=Status.SUCCEEDED), _authentication(Status.SUCCEEDED)),
    "card refused": lambda: of(signing(), _authentication(Status.FAILED)),
    "given up": lambda: of(checkout(), charge(Status.CLOSED, closed_reason=ClosedReason.BY_PAYER)),
    "ended by the app": lambda: of(checkout(), charge(Status.CLOSED, closed_reason=ClosedReason.BY_APP)),
    "too late": lambda: of(checkout(), charge(Status.CLOSED, closed_reason=ClosedReason.EXPIRED)),
    "paid late": lambda: of(checkout(), charge(Status.CLOSED, attempt=attempt(late_success=True))),
    "paid late, and tried again": lambda: of(
        checkout(), charge(Status.FAILED, attempt=attempt(late_success=True)), waits_for_code()
    ),
    "expired": lambda: of(checkout(Status.EXPIRED)),
    "canceled": lambda: of(checkout(Status.CANCELED)),
    **{f"failed: {code}": (lambda code=code: of(checkout(), failed(code))) for code in FailureCode},  # type: ignore[misc]
}
"""How a checkout can stand."""


def in_state(name: str) -> Shown:
    return STATES[name]()


@dataclass
class FakeCashier:
    """What `gateway.flows.cashier.Cashier` is to the pages. `done`: what payers asked for; `raises`: how it answers."""

    shown: Shown
    offered: Offers = OFFERS
    cancels: bool = True
    done: list[tuple[str, Any]] = field(default_factory=list)
    raises: Exception | None = None
    name: str = "上海示例科技"
    robots: int = 0
    now: datetime = NOW
    public_base: str = BASE

    def clock(self) -> datetime:
        return self.now

    def url_of(self, _merchant_id: UUID, _checkout_id: UUID) -> str:
        return f"{BASE}/checkout/{TOKEN}"

    def form_token(self, _: Checkout) -> str:
        return FORM_TOKEN

    def merchant_name(self, _: Checkout) -> str:
        return self.name

    async def of_token(self, token: str) -> Shown | None:
        return self.shown if token == TOKEN else None

    async def offers(self, _: Checkout) -> Offers:
        return self.offered

    def sign_banks(self, _: Checkout) -> Sequence[str]:
        return ["ABC", "ICBC"]

    def may_cancel(self, _: Any) -> bool:
        return self.cancels

    async def pay(self, _: Checkout, ordinal: int, choice: Any) -> None:
        self._do(f"pay {ordinal}", choice)

    async def sign(self, _: Checkout, ordinal: int, choice: Any) -> None:
        self._do(f"sign {ordinal}", choice)

    async def confirm(self, _: Try, sms_code: str) -> None:
        self._do("confirm", sms_code)

    async def resend(self, _: Try) -> None:
        self._do("resend", None)

    async def leave(self, _: Try) -> None:
        self._do("leave", None)

    async def robot(self, _: Checkout) -> None:
        self.robots += 1

    def _do(self, what: str, about: Any) -> None:
        self.done.append((what, about))
        if self.raises is not None:
            raise self.raises
