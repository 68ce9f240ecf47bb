"""How the block list is shown to operators: masked values, and who says so."""

from datetime import datetime
from typing import Any

from gateway.domain.blocks import Block, BlockProposal
from gateway.domain.ids import BLOCK, PROPOSAL, show
from gateway.objects.times import timestamp

__all__ = ["block_object", "proposal_object"]


def block_object(block: Block, now: datetime) -> dict[str, Any]:
    """An entry of the list."""
    return {
        "object": "block",
        "id": show(BLOCK, block.block_id),
        "kind": block.kind,
        "value": block.value,
        "reason": block.reason,
        "by_file": block.by_file,
        "added_by": block.added_by,
        "added_at": timestamp(block.added_at),
        "expires_at": timestamp(block.expires_at),
        "expired": block.is_over(now),
    }


def proposal_object(proposal: BlockProposal) -> dict[str, Any]:
    """A proposal."""
    return {
        "object": "block_proposal",
        "id": show(PROPOSAL, proposal.proposal_id),
        "kind": proposal.kind,
        "value": proposal.value,
        "reason": proposal.reason,
        "state": proposal.state,
        "proposed_by": proposal.proposed_by,
        "proposed_at": timestamp(proposal.proposed_at),
        "decided_by": proposal.decided_by,
        "decided_at": timestamp(proposal.decided_at),
        "note": proposal.note,
    }
