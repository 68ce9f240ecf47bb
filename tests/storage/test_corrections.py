"""What operators make of money that moved though the books say otherwise: it goes back once, or is kept once.

On a real PostgreSQL. Not tested here: how a contradiction is found (tests/unit/domain, test_recording), refunds of what
succeeded (test_refunding), a real PSP that is late (tests/e2e).
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from asyncpg import CheckViolationError, UniqueViolationError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly, Resolution
from gateway.domain.corrections import NoMoneyProvedError
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.ids import PAYMENT, show
from gateway.domain.orders import RefundOrder
from gateway.domain.outcomes import Declined, Outcome, Returned, ReturnReason, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.flows.corrections import CorrectionFlow, Resolving
from gateway.flows.observations import key_of
from gateway.flows.payout_acts import PayoutRefusedError
from gateway.flows.refund import RefundOpening
from gateway.ports import AmountExceedsRestError, Observation, PaymentNotRefundableError, RefundResult
from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.server.database import Database
from gateway.storage.writing.anomalies import AnomalyStore
from gateway.storage.writing.correcting import CorrectingStore
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.refunds import refunds_by_id
from tests.keys import new_keys
from tests.storage.gateway_process import TIMEZONE, Process, payment_in
from tests.storage.tills import Till, till_place
from tests.unit.domain.samples import MERCHANT_ID, NOW, catalogue, channel, endpoint, later, order, refund_order, rule

PAYS = catalogue((channel("up"),), (rule("up", 10),), (endpoint(1, "shop"),))
DECLINED = Declined(FailureCode.CHANNEL_REFUSED, "40", "余额不足")
AMOUNT = 1000
RACES = 10


@dataclass
class Desk:
    """Where operators resolve anomalies of one gateway process, and apps ask for refunds of them."""

    process: Process

    def __post_init__(self) -> None:
        process = self.process
        self.anomalies = AnomalyStore(process.database)
        self.books = CorrectingStore(
            process.database, process.keys, lambda: process.catalogue, TIMEZONE, lambda: process.now,
            process.handed_over.extend,
        )  # fmt: skip
        self.flow = CorrectionFlow(self.anomalies, self.books, self, lambda: process.now, uuid4)

    async def open(self, order: RefundOrder) -> RefundResult | None:
        """Record a refund; nobody sends it."""
        return await self.process.books.open_refund(RefundOpening(order, "u1", uuid4(), uuid4(), self.process.now))

    async def the_only(self) -> RecordedAnomaly:
        """The only anomaly of the merchant that is open."""
        (found,) = await self.anomalies.anomalies(MERCHANT_ID, 10)
        return found

    async def refunds(self, anomaly: RecordedAnomaly, amount: int | None = None) -> Refund:
        """An operator gives its money back."""
        resolved = await self.flow.refund(says(anomaly), amount)
        assert resolved is not None
        assert resolved.refund_id is not None
        return await self.refund(resolved.refund_id)

    async def takes_as_paid(self, anomaly: RecordedAnomaly) -> Payment | None:
        """An operator keeps it: the payment that says so."""
        resolved = await self.flow.take_as_paid(says(anomaly))
        assert resolved is not None
        assert resolved.resolution is Resolution.TAKEN_AS_PAID
        return await self.payment(resolved.correction_id) if resolved.correction_id is not None else None

    async def app_refunds(self, payment: Payment, amount: int, anomaly: RecordedAnomaly | None = None) -> Refund:
        """The app asks for a refund. Raises what the books refuse it with."""
        known = {"anomaly_id": anomaly.anomaly_id, "resolved_by": "app shop", "note": "back"} if anomaly else {}
        asked = refund_order(f"refund-{uuid4().hex}", payment_id=payment.payment_id, amount=amount, **known)
        opened = await self.open(asked)
        assert opened is not None
        return opened.refund

    async def refund(self, refund_id: UUID) -> Refund:
        async with self.process.database.connection() as connection:
            return (await refunds_by_id(connection, MERCHANT_ID, [refund_id]))[refund_id]

    async def payment(self, payment_id: UUID) -> Payment:
        async with self.process.database.connection() as connection:
            (found,) = await payments_by_id(connection, MERCHANT_ID, [payment_id])
        return found

    async def hears(self, refund: Refund, outcome: Outcome) -> Refund:
        """The PSP says something of a refund."""
        recorded = await self.process.books.record(
            Observation(key_of(refund), Source.POLL, outcome, self.process.now, uuid4())
        )
        assert isinstance(recorded.object, Refund)
        return recorded.object

    async def events(self) -> list[tuple[str, str, int]]:
        """Type, object and sequence of all events, in turn."""
        rows = await self.process.rows("SELECT type, object_id, sequence FROM events ORDER BY created_at, event_id")
        return [(row[0], row[1].hex, row[2]) for row in rows]


def says(anomaly: RecordedAnomaly, by: str = "li") -> Resolving:
    return Resolving(MERCHANT_ID, anomaly.anomaly_id, by, "the bank's letter of March 5")


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def desk(engine: AsyncEngine, own_keys: Keys) -> Desk:
    return Desk(Process(engine, own_keys, PAYS))


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys) -> Desk:
    """The same in a second process on the same database."""
    return Desk(Process(other_engine, own_keys, PAYS))


async def charged(desk: Desk) -> Payment:
    """A payment that we called failed, and whose payer was charged."""
    process = desk.process
    payment = await process.open_one(amount=AMOUNT)
    await process.heard(payment, DECLINED)
    return payment_in(await process.heard(payment, Succeeded(AMOUNT, "theirs-1"), Source.CALLBACK, later(hours=1)))


async def charged_twice(desk: Desk) -> Payment:
    """A payment that its PSP did under two numbers."""
    process = desk.process
    payment = await process.open_one(amount=AMOUNT)
    await process.heard(payment, Succeeded(AMOUNT, "theirs-1"))
    return payment_in(await process.heard(payment, Succeeded(AMOUNT, "theirs-2"), Source.CALLBACK))


async def sound(desk: Desk) -> list[str]:
    """What the doctor finds wrong, but for what nobody looks after here."""
    return [each for each in await examine(desk.process.engine, NOW) if "does a worker run" not in each]


# --- refunded ---


async def test_a_payer_who_was_charged_for_a_failed_payment_gets_the_money_back(desk: Desk) -> None:
    failed = await charged(desk)
    found = await desk.the_only()
    refund = await desk.refunds(found)
    assert (refund.payment_id, refund.amount, refund.anomaly_id) == (failed.payment_id, AMOUNT, found.anomaly_id)
    assert (refund.merchant_order_no, refund.second) == (f"{failed.merchant_order_no}~r", None)
    resolved = await desk.anomalies.anomaly(MERCHANT_ID, found.anomaly_id)
    assert resolved is not None
    assert (resolved.resolution, resolved.resolved_by, resolved.refund_id) == ("refunded", "li", refund.refund_id)
    assert (await desk.hears(refund, Succeeded(AMOUNT))).status is Status.SUCCEEDED
    now = await desk.process.read(failed)
    assert (now.status, now.refunded) == (Status.FAILED, AMOUNT)
    assert await sound(desk) == []


async def test_what_is_charged_under_a_second_number_is_bounded_by_itself(desk: Desk) -> None:
    paid = await charged_twice(desk)
    found = await desk.the_only()
    second = await desk.refunds(found)
    assert (second.second, second.amount) == ("theirs-2", AMOUNT)
    assert (await desk.process.read(paid)).refunded == 0
    own = await desk.app_refunds(paid, AMOUNT)
    assert own.second is None
    with pytest.raises(AmountExceedsRestError):
        await desk.app_refunds(paid, 1, found)
    assert await desk.process.one("SELECT amount, refunded, excess FROM second_outflows") == (AMOUNT, AMOUNT, 0)
    assert await sound(desk) == []


async def test_each_further_transaction_is_told_by_itself_and_given_back_by_itself(desk: Desk) -> None:
    paid = await charged_twice(desk)
    for number in ("theirs-3", "theirs-2", "theirs-3"):
        await desk.process.heard(paid, Succeeded(AMOUNT, number), Source.CALLBACK)
    found = await desk.anomalies.anomalies(MERCHANT_ID, 10)
    assert sorted(each.transaction_no or "" for each in found) == ["theirs-2", "theirs-3"]
    assert [name for name, _, _ in await desk.events()].count("payment.anomaly") == 2
    with pytest.raises(PaymentNotRefundableError, match="payment_has_anomaly"):
        await desk.app_refunds(paid, 1)
    for each in found:
        assert (await desk.refunds(each)).second == each.transaction_no
    await desk.app_refunds(paid, AMOUNT)
    assert await sound(desk) == []


async def test_a_refund_that_fails_leaves_its_anomaly_open_and_the_next_one_has_its_own_number(desk: Desk) -> None:
    failed = await charged(desk)
    found = await desk.the_only()
    refused = await desk.refunds(found)
    assert (await desk.hears(refused, DECLINED)).status is Status.FAILED
    again = await desk.the_only()
    assert (again.anomaly_id, again.resolution, again.note) == (found.anomaly_id, None, None)
    second = await desk.refunds(again)
    assert second.merchant_order_no == f"{failed.merchant_order_no}~r2"
    assert await sound(desk) == []


@pytest.mark.parametrize("make", [charged, charged_twice])
async def test_a_refund_that_comes_back_opens_the_anomaly_and_frees_the_sum(desk: Desk, make: Any) -> None:
    payment = await make(desk)
    refund = await desk.refunds(await desk.the_only())
    await desk.hears(refund, Succeeded(AMOUNT))
    back = await desk.hears(refund, Returned(ReturnReason.PAYEE_ACCOUNT_INVALID))
    assert back.status is Status.RETURNED
    again = await desk.app_refunds(payment, AMOUNT, await desk.the_only())
    assert again.status is Status.PROCESSING
    assert await sound(desk) == []


async def test_money_goes_back_in_parts_while_the_anomaly_is_resolved_as_refunded(desk: Desk) -> None:
    payment = await charged(desk)
    found = await desk.the_only()
    await desk.refunds(found, 400)
    await desk.app_refunds(payment, 600, found)
    with pytest.raises(AmountExceedsRestError) as refused:
        await desk.app_refunds(payment, 1, found)
    assert refused.value.left == 0


async def test_two_operators_at_once_give_it_back_once(desk: Desk, other: Desk) -> None:
    for _ in range(RACES):
        await charged(desk)
        found = await desk.the_only()
        done = await asyncio.gather(
            desk.flow.refund(says(found), None), other.flow.refund(says(found, "wang"), None), return_exceptions=True
        )
        assert sum(isinstance(each, AnomalyResolvedError) for each in done) == 1, done
    assert await desk.process.one("SELECT count(*), sum(amount)::bigint FROM refunds") == (RACES, RACES * AMOUNT)


async def test_an_app_names_the_anomaly_whose_money_goes_back(desk: Desk) -> None:
    payment = await charged(desk)
    found = await desk.the_only()
    with pytest.raises(PaymentNotRefundableError, match="payment_has_anomaly"):
        await desk.app_refunds(payment, AMOUNT)
    refund = await desk.app_refunds(payment, AMOUNT, found)
    assert refund.anomaly_id == found.anomaly_id
    resolved = await desk.anomalies.anomaly(MERCHANT_ID, found.anomaly_id)
    assert resolved is not None
    assert (resolved.resolved_by, resolved.refund_id) == ("app shop", refund.refund_id)


async def test_a_refund_about_one_anomaly_waits_for_the_others(desk: Desk) -> None:
    payment = await charged_twice(desk)
    mismatch = await desk.the_only()
    await desk.process.heard(payment, DECLINED, Source.CALLBACK)  # and the first is said to have failed
    with pytest.raises(PaymentNotRefundableError, match="payment_has_anomaly"):
        await desk.app_refunds(payment, AMOUNT, mismatch)


async def test_an_anomaly_of_another_payment_or_without_money_gives_nothing_back(desk: Desk) -> None:
    await charged(desk)
    found = await desk.the_only()
    paid = payment_in(await desk.process.heard(await desk.process.open_one(amount=AMOUNT), Succeeded(AMOUNT, "x")))
    with pytest.raises(PaymentNotRefundableError, match="not_its_anomaly"):
        await desk.app_refunds(paid, AMOUNT, found)
    await desk.process.heard(paid, DECLINED, Source.CALLBACK)
    late_failure = next(each for each in await desk.anomalies.anomalies(MERCHANT_ID, 9) if each.kind == "late_failure")
    with pytest.raises(PaymentNotRefundableError, match="not_its_anomaly"):
        await desk.app_refunds(paid, AMOUNT, late_failure)
    with pytest.raises(NoMoneyProvedError):
        await desk.flow.refund(says(late_failure), None)
    with pytest.raises(NoMoneyProvedError):
        await desk.flow.take_as_paid(says(late_failure))
    assert await desk.process.count("refunds") == 0


async def test_an_anomaly_that_is_not_there_is_none(desk: Desk) -> None:
    nobody = Resolving(MERCHANT_ID, UUID(int=7), "li", "?")
    assert await desk.flow.refund(nobody, None) is None
    assert await desk.flow.take_as_paid(nobody) is None
    assert await desk.flow.explain(nobody) is None


# --- taken as paid ---


async def test_what_was_charged_is_taken_as_paid_by_a_payment_of_its_own(desk: Desk) -> None:
    failed = await charged(desk)
    usage = await desk.process.usage()
    last = await desk.process.rows("SELECT * FROM last_attempts")
    found = await desk.the_only()
    desk.process.now = later(days=1)
    new = await desk.takes_as_paid(found)
    assert new is not None
    assert (new.corrects, new.status, new.amount) == (failed.payment_id, Status.SUCCEEDED, AMOUNT)
    assert new.merchant_order_no == f"{failed.merchant_order_no}~c"
    assert (new.channel_order_no, new.failure) == (failed.channel_order_no, None)
    assert new.attempt is not None
    assert new.attempt.channel_transaction_no == "theirs-1"
    assert (await desk.process.read(failed)).status is Status.FAILED
    assert await desk.process.usage() == usage
    assert await desk.process.rows("SELECT * FROM last_attempts") == last
    assert (await desk.events())[-1] == ("payment.succeeded", new.payment_id.hex, 1)
    body = orjson.loads(await desk.process.one("SELECT body FROM events WHERE object_id = $1", new.payment_id))
    assert body["data"]["corrects"] == show(PAYMENT, failed.payment_id)
    assert [each.event_id for each in desk.process.handed_over][-1:]  # it is on its way to the app
    assert await sound(desk) == []


async def test_what_was_taken_as_paid_is_settled_and_refunded_as_any_payment(desk: Desk) -> None:
    failed = await charged(desk)
    found = await desk.the_only()
    new = await desk.takes_as_paid(found)
    assert new is not None
    await desk.process.pay_out(600, new)
    refund = await desk.app_refunds(new, 400)
    assert (refund.intent.channel, refund.anomaly_id) == ("up", None)
    with pytest.raises(AmountExceedsRestError):
        await desk.app_refunds(new, 1)
    with pytest.raises(PaymentNotRefundableError, match="already_resolved"):
        await desk.app_refunds(failed, 1, found)
    now = await desk.payment(new.payment_id)
    assert (now.refunded, now.settled, (await desk.process.read(failed)).refunded) == (400, 600, 0)
    assert await sound(desk) == []


async def test_both_transactions_of_a_payment_can_be_kept(desk: Desk) -> None:
    paid = await charged_twice(desk)
    new = await desk.takes_as_paid(await desk.the_only())
    assert new is not None
    assert new.attempt is not None
    assert (new.attempt.channel_transaction_no, new.corrects) == ("theirs-2", paid.payment_id)
    await desk.app_refunds(paid, AMOUNT)
    await desk.app_refunds(new, AMOUNT)
    assert await sound(desk) == []


async def test_the_same_money_is_not_given_back_and_kept(desk: Desk, other: Desk) -> None:
    for _ in range(RACES):
        await charged(desk)
        found = await desk.the_only()
        done = await asyncio.gather(
            desk.flow.refund(says(found), None), other.flow.take_as_paid(says(found, "wang")), return_exceptions=True
        )
        refused = [each for each in done if isinstance(each, AnomalyResolvedError | PaymentNotRefundableError)]
        assert len(refused) == 1, done
    refunds = await desk.process.count("refunds")
    assert await desk.process.one("SELECT count(*) FROM payments WHERE corrects IS NOT NULL") == RACES - refunds
    assert await sound(desk) == []


async def test_what_went_back_in_part_is_not_taken_as_paid(desk: Desk) -> None:
    payment = await charged(desk)
    found = await desk.the_only()
    first = await desk.refunds(found, 300)
    second = await desk.app_refunds(payment, 200, found)
    await desk.hears(first, Succeeded(300))
    await desk.hears(second, DECLINED)
    with pytest.raises(AmountExceedsRestError) as refused:
        await desk.takes_as_paid(await desk.the_only())
    assert refused.value.left == 700


# --- explained; paid twice; what the database holds ---


async def test_what_is_explained_changes_nothing(desk: Desk) -> None:
    payment = await charged(desk)
    resolved = await desk.flow.explain(says(await desk.the_only()))
    assert resolved is not None
    assert (resolved.resolution, resolved.refund_id, resolved.correction_id) == (Resolution.EXPLAINED, None, None)
    with pytest.raises(PaymentNotRefundableError, match="already_resolved"):
        await desk.app_refunds(payment, AMOUNT, resolved)
    assert (await desk.events())[-1][0] == "payment.anomaly"


async def paid_twice(desk: Desk) -> tuple[Payment, Payment]:
    """A try that was paid after it had failed, beside the one that paid the checkout."""
    till = Till(desk.process)
    checkout = await till.opens()
    late = (await till.tries(checkout)).payment
    await desk.process.heard(late, Declined(FailureCode.INSUFFICIENT_BALANCE, "51"))
    won = await till.pays(checkout, 2)
    await desk.process.heard(late, Succeeded(AMOUNT, "theirs-1"), Source.CALLBACK)
    return late, won


async def test_the_money_of_a_checkout_that_was_paid_twice_goes_back_or_is_kept(
    engine: AsyncEngine, own_keys: Keys
) -> None:
    desk = Desk(Process(engine, own_keys, till_place()))
    late, won = await paid_twice(desk)
    found = await desk.the_only()
    assert (found.kind, found.payment_id) == ("paid_twice", late.payment_id)
    with pytest.raises(PaymentNotRefundableError, match="not_its_anomaly"):
        await desk.app_refunds(won, 1, found)
    with pytest.raises(PaymentNotRefundableError, match="payment_has_anomaly"):
        await desk.app_refunds(late, 1)
    refund = await desk.refunds(found)
    assert (refund.payment_id, refund.amount) == (late.payment_id, AMOUNT)
    await desk.hears(refund, DECLINED)
    new = await desk.takes_as_paid(await desk.the_only())
    assert new is not None
    assert (new.corrects, new.checkout) == (late.payment_id, None)
    assert await sound(desk) == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("UPDATE anomalies SET resolution = 'refunded'", CheckViolationError),
        ("UPDATE anomalies SET resolved_at = found_at, resolution = 'refunded'", CheckViolationError),
        ("UPDATE anomalies SET correction_id = object_id", CheckViolationError),
        ("UPDATE payments SET corrects = payment_id", CheckViolationError),
        ("UPDATE refunds SET second_no = 'x'", CheckViolationError),
        ("UPDATE second_outflows SET refunded = amount + 1", CheckViolationError),
        ("UPDATE second_outflows SET refunded = -1", CheckViolationError),
    ],
)
async def test_the_database_refuses(desk: Desk, change: str, error: type[Exception]) -> None:
    await charged_twice(desk)
    await desk.refunds(await desk.the_only())
    await charged(desk)
    paid = payment_in(await desk.process.heard(await desk.process.open_one(amount=AMOUNT), Succeeded(AMOUNT, "x")))
    await desk.app_refunds(paid, 1)
    with pytest.raises(error):
        await desk.process.rows(change)


async def test_the_same_money_is_taken_as_paid_once(desk: Desk) -> None:
    await charged(desk)
    new = await desk.takes_as_paid(await desk.the_only())
    assert new is not None
    columns = await desk.process.one(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        " WHERE table_name = 'payments' AND table_schema = current_schema() AND column_name <> 'payment_id'"
    )
    with pytest.raises(UniqueViolationError):
        await desk.process.rows(
            f"INSERT INTO payments (payment_id, {columns}) SELECT $1, {columns} FROM payments WHERE payment_id = $2",
            uuid4(),
            new.payment_id,
        )


# --- one transaction, two ways out ---


async def test_what_was_taken_as_paid_does_not_go_back_once_more_when_its_checkout_is_paid_again(
    engine: AsyncEngine, own_keys: Keys
) -> None:
    desk = Desk(Process(engine, own_keys, till_place()))
    till = Till(desk.process)
    checkout = await till.opens()
    late = await till.fails(checkout)
    second = (await till.tries(checkout, 2)).payment
    await desk.process.heard(late, Succeeded(AMOUNT, "theirs-1"), Source.CALLBACK)
    kept = await desk.takes_as_paid(await desk.the_only())
    assert kept is not None
    await desk.process.heard(second, Succeeded(AMOUNT, "theirs-2"))
    found = await desk.the_only()
    assert (found.kind, found.payment_id) == ("paid_twice", late.payment_id)
    with pytest.raises(AmountExceedsRestError) as refused:
        await desk.refunds(found)
    assert refused.value.left == 0
    with pytest.raises(AmountExceedsRestError):
        await desk.app_refunds(late, AMOUNT, found)
    with pytest.raises(AmountExceedsRestError):
        await desk.takes_as_paid(found)
    with pytest.raises(PaymentNotRefundableError, match="payment_has_anomaly"):
        await desk.app_refunds(kept, AMOUNT)
    await desk.flow.explain(says(found))
    await desk.app_refunds(kept, AMOUNT)
    assert await sound(desk) == []


@pytest.mark.parametrize("make", [charged, charged_twice])
async def test_what_was_taken_as_paid_has_less_left_when_an_earlier_refund_of_it_was_done_after_all(
    desk: Desk, make: Any
) -> None:
    await make(desk)
    refused = await desk.refunds(await desk.the_only(), 700)
    await desk.hears(refused, DECLINED)
    kept = await desk.takes_as_paid(await desk.the_only())
    assert kept is not None
    await desk.hears(refused, Succeeded(700, "back-1"))
    with pytest.raises(PaymentNotRefundableError, match="payment_has_anomaly"):
        await desk.app_refunds(kept, AMOUNT)
    with pytest.raises(PayoutRefusedError, match="payment_has_anomaly"):
        await desk.process.pay_out(AMOUNT, kept)
    await desk.flow.explain(says(await desk.the_only()))
    with pytest.raises(AmountExceedsRestError) as over:
        await desk.app_refunds(kept, AMOUNT)
    assert over.value.left == 300
    with pytest.raises(PayoutRefusedError, match="amount_exceeds_rest"):
        await desk.process.pay_out(AMOUNT, kept)
    await desk.app_refunds(kept, 300)
    assert await sound(desk) == []


async def test_a_number_that_is_taken_does_not_lose_the_money(desk: Desk) -> None:
    failed = await charged(desk)
    for taken in ("~c", "~r"):  # by the app, before such numbers were refused
        await desk.process.opened(order(f"{failed.merchant_order_no}{taken}", user_id="u2"))
    refused = await desk.refunds(await desk.the_only())
    assert refused.merchant_order_no == f"{failed.merchant_order_no}~r2"
    await desk.hears(refused, DECLINED)
    kept = await desk.takes_as_paid(await desk.the_only())
    assert kept is not None
    assert kept.merchant_order_no == f"{failed.merchant_order_no}~c2"


async def test_operators_need_one_connection_each(database_url: str, own_keys: Keys, desk: Desk) -> None:
    await charged(desk)
    found = await desk.the_only()
    database = Database(database_url, 1)
    books = CorrectingStore(database, own_keys, lambda: PAYS, TIMEZONE, lambda: NOW, None)
    proved = await asyncio.wait_for(books.proved(MERCHANT_ID, found.anomaly_id), 5)
    await database.close()
    assert proved is not None
    assert proved.left == AMOUNT


async def test_what_a_payout_paid_on_after_all_is_gone_even_where_a_refund_had_its_place(desk: Desk) -> None:
    process = desk.process
    paid = payment_in(await process.heard(await process.open_one(amount=AMOUNT), Succeeded(AMOUNT, "x")))
    payout = (await process.pay_out(700, paid)).payout
    await process.books.record(Observation(key_of(payout), Source.POLL, DECLINED, NOW, uuid4()))
    refund = await desk.app_refunds(paid, 600)
    await process.books.record(Observation(key_of(payout), Source.POLL, Succeeded(700), NOW, uuid4()))
    await desk.hears(refund, DECLINED)
    await desk.flow.explain(says(await desk.the_only()))
    with pytest.raises(AmountExceedsRestError) as over:
        await desk.app_refunds(paid, 301)
    assert over.value.left == 300
    with pytest.raises(PayoutRefusedError, match="amount_exceeds_rest"):
        await process.pay_out(301, paid)
    await desk.app_refunds(paid, 300)
    assert await sound(desk) == []
