"""The end of a demonstration's day: each account is held against its statement; each planted difference is found.

Over HTTP, as an operator does it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, cast

from rich import box
from rich.table import Table

from adapters.account import account_settings
from adapters.registry import build
from gateway.domain.catalogue_content import AccountContent, MerchantContent
from gateway.domain.money import yuan
from gateway.domain.reconciled import Class
from gateway.domain.statements import StatementRules
from gateway.ports.statements import statements_of
from gateway.run.demo.days import days_to_run, is_near_a_cut
from gateway.run.demo.drive import Drive
from gateway.run.demo.fees import fees_said
from gateway.run.demo.planting import Planted, plant, take_back

__all__ = ["EndOfDay", "end_the_day", "say_fees"]

BY: Final = "demo"
LONG_AGO: Final = timedelta(seconds=2)
PAGE: Final = 100
MAX_PAGES: Final = 20
AT_ONCE: Final = 2
"""Accounts: each day is a process of its own."""
RUNNING: Final = 202
RUN_WITHIN_S: Final = 300.0
"""One day, in a process of its own that may take long to start."""
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

    days: list[dict[str, Any]] = field(default_factory=list)
    """As the admin API shows them."""
    planted: list[tuple[Planted, str | None]] = field(default_factory=list)
    """Each with the class that it was found in; None: it was not found."""
    left_out: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def table(self) -> Table:
        """Accounts by classes: how many of theirs, or of ours where they have none; and the amounts apart."""
        classes = [{each["class"]: each for each in day["classes"]} for day in self.days]
        shown = [kind for kind in HEADINGS if any(kind in of for of in classes)]
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
        for day, of in zip(self.days, classes, strict=True):
            counts = (str(max(of[kind]["theirs"], of[kind]["ours"])) if kind in of else "" for kind in shown)
            table.add_row(day["account"], *counts, yuan(day["in_all"]["apart"]), "✓" if day["balanced"] else "✗")
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
    drive: Drive,
    merchant: MerchantContent,
    admin: Mapping[str, str],
    since: datetime,
    dice: random.Random,
    *,
    others_too: bool,
) -> EndOfDay:
    """Plant differences, reconcile every account of the merchant from `since` so far, and look for each of them.

    `admin`: the header of an operator. `others_too`: nobody else can have made what is there, so nothing else may
    differ.
    """
    providers = {account.code: account.provider for account in merchant.accounts}
    provider_of = {channel.code: providers[channel.account] for channel in merchant.channels}
    desk = _Desk(drive, f"{drive.addresses.gateway}/v1/admin/merchants/{merchant.code}", admin, EndOfDay())
    end, found, now = desk.end, desk.found, datetime.now(UTC)
    planted, end.left_out = await plant(drive, provider_of, now - LONG_AGO, dice)
    mine = {payment["channel_order_no"] for payment in drive.payments.values()}
    cuts: set[time] = set()
    try:
        async with asyncio.TaskGroup() as group:
            for account in merchant.accounts:
                rules = _rules_of(account)
                if rules is None:
                    end.wrong.append(f"{account.code} reads no statements")
                    continue
                cuts.add(rules.day_cut)
                days = days_to_run(rules.day_cut, since, now)
                group.create_task(desk.reconcile(account, days, fetched=rules.fetched))
        end.days.sort(key=lambda day: (day["account"], day["day"]))
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


def _rules_of(account: AccountContent) -> StatementRules | None:
    statements = statements_of(build(account_settings(account), cast("Any", None)))  # nothing is sent
    return None if statements is None else statements.rules


@dataclass(frozen=True, slots=True)
class _Desk:
    """An operator who reconciles. `base`: of the merchant's calls; `found`: by provider and number, its classes."""

    drive: Drive
    base: str
    admin: Mapping[str, str]
    end: EndOfDay
    found: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def reconcile(self, account: AccountContent, days: Sequence[date], *, fetched: bool) -> None:
        """Days of an account, the oldest first, so far."""
        async with self.room:
            for day in days:
                await self._one(account, day, fetched=fetched)

    async def _one(self, account: AccountContent, day: date, *, fetched: bool) -> None:
        url = f"{self.base}/reconciliation/days/{account.code}/{day}"
        ran = await self._fetch(url) if fetched else await self._give(url, account.provider, day)
        if "code" in ran:
            self.end.wrong.append(f"{account.code} {day}: {ran['detail']}")
            return
        self.end.days.append(ran)
        self.end.wrong += [f"{account.code} {day}: the sums are wrong: {sentence}" for sentence in ran["wrong"]]
        search = f"{self.base}/differences?account={account.code}&day={day}&state=open&limit={PAGE}"
        after = ""
        for _ in range(MAX_PAGES):
            page = await self.drive.get(search + after, self.admin)
            for each in page["data"]:
                key = (account.provider, each["number"] or f"line {each['theirs']['line'] if each['theirs'] else 0}")
                self.found.setdefault(key, set()).add(each["class"])
            if page["next"] is None:
                return
            after = f"&after={page['next']}"
        self.end.wrong.append(f"{account.code} {day}: more than {MAX_PAGES * PAGE} differences are open")

    async def _fetch(self, url: str) -> dict[str, Any]:
        """The day, or why not. Asking again waits for the run that is in hand."""
        async with asyncio.timeout(RUN_WITHIN_S):
            while True:
                status, said = await self._call("POST", f"{url}/run", json={"by": BY, "so_far": True})
                if status != RUNNING:
                    return said

    async def _give(self, url: str, provider: str, day: date) -> dict[str, Any]:
        """The same with the file of the day, as a person takes it from the provider's site."""
        given = f"{self.drive.addresses.sandbox}/_sandbox/{provider}/statement?day={day}"
        async with self.drive.session.get(given) as answer:
            answer.raise_for_status()
            name = answer.content_disposition.filename if answer.content_disposition else None
            content = await answer.read()
        query = {"by": BY, "so_far": "true", "filename": name or "statement"}
        file = {"params": query, "data": content, "headers": {**self.admin, "Content-Type": "application/octet-stream"}}
        status, said = await self._call("PUT", f"{url}/statement", **file)
        if status == RUNNING:
            said = await self._fetch(url)
            if said.get("code") == "statement_not_ready":  # the run of the file had ended, and no request brings one
                _, said = await self._call("GET", url)
        return said

    async def _call(self, method: str, url: str, **given: Any) -> tuple[int, dict[str, Any]]:
        """Status and body."""
        async with self.drive.session.request(method, url, **{"headers": self.admin, **given}) as answer:
            return answer.status, await answer.json(content_type=None)
