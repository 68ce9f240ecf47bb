"""The contract suite holds for any provider: what only one protocol has belongs beside that protocol's case."""

from pathlib import Path

import pytest

from adapters.registry import PROVIDERS

SUITE = ("case.py", "contract.py", "contract_codes.py", "contract_faults.py", "contract_redirects.py")


@pytest.mark.parametrize("module", SUITE)
def test_no_provider_is_named_in_the_contract(module: str) -> None:
    text = (Path(__file__).parent / module).read_text()
    assert not [name for name in PROVIDERS if f'"{name}"' in text or f"adapters.{name}" in text]
