"""Observe callbacks: verify who speaks, find the attempt, record what is said, answer as that PSP expects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import attempt_id_of
from gateway.domain.intents import Verb
from gateway.domain.transitions import Source
from gateway.flows.observations import ObservationMaker
from gateway.ports import CallbackAnswer, CallbackRejectedError, CallbackRequest, PaymentKey, Providers, Recording

log = structlog.get_logger(__name__)


class AttemptReading(Protocol):
    """Finds the payment of an attempt."""

    async def payment_of_attempt(self, merchant_id: UUID, account: str, attempt_id: UUID) -> PaymentKey | None: ...


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Receives what PSPs send on their own."""

    providers: Providers
    books: Recording
    observations: ObservationMaker
    attempts: AttemptReading
    catalogue: Callable[[], Catalogue]

    async def receive(self, account_name: str, request: CallbackRequest) -> CallbackAnswer | None:
        """One callback to `merchant.account`; None when there is no such account, or its PSP sends none.

        It is acknowledged only after what it says is committed.
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
        attempt_id = attempt_id_of(callback.number) if callback.verb is Verb.PAY else None
        payment = (
            await self.attempts.payment_of_attempt(account.merchant_id, account.code, attempt_id)
            if attempt_id
            else None
        )
        if payment is None:
            log.warning("callback for an unknown attempt", account=account.code)
            return reader.answer(accepted=False)
        await self.books.record(self.observations.payment(payment, Source.CALLBACK, callback.outcome))
        return reader.answer(accepted=True)
