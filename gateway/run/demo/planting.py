"""Differences that a demonstration has the sandbox's statements make: which, at whom, and in which class each must be
found.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.run.demo.drive import Drive

__all__ = ["PLAN", "Planted", "plant", "take_back"]

PLAN: Final[Mapping[str, Sequence[str]]] = {
    "unionpay": ("short", "duplicate", "amount", "fee", "long"),
    "allinpay": ("short", "not_paid", "duplicate", "amount", "fee", "long"),
    "cpcn": ("amount", "short"),
    "baofoo": ("not_paid",),
    "lianlian": ("duplicate",),
    "jd": ("fee",),
    "yeepay": ("short",),
    "lanmao": ("duplicate",),
}
"""A few of each class, where the files of a provider can have it, and where 300 payments leave enough that agrees."""
BY: Final = {"amount": -5, "fee": 3}
LONG_FEN: Final = (100, 100_000)


@dataclass(frozen=True, slots=True)
class Planted:
    """One difference: what was asked for, of which order, and the class in which it must be found."""

    provider: str
    name: str
    number: str
    found_as: str


async def plant(
    drive: Drive, provider_of: Mapping[str, str], now: datetime, dice: random.Random
) -> tuple[list[Planted], list[str]]:
    """Plant what the payments of a demonstration are enough for: that, and in words what they are not enough for.

    `provider_of`: of each channel.
    """
    planted: list[Planted] = []
    left_out: list[str] = []
    for provider, names in PLAN.items():
        free = sorted(
            payment["channel_order_no"]
            for payment in drive.payments.values()
            if payment["status"] == "succeeded" and provider_of[payment["channel"]] == provider
        )
        dice.shuffle(free)
        asked: list[dict[str, Any]] = []
        for name in names:
            if name == "long":
                asked.append({"difference": name, "at": now.isoformat(), "amount": dice.randint(*LONG_FEN)})
            elif free:
                by = {"by": BY[name]} if name in BY else {}
                asked.append({"difference": name, "order_no": free.pop(), **by})
            else:
                left_out.append(f"no {name} at {provider}: too few payments")
        if asked:
            planted += await _ask(drive, provider, asked)
    return planted, left_out


async def take_back(drive: Drive, planted: Sequence[Planted]) -> None:
    """Let the statements say again what the books have: another demonstration begins anew."""
    for each in planted:
        url = f"{_at(drive, each.provider)}?order_no={each.number}"
        async with drive.session.delete(url):
            pass


async def _ask(drive: Drive, provider: str, asked: list[dict[str, Any]]) -> list[Planted]:
    async with drive.session.post(_at(drive, provider), json=asked) as answer:
        answer.raise_for_status()
        told = (await answer.json())["differences"]
    return [Planted(provider, each["difference"], each["order_no"], each["class"]) for each in told]


def _at(drive: Drive, provider: str) -> str:
    return f"{drive.addresses.sandbox}/_sandbox/{provider}/statement_differences"
