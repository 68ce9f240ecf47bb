"""docs/operations.md tells every setting. Not tested here: what it says of them."""

from pathlib import Path

import pytest

from gateway.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_table(name: str) -> None:
    assert f"| `SLUICE_{name.upper()}` |" in TEXT
