"""Agreements that users gave up, and whose PSPs are told until they say so. Pure."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

__all__ = ["Unbinding"]


@dataclass(frozen=True, slots=True)
class Unbinding:
    """An agreement that was given up, and whose PSP is to be told. `still`: the card was not bound anew since."""

    merchant_id: UUID
    card_id: UUID
    user_id: str
    bank: str
    account: str
    channel: str
    tries: int
    asked_at: datetime
    still: bool
