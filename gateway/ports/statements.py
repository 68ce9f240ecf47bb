"""Statements as reconciliation sees them: reading the files of one account's PSP, and fetching them.

StatementRefusedError     the file is not what it must be: refused whole, said where
StatementNotReadyError    the PSP has no file of that day so far: asked again later
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import httpx

from gateway.domain.statements import StatementLine, StatementRules

__all__ = [
    "Download",
    "StatementFile",
    "StatementNotReadyError",
    "StatementRefusedError",
    "Statements",
    "statements_of",
]


class StatementRefusedError(Exception):
    """A file that is not what it must be. Nothing of it counts. `column` is from 1, or a column's name."""

    def __init__(self, reason: str, file: str, line: int | None = None, column: int | str | None = None) -> None:
        where = [file, *([f"line {line}"] if line is not None else []), *([f"column {column}"] if column else [])]
        super().__init__(f"{', '.join(where)}: {reason}")
        self.reason, self.file, self.line, self.column = reason, file, line, column


class StatementNotReadyError(Exception):
    """The PSP answered that there is no file of that day, or not yet. The message is its reason."""


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A file on disk, as the PSP gave it or a person: `name` is what people know it by."""

    name: str
    path: Path


class Download(Protocol):
    """One HTTP exchange whose answer is big. The request must carry explicit timeouts, as for `Transport`."""

    async def __call__(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        """Send, and write the body of the answer to `to`; the response that is answered has no content.

        Raises NotSentError, AnswerLostError: also for an answer above `max_bytes`.
        """
        ...


class Statements(Protocol):
    """The statements of one account."""

    @property
    def rules(self) -> StatementRules:
        """Under what the account's settings say otherwise."""
        ...

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """The lines of a day, one after the other, in bounded memory; blocking. Raises StatementRefusedError, also
        after the last line: what was read counts only when the iterator has come to its end.

        `files`: what `fetch` wrote, or what a person was given by the PSP, zipped or not.
        """
        ...

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:
        """Ask the PSP for its file of a day and write it to `folder`. Safe to repeat.

        Raises StatementNotReadyError, StatementRefusedError (an answer that is not to be believed), TransportError.
        """
        ...

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """Tell the PSP that the file was taken, where it wants that; else nothing. Safe to repeat.

        Raises as `fetch`.
        """
        ...


def statements_of(provider: object) -> Statements | None:
    """The statements of an adapter; None: it reads none."""
    statements: Statements | None = getattr(provider, "statements", None)
    return statements
