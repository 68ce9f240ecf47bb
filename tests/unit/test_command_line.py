"""What the command line says when it cannot start. Not tested here: what its commands do (tests/e2e/test_run.py).

One of each kind is a program of its own; what differs from it in its words alone is said in this process.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.run.supervising import DATABASE_AWAY, free_port
from tests.command_line import Ended, command


def here(folder: Path, *words: str, **more: str) -> Ended:
    return command({"SLUICE_DATA_DIR": str(folder), **more}, *words)


def sluice(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    program = [sys.executable, "-m", "gateway.run.cli", *words]
    env = {**kept, "SLUICE_DATA_DIR": str(folder), **more}
    return subprocess.run(program, env=env, capture_output=True, text=True, check=False)


def test_a_setting_is_refused_in_one_line_that_names_it(tmp_path: Path) -> None:
    done = sluice(tmp_path, "doctor", SLUICE_BUSINESS_TIMEZONE="Mars")
    said = "SLUICE_BUSINESS_TIMEZONE: there is no time zone Mars; use a name such as Asia/Shanghai"
    assert (done.returncode, done.stderr) == (2, f"sluice: {said}\n")


@pytest.mark.parametrize("words", [["doctor"], ["serve"], ["run"], ["catalogue", "show"], ["worker"], ["migrate"]])
def test_every_command_refuses_a_misspelt_setting_with_the_right_one(tmp_path: Path, words: list[str]) -> None:
    done = here(tmp_path, *words, SLUICE_DATABASE_ULR="postgresql://user:hidden@host/sluice")
    said = "SLUICE_DATABASE_ULR: there is no such setting; is SLUICE_DATABASE_URL meant?"
    assert (done.returncode, done.stderr) == (2, f"sluice: {said}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["doctor"], ["route", "explain", "pay_01m820mbjqedrsap9we2fhgr3z"], ["catalogue", "show"], ["worker"]]
)
def test_a_folder_without_a_database_stays_so(tmp_path: Path, words: list[str]) -> None:
    folder = tmp_path / "missing"
    done = here(folder, *words)
    assert done.returncode == 2
    assert done.stderr == (
        f"sluice: there is no database in {folder}: set SLUICE_DATA_DIR to the folder of a sluice, "
        "or make one with: sluice migrate\n"
    )
    assert not folder.exists()


@pytest.mark.parametrize("words", [["doctor"], ["serve"], ["migrate"]])
def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path, words: list[str]) -> None:
    port = free_port()
    done = here(
        tmp_path, *words, SLUICE_DATABASE_URL=f"postgresql://user:hidden@127.0.0.1:{port}/sluice", SLUICE_PORT="0"
    )
    assert done.returncode == 2
    assert f"cannot be reached at 127.0.0.1, port {port} (Connection refused): is the server up?" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_a_process_of_several_that_finds_no_database_ends_with_a_status_of_its_own(tmp_path: Path) -> None:
    url = f"postgresql://user:hidden@127.0.0.1:{free_port()}/sluice"
    done = sluice(tmp_path, "serve", "--child", SLUICE_DATABASE_URL=url, SLUICE_PORT="0")
    assert done.returncode == DATABASE_AWAY
    assert "cannot be reached" in done.stderr


def test_of_several_servers_that_are_not_there_each_is_named_without_the_password(tmp_path: Path) -> None:
    one, two = free_port(), free_port()
    url = f"postgresql://user:hidden@127.0.0.1:{one},localhost:{two}/sluice"
    done = here(tmp_path, "doctor", SLUICE_DATABASE_URL=url)
    assert done.returncode == 2
    assert f"cannot be reached at 127.0.0.1, port {one} or localhost, port {two} (" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_the_embedded_database_is_not_spread_and_none_is_made_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    done = here(folder, "migrate", "--distribute")
    assert done.returncode == 2
    assert done.stderr.startswith("sluice: this PostgreSQL has no extension citus")
    assert not folder.exists()


def test_a_reader_that_goes_away_is_no_trouble_of_the_database() -> None:
    program = "from gateway.run.cli import _plainly\nwith _plainly():\n    print('line\\n' * 100_000)"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert "database" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_metrics_port_is_a_port(tmp_path: Path, port: str) -> None:
    done = here(tmp_path, "worker", "--metrics-port", port)
    assert done.returncode == 2
    assert "--metrics-port" in done.stderr
