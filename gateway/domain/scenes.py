"""Payment scenes (支付场景) and which API call takes which."""

from enum import StrEnum


class Scene(StrEnum):
    """What the business pays for, as the router and the channels know it."""

    CUSTODY_QUICK_CHARGE = "custody_quick_charge"  # 存管快捷充值
    CUSTODY_NETBANK_CHARGE = "custody_netbank_charge"  # 存管网银充值
    CUSTODY_WITHHOLD = "custody_withhold"  # 存管代扣
    QUICK_CHARGE = "quick_charge"  # 非存管快捷充值
    NETBANK_CHARGE = "netbank_charge"  # 非存管网银
    WITHHOLD = "withhold"  # 非存管代扣


class Kind(StrEnum):
    """The kind of money order."""

    WITHHOLD = "withhold"
    CHARGE = "charge"


SCENES_OF: dict[Kind, frozenset[Scene]] = {
    Kind.WITHHOLD: frozenset({Scene.WITHHOLD, Scene.CUSTODY_WITHHOLD}),
    Kind.CHARGE: frozenset(
        {Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE, Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE}
    ),
}

NO_BANK = "ANY"
"""Instead of a bank: the payer chooses theirs on the page of the PSP or the custody bank."""

REDIRECT_SCENES: frozenset[Scene] = frozenset(
    {Scene.NETBANK_CHARGE, Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE}
)
"""Scenes that the payer pays on the page of a bank or a PSP, in the browser."""

CUSTODY_SCENES: frozenset[Scene] = frozenset(
    {Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE, Scene.CUSTODY_WITHHOLD}
)
"""Scenes in which the bank charges through a PSP that we name."""

NAME_PSP = "give the channel a psp_code, as the bank calls that PSP"
"""What an operator is told whose custody channel names no PSP."""

CARD_SCENES: frozenset[Scene] = frozenset({Scene.WITHHOLD, Scene.QUICK_CHARGE})
"""Scenes that need a card; the others are paid on the bank's own page and need a bank."""


def why_not_by_card(*scenes: Scene) -> str | None:
    """Why a rule of these scenes cannot count by card number, or None."""
    for scene in scenes:
        if scene not in CARD_SCENES:
            return f"{scene} has no card number: count by user there"
    return None
