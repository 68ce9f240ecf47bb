"""The mocks by name. A folder beside this module that has a `provider` is one: nothing else says so."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, cast

from sandbox.config import SandboxConfig
from sandbox.keys import KeySet
from sandbox.provider import Provider
from sandbox.timers import Timers

__all__ = ["MockClass", "mocks", "prepare_keys"]

HERE: Final = Path(__file__).parent


class MockClass(Protocol):
    """How every mock is built: with the keys that its own `keys` made."""

    name: ClassVar[str]
    cannot: ClassVar[frozenset[str]]
    keys: ClassVar[KeySet[Any]]

    def __call__(self, config: SandboxConfig, timers: Timers, keys: Any, /) -> Provider: ...


@cache
def mocks() -> dict[str, MockClass]:
    """Every mock: the one class that its folder exports, by the folder's name."""
    return {name: _class_of(name) for name in sorted(found.parent.name for found in HERE.glob("*/provider.py"))}


def prepare_keys(folder: Path) -> dict[str, Any]:
    """The keys of every mock, read from its folder below `folder`, where they are made if they are not there.

    Raises KeysUnreadableError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {name: mock.keys.prepared(folder / name) for name, mock in mocks().items()}


def _class_of(name: str) -> MockClass:
    module = import_module(f"sandbox.{name}")
    [exported] = module.__all__
    mock = cast("MockClass", getattr(module, exported))
    assert mock.name == name, f"the mock in sandbox/{name} calls itself {mock.name}"
    return mock
