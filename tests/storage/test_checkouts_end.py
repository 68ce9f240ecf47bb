"""How checkouts end that nobody pays: by the clock, which waits for a payment that is open, and by their app.

Not here: what ends them with a payment (test_checkouts), what is asked of a PSP before a payment is given up
(test_payer_acts, tests/e2e/test_pages).
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

import pytest

from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import Checkout, TryRefusal
from gateway.domain.codes import ClosedReason
from gateway.domain.outcomes import CodeSent
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.flows.cashier import Try
from gateway.flows.checkouts import CheckoutFlow
from gateway.flows.payer import ActRefusedError
from gateway.ports import ActRefusal, CheckoutRefusedError, OpenResult, Wish
from gateway.workers.checkouts import CheckoutWatch
from tests.storage.gateway_process import Process, payment_in
from tests.storage.payers import EACH, asks, code_word, does
from tests.storage.tills import FAILED, PAID, Till, till_place, why_not
from tests.unit.domain.samples import MERCHANT_ID, NOW, checkout_order, later

OVER: Final = later(minutes=11)
"""After the time of a checkout."""
MINUTE: Final = timedelta(seconds=61)
AS_BEFORE: Final = (
    "UPDATE checkouts SET status = 'open', won_by = NULL, finished_at = NULL, until_at = expires_at, sequence = 0",
    "DELETE FROM deliveries d USING events e WHERE d.event_id = e.event_id AND e.object = 'checkout'",
    "DELETE FROM events WHERE object = 'checkout'",
)
"""What a process that knows no checkouts would not have written."""


def watch(till: Till, now: datetime) -> CheckoutWatch:
    """The clock of a process."""
    return CheckoutWatch(till.store, lambda: till.process.catalogue, lambda: now, uuid4, lambda _: False)


class Acts:
    """Closes what waits for its payer as flows do, where no PSP need be asked."""

    def __init__(self, till: Till, at: datetime = NOW) -> None:
        self._till, self._at = till, at

    async def close(self, waiting: Try, reason: ClosedReason = ClosedReason.BY_APP) -> Try:
        done = await does(self._till.process, waiting, Wish.CLOSE, self._at, reason=reason)
        if done.refused is not None or done.ask:
            raise ActRefusedError(done.refused or ActRefusal.MAY_BE_PAID)
        assert isinstance(done.object, Payment | Authentication)
        return done.object


async def cancel(till: Till, checkout: Checkout, at: datetime = NOW) -> Checkout:
    """What an app's call does."""
    flow = CheckoutFlow(till.store, Acts(till, at), lambda: at, uuid4)
    return await flow.cancel(*await till.both(checkout))


async def why_not_canceled(till: Till, checkout: Checkout, at: datetime = NOW) -> ActRefusal:
    with pytest.raises(ActRefusedError) as caught:
        await cancel(till, checkout, at)
    return caught.value.why


async def waits_for_a_code(till: Till, checkout: Checkout, ordinal: int = 1) -> Payment:
    """A try whose payer has an SMS."""
    till.process.catalogue = till_place(EACH)
    opened = await till.tries(checkout, ordinal)
    return payment_in(await till.process.books.record(asks(opened.payment, opened.sms, CodeSent("c"))))


# --- by the clock ---


async def test_two_processes_whose_clocks_end_a_checkout_tell_it_once(till: Till, other: Till) -> None:
    checkouts = [await till.opens(f"recharge-{n}") for n in range(5)]
    await asyncio.gather(*(watch(each, NOW).tick() for each in (till, other)))
    assert {(await till.now(each)).status for each in checkouts} == {Status.OPEN}
    await asyncio.gather(*(watch(each, OVER).tick() for each in (till, other)))
    for checkout in checkouts:
        after = await till.now(checkout)
        assert (after.status, after.finished_at, after.until_at) == (Status.EXPIRED, OVER, None)
        assert await till.types(checkout) == ["checkout.expired"]
    assert await till.store.merchants_with_work([MERCHANT_ID], later(days=9)) == []


async def test_many_looks_at_once_are_one_end(till: Till, other: Till) -> None:
    checkout = await till.opens()
    cause = uuid4()
    looks = [each.looks(checkout, OVER, cause) for each in (till, other) for _ in range(5)]
    assert {each.status for each in await asyncio.gather(*looks)} == {Status.EXPIRED}
    assert await till.types(checkout) == ["checkout.expired"]


