"""Authentications (鉴权) that apps ask for by themselves: open one, read it, submit its code."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field, JsonValue, model_validator

from gateway.api.app.order_numbers import refuse_number_of_try
from gateway.api.app.ordering import elements_as_typed, no_such_card, payer_bank
from gateway.api.app.payer_acts import CONFIRM_ABOUT, RESEND_ABOUT, ConfirmRequest, PayerActs, granted
from gateway.api.app.payments import OPENING, REPLAYED
from gateway.api.app.requests import MAX_EXPIRES_IN_S, MIN_EXPIRES_IN_S, CardFields, CardId
from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.api.http.fields import BankCode, Metadata, OrderNumber, RequestModel, UserId, wrong
from gateway.api.http.needs import AuthenticationsFlow, CardsByUser
from gateway.api.http.payment_answers import CardAnswer, FailureAnswer, NextActionAnswer, PaymentStatus, TryOfAnswer
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.codes import ClosedReason
from gateway.domain.ids import AUTHENTICATION, CARD, IdError, read, show
from gateway.domain.one_form import as_compared, one_form
from gateway.domain.orders import AuthenticationOrder
from gateway.objects.authentications import authentication_object
from gateway.ports import CardNotFoundError, OrderConflictError, Reading

__all__ = ["AuthenticationCalls"]

TAGS = ("cards",)

_EXAMPLE: dict[str, JsonValue] = {
    "merchant_order_no": "sign-0001",
    "user_id": "user-1",
    # Well-formed numbers of nobody.
    "card": {
        "card_no": "6222020000000001230",
        "holder_name": "张三",
        "id_no": "11010519491231002X",
        "phone": "13800138000",
    },
}


class AuthenticationRequest(RequestModel):
    """Authenticate a card by its four elements, on the merchant's primary channel. Each costs money.

    `merchant_order_no` is of the same space as payments. `customer_present`: somebody can type a code (true unless said
    otherwise).
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    merchant_order_no: OrderNumber
    user_id: UserId
    card: CardFields | None = None
    card_id: CardId | None = None
    bank: BankCode | None = None
    customer_present: bool = True
    metadata: Metadata = Field(default_factory=dict)
    expires_in_s: Annotated[int, Field(ge=MIN_EXPIRES_IN_S, le=MAX_EXPIRES_IN_S)] | None = None

    @model_validator(mode="after")
    def _has_one_card(self) -> Self:
        if self.card is not None and self.card_id is not None:
            raise wrong("exclusive", "stands beside card: give one of them", field="card_id")
        if self.card is None and self.card_id is None:
            raise wrong("missing", "is needed: give card or card_id", field="card")
        return self


