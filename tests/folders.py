"""Where tests keep databases: in memory where there is plenty, since writing files is a fifth of what the tests cost.

A test run that is killed leaves its folder behind, and in memory it must not stay: each folder is locked as long as its
process lives, and the next run removes those that nobody holds any more.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["short_lived_folder"]

PREFIX: Final = "sluice-test-"
IN_MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 3 << 30
"""Free for each test process; the largest of them writes 0.9 GiB."""
LOCK: Final = "in-use"


@contextmanager
def short_lived_folder() -> Iterator[Path]:
    """A new folder that any system user can pass, with a short name. It is removed in the end."""
    parent = IN_MEMORY if _has_room(IN_MEMORY) else None
    if parent is not None:
        _remove_left_over(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    folder.chmod(0o711)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    """Whether it is there, and neither it nor the machine's memory is full soon."""
    needed = ROOM_BYTES * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    try:
        there = os.statvfs(folder)
        told = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return False
    return told is not None and min(there.f_bavail * there.f_frsize, int(told[1]) << 10) >= needed


def _remove_left_over(parent: Path) -> None:
    for lock in parent.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError), lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
