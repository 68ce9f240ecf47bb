"""Payout rules of a channel: which there are; adding, replacing, changing and removing one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from gateway.api.admin.changes import BY, CHANNEL, REMOVED, Snapshots, catalogue_route, channel_of
from gateway.api.http.fee_field import FeeField
from gateway.api.http.fields import PATTERN_MEANS, Code, QueryModel, RequestModel, wrong
from gateway.api.http.long_lists import json_list
from gateway.api.http.price_fields import FeeAnswer, Fees, prices_of
from gateway.api.http.problems import FieldError, bad_fields
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import ANY_BANK, Account
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import (
    CLOCK,
    MAX_WINDOWS,
    Day,
    PayoutRule,
    PayoutWindow,
    PayoutWindowError,
    in_order,
    overlap,
)
from gateway.objects.catalogue import payout_rule_object
from gateway.ports import Offer
from router.fees import MAX_FEN

__all__ = ["PayoutRuleAnswer", "PayoutRuleCalls", "PayoutRules"]

RULES = f"{CHANNEL}/payout_rules"
RULE = f"{RULES}/{{payee}}/{{bank}}"


class PayoutRules(Protocol):
    """Where they are changed: a `CatalogueStore`. Each raises the errors of `gateway.domain.catalogue_content`."""

    async def put_payout_rule(self, rule: PayoutRule, *, by: str, now: datetime) -> int: ...

    async def change_payout_rule(
        self,
        merchant_id: UUID,
        channel: str,
        payee: PayeeType,
        bank: str,
        changes: Mapping[str, Any],
        *,
        by: str,
        now: datetime,
    ) -> PayoutRule:
        """Change the fields that are given; the rule as it is then."""
        ...

    async def delete_payout_rule(
        self, merchant_id: UUID, channel: str, payee: PayeeType, bank: str, *, by: str, now: datetime
    ) -> int: ...


_BANK_OR_ANY = r"^([A-Z0-9]{2,20}|\*)$"
PATTERN_MEANS |= {
    CLOCK: "must be a time of day from 00:00 to 24:00, such as 08:30",
    _BANK_OR_ANY: "must be a bank code such as ICBC, or *",
}
Clock = Annotated[str, Field(pattern=CLOCK, description="a time of day of the business zone, 00:00 to 24:00")]
DayName = Annotated[Day, Field(strict=False)]
Limit = Annotated[int, Field(ge=1, le=MAX_FEN)]


class WindowFields(RequestModel):
    """A time in which payouts may be sent: from `opens` until before `closes`, on these days (absent: every day)."""

    opens: Clock
    closes: Clock
    days: Annotated[list[DayName], Field(min_length=1, max_length=len(Day))] | None = None

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        days = self.days or list(Day)
        if len(set(days)) < len(days):
            raise wrong("repeated", "has a day twice", field="days")
        try:
            self.window  # noqa: B018 -- read here, so that what is wrong with it is told at its place
        except PayoutWindowError as error:
            raise wrong("order", error.problem, field=error.field) from None
        return self

    @property
    def window(self) -> PayoutWindow:
        return PayoutWindow(self.opens, self.closes, tuple(day for day in Day if day in (self.days or Day)))


def _apart(windows: list[WindowFields]) -> list[WindowFields]:
    if found := overlap([each.window for each in windows]):
        later, first, day = found
        raise wrong("repeated", f"{later} is open at the same time as {first} on {day}: make one window of both")
    return windows


Windows = Annotated[
    list[WindowFields],
    Field(min_length=1, max_length=MAX_WINDOWS, description="when payouts may be sent; null: always"),
    AfterValidator(_apart),
]


class Said(RequestModel):
    """What a payout rule may say beside its fee."""

    single_limit: Limit | None = Field(None, description="the most of one payout, in fen (1/100 yuan); null: no limit")
    daily_limit: Limit | None = Field(
        None, description="the most of the channel in one business day, over all its payouts, in fen; null: no limit"
    )
    windows: Windows | None = None

    @property
    def opened(self) -> tuple[PayoutWindow, ...]:
        """Its windows, in their one order."""
        return in_order(each.window for each in self.windows or ())


class PayoutRuleFields(Said):
    """A payout rule, whole: what is absent is no limit, always open, and enabled."""

    fee: FeeField
    enabled: bool = True
    fees: Fees = Field(default=[])


class PayoutRuleChanges(Said):
    """What to change of a payout rule. What is absent stays as it is; null removes a limit, or the windows."""

    fee: FeeField | None = None
    enabled: bool | None = None
    fees: Fees | None = None

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that are given."""
        named = self.model_fields_set
        said = {name: getattr(self, name) for name in ("fee", "enabled") if getattr(self, name) is not None}
        said |= {name: getattr(self, name) for name in ("single_limit", "daily_limit") if name in named}
        if self.fees is not None:
            said["fees"] = prices_of(self.fees)
        return said | ({"windows": self.opened} if "windows" in named else {})


