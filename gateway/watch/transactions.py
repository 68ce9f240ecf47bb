"""Transactions that look wrong (异常交易): rules held against what was recorded, one process at a time.

A look, every half minute, takes the keys of rows that are new or changed since the last one, a little more than that,
and their rows in the rule's window. A key that has too many is told once while that lasts. A rule that takes too much
is told itself, and rests: it never slows a payment, and no other rule.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.domain.alerts import AlertKind
from gateway.domain.blocks import BlockedValue, BlockKind
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import CARD, PREFIX_OF, ObjectKind, show
from gateway.domain.transaction_hits import Episode, episodes
from gateway.domain.transaction_rules import RuleKey, Then, TransactionRule
from gateway.logs import get
from gateway.ports.transactions import Hit, RuleTooWideError, TransactionWatching
from gateway.watch.board import AlertBoard

__all__ = ["TransactionWatch"]

TRY_EVERY_S: Final = 10.0
EVERY: Final = timedelta(seconds=30)
LEASE: Final = timedelta(minutes=5)
"""Longer than a look takes."""
OVERLAP: Final = timedelta(seconds=20)
"""Rows are committed after the time that they tell, and clocks differ: both by less than this."""
FIRST_LOOK: Final = timedelta(minutes=15)
MISSED_AT_MOST: Final = timedelta(days=1)
"""So much is looked at that no process was there for, and rows that changed so long after they were opened."""
LASTS: Final = timedelta(minutes=10)
"""A hit is open for so long at least: a person should see it."""
MAX_HITS: Final = 200
"""Of one rule at once. Who would read more?"""
RESTS: Final = timedelta(minutes=10)
"""A rule that is too wide."""
CLOSE_WITHIN_S: Final = 2.0
BY: Final = "transaction_rules"
WHOLE_RULE: Final = ""
"""Instead of a key: the rule itself is too wide."""
BLOCK_KINDS: Final = {
    RuleKey.USER: BlockKind.USER,
    RuleKey.CARD: BlockKind.CARD_NO,
    RuleKey.PHONE: BlockKind.PHONE,
    RuleKey.ID_NO: BlockKind.ID_NO,
}
PRINTED: Final = frozenset({RuleKey.CARD, RuleKey.PHONE, RuleKey.ID_NO})
PRINT_SHOWN: Final = 16

log = get(__name__)


class Proposals(Protocol):
    """Where a person is asked to block something: a `BlockStore`."""

    async def propose_print(
        self, merchant_id: UUID, kind: BlockKind, printed: bytes, masked: str, *, reason: str, by: str, now: datetime
    ) -> bool: ...


class TransactionWatch:
    """Looks at each merchant that has rules. `user_print` keeps user ids out of alerts; `monotonic` tells seconds."""

    def __init__(
        self,
        store: TransactionWatching,
        board: AlertBoard,
        proposals: Proposals,
        user_print: Callable[[UUID, str], bytes],
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._store, self._board, self._proposals, self._user_print = store, board, proposals, user_print
        self._catalogue, self._clock, self._monotonic = catalogue, clock, monotonic
        self._tried_at = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._without_rules: set[UUID] = set()

    async def tick(self) -> None:
        """Now and then look; the work itself is a task of its own."""
        now_s = self._monotonic()
        if now_s - self._tried_at < TRY_EVERY_S or (self._task is not None and not self._task.done()):
            return
        self._tried_at = now_s
        self._task = asyncio.create_task(self.look(), name="transactions")

    async def close(self) -> None:
        """Look no more. A look that is given up is made again from where it began."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_WITHIN_S)

    async def look(self) -> None:
        """Look at every merchant that has rules, or had some when it was looked at last."""
        catalogue = self._catalogue()
        for merchant_id in catalogue.merchants:
            rules = [rule for rule in catalogue.transaction_rules_of(merchant_id) if rule.enabled]
            if not rules and merchant_id in self._without_rules:
                continue
            try:
                now = self._clock()
                ours, looked_to = await self._store.claim(merchant_id, now, LEASE)
                if not ours:
                    continue
                await self._look_at(merchant_id, rules, looked_to, now)
                await self._store.looked(merchant_id, now, now + EVERY)
                (self._without_rules.discard if rules else self._without_rules.add)(merchant_id)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next look begins where this one did
                log.warning(
                    "transactions were not looked at",
                    merchant=catalogue.code_of(merchant_id),
                    error_type=type(error).__name__,
                )

    async def _look_at(
        self, merchant_id: UUID, rules: Sequence[TransactionRule], looked_to: datetime | None, now: datetime
    ) -> None:
        since = now - FIRST_LOOK if looked_to is None else max(looked_to, now - MISSED_AT_MOST)
        since -= OVERLAP
        changed = await self._store.changed(merchant_id, since) if rules else ()
        known = {(hit.rule, hit.key): hit for hit in await self._store.hits(merchant_id)}
        for rule in rules:
            whole = known.get((rule.code, WHOLE_RULE))
            if whole is not None and whole.until_at > now:
                continue  # it rests
            try:
                found = await self._found(merchant_id, rule, since, now, changed)
            except RuleTooWideError as error:
                await self._too_wide(merchant_id, rule, error, now)
                known[rule.code, WHOLE_RULE] = Hit(rule.code, WHOLE_RULE, now, now + RESTS)
                continue
            for key, episode in found.items():
                before = known.get((rule.code, key))
                hit = Hit(rule.code, key, episode.starts_at, max(episode.ends_at, now + LASTS))
                if before is None or hit.until_at > before.until_at:
                    await self._hit(merchant_id, rule, hit, episode, now, new=before is None)
                    known[rule.code, key] = hit
        in_force = {rule.code for rule in rules}
        for hit in known.values():
            if hit.until_at <= now or hit.rule not in in_force:
                await self._board.clear(merchant_id, AlertKind.TRANSACTION_RULE, self._about(merchant_id, hit))
                await self._store.drop(merchant_id, hit)

    async def _found(
        self, merchant_id: UUID, rule: TransactionRule, since: datetime, now: datetime, changed: Collection[UUID]
    ) -> dict[str, Episode]:
        """Keys that have too many, each with the newest time of that. Raises RuleTooWideError."""
        found: dict[str, Episode] = {}
        async for page in self._store.touched(merchant_id, rule, since, changed):
            oldest = max(min(page.values()), now - MISSED_AT_MOST)
            begin = oldest - timedelta(seconds=rule.window_s)
            for key, rows in (await self._store.rows(merchant_id, rule, begin, now, page.keys())).items():
                lasting = [each for each in episodes(rule, rows) if each.ends_at > page[key]]
                if lasting:
                    found[key] = lasting[-1]
            if len(found) > MAX_HITS:
                raise RuleTooWideError(rule.code, f"more than {MAX_HITS} have too many at once")
        return found

    async def _hit(
        self, merchant_id: UUID, rule: TransactionRule, hit: Hit, episode: Episode, now: datetime, *, new: bool
    ) -> None:
        shown, card_id = await self._shown(merchant_id, rule, hit.key)
        detail: dict[str, Any] = {
            "rule": rule.code,
            "name": rule.name,
            "key": rule.key.value,
            "value": shown,
            "card": None if card_id is None else show(CARD, card_id),
            "count": episode.count,
            "sum": episode.sum,
            "window_s": rule.window_s,
            "since": episode.starts_at.isoformat(),
            "objects": [show(PREFIX_OF[ObjectKind(kind)], object_id) for kind, object_id in episode.objects],
        }
        about = self._about(merchant_id, hit)
        await self._board.raise_(merchant_id, AlertKind.TRANSACTION_RULE, about, detail)
        if new and rule.then is Then.PROPOSE_BLOCK:
            printed = bytes.fromhex(hit.key) if rule.key in PRINTED else self._user_print(merchant_id, hit.key)
            reason = f"transaction rule {rule.code}: {episode.count} within {rule.window_s} s"
            await self._proposals.propose_print(
                merchant_id, BLOCK_KINDS[rule.key], printed, shown, reason=reason, by=BY, now=now
            )
        await self._store.keep(merchant_id, hit)

    async def _too_wide(self, merchant_id: UUID, rule: TransactionRule, error: RuleTooWideError, now: datetime) -> None:
        hit = Hit(rule.code, WHOLE_RULE, now, now + RESTS)
        detail = {"rule": rule.code, "name": rule.name, "too_wide": error.why}
        about = self._about(merchant_id, hit)
        await self._board.raise_(merchant_id, AlertKind.TRANSACTION_RULE, about, detail)
        await self._store.keep(merchant_id, hit)

    async def _shown(self, merchant_id: UUID, rule: TransactionRule, key: str) -> tuple[str, UUID | None]:
        """How people see a key, and the card that stands for it."""
        if rule.key in PRINTED:
            card = await self._store.shown(merchant_id, rule, key)
            return ("" if rule.key is RuleKey.CARD else f"{rule.key} of ") + card.masked, card.card_id
        return BlockedValue(BlockKind.USER, key).masked if rule.key is RuleKey.USER else key, None

    def _about(self, merchant_id: UUID, hit: Hit) -> str:
        """Names rule and key, and tells nobody whose key it is."""
        if hit.key == WHOLE_RULE:
            return hit.rule
        return f"{hit.rule}/{self._user_print(merchant_id, hit.key).hex()[:PRINT_SHOWN]}"
