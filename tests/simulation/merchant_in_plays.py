"""The sample merchant as plays have it: few PSPs and banks, questions far apart, and payouts wherever there are any."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.domain.catalogue_content import AccountContent, MerchantContent
from gateway.domain.payout_rules import PayoutWindow
from gateway.domain.terms import NotFoundRule, Product
from tests.e2e.merchants import account_with, that_pays_out

__all__ = [
    "ANY_BANK",
    "BANK",
    "BANK_AT_CPCN",
    "BANK_AT_LIANLIAN",
    "GRACE_S",
    "NOT_FOUND",
    "PROVIDERS",
    "WINDOW_OPENS",
    "of_plays",
    "only_at_noon",
    "with_rules_of_its_channels",
]

PROVIDERS: Final = ("unionpay", "allinpay", "lianlian", "yeepay", "lanmao", "cpcn", "baofoo")
BANK: Final = "ICBC"
"""Of all cards in plays, but for those that are for LianLian."""
BANK_AT_LIANLIAN = BANK_AT_CPCN = "PSBC"
"""LianLian takes its cards, and CPCN has its page."""
ANY_BANK: Final = "ANY"
"""The payer chooses it on the page."""
NOT_FOUND: Final = NotFoundRule(answers=3, over_s=600.0)
GRACE_S: Final = 300.0
"""After a page has expired, before its PSP's silence proves anything."""
TERMS: Final[Mapping[str, Any]] = {
    "poll_gaps_s": (30.0, 300.0, 1800.0),
    "not_found": NOT_FOUND,
    "answer_timeout_s": 60.0,
}
"""Few questions, far apart: time passes by being moved."""
WINDOW_OPENS: Final = "12:00"


def of_plays(sample: MerchantContent) -> MerchantContent:
    """The sample merchant as far as plays go: a gateway reads all of it, and builds each account, when it starts."""
    accounts = tuple(_in_plays(each) for each in sample.accounts if each.provider in PROVIDERS)
    theirs = {account.code for account in accounts}
    channels = tuple(channel for channel in sample.channels if channel.account in theirs)
    codes = {channel.code for channel in channels}
    banks = {BANK, BANK_AT_LIANLIAN, ANY_BANK}
    changed = replace(
        sample,
        accounts=accounts,
        channels=channels,
        rules=tuple(rule for rule in sample.rules if rule.channel in codes and rule.bank in banks),
        payout_rules=tuple(rule for rule in sample.payout_rules if rule.channel in codes),
        primary_signers={},
    )
    return that_pays_out(changed)


def only_at_noon(merchant: MerchantContent) -> MerchantContent:
    """A merchant whose payouts may be sent from noon on, and not when plays begin."""
    windows = (PayoutWindow(WINDOW_OPENS, "24:00"),)
    return replace(merchant, payout_rules=tuple(replace(rule, windows=windows) for rule in merchant.payout_rules))


def with_rules_of_its_channels(merchant: MerchantContent) -> MerchantContent:
    """A merchant without the payout rules of channels that a change took away."""
    codes = {channel.code for channel in merchant.channels}
    return replace(merchant, payout_rules=tuple(rule for rule in merchant.payout_rules if rule.channel in codes))


def _in_plays(account: AccountContent) -> AccountContent:
    account = account_with(account, TERMS)
    if Product.REDIRECT not in account.terms:
        return account
    of_pages = replace(account.terms[Product.REDIRECT], grace_s=GRACE_S)
    return replace(account, terms={**account.terms, Product.REDIRECT: of_pages})
