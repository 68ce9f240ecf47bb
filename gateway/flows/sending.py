"""Send an intent to its PSP, once, and ask about what was sent: what every flow that calls a PSP shares."""

import asyncio
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from gateway.domain.intents import PRODUCT_OF, Intent
from gateway.domain.outcomes import AnyOutcome, NotSent, Unknown
from gateway.domain.terms import ANSWER_MARGIN_S
from gateway.flows.observations import ObservationMaker
from gateway.ports import Calls, Command, Providers, Recording

__all__ = ["SEND_WITHIN_S", "Sender", "tries"]

O = TypeVar("O", bound=AnyOutcome)  # noqa: E741 -- an outcome of any kind

SEND_WITHIN_S: Final = 5.0
"""An intent older than this is not sent any more: others may already be asking about it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Calls PSPs and records what they say."""

    providers: Providers
    calls: Calls
    books: Recording
    observations: ObservationMaker

    async def send(
        self, merchant_id: UUID, intent: Intent, command: Command[O], holder: UUID | None
    ) -> O | NotSent | Unknown:
        """Send an intent that is young enough; an answer that comes too late is none.

        `holder`: the object that may have a place of its channel already.
        """
        # A clock that was set back would give it hours: it was recorded before now, whatever the clock says.
        age_s = max((self.observations.clock() - intent.recorded_at).total_seconds(), 0.0)
        if age_s > SEND_WITHIN_S:
            return NotSent(f"not sent: {age_s:.0f} s had passed since the intent was recorded", ours=True)
        provider = self.providers.provider(merchant_id, intent.account)
        timeout_s = provider.declaration.terms[PRODUCT_OF[intent.verb]].answer_timeout_s
        try:
            # From its due time on others ask about it, so by then nothing may still be on its way to the wire.
            async with asyncio.timeout(timeout_s + ANSWER_MARGIN_S - age_s):
                within_s = SEND_WITHIN_S - age_s
                return await self.calls(merchant_id, intent.channel, intent.account, command, within_s, holder)
        except TimeoutError:
            return Unknown("no answer before it was due")

    async def ask_about(self, merchant_id: UUID, intent: Intent, command: Command[O]) -> O:
        """Ask. A question that was not sent told nothing; what it asks about may have been sent."""
        return await self.calls(merchant_id, intent.channel, intent.account, command)

    def can_do(self, merchant_id: UUID, account: str, kind: type[Command[AnyOutcome]]) -> bool:
        """Whether the account's protocol has such a request."""
        return kind in self.providers.provider(merchant_id, account).commands


def tries(intent: Intent) -> int:
    """Questions so far, for protocols whose questions carry a number of their own."""
    return intent.questions + intent.looks
