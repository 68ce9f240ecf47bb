"""One account's day: its statement is fetched or read from files, loaded, compared, and our books hear of it.

    fetch → load and compare (one transaction) → tell our books → confirm to the PSP, where it wants that

Whoever dies in the middle has loaded all or nothing; what was compared and not told is told by the next run or by a
worker; a confirmation is safe to repeat.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.reconciled import Loading, ReconciledDay
from gateway.domain.statements import StatementLine, ends_at
from gateway.ports import OverloadedError, Providers
from gateway.ports.statements import Download, StatementFile, StatementRefusedError, statements_of

__all__ = ["MAX_FILES_BYTES", "DayNotOverError", "NoStatementsError", "Reconciler", "StatementBooks"]

MAX_FILES_BYTES: Final = 512 * 1024 * 1024
"""Of all the files of one day, as they come."""
PIECE_BYTES: Final = 1024 * 1024


class NoStatementsError(Exception):
    """The account's adapter reads no statements: its settings lack a mapping, or what it assumes (`why`)."""

    def __init__(self, account: str, why: str | None = None) -> None:
        self.account, self.why = account, why
        cure = why or "say what its contract assumes, or give it a mapping (`statement`)"
        super().__init__(f"account {account} reads no statements: {cure}")


class DayNotOverError(Exception):
    """The PSP's day has not ended, so it has no statement."""


class StatementBooks(Protocol):
    """Where statements are loaded and compared (implemented by `gateway.storage.reconciling.store`)."""

    async def load(
        self, loading: Loading, lines: Iterator[StatementLine], seen: Callable[[int], None]
    ) -> ReconciledDay: ...

    async def fetched(self, merchant_id: UUID, account: str, day: date, at: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Runs days. `folder`: where fetched files lie for a while; None: the system's own place."""

    providers: Providers
    books: StatementBooks
    tell: Callable[[UUID], Awaitable[int]]
    """Tells our books what is untold of a merchant (`flows.statement_words`)."""
    download: Download
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    folder: Path | None = None
    why_no_statements: Callable[[UUID, str], str | None] = lambda *_: None
    """Of an account without any."""

    async def run(
        self,
        merchant_id: UUID,
        account: str,
        day: date,
        by: str,
        files: Sequence[StatementFile] | None = None,
        replaces: str | None = None,
        seen: Callable[[int], None] = lambda _: None,
        so_far: bool = False,
    ) -> ReconciledDay:
        """Reconcile a day. `files`: what a person was given; None: the PSP is asked. `replaces`: why the file takes the
        place of the one that was loaded before. `so_far`: also a day that is not over: the statement of the whole day
        takes the place of such a one without further words.

        Raises NoStatementsError, DayNotOverError, StatementNotReadyError, StatementRefusedError, OtherStatementError,
        DayClosedError, TransportError, UnusableAccountError.
        """
        statements = statements_of(self.providers.provider(merchant_id, account))
        if statements is None:
            raise NoStatementsError(account, self.why_no_statements(merchant_id, account))
        now = self.clock()
        over_at = ends_at(day, statements.rules.day_cut)
        if now < (ends_at(day - timedelta(days=1), statements.rules.day_cut) if so_far else over_at):
            raise DayNotOverError(f"{account}: the day {day} ends at {over_at:%Y-%m-%d %H:%M} in Beijing")
        with TemporaryDirectory(prefix="sluice-statement-", dir=self.folder) as name:
            place = Path(name)
            if files is None:
                files = await statements.fetch(day, place, self.download, now)
            loading = Loading(
                self.new_id(),
                merchant_id,
                account,
                day,
                statements.rules.day_cut,
                tuple(file.name for file in files),
                _sha256(files),
                by,
                self.clock(),
                replaces,
            )
            done = await self.books.load(loading, statements.read(files, day), seen)
            with suppress(OverloadedError):  # the database is busy: a worker tells what is untold
                await self.tell(merchant_id)
            await statements.confirm(day, self.download, place, self.clock())
        await self.books.fetched(merchant_id, account, day, self.clock())
        return done


def _sha256(files: Sequence[StatementFile]) -> str:
    digest, size = hashlib.sha256(), 0
    for file in files:
        with file.path.open("rb") as source:
            while piece := source.read(PIECE_BYTES):
                size += len(piece)
                if size > MAX_FILES_BYTES:
                    raise StatementRefusedError(f"is above {MAX_FILES_BYTES} bytes", file.name)
                digest.update(piece)
    return digest.hexdigest()
