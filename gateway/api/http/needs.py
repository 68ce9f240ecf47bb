"""What the API needs from the rest of the gateway; `gateway.run.wiring` fills it in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import Checkout, CheckoutOrder
from gateway.domain.clocks import Verdict
from gateway.domain.orders import AuthenticationOrder, Order, PayoutOrder, RefundOrder
from gateway.domain.payments import Payment
from gateway.domain.payouts import Part, Payout
from gateway.domain.recorded_routes import Report
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.flows.authentication import AuthenticationResult
from gateway.flows.cashier import Cashier
from gateway.flows.payer import PayerFlow
from gateway.flows.payout_acts import PayoutResult
from gateway.flows.recorded_routes import ReportResult, RouteResult
from gateway.flows.route import ABLE, Unable
from gateway.ports import (
    AssumedHere,
    CallbackAnswer,
    CallbackRequest,
    CheckoutResult,
    OpenResult,
    Reading,
    RefundResult,
    ShownCard,
    StoredCard,
)
from gateway.settings import Settings

__all__ = [
    "Api",
    "CallbacksFlow",
    "CardsByUser",
    "PaymentsFlow",
    "PayoutsFlow",
    "Readiness",
    "RefundsFlow",
    "RoutesFlow",
]


class PaymentsFlow(Protocol):
    """Opens payments."""

    async def open(self, order: Order) -> OpenResult:
        """Open the payment, or find it. Raises OrderConflictError and OverloadedError."""
        ...


class AuthenticationsFlow(Protocol):
    """Opens authentications."""

    async def open(self, order: AuthenticationOrder) -> AuthenticationResult:
        """Open it, or find it. Raises OrderConflictError, CardNotFoundError and OverloadedError."""
        ...


class ShownCards(Protocol):
    """Reads cards as apps see them."""

    async def of_user(self, merchant_id: UUID, user_id: str, limit: int) -> list[ShownCard]: ...

    async def one(self, merchant_id: UUID, card_id: UUID) -> ShownCard | None: ...


class GivesUpCards(Protocol):
    """Hides cards and has their agreements ended."""

    async def give_up(self, merchant_id: UUID, card_id: UUID, now: datetime) -> bool:
        """False: there is no such card. Raises CardInUseError."""
        ...


class RefundsFlow(Protocol):
    """Opens refunds."""

    async def open(self, order: RefundOrder) -> RefundResult | None:
        """Open the refund, or find it; None: no such payment of this app.

        Raises OrderConflictError, OverloadedError, PaymentNotRefundableError and AmountExceedsRestError.
        """
        ...


class PayoutsFlow(Protocol):
    """Opens payouts, settles payments with them, releases them. Raises PayoutRefusedError and OverloadedError."""

    async def open(self, order: PayoutOrder) -> PayoutResult:
        """Open the payout, or find it. Raises OrderConflictError, too."""
        ...

    async def settle(self, merchant_id: UUID, app: str, payout_id: UUID, parts: tuple[Part, ...]) -> Payout | None:
        """None: there is no such payout of this app."""
        ...

    async def release(self, merchant_id: UUID, payout_id: UUID, app: str | None) -> Payout | None:
        """None: there is no such payout of this app."""
        ...


class RoutesFlow(Protocol):
    """Records routes for apps that execute elsewhere."""

    async def record(self, order: Order, report_within: timedelta) -> RouteResult:
        """Decide and reserve, or find what was recorded. Raises OrderConflictError, CardNotFoundError and
        OverloadedError."""
        ...

    async def report(self, merchant_id: UUID, app: str, route_id: UUID, said: Report) -> ReportResult | None:
        """Take a report; None: no such route of this app. Raises OverloadedError."""
        ...


class CheckoutsFlow(Protocol):
    """Opens and gives up checkouts."""

    async def open(self, order: CheckoutOrder) -> CheckoutResult:
        """Open it, or find it. Raises OrderConflictError and OverloadedError."""
        ...

    async def cancel(self, checkout: Checkout, tries: Sequence[Payment | Authentication]) -> Checkout:
        """Raises ActRefusedError and OverloadedError."""
        ...


class CallbacksFlow(Protocol):
    """Takes callbacks of PSPs."""

    async def receive(self, account_name: str, request: CallbackRequest) -> CallbackAnswer | None:
        """Believe it or not, and say what that PSP wants to read; None: there is no such account."""
        ...


class ComesBack(Protocol):
    """Takes what a payer's browser brings from a PSP."""

    async def came_back(self, account_name: str, request: CallbackRequest) -> tuple[UUID, UUID] | None:
        """Believe it or not; merchant and payment that it is truly about, None: it is not believed."""
        ...


class RedirectsFlow(Protocol):
    """Leads payers to their PSP and back."""

    def may_go(self, payment: Payment) -> bool: ...

    def seconds_left(self, payment: Payment) -> int: ...

    def merchant_name(self, payment: Payment) -> str: ...

    def page_of(self, payment: Payment) -> str: ...

    async def of_token(self, token: str) -> Payment | None: ...

    async def of_return(
        self, account_name: str, token: str | None, heard_of: tuple[UUID, UUID] | None
    ) -> Payment | None: ...

    async def form(self, payment: Payment) -> Form:
        """Raises UnusableAccountError."""
        ...

    async def way_back(self, payment: Payment) -> str | None: ...


class CardsByUser(Protocol):
    """Finds cards that are known already."""

    async def find_card(self, merchant_id: UUID, user_id: str, card_id: UUID) -> StoredCard | None:
        """A card of this user, or None: unknown, or somebody else's."""
        ...


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process can take payments now. `ticks`: how long ago each job last ran, in seconds; None: never."""

    ready: bool
    database: bool
    migrations: bool
    ticks: Mapping[str, float | None] = field(default_factory=dict)
    clock: Verdict = field(default_factory=lambda: Verdict(is_right=True))
    unusable_accounts: Sequence[str] = ()
    """As `merchant.account`: their settings cannot be used. That is no reason not to be ready for the others."""
    assumptions: Sequence[AssumedHere] = ()


def _never(_: Exception) -> bool:
    """The default of `comes_back` and `connection_lost`."""
    return False


def _observe_nothing(method: str, path: str, status: int, seconds: float) -> None:
    """The default observer."""


@dataclass(frozen=True)
class Api:
    """Everything that handlers call."""

    settings: Settings
    payments: PaymentsFlow
    payer: PayerFlow
    authentications: AuthenticationsFlow
    shown_cards: ShownCards
    unbinding: GivesUpCards
    refunds: RefundsFlow
    payouts: PayoutsFlow
    routes: RoutesFlow
    checkouts: CheckoutsFlow
    cashier: Cashier
    reading: Reading
    callbacks: CallbacksFlow
    cards: CardsByUser
    redirects: RedirectsFlow
    returns: ComesBack
    catalogue: Callable[[], Catalogue]
    """The snapshot in force."""
    readiness: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], bytes]
    """Prometheus text."""
    clock: Callable[[], datetime]
    observe: Callable[[str, str, int, float], None] = _observe_nothing
    """Told of every answer: method, the route's path (not the address), status, seconds."""
    unable: Callable[[UUID, Scene], Unable] = lambda *_: ABLE
    """What this process cannot do now, of a merchant, for a payment of this scene."""
    comes_back: Callable[[Exception], bool] = _never
    """Whether an error means that the database is away or busy: the same request may be sent again."""
    carries_of: CarriesOf = carries_all
    """What the provider of an account can carry."""
    connection_lost: Callable[[Exception], bool] = _never
    """Whether an error means that a connection to the database was lost: another one may well work."""