class PayoutRuleSearch(QueryModel):
    """Which payout rules of a channel."""

    payee: PayeeType | None = None
    bank: Annotated[str, Field(pattern=_BANK_OR_ANY)] | None = None


class WindowAnswer(BaseModel):
    """A time in which payouts may be sent."""

    opens: str
    closes: str
    days: list[Day]


class PayoutRuleAnswer(BaseModel):
    """One row (channel, payee, bank); `*` is every bank that has no rule of its own."""

    object: Literal["payout_rule"]
    channel: Code
    payee: PayeeType
    bank: str
    enabled: bool
    fee: dict[str, Any]
    fees: list[FeeAnswer]
    single_limit: int | None
    daily_limit: int | None
    windows: list[WindowAnswer] | None


class PayoutRuleList(BaseModel):
    """Payout rules of a channel."""

    data: list[PayoutRuleAnswer]


@dataclass(frozen=True, slots=True)
class PayoutRuleCalls:
    """The calls of payout rules. `offer_of`: what can be done on an account."""

    store: PayoutRules
    snapshots: Snapshots
    offer_of: Callable[[Account], Offer]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of payout rules."""
        rules, rule = Answer(PayoutRuleList, "its payout rules"), Answer(PayoutRuleAnswer, "the rule as it is now")
        return [
            catalogue_route("GET", RULES, self.rules, "a channel's payout rules", rules, query=PayoutRuleSearch),
            catalogue_route("PUT", RULE, self.put, "add or replace a payout rule", rule, body=PayoutRuleFields),
            catalogue_route("PATCH", RULE, self.change, "change a payout rule", rule, body=PayoutRuleChanges),
            catalogue_route("DELETE", RULE, self.remove, "remove a payout rule", REMOVED),
        ]

    async def rules(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, wanted = channel_of(snapshot, call), call.query

        def shown(rule: PayoutRule) -> dict[str, Any] | None:
            fits = wanted.payee in (None, rule.payee) and wanted.bank in (None, rule.bank)
            return payout_rule_object(rule) if fits else None

        every = snapshot.payout_rules_of(channel.merchant_id, channel.code)
        return Reply(b"".join([b'{"data":', *await json_list(every, shown), b"}"]))

    async def put(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, (payee, bank) = channel_of(snapshot, call), _payee_and_bank(call)
        offer = self.offer_of(snapshot.accounts[channel.merchant_id, channel.account])
        if why := offer.why_not_pay_out(payee):
            raise bad_fields([FieldError("payee", "unsupported", why)])
        body: PayoutRuleFields = call.body
        rule = PayoutRule(
            channel.merchant_id,
            channel.code,
            payee,
            bank,
            body.enabled,
            body.fee,
            body.single_limit,
            body.daily_limit,
            body.opened,
            prices_of(body.fees),
        )
        await self.store.put_payout_rule(rule, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply(payout_rule_object(rule))

    async def change(self, call: Call) -> Reply:
        """Also where the account cannot pay out any more: what is there can be switched off."""
        channel, (payee, bank) = channel_of(await self.snapshots.refresh_now(), call), _payee_and_bank(call)
        changed = await self.store.change_payout_rule(
            channel.merchant_id, channel.code, payee, bank, call.body.changes, by=BY, now=self.clock()
        )
        await self.snapshots.refresh_now()
        return Reply(payout_rule_object(changed))

    async def remove(self, call: Call) -> Reply:
        channel, (payee, bank) = channel_of(await self.snapshots.refresh_now(), call), _payee_and_bank(call)
        await self.store.delete_payout_rule(channel.merchant_id, channel.code, payee, bank, by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply({"object": "payout_rule", "removed": True})


def _payee_and_bank(call: Call) -> tuple[PayeeType, str]:
    payee, bank = call.path["payee"], call.path["bank"]
    if payee not in set(PayeeType):
        raise NotInCatalogueError("type of payee")
    if bank != ANY_BANK and bank not in bank_names():
        raise NotInCatalogueError("bank")
    return PayeeType(payee), bank
