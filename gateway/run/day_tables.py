"""A day that was reconciled, as people read it: its sums by class, and what differs, in 80 columns."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from gateway.domain.differences import Difference, Ours, Remedy, Theirs
from gateway.domain.money import yuan
from gateway.domain.reconciled import Class, ClassTotals, ReconciledDay, Totals

__all__ = ["MAX_SHOWN", "called", "print_day", "print_differences"]

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
TO_DO: Final = {
    Remedy.RESOLVE_ANOMALY: "resolve anomaly",
    Remedy.ASK_PSP: "ask the PSP",
    Remedy.FIND_ORIGIN: "find its origin",
    Remedy.CLAIM_BACK: "claim it back",
    Remedy.CHECK_FEE_RULE: "check fee rule",
    Remedy.WAIT: "wait",
}
NOTHING: Final = "-"
NUMBER_CHARS: Final = 32


def called(kind: Class) -> str:
    """A class, in both languages."""
    return f"{kind.value} {IN_CHINESE[kind]}"


def print_day(done: ReconciledDay, name: str, out: Console) -> None:
    """The sums of a day by class, and of the fees."""
    again = "" if done.is_new else ", compared before: nothing changed"
    table = _table(f"{name} {done.day}, statement version {done.version}{again}")
    table.add_column("class")
    for heading in ("theirs", "yuan", "ours", "yuan", "apart"):
        table.add_column(heading, no_wrap=True, justify="right")
    for kind in Class:
        sums = done.totals.classes.get(kind)
        if sums is not None:
            _add(table, called(kind), sums)
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


def print_differences(differences: Sequence[Difference], out: Console) -> None:
    """What differs, those of a class together; at most so many that a person reads them."""
    if not differences:
        return
    table = _table(None)
    table.add_column("what differs, in yuan", no_wrap=True, min_width=NUMBER_CHARS)
    for heading in ("theirs", "ours"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("to do", no_wrap=True)
    for kind, alike in groupby(differences[:MAX_SHOWN], lambda each: each.kind):
        of_fees = " (fees)" if kind is Class.FEE_MISMATCH else ""
        table.add_row(f"[bold]{called(kind)}{of_fees}[/]")
        for each in alike:
            table.add_row(*_cells(each))
    out.print(table)
    if len(differences) > MAX_SHOWN:
        out.print("and more: GET /v1/admin/merchants/{merchant}/differences lists all", highlight=False, markup=False)


def _table(title: str | None) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _add(table: Table, label: str, sums: ClassTotals) -> None:
    table.add_row(
        label,
        f"{sums.theirs:,}",
        yuan(sums.theirs_amount),
        f"{sums.ours + sums.unknown:,}",
        yuan(sums.ours_amount),
        yuan(sums.apart) if sums.apart else "",
    )
    if sums.theirs_held or sums.ours_held:
        held = (sums.theirs_held_amount, sums.ours_held_amount)
        table.add_row("  held before", f"{sums.theirs_held:,}", yuan(held[0]), f"{sums.ours_held:,}", yuan(held[1]), "")


def _fees(totals: Totals) -> str:
    theirs = sum(each.theirs_fee for each in totals.classes.values())
    ours = sum(each.ours_fee for each in totals.classes.values())
    return f"fees: theirs {yuan(theirs)} yuan, ours {yuan(ours)} yuan, apart {yuan(theirs - ours)}"


def _cells(each: Difference) -> tuple[str, str, str, str]:
    is_fee = each.kind is Class.FEE_MISMATCH
    number = each.number or (f"line {each.theirs.line}" if each.theirs else NOTHING)
    if len(number) > NUMBER_CHARS:
        number = f"{number[: NUMBER_CHARS - 1]}…"
    to_do = TO_DO[each.remedy] if each.remedy else ""
    return f"  {number}", _theirs(each.theirs, is_fee), _ours(each.ours, is_fee), to_do


def _theirs(line: Theirs | None, is_fee: bool) -> str:
    if line is None:
        return NOTHING
    if is_fee:
        return NOTHING if line.fee is None else yuan(line.fee)
    return yuan(line.amount) if line.paid else "not done"


def _ours(entry: Ours | None, is_fee: bool) -> str:
    if entry is None:
        return NOTHING
    if is_fee:
        return NOTHING if entry.fee is None else yuan(entry.fee)
    return yuan(entry.amount) if entry.state in ("done", "returned") else entry.state
