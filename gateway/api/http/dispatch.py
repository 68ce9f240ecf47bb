"""Around every handler: authentication, limits, parsing, encoding; and around everything: problems and request ids."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping

import orjson
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as WebHandler
from aiohttp.typedefs import Middleware

from gateway.api.http.auth import authenticate
from gateway.api.http.chinese import in_chinese
from gateway.api.http.fields import NoQuery
from gateway.api.http.language import Language, preferred_language
from gateway.api.http.needs import Api
from gateway.api.http.page_answers import is_page, page_language, refusal_page
from gateway.api.http.pieces import sent_in_pieces
from gateway.api.http.problems import (
    CONTENT_TYPE,
    Problem,
    clock_off,
    compressed,
    database_unavailable,
    internal_error,
    of_status,
    overloaded,
    problem_body,
    search_cut,
    too_large,
    too_slow,
    unsupported_media_type,
)
from gateway.api.http.reading_json import checked, checked_query, read_object
from gateway.api.http.request_log import CALLER, CODE, OBJECT_ID, REQUEST_ID_KEY, ROUTE, say_finished
from gateway.api.http.routing import JSON, Call, Reply, Route
from gateway.logs import clean, get
from gateway.ports import ClockOffError, DatabaseAwayError, OverloadedError, SearchCutError

__all__ = [
    "MAX_BODY_BYTES",
    "REQUEST_ID",
    "SERVER_NAME",
    "add_careful_headers",
    "endpoint",
    "middleware",
    "new_request_id",
    "replace_server_errors",
]

MAX_BODY_BYTES = 64 * 1024
BODY_WITHIN_S = 10.0
"""How long a body may take to arrive."""
SERVER_NAME = "Sluice"
"""The `Server` header: whose answer it is, and no version of anything."""
CAREFUL_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""On every answer that does not say otherwise itself."""
REQUEST_ID = "X-Request-Id"
RETRY_AFTER_S = 5
READ_AGAIN_WITHIN_S = 5.5
"""A read that lost its connection within this time is done once more: longer than one silence is waited for."""

_GIVEN_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")

_log = get(__name__)


