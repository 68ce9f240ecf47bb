"""The block list: what is on it, adding, finding and removing; and proposals, which wait for a person.

A value comes in a body alone, never in an address, and is shown masked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, model_validator

from gateway.api.admin.anomalies import says_something
from gateway.api.admin.changes import Snapshots, catalogue_route
from gateway.api.admin.endpoints import Word
from gateway.api.admin.fields import MAX_NAME
from gateway.api.admin.paths import MERCHANT, merchant_of
from gateway.api.http.fields import PAGE, Lines, Moment, OneLine, PageSize, QueryModel, RequestModel, id_field, wrong
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.blocks import (
    MAX_REASON,
    Block,
    BlockedValue,
    BlockKind,
    BlockProposal,
    BlockValueError,
    ProposalState,
    blocked_value,
)
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.domain.identities import IdType
from gateway.domain.ids import BLOCK, PROPOSAL, IdError, read
from gateway.objects.blocks import block_object, proposal_object

__all__ = ["BlockCalls", "Blocks"]

BLOCKS = f"{MERCHANT}/blocks"
PROPOSALS = f"{MERCHANT}/block_proposals"
MAX_VALUES = 500
"""In one call, which is one version of the catalogue."""


class Blocks(Protocol):
    """The block list: a `BlockStore`. What is not there raises NotInCatalogueError."""

    async def put(
        self,
        merchant_id: UUID,
        wanted: Sequence[BlockedValue],
        *,
        reason: str,
        expires_at: datetime | None,
        by: str,
        now: datetime,
    ) -> list[Block]: ...

    async def remove(self, merchant_id: UUID, block_id: UUID, *, by: str, note: str, now: datetime) -> Block: ...

    async def page(
        self, merchant_id: UUID, limit: int, *, before: UUID | None = None, kind: BlockKind | None = None
    ) -> list[Block]: ...

    async def find(self, merchant_id: UUID, wanted: BlockedValue) -> Block | None: ...

    async def proposals(
        self, merchant_id: UUID, limit: int, *, before: UUID | None = None, state: ProposalState
    ) -> list[BlockProposal]: ...

    async def accept(
        self, merchant_id: UUID, proposal_id: UUID, *, by: str, note: str, expires_at: datetime | None, now: datetime
    ) -> Block: ...

    async def reject(
        self, merchant_id: UUID, proposal_id: UUID, *, by: str, note: str, now: datetime
    ) -> BlockProposal: ...


if TYPE_CHECKING:
    BlockId: TypeAlias = UUID
    ProposalId: TypeAlias = UUID
else:
    BlockId, ProposalId = id_field(BLOCK), id_field(PROPOSAL)


class BlockValue(RequestModel):
    """What is blocked: a whole value, in any way that people type it."""

    kind: Annotated[BlockKind, Field(strict=False)]
    value: Annotated[str, Field(max_length=64, repr=False)]
    id_type: Annotated[
        IdType | None, Field(strict=False, description="of id_no: the paper that it is of; absent: id_card")
    ] = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        try:
            blocked_value(self.kind, self.value, self.id_type)
        except BlockValueError as error:
            raise wrong("wrong_format", str(error), field="value") from None
        return self

    @property
    def blocked(self) -> BlockedValue:
        """In its one form."""
        return blocked_value(self.kind, self.value, self.id_type)


class NewBlocks(RequestModel):
    """What to block from now on, and until when; absent or null: until it is removed."""

    values: Annotated[list[BlockValue], Field(min_length=1, max_length=MAX_VALUES)]
    reason: Annotated[Lines, Field(min_length=1, max_length=MAX_REASON), AfterValidator(says_something)]
    by: Annotated[
        OneLine, Field(min_length=1, max_length=MAX_NAME, description="who says so"), AfterValidator(says_something)
    ]
    expires_at: Moment | None = None


class BlockSearch(QueryModel):
    """Entries, those that were added last first. `after` is the `next` before."""

    kind: BlockKind | None = None
    limit: PageSize = PAGE
    after: BlockId | None = None


class Acceptance(Word):
    """Who blocks what was proposed, why, and until when; absent or null: until it is removed."""

    expires_at: Moment | None = None


class ProposalSearch(QueryModel):
    """Proposals, newest first: those that wait, or those that were rejected. `after` is the `next` before."""

    state: ProposalState = ProposalState.PROPOSED
    limit: PageSize = PAGE
    after: ProposalId | None = None


class BlockAnswer(BaseModel):
    """An entry of the block list."""

    object: Literal["block"]
    id: str
    kind: BlockKind
    value: Annotated[str, Field(description="masked: whole values are kept nowhere")]
    reason: str
    by_file: Annotated[bool, Field(description="it stands in the catalogue file, and leaves the list with it")]
    added_by: str
    added_at: str
    expires_at: Annotated[str | None, Field(description="null: until it is removed")]
    expired: Annotated[bool, Field(description="it blocks nothing any more")]


class BlockList(BaseModel):
    """Entries of the block list."""

    data: list[BlockAnswer]


class BlockPage(BlockList):
    """A page of the block list."""

    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


class ProposalAnswer(BaseModel):
    """What is proposed to be blocked. The last three fields are null while it waits for a person."""

    object: Literal["block_proposal"]
    id: str
    kind: BlockKind
    value: Annotated[str, Field(description="masked")]
    reason: str
    state: ProposalState
    proposed_by: str
    proposed_at: str
    decided_by: str | None
    decided_at: str | None
    note: str | None


class ProposalPage(BaseModel):
    """A page of proposals."""

    data: list[ProposalAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


@dataclass(frozen=True, slots=True)
class BlockCalls:
    """The calls of the block list."""

    store: Blocks
    snapshots: Snapshots
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of the block list."""
        entries, entry = Answer(BlockList, "the entries as they are now"), Answer(BlockAnswer, "the entry")
        found, page = Answer(BlockList, "its entry, or none"), Answer(BlockPage, "one page")
        one, proposal = f"{BLOCKS}/{{block}}", f"{PROPOSALS}/{{proposal}}"
        return [
            catalogue_route("GET", BLOCKS, self.page, "a merchant's block list", page, query=BlockSearch),
            catalogue_route("POST", BLOCKS, self.add, "block users, cards, IDs, phones", entries, body=NewBlocks),
            catalogue_route(
                "POST", f"{BLOCKS}/search", self.find, "whether a value is blocked", found, 200, body=BlockValue
            ),
            catalogue_route("POST", f"{one}/remove", self.remove, "unblock", entry, 200, body=Word),
            catalogue_route(
                "GET",
                PROPOSALS,
                self.proposals,
                "what is proposed to be blocked",
                Answer(ProposalPage, "one page"),
                query=ProposalSearch,
            ),
            catalogue_route(
                "POST", f"{proposal}/accept", self.accept, "block what was proposed", entry, 200, body=Acceptance
            ),
            catalogue_route(
                "POST",
                f"{proposal}/reject",
                self.reject,
                "do not block what was proposed",
                Answer(ProposalAnswer, "the proposal as it is now"),
                200,
                body=Word,
            ),
        ]

    async def page(self, call: Call) -> Reply:
        merchant_id, asked, now = await self._merchant_id(call), call.query, self.clock()
        # One more than the page tells whether there is a next one.
        found = await self.store.page(merchant_id, asked.limit + 1, before=asked.after, kind=asked.kind)
        return _page([block_object(block, now) for block in found], asked.limit)

    async def add(self, call: Call) -> Reply:
        merchant_id, body, now = await self._merchant_id(call), call.body, self.clock()
        wanted = [each.blocked for each in body.values]
        added = await self.store.put(
            merchant_id, wanted, reason=body.reason, expires_at=body.expires_at, by=body.by, now=now
        )
        await self.snapshots.refresh_now()
        return Reply({"data": [block_object(block, now) for block in added]}, 201)

    async def find(self, call: Call) -> Reply:
        found = await self.store.find(await self._merchant_id(call), call.body.blocked)
        return Reply({"data": [block_object(found, self.clock())] if found else []})

    async def remove(self, call: Call) -> Reply:
        merchant_id, said, now = await self._merchant_id(call), call.body, self.clock()
        block_id = _id(BLOCK, call.path["block"], "block")
        removed = await self.store.remove(merchant_id, block_id, by=said.by, note=said.note, now=now)
        await self.snapshots.refresh_now()
        return Reply(block_object(removed, now))

    async def proposals(self, call: Call) -> Reply:
        merchant_id, asked = await self._merchant_id(call), call.query
        found = await self.store.proposals(merchant_id, asked.limit + 1, before=asked.after, state=asked.state)
        return _page([proposal_object(proposal) for proposal in found], asked.limit)

    async def accept(self, call: Call) -> Reply:
        merchant_id, said, now = await self._merchant_id(call), call.body, self.clock()
        proposal_id = _id(PROPOSAL, call.path["proposal"], "proposal")
        block = await self.store.accept(
            merchant_id, proposal_id, by=said.by, note=said.note, expires_at=said.expires_at, now=now
        )
        await self.snapshots.refresh_now()
        return Reply(block_object(block, now))

    async def reject(self, call: Call) -> Reply:
        merchant_id, said = await self._merchant_id(call), call.body
        proposal_id = _id(PROPOSAL, call.path["proposal"], "proposal")
        rejected = await self.store.reject(merchant_id, proposal_id, by=said.by, note=said.note, now=self.clock())
        return Reply(proposal_object(rejected))

    async def _merchant_id(self, call: Call) -> UUID:
        return merchant_of(await self.snapshots.refresh_now(), call).merchant_id


def _page(shown: list[dict[str, Any]], limit: int) -> Reply:
    page = shown[:limit]
    return Reply({"data": page, "next": page[-1]["id"] if len(shown) > limit else None})


def _id(prefix: str, text: str, what: str) -> UUID:
    try:
        return read(prefix, text)
    except IdError:
        raise NotInCatalogueError(what) from None
