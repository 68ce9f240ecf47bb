"""`sluice reconcile`: a day of one account, or of all, held against the statements, with a table at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.domain.catalogue import Catalogue
from gateway.domain.differences import Difference, DifferenceFilter, DifferenceState
from gateway.domain.money import yuan
from gateway.domain.reconciled import Class, DayClosedError, OtherStatementError, ReconciledDay, Totals
from gateway.ports import TransportError, UnusableAccountError
from gateway.ports.statements import StatementFile, StatementNotReadyError, StatementRefusedError
from gateway.run.local import LocalError
from gateway.run.wiring import System, system
from gateway.settings import Settings
from reconciliation.running import DayNotOverError, NoStatementsError

__all__ = ["Wanted", "day_of_text", "reconcile"]

MAX_SHOWN: Final = 20
IN_CHINESE: Final = {
    Class.MATCHED: "一致",
    Class.SETTLED: "已勾兑",
    Class.LOST: "对方未收到",
    Class.LONG: "长款",
    Class.SHORT: "短款",
    Class.STATUS_MISMATCH: "状态不符",
    Class.DUPLICATE: "重复",
    Class.AMOUNT_MISMATCH: "金额不符",
    Class.FEE_MISMATCH: "手续费不符",
    Class.RETURNED: "退票",
    Class.SUSPENSE: "存疑",
}
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
        done = [await _one(running, merchant_id, account, day, wanted, out) for merchant_id, account in accounts]
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
    differences = await running.differences.differences(
        merchant_id, DifferenceFilter(account, day, state=DifferenceState.OPEN, limit=MAX_SHOWN + 1)
    )
    _print(done, name, differences, out)
    return done.balanced


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


def _print(done: ReconciledDay, name: str, differences: Sequence[Difference], out: Console) -> None:
    again = "" if done.is_new else ", compared before: nothing changed"
    table = Table(title=f"{name} {done.day}, statement version {done.version}{again}", pad_edge=False)
    table.add_column("class", no_wrap=True)
    for heading in ("theirs", "yuan", "ours", "yuan", "apart"):
        table.add_column(heading, no_wrap=True, justify="right")
    for kind in Class:
        sums = done.totals.classes.get(kind)
        if sums is None:
            continue
        held = sums.theirs_held + sums.ours_held
        label = f"{kind.value} {IN_CHINESE[kind]}" + (f" (+{held} held before)" if held else "")
        table.add_row(
            label,
            f"{sums.theirs:,}",
            yuan(sums.theirs_amount),
            f"{sums.ours + sums.unknown:,}",
            yuan(sums.ours_amount),
            yuan(sums.apart) if sums.apart else "",
        )
    totals = done.totals
    unknown = sum(each.unknown for each in totals.classes.values())
    table.add_section()
    table.add_row(
        "in all",
        f"{totals.theirs:,}",
        yuan(totals.theirs_amount),
        f"{totals.ours + unknown:,}",
        yuan(totals.ours_amount),
        yuan(totals.theirs_amount - totals.ours_amount),
    )
    out.print(table)
    out.print(_fees(totals), highlight=False)
    for each in differences[:MAX_SHOWN]:
        out.print(f"  {_line(each)}", highlight=False, markup=False)
    if len(differences) > MAX_SHOWN:
        out.print("  and more: GET /v1/admin/merchants/{merchant}/differences lists all")
    for sentence in totals.wrong():
        out.print(f"  the sums are wrong: {sentence}", style="bold red")
    if done.balanced:
        out.print("every line and every entry has its class, and the sums balance", style="green")


def _fees(totals: Totals) -> str:
    theirs = sum(each.theirs_fee for each in totals.classes.values())
    ours = sum(each.ours_fee for each in totals.classes.values())
    return f"fees: theirs {yuan(theirs)} yuan, ours {yuan(ours)} yuan, apart {yuan(theirs - ours)}"


def _line(each: Difference) -> str:
    theirs = ours = "nothing"
    if each.theirs is not None:
        theirs = f"{yuan(each.theirs.amount)} yuan{'' if each.theirs.paid else ', not done'} (line {each.theirs.line})"
    if each.ours is not None:
        ours = f"{yuan(each.ours.amount)} yuan {each.ours.state}"
    remedy = f"; {each.remedy.value}" if each.remedy else ""
    return f"{each.kind.value} {IN_CHINESE[each.kind]} {each.number or '-'}: theirs {theirs}, ours {ours}{remedy}"
