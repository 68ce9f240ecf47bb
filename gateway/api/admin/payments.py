"""Operators look payments up by whatever they were given of them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias
from uuid import UUID

from pydantic import PlainValidator, WithJsonSchema

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import PAGE, Code, PageSize, QueryModel, UserId, id_field, query_integer
from gateway.api.http.payment_answers import PaymentPage, PaymentStatus
from gateway.api.http.refusals import wrong
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.api.http.searching import search_page
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import CARD, PAYMENT, IdError
from gateway.domain.money import MAX_AMOUNT
from gateway.domain.payments import Payment
from gateway.domain.references import MAX_NUMBER, PREFIXES, read_reference
from gateway.objects.payments import payment_object
from gateway.ports import Found, PaymentFilter, Reference

__all__ = ["PaymentSearchCalls", "Payments"]

ABOUT = (
    "Ids, numbers, the user, the card and the day are found at once, however many payments there are. `app`, `amount`, "
    "`status` and `channel` choose among what these find; alone they look at the last 24 hours. A page looks at 20,000 "
    "payments at most: then it is `cut`, `narrow` says how to narrow the search, and `next` goes on."
)
_CARD_ENDS = r"([0-9]{6})\*{0,9}([0-9]{4})"
_NUMBER = rf"[!-~]{{1,{MAX_NUMBER}}}"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


class Payments(Protocol):
    """Where payments are looked up: an `OperatorSearch`."""

    async def find(self, merchant_id: UUID, by: Reference, wanted: PaymentFilter, now: datetime) -> Found[Payment]:
        """The payments of a merchant that fit all that is given, newest first."""
        ...


def _read_id(value: object) -> tuple[str, UUID]:
    try:
        return read_reference(str(value))
    except IdError:
        named = ", ".join(f"{prefix}_…" for prefix in PREFIXES)
        raise wrong("id", f"is not an id: it must be one of {named}, whole") from None


def _read_card_ends(value: object) -> tuple[str, str]:
    ends = re.fullmatch(_CARD_ENDS, str(value), re.ASCII)
    if ends is None:
        raise wrong("wrong_format", "must be the first six and the last four digits of the card, such as 622202*1234")
    return ends[1], ends[2]


def _read_number(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(_NUMBER, value, re.ASCII):
        return value
    raise wrong("wrong_format", f"must be 1 to {MAX_NUMBER} printable ASCII characters without spaces")


def _read_day(value: object) -> date:
    try:
        if re.fullmatch(_DAY, str(value), re.ASCII):
            return date.fromisoformat(str(value))
    except ValueError:
        pass
    raise wrong("wrong_format", "must be a business day such as 2026-01-31")


if TYPE_CHECKING:
    AnyId: TypeAlias = tuple[str, UUID]
    Number: TypeAlias = str
    Day: TypeAlias = date
    CardEnds: TypeAlias = tuple[str, str]
    Amount: TypeAlias = int
    PaymentId: TypeAlias = UUID
else:
    _ids = "|".join(PREFIXES)
    AnyId = Annotated[
        tuple,
        PlainValidator(_read_id),
        WithJsonSchema({"type": "string", "pattern": rf"^({_ids})_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"}),
    ]
    Number = Annotated[str, PlainValidator(_read_number), WithJsonSchema({"type": "string", "pattern": f"^{_NUMBER}$"})]
    Day = Annotated[date, PlainValidator(_read_day), WithJsonSchema({"type": "string", "format": "date"})]
    CardEnds = Annotated[
        tuple, PlainValidator(_read_card_ends), WithJsonSchema({"type": "string", "pattern": f"^{_CARD_ENDS}$"})
    ]
    Amount = query_integer(1, MAX_AMOUNT)
    PaymentId = id_field(PAYMENT)


class PaymentLookUp(QueryModel):
    """What is known of the payments. All of it must fit. `after` is the `next` of the page before."""

    id: AnyId | None = None
    merchant_order_no: Number | None = None
    channel_order_no: Number | None = None
    channel_transaction_no: Number | None = None
    user_id: UserId | None = None
    card: CardEnds | None = None
    day: Day | None = None
    app: Code | None = None
    amount: Amount | None = None
    status: PaymentStatus | None = None
    channel: Code | None = None
    limit: PageSize = PAGE
    after: PaymentId | None = None


@dataclass(frozen=True, slots=True)
class PaymentSearchCalls:
    """The operators' search. `catalogue`: the one in force."""

    payments: Payments
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The route of the search."""
        return [
            Route(
                "GET",
                f"{MERCHANT}/payments",
                self.search,
                "find payments by anything that is known of them",
                TAGS,
                {200: Answer(PaymentPage, "one page, newest first")},
                scope="admin",
                query=PaymentLookUp,
                path_about=MERCHANT_ABOUT,
                description=ABOUT,
            )
        ]

    async def search(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        is_card = asked.id is not None and asked.id[0] == CARD
        by = Reference(
            object_id=None if is_card else asked.id,
            card_id=asked.id[1] if is_card else None,
            card_ends=asked.card,
            merchant_order_no=asked.merchant_order_no,
            channel_order_no=asked.channel_order_no,
            channel_transaction_no=asked.channel_transaction_no,
        )
        wanted = PaymentFilter(
            user_id=asked.user_id,
            business_day=asked.day,
            app=asked.app,
            amount=asked.amount,
            status=asked.status,
            channel=asked.channel,
            before=asked.after,
            limit=asked.limit + 1,  # one more than the page tells whether there is a next one
        )
        found = await self.payments.find(merchant.merchant_id, by, wanted, self.clock())
        ids = [one.payment_id for one in found.page]
        shown = [payment_object(one, call.language) for one in found.page]
        return Reply(search_page(found, ids, shown, asked.limit, PAYMENT, call.language))