async def test_a_look_before_its_time_changes_nothing(till: Till) -> None:
    checkout = await till.opens()
    assert await till.looks(checkout, later(minutes=9)) == checkout
    assert await till.types(checkout) == []


async def test_a_checkout_whose_payment_is_open_stays_open_until_that_is_paid(till: Till) -> None:
    checkout = await till.opens(expires_in_s=60)
    payment = await till.tries_at_a_bank(checkout, at=later(seconds=50))
    for at in (later(seconds=61), later(seconds=130)):
        await watch(till, at).tick()
        after = await till.now(checkout)
        assert (after.status, after.until_at) == (Status.OPEN, at + timedelta(minutes=1))
    assert await why_not(till.cancels(checkout, later(seconds=131))) is TryRefusal.IN_PROGRESS
    await till.process.heard(payment, PAID, at=later(seconds=150))
    await watch(till, later(minutes=30)).tick()
    assert (await till.now(checkout)).status is Status.SUCCEEDED
    assert await till.types(checkout) == ["checkout.succeeded"]


async def test_a_checkout_that_was_kept_open_by_its_payment_expires_with_it(till: Till) -> None:
    checkout = await till.opens(expires_in_s=60)
    payment = (await till.tries(checkout, at=later(seconds=50))).payment
    await watch(till, later(seconds=61)).tick()
    await till.process.heard(payment, FAILED, at=later(seconds=90))
    after = await till.now(checkout)
    assert (after.status, after.finished_at, after.until_at) == (Status.EXPIRED, later(seconds=90), None)
    assert await till.types(checkout) == ["checkout.expired"]
    [failed] = await till.told(payment)
    assert failed["data"]["checkout"]["status"] == "expired", "its order is over, too"
    assert await why_not(till.tries(checkout, 2, at=later(seconds=91))) is TryRefusal.NOT_OPEN


async def test_a_failure_before_its_time_leaves_it_open_to_the_end(till: Till) -> None:
    checkout = await till.opens()
    await till.fails(checkout)
    assert (await till.now(checkout)).status is Status.OPEN
    assert await why_not(till.tries(checkout, 2, at=OVER)) is TryRefusal.EXPIRED
    await watch(till, OVER).tick()
    assert (await till.now(checkout)).status is Status.EXPIRED


async def test_a_payment_that_begins_while_the_clock_ends_it_keeps_it_open_or_is_refused(
    till: Till, other: Till
) -> None:
    """Whoever comes first: it never ends with an open payment, which the doctor would tell of."""
    for place in range(20):
        checkout = await till.opens(f"recharge-{place}", expires_in_s=600)
        # The two clocks differ, as far as clocks may.
        tries = till.tries(checkout, at=later(seconds=599))
        begun, _ = await asyncio.gather(tries, other.looks(checkout, later(seconds=601)), return_exceptions=True)
        after, found = await till.both(checkout)
        if isinstance(begun, OpenResult):
            assert (after.status, len(found)) == (Status.OPEN, 1)
        else:
            assert isinstance(begun, CheckoutRefusedError)
            assert (after.status, found) == (Status.EXPIRED, [])


async def test_a_success_that_a_process_of_before_recorded_is_told_when_somebody_looks(till: Till) -> None:
    checkout = await till.opens()
    payment = (await till.tries(checkout)).payment
    await till.process.heard(payment, PAID)
    for sql in AS_BEFORE:
        await till.process.rows(sql)
    after = await till.looks(checkout, later(minutes=1))
    assert (after.status, after.won_by) == (Status.SUCCEEDED, payment.payment_id)
    assert await till.types(checkout) == ["checkout.succeeded"]


# --- by its app ---


async def test_an_app_cancels_what_nobody_has_tried(till: Till) -> None:
    checkout = await till.opens()
    for _ in range(2):
        assert (await cancel(till, checkout)).status is Status.CANCELED
    assert await till.types(checkout) == ["checkout.canceled"]
    assert await why_not(till.tries(checkout)) is TryRefusal.NOT_OPEN
    await watch(till, OVER).tick()
    assert await till.types(checkout) == ["checkout.canceled"]


async def test_two_processes_cancel_at_once_and_it_is_told_once(till: Till, other: Till) -> None:
    checkout = await till.opens()
    done = await asyncio.gather(*(cancel(each, checkout) for each in (till, other) * 5))
    assert {each.status for each in done} == {Status.CANCELED}
    assert await till.types(checkout) == ["checkout.canceled"]


