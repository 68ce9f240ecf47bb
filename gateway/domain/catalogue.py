"""The catalogue: merchants, apps, keys, endpoints, accounts, channels, maintenance windows, route and payout rules.

One immutable snapshot with its version. Storage builds a new one when the version changes; nobody edits it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.blocks import BlockKind
from gateway.domain.callback_names import short_name
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.prices import Price, in_force
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.domain.transaction_rules import TransactionRule
from gateway.domain.watch_settings import WatchSettings
from gateway.domain.windows import Repeats, is_open
from router.facts import CountedBy
from router.fees import Fee
from router.limits import NO_CHANNEL_LIMITS, NO_RULE_LIMITS, ChannelLimits, RuleLimits


class AuthenticationMode(StrEnum):
    """How a channel authenticates the cards of a bank."""

    NONE = "none"
    SILENT = "silent"
    SMS = "sms"
    SMS_EACH_PAYMENT = "sms_each_payment"


ANY_BANK = "*"
"""In a channel's `authentication`: the mode of banks that are not named."""

CAN_SIGN_BY_SMS = frozenset({AuthenticationMode.SMS, AuthenticationMode.SILENT})
"""Modes in which a primary signer may send a signing SMS: a silent authentication may answer that it needs one."""

SMS_PER_PHONE_AND_DAY = 10
"""SMS codes to one phone in one business day, whatever they are for, unless the merchant says otherwise."""


def mode_of(authentication: Mapping[str, AuthenticationMode], bank: str) -> AuthenticationMode | None:
    """How a channel with this `authentication` does it with cards of a bank; None: it does not take them."""
    return authentication.get(bank) or authentication.get(ANY_BANK)


