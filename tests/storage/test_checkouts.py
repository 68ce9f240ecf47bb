"""Tries of checkouts on a real PostgreSQL: however many press, and on however many processes, one is open or paid.

Whatever a test does, the books are sound after it. Not here: what ends checkouts by the clock or by their app
(test_checkouts_end), signing cards (test_checkouts_sign), pages (tests/pages), the rules by themselves
(tests/unit/domain/test_checkouts).
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from asyncpg import UniqueViolationError

from gateway.domain.checkouts import Checkout, TryRefusal
from gateway.domain.failures import FailureCode
from gateway.domain.ids import CHECKOUT, show
from gateway.domain.outcomes import CodeSent
from gateway.domain.statuses import Status
from gateway.ports import ActRefusal, CheckoutRefusedError, OpenResult, OrderConflictError, OverloadedError, Wish
from tests.storage.gateway_process import Process, payment_in
from tests.storage.payers import EACH, asks, does, refused, sign_opening, sign_order
from tests.storage.tills import AMOUNT, FAILED, NOWHERE, NUMBER, PAID, Till, till_place, why_not
from tests.unit.domain.samples import NOW, card_elements, checkout_order, later, order

COPIES: Final = 25
"""On each of two processes."""
MINUTE: Final = timedelta(seconds=61)


# --- one at a time ---


async def test_fifty_copies_of_one_try_on_two_processes_are_one_payment_that_is_sent_once(
    till: Till, other: Till
) -> None:
    checkout = await till.opens()
    done = await asyncio.gather(*(each.tries(checkout) for each in (till, other) for _ in range(COPIES)))
    assert {each.payment.merchant_order_no for each in done} == {f"{NUMBER}~1"}
    assert len({each.payment.payment_id for each in done}) == 1
    assert [each.replayed for each in done].count(False) == 1
    assert await till.process.one("SELECT count(*) FROM intents") == 1
    assert (await till.now(checkout)).tries == 1


async def test_of_two_choices_at_once_on_two_processes_one_is_opened(till: Till, other: Till) -> None:
    for place in range(5):
        checkout = await till.opens(f"recharge-{place}")
        tries = (till.tries(checkout, card=card_elements(place + 10), body=b"a"), other.tries(checkout, body=b"b"))
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(type(each).__name__ for each in done) == ["OpenResult", "OrderConflictError"]
        _, found = await till.both(checkout)
        assert [each.merchant_order_no for each in found] == [f"recharge-{place}~1"]


async def test_two_choices_in_one_flush_are_one(till: Till) -> None:
    checkout = await till.opens()
    orders = [till.choice(checkout, body=b"a"), till.choice(checkout, body=b"b"), till.choice(checkout, 2)]
    first, second, third = await till.process.opening.flush([till.begins(each) for each in orders])
    assert isinstance(first, OpenResult)
    assert isinstance(second, OrderConflictError)
    assert isinstance(third, CheckoutRefusedError)
    assert third.why is TryRefusal.IN_PROGRESS


async def test_a_try_begins_when_the_one_before_has_ended_and_not_sooner(till: Till, other: Till) -> None:
    checkout = await till.opens()
    first = (await till.tries(checkout)).payment
    assert await why_not(other.tries(checkout, 2)) is TryRefusal.IN_PROGRESS
    await till.process.heard(first, FAILED)
    assert await why_not(other.tries(checkout, 3)) is TryRefusal.OUT_OF_TURN
    second = (await other.tries(checkout, 2)).payment
    assert second.merchant_order_no == f"{NUMBER}~2"
    await till.process.heard(second, PAID)
    assert await why_not(till.tries(checkout, 3)) is TryRefusal.NOT_OPEN
    after, tries = await till.both(checkout)
    assert (after.status, after.won_by, after.tries) == (Status.SUCCEEDED, second.payment_id, 2)
    assert [(each.merchant_order_no, each.status) for each in tries] == [
        (f"{NUMBER}~1", Status.FAILED),
        (f"{NUMBER}~2", Status.SUCCEEDED),
    ]


async def test_tries_stand_in_their_order_even_where_the_second_process_has_a_slower_clock(till: Till) -> None:
    checkout = await till.opens()
    for ordinal in range(1, 11):
        payment_id = UUID(int=1000 - ordinal)  # each younger id sorts before the one before
        asked = till.choice(checkout, ordinal, bank=NOWHERE)
        await till.process.books.open(replace(till.begins(asked), payment_id=payment_id))
    _, tries = await till.both(checkout)
    assert [each.merchant_order_no for each in tries] == [f"{NUMBER}~{n}" for n in range(1, 11)]


async def test_the_database_refuses_a_second_open_try_whoever_writes_it(till: Till) -> None:
    checkout = await till.opens()
    payment = (await till.tries(checkout)).payment
    columns = await till.process.one(
        "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns "
        "WHERE table_name = 'payments' AND column_name NOT IN ('payment_id', 'merchant_order_no', 'channel_order_no')"
    )
    copied = (
        f"INSERT INTO payments (payment_id, merchant_order_no, channel_order_no, {columns}) "
        f"SELECT $2, 'another', 'another', {columns} FROM payments WHERE payment_id = $1"
    )
    with pytest.raises(UniqueViolationError, match="payments_checkout_key"):
        await till.process.rows(copied, payment.payment_id, uuid4())
    await till.process.heard(payment, FAILED)
    with pytest.raises(UniqueViolationError, match="payments_checkout_key"):
        await till.process.rows(
            "WITH again AS (UPDATE payments SET status = 'processing', due_at = created_at, finished_at = NULL, "
            "failure_code = NULL, failure_blame = NULL, failure_advice = NULL RETURNING *) "
            f"INSERT INTO payments (payment_id, merchant_order_no, channel_order_no, {columns}) "
            f"SELECT $1, 'another', 'another', {columns} FROM again",
            uuid4(),
        )


async def test_a_try_whose_commits_answer_is_lost_is_counted_once(till: Till) -> None:
    checkout, process = await till.opens(), till.process
    losing = Till(Process(process.engine, process.keys, process.catalogue, lost_commits=1))
    first = await losing.tries(checkout)
    assert not first.replayed, "it is still ours to send"
    assert (await till.tries(checkout)).payment == first.payment
    assert (await till.now(checkout)).tries == 1
    assert await process.one("SELECT count(*) FROM intents") == 1


# --- how often, and how many cards and SMS ---


async def test_a_checkout_has_so_many_tries_and_no_more(till: Till) -> None:
    checkout = await till.opens()
    for ordinal in range(1, till.limits.tries + 1):
        refused_at_once = (await till.tries(checkout, ordinal, bank=NOWHERE)).payment
        assert refused_at_once.status is Status.FAILED
    assert await why_not(till.tries(checkout, till.limits.tries + 1)) is TryRefusal.TOO_MANY_TRIES
    after, tries = await till.both(checkout)
    assert (after.status, after.tries, len(tries)) == (Status.OPEN, 10, 10)


async def test_a_user_types_five_new_cards_in_an_hour_and_known_ones_as_often_as_they_like(till: Till) -> None:
    checkout = await till.opens(expires_in_s=7200)
    for ordinal in range(1, 6):
        await till.tries(checkout, ordinal, bank=NOWHERE, card=card_elements(ordinal), body=b"a new card")
    sixth: dict[str, Any] = {"card": card_elements(6), "bank": NOWHERE}
    assert await why_not(till.tries(checkout, 6, **sixth)) is TryRefusal.TOO_MANY_CARDS
    assert await till.process.count("cards") == 5
    await till.tries(checkout, 6, bank=NOWHERE, card=card_elements(3))
    await till.tries(checkout, 7, at=later(hours=1, seconds=1), **sixth)
    assert await till.process.count("cards") == 6


async def test_new_cards_are_counted_over_all_checkouts_of_a_user_also_in_one_flush(till: Till) -> None:
    checkouts = [await till.opens(f"recharge-{n}") for n in range(8)]
    orders = [till.choice(each, card=card_elements(n), bank=NOWHERE) for n, each in enumerate(checkouts)]
    done = await till.process.opening.flush([till.begins(each) for each in orders])
    opened = [each for each in done if isinstance(each, OpenResult)]
    assert len(opened) == till.limits.cards_per_hour
    assert {each.why for each in done if isinstance(each, CheckoutRefusedError)} == {TryRefusal.TOO_MANY_CARDS}
    assert await till.process.count("cards") == till.limits.cards_per_hour


async def test_the_same_new_card_at_several_checkouts_in_one_flush_is_one(till: Till) -> None:
    checkouts = [await till.opens(f"recharge-{n}") for n in range(8)]
    done = await till.process.opening.flush([till.begins(till.choice(each, bank=NOWHERE)) for each in checkouts])
    assert all(isinstance(each, OpenResult) for each in done)


async def test_the_sms_of_all_tries_of_a_checkout_are_five_however_they_are_asked_for(till: Till) -> None:
    till.process.catalogue = till_place(EACH, sms_per_day=100)
    checkout, at = await till.opens(), NOW
    for ordinal in (1, 2):
        opened = await till.tries(checkout, ordinal, at=at)
        payment = payment_in(await till.process.books.record(asks(opened.payment, opened.sms, CodeSent("c"), at)))
        at += MINUTE
        resent = await does(till.process, payment, Wish.RESEND, at)
        await till.process.books.record(asks(payment, resent.sms, CodeSent("c"), at))
        await does(till.process, payment, Wish.CLOSE, at)
    assert (await till.now(checkout)).codes == 4
    opened = await till.tries(checkout, 3, at=at)
    payment = payment_in(await till.process.books.record(asks(opened.payment, opened.sms, CodeSent("c"), at)))
    at += MINUTE
    assert refused(await does(till.process, payment, Wish.RESEND, at)) is ActRefusal.SMS_LIMIT_REACHED
    await does(till.process, payment, Wish.CLOSE, at)
    ended = (await till.tries(checkout, 4, at=at)).payment
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (Status.FAILED, FailureCode.TOO_MANY_TRIES)
    assert (await till.now(checkout)).codes == 5
    assert await till.process.one("SELECT count(*) FROM intents WHERE verb = 'send_payment_code'") == 5


async def test_the_sms_of_one_checkout_do_not_count_for_another(till: Till) -> None:
    till.process.catalogue = till_place(EACH, sms_per_day=100)
    till.process.catalogue, first, second = till.process.catalogue, await till.opens("a"), await till.opens("b")
    for checkout in (first, second):
        assert (await till.tries(checkout)).sms is not None
        assert (await till.now(checkout)).codes == 1


# --- what its tries tell ---


async def test_what_a_try_tells_names_its_checkout_and_the_checkouts_end_comes_after_it(till: Till) -> None:
    checkout = await till.opens()
    first = (await till.tries(checkout)).payment
    await till.process.heard(first, FAILED)
    assert await till.types(checkout) == []
    [told] = await till.told(first)
    named = {"id": show(CHECKOUT, checkout.checkout_id), "status": "open"}
    assert (told["type"], told["data"]["checkout"]) == ("payment.failed", named)
    second = (await till.tries(checkout, 2)).payment
    await till.process.heard(second, PAID)
    [told] = await till.told(second)
    assert (told["type"], told["data"]["checkout"]["status"]) == ("payment.succeeded", "succeeded")
    [end] = await till.told(checkout)
    assert (end["type"], end["data"]["status"]) == ("checkout.succeeded", "succeeded")
    shown = [
        (each["merchant_order_no"], each["status"], each["checkout"]["status"]) for each in end["data"]["payments"]
    ]
    assert shown == [(f"{NUMBER}~1", "failed", "succeeded"), (f"{NUMBER}~2", "succeeded", "succeeded")]
    assert {each.event_id for each in till.process.handed_over} == {
        row[0] for row in await till.process.rows("SELECT event_id FROM events")
    }


async def test_the_router_refuses_a_try_at_once_and_tells_that_its_checkout_is_open(till: Till) -> None:
    checkout = await till.opens()
    refused_at_once = (await till.tries(checkout, bank=NOWHERE)).payment
    [told] = await till.told(refused_at_once)
    assert (told["type"], told["data"]["checkout"]["status"]) == ("payment.failed", "open")
    assert await till.types(checkout) == []


async def test_the_success_of_a_try_whose_commits_answer_is_lost_is_told_once(till: Till) -> None:
    checkout, process = await till.opens(), till.process
    payment = (await till.tries(checkout)).payment
    losing = Process(process.engine, process.keys, process.catalogue, lost_commits=1)
    await losing.heard(payment, PAID)
    assert await till.types(checkout) == ["checkout.succeeded"]
    assert await till.types(payment) == ["payment.succeeded"]


# --- a user whom somebody holds ---


async def test_who_is_held_by_somebody_holds_up_nobody_elses_checkouts(till: Till) -> None:
    checkout = await till.opens(expires_in_s=60)
    async with till.process.database.transaction() as holds:
        await holds.execute("SELECT 1 FROM users WHERE user_id = 'u1' FOR UPDATE")
        asked = [till.opens(f"recharge-{n}", user_id="u1") for n in range(2, 12)]
        acts = [till.cancels(checkout), till.looks(checkout, later(minutes=2))]
        *held, free = await asyncio.gather(*asked, *acts, till.opens("another", user_id="u2"), return_exceptions=True)
    assert {type(each) for each in held} == {OverloadedError}
    assert isinstance(free, Checkout)
    assert (await till.now(checkout)).status is Status.OPEN


# --- order numbers ---


async def test_an_order_that_comes_again_is_the_same_checkout_with_its_tries(till: Till, other: Till) -> None:
    done = await asyncio.gather(*(each.result(checkout_order()) for each in (till, other) * 10))
    assert [each.replayed for each in done].count(False) == 1
    [checkout] = {each.checkout.checkout_id: each.checkout for each in done}.values()
    await till.tries(checkout)
    again = await other.result(checkout_order())
    assert (again.replayed, [each.merchant_order_no for each in again.tries]) == (True, [f"{NUMBER}~1"])
    for changed in ({"amount": AMOUNT + 1}, {"user_id": "u2"}, {"return_url": "https://shop.example/other"}):
        with pytest.raises(OrderConflictError):
            await till.result(checkout_order(**changed))


async def test_a_number_is_of_one_order_whatever_it_orders(till: Till) -> None:
    await till.process.opened(order("taken"))
    with pytest.raises(OrderConflictError):
        await till.opens("taken")
    await till.opens("opened")
    with pytest.raises(OrderConflictError):
        await till.process.books.open(till.begins(order("opened")))
    with pytest.raises(OrderConflictError):
        await till.process.books.open_authentication(sign_opening(sign_order("opened")))


async def test_a_checkout_is_not_opened_whose_tries_numbers_an_app_has_used_before(till: Till) -> None:
    await till.process.opened(order(f"{NUMBER}~3"))
    with pytest.raises(OrderConflictError):
        await till.opens()
    await till.opens("recharge")


async def test_a_checkout_that_is_not_there_cannot_be_tried(till: Till) -> None:
    nowhere = replace(await till.opens(), checkout_id=uuid4())
    assert await why_not(till.tries(nowhere)) is TryRefusal.NOT_OPEN
