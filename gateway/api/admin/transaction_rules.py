"""Transaction rules (异常交易): which there are; adding, replacing, switching and removing one; and trying one out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from gateway.api.admin.changes import BY, REMOVED, Snapshots, catalogue_route
from gateway.api.admin.fields import MAX_NAME
from gateway.api.admin.paths import MERCHANT, merchant_of
from gateway.api.http.fields import BankCode, Code, Moment, OneLine, RequestModel, SceneName, wrong
from gateway.api.http.problems import FieldError, bad_fields
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.domain.failures import Blame
from gateway.domain.payees import PayeeType
from gateway.domain.statuses import Status
from gateway.domain.transaction_rules import (
    MAX_AT_LEAST,
    MAX_SUM,
    MAX_WINDOW_S,
    Distinct,
    RuleKey,
    RuleKind,
    Then,
    TransactionFilter,
    TransactionRule,
    TransactionRuleError,
    in_one_form,
)
from gateway.flows.would_have_fired import MAX_PERIOD, would_have_fired
from gateway.objects.catalogue import transaction_rule_object
from gateway.objects.transaction_trials import trial_object
from gateway.ports.transactions import RuleTooWideError, TransactionRows

__all__ = ["TransactionRuleAnswer", "TransactionRuleCalls", "TransactionRules"]

RULES = f"{MERCHANT}/transaction_rules"
RULE = f"{RULES}/{{rule}}"
MAX_VALUES = 200
"""In one list of a filter."""


class TransactionRules(Protocol):
    """Where they are changed: a `CatalogueStore`. Each raises the errors of `gateway.domain.catalogue_content`."""

    async def app_names(self) -> Mapping[tuple[UUID, str], str]: ...

    async def put_transaction_rule(
        self, merchant_id: UUID, rule: TransactionRule, *, by: str, now: datetime
    ) -> int: ...

    async def switch_transaction_rule(
        self, merchant_id: UUID, code: str, *, enabled: bool, by: str, now: datetime
    ) -> int: ...

    async def delete_transaction_rule(self, merchant_id: UUID, code: str, *, by: str, now: datetime) -> int: ...


class FilterFields(RequestModel):
    """Which rows count: those that fit all that is given."""

    kinds: list[Annotated[RuleKind, Field(strict=False)]] = Field(
        default=[RuleKind.PAYMENT], min_length=1, max_length=MAX_VALUES
    )
    scenes: list[SceneName] = Field(default=[], max_length=MAX_VALUES)
    channels: list[Code] = Field(default=[], max_length=MAX_VALUES)
    banks: list[BankCode] = Field(default=[], max_length=MAX_VALUES)
    apps: list[Code] = Field(default=[], max_length=MAX_VALUES)
    statuses: list[Annotated[Status, Field(strict=False)]] = Field(default=[], max_length=MAX_VALUES)
    failure_blames: list[Annotated[Blame, Field(strict=False)]] = Field(default=[], max_length=MAX_VALUES)
    payee_types: list[Annotated[PayeeType, Field(strict=False)]] = Field(default=[], max_length=MAX_VALUES)
    amount_from: Annotated[int, Field(ge=1, le=MAX_SUM)] | None = Field(None, description="in fen (1/100 yuan)")
    amount_to: Annotated[int, Field(ge=1, le=MAX_SUM)] | None = Field(None, description="in fen (1/100 yuan)")
    share_of_single_limit: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="percent: amounts from so much of the single limit of the payment's rule up to it"
    )

    @property
    def wanted(self) -> TransactionFilter:
        """In one form."""
        said: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return in_one_form(TransactionFilter(**{name: _tupled(value) for name, value in said.items()}))


class RuleFields(RequestModel):
    """A transaction rule, whole."""

    name: Annotated[OneLine, Field(min_length=1, max_length=MAX_NAME)]
    key: Annotated[RuleKey, Field(strict=False, description="by what rows are gathered")]
    window_s: Annotated[int, Field(ge=1, le=MAX_WINDOW_S)]
    at_least: Annotated[int, Field(ge=1, le=MAX_AT_LEAST)] | None = Field(
        None, description="so many rows, or different cards, users or kinds, are too many"
    )
    sum_at_least: Annotated[int, Field(ge=1, le=MAX_SUM)] | None = Field(
        None, description="or so much of them together, in fen"
    )
    distinct: Annotated[Distinct, Field(strict=False)] | None = None
    then: Annotated[Then, Field(strict=False)] = Then.ALERT
    enabled: bool = True
    filter: FilterFields = FilterFields()

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        try:
            self.rule("it")
        except TransactionRuleError as error:
            raise wrong("wrong_format", error.problem, field=error.field) from None
        return self

    def rule(self, code: str) -> TransactionRule:
        """The rule. Raises TransactionRuleError."""
        said = {name: getattr(self, name) for name in type(self).model_fields if name != "filter"}
        return TransactionRule(code=code, filter=self.filter.wanted, **said)


class Switch(RequestModel):
    """On or off."""

    enabled: bool


class Trial(RequestModel):
    """A rule, and the period in which it is tried out on what is recorded."""

    rule: RuleFields
    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if not self.since < self.until <= self.since + MAX_PERIOD:
            raise wrong("order", f"must be after from, by at most {MAX_PERIOD.days} days", field="to")
        return self


class TransactionRuleAnswer(BaseModel):
    """A rule; of its filter what is given."""

    object: Literal["transaction_rule"]
    code: str
    name: str
    enabled: bool
    filter: dict[str, Any]
    key: RuleKey
    distinct: Distinct | None
    window_s: int
    at_least: int | None
    sum_at_least: int | None
    then: Then


class TransactionRuleList(BaseModel):
    """All of a merchant."""

    data: list[TransactionRuleAnswer]


class FiringAnswer(BaseModel):
    """One time at which the rule would have told: of which key (masked, or our card's id), from when until when."""

    value: str
    card: str | None
    since: str
    until: str
    count: int
    sum: int
    objects: list[str]


class TrialAnswer(BaseModel):
    """How often a rule would have fired, for how many keys; and the newest of these times."""

    object: Literal["transaction_rule_trial"]
    times: int
    keys: int
    data: list[FiringAnswer]


@dataclass(frozen=True, slots=True)
class TransactionRuleCalls:
    """The calls of transaction rules."""

    store: TransactionRules
    rows: TransactionRows
    snapshots: Snapshots
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes."""
        rules, rule = Answer(TransactionRuleList, "by code"), Answer(TransactionRuleAnswer, "the rule as it is now")
        fired = Answer(TrialAnswer, "what it would have told")
        return [
            catalogue_route("GET", RULES, self.rules, "a merchant's transaction rules", rules),
            catalogue_route("PUT", RULE, self.put, "add or replace a transaction rule", rule, body=RuleFields),
            catalogue_route("PATCH", RULE, self.switch, "switch a transaction rule on or off", rule, body=Switch),
            catalogue_route("DELETE", RULE, self.remove, "remove a transaction rule", REMOVED),
            catalogue_route(
                "POST", f"{RULES}/test", self.test, "how often a rule would have fired", fired, 200, body=Trial
            ),
        ]

    async def rules(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        found = snapshot.transaction_rules_of(merchant_of(snapshot, call).merchant_id)
        return Reply({"data": [transaction_rule_object(rule) for rule in found]})

    async def put(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        merchant_id = merchant_of(snapshot, call).merchant_id
        try:
            rule = call.body.rule(call.path["rule"])
        except TransactionRuleError as error:
            raise bad_fields([FieldError(error.field, "wrong_format", error.problem)]) from None
        await self._require_names(snapshot, merchant_id, rule, "filter")
        await self.store.put_transaction_rule(merchant_id, rule, by=BY, now=self.clock())
        return await self._shown(call)

    async def switch(self, call: Call) -> Reply:
        merchant_id, code = merchant_of(await self.snapshots.refresh_now(), call).merchant_id, call.path["rule"]
        await self.store.switch_transaction_rule(merchant_id, code, enabled=call.body.enabled, by=BY, now=self.clock())
        return await self._shown(call)

    async def remove(self, call: Call) -> Reply:
        merchant_id = merchant_of(await self.snapshots.refresh_now(), call).merchant_id
        await self.store.delete_transaction_rule(merchant_id, call.path["rule"], by=BY, now=self.clock())
        await self.snapshots.refresh_now()
        return Reply({"object": "transaction_rule", "removed": True})

    async def test(self, call: Call) -> Reply:
        snapshot, trial = await self.snapshots.refresh_now(), call.body
        merchant_id, rule = merchant_of(snapshot, call).merchant_id, trial.rule.rule("test")
        await self._require_names(snapshot, merchant_id, rule, "rule.filter")
        try:
            told = await would_have_fired(self.rows, merchant_id, rule, trial.since, trial.until)
        except RuleTooWideError as error:
            cure = f"is too wide: {error.why}; a shorter period or a narrower filter helps"
            raise bad_fields([FieldError("rule", "out_of_range", cure)]) from None
        return Reply(trial_object(told))

    async def _require_names(self, catalogue: Catalogue, merchant_id: UUID, rule: TransactionRule, path: str) -> None:
        """Refuse what a filter can never meet: that a rule never fires is a mistake that nobody notices."""
        wanted, channels = rule.filter, catalogue.channel_codes(merchant_id)
        apps = await self.store.app_names() if wanted.apps else {}
        unknown = [("channel", each) for each in wanted.channels if each not in channels]
        unknown += [("app", each) for each in wanted.apps if (merchant_id, each) not in apps]
        if unknown:
            raise bad_fields(
                [FieldError(f"{path}.{what}s", "not_found", f"there is no {what} {code}") for what, code in unknown]
            )

    async def _shown(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        for rule in snapshot.transaction_rules_of(merchant_of(snapshot, call).merchant_id):
            if rule.code == call.path["rule"]:
                return Reply(transaction_rule_object(rule))
        raise NotInCatalogueError("transaction rule")  # somebody removed it meanwhile


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
