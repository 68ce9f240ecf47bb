"""What every call of the control API has in common: JSON in, JSON out, and what is refused."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import orjson
from aiohttp import web

from sandbox.provider import Provider

__all__ = ["Answering", "BadRequestError", "body_of", "content_of", "day_asked", "json_answer", "moment", "refusal"]

Answering = Callable[[web.Request, Provider], Awaitable[web.Response]]


class BadRequestError(Exception):
    """The request is not what this call takes; the message says why."""


def json_answer(content: Any, status: int = 200) -> web.Response:
    """An answer to a program."""
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def refusal(status: int, message: str) -> web.Response:
    """An answer that says why not."""
    return json_answer({"error": message}, status)


async def content_of(request: web.Request) -> Any:
    """The body of a request as JSON. Raises BadRequestError."""
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise BadRequestError("the body must be JSON") from None


async def body_of(request: web.Request) -> dict[str, Any]:
    """The same where it must be an object."""
    body = await content_of(request)
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    return body


def moment(value: Any, name: str) -> float:
    """An RFC 3339 time as seconds of the epoch; without an offset it is UTC. Raises BadRequestError."""
    # A plus sign that was not escaped arrives as a space.
    try:
        at = datetime.fromisoformat(value.replace(" ", "+") if isinstance(value, str) else "")
    except ValueError:
        raise BadRequestError(f"{name} must be an RFC 3339 time") from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def day_asked(value: Any) -> date:
    """A day, YYYY-MM-DD. Raises BadRequestError."""
    try:
        return date.fromisoformat(value if isinstance(value, str) and len(value) == len("2026-03-01") else "")
    except ValueError:
        raise BadRequestError("day must be YYYY-MM-DD") from None
