"""Statements, each morning: fetched when due, asked for again until they are there, told of when they stay away.

One day is loaded at a time in a process, the oldest first. What a day had to tell our books and did not, because a
process died, is told here, too.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway import metrics
from gateway.domain.catalogue import Catalogue
from gateway.domain.errands import LATE_AFTER, Errand, Newest, again_at, asked_from, newest
from gateway.domain.reconciled import DayClosedError, OtherStatementError, ReconciledDay
from gateway.domain.statements import StatementRules
from gateway.logs import get
from gateway.ports import TransportError, UnusableAccountError
from gateway.ports.statements import StatementNotReadyError, StatementRefusedError
from reconciliation.running import DayNotOverError, NoStatementsError

__all__ = ["Errands", "StatementWatch"]

EVERY_S: Final = 20.0
LEASE: Final = timedelta(minutes=40)
"""Longer than a day may take to load."""
CLOSE_WITHIN_S: Final = 5.0
BY: Final = "schedule"
PUT_OFF: Final = (
    DayNotOverError,
    NoStatementsError,
    StatementNotReadyError,
    StatementRefusedError,
    TransportError,
    UnusableAccountError,
)

log = get(__name__)


class Errands(Protocol):
    """What is to be fetched (implemented by `gateway.storage.reconciling.errands`)."""

    async def keep(self, merchant_id: UUID, wanted: Mapping[str, Newest], now: datetime) -> None: ...

    async def claim(self, merchant_id: UUID, now: datetime, lease: timedelta) -> Errand | None: ...

    async def put_off(self, errand: Errand, due_at: datetime, reason: str, *, told_late: bool) -> None: ...

    async def give_up(self, errand: Errand, reason: str, now: datetime) -> None: ...

    async def late(self, merchant_id: UUID) -> dict[str, int]: ...


class StatementWatch:
    """Runs errands. `run` reconciles a day (`reconciliation.running`), `tell` what is untold of a merchant; `rules`: of
    an account that has statements, else None. `monotonic` tells seconds."""

    def __init__(
        self,
        errands: Errands,
        run: Callable[[UUID, str, date, str], Awaitable[ReconciledDay]],
        tell: Callable[[UUID], Awaitable[int]],
        rules: Callable[[UUID, str], StatementRules | None],
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._errands, self._run, self._tell, self._rules = errands, run, tell, rules
        self._catalogue, self._clock, self._monotonic = catalogue, clock, monotonic
        self._looked_at = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._shown: set[tuple[str, str]] = set()

    async def tick(self) -> None:
        """Now and then look at what is due; the work itself is a task of its own."""
        now_s = self._monotonic()
        if now_s - self._looked_at < EVERY_S or (self._task is not None and not self._task.done()):
            return
        self._looked_at = now_s
        self._task = asyncio.create_task(self.look(), name="statements")

    async def close(self) -> None:
        """Fetch no more. A day that is being loaded is given up whole: its lease brings it back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_WITHIN_S)

    async def look(self) -> None:
        """Keep up with the days, fetch all that is due, and tell what is untold."""
        for merchant_id in self._catalogue().merchants:
            try:
                await self._keep_up(merchant_id)
                while (errand := await self._errands.claim(merchant_id, self._clock(), LEASE)) is not None:
                    await self._do(errand)
                await self._tell(merchant_id)
                await self._show(merchant_id)
            except Exception as error:
                log.warning("statements were not looked at", error_type=type(error).__name__, exc_info=error)

    async def _keep_up(self, merchant_id: UUID) -> None:
        now, wanted = self._clock(), dict[str, Newest]()
        channels = self._catalogue().channels_of(merchant_id)
        for account in sorted({channel.account for channel in channels if channel.on}):
            rules = self._rules(merchant_id, account)
            if rules is not None:
                wanted[account] = newest(rules, now)
        if wanted:
            await self._errands.keep(merchant_id, wanted, now)

    async def _do(self, errand: Errand) -> None:
        rules = self._rules(errand.merchant_id, errand.account)
        about = {"merchant": self._catalogue().code_of(errand.merchant_id), "account": errand.account,
                 "day": errand.day.isoformat()}  # fmt: skip
        if rules is None:
            await self._errands.give_up(errand, "the account has no statements any more", self._clock())
            return
        try:
            done = await self._run(errand.merchant_id, errand.account, errand.day, BY)
        except (OtherStatementError, DayClosedError) as error:
            log.warning("a statement came beside the one that a person gave: it was not loaded", **about)
            await self._errands.give_up(errand, str(error), self._clock())
        except PUT_OFF as error:
            await self._put_off(errand, rules, about, error)
        else:
            left = sum(sums.theirs + sums.ours for kind, sums in done.totals.classes.items() if kind.needs_person)
            say = log.info if done.balanced and not left else log.warning
            say("a day was reconciled", **about, differences=left, balanced=done.balanced)

    async def _put_off(self, errand: Errand, rules: StatementRules, about: Mapping[str, str], error: Exception) -> None:
        now, reason = self._clock(), str(error)
        is_late = now - asked_from(rules, errand.day) >= LATE_AFTER
        if is_late and not errand.told_late:
            log.warning("a statement stays away", **about, reason=reason, tries=errand.tries)
        elif isinstance(error, StatementRefusedError):
            log.warning("a statement was refused whole", **about, reason=reason)
        due_at = again_at(rules, errand.day, now)
        await self._errands.put_off(errand, due_at, reason, told_late=is_late or errand.told_late)

    async def _show(self, merchant_id: UUID) -> None:
        merchant, late = self._catalogue().code_of(merchant_id), await self._errands.late(merchant_id)
        shown = {(merchant, account) for account in late}
        for gone in {each for each in self._shown if each[0] == merchant} - shown:
            metrics.STATEMENTS_LATE.labels(*gone).set(0)
        for account, count in late.items():
            metrics.STATEMENTS_LATE.labels(merchant, account).set(count)
        self._shown |= shown
