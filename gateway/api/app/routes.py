"""Dry runs of the router: what it would decide now, or on given rules and facts. Nothing is recorded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from gateway.api.app.ordering import customer_present, elements_as_typed, known_card, payer_bank
from gateway.api.app.requests import CardFields, CardId, check_card_and_bank
from gateway.api.http.answers import AnswerModel
from gateway.api.http.fields import (
    Amount,
    AnyBank,
    Code,
    FeeField,
    Fen,
    Moment,
    RequestModel,
    SceneName,
    UserId,
    wrong,
)
from gateway.api.http.needs import CardsByUser
from gateway.api.http.payment_answers import LimitAnswer
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.cards import bank_names
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.failures import FailureCode
from gateway.domain.one_form import one_form
from gateway.domain.scenes import Scene
from gateway.flows.route import Payer, Unable, candidates_for, with_bound
from gateway.limit_fields import given, with_limits
from gateway.ports import Reading
from router.decide import Decision, decide
from router.facts import Candidate, ChannelFacts, LastAttempt, RouteRequest
from router.limits import ChannelLimits, RuleLimits
from router.record import to_answer

__all__ = ["RouteAnswer", "RouteCalls", "RouteQuestion"]

MAX_RULES = 1000
MAX_PRIORITY = 2**31 - 1


@with_limits(RuleLimits, Field(ge=0))
@with_limits(ChannelLimits, Field(ge=0), prefix="channel_", routed=True)
class GivenRule(RequestModel):
    """A route rule to decide by. Absent limits are no limits; rules of another scene or bank take no part."""

    channel: Code
    scene: SceneName
    bank: AnyBank
    fee: FeeField
    enabled: bool = True
    in_maintenance: bool = False
    priority: Annotated[int, Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY)] = 0
    authentication_fee: Fen = 0
    channel_on: bool = True
    account_usable: bool = True
    signing: Literal["ready", "needs_signing", "signing_in_progress"] = "ready"
    full: bool = False

    @property
    def limits(self) -> RuleLimits:
        return given(RuleLimits, self)

    @property
    def channel_limits(self) -> ChannelLimits:
        return given(ChannelLimits, self, prefix="channel_")


class GivenLastAttempt(RequestModel):
    """How the user's latest attempt on a channel ended."""

    status: Literal["succeeded", "failed"]
    blame: Literal["payer", "channel", "platform"] | None = None
    finished_at: Moment | None = None


class GivenFacts(RequestModel):
    """What the user did on one channel."""

    used_today: Fen = 0
    insufficient_today: Annotated[int, Field(ge=0, le=MAX_PRIORITY)] = 0
    last_attempt: GivenLastAttempt | None = None
    bound: Annotated[bool, Field(description="the card is authenticated there: no authentication is to be paid")] = (
        False
    )
    channel_used_today: Fen = 0
    card_used_today: Fen = 0


class WhatIf(RequestModel):
    """Decide on these rules and facts and no others. Banks and channels need not exist."""

    now: Moment | None = None
    authentication_spread: Annotated[
        int | None,
        Field(ge=1, le=MAX_PRIORITY, description="over how many payments step 6 spreads an authentication's fee"),
    ] = None
    last_attempt_max_age_s: Annotated[
        int | None, Field(ge=1, le=MAX_PRIORITY, description="steps 7 to 9 forget older last attempts")
    ] = None
    rules: Annotated[list[GivenRule], Field(max_length=MAX_RULES)] = Field(default_factory=list)
    facts: dict[Code, GivenFacts] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_each_rule_once(self) -> Self:
        seen = set()
        for number, rule in enumerate(self.rules):
            key = (rule.channel, rule.scene, rule.bank)
            if key in seen:
                raise wrong("repeated", "has two rules for the same channel, scene and bank", field=f"rules.{number}")
            seen.add(key)
        return self


