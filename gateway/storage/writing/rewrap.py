"""Rewrap cards: the key of each under the ring's primary, and what the first version wrote in today's form.

A batch is one transaction: it locks its users as every flush does, reads again, and writes. So payments go on beside
it, two rewraps at once do each other no harm, and one that was killed goes on where it ended: what is left to do is
told by the rows. Cards of a user that are the same one, typed differently, fall together here (`same_as`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import LockNotAvailableError

from gateway.domain.cards import CardElements
from gateway.domain.one_form import one_form
from gateway.logs import get
from gateway.storage.keys import CardBox, DecryptionError, Keys, UnknownKeyError
from gateway.storage.keys.ring import VERSION_BYTES
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import agreements, cards
from gateway.storage.writing.cards import preference, prints_of
from gateway.storage.writing.statement import Row, Write, differing
from gateway.storage.writing.users import busy_users, lock_users

__all__ = ["BATCH", "Batch", "Rewrap"]

BATCH = 100
"""Cards in one transaction: their users wait for it."""
READING_WITHIN_S = 600

log = get(__name__)

LEFT = """
merchant_id = $1 AND erased_at IS NULL
AND (data_key IS NULL OR substr(data_key, 1, 2) <> $2 OR (print IS NULL AND same_as IS NULL))
"""
COUNT_LEFT = f"SELECT count(*) FROM cards WHERE {LEFT}"
NEXT = f"SELECT card_id, user_id FROM cards WHERE {LEFT} AND card_id > $3 ORDER BY card_id LIMIT $4"
READ_AGAIN = f"""
SELECT card_id, user_id, data_key, elements, print, same_as, created_at FROM cards
WHERE {LEFT} AND card_id = ANY($3::uuid[]) ORDER BY created_at, card_id
"""
READ_HOLDERS = """
SELECT card_id, user_id, data_key, elements, print, same_as, created_at FROM cards
WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND print = ANY($3::bytea[]) AND print IS NOT NULL
"""
READ_AGREEMENTS = """
SELECT card_id, account, agreement_no, key_version, status, verified_at, voided_at FROM agreements
WHERE merchant_id = $1 AND card_id = ANY($2::uuid[])
"""
# Who was the same as a card that loses is the same as the one that wins.
FOLLOW = """
UPDATE cards c SET same_as = v.winner FROM unnest($2::uuid[], $3::uuid[]) AS v (loser, winner)
WHERE c.merchant_id = $1 AND c.same_as = v.loser
"""


@dataclass(slots=True)
class Batch:
    """What one batch did. `last` is where the next one begins; None: there is no next one."""

    last: UUID | None
    done: int = 0
    together: int = 0
    """Cards that from now on are found as another one."""
    busy: int = 0
    """Left out because somebody held their user."""
    missing: Counter[int] = field(default_factory=Counter)
    """Left out because this key is not in the ring."""
    broken: list[UUID] = field(default_factory=list)
    """Left out because they do not open though their key is there."""


@dataclass(slots=True)
class _Card:
    """A card while its batch is being worked out."""

    card_id: UUID
    user_id: str
    created_at: datetime
    data_key: bytes | None
    print_before: bytes | None
    same_as: UUID | None
    box: CardBox
    sealed: bytes = b""
    plain: CardElements | None = None
    """Set where the row is rewritten."""
    agreements: dict[str, Row] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    """Accounts whose agreement is written."""

    @property
    def preference(self) -> tuple[bool, datetime, UUID]:
        live = any(row["status"] == "active" for row in self.agreements.values())
        return preference(live, self.created_at, self.card_id)


class Rewrap:
    """Rewraps the cards of a merchant, batch by batch."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database, self._keys = database, keys
        self._primary = keys.ring.primary.to_bytes(VERSION_BYTES, "big")

    async def left(self, merchant_id: UUID) -> int:
        """How many cards are to be rewrapped."""
        return int((await self._read(COUNT_LEFT, merchant_id, self._primary))[0][0])

    async def batch(self, merchant_id: UUID, after: UUID, now: datetime) -> Batch:
        """The next cards behind `after`."""
        found = await self._read(NEXT, merchant_id, self._primary, after, BATCH)
        if not found:
            return Batch(None)
        last = found[-1][0]
        try:
            return await self._rewrap(merchant_id, [(row[0], row[1]) for row in found], last, now)
        except LockNotAvailableError:
            busy = await busy_users(self._database, merchant_id, (row[1] for row in found))
            free = [(row[0], row[1]) for row in found if row[1] not in busy]
            try:
                batch = await self._rewrap(merchant_id, free, last, now) if free else Batch(last)
            except LockNotAvailableError:  # somebody came between: the next round
                return Batch(last, busy=len(found))
            batch.busy = len(found) - len(free)
            return batch

    async def _read(self, sql: str, *values: object) -> Sequence[Any]:
        """Read what may look at every card; it locks nothing, so it may take its time."""
        async with self._database.long_transaction(READING_WITHIN_S) as connection:
            rows: Sequence[Any] = await connection.fetch(sql, *values, timeout=READING_WITHIN_S)
            return rows

    async def _rewrap(self, merchant_id: UUID, wanted: Sequence[tuple[UUID, str]], last: UUID, now: datetime) -> Batch:
        batch = Batch(last)
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, (user_id for _, user_id in wanted), now)
            # In a statement after the lock: another rewrap, or a payment, may have been here meanwhile.
            rows = await connection.fetch(READ_AGAIN, merchant_id, self._primary, [card_id for card_id, _ in wanted])
            held = await _agreements(connection, merchant_id, (row["card_id"] for row in rows))
            opened = [card for row in rows if (card := self._open(merchant_id, row, held, batch)) is not None]
            holders = await self._holders(connection, merchant_id, opened, batch)
            everyone = {card.card_id: card for card in (*holders.values(), *opened)}
            losers = self._fall_together(merchant_id, opened, holders, now)
            await self._write(connection, merchant_id, opened, everyone, losers)
        batch.done, batch.together = len(opened), len(losers)
        return batch

    def _open(self, merchant_id: UUID, row: Row, held: dict[UUID, list[Row]], batch: Batch) -> _Card | None:
        """A card with its elements and agreements under its own key, that key under the primary."""
        keys, card_id, wrapped = self._keys, row["card_id"], row["data_key"]
        try:
            before = keys.box(merchant_id, card_id, wrapped)
            typed = before.open_elements(row["elements"])
            if wrapped is None:
                box, data_key = keys.new_box(merchant_id, card_id)
            else:
                box, data_key = before, keys.rewrapped(merchant_id, card_id, wrapped)
            card = _Card(
                card_id, row["user_id"], row["created_at"], data_key, row["print"], row["same_as"], box,
                plain=one_form(typed),
            )  # fmt: skip
            anew = wrapped is None or card.plain is not typed
            card.sealed = box.seal_elements(one_form(typed)) if anew else row["elements"]
            for agreement in held.get(card_id, ()):
                account = agreement["account"]
                card.agreements[account] = agreement
                if agreement["key_version"] != box.version:
                    number = before.open_agreement(account, agreement["agreement_no"])
                    _put(card, agreement | {"agreement_no": box.seal_agreement(account, number)})
        except UnknownKeyError as error:
            batch.missing[error.number] += 1
            return None
        except DecryptionError:
            batch.broken.append(card_id)
            log.error("a card does not open though its key is in the ring", card_id=str(card_id))
            return None
        return card

    async def _holders(
        self, connection: Connection, merchant_id: UUID, opened: list[_Card], batch: Batch
    ) -> dict[tuple[str, bytes], _Card]:
        """The cards that have these cards' prints already, by user and print; those of the batch are its own.

        Where one of them does not open, who is the same as it leaves `opened` and waits for its key.
        """
        prints = {self._print(merchant_id, card) for card in opened if card.same_as is None}
        if not prints:
            return {}
        users = {card.user_id for card in opened}
        mine = {card.card_id: card for card in opened}
        rows = await connection.fetch(READ_HOLDERS, merchant_id, list(users), list(prints))
        held = await _agreements(connection, merchant_id, (row["card_id"] for row in rows))
        holders: dict[tuple[str, bytes], _Card] = {}
        for row in rows:
            card = mine.get(row["card_id"])
            if card is None:
                try:
                    box = self._keys.box(merchant_id, row["card_id"], row["data_key"])
                except DecryptionError as error:
                    batch.missing[error.number if isinstance(error, UnknownKeyError) else 0] += 1
                    opened[:] = [
                        one
                        for one in opened
                        if (one.user_id, self._print(merchant_id, one)) != (row["user_id"], row["print"])
                    ]
                    continue
                card = _Card(
                    row["card_id"], row["user_id"], row["created_at"], row["data_key"], row["print"], None, box
                )  # fmt: skip
                card.agreements = {agreement["account"]: agreement for agreement in held.get(card.card_id, ())}
            holders[card.user_id, row["print"]] = card
        return holders

    def _fall_together(
        self,
        merchant_id: UUID,
        opened: list[_Card],
        holders: dict[tuple[str, bytes], _Card],
        now: datetime,
    ) -> dict[UUID, _Card]:
        """Give each print to one card; who loses it, by id, and to whom. `holders` become those that have it then."""
        losers: dict[UUID, _Card] = {}
        for card in opened:
            if card.same_as is not None:
                continue
            key = (card.user_id, self._print(merchant_id, card))
            other = holders.get(key, card)
            winner, loser = sorted((card, other), key=lambda one: one.preference)
            holders[key] = winner
            if winner is not loser:
                _give_agreements(loser, winner, now)
                losers[loser.card_id] = winner
        return losers

    def _print(self, merchant_id: UUID, card: _Card) -> bytes:
        assert card.plain is not None
        return self._keys.order.print_of_card(merchant_id, card.plain)

    async def _write(
        self,
        connection: Connection,
        merchant_id: UUID,
        opened: list[_Card],
        everyone: dict[UUID, _Card],
        losers: dict[UUID, _Card],
    ) -> None:
        same_as = {card_id: _last(card_id, losers) for card_id in losers}
        # First those go that had a print: it is another's in the next statement.
        gone = [card_id for card_id in losers if everyone[card_id].print_before is not None]
        first = Write(merchant_id)
        first.update(
            cards,
            [{"card_id": card_id, "print": None, "same_as": same_as[card_id]} for card_id in gone],
            by=["card_id"],
        )
        await first.run(connection, "SELECT 1")
        if gone:
            await connection.execute(FOLLOW, merchant_id, gone, [same_as[card_id] for card_id in gone])
        then = Write(merchant_id)
        then.update(cards, [self._row(merchant_id, card, same_as) for card in opened], by=["card_id"])
        changed = [card.agreements[account] for card in everyone.values() for account in sorted(card.changed)]
        news = differing(["agreement_no", "key_version", "status", "verified_at", "voided_at"])
        then.insert(agreements, changed, conflict=f"ON CONFLICT (merchant_id, card_id, account) DO UPDATE SET {news}")
        await then.run(connection, "SELECT 1")

    def _row(self, merchant_id: UUID, card: _Card, same_as: dict[UUID, UUID]) -> Row:
        assert card.plain is not None
        other = same_as.get(card.card_id) or (same_as.get(card.same_as, card.same_as) if card.same_as else None)
        row = prints_of(merchant_id, card.plain, self._keys)
        return {
            "card_id": card.card_id,
            "data_key": card.data_key,
            "elements": card.sealed,
            **row,
            "print": None if other else row["print"],
            "same_as": other,
            "fingerprint": None,
            "key_version": None,
        }


