"""Observe callbacks: verify who speaks, find the intent, record what is said, answer as that PSP expects."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from gateway.domain.catalogue import Catalogue
from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Outcome
from gateway.flows.observations import ObservationMaker, readable
from gateway.ports import (
    Callback,
    CallbackAnswer,
    CallbackRejectedError,
    CallbackRequest,
    DatabaseAwayError,
    IntentKey,
    OverloadedError,
    Providers,
    Recording,
    UnusableAccountError,
)

log = structlog.get_logger(**{"log.logger": __name__})

COMMIT_WITHIN_S = 10.0
"""A callback that is not recorded by then is refused, which loses nothing: the PSP sends it again, and is asked."""
RETRY_AFTER_S = 5
RETURN_WITHIN_S = 3.0
"""How long a payer who came back waits for what they brought to be recorded."""


class IntentReading(Protocol):
    """Finds whose intent an order at a PSP is for, and keeps words about orders that nobody here asked for."""

    async def intent_of_number(self, merchant_id: UUID, account: str, number: str, verb: Verb) -> IntentKey | None: ...

    async def keep_stray(
        self, merchant_id: UUID, account: str, number: str, verb: Verb, outcome: Outcome, now: datetime
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Receives what PSPs send on their own."""

    providers: Providers
    books: Recording
    observations: ObservationMaker
    intents: IntentReading
    catalogue: Callable[[], Catalogue]

    async def receive(self, account_name: str, request: CallbackRequest) -> CallbackAnswer | None:
        """One callback to `merchant.account`; None when there is no such account, or its PSP sends none.

        It is acknowledged only after what it says is committed; raises DatabaseAwayError when that takes too long.
        What is truly the PSP's word about an order that nobody here asked for is kept. A refund may have been made by
        hand at the PSP: it is acknowledged. A payment always stands in the books before it is sent: one that does not
        was meant for somebody else.
        """
        account = self.catalogue().account_of_callback(account_name)
        if account is None:
            return None
        reader = self.providers.provider(account.merchant_id, account.code).callbacks
        if reader is None:
            return None
        try:
            callback = reader.read(request)
        except CallbackRejectedError as error:
            log.warning("callback rejected", account=account.code, reason=str(error))
            return reader.answer(accepted=False)
        try:
            async with asyncio.timeout(COMMIT_WITHIN_S):
                accepted = await self._record(account.merchant_id, account.code, callback)
        except TimeoutError:
            log.warning("callback not recorded in time, and refused", account=account.code)
            raise DatabaseAwayError(RETRY_AFTER_S) from None
        return reader.answer(accepted=accepted)

    async def came_back(self, account_name: str, request: CallbackRequest) -> tuple[UUID, UUID] | None:
        """What a payer's browser brought from the PSP: believed and recorded, or nothing at all.

        Merchant and payment that it is about. The payer is not kept waiting: what is not recorded in time comes again
        by the PSP's own callback, and by asking.
        """
        account = self.catalogue().account_of_callback(account_name)
        if account is None:
            return None
        try:
            reader = self.providers.provider(account.merchant_id, account.code).callbacks
            callback = reader.read(request) if reader else None
        except (CallbackRejectedError, UnusableAccountError):
            return None
        if callback is None:
            return None
        intent = await self.intents.intent_of_number(account.merchant_id, account.code, callback.number, callback.verb)
        if intent is None:
            return None
        try:
            async with asyncio.timeout(RETURN_WITHIN_S):
                await self.books.record(self.observations.of(intent, Source.CALLBACK, callback.outcome))
        except (TimeoutError, OverloadedError, UnusableAccountError):
            log.warning("what a payer's browser brought was not recorded in time", account=account.code)
        return account.merchant_id, intent.object_id

    async def _record(self, merchant_id: UUID, account: str, callback: Callback) -> bool:
        """Record what a callback says; whether it is acknowledged."""
        place = (merchant_id, account, callback.number, callback.verb)
        intent = await self.intents.intent_of_number(*place)
        if intent is None:
            log.warning("callback about an order that nobody here asked for", account=account, verb=callback.verb)
            await self.intents.keep_stray(*place, readable(callback.outcome), self.observations.clock())
            return callback.verb is not Verb.PAY
        await self.books.record(self.observations.of(intent, Source.CALLBACK, callback.outcome))
        return True
