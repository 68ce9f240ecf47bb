"""docs/operations.md tells every setting and every metric. Not tested here: what it says of them."""

import re
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.promql import EXPORTED

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_table(name: str) -> None:
    assert f"| `SLUICE_{name.upper()}` |" in TEXT


def test_every_metric_is_in_the_table() -> None:
    names = {re.sub("_(bucket|sum|count)$", "", name) for name in EXPORTED} - {"up"}
    assert [name for name in sorted(names) if f"`{name}" not in TEXT] == []