@dataclass(frozen=True, slots=True)
class Merchant:
    """A company that owns users, cards, accounts and money. `code` names it in files and callback addresses."""

    merchant_id: UUID
    code: str
    name: str
    last_attempt_max_age: timedelta | None = None
    """Router steps 7-9 forget attempts older than this; None: never."""
    unresolved_counts_after: timedelta | None = None
    """An attempt without a result for longer counts as failed by the channel in router steps 7-9; None: never."""
    authentication_spread: int | None = None
    """Over how many payments router step 6 spreads the fee of an authentication; None: it compares without it."""
    primary_signer: str | None = None
    """The channel that alone signs cards by SMS; None: no card of a bank outside `primary_signers` is."""
    primary_signers: Mapping[str, str] = field(default_factory=dict)
    """Bank code → the channel that does it for this bank."""
    sms_per_phone_and_day: int = SMS_PER_PHONE_AND_DAY
    watch: WatchSettings = field(default_factory=WatchSettings)
    """How its channels are watched."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an app, known only by its hash (SHA-256 of the key's text)."""

    merchant_id: UUID
    key_id: UUID
    app: str
    label: str
    key_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where notifications go: an app's own (`app` set), or a merchant's that subscribes to `event_types`.

    `secrets` are Standard Webhooks secrets (`whsec_…`), the newest first; two live ones while one is rotated.
    """

    merchant_id: UUID
    endpoint_id: UUID
    app: str | None
    url: str
    event_types: frozenset[str] | None
    """None: every type."""
    allow_private: bool
    """Whether private and loopback addresses are allowed; metadata addresses never are."""
    stopped: bool
    """It answered 410, an operator stopped it, or it left the catalogue: its events are held."""
    secrets: tuple[str, ...] = field(repr=False)
    code: str = ""
    """Its name in the catalogue file."""
    removed: bool = False
    """It left the catalogue: it gets no new events."""
    stopped_at: datetime | None = None
    stopped_because: str | None = None

    def wants(self, app: str | None, event_type: str) -> bool:
        """Whether an event of this app and type is for it. While it is stopped, it is held for it."""
        return (
            not self.removed
            and (self.app is None or self.app == app)
            and (self.event_types is None or event_type in self.event_types)
        )


@dataclass(frozen=True, slots=True)
class Account:
    """A merchant's contract with a provider. `terms`: what it says otherwise than the adapter declares.

    `balance_alert_below`: somebody is told when the account has less, in fen; None: nobody is.
    """

    merchant_id: UUID
    code: str
    provider: str
    settings: Mapping[str, Any]
    terms: Mapping[Product, OwnTerms] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    balance_alert_below: int | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """An account as the router sees it."""

    merchant_id: UUID
    code: str
    account: str
    name: str
    on: bool
    authentication: Mapping[str, AuthenticationMode]
    """Bank code (or ANY_BANK) → mode; no entry: the channel cannot take cards of that bank."""
    authentication_fee: int = 0
    """What one authentication costs, in fen."""
    limits: ChannelLimits = NO_CHANNEL_LIMITS
    psp_code: str | None = None
    """Custody: the payment company that the bank is to charge through, as the bank calls it."""
    authentication_fees: tuple[Price[int], ...] = ()
    """What one authentication costs from later days on; by day."""

    def authentication_fee_on(self, day: date) -> int:
        """What one authentication of this business day costs, in fen."""
        return in_force(self.authentication_fee, self.authentication_fees, day)

    def mode(self, bank: str) -> AuthenticationMode | None:
        """How cards of this bank are authenticated here."""
        return mode_of(self.authentication, bank)


@dataclass(frozen=True, slots=True)
class SilentRefusal:
    """A PSP wanted an SMS to bind a card of this bank: it is not asked to bind one silently until an operator says."""

    merchant_id: UUID
    account: str
    bank: str
    channel_code: str | None
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A time in which a channel takes nothing: from `starts_at` until before `ends_at`, and again where it repeats."""

    merchant_id: UUID
    window_id: UUID
    channel: str
    starts_at: datetime
    ends_at: datetime
    note: str = ""
    repeats: Repeats | None = None
    """None: once."""
    banks: tuple[str, ...] | None = None
    """Of which banks nothing is taken; None: of none."""
    scenes: tuple[Scene, ...] | None = None
    """In which scenes nothing is taken; None: in none."""

    def closes(self, scene: Scene, bank: str) -> bool:
        """Whether payments of this scene and bank are among those that it stops."""
        return (self.scenes is None or scene in self.scenes) and (self.banks is None or bank in self.banks)


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One row (channel, scene, bank): fee, priority, limits, enabled."""

    merchant_id: UUID
    channel: str
    scene: Scene
    bank: str
    enabled: bool
    fee: Fee
    priority: int = 0
    limits: RuleLimits = NO_RULE_LIMITS
    daily_insufficient_by: CountedBy = "user"
    """Whose failures `daily_insufficient_limit` counts: the user's, or those of each card number for itself."""
    fees: tuple[Price[Fee], ...] = ()
    """Its fees from later days on; by day."""

    def fee_on(self, day: date) -> Fee:
        """The fee of a payment that is made on this business day."""
        return in_force(self.fee, self.fees, day)

    @property
    def counts_cards(self) -> bool:
        """Whether a limit counts what all did who use a card number."""
        by_card = self.daily_insufficient_by == "card" and self.limits.daily_insufficient_limit is not None
        return by_card or self.limits.any_shared


BUSINESS_ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Counted:
    """Channels with a limit that counts what others did too: all users together, or all who use a card number."""

    channels: frozenset[str] = frozenset()
    cards: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.channels or self.cards)

    def __or__(self, other: "Counted") -> "Counted":
        return Counted(self.channels | other.channels, self.cards | other.cards)

    def __sub__(self, other: "Counted") -> "Counted":
        return Counted(self.channels - other.channels, self.cards - other.cards)


NOTHING_COUNTED = Counted()


