"""What is known of a payment beside itself: why this channel, and everything that happened."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from gateway.api.app.payments import PAYMENT_ABOUT, TAGS, ShownPaymentId, payment_id_of
from gateway.api.http.answers import AnswerModel, Time
from gateway.api.http.fields import PageSize, QueryModel
from gateway.api.http.places import Place, shown_place
from gateway.api.http.problems import not_found
from gateway.api.http.route_answers import RouteAnswer
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.objects.decisions import decision_object
from gateway.objects.timeline import timeline_object
from gateway.ports import Reading

__all__ = ["HistoryCalls", "PaymentDecision", "Timeline", "TimelineSearch"]

ENTRIES = 100
"""Of a timeline in one page, unless it is asked for by `limit`."""


class PaymentDecision(RouteAnswer):
    """The decision of a payment as it was made then, in sentences, and the record it can be made again from."""

    payment: ShownPaymentId
    explanation: list[str]
    record: dict[str, Any]


class Happening(AnswerModel):
    """One thing that happened; the other fields depend on `what`."""

    model_config = ConfigDict(extra="allow")

    at: Time
    what: str


class TimelineSearch(QueryModel):
    """A page of a timeline. `after` is the `next` of the page before."""

    limit: PageSize = ENTRIES
    after: Place | None = None


class Timeline(AnswerModel):
    """Everything that happened to a payment, oldest first."""

    data: list[Happening]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


@dataclass(frozen=True, slots=True)
class HistoryCalls:
    """The calls of a payment's history."""

    reading: Reading

    def routes(self) -> list[Route]:
        """The routes of histories."""
        return [
            Route("GET", "/v1/payments/{id}/decision", self.decision, "Why this channel", TAGS,
                  {200: Answer(PaymentDecision, "The decision as it was made.")}, path_about=PAYMENT_ABOUT),
            Route("GET", "/v1/payments/{id}/timeline", self.timeline, "Everything that happened", TAGS,
                  {200: Answer(Timeline, "Oldest first, by pages.")}, query=TimelineSearch, path_about=PAYMENT_ABOUT),
        ]  # fmt: skip

    async def decision(self, call: Call) -> Reply:
        payment_id = payment_id_of(call)
        record = await self.reading.decision(call.caller.merchant_id, call.caller.app, payment_id)
        if record is None:
            raise not_found("payment")
        return Reply(decision_object(payment_id, record))

    async def timeline(self, call: Call) -> Reply:
        caller, asked = call.caller, call.query
        page = await self.reading.timeline(
            caller.merchant_id, caller.app, payment_id_of(call), after=asked.after, limit=asked.limit
        )
        if page is None:
            raise not_found("payment")
        after = None if page.last is None else shown_place(page.last)
        return Reply({"data": timeline_object(page.happened), "next": after})
