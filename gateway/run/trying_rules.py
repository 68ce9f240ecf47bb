"""`sluice rules test`: how often the transaction rules of a file would have fired, before somebody puts them in force.

It reads the books and changes nothing.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text as Line

from gateway.catalogue_file import CatalogueFileError, FileRule, read_rules
from gateway.domain.money import yuan
from gateway.domain.transaction_hits import WouldHaveFired
from gateway.domain.transaction_rules import TransactionRule
from gateway.flows.would_have_fired import MAX_PERIOD, would_have_fired
from gateway.objects.transaction_trials import trial_object
from gateway.ports.transactions import RuleTooWideError
from gateway.run.local import LocalError
from gateway.storage.reading.reports import REPORT_TIMEOUT_MS, NamedMerchant, named_in_force
from gateway.storage.server.bounds import require_bounds
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import require_current
from gateway.storage.watching.transactions import TransactionStore

__all__ = ["Tried", "WantedTrial", "print_tried", "tried_json", "try_rules"]

NAME: Final = "sluice rules"
"""Of its connections."""
USUAL_DAYS: Final = 7
MAX_SHOWN: Final = 10
"""Times of one rule in a table."""
VALUE_CHARS: Final = 24
CURE: Final = "try fewer days or a narrower filter"


@dataclass(frozen=True, slots=True)
class WantedTrial:
    """What a person asked for: rules, of whom, and the days, both included."""

    rules: Sequence[FileRule]
    merchant: str | None
    first: date
    last: date

    @classmethod
    def of_texts(
        cls, file: Path, merchant: str | None, first: str | None, last: str | None, today: date
    ) -> "WantedTrial":
        """Read what was typed, and the file. Raises LocalError, CatalogueFileError."""
        until = today if last is None else _day("--to", last)
        since = until - timedelta(days=USUAL_DAYS - 1) if first is None else _day("--from", first)
        if since > until:
            raise LocalError(f"--from {since} is after --to {until}: write the first day and the last one")
        if since > today:
            raise LocalError(f"--from {since} is a day to come: rules are tried on what is recorded")
        if until - since >= MAX_PERIOD:
            raise LocalError(f"--from {since} to {until} is more than {MAX_PERIOD.days} days: choose fewer")
        rules = read_rules(file)
        if merchant is not None:
            rules = [each for each in rules if each.merchant in (None, merchant)]
            if not rules:
                raise LocalError(f"{file.name} has no transaction rules of merchant {merchant}")
        return cls(rules, merchant, since, until)


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule that was tried. `told` is None where it is too wide, `too_wide` says why."""

    merchant: str
    rule: TransactionRule
    told: WouldHaveFired | None
    too_wide: str = ""


async def try_rules(url: str, zone: ZoneInfo, wanted: WantedTrial, bar: Console) -> list[Tried]:
    """Try each rule on what is recorded; `bar` shows how far it is. Raises LocalError, CatalogueFileError."""
    since = datetime.combine(wanted.first, time(), zone)
    until = datetime.combine(wanted.last + timedelta(days=1), time(), zone)
    usual = create_engine(url, 1, application_name=NAME)
    patient = create_engine(url, 1, application_name=NAME, statement_timeout_ms=REPORT_TIMEOUT_MS)
    try:
        await require_bounds(usual)
        await require_current(usual)
        rules = _of_merchants(wanted, await named_in_force(usual))
        store = TransactionStore(patient.execution_options(isolation_level="AUTOCOMMIT"), usual)
        tried = []
        with _progress(bar, len(rules)) as step:
            for merchant, merchant_id, rule in rules:
                step(rule.code)
                try:
                    told = await would_have_fired(store, merchant_id, rule, since, until)
                    tried.append(Tried(merchant, rule, told))
                except RuleTooWideError as error:
                    tried.append(Tried(merchant, rule, None, error.why))
        return tried
    finally:
        await patient.dispose()
        await usual.dispose()


def _of_merchants(wanted: WantedTrial, known: dict[str, NamedMerchant]) -> list[tuple[str, UUID, TransactionRule]]:
    """Each rule with its merchant: the one that the file names, else the one that was asked for, or the only one."""
    found, problems = [], list[str]()
    for each in wanted.rules:
        code = each.merchant or wanted.merchant
        if code is None and len(known) != 1:
            raise LocalError(
                f"{each.path} says no merchant: say --merchant, one of {', '.join(known) or 'none so far'}"
            )
        code = code or next(iter(known))
        if code not in known:
            raise LocalError(f"there is no merchant {code}: `sluice catalogue show` lists them")
        merchant = known[code]
        problems += each.problems(merchant.channels, merchant.apps)
        found.append((code, merchant.merchant_id, each.rule))
    if problems:
        raise CatalogueFileError(problems)
    return found


def tried_json(wanted: WantedTrial, tried: Sequence[Tried]) -> str:
    """For programs: of each rule what the API answers, or why it is too wide."""
    data: list[dict[str, Any]] = []
    for each in tried:
        of = {"merchant": each.merchant, "rule": each.rule.code}
        data.append(of | ({"too_wide": each.too_wide} if each.told is None else trial_object(each.told)))
    shown = {"from": f"{wanted.first}", "to": f"{wanted.last}", "data": data}
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()


def print_tried(wanted: WantedTrial, tried: Sequence[Tried], zone: ZoneInfo, out: Console) -> None:
    """For people, in 80 columns: how often each rule would have fired, and the newest of these times, keys masked."""
    for each in tried:
        about = Line(f"{each.merchant}.{each.rule.code} ", style="bold").append(each.rule.name, style="not bold")
        out.print(about)
        if each.told is None:
            out.print(Line(f"  is too wide: {each.too_wide}; {CURE}", style="red"))
            continue
        times, keys = each.told.times, each.told.keys
        days = f"from {wanted.first} to {wanted.last}"
        if not times:
            out.print(Line(f"  would not have fired {days}"))
            continue
        how_often = "once" if times == 1 else f"{times:,} times, for {keys:,} different {_called(each.rule)}"
        out.print(Line(f"  would have fired {how_often} {days}"))
        out.print(_table(each.told, zone))
        if times > MAX_SHOWN:
            out.print(Line(f"  and {times - MAX_SHOWN:,} times before these: --json has the newest hundred"))


def _table(told: WouldHaveFired, zone: ZoneInfo) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, collapse_padding=True, show_edge=False)
    table.add_column("whose", no_wrap=True, overflow="ellipsis", max_width=VALUE_CHARS)
    for heading in ("from", "until"):
        table.add_column(heading, no_wrap=True)
    for heading in ("count", "yuan"):
        table.add_column(heading, no_wrap=True, justify="right")
    for fired in told.newest[:MAX_SHOWN]:
        episode = fired.episode
        table.add_row(
            Line(fired.shown or "no card has it now"),
            f"{episode.starts_at.astimezone(zone):%m-%d %H:%M:%S}",
            f"{episode.ends_at.astimezone(zone):%m-%d %H:%M:%S}",
            f"{episode.count:,}",
            yuan(episode.sum),
        )
    return table


def _called(rule: TransactionRule) -> str:
    return {"id_no": "IDs"}.get(rule.key, f"{rule.key}s")


@contextmanager
def _progress(bar: Console, rules: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=bar, transient=True, disable=not bar.is_terminal) as progress:
        task, seen = progress.add_task("rules", total=rules), 0

        def step(code: str) -> None:
            nonlocal seen
            progress.update(task, description=code, completed=seen)
            seen += 1

        yield step


def _day(option: str, text: str) -> date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise LocalError(f"{option} is no day: write 2026-03-05")
