"""Recorded routes: record one, report how it ended, read it. Nothing of them is sent to any payment company."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from gateway.api.app.order_numbers import refuse_number_of_try
from gateway.api.app.ordering import REPLAYED, AsksToPay, no_such_card, order_of
from gateway.api.http.fields import Fen, OneLine, RequestModel, wrong
from gateway.api.http.needs import CardsByUser, RoutesFlow
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.route_answers import RecordedRouteAnswer
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.failures import FailureCode
from gateway.domain.ids import ROUTE, IdError, read
from gateway.domain.recorded_routes import Report
from gateway.domain.scenes import SCENES_OF, Kind
from gateway.objects.routes import route_with_decision
from gateway.ports import CardNotFoundError, OrderConflictError, Reading

__all__ = ["RecordedRouteCalls", "ReportRequest"]

TAGS = ("router",)
ABOUT: Final[Mapping[str, str]] = {"id": "the recorded route's id, rt_…"}
REPORTING = (
    "Say how a recorded route ended, in codes of ours: its reservation becomes used or free, and the next decision "
    "knows. The same result again is 200. Another one is `result_conflict` and changes no status; if money may have "
    "moved against what is recorded it is an anomaly, and counts as used. A report after `report_before` is taken, too."
)
_CHANNEL_TEXT: Final = 256


class ReportRequest(RequestModel):
    """How a recorded route ended. `failed` may say why; without a code it is `channel_refused`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "failed", "failure_code": "insufficient_balance"}]}
    )

    status: Literal["succeeded", "failed"]
    failure_code: Annotated[
        FailureCode, Field(strict=False, description="of failed: its blame decides what is next")
    ] | (None) = None
    fee: Annotated[
        Fen | None, Field(description="of succeeded: what you owe the payment company; absent: expected_fee")
    ] = None
    channel_code: Annotated[OneLine, Field(min_length=1, max_length=64)] | None = None
    channel_message: Annotated[OneLine, Field(min_length=1, max_length=_CHANNEL_TEXT)] | None = None

    @model_validator(mode="after")
    def _says_what_fits(self) -> Self:
        unwanted = ("fee",) if self.status == "failed" else ("failure_code", "channel_code", "channel_message")
        for name in unwanted:
            if getattr(self, name) is not None:
                raise wrong("unwanted", f"is not for {self.status}", field=name)
        return self


@dataclass(frozen=True, slots=True)
class RecordedRouteCalls:
    """The calls of recorded routes; `POST /v1/routes` itself stands with the dry runs."""

    flow: RoutesFlow
    reading: Reading
    cards: CardsByUser

    def routes(self) -> list[Route]:
        """The routes."""
        taken = {
            200: Answer(
                RecordedRouteAnswer,
                "The route as it is now.",
                headers={REPLAYED: "`true`, where it was reported so before"},
            )
        }
        return [
            Route("POST", "/v1/routes/{id}/result", self.report, "Report how a recorded route ended", TAGS, taken,
                  body=ReportRequest, problems=(409, 503), path_about=ABOUT, description=REPORTING),
            Route("GET", "/v1/routes/{id}", self.route, "Read a recorded route", TAGS,
                  {200: Answer(RecordedRouteAnswer, "The route as it is now.")}, path_about=ABOUT),
        ]  # fmt: skip

    async def record(self, call: Call, asked: AsksToPay, report_within_s: int) -> Reply:
        """Decide and reserve, or answer what was recorded before under this number."""
        kind = Kind.WITHHOLD if asked.scene in SCENES_OF[Kind.WITHHOLD] else Kind.CHARGE
        assert asked.merchant_order_no is not None, "looked at when it was read"
        await refuse_number_of_try(self.reading, call.caller, asked.merchant_order_no)
        order = await order_of(asked, kind, call.caller, self.cards)
        try:
            recorded = await self.flow.record(order, timedelta(seconds=report_within_s))
        except CardNotFoundError:
            raise no_such_card() from None
        except OrderConflictError:
            detail = "This merchant_order_no was used before with other content. Use a new one for a new route."
            raise conflict("order_conflict", detail) from None
        body = route_with_decision(recorded.route, call.language)
        return Reply(body, headers={REPLAYED: "true"}) if recorded.replayed else Reply(body, status=201)

    async def report(self, call: Call) -> Reply:
        said: ReportRequest = call.body
        report = Report(
            said.status == "succeeded", said.failure_code, said.fee, said.channel_code, said.channel_message
        )
        done = await self.flow.report(call.caller.merchant_id, call.caller.app, _id_of(call), report)
        if done is None:
            raise not_found("route")
        if done.conflict:
            raise conflict("result_conflict", "This route ended otherwise before, and that stays. Read the route.")
        body = route_with_decision(done.route, call.language)
        return Reply(body, headers={REPLAYED: "true"} if done.same else {})

    async def route(self, call: Call) -> Reply:
        found = await self.reading.route(call.caller.merchant_id, call.caller.app, _id_of(call))
        if found is None:
            raise not_found("route")
        return Reply(route_with_decision(found, call.language))


def _id_of(call: Call) -> UUID:
    try:
        return read(ROUTE, call.path["id"])
    except IdError:
        raise not_found("route") from None
