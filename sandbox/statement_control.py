"""The part of the control API that is about statements: files and rows of a day, and when orders were done."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any

from aiohttp import web

from sandbox.calls import Answering, BadRequestError, body_of, day_asked, json_answer, moment, refusal
from sandbox.provider import Provider
from sandbox.statements import BEIJING, StatementRow

__all__ = ["StatementControl"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _shown(row: StatementRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "number": row.number,
        "amount": row.amount,
        "fee": row.fee,
        "paid": row.paid,
        "at": datetime.fromtimestamp(row.at, BEIJING).isoformat(),
        "day": row.day,
        "transaction_no": row.transaction_no,
        "card": row.card,
        "original": row.original,
    }


class StatementControl:
    """The calls about the statements of a provider."""

    def routes(self, guarded: Callable[[Answering], Handler]) -> Iterable[web.RouteDef]:
        """Their addresses; `guarded` finds the provider and answers what is refused."""
        at = "/_sandbox/{provider}"
        return [
            web.get(f"{at}/statement", guarded(self._file)),
            web.get(f"{at}/statement_rows", guarded(self._rows)),
            web.post(f"{at}/orders/{{order_no}}/finished_at", guarded(self._date_success)),
            web.post(f"{at}/orders/{{order_no}}/returned_at", guarded(self._date_return)),
        ]

    async def _file(self, request: web.Request, provider: Provider) -> web.Response:
        day = day_asked(request.query.get("day"))
        file = provider.statement_file(day)
        if file is None:
            return refusal(404, f"{provider.name} writes no statement of {day}")
        name, content = file
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        body = provider.statements.delivered(day, content)
        return web.Response(body=body, content_type="application/octet-stream", headers=headers)

    async def _rows(self, request: web.Request, provider: Provider) -> web.Response:
        rows = provider.statements.rows(day_asked(request.query.get("day")))
        return json_answer({"rows": [_shown(row) for row in rows]})

    async def _date_success(self, request: web.Request, provider: Provider) -> web.Response:
        """Let an order have become final at another moment. Its answers say so, too."""
        at = moment((await body_of(request)).get("at"), "at")
        order = provider.books.get(request.match_info["order_no"])
        if order is None:
            return refusal(404, "there is no such order_no")
        if order.finished_at is None:
            raise BadRequestError(f"order {order.order_no} is not final yet")
        order.finished_at = at
        provider.books.save(order)
        return json_answer(order.shown())

    async def _date_return(self, request: web.Request, provider: Provider) -> web.Response:
        """The same of the moment at which it came back."""
        at = moment((await body_of(request)).get("at"), "at")
        order = provider.books.get(request.match_info["order_no"])
        if order is None:
            return refusal(404, "there is no such order_no")
        if order.returned_at is None:
            raise BadRequestError(f"order {order.order_no} did not come back")
        order.returned_at = at
        provider.books.save(order)
        return json_answer(order.shown())
