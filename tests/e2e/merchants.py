"""Merchants like the sample's, changed for a test."""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from adapters.registry import offer_of
from gateway.domain.catalogue import ANY_BANK as EVERY_BANK
from gateway.domain.catalogue_content import AccountContent, EndpointContent, MerchantContent, PayoutRuleContent
from gateway.domain.payees import PayeeType
from gateway.domain.terms import OwnTerms
from gateway.ports import AskPayout, AskRefund, AskReturnedPayouts, ConfirmPayout, Payout, Refund
from router.fees import FixedFee

PAYOUT_FEE = 200
Change = Callable[[MerchantContent], MerchantContent]
OF_MONEY_OUT = frozenset({Payout, AskPayout, ConfirmPayout, AskReturnedPayouts, Refund, AskRefund})


def only(channel: str, **limits: int) -> Change:
    """A merchant whose payments can go to one channel only, under these limits."""

    def change(merchant: MerchantContent) -> MerchantContent:
        kept = [rule for rule in merchant.rules if rule.channel == channel]
        rules = tuple(replace(rule, limits=replace(rule.limits, **limits)) for rule in kept)
        return replace(merchant, rules=rules)

    return change


def that_pays_out(merchant: MerchantContent) -> MerchantContent:
    """A merchant who pays out to everybody, wherever the sandbox does: what is assumed of it, and rules."""
    offers = {each.code: offer_of(each.provider) for each in merchant.accounts}
    pays = {code: offer.declaration for code, offer in offers.items() if offer.declaration.payees is not None}

    def assuming(account: AccountContent) -> AccountContent:
        if account.code not in pays:
            return account
        needed = [each.name for each in pays[account.code].assumptions if each.commands & OF_MONEY_OUT]
        names = {*account.settings.get("assumed", ()), *needed}
        return replace(account, settings={**account.settings, "assumed": sorted(names)})

    rules = [
        PayoutRuleContent(channel.code, payee, EVERY_BANK, True, FixedFee(PAYOUT_FEE))
        for channel in merchant.channels
        for payee in PayeeType
        if (of := pays.get(channel.account)) is not None and of.payees is not None and payee in of.payees.needs
    ]
    return replace(merchant, accounts=tuple(map(assuming, merchant.accounts)), payout_rules=tuple(rules))


def with_spare(merchant: MerchantContent) -> MerchantContent:
    """A merchant with a second account at UnionPay, `unionpay_spare`, whose channel `spare` is the cheapest."""
    account = next(account for account in merchant.accounts if account.provider == "unionpay")
    channel = next(channel for channel in merchant.channels if channel.account == account.code)
    rules = tuple(
        replace(rule, channel="spare", fee=FixedFee(1)) for rule in merchant.rules if rule.channel == channel.code
    )
    return replace(
        merchant,
        accounts=(*merchant.accounts, replace(account, code="unionpay_spare")),
        channels=(*merchant.channels, replace(channel, code="spare", account="unionpay_spare")),
        rules=(*merchant.rules, *rules),
    )


def endpoint_at(url: str, *secrets_of_it: str, code: str = "loans", **more: Any) -> EndpointContent:
    """An endpoint of the app, on this machine."""
    return EndpointContent(code, "loans", url, more.get("event_types"), True, secrets_of_it)


def new_secret() -> str:
    """A secret of an endpoint."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def account_with(account: AccountContent, changes: Mapping[str, Any]) -> AccountContent:
    """The account with changed settings; terms are said of every product of its provider."""
    own = {name: value for name, value in changes.items() if name in OwnTerms.__dataclass_fields__}
    settings = {name: value for name, value in changes.items() if name not in own}
    products = offer_of(account.provider).declaration.terms
    terms = {product: replace(account.terms.get(product, OwnTerms()), **own) for product in products}
    return replace(account, settings={**account.settings, **settings}, terms=terms)
