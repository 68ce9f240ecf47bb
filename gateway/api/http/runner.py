"""An application runner whose server answers problems also for what never becomes a request: HTTP that is no HTTP.

aiohttp makes those answers below the application, in its protocol class, in plain text; this is the only way there.
"""

from aiohttp import web

from gateway.api.http.dispatch import REQUEST_ID, new_request_id
from gateway.api.http.problems import CONTENT_TYPE, internal_error, of_status, problem_body
from gateway.logs import get

__all__ = ["ProblemRunner"]

_log = get(__name__)


class ProblemRunner(web.AppRunner):
    """`web.AppRunner`, with problems on the wire's own errors."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=False,  # a client that goes away cancels nothing
            loop=made._loop,
            **made._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


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
        answer = web.json_response(body, status=problem.status, headers={REQUEST_ID: request_id})
        answer.headers["Content-Type"] = CONTENT_TYPE
        answer.force_close()
        return answer
