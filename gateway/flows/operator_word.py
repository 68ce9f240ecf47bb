"""An operator's record of a PSP's written word: the way out for what stays unknown, and no other way of ending it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gateway.domain.hearing import Source
from gateway.domain.ids import ObjectKind
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.flows.observations import ObservationMaker
from gateway.ports import IntentKey, Recorded, Recording

__all__ = ["NothingSentError", "OperatorWord"]


class NothingSentError(Exception):
    """Nothing of the object was ever sent, so a PSP cannot have said anything of it."""


class IntentReading(Protocol):
    """Finds the intent of an object, by which its money moves."""

    async def intent_of_object(self, merchant_id: UUID, kind: ObjectKind, object_id: UUID) -> IntentKey | None:
        """None: there is no such object. Raises NothingSentError."""
        ...


@dataclass(frozen=True, slots=True)
class OperatorWord:
    """Records what a PSP told a person: kept with who says so and where it stands, applied like any other word."""

    intents: IntentReading
    books: Recording
    observations: ObservationMaker

    async def record(
        self,
        merchant_id: UUID,
        kind: ObjectKind,
        object_id: UUID,
        outcome: Outcome | AuthenticationOutcome,
        *,
        by: str,
        note: str,
    ) -> Recorded | None:
        """The object after the word; None: there is no such object. Raises NothingSentError."""
        intent = await self.intents.intent_of_object(merchant_id, kind, object_id)
        if intent is None:
            return None
        return await self.books.record(self.observations.of(intent, Source.OPERATOR, outcome, f"{by}: {note}"))