def endpoint(api: Api, route: Route) -> WebHandler:
    """The aiohttp handler of a route. A client that goes away cancels nothing: see `gateway.api.http.runner`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[ROUTE] = route.path
        # First who it is: nobody's body is read before that.
        caller = authenticate(api, route.scope, request)
        if caller is not None:
            request[CALLER] = caller
        query = checked_query(route.query or NoQuery, request.query.items()) if route.scope != "none" else None
        raw = await _read_body(request) if route.body is not None or route.raw_body else b""
        body = checked(route.body, read_object(raw)) if route.body is not None else None
        call = Call(
            request=request,
            path=request.match_info,
            body=body,
            query=query,
            raw=raw,
            language=page_language(request) if route.page else _wished(request),
            authenticated=caller,
        )
        reply = await (_read(call) if route.method == "GET" else route.handler(call))
        if isinstance(reply.body, dict) and isinstance(shown := reply.body.get("id"), str):
            request[OBJECT_ID] = shown
        return await sent_in_pieces(request, reply) if isinstance(reply.body, AsyncIterator) else _render(reply)

    async def _read(call: Call) -> Reply:
        """A read may be done twice: the first one after a cut met a connection of which nobody knew that it is lost."""
        began = time.monotonic()
        try:
            return await route.handler(call)
        except Exception as error:
            if not api.connection_lost(error) or time.monotonic() - began > READ_AGAIN_WITHIN_S:
                raise
        return await route.handler(call)

    async def _read_body(request: web.Request) -> bytes:
        if route.body is not None and not _is_json(request):
            raise unsupported_media_type()
        if hdrs.CONTENT_ENCODING in request.headers:
            raise compressed()
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        if request.content.is_eof():  # it came whole with its head, as nearly all do: nothing to wait for
            return await request.read()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                return await request.read()
        except TimeoutError:
            raise too_slow(BODY_WITHIN_S) from None

    return handle


def middleware(api: Api) -> Middleware:
    """Turns everything that is raised into a problem, names the request, and tells how it ended."""

    @web.middleware
    async def answer(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        started = time.perf_counter()
        request_id = request[REQUEST_ID_KEY] = _request_id(request)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = await _answered(api, request, handler)
        response.headers[REQUEST_ID] = request_id
        seconds = time.perf_counter() - started
        api.observe(request.method, request.get(ROUTE, ""), response.status, seconds)
        say_finished(api.catalogue().code_of, request, request_id, response.status, seconds)
        return response

    return answer


async def _answered(api: Api, request: web.Request, handler: WebHandler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Problem as problem:
        return _problem_response(problem, request)
    except ClockOffError as error:
        return _problem_response(clock_off(error.retry_after_s), request)
    except DatabaseAwayError as error:
        return _problem_response(database_unavailable(error.retry_after_s), request)
    except OverloadedError as error:
        return _problem_response(overloaded(error.retry_after_s), request)
    except SearchCutError:
        return _problem_response(search_cut(RETRY_AFTER_S), request)
    except web.HTTPException as error:
        return _problem_response(_of_server(error), request)
    except web.RequestPayloadError:
        return _problem_response(of_status(400, "The body was cut off or badly encoded."), request)
    except Exception as error:  # noqa: BLE001 -- the last line of defence
        if api.comes_back(error):
            _log.warning("database away or busy", route=request.get(ROUTE, ""), error_type=type(error).__name__)
            return _problem_response(database_unavailable(RETRY_AFTER_S), request)
        # The one place where the unexpected ends: told to the log, and to the client only that it happened.
        _log.exception("unexpected error", method=request.method, route=request.get(ROUTE, ""))
        return _problem_response(internal_error(), request)


async def add_careful_headers(_: web.Request, response: web.StreamResponse) -> None:
    """An `on_response_prepare` signal: what a careful API says with everything."""
    headers = response.headers
    headers[hdrs.SERVER] = SERVER_NAME
    for name, value in CAREFUL_HEADERS.items():
        headers.setdefault(name, value)


async def replace_server_errors(request: web.Request, response: web.StreamResponse) -> None:
    """An `on_response_prepare` signal, for errors that aiohttp answers outside of the middlewares."""
    if not isinstance(response, web.HTTPException) or response.status < 400:
        return
    request_id = request.get(REQUEST_ID_KEY)
    problem = _of_server(response)
    if request_id is None:
        request_id, request[CODE] = _request_id(request), problem.code
        say_finished(str, request, request_id, problem.status, 0.0)
    response.body = body = orjson.dumps(problem_body(problem, request_id))
    # The headers are already those of the body that is replaced here.
    response.headers[hdrs.CONTENT_TYPE] = CONTENT_TYPE
    response.headers[hdrs.CONTENT_LENGTH] = str(len(body))
    response.headers[REQUEST_ID] = request_id


def _of_server(error: web.HTTPException) -> Problem:
    kept: dict[str, str] = {}
    match error.status:
        case 404:
            detail = "There is nothing at this address."
        case 405:
            kept = {hdrs.ALLOW: error.headers.get(hdrs.ALLOW, "")}
            detail = f"This address takes {kept[hdrs.ALLOW].replace(',', ', ')}."
        case 413:
            return too_large(MAX_BODY_BYTES)
        case _:
            detail = ""
    return of_status(error.status, detail, kept)


def _problem_response(problem: Problem, request: web.Request) -> web.Response:
    request[CODE] = problem.code
    if is_page(request):
        return refusal_page(problem, request)
    if _wished(request) == "zh":
        problem = in_chinese(problem)
    body = orjson.dumps(problem_body(problem, request[REQUEST_ID_KEY]))
    return web.Response(status=problem.status, body=body, content_type=CONTENT_TYPE, headers=problem.headers)


def _wished(request: web.BaseRequest) -> Language:
    return preferred_language(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))


def _render(reply: Reply) -> web.Response:
    body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
    headers: Mapping[str, str] = {hdrs.CONTENT_TYPE: reply.content_type, **reply.headers}
    return web.Response(status=reply.status, body=body, headers=headers)


def _is_json(request: web.Request) -> bool:
    return request.content_type == JSON and (request.charset or "utf-8").lower() in {"utf-8", "utf8"}


def _request_id(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID, "")
    # It stands in the log: one that may be a card's number is not kept.
    return given if _GIVEN_REQUEST_ID.fullmatch(given) and clean(given) == given else new_request_id()


def new_request_id() -> str:
    """A name for an exchange; not an id of anything that is kept."""
    return f"req_{secrets.token_hex(12)}"
