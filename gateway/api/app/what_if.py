"""Rules and facts that a dry run of the router is given: it decides on these and on no others."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.api.http.fields import AnyBank, Code, FeeField, Fen, Moment, RequestModel, SceneName, wrong
from gateway.api.http.price_fields import Amounts, Fees, prices_of
from gateway.domain.prices import in_force
from gateway.limit_fields import given, with_limits
from router.ailing import Ailing
from router.facts import Candidate, ChannelFacts, LastAttempt
from router.limits import ChannelLimits, RuleLimits

__all__ = ["MAX_PRIORITY", "GivenFacts", "GivenRule", "WhatIf", "candidate", "facts"]

MAX_RULES = 1000
MAX_PRIORITY = 2**31 - 1


class GivenAiling(RequestModel):
    """Too few payments succeed there. One in `let_through` goes there all the same; `passes`: this is one."""

    succeeded: Annotated[int, Field(ge=0, le=MAX_PRIORITY)]
    attempts: Annotated[int, Field(ge=0, le=MAX_PRIORITY)]
    window_s: Annotated[int, Field(ge=1, le=MAX_PRIORITY)]
    let_through: Annotated[int | None, Field(ge=1, le=MAX_PRIORITY, description="null: no payment goes there now")] = (
        None
    )
    passes: bool = False
    switched_off: bool = False

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.succeeded > self.attempts:
            raise wrong("invalid", "is more than there were attempts", field="succeeded")
        return self


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
    fees: Fees = Field(default=[])
    authentication_fee: Fen = 0
    authentication_fees: Amounts = Field(default=[])
    channel_on: bool = True
    account_usable: bool = True
    signing: Literal["ready", "needs_signing", "signing_in_progress"] = "ready"
    full: bool = False
    ailing: GivenAiling | None = None

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


def candidate(rule: GivenRule, day: date) -> Candidate:
    """The channel that a rule gives on a business day."""
    return Candidate(
        channel=rule.channel,
        scene=rule.scene,
        bank=rule.bank,
        fee=in_force(rule.fee, prices_of(rule.fees), day),
        enabled=rule.enabled,
        channel_on=rule.channel_on,
        in_maintenance=rule.in_maintenance,
        account_usable=rule.account_usable,
        signing=rule.signing,
        full=rule.full,
        ailing=None if rule.ailing is None else Ailing(**rule.ailing.model_dump()),
        priority=rule.priority,
        authentication_fee=in_force(rule.authentication_fee, prices_of(rule.authentication_fees), day),
        limits=rule.limits,
        channel_limits=rule.channel_limits,
    )


def facts(given: GivenFacts) -> ChannelFacts:
    """What the user did on a channel."""
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
