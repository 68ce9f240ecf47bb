"""The catalogue as tables for a terminal."""

from collections import defaultdict

import orjson
from rich.table import Table

from gateway.domain.catalogue import Catalogue, RouteRule
from router.fees import fee_to_json
from router.limits import Limits

__all__ = ["catalogue_tables"]


def catalogue_tables(catalogue: Catalogue) -> list[Table]:
    """Channels, then rules, with those that differ only in the bank on one line."""
    codes = {merchant_id: merchant.code for merchant_id, merchant in catalogue.merchants.items()}
    channels = Table(
        "merchant", "channel", "account", "on", "authentication", "limits", title=f"version {catalogue.version}"
    )
    for channel in catalogue.channels.values():
        modes = ", ".join(f"{bank} {mode}" for bank, mode in channel.authentication.items())
        on = "yes" if channel.on else "no"
        channels.add_row(codes[channel.merchant_id], channel.code, channel.account, on, modes, _limits(channel.limits))
    rules = Table("merchant", "channel", "scene", "fee", "limits", "priority", "banks", title="rules, in fen")
    banks: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for same_bank in catalogue.rules.values():
        for rule in same_bank:
            banks[codes[rule.merchant_id], *_row(rule)].append(rule.bank)
    for row, names in banks.items():
        rules.add_row(*row, " ".join(sorted(names)))
    return [channels, rules]


def _row(rule: RouteRule) -> tuple[str, ...]:
    fee = orjson.dumps(fee_to_json(rule.fee)).decode()
    scene = f"{rule.scene}{'' if rule.enabled else ' (off)'}"
    return (rule.channel, scene, fee, _limits(rule.limits), str(rule.priority))


def _limits(limits: Limits) -> str:
    return "\n".join(f"{name} {limit}" for name, limit in limits.to_json().items()) or "-"
