"""What somebody wants the catalogue to be: the content of a catalogue file, read and checked, without ids or versions.

`gateway.catalogue_file` makes it, `gateway.storage.catalogue.store` puts it in force.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from gateway.domain.blocks import BlockedValue, BlockKind
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_changes import RowChange
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import PayoutWindow
from gateway.domain.prices import Price
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.domain.transaction_rules import TransactionRule
from gateway.domain.watch_settings import WatchSettings
from gateway.domain.windows import Repeats
from router.facts import CountedBy
from router.fees import Fee
from router.limits import NO_CHANNEL_LIMITS, NO_RULE_LIMITS, ChannelLimits, RuleLimits

WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105 -- the prefix that Standard Webhooks prescribes
MAX_LIVE_SECRETS = 2
"""Secrets of an endpoint that sign at once while one is rotated."""


def key_hash_of(key: str) -> bytes:
    """How an API key is kept: the SHA-256 of its text. Keys are random, so no salt is needed."""
    return sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class KeyContent:
    """An API key of an app."""

    label: str
    key_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppContent:
    """One business system and its keys."""

    code: str
    name: str
    keys: tuple[KeyContent, ...] = ()
    return_hosts: tuple[str, ...] = ()
    """Where its payers may be sent back to: hosts in one form, sorted."""


@dataclass(frozen=True, slots=True)
class EndpointContent:
    """Where notifications go; without `app` it is the merchant's."""

    code: str
    app: str | None
    url: str
    event_types: tuple[str, ...] | None
    allow_private: bool
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccountContent:
    """A contract with a provider."""

    code: str
    provider: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    terms: Mapping[Product, OwnTerms] = field(default_factory=dict)
    identity: frozenset[str] = frozenset()
    """Names of the settings that its provider declares never to change."""
    balance_alert_below: int | None = None
    """In fen; somebody is told when the account has less."""


@dataclass(frozen=True, slots=True)
class ChannelContent:
    """An account as the router sees it; amounts in fen."""

    code: str
    account: str
    name: str
    on: bool
    authentication: Mapping[str, AuthenticationMode]
    authentication_fee: int = 0
    limits: ChannelLimits = NO_CHANNEL_LIMITS
    psp_code: str | None = None
    authentication_fees: tuple[Price[int], ...] = ()


@dataclass(frozen=True, slots=True)
class WindowContent:
    """A time in which a channel takes nothing; `banks` and `scenes` are sorted, None where all are meant."""

    channel: str
    starts_at: datetime
    ends_at: datetime
    note: str = ""
    repeats: Repeats | None = None
    banks: tuple[str, ...] | None = None
    scenes: tuple[Scene, ...] | None = None


@dataclass(frozen=True, slots=True)
class RuleContent:
    """One row (channel, scene, bank)."""

    channel: str
    scene: Scene
    bank: str
    enabled: bool
    fee: Fee
    priority: int = 0
    limits: RuleLimits = NO_RULE_LIMITS
    daily_insufficient_by: CountedBy = "user"
    fees: tuple[Price[Fee], ...] = ()


@dataclass(frozen=True, slots=True)
class PayoutRuleContent:
    """One row (channel, payee, bank or *); `windows` are in their one order."""

    channel: str
    payee: PayeeType
    bank: str
    enabled: bool
    fee: Fee
    single_limit: int | None = None
    daily_limit: int | None = None
    windows: tuple[PayoutWindow, ...] = ()
    fees: tuple[Price[Fee], ...] = ()


@dataclass(frozen=True, slots=True)
class BlockContent:
    """An entry of the block list that stands in the file: the value, or (`print`) one that is in force already."""

    kind: BlockKind
    value: BlockedValue | None
    reason: str
    expires_at: datetime | None = None
    print: bytes | None = None
    masked: str = ""
    """Of an entry in force: for people."""


@dataclass(frozen=True, slots=True)
class MerchantContent:
    """Everything of one merchant."""

    code: str
    name: str
    last_attempt_max_age_s: int | None = None
    unresolved_counts_after_s: int | None = None
    authentication_spread: int | None = None
    primary_signer: str | None = None
    primary_signers: Mapping[str, str] = field(default_factory=dict)
    sms_per_phone_and_day: int | None = None
    watch: WatchSettings | None = None
    """How its channels are watched; None: as by default."""
    apps: tuple[AppContent, ...] = ()
    endpoints: tuple[EndpointContent, ...] = ()
    accounts: tuple[AccountContent, ...] = ()
    channels: tuple[ChannelContent, ...] = ()
    windows: tuple[WindowContent, ...] = ()
    rules: tuple[RuleContent, ...] = ()
    payout_rules: tuple[PayoutRuleContent, ...] = ()
    transaction_rules: tuple[TransactionRule, ...] = ()
    blocks: tuple[BlockContent, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A whole catalogue file. Merchants that it does not name are left as they are."""

    merchants: tuple[MerchantContent, ...]
    warnings: tuple[str, ...] = ()
    """What is allowed and probably a mistake."""
    keeps: bool = False
    """Secrets in it are those that were in force when it was read."""


class CatalogueRefusedError(Exception):
    """A change that contradicts what is in the catalogue. Nothing was changed."""


class NotInCatalogueError(Exception):
    """A change of something that is not there. `what` names its kind."""

    def __init__(self, what: str) -> None:
        super().__init__(f"there is no such {what}")
        self.what = what


class CatalogueBusyError(Exception):
    """Others kept changing the catalogue at the same moment. Nothing was changed; try again."""


@dataclass(frozen=True, slots=True)
class CatalogueChange:
    """One row of the history."""

    version: int
    changed_at: datetime
    changed_by: str
    note: str


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What putting a catalogue file in force did. `counts`: such as `rules added` → 17."""

    version: int
    """The version that is in force now."""
    changed: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    changes: tuple[RowChange, ...] = field(default=(), repr=False)

    def lines(self) -> list[str]:
        """The report for people."""
        if not self.changed:
            return [f"nothing changed: catalogue version {self.version} stays in force"]
        done = [f"{count} {what}" for what, count in self.counts.items()]
        return [f"catalogue version {self.version} is in force", *done, *(f"warning: {w}" for w in self.warnings)]

    def plan(self) -> list[str]:
        """What it would do, for people, where nothing was done."""
        warnings = [f"warning: {w}" for w in self.warnings]
        if not self.changed:
            return [*warnings, f"it changes nothing of catalogue version {self.version}"]
        rows = [line for change in self.changes for line in change.lines()]
        done = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return [*rows, *warnings, f"catalogue version {self.version} stays in force until the file is applied: {done}"]
