"""Route rules of a channel: which there are; adding, replacing and removing one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.admin.changes import BY, CHANNEL, REMOVED, Snapshots, catalogue_route, channel_of
from gateway.api.admin.fields import MAX_INT32
from gateway.api.http.fee_field import FeeField
from gateway.api.http.fields import Code, QueryModel, RequestModel, SceneName
from gateway.api.http.long_lists import json_list
from gateway.api.http.price_fields import FeeAnswer, Fees, prices_of
from gateway.api.http.problems import FieldError, bad_fields
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import Account, RouteRule
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.domain.scenes import CUSTODY_SCENES, NAME_PSP, NO_BANK, Scene, why_not_by_card
from gateway.limit_fields import given, with_limits
from gateway.objects.catalogue import rule_object
from gateway.ports import Offer
from router.facts import CountedBy
from router.limits import RuleLimits

__all__ = ["RuleAnswer", "RuleCalls", "Rules"]

RULES = f"{CHANNEL}/rules"
RULE = f"{RULES}/{{scene}}/{{bank}}"


class Rules(Protocol):
    """Where rules are changed: a `CatalogueStore`. Each raises the errors of `gateway.domain.catalogue_content`."""

    async def put_rule(self, rule: RouteRule, *, by: str, now: datetime) -> int: ...

    async def delete_rule(
        self, merchant_id: UUID, channel: str, scene: Scene, bank: str, *, by: str, now: datetime
    ) -> int: ...


@with_limits(RuleLimits, Field(ge=1))
class RuleFields(RequestModel):
    """A rule, whole: what is absent is no limit, priority 0, and enabled."""

    fee: FeeField
    enabled: bool = True
    priority: Annotated[int, Field(ge=-MAX_INT32, le=MAX_INT32)] = 0
    daily_insufficient_by: Annotated[
        CountedBy, Field(description="whose failures daily_insufficient_limit counts; card: each number for itself")
    ] = "user"
    fees: Fees = Field(default=[])

    @property
    def limits(self) -> RuleLimits:
        return given(RuleLimits, self)


class RuleSearch(QueryModel):
    """Which rules of a channel."""

    scene: SceneName | None = None
    bank: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")] | None = None


@with_limits(RuleLimits, None)
class RuleAnswer(BaseModel):
    """One row (channel, scene, bank)."""

    object: Literal["rule"]
    channel: Code
    scene: Scene
    bank: str
    enabled: bool
    fee: dict[str, Any]
    fees: list[FeeAnswer]
    priority: int
    daily_insufficient_by: CountedBy


class RuleList(BaseModel):
    """Rules of a channel."""

    data: list[RuleAnswer]


@dataclass(frozen=True, slots=True)
class RuleCalls:
    """The calls of rules. `offer_of`: what can be done on an account."""

    store: Rules
    snapshots: Snapshots
    offer_of: Callable[[Account], Offer]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of rules."""
        rules, rule = Answer(RuleList, "its rules"), Answer(RuleAnswer, "the rule as it is now")
        return [
            catalogue_route("GET", RULES, self.rules, "a channel's rules", rules, query=RuleSearch),
            catalogue_route("PUT", RULE, self.put_rule, "add or replace a rule", rule, body=RuleFields),
            catalogue_route("DELETE", RULE, self.delete_rule, "remove a rule", REMOVED),
        ]

    async def rules(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, wanted = channel_of(snapshot, call), call.query

        def shown(rule: RouteRule) -> dict[str, Any] | None:
            fits = (
                (rule.merchant_id, rule.channel) == (channel.merchant_id, channel.code)
                and wanted.scene in (None, rule.scene)
                and wanted.bank in (None, rule.bank)
            )
            return rule_object(rule) if fits else None

        every = (rule for rules in snapshot.rules.values() for rule in rules)
        return Reply(b"".join([b'{"data":', *await json_list(every, shown), b"}"]))

    async def put_rule(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, (scene, bank) = channel_of(snapshot, call), _scene_and_bank(call)
        offer = self.offer_of(snapshot.accounts[channel.merchant_id, channel.account])
        mode = channel.mode(bank)
        why = offer.why_not_pay(scene) or (offer.why_not_way(scene, mode) if mode is not None else None)
        if why is None and scene in CUSTODY_SCENES and channel.psp_code is None:
            why = f"the bank is not told whom to charge through: {NAME_PSP}"
        if why:
            raise bad_fields([FieldError("scene", "unsupported", why)])
        body: RuleFields = call.body
        by = body.daily_insufficient_by
        if by == "card" and (why := why_not_by_card(scene)):
            raise bad_fields([FieldError("daily_insufficient_by", "unsupported", why)])
        rule = RouteRule(
            channel.merchant_id,
            channel.code,
            scene,
            bank,
            body.enabled,
            body.fee,
            body.priority,
            body.limits,
            by,
            prices_of(body.fees),
        )
        await self.store.put_rule(rule, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply(rule_object(rule))

    async def delete_rule(self, call: Call) -> Reply:
        channel, (scene, bank) = channel_of(await self.snapshots.refresh_now(), call), _scene_and_bank(call)
        await self.store.delete_rule(channel.merchant_id, channel.code, scene, bank, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply({"object": "rule", "removed": True})


def _scene_and_bank(call: Call) -> tuple[Scene, str]:
    scene, bank = call.path["scene"], call.path["bank"]
    if scene not in set(Scene):
        raise NotInCatalogueError("scene")
    if bank not in bank_names() and not (bank == NO_BANK and scene == Scene.CUSTODY_NETBANK_CHARGE):
        raise NotInCatalogueError("bank")
    return Scene(scene), bank
