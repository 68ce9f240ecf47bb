"""Payout rules of a file: the rows that they stand for, and whether their channels' providers can pay out so."""

from collections.abc import Iterator

from adapters.registry import PROVIDERS, offer_for
from gateway.catalogue_file.checks import ALL_BANKS, Problems, account_content, repeated, shortened
from gateway.catalogue_file.shape import ChannelShape, MerchantShape, PayoutShape
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import ANY_BANK
from gateway.domain.catalogue_content import PayoutRuleContent
from gateway.domain.payout_rules import in_order, overlap
from gateway.ports import Offer

__all__ = ["payout_problems", "payout_rules", "payout_warnings"]


def payout_rules(channel: ChannelShape) -> Iterator[PayoutRuleContent]:
    """The rows of a channel's payout rules."""
    for rule in channel.payouts:
        windows = in_order(shape.window for shape in rule.windows or ())
        for payee in rule.payees:
            for bank in rule.banks:
                yield PayoutRuleContent(
                    channel=channel.code,
                    payee=payee,
                    bank=bank,
                    enabled=rule.enabled,
                    fee=rule.fee,
                    single_limit=rule.single_limit,
                    daily_limit=rule.daily_limit,
                    windows=windows,
                    fees=rule.later_fees,
                )


def payout_problems(merchants: list[MerchantShape]) -> Problems:
    """What is wrong about payout rules."""
    for path, merchant, channel in _channels(merchants):
        offer, first = _offer(merchant, channel), dict[tuple[str, str], str]()
        for number, rule in enumerate(channel.payouts):
            here = f"{path}.payouts[{number}]"
            yield from repeated(f"{here}.payees", rule.payees)
            for position, payee in enumerate(rule.payees):
                if offer and (why := offer.why_not_pay_out(payee)):
                    yield f"{here}.payees[{position}]: {why}"
            yield from repeated(f"{here}.banks", rule.banks)
            yield from _bank_problems(f"{here}.banks", rule)
            yield from _overlaps(f"{here}.windows", rule)
            for payee, bank in dict.fromkeys((payee, bank) for payee in rule.payees for bank in rule.banks):
                other = first.setdefault((payee, bank), here)
                if other != here:
                    yield f"{here}: {payee} payees of {_named(bank)} are already in {other}"


def payout_warnings(merchants: list[MerchantShape]) -> Iterator[str]:
    """What is allowed and probably a mistake."""
    for path, merchant, channel in _channels(merchants):
        offer = _offer(merchant, channel)
        assert offer is not None, "a file with problems has no warnings"
        for number, rule in enumerate(channel.payouts):
            here, single, daily = f"{path}.payouts[{number}]", rule.single_limit, rule.daily_limit
            if single and daily and single > daily:
                yield f"{here}.single_limit: is above daily_limit, which stops such payouts anyway"
            for payee in rule.payees:
                strange = [bank for bank in rule.banks if bank != ANY_BANK and not offer.pays_at(payee, bank)]
                if strange:
                    where = f"{payee} payees at {shortened(strange)}"
                    yield f"{here}.banks: {offer.provider} cannot pay {where}: never used"


def _channels(merchants: list[MerchantShape]) -> Iterator[tuple[str, MerchantShape, ChannelShape]]:
    for number, merchant in enumerate(merchants):
        for position, channel in enumerate(merchant.channels):
            yield f"merchants[{number}].channels[{position}]", merchant, channel


def _offer(merchant: MerchantShape, channel: ChannelShape) -> Offer | None:
    """None: its account or provider is not known, which is told where it is wrong."""
    account = next((account for account in merchant.accounts if account.code == channel.account), None)
    return offer_for(account_content(account)) if account and account.provider in PROVIDERS else None


def _bank_problems(path: str, rule: PayoutShape) -> Problems:
    for position, bank in enumerate(rule.banks):
        if bank == ALL_BANKS:
            yield f'{path}[{position}]: every bank that has no rule of its own is written "{ANY_BANK}" here'
        elif bank != ANY_BANK and bank not in bank_names():
            yield f"{path}[{position}]: {bank} is not a bank code"


def _overlaps(path: str, rule: PayoutShape) -> Problems:
    if found := overlap([shape.window for shape in rule.windows or ()]):
        later, first, day = found
        yield f"{path}[{later}]: is open at the same time as {path}[{first}] on {day}: make one window of both"


def _named(bank: str) -> str:
    return "every other bank" if bank == ANY_BANK else bank
