"""Events of a merchant, whatever app they are of: sending one again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.answers import Redelivery
from gateway.api.http.problems import not_found
from gateway.api.http.resending import redelivered
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.events import Redelivered
from gateway.domain.ids import EVENT, IdError, read

__all__ = ["OperatorEventCalls", "Redelivering"]


class Redelivering(Protocol):
    """Who sends events again: a `DeliveryStore`."""

    async def redeliver(self, merchant_id: UUID, event_id: UUID, now: datetime) -> Redelivered | None:
        """Make every delivery of an event due now, or hold it; None: no such event."""
        ...


@dataclass(frozen=True, slots=True)
class OperatorEventCalls:
    """The call of events. `catalogue`: the one in force."""

    store: Redelivering
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The route of events."""
        return [
            Route(
                "POST",
                f"{MERCHANT}/events/{{id}}/redeliver",
                self.redeliver,
                "send an event again, to every endpoint that it was for",
                TAGS,
                {202: Answer(Redelivery, "due now, whatever became of it before")},
                scope="admin",
                problems=(409,),
                path_about=MERCHANT_ABOUT | {"id": "the event's id, evt_…"},
            )
        ]

    async def redeliver(self, call: Call) -> Reply:
        merchant = merchant_of(self.catalogue(), call)
        try:
            event_id = read(EVENT, call.path["id"])
        except IdError:
            raise not_found("event") from None
        return redelivered(await self.store.redeliver(merchant.merchant_id, event_id, self.clock()))
