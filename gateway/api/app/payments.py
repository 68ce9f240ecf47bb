"""Calls about payments: take one, read it, ask why this channel and what happened, search."""

from typing import Any
from uuid import UUID

from gateway.api.app.answers import PaymentAnswer, PaymentDecision, PaymentPage, Timeline
from gateway.api.app.ordering import no_such_card, order_of
from gateway.api.app.schemas import ChargeRequest, PaymentSearch, WithholdRequest
from gateway.api.http.needs import Api
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Handler, Reply, Route
from gateway.domain.ids import PAYMENT, IdError, read, show
from gateway.domain.orders import Order
from gateway.domain.payments import payment_object
from gateway.domain.scenes import Kind
from gateway.ports import CardNotFoundError, OrderConflictError, PaymentFilter
from router.explain import explain
from router.record import from_record, to_answer

__all__ = ["payment_id_of", "payment_routes"]

_TAGS = ("payments",)
_ID = {"id": "the payment's id, pay_…"}
_REPLAYED = "Idempotent-Replayed"


def payment_routes(api: Api) -> list[Route]:
    """The routes of payments."""
    taken = {
        201: Answer(
            PaymentAnswer, "Taken; `status` says how it stands. A refusal of the router is here, too: `failed`."
        ),
        200: Answer(
            PaymentAnswer,
            "This order was taken before; the payment as it is now.",
            headers={_REPLAYED: "always `true`"},
        ),
    }
    return [
        Route("POST", "/v1/withholds", _take(api, Kind.WITHHOLD), "Take a withhold (代扣)", _TAGS, taken,
              body=WithholdRequest, problems=(409, 503), description=_TAKING),
        Route("POST", "/v1/charges", _take(api, Kind.CHARGE), "Take a charge (充值)", _TAGS, taken,
              body=ChargeRequest, problems=(409, 503), description=_TAKING),
        Route("GET", "/v1/payments", _search(api), "Search payments, newest first", _TAGS,
              {200: Answer(PaymentPage, "One page.")}, query=PaymentSearch),
        Route("GET", "/v1/payments/{id}", _payment(api), "Read a payment", _TAGS,
              {200: Answer(PaymentAnswer, "The payment as it is now.")}, path_about=_ID),
        Route("GET", "/v1/payments/{id}/decision", _decision(api), "Why this channel", _TAGS,
              {200: Answer(PaymentDecision, "The decision as it was made.")}, path_about=_ID),
        Route("GET", "/v1/payments/{id}/timeline", _timeline(api), "Everything that happened", _TAGS,
              {200: Answer(Timeline, "Oldest first.")}, path_about=_ID),
    ]  # fmt: skip


_TAKING = (
    "`(app, merchant_order_no)` is the idempotency key for ever: the same content again answers the payment as it is "
    "now with `Idempotent-Replayed: true`, other content is `order_conflict`. Sending again is always safe."
)


def payment_id_of(call: Call) -> UUID:
    """The payment that the address names. Raises a 404 problem."""
    try:
        return read(PAYMENT, call.path["id"])
    except IdError:
        raise not_found("payment") from None


def _take(api: Api, kind: Kind) -> Handler:
    async def take(call: Call) -> Reply:
        order = await order_of(call.body, kind, call.caller, api.cards)
        if order.card_id is not None and order.card is None and not await _was_taken(api, order):
            raise no_such_card()
        try:
            taken = await api.payments.take(order)
        except CardNotFoundError:
            raise no_such_card() from None
        except OrderConflictError:
            detail = "This merchant_order_no was used before with other content. Use a new one for a new payment."
            raise conflict("order_conflict", detail) from None
        body = payment_object(taken.payment, call.language)
        return Reply(body, headers={_REPLAYED: "true"}) if taken.replayed else Reply(body, status=201)

    return take


async def _was_taken(api: Api, order: Order) -> bool:
    """Whether the number of an order is in use: then it has its answer, though its card is gone."""
    wanted = PaymentFilter(merchant_order_no=order.merchant_order_no, limit=1)
    return bool(await api.reading.payments(order.merchant_id, order.app, wanted))


def _payment(api: Api) -> Handler:
    async def payment(call: Call) -> Reply:
        found = await api.reading.payment(call.caller.merchant_id, call.caller.app, payment_id_of(call))
        if found is None:
            raise not_found("payment")
        return Reply(payment_object(found, call.language))

    return payment


def _search(api: Api) -> Handler:
    async def search(call: Call) -> Reply:
        asked: PaymentSearch = call.query
        wanted = PaymentFilter(
            merchant_order_no=asked.merchant_order_no,
            user_id=asked.user_id,
            status=asked.status,
            channel=asked.channel,
            created_from=asked.created_from,
            created_until=asked.created_until,
            before=asked.after,
            limit=asked.limit + 1,  # one more than the page tells whether there is a next one
        )
        found = await api.reading.payments(call.caller.merchant_id, call.caller.app, wanted)
        page = found[: asked.limit]
        after = show(PAYMENT, page[-1].payment_id) if len(found) > asked.limit else None
        return Reply({"data": [payment_object(one, call.language) for one in page], "next": after})

    return search


def _decision(api: Api) -> Handler:
    async def decision(call: Call) -> Reply:
        payment_id = payment_id_of(call)
        record = await api.reading.decision(call.caller.merchant_id, call.caller.app, payment_id)
        if record is None:
            raise not_found("payment")
        made = from_record(record)
        body: dict[str, Any] = {"payment": show(PAYMENT, payment_id), **to_answer(made)}
        return Reply(body | {"explanation": explain(made), "record": record})

    return decision


def _timeline(api: Api) -> Handler:
    async def timeline(call: Call) -> Reply:
        happened = await api.reading.timeline(call.caller.merchant_id, call.caller.app, payment_id_of(call))
        if happened is None:
            raise not_found("payment")
        return Reply({"data": happened})

    return timeline
