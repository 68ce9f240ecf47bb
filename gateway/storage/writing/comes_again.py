"""What is answered to orders that come again: the payment that has their number, or the answer that was lost."""

from collections.abc import Mapping
from uuid import UUID

from gateway.domain.ids import ObjectKind
from gateway.domain.orders import Order
from gateway.domain.payments import Payment
from gateway.flows.intents import sms_to_pay, sms_to_sign
from gateway.flows.opening import Opened, Opening
from gateway.ports import OpenResult, OrderConflictError
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.server.database import Connection
from gateway.storage.writing.authentications import authentications_by_id
from gateway.storage.writing.opening_page import OpeningPage, order_key
from gateway.storage.writing.orders import OrderKey, TakenOrder, same_content
from gateway.storage.writing.payments import payments_by_id

__all__ = ["ComesAgain", "Known"]

Known = tuple[Payment | None, TakenOrder]
"""What an order number is taken by: a payment as it is now, or (None) something else."""


class ComesAgain:
    """What flushes do about order numbers that are taken."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def known(
        self, connection: Connection, merchant_id: UUID, taken: Mapping[OrderKey, TakenOrder]
    ) -> dict[OrderKey, Known]:
        """What has the order numbers that were used before."""
        ids = [order.object_id for order in taken.values() if order.object is ObjectKind.PAYMENT]
        found = {p.payment_id: p for p in await payments_by_id(connection, merchant_id, ids)} if ids else {}
        return {key: (found.get(order.object_id), order) for key, order in taken.items()}

    async def resume(
        self, connection: Connection, page: OpeningPage, opening: Opening, payment: Payment | None, taken: TakenOrder
    ) -> None:
        """If the row is our own, the answer to an earlier COMMIT was lost, and the flush is tried again.

        What it recorded is ours to send as long as nobody else has asked about it.
        """
        if payment is None or taken.object_id != opening.payment_id:
            return
        # Nothing of it is ours to send where the router refused it, where it waits for another's authentication, or
        # where it stands in line.
        waits = payment.waits_for_authentication and payment.authentication_id != opening.authentication_id
        ours = payment.channel is None or waits or payment.waits_for_place
        result = OpenResult(payment, replayed=not ours)
        attempt, asked = payment.attempt, payment.asked
        if attempt is not None and attempt.intent_id == opening.intent_id and attempt.is_untouched:
            try:
                result = OpenResult(payment, replayed=False, agreement_no=self._agreement(page, payment))
            except DecryptionError as error:
                page.refused[order_key(opening.order)] = stand_back(error)
        elif asked is not None and asked.sending and asked.sms == 1 and not waits and not payment.is_final:
            try:
                agreement_no = self._agreement(page, payment)
            except DecryptionError as error:
                page.refused[order_key(opening.order)] = stand_back(error)
            else:
                sms = sms_to_pay(payment, opening.intent_id, payment.created_at)
                result = OpenResult(payment, replayed=False, agreement_no=agreement_no, sms=sms)
        elif payment.waits_for_authentication and payment.authentication_id is not None:
            ids = [payment.authentication_id]
            found = (await authentications_by_id(connection, page.merchant_id, ids)).get(ids[0])
            mine, signs = (found.intent, found.asked) if found else (None, None)
            if mine and mine.intent_id == opening.intent_id and mine.is_untouched:
                result = OpenResult(payment, replayed=False, authentication=found)
            elif found and mine is None and signs and signs.sending and signs.sms == 1 and not waits:
                sms = sms_to_sign(found, opening.intent_id, found.created_at)
                result = OpenResult(payment, replayed=False, authentication=found, sms=sms)
        page.resumed[payment.payment_id] = result

    def result(
        self, opening: Opening, fresh: dict[OrderKey, Opened], known: dict[OrderKey, Known], page: OpeningPage
    ) -> OpenResult | Exception:
        key = order_key(opening.order)
        if key in page.refused:
            return page.refused[key]
        new = fresh.get(key)
        if new is not None:
            payment = new.payment
            if payment.payment_id == opening.payment_id:
                agreement_no = page.agreements.get(payment.payment_id)
                return OpenResult(payment, False, agreement_no, new.authentication, new.sms)
            same = new.opening.order.body == opening.order.body
            return OpenResult(payment, replayed=True) if same else OrderConflictError(opening.order.merchant_order_no)
        if opening.payment_id in page.resumed:
            return page.resumed[opening.payment_id]
        before, taken = known[key]
        if before is None or not self._is_the_same(opening.order, before, taken):
            return OrderConflictError(opening.order.merchant_order_no)
        return OpenResult(before, replayed=True)

    def _is_the_same(self, order: Order, payment: Payment, taken: TakenOrder) -> bool:
        """Whether an order has the content of the one that took its number."""
        same = same_content(self._keys, taken, order.body_in(taken.hash_form))
        if same is not None:
            return same
        # The key of the first version's hash has left the ring. What cannot be compared is no conflict: an app that is
        # told of one takes a new number, and the user pays twice.
        return (order.kind, order.scene, order.user_id, order.amount, order.currency) == (
            payment.kind,
            payment.scene,
            payment.user_id,
            payment.amount,
            payment.currency,
        )

    def _agreement(self, page: OpeningPage, payment: Payment) -> str | None:
        if payment.account is None or payment.card is None:
            return None
        facts = page.facts.of(page.merchant_id, payment.user_id, payment.card.card_id, self._keys)
        return facts.agreements.get(payment.account)
