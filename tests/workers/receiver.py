"""A receiver on loopback that answers as it is told and keeps what it was sent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers 200, or what `answer` says; `seen` is every request in order of arrival."""

    answer: Handler
    seen: list[Seen] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.path, {k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return await self.answer(request)


async def ok(_: web.Request) -> web.Response:
    return web.Response()


def answering(*statuses: int, **headers: str) -> Handler:
    """Each status in turn, then the last one for ever."""
    left = list(statuses)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0], headers=headers)

    return answer


@asynccontextmanager
async def receiving(answer: Handler = ok) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(shutdown_timeout=0)
    assert server.port is not None
    receiver.port = server.port
    try:
        yield receiver
    finally:
        await server.close()
