"""Looking at transactions by rules: which keys were touched, their rows, and what is remembered between looks.

Every read is one statement on the read pool, which ends it after seconds: such a rule is too wide. Hits are written in
small transactions of their own.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import LargeBinary, Text, Uuid, bindparam, delete, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.transaction_hits import SeenRow
from gateway.domain.transaction_rules import Distinct, RuleKind, TransactionRule
from gateway.ports.transactions import Hit, KeyShown, RuleTooWideError
from gateway.storage.server.troubles import is_cut
from gateway.storage.tables import cards, transaction_hits, transaction_looks
from gateway.storage.watching.rule_rows import ID_CLOCK_MARGIN, LIST_BINDS, PRINTS, Seen, ids_from, keys_bound, seen

__all__ = ["KEYS_AT_ONCE", "MAX_KEYS", "MAX_OF_KEY", "MAX_ROWS", "TransactionStore"]

KEYS_AT_ONCE: Final = 2_000
"""Keys of one page of a look."""
MAX_KEYS: Final = 100_000
"""Of one look at a rule."""
MAX_CHANGED: Final = 100_000
"""Of one look."""
MAX_OF_KEY: Final = 5_000
"""Rows of one key, the newest: a flood of one user hides nobody else."""
MAX_ROWS: Final = 100_000
"""Rows of one page of keys, of those that may have too many."""

NEW: Final = "{id} >= :new_from"
# Given as a list and not as a SELECT: a planner that guesses how many there are would read all payments of all times.
CHANGED: Final = "{id} = ANY(:changed)"
# What was sent or ended since: a payment may fail long after it was opened. The newest, should there be too many.
CHANGED_SINCE: Final = """
SELECT DISTINCT i.object_id FROM intents i
WHERE i.merchant_id = :merchant AND (i.recorded_at >= :since OR i.ended_at >= :since) AND i.object_id < :new_from
ORDER BY i.object_id DESC LIMIT :most
"""
# Nobody has four cards on a phone that only three cards know, nor three users on a number that two have: no row of
# such a key needs to be read, which is next to every key.
ENOUGH_CARDS: Final = """(SELECT count(*) FROM (
    SELECT FROM cards k WHERE k.merchant_id = :merchant AND k.{print} = decode(t.key, 'hex') LIMIT :threshold
) AS few) >= :threshold"""
_OF_CARDS: Final = frozenset({Distinct.CARDS, Distinct.USERS})
BETWEEN: Final = "{id} >= :lowest AND {at} > :since AND {at} <= :until"

_l, _h, _c = transaction_looks.c, transaction_hits.c, cards.c


@dataclass(frozen=True, slots=True)
class TransactionStore:
    """`reads` ends what takes too long; `engine` writes."""

    reads: AsyncEngine
    engine: AsyncEngine

    # Looks

    async def claim(self, merchant_id: UUID, now: datetime, lease: timedelta) -> tuple[bool, datetime | None]:
        """Whether this process may look now, and how far the last look came; None: there was none."""
        new = upsert(transaction_looks).values(merchant_id=merchant_id, lease_until=now + lease)
        free = or_(_l.lease_until.is_(None), _l.lease_until <= now)
        taken = new.on_conflict_do_update(
            constraint="transaction_looks_pkey", set_={"lease_until": new.excluded.lease_until}, where=free
        ).returning(_l.looked_to)
        async with self.engine.begin() as connection:
            found = (await connection.execute(taken)).first()
        return found is not None, found[0] if found else None

    async def looked(self, merchant_id: UUID, looked_to: datetime, until: datetime) -> None:
        """A look is done; the next one is not before `until`."""
        values = {"looked_to": looked_to, "lease_until": until}
        async with self.engine.begin() as connection:
            await connection.execute(update(transaction_looks).where(_l.merchant_id == merchant_id).values(values))

    # Rows

    async def changed(self, merchant_id: UUID, since: datetime) -> list[UUID]:
        """What was opened before and changed since then, of every kind."""
        binds = {"merchant": merchant_id, "since": since, "new_from": ids_from(since), "most": MAX_CHANGED}
        async with self.reads.connect() as connection:
            return list((await connection.execute(text(CHANGED_SINCE), binds)).scalars())

    async def touched(
        self, merchant_id: UUID, rule: TransactionRule, since: datetime, changed: Collection[UUID]
    ) -> AsyncIterator[Mapping[str, datetime]]:
        """Keys of rows that are new since then, and of those `changed`, each with the first time of one; page by page.

        Raises RuleTooWideError.
        """
        parts = [seen(merchant_id, rule, NEW, {"new_from": ids_from(since)})]
        if changed:
            parts.append(seen(merchant_id, rule, CHANGED, {"changed": list(changed)}))
        rows = "\nUNION ALL\n".join(part.sql for part in parts)
        binds = {name: value for part in parts for name, value in part.binds.items()}
        # All of them by one statement: asked for by pages, the rows would be read again for each.
        sql = f"SELECT key, min(at) AS first_at FROM ({rows}) AS touched\nGROUP BY key"
        if rule.distinct in _OF_CARDS and rule.key in PRINTS:
            sql = f"SELECT key, first_at FROM ({sql}) AS t WHERE {ENOUGH_CARDS.format(print=PRINTS[rule.key])}"
            binds["threshold"] = rule.at_least
        found = await self._read(Seen(f"{sql} LIMIT {MAX_KEYS + 1}", binds), rule)
        if len(found) > MAX_KEYS:
            raise RuleTooWideError(rule.code, f"more than {MAX_KEYS} keys were touched since the last look")
        for first in range(0, len(found), KEYS_AT_ONCE):
            yield {row[0]: row[1] for row in found[first : first + KEYS_AT_ONCE]}

    async def rows(
        self,
        merchant_id: UUID,
        rule: TransactionRule,
        since: datetime,
        until: datetime,
        keys: Collection[str] | None = None,
    ) -> dict[str, list[SeenRow]]:
        """Rows after `since`, by key, of those keys that have enough of them to be too many; None: of every key.

        Raises RuleTooWideError.
        """
        binds = {"lowest": ids_from(since - ID_CLOCK_MARGIN), "since": since, "until": until}
        if keys is not None:
            binds["keys"] = keys_bound(rule, list(keys))
        of_keys = seen(merchant_id, rule, BETWEEN, binds, keyed=keys is not None)
        sql = f"""WITH seen AS MATERIALIZED ({of_keys.sql}),