class RulesByPlace:
    """Route rules by merchant, scene and bank. There may be many thousands: they are gathered a part at a time."""

    def __init__(self, rules: Iterable[RouteRule] = ()) -> None:
        self.by_place: dict[tuple[UUID, Scene, str], list[RouteRule]] = defaultdict(list)
        self.of_cards: dict[UUID, set[str]] = defaultdict(set)
        """By merchant: channels with a limit over what all who use a card number did."""
        self.add(rules)

    def add(self, rules: Iterable[RouteRule]) -> None:
        """Take in some more."""
        for rule in rules:
            self.by_place[rule.merchant_id, rule.scene, rule.bank].append(rule)
            if rule.counts_cards:
                self.of_cards[rule.merchant_id].add(rule.channel)


class Catalogue:
    """A snapshot of everything configured, with the lookups that the hot path needs.

    `zone`: whose clock on the wall windows that repeat go by. `blocks`: of which kinds each merchant's block list has
    entries; the entries themselves are not here.
    """

    def __init__(
        self,
        version: int,
        merchants: tuple[Merchant, ...] = (),
        keys: tuple[ApiKey, ...] = (),
        endpoints: tuple[Endpoint, ...] = (),
        accounts: tuple[Account, ...] = (),
        channels: tuple[Channel, ...] = (),
        windows: tuple[MaintenanceWindow, ...] = (),
        rules: Iterable[RouteRule] | RulesByPlace = (),
        *,
        zone: ZoneInfo = BUSINESS_ZONE,
        silent_refusals: Iterable[SilentRefusal] = (),
        blocks: Mapping[UUID, Collection[BlockKind]] | None = None,
        return_hosts: Mapping[tuple[UUID, str], frozenset[str]] | None = None,
        payout_rules: Iterable[PayoutRule] = (),
        transaction_rules: Mapping[UUID, Sequence[TransactionRule]] | None = None,
    ) -> None:
        self.version = version
        self._return_hosts = return_hosts or {}
        self._blocks = blocks or {}
        self._transaction_rules = transaction_rules or {}
        self.zone = zone
        self.silent_refusals = {(each.merchant_id, each.account, each.bank): each for each in silent_refusals}
        self.merchants = {merchant.merchant_id: merchant for merchant in merchants}
        self.merchants_by_code = {merchant.code: merchant for merchant in merchants}
        self.keys = {key.key_hash: key for key in keys}
        self.accounts = {(account.merchant_id, account.code): account for account in accounts}
        self.channels = {(channel.merchant_id, channel.code): channel for channel in channels}
        self.endpoints: dict[UUID, list[Endpoint]] = defaultdict(list)
        for endpoint in endpoints:
            self.endpoints[endpoint.merchant_id].append(endpoint)
        self.windows: dict[tuple[UUID, str], list[MaintenanceWindow]] = defaultdict(list)
        for window in windows:
            self.windows[window.merchant_id, window.channel].append(window)
        gathered = rules if isinstance(rules, RulesByPlace) else RulesByPlace(rules)
        self.rules = gathered.by_place
        self._payout_rules: dict[tuple[UUID, str], dict[tuple[PayeeType, str], PayoutRule]] = defaultdict(dict)
        for payouts in payout_rules:
            self._payout_rules[payouts.merchant_id, payouts.channel][payouts.payee, payouts.bank] = payouts

        asking = {AuthenticationMode.SMS, AuthenticationMode.SMS_EACH_PAYMENT}
        signers = {m.merchant_id for m in merchants if m.primary_signer or m.primary_signers}
        self._asking = signers | {c.merchant_id for c in channels if asking & set(c.authentication.values())}
        self._channel_codes: dict[UUID, list[str]] = defaultdict(list)
        for channel in channels:
            self._channel_codes[channel.merchant_id].append(channel.code)
        of_channels, of_cards = defaultdict(set), gathered.of_cards
        for channel in channels:
            if channel.limits.any_shared:
                of_channels[channel.merchant_id].add(channel.code)
        self._counted = {
            merchant_id: Counted(frozenset(of_channels.get(merchant_id, ())), frozenset(of_cards.get(merchant_id, ())))
            for merchant_id in of_channels.keys() | of_cards.keys()
        }

    def code_of(self, merchant_id: UUID) -> str:
        """The merchant's code; of one that this snapshot does not have, its id."""
        merchant = self.merchants.get(merchant_id)
        return merchant.code if merchant else str(merchant_id)

    def return_hosts(self, merchant_id: UUID, app: str) -> frozenset[str]:
        """The hosts that an app's payers may be sent back to."""
        return self._return_hosts.get((merchant_id, app), frozenset())

    def blocks(self, merchant_id: UUID) -> Collection[BlockKind]:
        """Of which kinds the block list has entries; of most merchants, of none."""
        return self._blocks.get(merchant_id, ())

    def primary_of(self, merchant_id: UUID, bank: str) -> str | None:
        """The channel that alone signs cards of this bank by SMS; None: none does."""
        merchant = self.merchants[merchant_id]
        return merchant.primary_signers.get(bank, merchant.primary_signer)

    def rules_for(self, merchant_id: UUID, scene: Scene, bank: str) -> list[RouteRule]:
        """The rules of a scene and bank, in no order."""
        return self.rules.get((merchant_id, scene, bank), [])

    def payout_rule(self, merchant_id: UUID, channel: str, payee: PayeeType, bank: str) -> PayoutRule | None:
        """The rule of a channel's payouts to this type of payee and bank: the bank's own, or that of every bank.

        None: there is no such payout. It may be disabled, and says nothing of the channel being off or in maintenance.
        """
        rules = self._payout_rules.get((merchant_id, channel), {})
        return rules.get((payee, bank)) or rules.get((payee, ANY_BANK))

    def payout_rules_of(self, merchant_id: UUID, channel: str) -> list[PayoutRule]:
        """Every payout rule of a channel."""
        return list(self._payout_rules.get((merchant_id, channel), {}).values())

    def payout_rules_of_merchant(self, merchant_id: UUID) -> Iterator[PayoutRule]:
        """Every payout rule of a merchant, by channel."""
        for channel in self.channel_codes(merchant_id):
            yield from self.payout_rules_of(merchant_id, channel)

    def transaction_rules_of(self, merchant_id: UUID) -> Sequence[TransactionRule]:
        """Every transaction rule of a merchant, by code."""
        return self._transaction_rules.get(merchant_id, ())

    @cached_property
    def _banks(self) -> Mapping[tuple[UUID, Scene], frozenset[str]]:
        banks: dict[tuple[UUID, Scene], set[str]] = defaultdict(set)
        for (merchant_id, scene, bank), rules in self.rules.items():
            if any(rule.enabled for rule in rules):
                banks[merchant_id, scene].add(bank)
        return {key: frozenset(found) for key, found in banks.items()}

    def banks_of(self, merchant_id: UUID, scene: Scene) -> frozenset[str]:
        """The banks that a rule of a scene carries, which is not switched off."""
        return self._banks.get((merchant_id, scene), frozenset())

    def day_of(self, now: datetime) -> date:
        """The business day."""
        return now.astimezone(self.zone).date()

    def in_maintenance(self, merchant_id: UUID, channel: str, scene: Scene, bank: str, now: datetime) -> bool:
        """Whether a maintenance window of the channel stops payments of this scene and bank now."""
        windows = self.windows.get((merchant_id, channel))
        return windows is not None and any(w.closes(scene, bank) and self._is_open(w, now) for w in windows)

    def rests(self, merchant_id: UUID, channel: str, now: datetime) -> bool:
        """Whether a maintenance window of the whole channel is open now, whatever scene and bank."""
        windows = self.windows.get((merchant_id, channel), ())
        return any(w.scenes is None and w.banks is None and self._is_open(w, now) for w in windows)

    def _is_open(self, window: MaintenanceWindow, now: datetime) -> bool:
        return is_open(window.starts_at, window.ends_at, window.repeats, self.zone, now)

    def has_totals(self, merchant_id: UUID) -> bool:
        """Whether a limit is configured that counts what others did too (per channel over all users, per card)."""
        return merchant_id in self._counted

    def counted(self, merchant_id: UUID) -> "Counted":
        """Of which channels that is counted; of most merchants, of none."""
        return self._counted.get(merchant_id, NOTHING_COUNTED)

    def calls_at_once(self, merchant_id: UUID, channel: str) -> int | None:
        """How many calls a channel carries at once; None: no limit, also for a channel that is not there."""
        found = self.channels.get((merchant_id, channel))
        return found.limits.calls_at_once if found else None

    def asks_for_codes(self, merchant_id: UUID) -> bool:
        """Whether a channel of the merchant may ask a payer for a code."""
        return merchant_id in self._asking

    def unresolved_counts_after(self, merchant_id: UUID) -> timedelta | None:
        """How long an attempt may be without a result before it counts as failed; None: for ever."""
        merchant = self.merchants.get(merchant_id)
        return merchant.unresolved_counts_after if merchant else None

    def sms_per_phone_and_day(self, merchant_id: UUID) -> int:
        """How many codes one phone may get in a business day, over all users, cards and channels."""
        merchant = self.merchants.get(merchant_id)
        return merchant.sms_per_phone_and_day if merchant else SMS_PER_PHONE_AND_DAY

    def binds_silently(self, merchant_id: UUID, account: str, bank: str) -> bool:
        """Whether the account is still asked to bind cards of this bank without the payer."""
        return (merchant_id, account, bank) not in self.silent_refusals

    def silent_refusals_of(self, merchant_id: UUID) -> "list[SilentRefusal]":
        """Where the merchant's cards are not bound silently any more, by account and bank."""
        return [each for (owner, _, _), each in sorted(self.silent_refusals.items()) if owner == merchant_id]

    def calls_per_second(self, merchant_id: UUID, channel: str) -> int | None:
        """How many calls a channel carries in a second; None: no limit, also for a channel that is not there."""
        found = self.channels.get((merchant_id, channel))
        return found.limits.calls_per_second if found else None

    def channel_codes(self, merchant_id: UUID) -> Collection[str]:
        """The codes of a merchant's channels, those that are off, too."""
        return self._channel_codes.get(merchant_id, ())

    def channels_of(self, merchant_id: UUID) -> list[Channel]:
        """A merchant's channels, those that are off, too."""
        return [self.channels[merchant_id, code] for code in self.channel_codes(merchant_id)]

    def account_of_channel(self, merchant_id: UUID, channel: str) -> str | None:
        """The code of the account that a channel belongs to now."""
        found = self.channels.get((merchant_id, channel))
        return found.account if found else None

    def provider_of(self, merchant_id: UUID, channel: str) -> str:
        """The provider that a channel belongs to; empty for a channel that is not there."""
        account = self.accounts.get((merchant_id, self.account_of_channel(merchant_id, channel) or ""))
        return account.provider if account else ""

    def endpoints_for(self, merchant_id: UUID, app: str | None, event_type: str) -> list[Endpoint]:
        """The endpoints that an event of this app and type goes to; at those that are stopped it is held."""
        return [e for e in self.endpoints.get(merchant_id, ()) if e.wants(app, event_type)]

    @cached_property
    def _by_short_name(self) -> dict[str, Account]:
        named = [(short_name(self.code_of(a.merchant_id), a.code), a) for a in self.accounts.values()]
        times = Counter(name for name, _ in named)
        return {name: account for name, account in named if times[name] == 1}

    def account_of_callback(self, name: str) -> Account | None:
        """The account of `/callbacks/{merchant}.{account}`, or of the eight letters that stand for it."""
        if "." not in name:
            return self._by_short_name.get(name)
        merchant_code, _, account = name.partition(".")
        merchant = self.merchants_by_code.get(merchant_code)
        return self.accounts.get((merchant.merchant_id, account)) if merchant else None
