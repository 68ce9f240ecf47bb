"""A provider is its folders and one line of the registry: what stands in one place stands in the others."""

from pathlib import Path

import pytest

import adapters
from adapters.registry import NAMES, PROVIDERS
from sandbox.mocks import mocks

FOLDERS = {found.parent.name for found in Path(adapters.__path__[0]).glob("*/adapter.py")}


def test_every_adapter_has_its_line_in_the_registry_and_is_what_the_line_says() -> None:
    assert sorted(NAMES) == sorted(FOLDERS)
    assert [provider.DECLARATION.provider for provider in PROVIDERS.values()] == list(NAMES)


def test_every_adapter_has_a_mock() -> None:
    assert set(NAMES) == set(mocks())


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_of_a_provider_exports_its_class_alone(name: str) -> None:
    assert PROVIDERS[name].__module__.startswith(f"adapters.{name}.")
    assert mocks()[name].__module__.startswith(f"sandbox.{name}.")
