"""The end of a demonstration's day: each account is held against its statement; each planted difference is found."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import UUID

from rich import box
from rich.table import Table

from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.differences import DifferenceFilter, DifferenceState
from gateway.domain.money import yuan
from gateway.domain.reconciled import Class, ReconciledDay
from gateway.domain.statements import StatementRules
from gateway.ports.statements import StatementFile
from gateway.run.demo.days import days_to_run, is_near_a_cut
from gateway.run.demo.drive import Drive
from gateway.run.demo.fees import fees_said
from gateway.run.demo.planting import Planted, plant, take_back
from gateway.run.reconciling import REFUSALS
from gateway.run.wiring import System

__all__ = ["EndOfDay", "end_the_day", "say_fees"]

BY: Final = "demo"
LONG_AGO: Final = timedelta(seconds=2)
MAX_DIFFERENCES: Final = 1000
HEADINGS: Final = {
    Class.MATCHED: "一致\nok",
    Class.SETTLED: "勾兑\nset",
    Class.LOST: "未收\nlost",
    Class.LONG: "长款\nlong",
    Class.SHORT: "短款\nshort",
    Class.STATUS_MISMATCH: "状态\nstate",
    Class.DUPLICATE: "重复\ntwice",
    Class.AMOUNT_MISMATCH: "金额\nsum",
    Class.FEE_MISMATCH: "费用\nfee",
    Class.RETURNED: "退票\nback",
    Class.SUSPENSE: "存疑\nheld",
}
"""Short, so that the table fits 80 columns."""


async def say_fees(drive: Drive, merchant: MerchantContent) -> None:
    """Have the sandbox's statements cost what the rules of the catalogue say."""
    for provider, fees in fees_said(merchant).items():
        async with drive.session.post(f"{drive.addresses.sandbox}/_sandbox/{provider}/fees", json=fees) as answer:
            answer.raise_for_status()


@dataclass(slots=True)
class EndOfDay:
    """What came of it. `wrong`: what is not as it should be, in words."""

    days: list[ReconciledDay] = field(default_factory=list)
    planted: list[tuple[Planted, str | None]] = field(default_factory=list)
    """Each with the class that it was found in; None: it was not found."""
    left_out: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def table(self) -> Table:
        """Accounts by classes: how many of theirs, or of ours where they have none; and the amounts apart."""
        shown = [kind for kind in HEADINGS if any(kind in day.totals.classes for day in self.days)]
        table = Table(
            title="the day so far, held against the statements",
            pad_edge=False,
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
        )
        table.add_column("account", no_wrap=True)
        for kind in shown:
            table.add_column(HEADINGS[kind], no_wrap=True, justify="right")
        table.add_column("相差\napart", no_wrap=True, justify="right")
        table.add_column("平\n=", no_wrap=True)
        for day in self.days:
            of = day.totals.classes
            counts = (
                str(max(of[kind].theirs, of[kind].ours + of[kind].unknown)) if kind in of else "" for kind in shown
            )
            apart = day.totals.theirs_amount - day.totals.ours_amount
            table.add_row(day.account, *counts, yuan(apart), "✓" if day.balanced else "✗")
        return table

    def said(self) -> list[str]:
        """The planted differences, one kind in a line."""
        places: dict[tuple[str, str], Counter[str]] = {}
        for each, found in self.planted:
            places.setdefault((each.name, found or "NOT FOUND"), Counter())[each.provider] += 1
        lines = [
            f"planted {at.total()} × {name} at {', '.join(sorted(at))}: found as {found}"
            for (name, found), at in sorted(places.items())
        ]
        return lines + [f"not planted: {each}" for each in self.left_out]


async def end_the_day(
    running: System, drive: Drive, merchant: MerchantContent, since: datetime, dice: random.Random, *, others_too: bool
) -> EndOfDay:
    """Plant differences, reconcile every account of the merchant from `since` so far, and look for each of them.

    `others_too`: nobody else can have made what is there, so nothing else may differ.
    """
    catalogue = running.watch.current
    [merchant_id] = [key for key in catalogue.merchants if catalogue.code_of(key) == merchant.code]
    providers = {account.code: account.provider for account in merchant.accounts}
    provider_of = {channel.code: providers[channel.account] for channel in merchant.channels}
    end = EndOfDay()
    now = datetime.now(UTC)
    planted, end.left_out = await plant(drive, provider_of, now - LONG_AGO, dice)
    mine = {payment["channel_order_no"] for payment in drive.payments.values()}
    found: dict[tuple[str, str], set[str]] = {}
    cuts: set[time] = set()
    try:
        for account, provider in sorted(providers.items()):
            rules = running.providers.statement_rules(merchant_id, account)
            if rules is None:
                end.wrong.append(f"{account} reads no statements")
                continue
            cuts.add(rules.day_cut)
            await _one(running, drive, (merchant_id, account, provider), rules, (since, now), end, found)
    finally:
        await take_back(drive, planted)
    wanted = {(each.provider, each.number) for each in planted}
    for each in planted:
        classes = found.get((each.provider, each.number), set())
        fits = each.found_as in classes or (classes == {Class.SUSPENSE.value} and is_near_a_cut(cuts, now))
        end.planted.append((each, each.found_as if each.found_as in classes else next(iter(sorted(classes)), None)))
        if not fits:
            seen = ", ".join(sorted(classes)) or "nothing"
            end.wrong.append(
                f"{each.name} of {each.number} at {each.provider} was found as {seen}, not {each.found_as}"
            )
    for (provider, number), classes in sorted(found.items()):
        surplus = classes - {Class.SUSPENSE.value}  # what is unknown, or near a cut, waits for the next statement
        if surplus and (provider, number) not in wanted and (others_too or number in mine):
            end.wrong.append(f"{number} at {provider} is {', '.join(sorted(surplus))}, and nothing was planted there")
    return end


async def _one(
    running: System,
    drive: Drive,
    place: tuple[UUID, str, str],
    rules: StatementRules,
    moments: tuple[datetime, datetime],
    end: EndOfDay,
    found: dict[tuple[str, str], set[str]],
) -> None:
    """One account: the days that lie between these moments."""
    merchant_id, account, provider = place
    for day in days_to_run(rules.day_cut, *moments):
        try:
            with TemporaryDirectory(prefix="sluice-demo-") as folder:
                files = None if rules.fetched else [await _given(drive, provider, day, Path(folder))]
                done = await running.reconciler.run(merchant_id, account, day, BY, files, so_far=True)
        except REFUSALS as refused:
            end.wrong.append(f"{account} {day}: {refused}")
            continue
        end.days.append(done)
        end.wrong += [f"{account} {day}: the sums are wrong: {sentence}" for sentence in done.totals.wrong()]
        wanted = DifferenceFilter(account, day, state=DifferenceState.OPEN, limit=MAX_DIFFERENCES)
        for each in await running.differences.differences(merchant_id, wanted):
            key = (provider, each.number or f"line {each.theirs.line if each.theirs else 0}")
            found.setdefault(key, set()).add(each.kind.value)


async def _given(drive: Drive, provider: str, day: date, folder: Path) -> StatementFile:
    """The file of a day, as a person takes it from the provider's site."""
    async with drive.session.get(f"{drive.addresses.sandbox}/_sandbox/{provider}/statement?day={day}") as answer:
        answer.raise_for_status()
        name = answer.content_disposition.filename if answer.content_disposition else None
        path = folder / "statement"
        path.write_bytes(await answer.read())
    return StatementFile(name or path.name, path)
