"""The data folder of an embedded server: whose it is, who may use it now, and whether it can be used at all."""

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

FREE_BYTES_NEEDED = 256 * 1024 * 1024
"""For a new database; one that is there starts with a few, so that it can be mended."""
FREE_BYTES_NEEDED_AGAIN = 32 * 1024 * 1024
SERVER_USER = "pgserver"
_ELSEWHERE = "set SLUICE_DATA_DIR to a folder elsewhere, such as /var/lib/sluice, or SLUICE_DATABASE_URL to a server"


class DataFolderError(Exception):
    """The embedded database cannot be used. The message says why and what to do about it."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system user that runs the server: ourselves, or `pgserver` when we are root (PostgreSQL refuses root)."""

    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        return self.uid >= 0

    def own(self, folder: Path) -> None:
        """Make `folder` if it is not there, for the server alone (mode 0700)."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.is_other:
            os.chown(folder, self.uid, self.gid)


def server_account() -> Account:
    """Who runs the server; as root, the system user `pgserver`, made when it is missing."""
    if os.geteuid() != 0:
        return Account(-1, -1)
    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        try:
            command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 -- fixed words
            entry = pwd.getpwnam(SERVER_USER)
        except (OSError, subprocess.CalledProcessError, KeyError) as error:
            raise DataFolderError(
                f"PostgreSQL does not run as root, and the system user {SERVER_USER!r} could not be made: "
                "add it by hand, or run sluice as another user"
            ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def prepare(folder: Path, account: Account, cluster: Path) -> None:
    """Make the data folder and check that the server can live in it, in `cluster`. Raises DataFolderError."""
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(f"the data folder {folder} cannot be made ({error.strerror}): {_ELSEWHERE}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataFolderError(f"the data folder {folder} is not writable for this user: {_ELSEWHERE}")
    if account.is_other:
        closed = first_closed(folder.parent)
        if closed is not None:
            raise DataFolderError(
                f"as root the database runs as the user {SERVER_USER!r}, who cannot pass {closed} "
                f"to the data folder {folder}: {_ELSEWHERE}"
            )
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    free, needed = shutil.disk_usage(folder).free, FREE_BYTES_NEEDED_AGAIN if cluster.exists() else FREE_BYTES_NEEDED
    if free < needed:
        raise DataFolderError(
            f"only {free // 2**20} MB are free on the disk of {folder} and the database needs "
            f"{needed // 2**20}: free some space, or {_ELSEWHERE}"
        )


def first_closed(folder: Path) -> Path | None:
    """The outermost folder on the way to `folder` (itself included) that other users cannot pass."""
    for step in [*reversed(folder.parents), folder]:
        if not step.stat().st_mode & stat.S_IXOTH:
            return step
    return None


class Ownership:
    """One supervisor at a time per data folder: a lock on a file that names the holder's process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "owner.lock"
        self._descriptor = -1

    def take(self) -> None:
        """Raises DataFolderError when another process holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise DataFolderError(
                f"another sluice runs on this data folder (pid {holder}): {self._path.parent}. "
                "Stop it first, or set SLUICE_DATA_DIR to another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1
