"""Payments: open one, read it, search."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from gateway.api.app.order_numbers import refuse_number_of_try
from gateway.api.app.ordering import REPLAYED, no_such_card, order_of
from gateway.api.app.redirects import form_object
from gateway.api.app.requests import PaymentRequest
from gateway.api.http.fields import PAGE, Code, FoundOrderNumber, Moment, PageSize, QueryModel, UserId, id_field
from gateway.api.http.needs import CardsByUser, PaymentsFlow, RedirectsFlow
from gateway.api.http.payment_answers import FailureAnswer, PaymentAnswer, PaymentPage, PaymentStatus, ShownPaymentId
from gateway.api.http.problems import FieldError, Problem, bad_fields, conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.api.http.searching import search_page
from gateway.domain.ids import PAYMENT, IdError, read
from gateway.domain.orders import Order
from gateway.domain.payments import Payment
from gateway.domain.return_urls import ReturnUrlError
from gateway.domain.scenes import Kind, Scene
from gateway.objects.payments import payment_object
from gateway.objects.times import timestamp
from gateway.ports import (
    CardNotFoundError,
    ClockOffError,
    OrderConflictError,
    PaymentFilter,
    Reading,
    SendBeforeError,
    UnusableAccountError,
)

__all__ = [
    "PAYMENT_ABOUT",
    "REPLAYED",
    "TAGS",
    "ChargeRequest",
    "FailureAnswer",
    "PaymentAnswer",
    "PaymentCalls",
    "PaymentSearch",
    "ShownPaymentId",
    "WithholdRequest",
    "payment_id_of",
]

TAGS = ("payments",)
PAYMENT_ABOUT = {"id": "the payment's id, pay_…"}
OPENING = (
    "`(app, merchant_order_no)` is the idempotency key for ever: the same content again answers the payment as it is "
    "now with `Idempotent-Replayed: true`, other content is `order_conflict`. Sending again is always safe."
)

WITHHOLDING = (
    f"{OPENING} A withhold whose channel has no place free is recorded, answered `processing` at once, and sent when "
    "there is one, before `send_before`; what was never sent by then fails as `channel_unavailable`. A payer who must "
    "type a code is asked when there is a place."
)

if TYPE_CHECKING:
    PaymentId: TypeAlias = UUID
else:
    PaymentId = id_field(PAYMENT)


def _example(scene: Scene) -> dict[str, JsonValue]:
    # Well-formed numbers of nobody.
    card: JsonValue = {
        "card_no": "6222020000000001230",
        "holder_name": "张三",
        "id_no": "11010519491231002X",
        "phone": "13800138000",
    }
    example: dict[str, JsonValue] = {"merchant_order_no": "order-0001", "scene": scene.value, "user_id": "user-1"}
    return example | {"amount": 10_000, "currency": "CNY", "card": card}


class WithholdRequest(PaymentRequest):
    """A withhold (代扣). `customer_present` is false unless said otherwise."""

    model_config = ConfigDict(json_schema_extra={"examples": [_example(Scene.WITHHOLD)]})

    scene: Literal[Scene.WITHHOLD, Scene.CUSTODY_WITHHOLD]
    send_before: Annotated[
        Moment | None,
        Field(
            description="sent before this time or never, where the channel has no place at once: not past, and not "
            "after the end of the business day; absent: 30 minutes"
        ),
    ] = None


class ChargeRequest(PaymentRequest):
    """A charge (充值). `customer_present` is true unless said otherwise."""

    model_config = ConfigDict(json_schema_extra={"examples": [_example(Scene.QUICK_CHARGE)]})

    scene: Literal[Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE, Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE]


class PaymentSearch(QueryModel):
    """A search of payments, newest first. `after` is the `next` of the page before."""

    merchant_order_no: FoundOrderNumber | None = None
    user_id: UserId | None = None
    status: PaymentStatus | None = None
    channel: Code | None = None
    created_from: Moment | None = None
    created_until: Moment | None = None
    limit: PageSize = PAGE
    after: PaymentId | None = None


@dataclass(frozen=True, slots=True)
class PaymentCalls:
    """The calls of payments."""

    payments: PaymentsFlow
    reading: Reading
    cards: CardsByUser
    redirects: RedirectsFlow
    check_return_url: Callable[[Order], None]
    """Raises ReturnUrlError."""

    def routes(self) -> list[Route]:
        """The routes of payments."""
        opened = {
            201: Answer(
                PaymentAnswer, "Opened; `status` says how it stands. A refusal of the router is here, too: `failed`."
            ),
            200: Answer(
                PaymentAnswer,
                "This order was opened before; the payment as it is now.",
                headers={REPLAYED: "always `true`"},
            ),
        }
        return [
            Route("POST", "/v1/withholds", self.open_withhold, "Open a withhold (代扣)", TAGS, opened,
                  body=WithholdRequest, problems=(409, 503), description=WITHHOLDING),
            Route("POST", "/v1/charges", self.open_charge, "Open a charge (充值)", TAGS, opened,
                  body=ChargeRequest, problems=(409, 503), description=OPENING),
            Route("GET", "/v1/payments", self.search, "Search payments, newest first", TAGS,
                  {200: Answer(PaymentPage, "One page.")}, query=PaymentSearch),
            Route("GET", "/v1/payments/{id}", self.payment, "Read a payment", TAGS,
                  {200: Answer(PaymentAnswer, "The payment as it is now.")}, path_about=PAYMENT_ABOUT),
        ]  # fmt: skip

    async def open_withhold(self, call: Call) -> Reply:
        return await self._open(call, Kind.WITHHOLD, call.body.send_before)

    async def open_charge(self, call: Call) -> Reply:
        return await self._open(call, Kind.CHARGE)

    async def _open(self, call: Call, kind: Kind, send_before: datetime | None = None) -> Reply:
        await refuse_number_of_try(self.reading, call.caller, call.body.merchant_order_no)
        order = await order_of(call.body, kind, call.caller, self.cards, send_before)
        if order.card_id is not None and order.card is None and not await self._was_taken(order):
            raise no_such_card()
        try:
            self.check_return_url(order)
        except ReturnUrlError as error:
            if not await self._was_taken(order):
                raise bad_fields([FieldError("return_url", "not_one_of", str(error))]) from None
        try:
            opened = await self.payments.open(order)
        except CardNotFoundError:
            raise no_such_card() from None
        except SendBeforeError as error:
            raise _not_before(error) from None
        except OrderConflictError:
            detail = "This merchant_order_no was used before with other content. Use a new one for a new payment."
            raise conflict("order_conflict", detail) from None
        body = await self._shown(opened.payment, call)
        return Reply(body, headers={REPLAYED: "true"}) if opened.replayed else Reply(body, status=201)

    async def _was_taken(self, order: Order) -> bool:
        """Whether the number of an order is in use: then it has its answer, though its card is gone."""
        wanted = PaymentFilter(merchant_order_no=order.merchant_order_no, limit=1)
        return bool((await self.reading.payments(order.merchant_id, order.app, wanted)).page)

    async def payment(self, call: Call) -> Reply:
        found = await self.reading.payment(call.caller.merchant_id, call.caller.app, payment_id_of(call))
        if found is None:
            raise not_found("payment")
        return Reply(await self._shown(found, call))

    async def _shown(self, payment: Payment, call: Call) -> dict[str, Any]:
        """The payment, with the form that brings its payer to the PSP while they may go."""
        shown = payment_object(payment, call.language)
        with suppress(UnusableAccountError, ClockOffError):  # the page tells as much
            if shown["next_action"] is not None and self.redirects.may_go(payment):
                shown["next_action"]["form"] = form_object(await self.redirects.form(payment))
        return shown

    async def search(self, call: Call) -> Reply:
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
        found = await self.reading.payments(call.caller.merchant_id, call.caller.app, wanted)
        ids = [one.payment_id for one in found.page]
        shown = [payment_object(one, call.language) for one in found.page]
        return Reply(search_page(found, ids, shown, asked.limit, PAYMENT, call.language))


def _not_before(error: SendBeforeError) -> Problem:
    last = timestamp(error.day_ends_at)
    message = f"must lie ahead, and no later than the end of the business day, {last}: leave it out for 30 minutes"
    return bad_fields([FieldError("send_before", "out_of_range", message)])


def payment_id_of(call: Call) -> UUID:
    """The payment that the address names. Raises a 404 problem."""
    try:
        return read(PAYMENT, call.path["id"])
    except IdError:
        raise not_found("payment") from None
