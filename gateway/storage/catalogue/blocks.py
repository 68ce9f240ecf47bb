"""The block list and its proposals: what operators change one by one, and what later parts propose.

Whatever blocks is changed as a version of the catalogue, so every process hears of it and the history says by whom. A
proposal blocks nothing and makes no version; accepting one does.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    RowMapping,
    Table,
    Text,
    and_,
    any_,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.blocks import REJECTED_FOR, Block, BlockedValue, BlockKind, BlockProposal, ProposalState
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.storage.catalogue.block_rows import block_of, print_of, proposal_of
from gateway.storage.catalogue.changing import Work
from gateway.storage.catalogue.store import new_id
from gateway.storage.keys import OrderKey
from gateway.storage.tables import block_proposals, blocks

__all__ = ["BlockStore"]

Change = Callable[[str, str, datetime, Work], Awaitable[int]]
"""By whom, a note, when, and what is done: `CatalogueStore.change`."""

Print = tuple[str, bytes]
"""A kind, and the print of a value of it."""

_b, _p = blocks.c, block_proposals.c


@dataclass(frozen=True, slots=True)
class BlockStore:
    """Changes and lists entries, by merchant. What is not there raises NotInCatalogueError."""

    engine: AsyncEngine
    keys: OrderKey
    change: Change
    new_id: Callable[[], UUID] = new_id

    # Entries

    async def put(
        self,
        merchant_id: UUID,
        wanted: Sequence[BlockedValue],
        *,
        reason: str,
        expires_at: datetime | None,
        by: str,
        now: datetime,
    ) -> list[Block]:
        """Block these. One that is on the list already gets the reason and the end, and stays who added it and when."""
        prints = {(each.kind.value, print_of(self.keys, merchant_id, each)): each.masked for each in wanted}

        async def work(connection: AsyncConnection) -> bool:
            return await _put(connection, merchant_id, prints, reason, expires_at, by, now, self.new_id)

        await self.change(by, f"blocked: {_named(prints)}", now, work)
        found = await self._blocks(merchant_id, _of(blocks, prints))
        by_print = {(row["kind"], bytes(row["print"])): block_of(row) for row in found}
        return [by_print[key] for key in prints if key in by_print]

    async def remove(self, merchant_id: UUID, block_id: UUID, *, by: str, note: str, now: datetime) -> Block:
        """Take an entry off the list."""
        mine = and_(_b.merchant_id == merchant_id, _b.block_id == block_id)
        found = await self._blocks(merchant_id, mine)
        if not found:
            raise NotInCatalogueError("block")
        block = block_of(found[0])

        async def work(connection: AsyncConnection) -> bool:
            gone = await connection.execute(delete(blocks).where(mine).returning(_b.block_id))
            return gone.first() is not None

        await self.change(by, f"unblocked: {block.kind} {block.value}: {note}", now, work)
        return block

    async def page(
        self, merchant_id: UUID, limit: int, *, before: UUID | None = None, kind: BlockKind | None = None
    ) -> list[Block]:
        """Entries, those that were added last first."""
        asked: list[ColumnElement[bool]] = [_b.merchant_id == merchant_id]
        asked += [_b.block_id < before] if before is not None else []
        asked += [_b.kind == kind.value] if kind is not None else []
        return [block_of(row) for row in await self._blocks(merchant_id, and_(*asked), limit)]

    async def find(self, merchant_id: UUID, wanted: BlockedValue) -> Block | None:
        """The entry of a value, or None."""
        key = (wanted.kind.value, print_of(self.keys, merchant_id, wanted))
        found = await self._blocks(merchant_id, _of(blocks, [key]))
        return block_of(found[0]) if found else None

    async def _blocks(
        self, merchant_id: UUID, which: ColumnElement[bool], limit: int | None = None
    ) -> list[RowMapping]:
        statement = select(blocks).where(_b.merchant_id == merchant_id, which).order_by(_b.block_id.desc()).limit(limit)
        async with self.engine.connect() as connection:
            return list((await connection.execute(statement)).mappings())

    # Proposals

    async def propose(self, merchant_id: UUID, wanted: BlockedValue, *, reason: str, by: str, now: datetime) -> bool:
        """Ask a person to block this; whether they are asked now. Safe to repeat, and from several processes at once.

        They are not where it is blocked, or proposed already, or was rejected in the last `REJECTED_FOR`.
        """
        printed = print_of(self.keys, merchant_id, wanted)
        return await self.propose_print(merchant_id, wanted.kind, printed, wanted.masked, reason=reason, by=by, now=now)

    async def propose_print(
        self, merchant_id: UUID, kind: BlockKind, printed: bytes, masked: str, *, reason: str, by: str, now: datetime
    ) -> bool:
        """The same for a value that is known by its print alone. `masked`: how people see it."""
        key = (kind.value, printed)
        row = {
            "merchant_id": merchant_id,
            "proposal_id": self.new_id(),
            "kind": key[0],
            "print": key[1],
            "masked": masked,
            "reason": reason,
            "state": ProposalState.PROPOSED.value,
            "proposed_by": by,
            "proposed_at": now,
            "decided_by": None,
            "decided_at": None,
            "note": None,
        }
        new = upsert(block_proposals).values(row)
        again = {name: new.excluded[name] for name in row if name not in {"merchant_id", "kind", "print"}}
        statement = new.on_conflict_do_update(
            constraint="block_proposals_print_key",
            set_=again,
            where=and_(_p.state == ProposalState.REJECTED.value, _p.decided_at <= now - REJECTED_FOR),
        ).returning(_p.proposal_id)
        in_force = or_(_b.expires_at.is_(None), _b.expires_at > now)
        async with self.engine.begin() as connection:
            there = select(_b.block_id).where(_b.merchant_id == merchant_id, _of(blocks, [key]), in_force)
            if (await connection.execute(there)).first() is not None:
                return False
            return (await connection.execute(statement)).first() is not None

    async def proposals(
        self, merchant_id: UUID, limit: int, *, before: UUID | None = None, state: ProposalState
    ) -> list[BlockProposal]:
        """Proposals in a state, the newest first."""
        mine = and_(_p.merchant_id == merchant_id, _p.state == state.value)
        if before is not None:
            mine = and_(mine, _p.proposal_id < before)
        statement = select(block_proposals).where(mine).order_by(_p.proposal_id.desc()).limit(limit)
        async with self.engine.connect() as connection:
            return [proposal_of(row) for row in (await connection.execute(statement)).mappings()]

    async def accept(
        self, merchant_id: UUID, proposal_id: UUID, *, by: str, note: str, expires_at: datetime | None, now: datetime
    ) -> Block:
        """Block what was proposed, also where it had been rejected: the entry has the proposal's reason."""
        proposal = await self._proposal(merchant_id, proposal_id)
        key = (proposal["kind"], bytes(proposal["print"]))

        async def work(connection: AsyncConnection) -> bool:
            taken = delete(block_proposals).where(*_is(merchant_id, proposal_id)).returning(_p.proposal_id)
            if (await connection.execute(taken)).first() is None:
                raise NotInCatalogueError("proposal")
            masked = {key: proposal["masked"]}
            await _put(connection, merchant_id, masked, proposal["reason"], expires_at, by, now, self.new_id)
            return True

        said = f"blocked as proposed by {proposal['proposed_by']}: {proposal['kind']} {proposal['masked']}: {note}"
        await self.change(by, said, now, work)
        (row,) = await self._blocks(merchant_id, _of(blocks, [key]))
        return block_of(row)

    async def reject(self, merchant_id: UUID, proposal_id: UUID, *, by: str, note: str, now: datetime) -> BlockProposal:
        """Do not block it. One that was rejected before stays as it was."""
        values = {"state": ProposalState.REJECTED.value, "decided_by": by, "decided_at": now, "note": note}
        open_one = and_(*_is(merchant_id, proposal_id), _p.state == ProposalState.PROPOSED.value)
        async with self.engine.begin() as connection:
            await connection.execute(update(block_proposals).where(open_one).values(values))
        return proposal_of(await self._proposal(merchant_id, proposal_id))

    async def _proposal(self, merchant_id: UUID, proposal_id: UUID) -> RowMapping:
        async with self.engine.connect() as connection:
            found = select(block_proposals).where(*_is(merchant_id, proposal_id))
            row = (await connection.execute(found)).mappings().first()
        if row is None:
            raise NotInCatalogueError("proposal")
        return row