class RouteQuestion(RequestModel):
    """A payment as the router sees it. The merchant is that of the key; nothing is recorded."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "user-1", "scene": "withhold", "amount": 10_000, "bank": "ICBC"}]}
    )

    user_id: UserId
    scene: SceneName
    amount: Amount
    currency: Literal["CNY"] = "CNY"
    bank: AnyBank | None = None
    card: CardFields | None = None
    card_id: CardId | None = None
    customer_present: bool | None = None
    what_if: WhatIf | None = None

    @model_validator(mode="after")
    def _has_a_bank(self) -> Self:
        check_card_and_bank(self.scene, self.card, self.card_id)
        chooses_there = self.scene is Scene.CUSTODY_NETBANK_CHARGE
        if self.bank is None and self.card is None and self.card_id is None and not chooses_there:
            raise wrong("missing", "is needed where no card is given", field="bank")
        if self.bank is not None and self.what_if is None and self.bank not in bank_names():
            raise wrong("bank", "is not a bank code known here, such as ICBC, ABC, BOC, CCB, CMB", field="bank")
        return self


class SeenChannel(AnswerModel):
    """One channel in a decision: the step that removed it and why, its fee in fen, its rank.

    `compared` is what step 6 ranks by: the fee, with `authentication_share` where the merchant spreads the fee of an
    authentication. The share is exact: whole fen, or a fraction as text such as `100/3`.
    """

    channel: str
    removed_by_step: int | None
    reason: str | None
    limit: Annotated[LimitAnswer | None, Field(description="for which it was removed, if it was one")]
    fee: int
    authentication_share: int | str
    compared: int
    rank: int | None


class RouteAnswer(AnswerModel):
    """A decision of the router: a channel or a refusal, and every channel it looked at."""

    chosen: str | None
    refusal: FailureCode | None
    chosen_by_step: int | None
    refused_by_step: int | None
    max_single_limit: int | None
    limit: Annotated[LimitAnswer | None, Field(description="of a refusal for a limit: which one")]
    max_amount_now: Annotated[
        int | None,
        Field(description="of a refusal for a limit: the most that one available channel would still take, in fen"),
    ]
    candidates: list[SeenChannel]
    config_version: int


@dataclass(frozen=True, slots=True)
class RouteCalls:
    """The call of dry runs. `catalogue`: the one in force. `unable`: what this process cannot do now, of a merchant."""

    reading: Reading
    cards: CardsByUser
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]
    unable: Callable[[UUID, Scene], Unable]
    carries_of: CarriesOf = carries_all

    def routes(self) -> list[Route]:
        """The route of dry runs."""
        about = (
            "The nine steps on the rules in force and what the user did today. With `what_if` they run on the rules "
            "and facts given there and on no others."
        )
        answers = {200: Answer(RouteAnswer, "What would be decided; a refusal is an answer, too.")}
        return [
            Route("POST", "/v1/routes", self.route, "Ask the router without paying", ("router",), answers,
                  body=RouteQuestion, description=about),
        ]  # fmt: skip

    async def route(self, call: Call) -> Reply:
        question: RouteQuestion = call.body
        given = question.what_if
        decision = await (self._decide_now(call, question) if given is None else self._decide_if(call, question, given))
        return Reply(to_answer(decision))

    async def _decide_now(self, call: Call, question: RouteQuestion) -> Decision:
        catalogue, now, merchant_id = self.catalogue(), self.clock(), call.caller.merchant_id
        stored = await known_card(self.cards, call.caller, question)
        typed = elements_as_typed(question.card)
        elements = stored.elements if stored else one_form(typed) if typed else None
        bank = payer_bank(question.bank, stored, elements, question.scene)
        facts = await self.reading.facts(merchant_id, question.user_id, elements, question.card_id, now)
        unable = self.unable(merchant_id, question.scene)
        payer = Payer(facts.agreements, customer_present(question), facts.signing)
        candidates = candidates_for(
            catalogue, merchant_id, question.scene, bank, payer, now, unable, elements, self.carries_of
        )
        merchant = catalogue.merchants[merchant_id]
        request = _request(question, bank, now, merchant.last_attempt_max_age, merchant.authentication_spread)
        if facts.blocked:
            return decide(replace(request, blocked=facts.blocked), (), {}, catalogue.version)
        channels = with_bound(facts.channels, catalogue, merchant_id, candidates, facts.agreements)
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
        facts = {channel: _facts(known) for channel, known in given.facts.items()}
        return decide(request, [_candidate(rule) for rule in given.rules], facts, catalogue.version)


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


def _candidate(rule: GivenRule) -> Candidate:
    return Candidate(
        channel=rule.channel,
        scene=rule.scene,
        bank=rule.bank,
        fee=rule.fee,
        enabled=rule.enabled,
        channel_on=rule.channel_on,
        in_maintenance=rule.in_maintenance,
        account_usable=rule.account_usable,
        signing=rule.signing,
        full=rule.full,
        priority=rule.priority,
        authentication_fee=rule.authentication_fee,
        limits=rule.limits,
        channel_limits=rule.channel_limits,
    )


def _facts(given: GivenFacts) -> ChannelFacts:
    last = given.last_attempt
    return ChannelFacts(
        used_today=given.used_today,
        insufficient_today=given.insufficient_today,
        last_attempt=LastAttempt(last.status, last.blame, last.finished_at) if last else None,
        # What is given is all that there is.
        in_flight_today=0,
        channel_in_flight_today=0,
        card_in_flight_today=0,
        bound=given.bound,
        channel_used_today=given.channel_used_today,
        card_used_today=given.card_used_today,
    )
