"""The application: the table of routes, served."""

from collections.abc import Sequence

from aiohttp import web

from gateway.api.callbacks import callback_routes
from gateway.api.dispatch import MAX_BODY_BYTES, endpoint, middleware, replace_server_errors
from gateway.api.docs_page import docs_routes
from gateway.api.dry_runs import dry_run_routes
from gateway.api.events import event_routes
from gateway.api.health import health_routes
from gateway.api.needs import Api, CallbacksFlow, CardsByUser, PaymentsFlow, Readiness
from gateway.api.openapi import document
from gateway.api.payments import payment_routes
from gateway.api.routing import Route
from gateway.api.undisturbed import Undisturbed

__all__ = ["Api", "CallbacksFlow", "CardsByUser", "PaymentsFlow", "Readiness", "build_app", "routes_of"]

DRAIN_MARGIN_S = 5.0
"""Beyond the longest that an answer waits for a PSP."""


def routes_of(api: Api, more: Sequence[Route] = ()) -> list[Route]:
    """Every route of the application; `more` are those of other modules, such as the operators' calls."""
    routes = [*payment_routes(api), *dry_run_routes(api), *event_routes(api), *more, *callback_routes(api)]
    routes += health_routes(api)
    # The document describes itself, too.
    routes += docs_routes(lambda: document(routes))
    return routes


def build_app(api: Api, more: Sequence[Route] = ()) -> web.Application:
    """The aiohttp application. Work that a client left behind is awaited when it is cleaned up."""
    app = web.Application(middlewares=[middleware(api)], client_max_size=MAX_BODY_BYTES)
    undisturbed = Undisturbed()
    for route in routes_of(api, more):
        app.router.add_route(route.method, route.path, endpoint(api, route, undisturbed))
    app.on_response_prepare.append(replace_server_errors)

    async def finish_what_is_left(_app: web.Application) -> None:
        await undisturbed.drain(api.settings.answer_within_s + DRAIN_MARGIN_S)

    app.on_cleanup.append(finish_what_is_left)
    return app
