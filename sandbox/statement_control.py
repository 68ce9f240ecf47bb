"""The part of the control API that is about statements: files and rows of a day, fees, differences, and when orders
were done.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from sandbox.calls import Answering, BadRequestError, body_of, content_of, day_asked, json_answer, moment, refusal
from sandbox.differences import Difference, DifferenceRefusedError
from sandbox.fees import FeeRefusedError
from sandbox.made_up import MAX_AT_ONCE, series
from sandbox.planting import plant
from sandbox.provider import Provider
from sandbox.statements import BEIJING, StatementRow, row_kind

__all__ = ["StatementControl"]

MAX_PREFIX_CHARS: Final = 32
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


def _asked(request: web.Request, provider: Provider) -> list[Difference]:
    """The differences of the order and the day that are named; a day is that of the order, or of the statement."""
    order_no, statements = request.query.get("order_no"), provider.statements
    listed = [one for one in statements.differences if order_no in (None, one.order_no)]
    if "day" not in request.query:
        return listed
    asked, found = day_asked(request.query["day"]), []
    for one in listed:
        day = statements.day_of(one)
        if day is not None and asked in (day, day + one.shift):
            found.append(one)
    return found


class StatementControl:
    """The calls about the statements of a provider."""

    def routes(self, guarded: Callable[[Answering], Handler]) -> Iterable[web.RouteDef]:
        """Their addresses; `guarded` finds the provider and answers what is refused."""
        at = "/_sandbox/{provider}"
        return [
            web.get(f"{at}/statement", guarded(self._file)),
            web.get(f"{at}/statement_rows", guarded(self._rows)),
            web.get(f"{at}/fees", guarded(self._fees)),
            web.post(f"{at}/fees", guarded(self._say_fees)),
            web.delete(f"{at}/fees", guarded(self._no_fees)),
            web.get(f"{at}/statement_differences", guarded(self._differences)),
            web.post(f"{at}/statement_differences", guarded(self._plant)),
            web.delete(f"{at}/statement_differences", guarded(self._take_back)),
            web.post(f"{at}/orders", guarded(self._make_up)),
            web.post(f"{at}/orders/{{order_no}}/finished_at", guarded(self._date_success)),
            web.post(f"{at}/orders/{{order_no}}/returned_at", guarded(self._date_return)),
        ]

    async def _file(self, request: web.Request, provider: Provider) -> web.Response:
        day = day_asked(request.query.get("day"))
        if not provider.statements.is_ready(day):
            return refusal(404, f"the statement of {day} is not ready yet")
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

    async def _fees(self, _: web.Request, provider: Provider) -> web.Response:
        return json_answer(provider.statements.fees.shown())

    async def _say_fees(self, request: web.Request, provider: Provider) -> web.Response:
        try:
            provider.statements.fees.say(await body_of(request))
        except FeeRefusedError as refused:
            raise BadRequestError(str(refused)) from None
        return json_answer(provider.statements.fees.shown())

    async def _no_fees(self, _: web.Request, provider: Provider) -> web.Response:
        provider.statements.fees.clear()
        return web.Response(status=204)

    async def _differences(self, request: web.Request, provider: Provider) -> web.Response:
        listed = _asked(request, provider)
        return json_answer({"differences": [one.shown(provider.statements.day_of(one)) for one in listed]})

    async def _plant(self, request: web.Request, provider: Provider) -> web.Response:
        try:
            planted = plant(provider, await content_of(request))
        except DifferenceRefusedError as refused:
            raise BadRequestError(str(refused)) from None
        return json_answer({"differences": [one.shown(provider.statements.day_of(one)) for one in planted]}, 201)

    async def _take_back(self, request: web.Request, provider: Provider) -> web.Response:
        for one in _asked(request, provider):
            provider.statements.differences.take_back(one)
        return web.Response(status=204)

    async def _make_up(self, request: web.Request, provider: Provider) -> web.Response:
        """Put orders into the books that nobody asked for, all of them done."""
        body = await body_of(request)
        count, prefix, day = body.get("count"), body.get("prefix"), day_asked(body.get("day"))
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_AT_ONCE:
            raise BadRequestError(f"count must be a whole number from 1 to {MAX_AT_ONCE}")
        if not isinstance(prefix, str) or not 0 < len(prefix) <= MAX_PREFIX_CHARS:
            raise BadRequestError(f"prefix must be a text of 1 to {MAX_PREFIX_CHARS} characters")
        pattern = provider.books.get(str(body.get("like", "")))
        kind = None if pattern is None else row_kind(pattern)
        if pattern is None or kind is None or pattern.state not in ("succeeded", "returned"):
            raise BadRequestError("like must be the order_no of one that was done: the others become alike")
        orders = list(series(pattern, kind, prefix, count, day, provider.day_cut))
        if any(provider.books.get(order.order_no) for order in orders):
            raise BadRequestError("numbers with this prefix are in the books already")
        for order in orders:
            provider.books.enter(order)
        return json_answer({"first": orders[0].order_no, "last": orders[-1].order_no, "count": count}, 201)

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
