"""Checkouts by which a card is signed: their tries are authentications, and they end with the first that binds.

Not here: how a card is signed (test_signing), what codes and SMS mean (test_payer_acts).
"""

import asyncio
from datetime import timedelta
from typing import Final

from gateway.domain.checkouts import TryRefusal
from gateway.domain.failures import FailureCode
from gateway.domain.ids import AUTHENTICATION, show
from gateway.domain.outcomes import Authenticated, CodeSent, Declined, SmsNeeded
from gateway.domain.statuses import Status
from gateway.ports import ActRefusal, Wish
from tests.storage.gateway_process import Process, payment_in
from tests.storage.payers import SILENT, SMS, asks, code_word, does, one_asked, refused, waiting_in
from tests.storage.tills import NUMBER, Till, till_place, why_not
from tests.unit.domain.samples import NOW, card_elements, later

MINUTE: Final = timedelta(seconds=61)
BOUND, MISTYPED = Authenticated("token-1"), Declined(FailureCode.NAME_MISMATCH, "N1")


async def test_a_card_is_signed_by_sms_and_the_checkout_succeeds_with_it(till: Till) -> None:
    till.process.catalogue = till_place(SMS)
    checkout = await till.opens_to_sign()
    opened = await till.signs(checkout)
    signing = opened.authentication
    await till.process.books.record(asks(signing, opened.sms, CodeSent("c")))
    granted = await does(till.process, signing, Wish.CONFIRM)
    await till.process.books.record(code_word(waiting_in(granted), BOUND))
    after, [tried] = await till.both(checkout)
    assert (after.status, after.won_by, after.codes) == (Status.SUCCEEDED, signing.authentication_id, 1)
    assert (tried.merchant_order_no, tried.status) == (f"{NUMBER}~1", Status.SUCCEEDED)
    asked, done = await till.told(signing)
    assert [asked["type"], done["type"]] == ["authentication.requires_action", "authentication.succeeded"]
    assert [each["data"]["checkout"]["status"] for each in (asked, done)] == ["open", "succeeded"]
    [end] = await till.told(checkout)
    assert end["type"] == "checkout.succeeded"
    assert [each["id"] for each in end["data"]["authentications"]] == [show(AUTHENTICATION, signing.authentication_id)]
    assert end["data"]["payments"] == []


async def test_fifty_copies_on_two_processes_are_one_signing_with_one_sms(till: Till, other: Till) -> None:
    till.process.catalogue = other.process.catalogue = till_place(SMS)
    checkout = await till.opens_to_sign()
    done = await asyncio.gather(*(each.signs(checkout) for each in (till, other) * 25))
    assert len({each.authentication.authentication_id for each in done}) == 1
    assert [each.sms is not None for each in done].count(True) == 1
    assert await till.process.one("SELECT count(*) FROM intents WHERE verb = 'send_signing_code'") == 1


async def test_a_card_that_is_bound_already_succeeds_at_once_and_both_are_told(till: Till) -> None:
    till.process.catalogue = till_place(SILENT)
    first = (await till.signs(await till.opens_to_sign("first"))).authentication
    await till.process.books.record(code_word(first, BOUND))
    checkout = await till.opens_to_sign()
    losing = Till(Process(till.process.engine, till.process.keys, till.process.catalogue, lost_commits=1))
    again = (await losing.signs(checkout)).authentication
    assert again.status is Status.SUCCEEDED
    after, [tried] = await till.both(checkout)
    assert (after.status, after.won_by, after.tries) == (Status.SUCCEEDED, again.authentication_id, 1)
    assert tried.checkout is not None
    assert tried.checkout.status is Status.SUCCEEDED
    [told] = await till.told(again)
    assert (told["type"], told["data"]["checkout"]["status"]) == ("authentication.succeeded", "succeeded")
    assert await till.types(checkout) == ["checkout.succeeded"]
    assert await why_not(till.signs(checkout, 2)) is TryRefusal.NOT_OPEN


async def test_a_silent_signing_ends_the_checkout_when_its_word_comes(till: Till) -> None:
    till.process.catalogue = till_place(SILENT)
    checkout = await till.opens_to_sign()
    signing = (await till.signs(checkout)).authentication
    assert await why_not(till.signs(checkout, 2)) is TryRefusal.IN_PROGRESS
    await till.process.books.record(code_word(signing, BOUND))
    assert (await till.now(checkout)).status is Status.SUCCEEDED
    assert await till.types(checkout) == ["checkout.succeeded"]


