"""`sluice serve` when a part of it is killed: it runs on, or it ends with a word and a status that says so.

Not here: `sluice run` (test_run), and each rule by itself (tests/unit/test_supervising, tests/storage/test_keeping).
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.run.supervising import answers, free_port
from gateway.run.wiring import READY_FOR_S
from gateway.storage.server.postmaster import postmaster_pid
from tests.e2e.test_run import KEY, SLUICE, environment, until_gone
from tests.storage.test_embedded import copied

WITHIN_S, ENDED_WITHIN_S = 240.0, 90.0
"""For machines on which a process needs a minute to begin."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@contextmanager
def serving(folder: Path, log: Path, *words: str, **more: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    port = free_port()
    env = environment(folder, SLUICE_PORT=str(port), SLUICE_CARD_KEYS=f"1:{KEY}", SLUICE_ORDER_KEY=KEY, **more)
    with log.open("a") as output:
        program = subprocess.Popen([*SLUICE, "serve", *words], env=env, stdout=output, stderr=output, text=True)
    try:
        yield program, f"http://127.0.0.1:{port}"
    finally:
        if program.poll() is None:
            program.terminate()
            program.wait(ENDED_WITHIN_S)


def until(true: Callable[[], object], log: Path, program: "subprocess.Popen[str]") -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not true():
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.05)


def test_a_gateway_goes_on_when_its_own_postgresql_was_killed(
    short_folder: Path, new_cluster: Path, tmp_path: Path
) -> None:
    folder, log = copied(new_cluster, short_folder / "postmaster"), tmp_path / "log"
    with serving(folder, log, "--processes", "2") as (program, address):
        until(lambda: log.read_text().count('"message":"serving"') == 2, log, program)
        before = postmaster_pid(folder / "postgres")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        killed_at = time.monotonic()
        until(lambda: postmaster_pid(folder / "postgres") not in (None, before), log, program)
        until(lambda: time.monotonic() - killed_at > 2 * READY_FOR_S and answers(f"{address}/readyz"), log, program)
        assert program.poll() is None
        assert "the embedded PostgreSQL ended, and is started again" in log.read_text()
        program.terminate()
        assert program.wait(ENDED_WITHIN_S) == 0, log.read_text()
    until_gone(folder)


def test_a_gateway_that_is_ended_while_its_postgresql_does_not_run_says_so(
    short_folder: Path, new_cluster: Path, tmp_path: Path
) -> None:
    folder, log = copied(new_cluster, short_folder / "not-again"), tmp_path / "log"
    with serving(folder, log) as (program, address):
        until(lambda: answers(f"{address}/readyz"), log, program)
        before = postmaster_pid(folder / "postgres")
        assert before is not None
        (folder / "postgres" / "global" / "pg_control").rename(folder / "lost")
        os.kill(before, signal.SIGKILL)
        until(lambda: log.read_text().count("is started again") >= 2, log, program)
        program.terminate()
        assert program.wait(ENDED_WITHIN_S) == 2
    assert "sluice: PostgreSQL did not start" in log.read_text()
    until_gone(folder)


def test_one_of_several_processes_that_dies_is_started_again_while_the_others_answer(
    database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with serving(tmp_path, log, "--processes", "2", SLUICE_DATABASE_URL=database_url) as (program, address):
        until(lambda: log.read_text().count('"message":"serving"') == 2, log, program)
        one, other = map(int, re.findall(r'"message":"serving".*?"process.pid":(\d+)', log.read_text()))
        os.kill(one, signal.SIGKILL)
        until(lambda: log.read_text().count('"message":"serving"') == 3, log, program)
        assert Path(f"/proc/{other}").exists()
        assert all(answers(f"{address}/healthz") for _ in range(20))
        assert '"status":-9' in log.read_text().replace("sluice.status", "status")
        program.terminate()
        assert program.wait(ENDED_WITHIN_S) == 0, log.read_text()
