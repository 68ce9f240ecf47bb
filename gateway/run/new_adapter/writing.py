"""What `sluice new-adapter` writes: all of it, or nothing."""

import keyword
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["MAX_NAME_CHARS", "NewAdapterError", "Written", "write_adapter"]

TEMPLATES: Final = Path(__file__).parent / "templates"
FOLDERS: Final[Mapping[str, str]] = {"adapters": "adapters", "sandbox": "sandbox", "tests": "tests/adapters"}
"""Of the templates and of the checkout."""
REGISTRY: Final = "adapters/registry.py"
MARKS: Final = (REGISTRY, "sandbox/mocks.py", "tests/adapters/case.py")
"""Files that a checkout has."""
MAX_NAME_CHARS: Final = 20
"""A longer one would not fit into the templates' lines."""
NAME_HERE, CLASS_HERE = "acmepay", "AcmePay"

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_NAMES: Final = re.compile(r"^NAMES: Final = \(\n(?P<lines>(?:    \"\w+\",\n)+)\)$", re.MULTILINE)
_IMPORTS: Final = re.compile(r"(?:^from (?:adapters|gateway|sandbox|tests)\b[^\n(]*(?:\([^)]*\))?\n)+", re.MULTILINE)
_IMPORT: Final = re.compile(r"^from (?P<module>\S+) import [^\n(]*(?:\([^)]*\))?\n", re.MULTILINE)


class NewAdapterError(ValueError):
    """Nothing was written; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the checkout now."""

    name: str
    files: Mapping[str, int]
    """Folder → how many files were written into it."""
    line: str
    """What was added to the registry."""


def write_adapter(name: str, root: Path) -> Written:
    """Write a provider of this name into the checkout at `root`.

    Raises NewAdapterError and OSError; then nothing was written.
    """
    if not all((root / mark).is_file() for mark in MARKS):
        raise NewAdapterError(f"{root} is no checkout of Sluice: run it where {', '.join(MARKS)} are")
    class_name = _class_of(name)
    registry = root / REGISTRY
    before = registry.read_text("utf-8")
    after, line = _registered(name, before)
    folders = {folder: root / where / name for folder, where in FOLDERS.items()}
    for path in folders.values():
        for taken in (path, path.with_suffix(".py")):
            if taken.exists():
                raise NewAdapterError(f"{taken.relative_to(root)} is there already: choose another name, or remove it")
    files = {folder: dict(_rendered(folder, name, class_name)) for folder in folders}
    with ExitStack() as undo:
        for folder, path in folders.items():
            undo.callback(shutil.rmtree, path, ignore_errors=True)
            path.mkdir()
            for file, text in files[folder].items():
                (path / file).write_text(text, "utf-8")
        new = registry.with_suffix(".new")
        undo.callback(new.unlink, missing_ok=True)
        new.write_text(after, "utf-8")
        shutil.copymode(registry, new)
        new.replace(registry)  # last, in one step: before it nobody knows the name
        undo.pop_all()
    return Written(name, {f"{FOLDERS[folder]}/{name}": len(files[folder]) for folder in folders}, line)


def _class_of(name: str) -> str:
    """`my_pay` → `MyPay`. Raises NewAdapterError for what cannot be the name of a folder, a class and a provider."""
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise NewAdapterError(
            f"{name!r} is no name: it begins with a letter of a-z, and has up to {MAX_NAME_CHARS} of a-z, 0-9 and _, "
            "such as fuiou or my_pay"
        )
    class_name = "".join(part.capitalize() for part in name.split("_"))
    if keyword.iskeyword(name) or keyword.iskeyword(class_name):
        raise NewAdapterError(f"{name!r} is a word of Python: choose another name, such as {name}_pay")
    used = {word for path in TEMPLATES.glob("*/*.txt") for word in re.findall(r"\w+", path.read_text("utf-8"))}
    if class_name in used or class_name.isdecimal():
        raise NewAdapterError(f"{name!r} would be the class {class_name}, which means something else: choose another")
    return class_name


def _registered(name: str, registry: str) -> tuple[str, str]:
    """The registry with the name, and its new line."""
    found = _NAMES.search(registry)
    if found is None:
        raise NewAdapterError(f"{REGISTRY} has no list NAMES with a name in each line: put it right first")
    line = f'    "{name}",\n'
    if line in found["lines"]:
        raise NewAdapterError(f"there is a provider {name} already: choose another name")
    end = found.end("lines")
    return registry[:end] + line + registry[end:], line.strip()


def _rendered(folder: str, name: str, class_name: str) -> Iterator[tuple[str, str]]:
    """The files of a folder, by their names."""
    for path in sorted((TEMPLATES / folder).glob("*.txt")):
        text = path.read_text("utf-8").replace(NAME_HERE, name).replace(CLASS_HERE, class_name)
        yield path.stem.replace(NAME_HERE, name), _IMPORTS.sub(_sorted, text)


def _sorted(block: re.Match[str]) -> str:
    """Imports in the order that the formatter wants: it depends on the name."""
    return "".join(text for _, text in sorted((found["module"], found[0]) for found in _IMPORT.finditer(block[0])))
