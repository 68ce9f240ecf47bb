"""An append-only file of JSON lines, read again when the sandbox starts."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

__all__ = ["Journal", "JournalUnreadableError"]


class JournalUnreadableError(Exception):
    """A whole line of the journal is not what this program writes; the message says which and what to do."""


def _open_for_appending(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


class Journal:
    """One file, one JSON object per line. Without a path everything is forgotten."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def replay(self) -> Iterator[dict[str, Any]]:
        """Every object of the file, oldest first. A torn last line (the process was killed) is cut off.

        Raises JournalUnreadableError for a broken line that is not the last.
        """
        if self.path is None or not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                entry = None
            if not isinstance(entry, dict):
                raise JournalUnreadableError(
                    f"{self.path}, line {number}: not a journal line; move the file away to start anew"
                )
            yield entry

    def append(self, entry: dict[str, Any]) -> None:
        """Write one object. It survives the end of the process, not of the machine: nothing is synced."""
        if self.path is None:
            return
        if self._file is None:
            self._file = _open_for_appending(self.path)
        self._file.write(orjson.dumps(entry) + b"\n")
        self._file.flush()

    def clear(self) -> None:
        """Forget everything."""
        if self.path is not None and self.path.exists():
            os.truncate(self.path, 0)

    def close(self) -> None:
        """Close the file; the next entry would open it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
