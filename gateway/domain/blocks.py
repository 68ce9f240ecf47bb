"""The block list: users, card numbers, ID numbers and phones that a merchant takes no payments from.

A value is compared in its one form and by its print alone; people see it masked.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from gateway.domain.cards import mask_card_no
from gateway.domain.identities import IdType, is_id_number
from gateway.domain.one_form import id_in_one_form, number_in_one_form
from gateway.domain.texts import odd_in_name

__all__ = [
    "MAX_REASON",
    "REJECTED_FOR",
    "Block",
    "BlockKind",
    "BlockProposal",
    "BlockValueError",
    "BlockedValue",
    "ProposalState",
    "blocked_value",
]

MAX_REASON = 200
"""Characters."""
REJECTED_FOR: Final = timedelta(days=30)
"""What a person rejected is not proposed again for so long."""
MAX_USER = 64
HIDDEN = 4
"""Characters that a mask hides at least, of values that have so many."""


class BlockKind(StrEnum):
    """What an entry blocks. The order is that in which a decision names what blocked it."""

    USER = "user"
    CARD_NO = "card_no"
    ID_NO = "id_no"
    PHONE = "phone"


class ProposalState(StrEnum):
    """What became of a proposal; one that was accepted is an entry of the list instead."""

    PROPOSED = "proposed"
    REJECTED = "rejected"


class BlockValueError(ValueError):
    """A value that cannot be blocked. The message says what it must be, never what it was."""


@dataclass(frozen=True, slots=True)
class BlockedValue:
    """What is blocked, in its one form."""

    kind: BlockKind
    value: str = field(repr=False)
    id_type: IdType = IdType.ID_CARD
    """Of an ID number: of which paper."""

    @property
    def masked(self) -> str:
        """As people see it."""
        match self.kind:
            case BlockKind.CARD_NO:
                return mask_card_no(self.value)
            case BlockKind.USER:
                return _masked(self.value, 2, 2)
        return _masked(self.value, 3, 4)


@dataclass(frozen=True, slots=True)
class Block:
    """An entry of the list. `value`: masked."""

    merchant_id: UUID
    block_id: UUID
    kind: BlockKind
    value: str
    reason: str
    by_file: bool
    """It stands in the catalogue file, and leaves the list when it leaves the file."""
    added_by: str
    added_at: datetime
    expires_at: datetime | None
    """From then on it blocks nothing, and stays on the list until it is removed."""

    def is_over(self, now: datetime) -> bool:
        """Whether it blocks nothing any more."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class BlockProposal:
    """What somebody or something wants blocked; it blocks nothing until a person accepts it. `value`: masked."""

    merchant_id: UUID
    proposal_id: UUID
    kind: BlockKind
    value: str
    reason: str
    state: ProposalState
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str | None


def blocked_value(kind: BlockKind, typed: str, id_type: IdType | None = None) -> BlockedValue:
    """What is blocked, from what somebody typed. Raises BlockValueError."""
    if id_type is not None and kind is not BlockKind.ID_NO:
        raise BlockValueError("has id_type, which is for id_no alone")
    paper = id_type or IdType.ID_CARD
    value = _FORMS[kind](typed)
    is_one = is_id_number(paper, value) if kind is BlockKind.ID_NO else _IS_ONE[kind](value)
    if not is_one:
        raise BlockValueError(_MUST_BE[kind])
    return BlockedValue(kind, value, paper)


def _as_it_is(value: str) -> str:
    return value


def _is_user(value: str) -> bool:
    return 1 <= len(value) <= MAX_USER and value == value.strip() and odd_in_name(value) is None


_FORMS: Final[Mapping[BlockKind, Callable[[str], str]]] = {
    BlockKind.USER: _as_it_is,
    BlockKind.CARD_NO: number_in_one_form,
    BlockKind.ID_NO: id_in_one_form,
    BlockKind.PHONE: number_in_one_form,
}
_IS_ONE: Final[Mapping[BlockKind, Callable[[str], object]]] = {
    BlockKind.USER: _is_user,
    BlockKind.CARD_NO: re.compile(r"[0-9]{12,19}").fullmatch,
    BlockKind.PHONE: re.compile(r"1[0-9]{10}").fullmatch,
}
_MUST_BE: Final[Mapping[BlockKind, str]] = {
    BlockKind.USER: "must be a user_id of 1 to 64 characters, without spaces at its ends",
    BlockKind.CARD_NO: "must be a whole card number of 12 to 19 digits",
    BlockKind.ID_NO: "must be the number of an ID card, or of the paper in id_type",
    BlockKind.PHONE: "must be the 11 digits of a Chinese mobile number",
}


def _masked(value: str, first: int, last: int) -> str:
    """Its ends; of a short one less, so that enough of it stays hidden."""
    while first + last and first + last > len(value) - HIDDEN:
        first, last = first - (first >= last), last - (last > first)
    hidden = len(value) - first - last
    return value[:first] + "*" * hidden + value[len(value) - last :]
