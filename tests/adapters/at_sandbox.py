"""What the contract over sockets (`test_on_sandbox`) must know of a provider's mock, beside its protocol.

A provider whose tests stand in a folder of their own says it there: `tests/adapters/NAME/at_sandbox.py`, `AT_SANDBOX`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from adapters.registry import PROVIDERS
from gateway.domain.scenes import Scene

__all__ = ["AtSandbox", "described"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class AtSandbox:
    """One provider's mock and its merchant."""

    account: Callable[[str, Mapping[str, str]], tuple[dict[str, object], dict[str, str]]]
    """Settings and secrets, from the sandbox's address and the merchant's `account.json`."""
    balance_short: str
    """The code of a payer without money."""
    calls_back: bool = True
    without_agreement: frozenset[Scene] = frozenset()
    """Scenes that are paid by the card's elements alone."""


def described() -> dict[str, AtSandbox]:
    """The mocks that are described in folders of their own, by provider."""
    names = [name for name in PROVIDERS if (HERE / name / "at_sandbox.py").exists()]
    return {name: cast("AtSandbox", import_module(f"tests.adapters.{name}.at_sandbox").AT_SANDBOX) for name in names}
