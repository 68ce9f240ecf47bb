"""`sluice new-adapter NAME` in a copy of the checkout: what it writes is clean, and passes the suites of all adapters.

Types and import rules of what it writes are looked at by `make templates`, which takes a minute; what the command
refuses is tests/unit/test_new_adapter.py.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import command

ROOT = Path(__file__).parents[2]
COPIED = ("adapters", "sandbox", "tests/adapters")
LINKED = ("docs", "gateway", "reconciliation", "router", "pyproject.toml", ".importlinter")
BIN = Path(sys.executable).parent
WHOLE = "SLUICE_HUNT_TEMPLATES"

NAMES = ["a2", "zz_top", "gateway_pay", "sandy", "testing_pay", "abcdefghijklmnopqrst"]
"""The order of imports and the lengths of lines depend on the name: short, longest, and at each end of the alphabet."""

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose other folders are this one's."""
    copy = tmp_path_factory.mktemp("checkout")
    (copy / "tests").mkdir()
    for folder in COPIED:
        shutil.copytree(ROOT / folder, copy / folder)
    for name in LINKED:
        (copy / name).symlink_to(ROOT / name)
    for path in (ROOT / "tests").iterdir():
        if not (copy / "tests" / path.name).exists():
            (copy / "tests" / path.name).symlink_to(path)
    return copy


def new_adapter(copy: Path, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        assert command({}, "new-adapter", name).returncode == 0


def run(copy: Path, *words: str | Path, status: int = 0) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SLUICE_"))}
    done = subprocess.run(words, cwd=copy, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def git(copy: Path, *words: str) -> str:
    return run(copy, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words)


@needs_git
def test_it_touches_one_line_outside_of_its_own_folders(copy: Path) -> None:
    git(copy, "init", "--quiet")
    (copy / ".gitignore").write_text("__pycache__/\n")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "--message", "before")
    new_adapter(copy, "one_more_line")
    assert git(copy, "status", "--short").splitlines() == [
        " M adapters/registry.py",
        "?? adapters/one_more_line/",
        "?? sandbox/one_more_line/",
        "?? tests/adapters/one_more_line/",
    ]
    assert git(copy, "diff", "--numstat").split() == ["1", "0", "adapters/registry.py"]


def test_whatever_its_name_what_it_writes_is_linted_and_formatted(copy: Path) -> None:
    for name in NAMES:
        new_adapter(copy, name)
    written = [*(f"{folder}/{name}" for folder in COPIED for name in NAMES), "adapters/registry.py"]
    run(copy, BIN / "ruff", "check", "--no-cache", *written)
    run(copy, BIN / "ruff", "format", "--no-cache", "--check", *written)


def test_it_passes_the_contract_of_all_adapters_on_respx_and_over_sockets(copy: Path) -> None:
    new_adapter(copy, "nobodys")
    suites = ("tests/adapters/nobodys", "tests/adapters/test_on_sandbox.py")
    told = run(copy, sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", *suites, "-k", "nobodys")
    passed = set(re.findall(r"(\w+\.py)::(?:\w+::)?(\w+)\S* PASSED", told))
    assert ("test_on_sandbox.py", "test_a_payment_of_every_scene_succeeds_with_its_exact_amount") in passed
    assert ("test_on_sandbox.py", "test_an_altered_or_forged_callback_is_rejected") in passed
    assert ("test_nobodys.py", "test_every_code_of_the_document_as_the_state_of_an_order") in passed
    assert ("test_nobodys.py", "test_no_single_altered_byte_of_a_callback_changes_what_is_believed") in passed
    assert sum(module == "test_over_sockets.py" for module, _ in passed) >= 6


@pytest.mark.skipif(WHOLE not in os.environ, reason="make templates")
def test_its_types_and_imports_are_what_the_project_asks_for(copy: Path) -> None:
    new_adapter(copy, "typed_by_nobody")
    run(copy, BIN / "mypy", "--no-incremental", *(f"{folder}/typed_by_nobody" for folder in COPIED))
    run(copy, BIN / "lint-imports", "--no-cache")
    for line in ("from adapters.jd import Jd", "import aiohttp"):
        (copy / "adapters/typed_by_nobody/codes.py").write_text(f"{line}\n")
        assert "typed_by_nobody" in run(copy, BIN / "lint-imports", "--no-cache", status=1)