async def test_after_a_card_that_is_refused_another_may_be_signed(till: Till) -> None:
    till.process.catalogue = till_place(SILENT)
    checkout = await till.opens_to_sign()
    first = (await till.signs(checkout)).authentication
    await till.process.books.record(code_word(first, MISTYPED))
    [failed] = await till.told(first)
    assert (failed["type"], failed["data"]["checkout"]["status"]) == ("authentication.failed", "open")
    second = (await till.signs(checkout, 2, card=card_elements(2))).authentication
    await till.process.books.record(code_word(second, BOUND))
    after, tries = await till.both(checkout)
    assert (after.status, after.won_by) == (Status.SUCCEEDED, second.authentication_id)
    assert [each.merchant_order_no for each in tries] == [f"{NUMBER}~1", f"{NUMBER}~2"]
    await till.process.books.record(code_word(first, BOUND, at=later(minutes=1)))  # bound late: no anomaly
    assert await till.types(checkout) == ["checkout.succeeded"]
    assert await till.anomalies() == []


async def test_a_card_that_is_being_signed_for_a_payment_is_not_signed_beside_it(till: Till) -> None:
    till.process.catalogue = till_place(SMS)
    paying = await till.tries(await till.opens("paying"))
    assert paying.authentication is not None
    checkout = await till.opens_to_sign()
    refused_at_once = (await till.signs(checkout)).authentication
    assert refused_at_once.failure is not None
    assert refused_at_once.failure.code is FailureCode.SIGNING_IN_PROGRESS
    assert (await till.now(checkout)).status is Status.OPEN
    [told] = await till.told(refused_at_once)
    assert (told["type"], told["data"]["checkout"]["status"]) == ("authentication.failed", "open")


async def test_a_payments_own_signing_counts_its_sms_for_the_payments_checkout(till: Till) -> None:
    till.process.catalogue = till_place(SMS, sms_per_day=100)
    checkout, at = await till.opens(), NOW
    opened = await till.tries(checkout)
    payment = payment_in(await till.process.books.record(asks(opened.authentication or opened.payment, opened.sms,
                                                              CodeSent("c"), at)))  # fmt: skip
    assert (await till.now(checkout)).codes == 1
    for codes in (2, 3, 4):
        at += MINUTE
        resent = await does(till.process, payment, Wish.RESEND, at)
        await till.process.books.record(asks(waiting_in(resent), resent.sms, CodeSent("c"), at))
        assert (await till.now(checkout)).codes == codes


async def test_a_silent_signing_that_needs_an_sms_counts_it_too_and_five_is_the_end(till: Till) -> None:
    till.process.catalogue = till_place(SILENT, sms_per_day=100)
    checkout, at = await till.opens_to_sign(), NOW
    for ordinal in range(1, 6):
        signing = (await till.signs(checkout, ordinal)).authentication
        asking = await till.process.books.record(code_word(signing, SmsNeeded(), at=at))
        assert asking.sms is not None
        assert (await till.now(checkout)).codes == ordinal
        waiting = waiting_in(await till.process.books.record(asks(signing, asking.sms, CodeSent("c"), at)))
        await does(till.process, waiting, Wish.CLOSE, at)
    signing = (await till.signs(checkout, 6)).authentication
    asking = await till.process.books.record(code_word(signing, SmsNeeded(), at=at))
    assert asking.sms is None
    after, tries = await till.both(checkout)
    assert (after.codes, tries[-1].status) == (5, Status.FAILED)


async def test_nobody_types_the_code_and_the_checkout_stays_open_for_another_try(till: Till) -> None:
    till.process.catalogue = till_place(SMS)
    checkout = await till.opens_to_sign()
    opened = await till.signs(checkout)
    await till.process.books.record(asks(opened.authentication, opened.sms, CodeSent("c")))
    expired = await does(till.process, opened.authentication, Wish.EXPIRE, later(minutes=6))
    assert expired.object is not None
    assert (await till.now(checkout)).status is Status.OPEN
    assert await till.types(opened.authentication) == ["authentication.requires_action", "authentication.closed"]
    assert refused(await does(till.process, opened.authentication, Wish.RESEND)) is ActRefusal.NOT_WAITING


async def test_what_an_app_asks_for_by_itself_has_no_checkout(till: Till) -> None:
    till.process.catalogue = till_place(SILENT)
    asked = (await one_asked(till.process)).authentication
    assert asked.checkout is None
    await till.process.books.record(code_word(asked, BOUND))
    [told] = await till.told(asked)
    assert told["data"]["checkout"] is None