class AuthenticationAnswer(AnswerModel):
    """An authentication. `fee` in fen: what it costs; null: nothing was sent."""

    id: Annotated[str, shown_id(AUTHENTICATION)]
    object: Literal["authentication"]
    merchant_order_no: str
    app: str
    user_id: str
    bank: str
    card: CardAnswer
    status: PaymentStatus
    channel: str | None
    fee: int | None
    failure: FailureAnswer | None
    next_action: NextActionAnswer | None
    closed_reason: ClosedReason | None
    created_at: Time
    finished_at: Time | None
    checkout: TryOfAnswer | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuthenticationCalls:
    """The calls of authentications."""

    authentications: AuthenticationsFlow
    acts: PayerActs
    reading: Reading
    cards: CardsByUser

    def routes(self) -> list[Route]:
        """The routes of authentications."""
        opened = {
            201: Answer(AuthenticationAnswer, "Opened; `status` says how it stands."),
            200: Answer(
                AuthenticationAnswer,
                "This order was opened before; the authentication as it is now.",
                headers={REPLAYED: "always `true`"},
            ),
        }
        done = {200: Answer(AuthenticationAnswer, "The authentication as it is now.")}
        about = {"id": "the authentication's id, auth_…"}
        path = "/v1/authentications/{id}"
        return [
            Route("POST", "/v1/authentications", self.open, "Authenticate a card (鉴权)", TAGS, opened,
                  body=AuthenticationRequest, problems=(409, 503), description=OPENING),
            Route("GET", path, self.read, "Read an authentication", TAGS, done, path_about=about),
            Route("POST", f"{path}/confirm", self.confirm, "Submit the code of an SMS", TAGS, done,
                  body=ConfirmRequest, problems=(409, 503), path_about=about, description=CONFIRM_ABOUT),
            Route("POST", f"{path}/resend-sms", self.resend, "Have the SMS sent again", TAGS, done,
                  problems=(409, 503), path_about=about, description=RESEND_ABOUT),
            Route("POST", f"{path}/close", self.close, "Give up an authentication that waits for its code", TAGS, done,
                  problems=(409, 503), path_about=about),
        ]  # fmt: skip

    async def open(self, call: Call) -> Reply:
        await refuse_number_of_try(self.reading, call.caller, call.body.merchant_order_no)
        order = await self._order(call)
        try:
            opened = await self.authentications.open(order)
        except CardNotFoundError:
            raise no_such_card() from None
        except OrderConflictError:
            detail = "This merchant_order_no was used before with other content. Take a new one for a new card."
            raise conflict("order_conflict", detail) from None
        body = authentication_object(opened.authentication, call.language)
        return Reply(body, headers={REPLAYED: "true"}) if opened.replayed else Reply(body, status=201)

    async def read(self, call: Call) -> Reply:
        return self._reply(call, await self._authentication(call))

    async def confirm(self, call: Call) -> Reply:
        asked: ConfirmRequest = call.body
        return self._reply(call, await granted(self.acts.confirm(await self._authentication(call), asked.sms_code)))

    async def resend(self, call: Call) -> Reply:
        return self._reply(call, await granted(self.acts.resend(await self._authentication(call))))

    async def close(self, call: Call) -> Reply:
        return self._reply(call, await granted(self.acts.close(await self._authentication(call))))

    async def _order(self, call: Call) -> AuthenticationOrder:
        asked: AuthenticationRequest = call.body
        merchant_id = call.caller.merchant_id
        stored = await self.cards.find_card(merchant_id, asked.user_id, asked.card_id) if asked.card_id else None
        # Where a named card is gone, an order that was taken before still has its authentication.
        gone = asked.card_id is not None and stored is None
        typed = elements_as_typed(asked.card)
        elements = stored.elements if stored else one_form(typed) if typed else None
        return AuthenticationOrder(
            merchant_id=merchant_id,
            app=call.caller.app,
            merchant_order_no=asked.merchant_order_no,
            user_id=asked.user_id,
            bank=payer_bank(asked.bank, stored, elements) if not gone else asked.bank or "",
            card=elements,
            card_id=stored.card.card_id if stored else asked.card_id,
            customer_present=asked.customer_present,
            expires_in_s=asked.expires_in_s,
            metadata=asked.metadata,
            body=_canonical_body(asked, as_compared(elements) if elements and not asked.card_id else None),
        )

    async def _authentication(self, call: Call) -> Authentication:
        found = await self.reading.authentication(call.caller.merchant_id, call.caller.app, _id_of(call))
        if found is None:
            raise not_found("authentication")
        return found

    def _reply(self, call: Call, authentication: Authentication) -> Reply:
        return Reply(authentication_object(authentication, call.language))


def _id_of(call: Call) -> UUID:
    try:
        return read(AUTHENTICATION, call.path["id"])
    except IdError:
        raise not_found("authentication") from None


def _canonical_body(asked: AuthenticationRequest, card: CardElements | None) -> bytes:
    """The request in one form, so that two requests that mean the same are the same bytes."""
    said: dict[str, Any] = asked.model_dump(exclude_none=True, exclude_defaults=True)
    if card is not None:
        said["card"] = {name: getattr(card, name) for name in CardElements.__slots__}
    if asked.card_id is not None:
        said["card_id"] = show(CARD, asked.card_id)
    return orjson.dumps({"authentication": said}, option=orjson.OPT_SORT_KEYS)
