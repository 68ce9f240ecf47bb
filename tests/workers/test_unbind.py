"""What telling a PSP of an agreement that was given up comes to. Not tested here: its books (tests/storage)."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.domain.cards import CardElements
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, Unbound, Unknown
from gateway.domain.unbinding import Unbinding
from gateway.ports import NoSuchCommandError, Unbind, UnusableAccountError
from gateway.workers.unbind import GAPS, Unbinder
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, catalogue, channel

PLACE = catalogue((channel("up"),), ())
LATER = [("later", NOW + GAPS[0])]


class Books:
    """One agreement to tell of, and what became of it."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        return [MERCHANT_ID]

    async def claim(self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime) -> list[Unbinding]:
        return [Unbinding(merchant_id, UUID(int=7), "u1", "ICBC", "up-1", "up", 0, NOW, still=True)]

    async def end(self, unbinding: Unbinding, ended: str, now: datetime) -> None:
        self.told.append(ended)

    async def later(self, unbinding: Unbinding, due_at: datetime) -> None:
        self.told.append(("later", due_at))


class Cards:
    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements:
        return card_elements()

    async def ending_agreement_no(self, merchant_id: UUID, card_id: UUID, account: str) -> str | None:
        return "token-1"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Unbound(), ["unbound"]),
        (Declined(FailureCode.CHANNEL_REFUSED), ["refused"]),
        (Unknown("timeout"), LATER),
        (NoSuchCommandError("up-1", "mock", Unbind), ["unbound"]),
        # Its settings may be put right: until then nobody has told the PSP.
        (UnusableAccountError("up-1"), LATER),
    ],
    ids=repr,
)
async def test_it_ends_by_the_word_of_the_psp_or_where_there_is_no_way_to_tell_it(said: Any, told: list[Any]) -> None:
    async def call(*_: Any) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    books = Books()
    unbinder = Unbinder(books, Cards(), call, lambda: PLACE, lambda: NOW, uuid4)  # type: ignore[arg-type]
    await unbinder.tick()
    await unbinder.close()
    assert books.told == told
