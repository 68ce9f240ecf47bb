"""Operators find payouts, and say whether one that is held may be paid."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias
from uuid import UUID

from pydantic import Field

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import PAGE, Code, OrderNumber, PageSize, QueryModel, id_field
from gateway.api.http.payout_answers import PayoutAnswer, PayoutPage, refused
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import PAYOUT, IdError, read
from gateway.domain.payouts import Hold, Payout, PayoutFilter
from gateway.domain.statuses import Status
from gateway.flows.payout_acts import PayoutRefusedError
from gateway.objects.payouts import payout_object

__all__ = ["HeldPayouts", "PayoutOperatorCalls", "Payouts"]

_ONE = MERCHANT + "/payouts/{id}"
_ABOUT = MERCHANT_ABOUT | {"id": "the payout's id, po_…"}


class Payouts(Protocol):
    """Where payouts are looked up: a `PayoutSearch`."""

    async def payouts(self, merchant_id: UUID, wanted: PayoutFilter) -> list[Payout]:
        """The payouts of a merchant that fit all that is given, newest first."""
        ...


class HeldPayouts(Protocol):
    """Decides on payouts that are held: a `PayoutFlow`. None: no such payout. Raises PayoutRefusedError."""

    async def confirm(self, merchant_id: UUID, payout_id: UUID) -> Payout | None: ...

    async def refuse(self, merchant_id: UUID, payout_id: UUID) -> Payout | None: ...


if TYPE_CHECKING:
    PayoutId: TypeAlias = UUID
else:
    PayoutId = id_field(PAYOUT)


class PayoutLookUp(QueryModel):
    """What is known of the payouts. All of it must fit. `after` is the `next` of the page before."""

    id: PayoutId | None = None
    merchant_order_no: OrderNumber | None = None
    status: Status | None = None
    held_for: Annotated[Hold | None, Field(description="what they wait for")] = None
    channel: Code | None = None
    limit: PageSize = PAGE
    after: PayoutId | None = None


@dataclass(frozen=True, slots=True)
class PayoutOperatorCalls:
    """The operators' calls of payouts. `catalogue`: the one in force."""

    store: Payouts
    held: HeldPayouts
    catalogue: Callable[[], Catalogue]

    def routes(self) -> list[Route]:
        """The routes."""
        now = {200: Answer(PayoutAnswer, "the payout as it is now")}
        return [
            Route("GET", f"{MERCHANT}/payouts", self.search,
                  "find payouts; `held_for=suspicion`: those that wait for you", TAGS,
                  {200: Answer(PayoutPage, "one page, newest first")}, scope="admin", query=PayoutLookUp,
                  path_about=MERCHANT_ABOUT),
            Route("POST", f"{_ONE}/confirm", self.confirm, "say that a suspected payout is right", TAGS, now,
                  scope="admin", problems=(409, 503), path_about=_ABOUT,
                  description="It is told to the payment company once, which then pays it."),
            Route("POST", f"{_ONE}/refuse", self.refuse, "end a payout that is held: it is not paid", TAGS, now,
                  scope="admin", problems=(409, 503), path_about=_ABOUT,
                  description="It fails as `not_confirmed`, and what it settles is free again."),
        ]  # fmt: skip

    async def search(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        # One more than the page tells whether there is a next one.
        wanted = PayoutFilter(
            asked.id, asked.merchant_order_no, asked.status, asked.held_for, asked.channel, asked.after, asked.limit + 1
        )
        found = await self.store.payouts(merchant.merchant_id, wanted)
        page = [payout_object(payout, call.language) for payout in found[: asked.limit]]
        return Reply({"data": page, "next": page[-1]["id"] if len(found) > asked.limit else None})

    async def confirm(self, call: Call) -> Reply:
        return await self._decided(call, self.held.confirm)

    async def refuse(self, call: Call) -> Reply:
        return await self._decided(call, self.held.refuse)

    async def _decided(self, call: Call, decide: Callable[[UUID, UUID], Awaitable[Payout | None]]) -> Reply:
        merchant = merchant_of(self.catalogue(), call)
        try:
            payout_id = read(PAYOUT, call.path["id"])
        except IdError:
            raise not_found("payout") from None
        try:
            after = await decide(merchant.merchant_id, payout_id)
        except PayoutRefusedError as error:
            raise refused(error, {}) from None
        if after is None:
            raise not_found("payout")
        return Reply(payout_object(after, call.language))
