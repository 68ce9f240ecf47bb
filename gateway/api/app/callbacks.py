"""Callbacks: where PSPs report. Read whole, handed on untouched, answered as that PSP expects."""

from dataclasses import dataclass

from gateway.api.http.needs import CallbacksFlow
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.ports import CallbackRequest

__all__ = ["CallbackCalls"]


@dataclass(frozen=True, slots=True)
class CallbackCalls:
    """The call of callbacks."""

    callbacks: CallbacksFlow

    def routes(self) -> list[Route]:
        """The routes of callbacks."""
        said = "What this payment company wants to read"
        answers = {
            200: Answer(None, f"{said}: believed.", content_type="*/*"),
            400: Answer(None, f"{said}: not believed.", content_type="*/*"),
        }
        long = {"account": "the account's name, merchant.account"}
        short = {"account": "eight letters that stand for it, where a PSP's field takes no more"}
        return [
            Route(method, path, self.receive, "A payment company reports", ("callbacks",), answers,
                  scope="none", raw_body=method == "POST", path_about=about,
                  description="Each is verified by its signature; what is not this account's word changes nothing.")
            for method in ("GET", "POST")
            for path, about in (("/callbacks/{account}", long), ("/c/{account}", short))
        ]  # fmt: skip

    async def receive(self, call: Call) -> Reply:
        request = call.request
        callback = CallbackRequest(request.method, request.rel_url.raw_query_string, request.headers, call.raw)
        answer = await self.callbacks.receive(call.path["account"], callback)
        if answer is None:
            raise not_found("account")
        return Reply(answer.body, answer.status, answer.content_type)
