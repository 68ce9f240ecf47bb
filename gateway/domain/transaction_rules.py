"""What transaction rules say (异常交易): which rows count, by what they are gathered, and what is too many.

A rule is (filter, key, window, count or sum, what then). It is looked at beside the flow, on recorded rows: it never
refuses a payment. A row counts at the time at which it was opened.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from gateway.domain.failures import Blame
from gateway.domain.payees import PayeeType
from gateway.domain.scenes import Scene
from gateway.domain.statuses import Status

__all__ = [
    "MAX_AT_LEAST",
    "MAX_RULES",
    "MAX_SUM",
    "MAX_WINDOW_S",
    "MAX_WINDOW_S_OF_MANY",
    "Distinct",
    "RuleKey",
    "RuleKind",
    "Then",
    "TransactionFilter",
    "TransactionRule",
    "TransactionRuleError",
    "filter_from_json",
    "filter_to_json",
    "in_one_form",
]

CODE: Final = r"[a-z][a-z0-9_-]{0,39}"
MAX_RULES: Final = 100
"""Of one merchant."""
MAX_WINDOW_S: Final = 7 * 86_400
MAX_WINDOW_S_OF_MANY: Final = 86_400
"""Of a key that many payers share: its rows are all of a channel, a bank, an app."""
MAX_AT_LEAST: Final = 1_000
MAX_SUM: Final = 10**13
"""In fen."""


class RuleKind(StrEnum):
    """What a row is."""

    PAYMENT = "payment"
    REFUND = "refund"
    PAYOUT = "payout"
    AUTHENTICATION = "authentication"


class RuleKey(StrEnum):
    """By what rows are gathered. A row that has no such thing does not count."""

    USER = "user"
    CARD = "card"  # the number, whoever uses it
    PHONE = "phone"  # of the card
    ID_NO = "id_no"  # of the card's holder
    BANK = "bank"
    CHANNEL = "channel"
    APP = "app"
    PAYEE = "payee"  # payouts alone: bank and masked number


MANY: Final = frozenset({RuleKey.BANK, RuleKey.CHANNEL, RuleKey.APP})
BLOCKED: Final = frozenset({RuleKey.USER, RuleKey.CARD, RuleKey.PHONE, RuleKey.ID_NO})
"""Keys that the block list knows."""


class Distinct(StrEnum):
    """What is counted instead of rows."""

    CARDS = "cards"
    USERS = "users"
    KINDS = "kinds"  # of two: the second after the first


class Then(StrEnum):
    """What becomes of a key that has too many."""

    ALERT = "alert"
    PROPOSE_BLOCK = "propose_block"  # beside the alert, a person is asked whether to block it


class TransactionRuleError(ValueError):
    """A rule that cannot be. `field` names what is wrong with it, `problem` says what it should be."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field, self.problem = field, problem


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """Which rows count: those that fit all that is given. An empty list is no condition. Amounts in fen, both ends in.

    Lists mean nothing by their order but `kinds`, whose first comes first where kinds are counted.
    """

    kinds: tuple[RuleKind, ...] = (RuleKind.PAYMENT,)
    scenes: tuple[Scene, ...] = ()
    channels: tuple[str, ...] = ()
    banks: tuple[str, ...] = ()
    """Of the payer's card; of a payout the payee's."""
    apps: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    failure_blames: tuple[Blame, ...] = ()
    payee_types: tuple[PayeeType, ...] = ()
    amount_from: int | None = None
    amount_to: int | None = None
    share_of_single_limit: int | None = None
    """Percent: amounts from so much of the single limit of the payment's rule (channel, scene, bank) up to it."""


@dataclass(frozen=True, slots=True)
class TransactionRule:
    """A rule of a merchant. Raises TransactionRuleError for what cannot be."""

    code: str
    name: str
    key: RuleKey
    window_s: int
    at_least: int | None = None
    """So many rows, or different cards, users or kinds."""
    sum_at_least: int | None = None
    """Or so much of them together, in fen."""
    distinct: Distinct | None = None
    filter: TransactionFilter = field(default_factory=TransactionFilter)
    then: Then = Then.ALERT
    enabled: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(CODE, self.code):
            raise TransactionRuleError("code", "must be 1 to 40 lower-case letters, digits, - and _, a letter first")
        _check_lists(self.filter)
        _check_window(self)
        _check_threshold(self)
        _check_filter(self.filter)
        if self.key is RuleKey.PAYEE and self.filter.kinds != (RuleKind.PAYOUT,):
            raise TransactionRuleError("key", "payee is of payouts alone: say kinds = payout, or another key")
        if self.then is Then.PROPOSE_BLOCK and self.key not in BLOCKED:
            raise TransactionRuleError(
                "then", "propose_block takes a key that can be blocked: user, card, phone, id_no"
            )


