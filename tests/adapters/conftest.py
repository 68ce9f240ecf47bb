"""What the modules that run against the sandbox share: making its keys takes longer than a test."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def keys(psp_keys: Path) -> Path:
    return psp_keys
