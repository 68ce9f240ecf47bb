"""Who signs cards by SMS: whether the channels that a file names for it can."""

from collections.abc import Iterator

from adapters.registry import PROVIDERS, offer_for
from gateway.catalogue_file.checks import account_content, shortened, unknown
from gateway.catalogue_file.shape import ChannelShape, MerchantShape
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import AuthenticationMode
from gateway.ports import why_not_primary

__all__ = ["signer_problems", "signer_warnings"]


def signer_problems(merchants: list[MerchantShape]) -> Iterator[str]:
    """What is wrong about primary signers."""
    for number, merchant in enumerate(merchants):
        channels = {channel.code: channel for channel in merchant.channels}
        for name, bank, signer in _named(merchant):
            path = f"merchants[{number}].{name}"
            if bank is not None and bank not in bank_names():
                yield f"{path}: {bank} is not a bank code"
            elif signer not in channels:
                yield f"{path}: {unknown(signer, 'channel', channels)}"
            elif why := _why_not(merchant, channels[signer], bank):
                yield f"{path}: {signer} cannot sign cards by SMS: {why}"


def signer_warnings(merchants: list[MerchantShape]) -> Iterator[str]:
    """What is allowed and probably a mistake."""
    for number, merchant in enumerate(merchants):
        channels = {channel.code: channel for channel in merchant.channels}
        for name, _, signer in _named(merchant):
            if not channels[signer].on:
                yield f"merchants[{number}].{name}: {signer} is off, so no card is signed by SMS there"
        for position, channel in enumerate(merchant.channels):
            idle = sorted(_signs_nothing(merchant, channel))
            if idle:
                path = f"merchants[{number}].channels[{position}].authentication"
                yield f"{path}: sms is for the primary signer alone, so new cards of {shortened(idle)} are never taken"


def _named(merchant: MerchantShape) -> Iterator[tuple[str, str | None, str]]:
    """Where a signer is named, of which bank (None: of all), and its channel."""
    if merchant.primary_signer is not None:
        yield "primary_signer", None, merchant.primary_signer
    for bank, signer in merchant.primary_signers.items():
        yield f"primary_signers.{bank}", bank, signer


def _why_not(merchant: MerchantShape, channel: ChannelShape, bank: str | None) -> str | None:
    account = next((account for account in merchant.accounts if account.code == channel.account), None)
    if account is None or account.provider not in PROVIDERS:
        return None  # that is told where it is wrong
    return why_not_primary(offer_for(account_content(account)), channel.authentication, bank)


def _signs_nothing(merchant: MerchantShape, channel: ChannelShape) -> Iterator[str]:
    """Banks (or *) whose cards this channel would sign by SMS if it were the primary signer."""
    signs = {*merchant.primary_signers.values(), merchant.primary_signer}
    for bank, mode in channel.authentication.items():
        signer = merchant.primary_signers.get(bank, merchant.primary_signer)
        may = channel.code in signs if bank not in bank_names() else channel.code == signer
        if mode is AuthenticationMode.SMS and not may:
            yield bank