def _check_lists(wanted: TransactionFilter) -> None:
    if not wanted.kinds:
        raise TransactionRuleError("filter.kinds", f"must be some of {', '.join(RuleKind)}")
    for name in _LISTS:
        values = getattr(wanted, name)
        if len(set(values)) < len(values):
            raise TransactionRuleError(f"filter.{name}", "has a value twice")
    if odd := sorted(set(wanted.statuses) - set(Status)):
        raise TransactionRuleError("filter.statuses", f"has {odd[0]}, which is none of {', '.join(Status)}")


def _check_window(rule: TransactionRule) -> None:
    most = MAX_WINDOW_S_OF_MANY if rule.key in MANY else MAX_WINDOW_S
    if not 1 <= rule.window_s <= most:
        cure = "use a shorter window, or a report" if rule.window_s > most else "say for how long rows are counted"
        raise TransactionRuleError("window_s", f"must be 1 to {most} seconds with the key {rule.key}: {cure}")


def _check_threshold(rule: TransactionRule) -> None:
    if (rule.at_least is None) == (rule.sum_at_least is None):
        raise TransactionRuleError("at_least", "must be given, or sum_at_least, and not both")
    if rule.at_least is not None and not 1 <= rule.at_least <= MAX_AT_LEAST:
        raise TransactionRuleError("at_least", f"must be 1 to {MAX_AT_LEAST}")
    if rule.sum_at_least is not None:
        if not 1 <= rule.sum_at_least <= MAX_SUM:
            raise TransactionRuleError("sum_at_least", f"must be 1 to {MAX_SUM} fen")
        if rule.distinct is not None:
            raise TransactionRuleError("distinct", "is counted, not summed: say at_least, or leave it out")
    if rule.distinct is not None and rule.at_least is not None and rule.at_least < 2:
        raise TransactionRuleError("at_least", "must be 2 or more of what is different: one is always there")
    if rule.distinct is Distinct.KINDS and (len(rule.filter.kinds) != 2 or rule.at_least != 2):
        raise TransactionRuleError(
            "distinct", "kinds takes at_least = 2 and two filter.kinds, the one that comes first before the other"
        )
    same = {Distinct.CARDS: RuleKey.CARD, Distinct.USERS: RuleKey.USER}.get(rule.distinct or Distinct.KINDS)
    if same is rule.key:
        raise TransactionRuleError("distinct", f"can never be two with the key {rule.key}: gather by another key")


def _check_filter(wanted: TransactionFilter) -> None:
    low, high, share = wanted.amount_from, wanted.amount_to, wanted.share_of_single_limit
    for name, value in (("amount_from", low), ("amount_to", high)):
        if value is not None and not 1 <= value <= MAX_SUM:
            raise TransactionRuleError(f"filter.{name}", f"must be 1 to {MAX_SUM} fen")
    if low is not None and high is not None and high < low:
        raise TransactionRuleError("filter.amount_to", "must not be below amount_from")
    if share is not None:
        if not 1 <= share <= 100:
            raise TransactionRuleError("filter.share_of_single_limit", "must be 1 to 100 percent")
        if wanted.kinds != (RuleKind.PAYMENT,):
            raise TransactionRuleError("filter.share_of_single_limit", "is of payments alone: say kinds = payment")
    if wanted.payee_types and wanted.kinds != (RuleKind.PAYOUT,):
        raise TransactionRuleError("filter.payee_types", "is of payouts alone: say kinds = payout")


_ENUMS: Final[Mapping[str, type[StrEnum]]] = {
    "kinds": RuleKind,
    "scenes": Scene,
    "failure_blames": Blame,
    "payee_types": PayeeType,
}
_LISTS: Final = ("kinds", "scenes", "channels", "banks", "apps", "statuses", "failure_blames", "payee_types")


def in_one_form(wanted: TransactionFilter) -> TransactionFilter:
    """With its lists in one order where that means nothing: what is the same is then equal."""
    said = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
    return TransactionFilter(**said | {name: tuple(sorted(said[name])) for name in _LISTS if name != "kinds"})


def filter_to_json(wanted: TransactionFilter) -> dict[str, Any]:
    """As files and tables say it: what is no condition is absent."""
    said = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
    return {
        name: [str(each) for each in value] if name in _LISTS else value
        for name, value in said.items()
        if value not in ((), None)
    }


def filter_from_json(told: Mapping[str, Any]) -> TransactionFilter:
    """Read what `filter_to_json` wrote. Raises ValueError."""
    said = dict(told)
    for name in _LISTS:
        if name in said:
            read = _ENUMS.get(name, str)
            said[name] = tuple(read(each) for each in said[name])
    return TransactionFilter(**said)
