"""One table of routes: the application serves it, the OpenAPI document describes it, so they cannot differ.

A handler gets a `Call` whose body and query were checked by the route's models, and returns a `Reply` or raises a
`Problem`. Authentication, limits, problems, headers and encoding happen around it (`gateway.api.http.dispatch`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

__all__ = ["JSON", "Answer", "Call", "Caller", "Handler", "Reply", "Route", "Scope"]

JSON = "application/json"

Scope = Literal["app", "admin", "none"]
"""Who may call: an app by its key, an operator by the admin token, or anybody."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The app whose key came with the request."""

    merchant_id: UUID
    app: str
    key_id: UUID


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed every check of its route.

    `body` and `query` are instances of the route's models (None without a model), `path` the parts of the address.
    """

    request: web.Request = field(repr=False)
    path: Mapping[str, str]
    body: Any = field(default=None, repr=False)
    query: Any = None
    raw: bytes = field(default=b"", repr=False)
    """The body as it came, for routes with `raw_body`."""
    language: Literal["en", "zh"] = "en"
    authenticated: Caller | None = None

    @property
    def caller(self) -> Caller:
        """The calling app; only routes of scope `app` may ask."""
        assert self.authenticated is not None
        return self.authenticated


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer: `body` is bytes as they are, pieces of bytes that are sent as they come, or anything that orjson
    writes."""

    body: object
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A documented answer. `model` None: a body that no model describes (text, HTML, nothing)."""

    model: type[BaseModel] | None
    description: str
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header names with what they mean."""


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API.

    `problems` are the error statuses that only this call has: those of its scope (401, 403), its body (400, 413, 415,
    422), its query (422) and its path (404) are documented by themselves.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    tags: tuple[str, ...]
    answers: Mapping[int, Answer]
    scope: Scope = "app"
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    problems: tuple[int, ...] = ()
    description: str = ""
    path_about: Mapping[str, str] = field(default_factory=dict)
    """What each part of the path is."""
    raw_body: bool = False
    """The body is read (and limited) but not parsed."""
    page: bool = False
    """People see what it answers: problems are pages, too, and `?lang=` names the language."""