def _last(card_id: UUID, losers: dict[UUID, _Card]) -> UUID:
    """Who wins in the end: who wins over one card may lose to the next."""
    while card_id in losers:
        card_id = losers[card_id].card_id
    return card_id


def _give_agreements(loser: _Card, winner: _Card, now: datetime) -> None:
    """What the loser has goes to the winner: live agreements, and the history of who verified the card."""
    for account, row in loser.agreements.items():
        live, theirs = row["status"] == "active", winner.agreements.get(account)
        if theirs is None or (live and theirs["status"] != "active"):
            number = loser.box.open_agreement(account, row["agreement_no"])
            _put(winner, row | {"agreement_no": winner.box.seal_agreement(account, number)})
        if live:
            _put(loser, row | {"status": "void", "voided_at": now})


def _put(card: _Card, row: Row) -> None:
    row |= {"card_id": card.card_id, "key_version": card.box.version}
    card.agreements[row["account"]] = row
    card.changed.add(row["account"])


async def _agreements(connection: Connection, merchant_id: UUID, card_ids: Iterable[UUID]) -> dict[UUID, list[Row]]:
    by_card: dict[UUID, list[Row]] = defaultdict(list)
    for row in await connection.fetch(READ_AGREEMENTS, merchant_id, list(card_ids)):
        by_card[row["card_id"]].append(dict(row))
    return by_card
