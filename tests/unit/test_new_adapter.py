"""`sluice new-adapter NAME`: what it refuses, and that it writes all or nothing.

What it writes is tried in a copy of the checkout (tests/adapters/test_new_adapter.py).
"""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.run.new_adapter import NewAdapterError, write_adapter
from tests.command_line import Ended, command

ROOT = Path(__file__).parents[2]
MARKS = ("adapters/registry.py", "sandbox/mocks.py", "tests/adapters/case.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a checkout as the command looks at."""
    for mark in MARKS:
        (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / mark, tmp_path / mark)
    return tmp_path


@pytest.fixture
def before(checkout: Path) -> dict[str, bytes]:
    return everything(checkout)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def here(checkout: Path, *words: str) -> Ended:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checkout)
        return command({}, "new-adapter", *words)


def test_it_says_what_it_wrote_the_line_that_it_added_and_what_to_run_next(checkout: Path) -> None:
    registry = (checkout / MARKS[0]).read_text().splitlines()
    done = here(checkout, "noones_pay")
    assert (done.returncode, done.stderr) == (0, "")
    for folder in ("adapters/noones_pay", "sandbox/noones_pay", "tests/adapters/noones_pay"):
        assert f"wrote {folder}: {len(list((checkout / folder).iterdir()))} files\n" in done.stdout
    assert 'added to adapters/registry.py: "noones_pay",\n' in done.stdout
    assert "python -m pytest tests/adapters/noones_pay tests/adapters/test_on_sandbox.py -k noones_pay\n" in done.stdout
    assert "make check\n" in done.stdout
    assert "docs/writing-an-adapter.md" in done.stdout
    [added] = set(after := (checkout / MARKS[0]).read_text().splitlines()) - set(registry)
    assert (added, len(after)) == ('    "noones_pay",', len(registry) + 1)


def test_what_it_writes_bears_the_name_and_nothing_of_the_templates_own(checkout: Path) -> None:
    here(checkout, "noones_pay")
    written = {name: content for name, content in everything(checkout).items() if "/noones_pay/" in name}
    assert len(written) > 15
    assert not [name for name, content in written.items() if b"acmepay" in content.lower() or "acme" in name]
    assert b"class NoonesPay:" in written["adapters/noones_pay/adapter.py"]
    assert b"class NoonesPay(Provider):" in written["sandbox/noones_pay/provider.py"]
    assert b"class TestNoonesPay(Contract):" in written["tests/adapters/noones_pay/test_noones_pay.py"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is no name"),
        ("Fuiou", "is no name"),
        ("fui-ou", "is no name"),
        ("fui ou", "is no name"),
        ("2fuiou", "is no name"),
        ("_fuiou", "is no name"),
        ("fuiou_", "is no name"),
        ("fui__ou", "is no name"),
        ("富友", "is no name"),
        ("fuiou\n", "is no name"),
        ("../fuiou", "is no name"),
        ("fuiou.pay", "is no name"),
        ("a" * 21, "is no name: it begins with a letter of a-z, and has up to 20"),
        ("class", "is a word of Python"),
        ("none", "is a word of Python"),
        ("pay", "would be the class Pay, which means something else"),
        ("not_sent", "would be the class NotSent, which means something else"),
        ("provider", "would be the class Provider, which means something else"),
        ("allinpay", "there is a provider allinpay already"),
        ("jd", "there is a provider jd already"),
        ("http", None),
        ("registry", "adapters/registry.py is there already"),
        ("mocks", "sandbox/mocks.py is there already"),
        ("taken", "sandbox/taken is there already"),
        ("contract", None),
    ],
)
def test_a_bad_name_is_refused_in_one_line_and_nothing_is_written(checkout: Path, name: str, why: str | None) -> None:
    (checkout / "sandbox/taken").mkdir()
    if why is None:  # the file is in a whole checkout alone
        folder = next(each for each in ("adapters", "tests/adapters") if (ROOT / each / f"{name}.py").exists())
        shutil.copy(ROOT / folder / f"{name}.py", checkout / folder)
        why = "is there already" if name != "contract" else "which means something else"
    before = everything(checkout)
    done = here(checkout, "--", name)
    assert done.returncode == 2
    assert why in done.stderr
    assert (done.stderr.count("\n"), done.stderr[:8], done.stdout) == (1, "sluice: ", "")
    assert everything(checkout) == before


@pytest.mark.parametrize("missing", MARKS)
def test_it_is_refused_where_no_checkout_is(checkout: Path, missing: str) -> None:
    (checkout / missing).unlink()
    done = here(checkout, "noones_pay")
    assert done.returncode == 2
    assert done.stderr == f"sluice: {checkout} is no checkout of Sluice: run it where {', '.join(MARKS)} are\n"
    assert set(everything(checkout)) == set(MARKS) - {missing}


def test_a_registry_that_was_written_otherwise_is_left_alone(checkout: Path) -> None:
    registry = checkout / MARKS[0]
    registry.write_text(registry.read_text().replace("NAMES: Final = (\n", "NAMES: Final = tuple(\n"))
    before = everything(checkout)
    with pytest.raises(NewAdapterError, match="has no list NAMES"):
        write_adapter("noones_pay", checkout)
    assert everything(checkout) == before


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to write a file that is larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 1_500, 4_600, 7_000])
def test_when_the_disk_takes_no_more_nothing_is_left_behind(
    checkout: Path, before: dict[str, bytes], size: int
) -> None:
    with no_file_above(size):
        done = here(checkout, "noones_pay")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("File too large; nothing was written\n")
    assert everything(checkout) == before
    assert not list(checkout.rglob("*noones*"))
    assert here(checkout, "noones_pay").returncode == 0


def test_a_second_time_it_is_refused(checkout: Path) -> None:
    here(checkout, "noones_pay")
    before = everything(checkout)
    done = here(checkout, "noones_pay")
    assert (done.returncode, done.stderr) == (
        2,
        "sluice: there is a provider noones_pay already: choose another name\n",
    )
    assert everything(checkout) == before


def test_its_help_says_what_it_writes(tmp_path: Path) -> None:
    done = here(tmp_path, "--help")
    assert done.returncode == 0
    for word in ("adapter, code tables, mock, contract case", "invented protocol", "docs/writing-an-adapter.md"):
        assert word in " ".join(done.stdout.replace("│", " ").split())