async def _put(
    connection: AsyncConnection,
    merchant_id: UUID,
    masked: Mapping[Print, str],
    reason: str,
    expires_at: datetime | None,
    by: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> bool:
    """Entries of these prints, each with how it is shown; whether that changed any."""
    found = select(_b.kind, _b.print, _b.reason, _b.expires_at).where(
        _b.merchant_id == merchant_id, _of(blocks, masked)
    )
    known = {(kind, bytes(printed)): said for kind, printed, *said in await connection.execute(found)}
    new = [
        {
            "merchant_id": merchant_id,
            "block_id": new_id(),
            "kind": kind,
            "print": printed,
            "masked": shown,
            "reason": reason,
            "by_file": False,
            "added_by": by,
            "added_at": now,
            "expires_at": expires_at,
        }
        for (kind, printed), shown in masked.items()
        if (kind, printed) not in known
    ]
    if new:
        await connection.execute(insert(blocks), new)
    others = [key for key, said in known.items() if said != [reason, expires_at]]
    if others:
        changed = update(blocks).where(_b.merchant_id == merchant_id, _of(blocks, others))
        await connection.execute(changed.values(reason=reason, expires_at=expires_at))
    return bool(new or others)


def _of(table: Table, keys: Collection[Print]) -> ColumnElement[bool]:
    """Rows of these kinds and prints. A print is of one kind alone: the kinds are there for the index."""
    kinds, prints = sorted({kind for kind, _ in keys}), [printed for _, printed in keys]
    return and_(
        table.c.kind == any_(literal(kinds, ARRAY(Text))), table.c.print == any_(literal(prints, ARRAY(LargeBinary)))
    )


def _is(merchant_id: UUID, proposal_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return _p.merchant_id == merchant_id, _p.proposal_id == proposal_id


def _named(masked: Mapping[Print, str]) -> str:
    """For the history: one by its mask, more by their number."""
    if len(masked) > 1:
        return f"{len(masked)} values"
    return "".join(f"{kind} {shown}" for (kind, _), shown in masked.items())
