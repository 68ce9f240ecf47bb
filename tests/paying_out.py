"""Providers that pay out as a test says, whatever their own adapters can."""

from dataclasses import dataclass, fields, replace
from typing import Any, cast

import pytest

from adapters.registry import PROVIDERS
from gateway.domain.payees import PayeeRules, PayeeType
from gateway.ports import Declaration
from gateway.ports.commands import command_name

__all__ = ["EVERYBODY", "PERSONS", "pay_out"]

EVERYBODY = PayeeRules()
PERSONS = PayeeRules(needs={PayeeType.PERSONAL: frozenset()}, banks=frozenset({"ICBC", "ABC"}))
"""At two banks."""


@dataclass(frozen=True, slots=True)
class PayingOut(Declaration):
    """What a provider declares, and whom it pays out to."""

    payees: PayeeRules | None = None


def pay_out(patch: pytest.MonkeyPatch, name: str, payees: PayeeRules | None) -> None:
    """Let a provider pay out to these, with no word of an account."""
    known = PROVIDERS[name]
    said: dict[str, Any] = {field.name: getattr(known.DECLARATION, field.name) for field in fields(Declaration)}
    said["assumptions"] = tuple(
        replace(each, since_first_version=True) if _is_of_payouts(map(command_name, each.commands)) else each
        for each in known.DECLARATION.assumptions
    )
    declaration = PayingOut(**said | {"payees": payees})
    patch.setitem(PROVIDERS, name, type(name, (cast("type", known),), {"DECLARATION": declaration}))


def _is_of_payouts(names: Any) -> bool:
    return not {"payout", "ask_payout"}.isdisjoint(names)
