"""Ask the router: what it would decide now, or on given rules and facts; where asked to, it records what it decides."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, RootModel, model_validator

from gateway.api.app.ordering import REPLAYED, customer_present, elements_as_typed, known_card, payer_bank
from gateway.api.app.recorded_routes import RecordedRouteCalls
from gateway.api.app.requests import (
    MAX_EXPIRES_IN_S,
    MIN_EXPIRES_IN_S,
    CardFields,
    CardId,
    check_card_and_bank,
    check_custody_user_no,
)
from gateway.api.app.what_if import WhatIf, candidate, facts
from gateway.api.http.fields import (
    Amount,
    AnyBank,
    CustodyUserNo,
    Description,
    Metadata,
    Moment,
    OrderNumber,
    RequestModel,
    ReturnUrl,
    SceneName,
    UserId,
    wrong,
)
from gateway.api.http.needs import CardsByUser
from gateway.api.http.route_answers import RecordedRouteAnswer, RouteAnswer
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.cards import bank_names
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.one_form import one_form
from gateway.domain.recorded_routes import MAX_REPORT_WITHIN_S, MIN_REPORT_WITHIN_S, REPORT_WITHIN_S
from gateway.domain.scenes import CARD_SCENES, Scene
from gateway.flows.route import Payer, Unable, candidates_for, with_bound
from gateway.ports import Reading
from router.decide import Decision, decide
from router.facts import RouteRequest
from router.record import to_answer

__all__ = ["RouteAnswer", "RouteCalls", "RouteQuestion"]

_QUESTION: JsonValue = {"user_id": "user-1", "scene": "withhold", "amount": 10_000, "bank": "ICBC"}
_OF_A_PAYMENT = "as of a payment; nothing is sent, so it is not used"


class RouteQuestion(RequestModel):
    """A payment as the router sees it: the body of a withhold or a charge. Only with `record` something is recorded."""

    model_config = ConfigDict(json_schema_extra={"examples": [_QUESTION]})

    user_id: UserId
    scene: SceneName
    amount: Amount
    currency: Literal["CNY"] = "CNY"
    bank: AnyBank | None = None
    card: CardFields | None = None
    card_id: CardId | None = None
    customer_present: bool | None = None
    custody_user_no: Annotated[
        CustodyUserNo | None, Field(description="custody scenes: the payer's number at the bank; absent: user_id")
    ] = None
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    return_url: Annotated[ReturnUrl | None, Field(description=_OF_A_PAYMENT)] = None
    expires_in_s: Annotated[
        Annotated[int, Field(ge=MIN_EXPIRES_IN_S, le=MAX_EXPIRES_IN_S)] | None, Field(description=_OF_A_PAYMENT)
    ] = None
    send_before: Annotated[Moment | None, Field(description=_OF_A_PAYMENT)] = None
    what_if: WhatIf | None = None
    record: Annotated[bool, Field(description="decide and reserve: you execute it, and report how it ended")] = False
    merchant_order_no: Annotated[OrderNumber | None, Field(description="of what is recorded: needed with record")] = (
        None
    )
    report_within_s: Annotated[
        int,
        Field(
            ge=MIN_REPORT_WITHIN_S,
            le=MAX_REPORT_WITHIN_S,
            description="with record: after so many seconds without a report it is an anomaly",
        ),
    ] = REPORT_WITHIN_S

    @model_validator(mode="after")
    def _has_a_bank(self) -> Self:
        check_card_and_bank(self.scene, self.card, self.card_id)
        chooses_there = self.scene is Scene.CUSTODY_NETBANK_CHARGE
        if self.bank is None and self.card is None and self.card_id is None and not chooses_there:
            raise wrong("missing", "is needed where no card is given", field="bank")
        if self.bank is not None and self.what_if is None and self.bank not in bank_names():
            raise wrong("bank", "is not a bank code known here, such as ICBC, ABC, BOC, CCB, CMB", field="bank")
        check_custody_user_no(self.scene, self.custody_user_no)
        return self

    @model_validator(mode="after")
    def _says_what_a_record_needs(self) -> Self:
        if not self.record:
            for name in ("merchant_order_no", "report_within_s"):
                if name in self.model_fields_set:
                    raise wrong("unwanted", "is only for what is recorded: say record true", field=name)
            return self
        if self.what_if is not None:
            raise wrong("exclusive", "decides on given facts: that is not recorded", field="what_if")
        if self.merchant_order_no is None:
            raise wrong("missing", "is needed to record: give a number of your own", field="merchant_order_no")
        if self.scene in CARD_SCENES and self.card is None and self.card_id is None:
            raise wrong("missing", f"is needed to record scene {self.scene}: give card or card_id", field="card")
        return self


class RoutesAnswer(RootModel[RouteAnswer | RecordedRouteAnswer]):
    """What would be decided, or, with `record`, what was recorded before under this order number."""


@dataclass(frozen=True, slots=True)
class RouteCalls:
    """The call that asks the router. `catalogue`: the one in force. `unable`: what this process cannot do now, of a
    merchant. `recorded`: the calls of what it records."""

    reading: Reading
    cards: CardsByUser
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]
    unable: Callable[[UUID, Scene], Unable]
    recorded: RecordedRouteCalls
    carries_of: CarriesOf = carries_all

    def routes(self) -> list[Route]:
        """The routes of the router."""
        about = (
            "The nine steps on the rules in force and what the user did today. With `what_if` they run on the rules "
            "and facts given there and on no others. With `record` and an order number of your own the decision is "
            "recorded and its amount reserved, for you to execute and report; places on the channel and the card's "
            "authentication do not count then, and nothing is sent to any payment company. "
            "`(app, merchant_order_no)` is the idempotency key for ever, in the space of payments' own numbers."
        )
        answers = {
            200: Answer(
                RoutesAnswer,
                "What would be decided; a refusal is an answer, too. Or what was recorded before, as it is now.",
                headers={REPLAYED: "`true`, where it was recorded before"},
            ),
            201: Answer(RecordedRouteAnswer, "Recorded. A refusal of the router is here, too: `failed`."),
        }
        return [
            Route("POST", "/v1/routes", self.route, "Ask the router without paying", ("router",), answers,
                  body=RouteQuestion, problems=(409, 503), description=about),
            *self.recorded.routes(),
        ]  # fmt: skip

    async def route(self, call: Call) -> Reply:
        question: RouteQuestion = call.body
        if question.record:
            return await self.recorded.record(call, question, question.report_within_s)
        given = question.what_if
        decision = await (self._decide_now(call, question) if given is None else self._decide_if(call, question, given))
        return Reply(to_answer(decision))

    async def _decide_now(self, call: Call, question: RouteQuestion) -> Decision:
        catalogue, now, merchant_id = self.catalogue(), self.clock(), call.caller.merchant_id
        stored = await known_card(self.cards, call.caller, question)
        typed = elements_as_typed(question.card)
        elements = stored.elements if stored else one_form(typed) if typed else None
        bank = payer_bank(question.bank, stored, elements, question.scene)
        known = await self.reading.facts(merchant_id, question.user_id, elements, question.card_id, now)
        unable = self.unable(merchant_id, question.scene)
        payer = Payer(known.agreements, customer_present(question), known.signing)
        candidates = candidates_for(
            catalogue, merchant_id, question.scene, bank, payer, now, unable, elements, self.carries_of
        )
        merchant = catalogue.merchants[merchant_id]
        request = _request(question, bank, now, merchant.last_attempt_max_age, merchant.authentication_spread)
        if known.blocked:
            return decide(replace(request, blocked=known.blocked), (), {}, catalogue.version)
        channels = with_bound(known.channels, catalogue, merchant_id, candidates, known.agreements)
        return decide(request, candidates, channels, catalogue.version)

    async def _decide_if(self, call: Call, question: RouteQuestion, given: WhatIf) -> Decision:
        catalogue = self.catalogue()
        # A card is needed only where nothing else says the bank.
        stored = await known_card(self.cards, call.caller, question) if question.bank is None else None
        typed = elements_as_typed(question.card)
        bank = payer_bank(question.bank, stored, one_form(typed) if typed else None, question.scene)
        age_s = given.last_attempt_max_age_s
        max_age = None if age_s is None else timedelta(seconds=age_s)
        request = _request(question, bank, given.now or self.clock(), max_age, given.authentication_spread)
        day = catalogue.day_of(request.now)
        known = {channel: facts(told) for channel, told in given.facts.items()}
        return decide(request, [candidate(rule, day) for rule in given.rules], known, catalogue.version)


def _request(
    question: RouteQuestion, bank: str, now: datetime, max_age: timedelta | None, spread: int | None
) -> RouteRequest:
    return RouteRequest(
        user_id=question.user_id,
        scene=question.scene,
        bank=bank,
        amount=question.amount,
        now=now,
        customer_present=customer_present(question),
        last_attempt_max_age=max_age,
        authentication_spread=spread,
    )
