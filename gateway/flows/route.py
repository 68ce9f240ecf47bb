"""Ask the router: what the catalogue and the user's facts mean for one payment. Pure."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from gateway.domain.catalogue import AuthenticationMode, Catalogue, Channel
from gateway.domain.scenes import CARD_SCENES, Scene
from router.facts import Candidate, Signing


def candidates_for(
    catalogue: Catalogue,
    merchant_id: UUID,
    scene: Scene,
    bank: str,
    agreements: Collection[str],
    now: datetime,
) -> list[Candidate]:
    """The rules of a scene and bank with what is known of their channels now.

    `agreements` are the codes of the accounts that have an active agreement with this card.
    """
    candidates = []
    for rule in catalogue.rules_for(merchant_id, scene, bank):
        channel = catalogue.channels[merchant_id, rule.channel]
        candidates.append(
            Candidate(
                channel=rule.channel,
                scene=scene,
                bank=bank,
                fee=rule.fee,
                enabled=rule.enabled,
                channel_on=channel.on,
                in_maintenance=catalogue.in_maintenance(merchant_id, rule.channel, scene, bank, now),
                signing=_signing(channel, scene, bank, agreements),
                priority=rule.priority,
                limits=rule.limits,
                channel_limits=channel.limits,
            )
        )
    return candidates


def needs_authentication(channel: Channel, scene: Scene, bank: str, agreements: Collection[str]) -> bool:
    """Whether this channel must bind the card before it can be charged."""
    if scene not in CARD_SCENES or channel.account in agreements:
        return False
    return channel.mode(bank) is not AuthenticationMode.NONE


def _signing(channel: Channel, scene: Scene, bank: str, agreements: Collection[str]) -> Signing:
    """Whether the channel can authenticate this card now. Signing by SMS needs the user: such channels are hidden."""
    if not needs_authentication(channel, scene, bank, agreements):
        return "ready"
    return "ready" if channel.mode(bank) is AuthenticationMode.SILENT else "needs_signing"
