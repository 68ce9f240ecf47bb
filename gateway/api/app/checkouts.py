"""Checkouts (收银台): orders that payers pay, or sign a card for, on pages of ours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field, JsonValue, model_validator

from gateway.api.app.authentications import AuthenticationAnswer
from gateway.api.app.order_numbers import refuse_number_of_try
from gateway.api.app.ordering import REPLAYED
from gateway.api.app.payer_acts import granted
from gateway.api.app.payments import OPENING
from gateway.api.app.requests import MAX_EXPIRES_IN_S, MIN_EXPIRES_IN_S
from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.api.http.fields import (
    Amount,
    CustodyUserNo,
    Description,
    Metadata,
    OrderNumber,
    RequestModel,
    ReturnUrl,
    UserId,
    wrong,
)
from gateway.api.http.needs import CheckoutsFlow
from gateway.api.http.payment_answers import PaymentAnswer
from gateway.api.http.problems import FieldError, bad_fields, conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.checkouts import CHECKOUT_EXPIRES_IN_S, Checkout, CheckoutOrder, CheckoutPurpose, Method
from gateway.domain.ids import CHECKOUT, IdError, read
from gateway.domain.return_urls import ReturnUrlError
from gateway.objects.checkouts import checkout_object
from gateway.ports import OrderConflictError, Reading

__all__ = ["CheckoutAnswer", "CheckoutCalls", "CheckoutRequest", "canonical_body"]

TAGS: Final = ("checkouts",)
ABOUT: Final = {"id": "the checkout's id, co_…"}
CANCELING: Final = (
    "Only while it is open. A try that waits for its payer is closed first: where something may have been paid, the "
    "payment company is asked, and the checkout stays open unless it is proved that nothing was (409 `may_be_paid`). "
    "One that was canceled before is answered as it is."
)
_OF_PAYING: Final = ("amount", "currency", "description")

_EXAMPLE: dict[str, JsonValue] = {
    "merchant_order_no": "recharge-0001",
    "user_id": "user-1",
    "amount": 10_000,
    "currency": "CNY",
    "description": "充值",
    "return_url": "http://127.0.0.1:8070/",
}


class CheckoutRequest(RequestModel):
    """An order that its payer pays on our pages; with purpose `sign` a card that they sign for later withholds."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    merchant_order_no: OrderNumber
    purpose: Annotated[CheckoutPurpose, Field(strict=False)] = CheckoutPurpose.PAY
    user_id: UserId
    amount: Annotated[Amount | None, Field(description="in fen; not for purpose sign")] = None
    currency: Annotated[Literal["CNY"] | None, Field(description="not for purpose sign")] = None
    description: Annotated[Description | None, Field(description="what the payer pays for, as they see it")] = None
    methods: Annotated[
        list[Annotated[Method, Field(strict=False)]] | None,
        Field(min_length=1, max_length=len(Method), description="how they may pay; absent: in every way there is"),
    ] = None
    custody_user_no: Annotated[
        CustodyUserNo | None, Field(description="the payer's number at the custody bank; absent: user_id")
    ] = None
    return_url: Annotated[ReturnUrl, Field(description="where the payer goes afterwards")]
    expires_in_s: Annotated[int, Field(ge=MIN_EXPIRES_IN_S, le=MAX_EXPIRES_IN_S)] = CHECKOUT_EXPIRES_IN_S
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_what_its_purpose_needs(self) -> Self:
        if self.purpose is CheckoutPurpose.PAY:
            for name in _OF_PAYING:
                if getattr(self, name) is None:
                    raise wrong("missing", "is needed to pay", field=name)
        else:
            for name in ("amount", "currency", "methods", "custody_user_no"):
                if getattr(self, name) is not None:
                    raise wrong("unwanted", "is not for purpose sign", field=name)
        if self.methods is not None and len(set(self.methods)) < len(self.methods):
            raise wrong("repeated", "names one twice", field="methods")
        return self


class CheckoutAnswer(AnswerModel):
    """A checkout, with its tries: payments, or with purpose `sign` authentications; oldest first."""

    id: Annotated[str, shown_id(CHECKOUT)]
    object: Literal["checkout"]
    app: str
    merchant_order_no: str
    purpose: CheckoutPurpose
    user_id: str
    amount: int | None
    currency: str | None
    description: str | None
    methods: list[Method]
    custody_user_no: str | None
    status: Literal["open", "succeeded", "expired", "canceled"]
    return_url: str
    payments: list[PaymentAnswer]
    authentications: list[AuthenticationAnswer]
    expires_at: Time
    created_at: Time
    finished_at: Time | None
    metadata: dict[str, Any]
    url: Annotated[str, Field(description="bring the payer there: whoever has this address can pay")]


