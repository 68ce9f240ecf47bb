"""Words on a try of a checkout that come late: beside another that paid, before it did, and where none did.

Not here: what a late word means for a payment by itself (test_recording, tests/unit/domain/test_hearing).
"""

from structlog.testing import capture_logs

from gateway.domain.checkouts import Checkout, TryRefusal
from gateway.domain.hearing import Source
from gateway.domain.ids import CHECKOUT, PAYMENT, show
from gateway.domain.outcomes import CodeSent, Declined, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.flows.cashier import Shown
from gateway.metrics import ANOMALIES
from gateway.ports import Wish
from tests.storage.gateway_process import Process, observation, payment_in
from tests.storage.payers import EACH, asks, does
from tests.storage.tills import AMOUNT, FAILED, NOWHERE, PAID, Till, till_place, why_not
from tests.unit.domain.samples import later


def counted(kind: str) -> float:
    return float(ANOMALIES.labels(kind)._value.get())


async def paid_beside_one_that_failed(till: Till) -> tuple[Checkout, Payment, Payment]:
    """A checkout whose first try failed, and whose second paid."""
    checkout = await till.opens()
    return checkout, await till.fails(checkout), await till.pays(checkout, 2)


async def test_a_late_failure_of_the_first_try_tells_nothing(till: Till) -> None:
    checkout, first, second = await paid_beside_one_that_failed(till)
    before = await till.both(checkout)
    for word in (FAILED, Declined(FAILED.code, "other")):
        await till.process.heard(first, word, Source.CALLBACK, later(minutes=1))
    await till.process.heard(second, PAID, Source.CALLBACK, later(minutes=1))
    await till.looks(checkout, later(hours=1))
    assert await till.both(checkout) == before
    assert (await till.types(checkout), await till.types(first)) == (["checkout.succeeded"], ["payment.failed"])
    assert await till.anomalies() == []


async def test_a_late_success_of_the_first_try_is_paid_twice_on_the_checkout(till: Till) -> None:
    checkout, first, second = await paid_beside_one_that_failed(till)
    before = counted("paid_twice"), counted("late_success")
    with capture_logs() as said:
        for at in (later(minutes=1), later(minutes=2)):
            await till.process.heard(first, PAID, Source.CALLBACK, at)
    assert (counted("paid_twice"), counted("late_success")) == (before[0] + 1, before[1])
    shown = show(CHECKOUT, checkout.checkout_id)
    assert [(line["log_level"], line["kind"], line["object_id"]) for line in said] == [("warning", "paid_twice", shown)]
    assert await till.anomalies() == [("checkout", "paid_twice", checkout.checkout_id, first.payment_id)]
    assert await till.types(first) == ["payment.failed"]
    success, anomaly = await till.told(checkout)
    assert (success["type"], anomaly["type"]) == ("checkout.succeeded", "checkout.anomaly")
    assert anomaly["anomaly"]["kind"] == "paid_twice"
    assert anomaly["anomaly"]["payment"] == show(PAYMENT, first.payment_id)
    assert f"refund its {AMOUNT} fen" in anomaly["anomaly"]["detail"]
    after = await till.now(checkout)
    assert (after.status, after.won_by, after.sequence) == (Status.SUCCEEDED, second.payment_id, 2)
    assert (await till.process.read(first)).fee == first.expected_fee, "its PSP is owed for it"


async def test_a_late_success_whose_commits_answer_is_lost_is_told_once(till: Till) -> None:
    checkout, first, _ = await paid_beside_one_that_failed(till)
    losing = Process(till.process.engine, till.process.keys, till.process.catalogue, lost_commits=1)
    await losing.heard(first, PAID, Source.CALLBACK)
    assert await till.types(checkout) == ["checkout.succeeded", "checkout.anomaly"]
    assert len(await till.anomalies()) == 1


async def test_while_a_late_success_waits_for_a_person_nobody_can_pay_again(till: Till) -> None:
    checkout = await till.opens()
    first = await till.fails(checkout)
    await till.process.heard(first, PAID, Source.CALLBACK)
    assert await why_not(till.tries(checkout, 2)) is TryRefusal.PAID_LATE
    shown = Shown(*await till.both(checkout))
    assert shown.paid_late is not None
    assert shown.paid_late.payment_id == first.payment_id
    assert await till.anomalies() == [("payment", "late_success", first.payment_id, None)]
    assert await till.types(first) == ["payment.failed", "payment.anomaly"]
    assert (await till.looks(checkout, later(hours=1))).status is Status.EXPIRED
    assert await till.types(checkout) == ["checkout.expired"]


async def test_what_is_called_paid_after_its_code_was_given_up_cannot_be_paid_again_either(till: Till) -> None:
    """Nothing was submitted, so its PSP is wrong, or we are: a person looks, and nobody pays meanwhile."""
    till.process.catalogue = till_place(EACH)
    checkout = await till.opens()
    opened = await till.tries(checkout)
    payment = payment_in(await till.process.books.record(asks(opened.payment, opened.sms, CodeSent("c"))))
    await does(till.process, payment, Wish.CLOSE)
    await till.process.heard(payment, PAID, Source.CALLBACK)
    assert await till.anomalies() == [("payment", "unexpected_success", payment.payment_id, None)]
    assert await why_not(till.tries(checkout, 2)) is TryRefusal.PAID_LATE
    shown = Shown(*await till.both(checkout))
    assert shown.paid_late is not None


