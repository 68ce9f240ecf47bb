"""The application: the table of routes, served."""

from collections.abc import Sequence

from aiohttp import web

from gateway.api.app.callbacks import callback_routes
from gateway.api.app.events import event_routes
from gateway.api.app.payments import payment_routes
from gateway.api.app.routes import dry_run_routes
from gateway.api.http.dispatch import MAX_BODY_BYTES, add_careful_headers, endpoint, middleware, replace_server_errors
from gateway.api.http.docs_page import docs_routes
from gateway.api.http.health import health_routes
from gateway.api.http.needs import Api, CallbacksFlow, CardsByUser, PaymentsFlow, Readiness
from gateway.api.http.openapi import document
from gateway.api.http.routing import Route

__all__ = ["Api", "CallbacksFlow", "CardsByUser", "PaymentsFlow", "Readiness", "build_app", "routes_of"]


def routes_of(api: Api, more: Sequence[Route] = ()) -> list[Route]:
    """Every route of the application; `more` are those of other modules, such as the operators' calls."""
    routes = [*payment_routes(api), *dry_run_routes(api), *event_routes(api), *more, *callback_routes(api)]
    routes += health_routes(api)
    # The document describes itself, too.
    routes += docs_routes(lambda: document(routes))
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
