"""Telling our books what a statement says: what was unknown is settled or lost, what cannot be true is an anomaly.

The comparison of a day is committed first, with what is to be told. Telling it is safe to repeat: a word that says
nothing new changes nothing, so whoever died in the middle is followed by another run, or by a worker.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import OBJECT_OF, Verb
from gateway.domain.outcomes import Declined, NotFound, Outcome, Returned, ReturnReason, Succeeded
from gateway.domain.reconciled import Word
from gateway.flows.observations import ObservationMaker
from gateway.flows.operator_word import NothingSentError
from gateway.ports import IntentKey, Recording

__all__ = ["StatementWords", "Untold"]

AT_ONCE: Final = 32
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Untold:
    """What a day's comparison has to say to our books of one object. `amount` in fen, as the line states it."""

    difference_id: UUID
    merchant_id: UUID
    verb: Verb
    object_id: UUID
    word: Word
    account: str
    day: date
    amount: int | None
    transaction_no: str | None
    done_at: datetime | None

    @property
    def outcome(self) -> Outcome:
        """As an adapter would say it."""
        match self.word:
            case Word.SUCCEEDED:
                return Succeeded(self.amount, self.transaction_no, self.done_at)
            case Word.RETURNED:
                return Returned(ReturnReason.OTHER, amount=self.amount)
            case Word.DECLINED:
                message = f"not done, as the statement of {self.day} says"
                return Declined(FailureCode.CHANNEL_REFUSED, channel_message=message)
            case Word.NOT_RECEIVED:
                return NotFound()


class UntoldWords(Protocol):
    """Where what is to be told stands (implemented by `gateway.storage.reconciling.words`)."""

    async def untold(self, merchant_id: UUID, after: UUID | None, limit: int) -> Sequence[Untold]: ...

    async def told(self, merchant_id: UUID, differences: Sequence[UUID], at: datetime) -> None: ...


class IntentReading(Protocol):
    """Finds the intent of an object, by which its money moves."""

    async def intent_of_object(self, merchant_id: UUID, kind: ObjectKind, object_id: UUID) -> IntentKey | None: ...


@dataclass(frozen=True, slots=True)
class StatementWords:
    """Tells all that is untold of a merchant."""

    words: UntoldWords
    intents: IntentReading
    books: Recording
    observations: ObservationMaker

    async def tell(self, merchant_id: UUID) -> int:
        """How many words were told. Raises the first error of a word, after all others were told."""
        told, after, failed = 0, None, None
        while page := await self.words.untold(merchant_id, after, PAGE):
            after = page[-1].difference_id
            places = asyncio.Semaphore(AT_ONCE)
            results = await asyncio.gather(*(self._tell(each, places) for each in page), return_exceptions=True)
            heard = [each.difference_id for each, error in zip(page, results, strict=True) if error is None]
            await self.words.told(merchant_id, heard, self.observations.clock())
            told += len(heard)
            failed = failed or next((error for error in results if error is not None), None)
        if failed is not None:
            raise failed
        return told

    async def _tell(self, untold: Untold, places: asyncio.Semaphore) -> None:
        async with places:
            kind = OBJECT_OF[untold.verb]
            try:
                intent = await self.intents.intent_of_object(untold.merchant_id, kind, untold.object_id)
            except NothingSentError:
                return
            if intent is None:
                return
            note = f"the statement of {untold.account} of {untold.day}"
            await self.books.record(self.observations.of(intent, Source.STATEMENT, untold.outcome, note))
