"""The providers that the sample catalogue has accounts of: those that documents and whole-system tests must cover.

One that is registered and not yet in the sample (as `sluice new-adapter` leaves it) has the tests of its own folder.
"""

import tomllib
from pathlib import Path
from typing import Final

import gateway

__all__ = ["SAMPLED"]

_FILE: Final = Path(gateway.__file__).parent / "samples" / "catalogue.toml"

SAMPLED: Final = frozenset(
    account["provider"]
    for merchant in tomllib.loads(_FILE.read_text())["merchants"]
    for account in merchant["accounts"]
)
