"""The application: the table of routes, served."""

from collections.abc import Callable, Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from gateway.api.app.authentications import AuthenticationCalls
from gateway.api.app.callbacks import CallbackCalls
from gateway.api.app.cards import CardCalls
from gateway.api.app.checkouts import CheckoutCalls
from gateway.api.app.events import EventCalls
from gateway.api.app.histories import HistoryCalls
from gateway.api.app.payer_acts import PayerActCalls
from gateway.api.app.payments import PaymentCalls
from gateway.api.app.payouts import PayoutCalls
from gateway.api.app.recorded_routes import RecordedRouteCalls
from gateway.api.app.redirects import RedirectCalls
from gateway.api.app.refunds import RefundCalls
from gateway.api.app.routes import RouteCalls
from gateway.api.cashier.calls import CashierCalls
from gateway.api.http.dispatch import MAX_BODY_BYTES, add_careful_headers, endpoint, middleware, replace_server_errors
from gateway.api.http.docs_page import DocsCalls
from gateway.api.http.health import HealthCalls
from gateway.api.http.needs import Api, CallbacksFlow, CardsByUser, PaymentsFlow, Readiness, RefundsFlow
from gateway.api.http.openapi import document
from gateway.api.http.routing import Route
from gateway.domain.orders import Order
from gateway.domain.return_urls import check_return_url

__all__ = ["Api", "CallbacksFlow", "CardsByUser", "PaymentsFlow", "Readiness", "RefundsFlow", "build_app", "routes_of"]


def checks_return_url(api: Api) -> Callable[[Order], None]:
    """Whether payers of an order may be sent back where it says."""
    check_address = _checks_address(api)

    def check(order: Order) -> None:
        if order.return_url is not None:
            check_address(order.merchant_id, order.app, order.return_url)

    return check


def _checks_address(api: Api) -> Callable[[UUID, str, str], None]:
    def check(merchant_id: UUID, app: str, address: str) -> None:
        hosts = api.catalogue().return_hosts(merchant_id, app)
        check_return_url(address, hosts, production=api.settings.env == "production")

    return check


def routes_of(api: Api, more: Sequence[Route] = ()) -> list[Route]:
    """Every route of the application; `more` are those of other modules, such as the operators' calls."""
    routes = [
        *PaymentCalls(api.payments, api.reading, api.cards, api.redirects, checks_return_url(api)).routes(),
        *PayerActCalls(api.payer, api.reading).routes(),
        *AuthenticationCalls(api.authentications, api.payer, api.reading, api.cards).routes(),
        *CardCalls(api.shown_cards, api.unbinding, api.catalogue, api.clock).routes(),
        *HistoryCalls(api.reading).routes(),
        *CheckoutCalls(api.checkouts, api.reading, api.cashier.url_of, _checks_address(api)).routes(),
        *RefundCalls(api.refunds, api.reading).routes(),
        *PayoutCalls(api.payouts, api.reading).routes(),
        *RouteCalls(
            api.reading,
            api.cards,
            api.catalogue,
            api.clock,
            api.unable,
            RecordedRouteCalls(api.routes, api.reading, api.cards),
            api.carries_of,
        ).routes(),
        *EventCalls(api.reading, api.clock).routes(),
        *more,
        *CallbackCalls(api.callbacks).routes(),
        *RedirectCalls(api.redirects, api.returns, ZoneInfo(api.settings.business_timezone)).routes(),
        *CashierCalls(api.cashier, ZoneInfo(api.settings.business_timezone)).routes(),
        *HealthCalls(api.readiness, api.metrics).routes(),
    ]
    # The document describes itself, too.
    routes += DocsCalls(lambda: document(routes)).routes()
    return routes


def build_app(api: Api, more: Sequence[Route] = ()) -> web.Application:
    """The aiohttp application."""
    app = web.Application(middlewares=[middleware(api)], client_max_size=MAX_BODY_BYTES)
    for route in routes_of(api, more):
        handler = endpoint(api, route)
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, handler)
    app.on_response_prepare.append(replace_server_errors)
    app.on_response_prepare.append(add_careful_headers)
    return app