async def test_to_cancel_closes_what_waits_for_a_code(till: Till) -> None:
    checkout = await till.opens()
    payment = await waits_for_a_code(till, checkout)
    assert (await cancel(till, checkout)).status is Status.CANCELED
    assert (await till.process.read(payment)).status is Status.CLOSED
    assert await till.types(payment) == ["payment.requires_action", "payment.closed"]
    [end] = await till.told(checkout)
    assert [each["status"] for each in end["data"]["payments"]] == ["closed"]


async def test_what_may_be_paid_is_not_canceled(till: Till) -> None:
    """At a bank's page, with a code on its way, and while a PSP has the order."""
    at_a_bank, with_a_code, sent = await till.opens("a"), await till.opens("b"), await till.opens("c")
    await till.tries_at_a_bank(at_a_bank)
    waiting = await waits_for_a_code(till, with_a_code)
    submitted = await does(till.process, waiting, Wish.CONFIRM)
    assert submitted.code is not None
    till.process.catalogue = till_place()
    await till.tries(sent)
    for checkout in (at_a_bank, with_a_code, sent):
        assert await why_not_canceled(till, checkout) is ActRefusal.MAY_BE_PAID
        assert (await till.now(checkout)).status is Status.OPEN
    await till.process.books.record(code_word(waiting, PAID))
    assert (await till.now(with_a_code)).status is Status.SUCCEEDED
    assert await why_not_canceled(till, with_a_code) is ActRefusal.NOT_WAITING


async def test_what_has_ended_otherwise_is_not_canceled(till: Till) -> None:
    paid, expired = await till.opens("a"), await till.opens("b")
    await till.pays(paid)
    assert await why_not_canceled(till, paid) is ActRefusal.NOT_WAITING
    assert await why_not_canceled(till, expired, OVER) is ActRefusal.NOT_WAITING
    assert (await till.now(expired)).status is Status.EXPIRED, "its time was over before"
    assert await till.types(expired) == ["checkout.expired"]
    assert await till.types(paid) == ["checkout.succeeded"]


async def test_a_payment_that_begins_while_its_app_cancels_is_there_or_it_is_canceled(till: Till, other: Till) -> None:
    for place in range(20):
        checkout = await till.opens(f"recharge-{place}")
        pair = [till.tries(checkout), cancel(other, checkout)]
        begun, ended = await asyncio.gather(*pair[:: -1 if place % 2 else 1], return_exceptions=True)
        if place % 2:
            begun, ended = ended, begun
        after, found = await till.both(checkout)
        if isinstance(begun, OpenResult):
            assert isinstance(ended, ActRefusedError)
            assert (ended.why, after.status, len(found)) == (ActRefusal.MAY_BE_PAID, Status.OPEN, 1)
        else:
            assert isinstance(begun, CheckoutRefusedError)
            assert (after.status, found) == (Status.CANCELED, [])


async def test_a_success_while_its_app_cancels_is_a_success(till: Till, other: Till) -> None:
    for place in range(10):
        checkout = await till.opens(f"recharge-{place}")
        payment = (await till.tries(checkout)).payment
        _, ended = await asyncio.gather(
            till.process.heard(payment, PAID), cancel(other, checkout), return_exceptions=True
        )
        assert isinstance(ended, ActRefusedError)
        assert (await till.now(checkout)).status is Status.SUCCEEDED
        assert await till.types(checkout) == ["checkout.succeeded"]


@pytest.mark.parametrize("ends", ["look", "cancel"])
async def test_an_end_whose_commits_answer_is_lost_is_found_by_who_comes_again(till: Till, ends: str) -> None:
    checkout, process = await till.opens(), till.process
    losing = Till(Process(process.engine, process.keys, process.catalogue, lost_commits=1))
    again = losing.looks if ends == "look" else losing.cancels
    at = OVER if ends == "look" else NOW
    with pytest.raises(ConnectionError):
        await again(checkout, at)
    assert (await again(checkout, at)).is_final
    assert len(await till.types(checkout)) == 1


async def test_an_opening_whose_commits_answer_is_lost_is_found_by_who_sends_it_again(till: Till) -> None:
    process = till.process
    losing = Till(Process(process.engine, process.keys, process.catalogue, lost_commits=1))
    with pytest.raises(ConnectionError):
        await losing.opens()
    assert (await losing.result(checkout_order())).replayed
    assert await process.count("checkouts") == 1
