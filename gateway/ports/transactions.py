"""What looks at transactions read and remember (implemented by `gateway.storage.watching.transactions`)."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from gateway.domain.transaction_hits import SeenRow
from gateway.domain.transaction_rules import TransactionRule

__all__ = ["Hit", "KeyShown", "RuleTooWideError", "TransactionRows", "TransactionWatching"]


class RuleTooWideError(Exception):
    """A rule that takes more than a rule may. `why` says of what; nothing was found by it."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(f"the transaction rule {rule} is too wide: {why}")
        self.rule, self.why = rule, why


@dataclass(frozen=True, slots=True)
class Hit:
    """A key that has too many by a rule."""

    rule: str
    key: str
    since_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A card that stands for a number, phone or ID; None: it is erased meanwhile."""

    card_id: UUID | None
    masked: str


class TransactionRows(Protocol):
    """Reads rows that fit a rule."""

    async def rows(
        self,
        merchant_id: UUID,
        rule: TransactionRule,
        since: datetime,
        until: datetime,
        keys: Collection[str] | None = None,
    ) -> dict[str, list[SeenRow]]: ...

    async def shown(self, merchant_id: UUID, rule: TransactionRule, key: str) -> KeyShown: ...


class TransactionWatching(TransactionRows, Protocol):
    """And remembers between looks."""

    async def claim(self, merchant_id: UUID, now: datetime, lease: timedelta) -> tuple[bool, datetime | None]: ...

    async def looked(self, merchant_id: UUID, looked_to: datetime, until: datetime) -> None: ...

    async def changed(self, merchant_id: UUID, since: datetime) -> Collection[UUID]: ...

    def touched(
        self, merchant_id: UUID, rule: TransactionRule, since: datetime, changed: Collection[UUID]
    ) -> AsyncIterator[Mapping[str, datetime]]: ...

    async def hits(self, merchant_id: UUID) -> list[Hit]: ...

    async def keep(self, merchant_id: UUID, hit: Hit) -> None: ...

    async def drop(self, merchant_id: UUID, hit: Hit) -> None: ...