enough AS (SELECT key FROM seen GROUP BY key HAVING {_enough(rule)}),
placed AS (
    SELECT s.*, row_number() OVER (PARTITION BY s.key ORDER BY s.at DESC) AS place
    FROM seen s WHERE s.key IN (SELECT key FROM enough)
)
SELECT key, kind, id, at, amount, "user", card FROM placed WHERE place <= {MAX_OF_KEY} LIMIT {MAX_ROWS + 1}"""
        threshold = {"threshold": rule.at_least if rule.sum_at_least is None else rule.sum_at_least}
        found = await self._read(Seen(sql, {**of_keys.binds, **threshold}), rule)
        if len(found) > MAX_ROWS:
            raise RuleTooWideError(rule.code, f"more than {MAX_ROWS} rows are of keys with enough of them")
        by_key: dict[str, list[SeenRow]] = defaultdict(list)
        told: set[tuple[str, UUID]] = set()
        for key, kind, object_id, at, amount, user, card in found:
            # A payout may be of a user in several ways, and is one row.
            if rule.distinct in (None, Distinct.KINDS):
                if (key, object_id) in told:
                    continue
                told.add((key, object_id))
            by_key[key].append(SeenRow(at, RuleKind(kind), object_id, amount, user, card))
        return by_key

    async def _read(self, asked: Seen, rule: TransactionRule) -> Sequence[Any]:
        statement = text(asked.sql).bindparams(
            *(bindparam(name, type_=ARRAY(Text)) for name in LIST_BINDS if name in asked.binds),
            *(
                bindparam(name, type_=ARRAY(LargeBinary if rule.key in PRINTS else Text))
                for name in ("keys",)
                if name in asked.binds
            ),
            *(bindparam(name, type_=ARRAY(Uuid)) for name in ("changed",) if name in asked.binds),
        )
        try:
            async with self.reads.connect() as connection:
                return (await connection.execute(statement, dict(asked.binds))).all()
        except DBAPIError as error:
            if is_cut(error):
                raise RuleTooWideError(rule.code, "its rows take longer to read than a read may") from None
            raise

    async def shown(self, merchant_id: UUID, rule: TransactionRule, key: str) -> KeyShown:
        """A card that has this number, phone or ID: how people see such a key."""
        column = cards.c[PRINTS[rule.key]]
        newest = (
            select(_c.card_id, _c.masked)
            .where(_c.merchant_id == merchant_id, column == bytes.fromhex(key))
            .order_by(_c.created_at.desc())
            .limit(1)
        )
        async with self.reads.connect() as connection:
            found = (await connection.execute(newest)).first()
        return KeyShown(found[0], found[1]) if found else KeyShown(None, "")

    # Hits

    async def hits(self, merchant_id: UUID) -> list[Hit]:
        """What has too many just now."""
        mine = select(_h.rule, _h.key, _h.since_at, _h.until_at).where(_h.merchant_id == merchant_id)
        async with self.engine.connect() as connection:
            return [Hit(*row) for row in await connection.execute(mine)]

    async def keep(self, merchant_id: UUID, hit: Hit) -> None:
        """A hit, or one that lasts longer."""
        new = upsert(transaction_hits).values(
            merchant_id=merchant_id, rule=hit.rule, key=hit.key, since_at=hit.since_at, until_at=hit.until_at
        )
        statement = new.on_conflict_do_update(
            constraint="transaction_hits_pkey", set_={"until_at": new.excluded.until_at}
        )
        async with self.engine.begin() as connection:
            await connection.execute(statement)

    async def drop(self, merchant_id: UUID, hit: Hit) -> None:
        """It is over."""
        gone = delete(transaction_hits).where(_h.merchant_id == merchant_id, _h.rule == hit.rule, _h.key == hit.key)
        async with self.engine.begin() as connection:
            await connection.execute(gone)


def _enough(rule: TransactionRule) -> str:
    """What every key that has too many in some window has in all of the time, too."""
    if rule.sum_at_least is not None:
        return "sum(amount) >= :threshold"
    match rule.distinct:
        case Distinct.CARDS:
            return "count(DISTINCT card) >= :threshold"
        case Distinct.USERS:
            return 'count(DISTINCT "user") >= :threshold'
        case Distinct.KINDS:
            return "count(DISTINCT kind) >= :threshold"
    return "count(*) >= :threshold"
