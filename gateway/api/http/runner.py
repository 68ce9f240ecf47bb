"""The server below the application: problems also for what never becomes a request, and bounds for who connects.

aiohttp answers unreadable HTTP below the application, in its protocol class, in plain text; this is the only way there.
"""

import resource
from typing import Any

from aiohttp import hdrs, web

from gateway.api.http.dispatch import REQUEST_ID, SERVER_NAME, new_request_id
from gateway.api.http.problems import CONTENT_TYPE, internal_error, of_status, problem_body
from gateway.logs import get

__all__ = ["IDLE_S", "ProblemRunner", "connections_for_clients"]

IDLE_S = 60.0
"""How long a connection may be without a whole head of a request: idle, or dripping."""
LINGER_S = 2.0
"""How long what is left of a body is read after its answer."""
CONNECTIONS_MAX = 10_000
"""Connections of clients that one process holds, where the system allows so many open files."""
KEPT_FOR_WORK = 0.5
"""The share of open files that is kept for PSPs, endpoints and the database: a flood at the door must not stop them."""

_log = get(__name__)


def connections_for_clients() -> int:
    """How many connections clients may have now, by the open files that the system allows this process."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return min(CONNECTIONS_MAX, max(1, int(allowed * (1 - KEPT_FOR_WORK))))


class ProblemRunner(web.AppRunner):
    """`web.AppRunner`, with problems on the wire's own errors, and with bounds.

    Bodies are never inflated. Beyond `connections` the one that has been idle longest is closed for a new one; when
    none is idle, the new one is.
    """

    def __init__(
        self, app: web.Application, *, connections: int | None = None, idle_s: float = IDLE_S, **options: Any
    ) -> None:
        options = {"keepalive_timeout": idle_s, "lingering_time": LINGER_S, "auto_decompress": False} | options
        super().__init__(app, **options)
        self._connections = connections or connections_for_clients()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=False,  # a client that goes away cancels nothing
            loop=made._loop,
            **made._kwargs,
        )
        server.most = self._connections
        return server


class _Server(web.Server):
    most = CONNECTIONS_MAX

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        super().connection_made(handler, transport)
        if len(self._connections) > self.most:
            # In their order of arrival: the first that does nothing, else the one that has just come.
            idle = (other for other in self._connections if other._current_request is None)
            next(idle, handler).force_close()


class _Protocol(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- it repeats what was sent, keys included
    ) -> web.StreamResponse:
        """The answer to a request that could not be read, or whose answer could not be written."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun and cannot become another one")
        request_id = new_request_id()
        if status < 500:
            # What was sent is not repeated: a broken header may hold a key.
            _log.info("not HTTP", request_id=request_id, status_code=status, error_type=type(exc).__name__)
            problem = of_status(status, "This is not readable as HTTP/1.1: check its first line, headers and length.")
        else:
            _log.error("unexpected error of the server", request_id=request_id, exc_info=exc)
            problem = internal_error()
        body = problem_body(problem, request_id)
        headers = {REQUEST_ID: request_id, hdrs.SERVER: SERVER_NAME}
        answer = web.json_response(body, status=problem.status, headers=headers)
        answer.headers["Content-Type"] = CONTENT_TYPE
        answer.force_close()
        return answer
