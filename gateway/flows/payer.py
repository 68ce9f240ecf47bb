"""What is done about what waits for its payer: a code was typed, another SMS is wanted, it is given up.

A code goes to the PSP once and nowhere else: it is not kept, not logged, and not sent again.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.codes import ClosedReason
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.flows.in_hand import Tasks
from gateway.flows.submit import Submission
from gateway.ports import ActRefusal, Recorded, Wish

__all__ = ["ActRefusedError", "PayerFlow"]

Waiting = Payment | Authentication
W = TypeVar("W", bound=Waiting)


class ActRefusedError(Exception):
    """A wish that is not granted now. `wait_s`: how long to wait, where that is the reason."""

    def __init__(self, why: ActRefusal, wait_s: int = 0) -> None:
        super().__init__(why)
        self.why, self.wait_s = why, wait_s


class Reading(Protocol):
    """Reads what is acted upon, and its card."""

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements: ...

    async def payment(self, merchant_id: UUID, payment_id: UUID) -> Payment | None: ...

    async def authentication(self, merchant_id: UUID, authentication_id: UUID) -> Authentication | None: ...


@dataclass(frozen=True, slots=True)
class PayerFlow:
    """Confirm, resend and close. Each answers with the object as it is then; the answer waits a bounded time."""

    submission: Submission
    reading: Reading
    tasks: Tasks
    answer_within_s: float

    async def confirm(self, waiting: W, sms_code: str) -> W:
        """Submit the code that the payer typed. What needs none any more is answered as it is.

        Raises ActRefusedError, OverloadedError.
        """
        card = await self._card(waiting)
        recorded = await self._act(waiting, Wish.CONFIRM)
        if recorded.code is None or card is None:
            return cast("W", _shown(recorded))
        return await self._carried_out(waiting, recorded, self._submit(recorded, card, sms_code))

    async def resend(self, waiting: W) -> W:
        """Have the SMS sent once more. Raises ActRefusedError, OverloadedError."""
        card = await self._card(waiting)
        recorded = await self._act(waiting, Wish.RESEND)
        if recorded.sms is None or card is None:
            return cast("W", _shown(recorded))
        return await self._carried_out(waiting, recorded, self._send_again(recorded, card))

    async def close(self, waiting: W, reason: ClosedReason = ClosedReason.BY_APP) -> W:
        """Give it up. Where the PSP has an order that it may pay, it is asked first: once, and then not for a while.

        Raises ActRefusedError unless it is proved that nothing was; OverloadedError.
        """
        submission = self.submission
        recorded = await submission.books.act(submission.observations.act(waiting, Wish.CLOSE, reason))
        if not recorded.ask:
            return cast("W", _granted(recorded))
        assert isinstance(recorded.object, Payment)
        if recorded.object.is_on_a_page:
            return cast("W", await self._close_on_page(recorded.object))
        now, said = await submission.ask(recorded.object)
        if now.status is Status.CLOSED:
            return cast("W", now)
        if now.is_final:
            raise ActRefusedError(ActRefusal.NOT_WAITING)
        act = submission.observations.act(now, Wish.CLOSE, reason, said=said)
        return cast("W", _granted(await submission.books.act(act)))

    async def _close_on_page(self, payment: Payment) -> Payment:
        """Have the PSP give the order up, where it can, and ask it what became of it."""
        after = await self.submission.cancel(payment)
        if not after.is_final:
            after, _ = await self.submission.ask(after)
        if after.status is Status.CLOSED:
            return after
        raise ActRefusedError(ActRefusal.NOT_WAITING if after.is_final else ActRefusal.MAY_BE_PAID)

    async def _act(self, waiting: Waiting, wish: Wish) -> Recorded:
        recorded = await self.submission.books.act(self.submission.observations.act(waiting, wish))
        _granted(recorded)
        return recorded

    async def _submit(self, recorded: Recorded, card: CardElements, sms_code: str) -> None:
        if recorded.authentication is not None:
            await self.submission.sign(recorded.authentication, card, sms_code, recorded.continuation)
        else:
            assert isinstance(recorded.object, Payment)
            await self.submission.pay(recorded.object, card, recorded.agreement_no, sms_code, recorded.continuation)

    async def _send_again(self, recorded: Recorded, card: CardElements) -> None:
        sms = recorded.sms
        assert sms is not None
        if recorded.authentication is not None:
            await self.submission.sms_to_sign(recorded.authentication, sms, card, recorded.continuation)
        else:
            assert isinstance(recorded.object, Payment)
            await self.submission.sms_to_pay(recorded.object, sms, card, recorded.agreement_no, recorded.continuation)

    async def _carried_out(self, waiting: W, recorded: Recorded, work: Coroutine[Any, Any, None]) -> W:
        """Do it, whoever goes away meanwhile, and answer with the object as it is after a bounded time."""
        task = self.tasks.start(work)
        await asyncio.wait({task}, timeout=self.answer_within_s)
        if isinstance(waiting, Payment):
            now: Waiting | None = await self.reading.payment(waiting.merchant_id, waiting.payment_id)
        else:
            now = await self.reading.authentication(waiting.merchant_id, waiting.authentication_id)
        return cast("W", now or _shown(recorded))

    async def _card(self, waiting: Waiting) -> CardElements | None:
        """Read first what must not fail later."""
        if waiting.is_final:
            return None
        if isinstance(waiting, Authentication):
            return await self.reading.card(waiting.merchant_id, waiting.card_id)
        return await self.reading.card(waiting.merchant_id, waiting.card.card_id) if waiting.card else None


def _granted(recorded: Recorded) -> Waiting:
    if recorded.refused is not None:
        raise ActRefusedError(recorded.refused, recorded.wait_s)
    return _shown(recorded)


def _shown(recorded: Recorded) -> Waiting:
    assert isinstance(recorded.object, Payment | Authentication)
    return recorded.object
