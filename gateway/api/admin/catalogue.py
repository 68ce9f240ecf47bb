"""The catalogue, whole: everything configured, without secrets, and its newest changes."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

import orjson
from pydantic import BaseModel, Field

from gateway.api.admin.changes import Snapshots, catalogue_route
from gateway.api.admin.channels import ChannelAnswer
from gateway.api.admin.merchants import MerchantAnswer
from gateway.api.admin.payout_rules import PayoutRuleAnswer
from gateway.api.admin.rules import RuleAnswer
from gateway.api.admin.silent_refusals import SilentRefusalAnswer
from gateway.api.admin.transaction_rules import TransactionRuleAnswer
from gateway.api.admin.windows import WindowAnswer
from gateway.api.http.fields import Code
from gateway.api.http.long_lists import json_list
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import RouteRule
from gateway.domain.catalogue_content import CatalogueChange
from gateway.domain.terms import Never, Product
from gateway.objects.catalogue import (
    AccountNotes,
    change_object,
    payout_rule_object,
    rule_object,
    transaction_rule_object,
    whole_merchant_object,
)

__all__ = ["CatalogueCalls", "History"]

MAX_HISTORY = 50


class History(Protocol):
    """What of the catalogue is not in a snapshot: a `CatalogueStore`."""

    async def history(self, limit: int) -> list[CatalogueChange]:
        """Its changes, the newest first."""
        ...

    async def app_names(self) -> dict[tuple[UUID, str], str]:
        """(merchant id, app code) → name."""
        ...


class KeyAnswer(BaseModel):
    """A live API key; its text is known to nobody."""

    id: str
    label: str


class AppAnswer(BaseModel):
    """A business system."""

    code: Code
    name: str
    keys: list[KeyAnswer]


class EndpointAnswer(BaseModel):
    """Where notifications go."""

    id: str
    app: Code | None
    url: str
    event_types: list[str] | None
    allow_private: bool
    stopped: bool
    secrets: int
    """How many are live."""


class NotFoundAnswer(BaseModel):
    """So many "no such order" answers over so long prove that the PSP never had it."""

    answers: int
    over_s: float


class TermsAnswer(BaseModel):
    """What the contract says otherwise about one product; what is absent is the provider's own."""

    poll_gaps_s: list[float] | None = None
    not_found: NotFoundAnswer | Never | None = None
    answer_timeout_s: float | None = None
    grace_s: float | None = None


class AssumptionAnswer(BaseModel):
    """What is taken for true of the PSP though no public document says it: by the account's word (`assumed` in its
    settings), or as the first version did."""

    name: str
    meaning: str
    by: Literal["account", "first_version"]


class AccountAnswer(BaseModel):
    """A contract with a provider; of its secrets only their names. The terms beside `terms` are those of payments."""

    code: Code
    provider: str
    settings: dict[str, Any]
    secrets: list[str]
    poll_gaps_s: list[float] | None
    not_found_answers: int | None
    not_found_over_s: float | None
    answer_timeout_s: float | None
    terms: dict[Product, TermsAnswer]
    assumptions: list[AssumptionAnswer]
    why_no_statements: Annotated[
        str | None, Field(description="what keeps its statements from being read; null: they are")
    ]
    balance_alert_below: int | None


class WholeMerchantAnswer(MerchantAnswer):
    """A merchant with everything that is configured for it."""

    apps: list[AppAnswer]
    endpoints: list[EndpointAnswer]
    accounts: list[AccountAnswer]
    channels: list[ChannelAnswer]
    maintenance_windows: list[WindowAnswer]
    silent_refusals: list[SilentRefusalAnswer]
    rules: list[RuleAnswer]
    payout_rules: list[PayoutRuleAnswer]
    transaction_rules: list[TransactionRuleAnswer]


class ChangeAnswer(BaseModel):
    """One change of the catalogue."""

    version: int
    changed_at: str
    changed_by: str
    note: str


class CatalogueAnswer(BaseModel):
    """Everything that is configured, without secrets, and the newest changes."""

    object: Literal["catalogue"]
    version: int
    merchants: list[WholeMerchantAnswer]
    history: list[ChangeAnswer]


@dataclass(frozen=True, slots=True)
class CatalogueCalls:
    """The call of the whole catalogue."""

    store: History
    snapshots: Snapshots
    notes: AccountNotes
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The route of the catalogue."""
        whole, about = Answer(CatalogueAnswer, "everything"), "everything configured, without secrets"
        return [catalogue_route("GET", "/v1/admin/catalogue", self.catalogue, about, whole)]

    async def catalogue(self, _call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        apps, history = await self.store.app_names(), await self.store.history(MAX_HISTORY)
        rules: dict[UUID, list[RouteRule]] = defaultdict(list)
        for (owner, _, _), found in snapshot.rules.items():
            rules[owner] += found
        parts = [b'{"object":"catalogue","version":%d,"merchants":[' % snapshot.version]
        for number, merchant in enumerate(sorted(snapshot.merchants.values(), key=lambda merchant: merchant.code)):
            shown = whole_merchant_object(snapshot, merchant, apps, self.clock(), self.notes)
            beside = orjson.dumps(shown)
            parts += (b"," if number else b"", beside[:-1], b',"rules":')
            parts += await json_list(rules[merchant.merchant_id], rule_object)
            parts.append(b',"payout_rules":')
            parts += await json_list(snapshot.payout_rules_of_merchant(merchant.merchant_id), payout_rule_object)
            mine = snapshot.transaction_rules_of(merchant.merchant_id)
            parts += (b',"transaction_rules":', orjson.dumps([transaction_rule_object(rule) for rule in mine]), b"}")
        parts += (b'],"history":', orjson.dumps([change_object(change) for change in history]), b"}")
        return Reply(b"".join(parts))