async def test_a_late_success_before_the_second_try_pays_is_told_again_as_paid_twice(till: Till) -> None:
    checkout = await till.opens()
    first, second = await till.fails(checkout), (await till.tries(checkout, 2)).payment
    await till.process.heard(first, PAID, Source.CALLBACK)
    assert await till.anomalies() == [("payment", "late_success", first.payment_id, None)]
    await till.process.heard(second, PAID, at=later(minutes=1))
    assert await till.anomalies() == [("checkout", "paid_twice", checkout.checkout_id, first.payment_id)]
    assert await till.anomalies(resolved=True) == [("payment", "late_success", first.payment_id, None)]
    resolved = await till.process.one("SELECT resolved_by, note FROM anomalies WHERE kind = 'late_success'")
    assert resolved == ("sluice", f"paid_twice of {show(CHECKOUT, checkout.checkout_id)} tells it")
    assert await till.types(checkout) == ["checkout.succeeded", "checkout.anomaly"]
    [_, anomaly] = await till.told(checkout)
    assert [each["status"] for each in anomaly["data"]["payments"]] == ["failed", "succeeded"]


async def test_both_words_in_one_flush_are_paid_twice_and_nothing_else_stays_open(till: Till) -> None:
    checkout = await till.opens()
    first, second = await till.fails(checkout), (await till.tries(checkout, 2)).payment
    await till.process.recording.flush([observation(first, PAID), observation(second, PAID)])
    assert await till.anomalies() == [("checkout", "paid_twice", checkout.checkout_id, first.payment_id)]
    assert await till.anomalies(resolved=True) == [("payment", "late_success", first.payment_id, None)]
    assert await till.types(checkout) == ["checkout.succeeded", "checkout.anomaly"]


async def test_the_other_way_round_in_one_flush_it_is_paid_twice_alone(till: Till) -> None:
    checkout = await till.opens()
    first, second = await till.fails(checkout), (await till.tries(checkout, 2)).payment
    await till.process.recording.flush([observation(second, PAID), observation(first, PAID)])
    assert await till.anomalies() == [("checkout", "paid_twice", checkout.checkout_id, first.payment_id)]
    assert await till.anomalies(resolved=True) == []


async def test_two_late_successes_are_two_anomalies_each_told_once(till: Till) -> None:
    checkout = await till.opens()
    late = [await till.fails(checkout), await till.fails(checkout, 2)]
    await till.pays(checkout, 3)
    for payment in (*late, *late):
        await till.process.heard(payment, PAID, Source.CALLBACK)
    expected = {("checkout", "paid_twice", checkout.checkout_id, each.payment_id) for each in late}
    assert set(await till.anomalies()) == expected
    assert await till.types(checkout) == ["checkout.succeeded", "checkout.anomaly", "checkout.anomaly"]


async def test_two_late_successes_before_the_third_try_pays_are_both_told_by_it(till: Till) -> None:
    checkout = await till.opens()
    late = [await till.fails(checkout), await till.fails(checkout, 2)]
    third = (await till.tries(checkout, 3)).payment
    for payment in late:
        await till.process.heard(payment, PAID, Source.CALLBACK)
    await till.process.heard(third, PAID)
    assert {each[3] for each in await till.anomalies()} == {each.payment_id for each in late}
    assert len(await till.anomalies(resolved=True)) == 2
    assert await till.types(checkout) == ["checkout.succeeded", "checkout.anomaly", "checkout.anomaly"]


async def test_a_late_success_of_a_checkout_that_nobody_paid_is_its_payments(till: Till) -> None:
    expired, canceled = await till.opens("a"), await till.opens("b")
    of_expired, of_canceled = await till.fails(expired), await till.fails(canceled)
    await till.looks(expired, later(hours=1))
    await till.cancels(canceled)
    for payment in (of_expired, of_canceled):
        await till.process.heard(payment, PAID, Source.CALLBACK)
    assert {(each[1], each[2]) for each in await till.anomalies()} == {
        ("late_success", of_expired.payment_id),
        ("late_success", of_canceled.payment_id),
    }
    assert (await till.types(expired), await till.types(canceled)) == (["checkout.expired"], ["checkout.canceled"])


async def test_an_oddity_of_the_payment_that_won_names_the_checkout_as_it_is_now(till: Till) -> None:
    checkout = await till.opens()
    await till.tries(checkout, bank=NOWHERE)
    payment = (await till.tries(checkout, 2)).payment
    another = Succeeded(AMOUNT, channel_transaction_no="theirs-2")
    first = Succeeded(AMOUNT, channel_transaction_no="theirs-1")
    await till.process.recording.flush([observation(payment, first), observation(payment, another)])
    events = await till.told(payment)
    assert [each["type"] for each in events] == ["payment.succeeded", "payment.anomaly"]
    assert [each["data"]["checkout"]["status"] for each in events] == ["succeeded", "succeeded"]
