"""The fees of a catalogue as the sandbox is told them, so that its statements cost what the rules say."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.domain.catalogue_content import ChannelContent, MerchantContent
from gateway.domain.payees import PayeeType
from gateway.domain.scenes import Scene
from router.fees import Fee, FixedFee, PercentFee, TieredFee

__all__ = ["FIRMS", "GIVEN_BACK", "KINDS", "fees_said", "schedule_of"]

Said = dict[str, Any]
PPM: Final = 1_000_000

KINDS: Final[Mapping[tuple[str, Scene], Said]] = {
    ("allinpay", Scene.WITHHOLD): {"kinds": ["collect"]},
    ("allinpay", Scene.QUICK_CHARGE): {"kinds": ["pay"]},
    # Of a card that is bound Baofoo does not learn which of the two it was: what only differs by that cannot be told.
    ("baofoo", Scene.QUICK_CHARGE): {"kinds": ["consume", "collect"]},
    ("baofoo", Scene.WITHHOLD): {"kinds": ["collect"]},
    ("lanmao", Scene.CUSTODY_QUICK_CHARGE): {"kinds": ["recharge"], "echo": {"way": "SWIFT"}},
    ("lanmao", Scene.CUSTODY_NETBANK_CHARGE): {"kinds": ["recharge"], "echo": {"way": "WEB"}},
    ("lanmao", Scene.CUSTODY_WITHHOLD): {"kinds": ["withhold"]},
}
"""How a mock's books tell a scene; else as below."""
USUAL_KINDS: Final[Mapping[Scene, Said]] = {
    Scene.QUICK_CHARGE: {"kinds": ["consume"]},
    Scene.WITHHOLD: {"kinds": ["withhold"]},
    Scene.NETBANK_CHARGE: {"kinds": ["netbank"]},
}
FIRMS: Final[Mapping[str, Mapping[str, str]]] = {
    "allinpay": {"ACCOUNT_PROP": "1"},
    "cpcn": {"AccountType": "12"},
}
"""How a mock's books tell a payout to a firm."""
GIVEN_BACK: Final[Mapping[str, Said]] = {"yeepay": {"rate_ppm": 2_000, "gives_back": True}}
"""What a mock gives back of its fee with each refund, as its answer says. No rule of the catalogue is about it."""


def schedule_of(fee: Fee) -> Said:
    """A fee in the sandbox's form."""
    if isinstance(fee, TieredFee):
        return {"tiers": [{"up_to": tier.up_to, **schedule_of(tier.fee)} for tier in fee.tiers]}
    if isinstance(fee, FixedFee):
        return {"fixed": fee.amount}
    assert isinstance(fee, PercentFee)
    rate_ppm = fee.rate * PPM
    assert rate_ppm == int(rate_ppm), f"{fee.rate} is finer than a millionth"
    return {"rate_ppm": int(rate_ppm), "minimum": fee.min or 0, "maximum": fee.max}


def fees_said(merchant: MerchantContent) -> dict[str, Said]:
    """What to POST to `/_sandbox/{provider}/fees`, by provider. The rules of one scene of a channel must agree."""
    providers = {account.code: account.provider for account in merchant.accounts}
    channels = {channel.code: channel for channel in merchant.channels}
    said: dict[str, Said] = {}
    for rule in merchant.rules:
        channel = channels[rule.channel]
        provider = providers[channel.account]
        wanted = KINDS.get((provider, rule.scene)) or USUAL_KINDS[rule.scene]
        _add(said, provider, "payment", {**schedule_of(rule.fee), **_of_channel(wanted, channel)})
    # Firms first: the schedule of persons has no filter.
    for payout in sorted(merchant.payout_rules, key=lambda rule: rule.payee == PayeeType.PERSONAL):
        provider = providers[channels[payout.channel].account]
        firms = FIRMS.get(provider) if payout.payee == PayeeType.CORPORATE else None
        _add(said, provider, "payout", schedule_of(payout.fee) | ({"echo": dict(firms)} if firms else {}))
    for provider in said.keys() & GIVEN_BACK.keys():
        _add(said, provider, "refund", dict(GIVEN_BACK[provider]))
    return said


def _of_channel(wanted: Said, channel: ChannelContent) -> Said:
    if channel.psp_code is None:
        return wanted
    return wanted | {"echo": {**wanted.get("echo", {}), "company": channel.psp_code}}


def _add(said: dict[str, Said], provider: str, kind: str, schedule: Said) -> None:
    listed: list[Said] = said.setdefault(provider, {}).setdefault(kind, [])
    if schedule not in listed:
        listed.append(schedule)
