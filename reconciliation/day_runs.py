"""Days that people have run: one of an account at a time in a process, and each goes on when nobody waits."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.domain.reconciled import DayClosedError, OtherStatementError, ReconciledDay
from gateway.ports import TransportError, UnusableAccountError
from gateway.ports.statements import StatementFile, StatementNotReadyError, StatementRefusedError
from reconciliation.running import DayNotOverError, NoStatementsError

__all__ = ["REFUSALS", "Bring", "DayRuns", "Ran", "RunInProgressError"]

REFUSALS: Final = (
    DayClosedError,
    DayNotOverError,
    NoStatementsError,
    OtherStatementError,
    StatementNotReadyError,
    StatementRefusedError,
    TransportError,
    UnusableAccountError,
)
"""How a run is refused. Nothing was changed then."""

Bring = Callable[[Path], Awaitable[Sequence[StatementFile]]]
"""Writes what a person gives to a folder, and answers with its files."""


class RunInProgressError(Exception):
    """Another run of this account is in hand here."""

    def __init__(self, account: str, day: date) -> None:
        super().__init__(f"{account}: its day {day} is being run; try again when that has ended")


class _Run(Protocol):
    async def __call__(
        self,
        merchant_id: UUID,
        account: str,
        day: date,
        by: str,
        files: Sequence[StatementFile] | None = None,
        replaces: str | None = None,
        *,
        so_far: bool = False,
    ) -> ReconciledDay: ...


@dataclass(slots=True)
class _Going:
    day: date
    task: "asyncio.Task[Ran] | None" = None


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: with the day, or refused."""

    day: ReconciledDay | None
    refused: Exception | None = None


class DayRuns:
    """`run` reconciles a day (`reconciliation.running.Reconciler.run`); `start` runs what must go on when its
    caller has gone away, and `within_s` is how long a caller waits for it."""

    def __init__(
        self, run: _Run, start: Callable[[Coroutine[Any, Any, Ran]], "asyncio.Task[Ran]"], within_s: float
    ) -> None:
        self._run, self._start, self._within_s = run, start, within_s
        self._going: dict[tuple[UUID, str], _Going] = {}

    def day_in_hand(self, merchant_id: UUID, account: str) -> date | None:
        """Which day of an account is being run here."""
        going = self._going.get((merchant_id, account))
        return going.day if going else None

    async def run(
        self,
        merchant_id: UUID,
        account: str,
        day: date,
        by: str,
        bring: Bring | None = None,
        replaces: str | None = None,
        *,
        so_far: bool = False,
    ) -> ReconciledDay | None:
        """Run a day, with what `bring` writes or what the PSP gives. None: it runs on, and nobody has to wait for it.
        `so_far`: also a day that is not over.

        Asking the PSP for a day that is being run waits for that run. Raises RunInProgressError, what `bring` raises,
        and `REFUSALS`.
        """
        key = (merchant_id, account)
        if (going := self._going.get(key)) is not None:
            if going.day != day or going.task is None or bring is not None or replaces is not None:
                raise RunInProgressError(account, going.day)
            return await self._within(going.task)
        going = self._going[key] = _Going(day)
        with contextlib.ExitStack() as unless_begun:
            unless_begun.callback(self._going.pop, key)
            folder = TemporaryDirectory(prefix="sluice-upload-")
            unless_begun.callback(folder.cleanup)
            files = None if bring is None else await bring(Path(folder.name))
            going.task = self._start(self._work(folder, key, day, by, files, replaces, so_far))
            unless_begun.pop_all()
        return await self._within(going.task)

    async def _work(
        self,
        folder: "TemporaryDirectory[str]",
        key: tuple[UUID, str],
        day: date,
        by: str,
        files: Sequence[StatementFile] | None,
        replaces: str | None,
        so_far: bool,
    ) -> Ran:
        try:
            with folder:
                return Ran(await self._run(*key, day, by, files, replaces, so_far=so_far))
        except REFUSALS as refused:
            return Ran(None, refused)
        finally:
            self._going.pop(key)

    async def _within(self, task: "asyncio.Task[Ran]") -> ReconciledDay | None:
        done, _ = await asyncio.wait({task}, timeout=self._within_s)
        if not done:
            return None
        ran = task.result()
        if ran.refused is not None:
            raise ran.refused
        return ran.day