@dataclass(frozen=True, slots=True)
class CheckoutCalls:
    """The calls of checkouts."""

    checkouts: CheckoutsFlow
    reading: Reading
    url_of: Callable[[UUID, UUID], str]
    """Of merchant and checkout: the address of its page."""
    check_return_url: Callable[[UUID, str, str], None]
    """Of merchant, app and address; raises ReturnUrlError."""

    def routes(self) -> list[Route]:
        """The routes of checkouts."""
        opened = {
            201: Answer(CheckoutAnswer, "Opened: bring the payer to `url`."),
            200: Answer(
                CheckoutAnswer,
                "This order was opened before; the checkout as it is now.",
                headers={REPLAYED: "always `true`"},
            ),
        }
        now = {200: Answer(CheckoutAnswer, "The checkout as it is now.")}
        path = "/v1/checkouts/{id}"
        return [
            Route("POST", "/v1/checkouts", self.open, "Open a checkout (收银台)", TAGS, opened,
                  body=CheckoutRequest, problems=(409, 503), description=OPENING),
            Route("GET", path, self.checkout, "Read a checkout", TAGS, now, path_about=ABOUT),
            Route("POST", f"{path}/cancel", self.cancel, "Give up a checkout", TAGS, now,
                  problems=(409, 503), path_about=ABOUT, description=CANCELING),
        ]  # fmt: skip

    async def open(self, call: Call) -> Reply:
        asked: CheckoutRequest = call.body
        await refuse_number_of_try(self.reading, call.caller, asked.merchant_order_no)
        order = _order_of(call, asked)
        try:
            self.check_return_url(order.merchant_id, order.app, order.return_url)
        except ReturnUrlError as error:
            if not await self.reading.order_taken(order.merchant_id, order.app, order.merchant_order_no):
                raise bad_fields([FieldError("return_url", "not_one_of", str(error))]) from None
        try:
            done = await self.checkouts.open(order)
        except OrderConflictError:
            detail = "This merchant_order_no was used before with other content. Use a new one for a new checkout."
            raise conflict("order_conflict", detail) from None
        body = checkout_object(done.checkout, done.tries, self._url(done.checkout), call.language)
        return Reply(body, headers={REPLAYED: "true"}) if done.replayed else Reply(body, status=201)

    async def checkout(self, call: Call) -> Reply:
        checkout, tries = await self._read(call)
        return Reply(checkout_object(checkout, tries, self._url(checkout), call.language))

    async def cancel(self, call: Call) -> Reply:
        checkout, tries = await self._read(call)
        await granted(self.checkouts.cancel(checkout, tries))
        checkout, tries = await self._read(call)
        return Reply(checkout_object(checkout, tries, self._url(checkout), call.language))

    async def _read(self, call: Call) -> Any:
        try:
            checkout_id = read(CHECKOUT, call.path["id"])
        except IdError:
            raise not_found("checkout") from None
        found = await self.reading.checkout(call.caller.merchant_id, call.caller.app, checkout_id)
        if found is None:
            raise not_found("checkout")
        return found

    def _url(self, checkout: Checkout) -> str:
        return self.url_of(checkout.merchant_id, checkout.checkout_id)


def _order_of(call: Call, asked: CheckoutRequest) -> CheckoutOrder:
    return CheckoutOrder(
        merchant_id=call.caller.merchant_id,
        app=call.caller.app,
        merchant_order_no=asked.merchant_order_no,
        purpose=asked.purpose,
        user_id=asked.user_id,
        amount=asked.amount,
        currency=asked.currency,
        description=asked.description,
        methods=_methods(asked) if asked.purpose is CheckoutPurpose.PAY else (),
        custody_user_no=asked.custody_user_no,
        return_url=asked.return_url,
        expires_in_s=asked.expires_in_s,
        metadata=asked.metadata,
        body=canonical_body(asked),
    )


def _methods(asked: CheckoutRequest) -> tuple[Method, ...]:
    return tuple(each for each in Method if asked.methods is None or each in asked.methods)


def canonical_body(asked: CheckoutRequest) -> bytes:
    """The request in one form, so that two requests that mean the same are the same bytes."""
    said: dict[str, Any] = asked.model_dump(exclude_none=True, exclude_defaults=True, exclude={"methods"})
    if len(_methods(asked)) < len(Method):
        said["methods"] = sorted(_methods(asked))
    return orjson.dumps({"checkout": said}, option=orjson.OPT_SORT_KEYS)
