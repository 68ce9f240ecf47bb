"""The process dies at each seam of a payment with authentication and of a refund: nothing is sent twice or forgotten.

After each death another gateway follows up what is due, and the app sends its order again, as it would. Not here:
processes that are really killed (tests/e2e/test_crash), many at once (test_waiting, test_refunding).
"""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.failures import FailureCode
from gateway.domain.ids import number_of
from gateway.domain.orders import Order, RefundOrder
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.storage.reading.doctor import examine
from tests.keys import new_keys
from tests.storage.seams import Clock, Gateway, Psp, Seams, new_name
from tests.unit.domain.samples import card_elements, order, refund_order

MOST_SEAMS = 80


class Place:
    """A database, a PSP, and gateways that come and go."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine, self.keys, self.psp, self.clock = engine, new_keys(), Psp(), Clock()

    def gateway(self, dies_at: int | None = None) -> Gateway:
        return Gateway(self.engine, self.keys, self.psp, self.clock, Seams(dies_at))

    def sent_nothing_twice(self) -> None:
        assert set(self.psp.sent.values()) <= {1}

    async def is_well(self) -> None:
        """Nothing was submitted twice, and the books of all that died agree with themselves."""
        self.sent_nothing_twice()
        wrong = await examine(self.engine, self.clock())
        assert wrong == []

    async def paid(self) -> Payment:
        gateway = self.gateway()
        payment = await gateway.pay(an_order())
        assert payment is not None
        await gateway.follow_up()
        return payment


@pytest.fixture
def place(engine: AsyncEngine) -> Place:
    return Place(engine)


def an_order() -> Order:
    name = new_name()
    return order(f"order-{name}", user_id=f"user-{name}", card=card_elements(int(name[:6], 16)))


async def test_a_payment_with_authentication_dies_at_each_of_its_seams(place: Place) -> None:
    died_at: list[str] = []
    for seam in range(1, MOST_SEAMS):
        asked, dying = an_order(), place.gateway(dies_at=seam)
        if await dying.pay(asked) is not None:
            break
        died_at.append(dying.seams.passed[-1])
        await place.gateway().follow_up()
        after = place.gateway()
        again = await after.pay(asked)
        await after.follow_up()
        final = await place.gateway().pay(asked)
        assert again is not None
        assert final is not None
        assert final.payment_id == again.payment_id, died_at[-1]
        at_the_psp = place.psp.orders.get(number_of(final.payment_id))
        paid = {Status.SUCCEEDED: asked.amount}.get(final.status)
        assert final.is_final, died_at[-1]
        assert at_the_psp == paid, died_at[-1]
        assert final.sequence == 1, died_at[-1]
        place.sent_nothing_twice()
    await place.is_well()
    assert {"before Authenticate is sent", "before the answer to Authenticate is heard", "before Pay is sent"} <= {
        *died_at
    }
    assert died_at.count("after COMMIT") == died_at.count("before COMMIT") == 3, died_at


async def test_a_refund_dies_at_each_of_its_seams(place: Place) -> None:
    died_at: list[str] = []
    payment = await place.paid()
    left = payment.amount
    for seam in range(1, MOST_SEAMS):
        asked: RefundOrder = refund_order(f"refund-{new_name()}", payment_id=payment.payment_id, amount=10)
        dying = place.gateway(dies_at=seam)
        if await dying.refund(asked) is not None:
            left -= asked.amount
            break
        died_at.append(dying.seams.passed[-1])
        await place.gateway().follow_up()
        after = place.gateway()
        again = await after.refund(asked)
        await after.follow_up()
        final = await place.gateway().refund(asked)
        assert again is not None
        assert final is not None
        assert final.refund_id == again.refund_id, died_at[-1]
        assert final.is_final, died_at[-1]
        at_the_psp = place.psp.orders.get(number_of(final.refund_id))
        assert at_the_psp == {Status.SUCCEEDED: 10}.get(final.status), died_at[-1]
        assert final.sequence == 1, died_at[-1]
        left -= at_the_psp or 0
        place.sent_nothing_twice()
    await place.is_well()
    assert {"before Refund is sent", "before the answer to Refund is heard"} <= {*died_at}
    assert died_at.count("after COMMIT") == died_at.count("before COMMIT") == 2, died_at
    assert await _left(place, payment) == left


async def test_those_who_wait_for_an_authentication_outlive_the_one_that_started_it(place: Place) -> None:
    for seam in range(1, MOST_SEAMS):
        first = an_order()
        more = [order(f"{first.merchant_order_no}-{n}", user_id=first.user_id, card=first.card) for n in range(2)]
        dying, other, bound_before = place.gateway(dies_at=seam), place.gateway(), len(place.psp.bound)
        if await dying.pay(first) is not None:
            break
        where = dying.seams.passed[-1]
        waiting = [await other.pay(each) for each in more]
        await other.follow_up()
        assert all(waiting), where
        finals = [await place.gateway().pay(each) for each in more]
        # What was recorded and not sent is never sent anew: those who waited for it fail, and nothing was charged.
        opened = len(place.psp.bound) - bound_before
        expected = (Status.SUCCEEDED, None) if opened else (Status.FAILED, FailureCode.AUTHENTICATION_UNKNOWN)
        assert {(p.status, p.failure and p.failure.code) for p in finals if p} == {expected}, where
        assert opened <= 1, where
        place.sent_nothing_twice()
    await place.is_well()


async def _left(place: Place, payment: Payment) -> Any:
    again = await place.gateway()._due.payment(payment.merchant_id, payment.payment_id)
    assert again is not None
    return again.amount - again.refunded
