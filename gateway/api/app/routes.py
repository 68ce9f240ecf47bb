"""POST /v1/routes: what the router would decide now, or on given rules and facts. Nothing is recorded."""

from datetime import datetime

from gateway.api.app.answers import RouteAnswer
from gateway.api.app.ordering import customer_present, elements_of, known_card, payer_bank
from gateway.api.app.schemas import GivenFacts, GivenRule, RouteQuestion, WhatIf
from gateway.api.http.needs import Api
from gateway.api.http.routing import Answer, Call, Handler, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.flows.route import candidates_for
from router.decide import Decision, decide
from router.facts import Candidate, ChannelFacts, LastAttempt, RouteRequest
from router.record import to_answer

__all__ = ["dry_run_routes"]


def dry_run_routes(api: Api) -> list[Route]:
    """The route of dry runs."""
    about = (
        "The nine steps on the rules in force and what the user did today. With `what_if` they run on the rules and "
        "facts given there and on no others."
    )
    answers = {200: Answer(RouteAnswer, "What would be decided; a refusal is an answer, too.")}
    summary = "Ask the router without paying"
    return [
        Route("POST", "/v1/routes", _route(api), summary, ("router",), answers, body=RouteQuestion, description=about)
    ]


def _route(api: Api) -> Handler:
    async def route(call: Call) -> Reply:
        question: RouteQuestion = call.body
        decision = await (
            _decide_now(api, call, question) if question.what_if is None else _decide_if(api, call, question)
        )
        return Reply(to_answer(decision))

    return route


async def _decide_now(api: Api, call: Call, question: RouteQuestion) -> Decision:
    catalogue, now, merchant_id = api.catalogue(), api.clock(), call.caller.merchant_id
    stored = await known_card(api.cards, call.caller, question)
    elements = stored.elements if stored else elements_of(question.card)
    bank = payer_bank(question.bank, stored, elements)
    facts = await api.reading.facts(merchant_id, question.user_id, elements, question.card_id, now)
    candidates = candidates_for(catalogue, merchant_id, question.scene, bank, facts.agreements, now)
    return decide(_request(call, question, catalogue, bank, now), candidates, facts.channels, catalogue.version)


async def _decide_if(api: Api, call: Call, question: RouteQuestion) -> Decision:
    given: WhatIf = question.what_if or WhatIf()
    catalogue = api.catalogue()
    # A card is needed only where nothing else says the bank.
    stored = await known_card(api.cards, call.caller, question) if question.bank is None else None
    bank = payer_bank(question.bank, stored, elements_of(question.card))
    request = _request(call, question, catalogue, bank, given.now or api.clock())
    facts = {channel: _facts(known) for channel, known in given.facts.items()}
    return decide(request, [_candidate(rule) for rule in given.rules], facts, catalogue.version)


def _request(call: Call, question: RouteQuestion, catalogue: Catalogue, bank: str, now: datetime) -> RouteRequest:
    return RouteRequest(
        user_id=question.user_id,
        scene=question.scene,
        bank=bank,
        amount=question.amount,
        now=now,
        customer_present=customer_present(question),
        last_attempt_max_age=catalogue.merchants[call.caller.merchant_id].last_attempt_max_age,
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
        signing=rule.signing,
        priority=rule.priority,
        limits=rule.limits,
        channel_limits=rule.channel_limits,
    )


def _facts(given: GivenFacts) -> ChannelFacts:
    last = given.last_attempt
    return ChannelFacts(
        used_today=given.used_today,
        insufficient_today=given.insufficient_today,
        last_attempt=LastAttempt(last.status, last.blame, last.finished_at) if last else None,
        channel_used_today=given.channel_used_today,
        card_used_today=given.card_used_today,
    )
