"""`sluice reconcile`: a day of one account, or of all, held against the statements, with a table at the end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from adapters.registry import why_no_statements
from gateway.domain.catalogue import Catalogue
from gateway.domain.differences import Difference, DifferenceFilter, DifferenceState
from gateway.domain.reconciled import Class, DayClosedError, OtherStatementError, ReconciledDay
from gateway.ports import TransportError, UnusableAccountError
from gateway.ports.statements import StatementFile, StatementNotReadyError, StatementRefusedError
from gateway.run.day_tables import MAX_SHOWN, print_day, print_differences
from gateway.run.local import LocalError
from gateway.run.wiring import System, system
from gateway.settings import Settings
from reconciliation.fee_proposals import proposed_fees
from reconciliation.running import DayNotOverError, NoStatementsError

__all__ = ["REFUSALS", "Wanted", "day_of_text", "reconcile"]

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for. `account`: `merchant.account`, or its code where one merchant has it; None: all."""

    account: str | None
    day: date | None
    files: Sequence[Path] = ()
    by: str = "command"
    replaces: str | None = None
    so_far: bool = False
    """Also a day that is not over."""


async def reconcile(settings: Settings, wanted: Wanted, out: Console) -> bool:
    """Run it and print it. False: a day was refused, has no statement so far, or its sums are wrong.

    Raises LocalError for what cannot be meant.
    """
    async with system(settings, workers=False, api=False, shares=False) as running:
        catalogue, zone = running.watch.current, ZoneInfo(settings.business_timezone)
        day = wanted.day or datetime.now(zone).date() - timedelta(days=1)
        accounts = _accounts(running, catalogue, wanted.account)
        if wanted.account is None:
            accounts = await _used(running, accounts)
            if not accounts:
                raise LocalError("nothing was sent so far by any account that reads statements")
        done = [await _one(running, merchant_id, account, day, wanted, out) for merchant_id, account in accounts]
        if wanted.account is None:
            await _say_who_states_nothing(running, catalogue, out)
    return all(done)


def day_of_text(text: str | None) -> date | None:
    """A day as it is typed. Raises LocalError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LocalError(f"--date {text} is no day: write 2026-03-05") from None


def _accounts(running: System, catalogue: Catalogue, named: str | None) -> list[tuple[UUID, str]]:
    if named is None:
        found = [
            key
            for key in sorted(catalogue.accounts, key=lambda key: (catalogue.code_of(key[0]), key[1]))
            if running.providers.statement_rules(*key) is not None
        ]
        if not found:
            raise LocalError("no account of the catalogue reads statements")
        return found
    merchant, _, account = named.rpartition(".")
    keys = [key for key in catalogue.accounts if key[1] == account and merchant in ("", catalogue.code_of(key[0]))]
    if not keys:
        raise LocalError(f"there is no account {named}: `sluice catalogue show` lists them")
    if len(keys) > 1:
        having = ", ".join(sorted(f"{catalogue.code_of(key[0])}.{account}" for key in keys))
        raise LocalError(f"more than one merchant has {account}: say {having}")
    return keys


async def _used(running: System, accounts: Sequence[tuple[UUID, str]]) -> list[tuple[UUID, str]]:
    """Those that something was ever sent by: the others have nothing to compare."""
    of = {merchant_id: [account for each, account in accounts if each == merchant_id] for merchant_id, _ in accounts}
    used = {merchant_id: await running.errands.used(merchant_id, codes) for merchant_id, codes in of.items()}
    return [key for key in accounts if key[1] in used[key[0]]]


async def _say_who_states_nothing(running: System, catalogue: Catalogue, out: Console) -> None:
    """Accounts that were used and that nothing is held against."""
    without = [key for key in sorted(catalogue.accounts) if running.providers.statement_rules(*key) is None]
    for merchant_id, account in await _used(running, without):
        why = why_no_statements(catalogue.accounts[merchant_id, account]) or "the account cannot be used"
        told = f"{catalogue.code_of(merchant_id)}.{account}: no statements: {why}"
        out.print(told, style="yellow", highlight=False, markup=False)


async def _one(running: System, merchant_id: UUID, account: str, day: date, wanted: Wanted, out: Console) -> bool:
    name = f"{running.watch.current.code_of(merchant_id)}.{account}"
    files = [StatementFile(path.name, path) for path in wanted.files] or None
    try:
        with _progress(out, f"{name} {day}") as seen:
            done = await running.reconciler.run(
                merchant_id, account, day, wanted.by, files, wanted.replaces, seen, wanted.so_far
            )
    except REFUSALS as refused:
        out.print(f"{name} {day}: {_told(refused)}", style="red", highlight=False, markup=False)
        return False
    print_day(done, name, out)
    print_differences(await _differences(running, merchant_id, done), out)
    if Class.FEE_MISMATCH in done.totals.classes:
        taken = await running.taken_fees.taken(merchant_id, account, day)
        for each in await asyncio.to_thread(proposed_fees, taken, running.watch.current, merchant_id, day):
            out.print(f"{each.place}: {each.proposal.english}", highlight=False, markup=False)
            out.print(f"  {each.proposal.chinese}", highlight=False, markup=False)
    for sentence in done.totals.wrong():
        out.print(f"the sums are wrong: {sentence}", style="bold red")
    if done.balanced:
        out.print("every line and every entry has its class, and the sums balance", style="green")
    return done.balanced


async def _differences(running: System, merchant_id: UUID, done: ReconciledDay) -> list[Difference]:
    """What is open of a day, those first that need a person; one more than is shown where there is more."""
    found: list[Difference] = []
    for kind in sorted(done.totals.classes, key=lambda kind: not kind.needs_person):
        if len(found) <= MAX_SHOWN:
            wanted = DifferenceFilter(
                done.account, done.day, kind, DifferenceState.OPEN, limit=MAX_SHOWN + 1 - len(found)
            )
            found += await running.differences.differences(merchant_id, wanted)
    return found


def _told(refused: Exception) -> str:
    match refused:
        case OtherStatementError():
            return f"{refused}. To replace it say why: --replace 'a corrected file, their mail of …'"
        case StatementNotReadyError():
            return f"there is no statement so far: {refused}"
        case StatementRefusedError():
            return f"refused, nothing was loaded: {refused}"
    return str(refused)


class _progress:  # noqa: N801 -- a context manager that reads as a word
    """A bar for as long as lines are read. How many there will be nobody knows before the end."""

    def __init__(self, out: Console, title: str) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} lines"),
        )
        self._bar = Progress(*columns, TimeElapsedColumn(), console=out, transient=True)
        self._title = title

    def __enter__(self) -> Callable[[int], None]:
        self._bar.__enter__()
        task = self._bar.add_task(self._title, total=None)
        return lambda count: self._bar.update(task, completed=count)

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(None, None, None)
