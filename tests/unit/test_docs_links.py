"""The documents point at what exists: files, and in architecture.md the symbols that a stranger is sent to."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PLACES = 19

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    missing = [target for target in _LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


def _symbols(path: Path) -> set[str]:
    """What a module defines: functions, classes, constants, and methods as `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name, body=body):
                found.add(name)
                methods = (part.name for part in body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef))
                found |= {f"{name}.{method}" for method in methods}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def test_the_places_a_stranger_asks_for_are_where_the_page_says() -> None:
    _, _, table = ARCHITECTURE.read_text().partition("## Where is")
    rows = [line.split("|")[1:4] for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) == PLACES
    for what, where, look_for in rows:
        defined: set[str] = set()
        for target in _LINK.findall(where):
            defined |= _symbols((ARCHITECTURE.parent / target).resolve())
        wanted = re.findall(r"`([^`]+)`", look_for)
        assert wanted, what
        assert not (set(wanted) - defined), f"{what.strip()}: {set(wanted) - defined} is not there"
