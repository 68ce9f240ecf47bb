"""The embedded server: who may own a data folder, and that it ends and comes back whatever happened.

Not tested here: a disk that fills up later, and a machine that loses power.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from gateway.storage.server import data_folder, postmaster
from gateway.storage.server.embedded import DataFolderError, EmbeddedPostgres, running_url

WITHIN_S = 60.0

OWNER = """
import sys, time
from pathlib import Path
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.run.supervising import Interrupted, interruptible
try:
    with interruptible(), EmbeddedPostgres(Path(sys.argv[1]), durable=False) as server:
        print(server.pid, flush=True)
        time.sleep(600)
except Interrupted:
    pass
"""


@pytest.fixture
def folder(short_folder: Path, request: pytest.FixtureRequest) -> Path:
    return short_folder / str(abs(hash(request.node.name)))


def copied(cluster: Path, folder: Path) -> Path:
    """A data folder with a copy of a server that was made before."""
    folder.mkdir(mode=0o711)
    subprocess.run(["cp", "-a", cluster / "postgres", folder / "postgres"], check=True)
    return folder


@pytest.fixture
def used(folder: Path, new_cluster: Path) -> Path:
    """A data folder with a server in it, for tests that are not about making one."""
    return copied(new_cluster, folder)


def quiet(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, durable=False, tell=lambda _: None)


async def ask(server: EmbeddedPostgres, sql: str) -> object:
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether the process has ended; one that only waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_what_was_written_is_there_again_after_a_stop(folder: Path) -> None:
    with quiet(folder) as server:
        await ask(server, "CREATE TABLE kept AS SELECT 7 AS number")
    with quiet(folder) as server:
        assert await ask(server, "SELECT number FROM kept") == 7


async def test_a_server_that_was_killed_recovers_what_was_committed(used: Path) -> None:
    with EmbeddedPostgres(used, tell=lambda _: None) as server:
        await ask(server, "CREATE TABLE kept AS SELECT 7 AS number")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
    with quiet(used) as server:
        assert await ask(server, "SELECT number FROM kept") == 7


async def test_a_second_owner_is_told_who_the_first_is(used: Path) -> None:
    with quiet(used) as server:
        with pytest.raises(DataFolderError, match=rf"another sluice runs .*pid {os.getpid()}"):
            quiet(used).start()
        assert await ask(server, "SELECT 1") == 1
        assert running_url(used) == server.url
    assert running_url(used) is None


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_server_ends_with_its_owner(used: Path, sign: signal.Signals) -> None:
    if sign is signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells a child that its parent was killed")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(used)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.send_signal(sign)
    assert owner.wait(WITHIN_S) == (-sign if sign is signal.SIGKILL else 0)
    owner.stdout.close()
    until(lambda: gone(pid))
    with quiet(used) as server:
        assert server.pid is not None


def test_a_server_left_behind_is_ended_by_the_next_owner(used: Path) -> None:
    first = quiet(used)
    first.start()
    pid = first.pid
    assert pid is not None
    first._ownership.release()  # as if its owner had been killed where nothing ties the two together
    with quiet(used) as second:
        assert second.pid not in (None, pid)
        assert gone(pid)
    first.stop()


def test_a_stale_note_of_a_server_is_ignored(used: Path) -> None:
    with quiet(used):
        pass
    (used / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{used}/postgres\n")
    with quiet(used) as server:
        assert server.pid is not None


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda folder: (folder / "postgres" / "PG_VERSION").write_text("16\n"),
            "made by PostgreSQL 16 and this is 18",
        ),
        (lambda folder: (folder / "postgres" / "PG_VERSION").unlink(), "is not a PostgreSQL data folder"),
    ],
)
def test_a_folder_of_somebody_else_is_left_alone(folder: Path, spoil: Callable[[Path], object], told: str) -> None:
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("18\n")
    folder.chmod(0o711)
    spoil(folder)
    with pytest.raises(DataFolderError, match=told):
        quiet(folder).start()


def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    deep = folder / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    for step in (folder, deep.parent):
        step.chmod(0o711)
    with quiet(deep) as server:
        assert asyncio.run(ask(server, "SELECT 1")) == 1
        socket_folder = Path(server.url.partition("host=")[2])
        assert socket_folder.exists()
    assert not socket_folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the database run by another user")
def test_as_root_a_folder_that_others_cannot_pass_is_refused(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(parents=True, mode=0o700)
    with pytest.raises(DataFolderError, match=r"cannot pass .*closed.* SLUICE_DATA_DIR"):
        quiet(closed / "data").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the database run by another user")
def test_as_root_programs_that_others_cannot_reach_are_copied(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postmaster, "first_closed", lambda _: Path("/root"))
    with quiet(used) as server:
        assert server.pid is not None
        assert str(used) in Path(f"/proc/{server.pid}/exe").resolve().as_posix()


def test_a_disk_that_is_nearly_full_is_told_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_folder, "FREE_BYTES_NEEDED", 2**62)
    with pytest.raises(DataFolderError, match=r"MB are free on the disk .* free some space, or set SLUICE_DATA_DIR"):
        quiet(folder).start()
    assert not (folder / "postgres").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o500)
    with pytest.raises(DataFolderError, match="SLUICE_DATA_DIR"):
        quiet(folder / "data").start()
