"""The control API, JSON, for tests and demos: what the providers really did, their SMS, and faults to commit."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from aiohttp import web

from sandbox.balances import PLENTY
from sandbox.calls import Answering, BadRequestError, body_of, json_answer, moment, refusal
from sandbox.faults import FaultRefusedError
from sandbox.notices import NoCallbacksError
from sandbox.pages import wants_page
from sandbox.payouts import REASONS, NotReturnableError
from sandbox.provider import Provider
from sandbox.statement_control import StatementControl

__all__ = ["Control"]

MAX_CALLBACKS: Final = 100
MAX_URL_CHARS: Final = 500
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _is_fen(amount: object) -> bool:
    return isinstance(amount, int) and not isinstance(amount, bool) and 0 <= amount <= PLENTY


def _since(request: web.Request) -> float:
    return moment(request.query["since"], "since") if "since" in request.query else 0.0


def _arrived(providers: Iterable[Provider], request: web.Request) -> dict[str, Any]:
    """The SMS of these providers to one phone or all, in the order in which they were sent."""
    phone, since = request.query.get("phone"), _since(request)
    arrived = [sent for provider in providers for sent in provider.sms.to(phone, since)]
    return {"sms": [sent.shown() for sent in sorted(arrived, key=lambda sent: sent.sent_at)]}


class Control:
    """The calls below `/_sandbox`, over all providers. `inbox`: what browsers get where programs get the SMS."""

    def __init__(
        self, providers: Mapping[str, Provider], keys_dir: str, inbox: Callable[[web.Request], Awaitable[web.Response]]
    ) -> None:
        self._providers = providers
        self._keys_dir = keys_dir
        self._page_of_inbox = inbox

    def routes(self) -> Iterable[web.RouteDef]:
        """Every address of the control API."""
        return [
            web.get("/_sandbox/health", self._health),
            web.post("/_sandbox/reset", self._reset),
            web.get("/_sandbox/sms", self._inbox),
            web.get("/_sandbox/{provider}/transactions", self._guarded(self._transactions)),
            web.get("/_sandbox/{provider}/sms", self._guarded(self._sms)),
            web.post("/_sandbox/{provider}/faults", self._guarded(self._add_fault)),
            web.get("/_sandbox/{provider}/faults", self._guarded(self._faults)),
            web.delete("/_sandbox/{provider}/faults", self._guarded(self._clear_faults)),
            web.delete("/_sandbox/{provider}/faults/{id}", self._guarded(self._remove_fault)),
            web.post("/_sandbox/{provider}/callbacks", self._guarded(self._call_back)),
            web.post("/_sandbox/{provider}/returns", self._guarded(self._give_back)),
            web.get("/_sandbox/{provider}/balance", self._guarded(self._balance)),
            web.post("/_sandbox/{provider}/balance", self._guarded(self._say_balance)),
            web.post("/_sandbox/{provider}/notice_url", self._guarded(self._register_notices)),
            *StatementControl().routes(self._guarded),
        ]

    def _guarded(self, answer: Answering) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            provider = self._providers.get(request.match_info["provider"])
            if provider is None:
                return refusal(404, f"there is no such provider; there are: {', '.join(self._providers)}")
            try:
                return await answer(request, provider)
            except (BadRequestError, FaultRefusedError) as refused:
                return refusal(422, str(refused))

        return handle

    async def _health(self, _: web.Request) -> web.Response:
        orders = {name: len(provider.books) for name, provider in self._providers.items()}
        return json_answer({"status": "ok", "orders": orders, "keys": self._keys_dir})

    async def _reset(self, _: web.Request) -> web.Response:
        for provider in self._providers.values():
            provider.reset()
        return json_answer({"status": "ok"})

    async def _transactions(self, request: web.Request, provider: Provider) -> web.Response:
        order_no = request.query.get("order_no")
        since = _since(request)
        if order_no is None:
            orders = [order for order in provider.books if order.received_at >= since]
        else:
            order = provider.books.get(order_no)
            orders = [order] if order is not None and order.received_at >= since else []
        return json_answer({"transactions": [order.shown() for order in orders]})

    async def _inbox(self, request: web.Request) -> web.Response:
        if wants_page(request):
            return await self._page_of_inbox(request)
        try:
            return json_answer(_arrived(self._providers.values(), request))
        except BadRequestError as refused:
            return refusal(422, str(refused))

    async def _sms(self, request: web.Request, provider: Provider) -> web.Response:
        return json_answer(_arrived([provider], request))

    async def _add_fault(self, request: web.Request, provider: Provider) -> web.Response:
        return json_answer(provider.faults.add(await body_of(request)).shown(), 201)

    async def _faults(self, _: web.Request, provider: Provider) -> web.Response:
        return json_answer({"faults": [fault.shown() for fault in provider.faults.all()]})

    async def _clear_faults(self, _: web.Request, provider: Provider) -> web.Response:
        provider.faults.clear()
        return web.Response(status=204)

    async def _remove_fault(self, request: web.Request, provider: Provider) -> web.Response:
        if not provider.faults.remove(request.match_info["id"]):
            return refusal(404, "there is no fault of this id")
        return web.Response(status=204)

    async def _call_back(self, request: web.Request, provider: Provider) -> web.Response:
        body = await body_of(request)
        count = body.get("count", 1)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_CALLBACKS:
            raise BadRequestError(f"count must be a whole number from 1 to {MAX_CALLBACKS}")
        of_success = body.get("of_success", False)
        if not isinstance(of_success, bool):
            raise BadRequestError("of_success must be true or false")
        order = provider.books.get(str(body.get("order_no", "")))
        if order is None:
            return refusal(404, "there is no such order_no")
        try:
            statuses = await provider.call_back(order, count, of_success=of_success)
        except NoCallbacksError as refused:
            return refusal(422, str(refused))
        return json_answer({"order_no": order.order_no, "sent": len(statuses), "statuses": statuses})

    async def _give_back(self, request: web.Request, provider: Provider) -> web.Response:
        body = await body_of(request)
        reason = body.get("reason", "payee_name_mismatch")
        if reason not in REASONS:
            raise BadRequestError(f"reason must be one of {', '.join(REASONS)}")
        order = provider.books.get(str(body.get("order_no", "")))
        if order is None:
            return refusal(404, "there is no such order_no")
        try:
            provider.give_back(order, reason)
        except NotReturnableError as refused:
            return refusal(422, str(refused))
        return json_answer(order.shown())

    async def _balance(self, _: web.Request, provider: Provider) -> web.Response:
        if not provider.states_balance:
            raise BadRequestError(f"{provider.name} states no balance")
        for_payouts, for_refunds = provider.balance.now
        return json_answer({"for_payouts": for_payouts, "for_refunds": for_refunds})

    async def _say_balance(self, request: web.Request, provider: Provider) -> web.Response:
        body = await body_of(request)
        names = {"for_payouts", "for_refunds"} if provider.balance.apart else {"for_payouts"}
        if not provider.states_balance:
            raise BadRequestError(f"{provider.name} states no balance")
        if not body.keys() <= names or not all(_is_fen(amount) for amount in body.values()) or not body:
            raise BadRequestError(f"{' and '.join(sorted(names))} must be whole numbers of fen")
        for_payouts, for_refunds = provider.balance.now
        provider.balance.say(body.get("for_payouts", for_payouts), body.get("for_refunds", for_refunds))
        return await self._balance(request, provider)

    async def _register_notices(self, request: web.Request, provider: Provider) -> web.Response:
        url = (await body_of(request)).get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")) or len(url) > MAX_URL_CHARS:
            raise BadRequestError("url must be an http(s) address")
        try:
            provider.register_notices(url)
        except NoCallbacksError as refused:
            return refusal(422, str(refused))
        return json_answer({"url": url})
