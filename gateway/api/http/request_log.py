"""One line in the log for each finished request: who, which call, how it ended, how long it took, about which object.

Never an address as it was sent, a header or a body: the route's template, and ids of ours.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from gateway.api.http.routing import Caller
from gateway.logs import clean, write

__all__ = ["CALLER", "CODE", "OBJECT_ID", "REQUEST_ID_KEY", "ROUTE", "say_finished"]

REQUEST_ID_KEY = web.RequestKey("request_id", str)
ROUTE = web.RequestKey("route_path", str)
CALLER = web.RequestKey("caller", Caller)
CODE = web.RequestKey("problem_code", str)
OBJECT_ID = web.RequestKey("object_id", str)

QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Calls of machines, every few seconds: only those that fail are told."""
ERROR, SERVER_ERROR = 400, 500

_ID: Final = re.compile(r"[a-z]{2,6}_[0-7][0-9a-hjkmnp-tv-z]{25}")


def say_finished(
    code_of: Callable[[UUID], str], request: web.BaseRequest, request_id: str, status: int, seconds: float
) -> None:
    """Write the line. `code_of`: a merchant's code."""
    route = request.get(ROUTE)
    if route in QUIET and status < ERROR:
        return
    fields: dict[str, Any] = {
        "http.request.id": request_id,
        "http.request.method": request.method if route else clean(request.method),
        "http.response.status_code": status,
        "event.duration": int(seconds * 1e9),
        "sluice.ms": round(seconds * 1e3, 1),
    }
    if route:
        fields["url.path"] = route
    caller = request.get(CALLER)
    if caller is not None:
        fields["sluice.merchant"] = code_of(caller.merchant_id)
        fields["sluice.app"] = caller.app
    object_id = request.get(OBJECT_ID) or _named(request)
    if object_id is not None:
        fields["sluice.object_id"] = object_id
    code = request.get(CODE)
    if code is not None:
        fields["sluice.code"] = code
    write(__name__, "info" if status < SERVER_ERROR else "warning", "request finished", fields)


def _named(request: web.BaseRequest) -> str | None:
    """The object that the address names, if that is an id of ours."""
    if not isinstance(request, web.Request):
        return None
    named = request.match_info.get("id")
    return named if named is not None and _ID.fullmatch(named) else None
