"""Payouts: open one, hand its settles in by parts, release it, read it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias
from uuid import UUID

import orjson
from pydantic import ConfigDict, Field, JsonValue, model_validator

from gateway.api.app.order_numbers import refuse_number_of_try
from gateway.api.app.ordering import REPLAYED
from gateway.api.http.fields import Amount, Code, Metadata, OrderNumber, Purpose, RequestModel, id_field, wrong
from gateway.api.http.needs import PayoutsFlow
from gateway.api.http.payee_fields import PayeeFields
from gateway.api.http.payout_answers import PayoutAnswer, refused
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.ids import PAYMENT, PAYOUT, IdError, read, show
from gateway.domain.orders import PayoutOrder
from gateway.domain.payouts import Part
from gateway.flows.payout_acts import PayoutRefusedError
from gateway.objects.payouts import payout_object
from gateway.ports import OrderConflictError, Reading

__all__ = ["PayoutCalls"]

TAGS: Final = ("payouts",)
ABOUT: Final = {"id": "the payout's id, po_…"}
MAX_PARTS: Final = 1000
OPENING: Final = (
    "Money out to a person's or a firm's account, on the channel that is named. `settles` says which payments it pays "
    "on: their parts add up to its amount, and what payouts and refunds take of a payment never exceeds it. With "
    "`hold` it waits for more parts and for its release, seven days at most. A lost answer leaves it `processing`: it "
    "is never sent again, and asked about until the payment company says what became of it. What succeeded can come "
    "back days later: `returned`."
)
SETTLING: Final = (
    "At most 1000 parts at once, all of them or none. The same part again is nothing new; another amount for the same "
    "payment is a conflict."
)

if TYPE_CHECKING:
    PaymentId: TypeAlias = UUID
else:
    PaymentId = id_field(PAYMENT)

_EXAMPLE: dict[str, JsonValue] = {
    "merchant_order_no": "payout-0001",
    "channel": "allinpay",
    "amount": 10_000,
    "currency": "CNY",
    "account": {"type": "personal", "account_no": "6222021001112222335", "name": "张三", "bank": "ICBC"},
    "purpose": "放款",
}


class PartFields(RequestModel):
    """What of a payment is paid on."""

    payment: PaymentId
    amount: Amount


Parts = Annotated[list[PartFields], Field(min_length=1, max_length=MAX_PARTS)]


def _of_one_payment_each(parts: list[PartFields] | None) -> None:
    if parts is not None and len({part.payment for part in parts}) < len(parts):
        raise wrong("repeated", "names a payment twice", field="settles")


class PayoutRequest(RequestModel):
    """A payout (代付). `merchant_order_no` is its own; amounts in fen."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    merchant_order_no: OrderNumber
    channel: Code
    amount: Amount
    currency: Literal["CNY"]
    account: PayeeFields
    purpose: Annotated[Purpose, Field(description="as the payee sees it, as far as it fits")]
    settles: Annotated[Parts | None, Field(description="which payments it pays on")] = None
    hold: Annotated[bool, Field(description="wait for more settles, and to be released")] = False
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="after")
    def _settles_its_amount(self) -> Self:
        _of_one_payment_each(self.settles)
        settled = sum(part.amount for part in self.settles or ())
        if settled > self.amount or (settled and not self.hold and settled != self.amount):
            said = f"adds up to {settled} fen, not to {self.amount}"
            raise wrong("out_of_range", said, field="settles")
        return self


class SettlesRequest(RequestModel):
    """More parts for a payout that is held."""

    settles: Parts

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        _of_one_payment_each(self.settles)
        return self


