"""Rows of the block list as values of the domain, and the prints of its values."""

from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from gateway.domain.blocks import Block, BlockedValue, BlockKind, BlockProposal, ProposalState
from gateway.storage.keys import OrderKey

__all__ = ["block_of", "print_of", "proposal_of"]


def print_of(keys: OrderKey, merchant_id: UUID, blocked: BlockedValue) -> bytes:
    """The print by which payers are compared with an entry."""
    match blocked.kind:
        case BlockKind.USER:
            return keys.print_of_user(merchant_id, blocked.value)
        case BlockKind.CARD_NO:
            return keys.print_of_number(merchant_id, blocked.value)
        case BlockKind.ID_NO:
            return keys.print_of_id(merchant_id, blocked.id_type, blocked.value)
        case BlockKind.PHONE:
            return keys.print_of_phone(merchant_id, blocked.value)


def block_of(row: RowMapping | dict[str, Any]) -> Block:
    """An entry."""
    return Block(
        merchant_id=row["merchant_id"],
        block_id=row["block_id"],
        kind=BlockKind(row["kind"]),
        value=row["masked"],
        reason=row["reason"],
        by_file=row["by_file"],
        added_by=row["added_by"],
        added_at=row["added_at"],
        expires_at=row["expires_at"],
    )


def proposal_of(row: RowMapping | dict[str, Any]) -> BlockProposal:
    """A proposal."""
    return BlockProposal(
        merchant_id=row["merchant_id"],
        proposal_id=row["proposal_id"],
        kind=BlockKind(row["kind"]),
        value=row["masked"],
        reason=row["reason"],
        state=ProposalState(row["state"]),
        proposed_by=row["proposed_by"],
        proposed_at=row["proposed_at"],
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        note=row["note"],
    )
