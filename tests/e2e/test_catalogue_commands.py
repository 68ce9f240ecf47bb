"""`sluice catalogue` as a person types it. Not tested here: what it does to rows (tests/storage)."""

import json
from pathlib import Path

import pytest

from tests.command_line import command

SAMPLE = Path(__file__).parents[2] / "gateway" / "samples" / "catalogue.toml"
KEY = "A" * 43 + "="


class Shell:
    """Runs `sluice` on one database."""

    def __init__(self, data: Path, psp_keys: Path, database_url: str) -> None:
        keys = {"SLUICE_CARD_KEYS": f"1:{KEY}", "SLUICE_ORDER_KEY": KEY, "SLUICE_SANDBOX_KEYS": str(psp_keys)}
        ports = {"SLUICE_SANDBOX_PORT": "8090", "SLUICE_RECEIVER_PORT": "8070"}
        secret = {"SLUICE_RECEIVER_SECRET": "whsec_" + "A" * 32}
        self.environ = {**keys, **ports, **secret, "SLUICE_DATA_DIR": str(data), "SLUICE_DATABASE_URL": database_url}

    def __call__(self, *words: str, without: tuple[str, ...] = ()) -> str:
        environ = {name: value for name, value in self.environ.items() if name not in without}
        done = command(environ, "catalogue", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def sluice(tmp_path: Path, psp_keys: Path, database_url: str) -> Shell:
    return Shell(tmp_path / "data", psp_keys, database_url)


def test_a_file_is_planned_applied_shown_and_exported(sluice: Shell, tmp_path: Path) -> None:
    plan = sluice("apply", str(SAMPLE), "--dry-run")
    assert "+ merchant demo" in plan.splitlines()
    assert json.loads(sluice("show", "--json"))["merchants"] == []
    assert "catalogue version 1 is in force" in sluice("apply", str(SAMPLE))
    shown = json.loads(sluice("show", "--json"))
    assert [merchant["code"] for merchant in shown["merchants"]] == ["demo", "other"]
    assert "demo  示例信贷" in sluice("show").splitlines()
    exported = tmp_path / "exported.toml"
    exported.write_text(sluice("export"))
    # It needs no variable and no file of those that the sample needs.
    needed = ("SLUICE_SANDBOX_PORT", "SLUICE_RECEIVER_PORT", "SLUICE_SANDBOX_KEYS", "SLUICE_RECEIVER_SECRET")
    assert "nothing changed: catalogue version 1 stays in force" in sluice("apply", str(exported), without=needed)


def test_without_a_database_a_file_is_checked_and_nothing_is_planned(sluice: Shell, tmp_path: Path) -> None:
    checked = sluice("apply", str(SAMPLE), "--dry-run", without=("SLUICE_DATABASE_URL",))
    assert checked.splitlines()[0] == f"{SAMPLE}: no problems, 2 merchants"
    assert checked.splitlines()[1].startswith(f"no plan: there is no database in {tmp_path / 'data'}")
    assert not (tmp_path / "data").exists()
