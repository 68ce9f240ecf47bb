"""An embedded server that ends by itself: it runs again, or the program that owns it says so and ends.

Not here: the whole program around it (tests/e2e/test_ends), and a folder's owner (test_embedded).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.storage.server.embedded import DataFolderError, EmbeddedPostgres
from gateway.storage.server.keeping import kept
from tests.storage.test_embedded import ask, copied, until

WITHIN_S = 60.0

OWNER = """
import sys, time
from pathlib import Path
from gateway.run.supervising import Interrupted, interruptible
from gateway.storage.server.embedded import DataFolderError, EmbeddedPostgres
from gateway.storage.server.keeping import kept
try:
    with interruptible(), EmbeddedPostgres(Path(sys.argv[1]), durable=False) as server:
        with kept(server, pauses_s=(0.0, 0.1)):
            print(server.pid, flush=True)
            time.sleep(600)
except DataFolderError as error:
    print(error, flush=True)
    raise SystemExit(2)
except Interrupted:
    raise SystemExit(0)
"""


@pytest.fixture
def folder(short_folder: Path, new_cluster: Path, request: pytest.FixtureRequest) -> Path:
    return copied(new_cluster, short_folder / str(abs(hash(request.node.name))))


@pytest.fixture
def server(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, tell=lambda _: None)  # a durable one


def killed(server: EmbeddedPostgres) -> int:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def runs_again(server: EmbeddedPostgres, since: int) -> None:
    until(lambda: server.pid not in (None, since) and server.is_ready)


async def test_a_server_that_is_killed_runs_again_at_the_same_address(server: EmbeddedPostgres) -> None:
    with server:
        address = server.url
        await ask(server, "CREATE TABLE stays AS SELECT 7 AS number")
        with kept(server, pauses_s=(0.0, 0.0)):
            for _ in range(2):
                runs_again(server, killed(server))
                assert await ask(server, "SELECT number FROM stays") == 7
                assert server.url == address


def test_whoever_ends_while_it_does_not_run_is_told(server: EmbeddedPostgres) -> None:
    def ends_too_soon() -> None:
        with kept(server, pauses_s=(WITHIN_S,)):
            killed(server)
            until(lambda: server.pid is None)

    with server, pytest.raises(DataFolderError, match="had ended by itself"):
        ends_too_soon()


def test_a_server_that_cannot_run_again_ends_its_program_with_its_last_words(folder: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(folder)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert owner.stdout is not None
    with owner.stdout as said:
        pid = int(said.readline())
        (folder / "postgres" / "global" / "pg_control").rename(folder / "lost")
        os.kill(pid, signal.SIGKILL)
        assert owner.wait(WITHIN_S) == 2
        words = said.read()
    assert "PostgreSQL ended again and again" in words
    assert "pg_control" in words