@dataclass(frozen=True, slots=True)
class PayoutCalls:
    """The calls of payouts."""

    payouts: PayoutsFlow
    reading: Reading

    def routes(self) -> list[Route]:
        """The routes of payouts."""
        opened = {
            201: Answer(PayoutAnswer, "Opened; `status` says how it stands."),
            200: Answer(
                PayoutAnswer,
                "This order was opened before; the payout as it is now.",
                headers={REPLAYED: "always `true`"},
            ),
        }
        now, path = {200: Answer(PayoutAnswer, "The payout as it is now.")}, "/v1/payouts/{id}"
        return [
            Route("POST", "/v1/payouts", self.open, "Open a payout (代付)", TAGS, opened,
                  body=PayoutRequest, problems=(409, 503), description=OPENING),
            Route("GET", path, self.payout, "Read a payout", TAGS, now, path_about=ABOUT),
            Route("POST", f"{path}/settles", self.settle, "Hand in more settles of a held payout", TAGS, now,
                  body=SettlesRequest, problems=(409, 503), path_about=ABOUT, description=SETTLING),
            Route("POST", f"{path}/release", self.release, "Send a payout that was held", TAGS, now,
                  problems=(409, 503), path_about=ABOUT,
                  description="Its settles must add up to its amount. One that was released is answered as it is."),
        ]  # fmt: skip

    async def open(self, call: Call) -> Reply:
        asked: PayoutRequest = call.body
        await refuse_number_of_try(self.reading, call.caller, asked.merchant_order_no)
        order = _order_of(call, asked)
        try:
            opened = await self.payouts.open(order)
        except OrderConflictError:
            detail = "This merchant_order_no was used before with other content. Use a new one for a new payout."
            raise conflict("order_conflict", detail) from None
        except PayoutRefusedError as error:
            raise refused(error, _places(order.parts)) from None
        body = payout_object(opened.payout, call.language)
        return Reply(body, headers={REPLAYED: "true"}) if opened.replayed else Reply(body, status=201)

    async def payout(self, call: Call) -> Reply:
        found = await self.reading.payout(call.caller.merchant_id, call.caller.app, _id_of(call))
        if found is None:
            raise not_found("payout")
        return Reply(payout_object(found, call.language))

    async def settle(self, call: Call) -> Reply:
        asked: SettlesRequest = call.body
        parts, caller = _parts(asked.settles), call.caller
        try:
            after = await self.payouts.settle(caller.merchant_id, caller.app, _id_of(call), parts)
        except PayoutRefusedError as error:
            raise refused(error, _places(parts)) from None
        if after is None:
            raise not_found("payout")
        return Reply(payout_object(after, call.language))

    async def release(self, call: Call) -> Reply:
        try:
            after = await self.payouts.release(call.caller.merchant_id, _id_of(call), call.caller.app)
        except PayoutRefusedError as error:
            raise refused(error, {}, was_taken=True) from None
        if after is None:
            raise not_found("payout")
        return Reply(payout_object(after, call.language))


def _id_of(call: Call) -> UUID:
    try:
        return read(PAYOUT, call.path["id"])
    except IdError:
        raise not_found("payout") from None


def _parts(asked: list[PartFields] | None) -> tuple[Part, ...]:
    return tuple(Part(part.payment, part.amount) for part in asked or ())


def _places(parts: tuple[Part, ...]) -> dict[UUID, int]:
    return {part.payment_id: place for place, part in enumerate(parts)}


def _order_of(call: Call, asked: PayoutRequest) -> PayoutOrder:
    payee, parts = asked.account.payee(), _parts(asked.settles)
    said: dict[str, Any] = asked.model_dump(exclude_none=True, exclude_defaults=True)
    said["account"] |= {"account_no": payee.account_no, "name": payee.name}
    if parts:  # in whatever order they were named
        said["settles"] = sorted([show(PAYMENT, part.payment_id), part.amount] for part in parts)
    return PayoutOrder(
        merchant_id=call.caller.merchant_id,
        app=call.caller.app,
        merchant_order_no=asked.merchant_order_no,
        channel=asked.channel,
        payee=payee,
        amount=asked.amount,
        currency=asked.currency,
        purpose=asked.purpose,
        parts=parts,
        hold=asked.hold,
        metadata=asked.metadata,
        body=orjson.dumps({"payout": said}, option=orjson.OPT_SORT_KEYS),
    )
