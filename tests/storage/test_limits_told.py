"""What a refusal for a limit tells, kept with the payment; failures by card number; attempts without a result.

Not tested here: which limit is told and what would help (tests/unit/router), and how totals are counted (test_totals).
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Catalogue, Merchant
from gateway.domain.failures import Advice, Failure, FailureCode
from gateway.domain.outcomes import Declined, Succeeded
from gateway.domain.payments import Payment
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.reader import Reader
from router.facts import LastAttempt
from router.left import ToldLimit
from tests.keys import new_keys
from tests.storage.gateway_process import TIMEZONE, Process
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, catalogue, channel, later, order, rule

TL, ZZ = channel("tl"), channel("zz")
CARD = card_elements(1)
OTHER_PHONE = replace(CARD, phone="13900000000")
TWICE: Any = {"daily_insufficient_limit": 2, "daily_insufficient_by": "card"}
SHORT = Declined(FailureCode.INSUFFICIENT_BALANCE)


def only(**limits: Any) -> Catalogue:
    return catalogue((TL,), (rule("tl", **limits),))


@pytest.fixture
async def process(engine: AsyncEngine) -> Process:
    return Process(engine, new_keys(), only())


@pytest.fixture
async def other(other_engine: AsyncEngine, process: Process) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, process.keys, process.catalogue)


def refusal(payment: Payment) -> Failure:
    assert payment.failure is not None
    return payment.failure


def told(payment: Payment) -> tuple[ToldLimit | None, int | None, Advice]:
    why = refusal(payment)
    return why.limit, why.max_amount_now, why.advice


async def refused(process: Process, user_id: str = "u1", amount: int = 1000, **known: Any) -> Any:
    """What is told of a payment that must be refused."""
    payment = await process.open_one(user_id=user_id, amount=amount, **known)
    assert (await process.read(payment)).failure == payment.failure, "as it is read later"
    return told(payment)


class TestWhatIsTold:
    async def test_what_is_in_flight_is_told_apart_from_what_succeeded(self, process: Process) -> None:
        process.catalogue = only(daily_limit=1500)
        paid = await process.open_one(amount=700)
        assert await refused(process) == (ToldLimit("daily_limit", 1500, 800, 700), 800, Advice.RETRY_LATER)
        await process.heard(paid, Succeeded(700, "theirs"))
        assert await refused(process) == (ToldLimit("daily_limit", 1500, 800, 0), 800, Advice.RETRY_TOMORROW)
        assert (await process.open_one(amount=800)).failure is None
        assert await refused(process, amount=1) == (ToldLimit("daily_limit", 1500, 0, 800), 0, Advice.RETRY_LATER)

    async def test_orders_of_one_flush_see_each_other_in_flight(self, process: Process) -> None:
        process.catalogue = only(daily_limit=1500)
        first, second = await process.opened(order("o1"), order("o2"))
        assert first.failure is None
        assert told(second) == (ToldLimit("daily_limit", 1500, 500, 1000), 500, Advice.RETRY_LATER)

    async def test_its_event_and_its_decision_tell_the_same(self, process: Process) -> None:
        process.catalogue = only(single_limit=900)
        payment = await process.open_one()
        assert told(payment) == (ToldLimit("single_limit", 900, 900, 0), 900, Advice.CHANGE_AMOUNT)
        body = orjson.loads(await process.one("SELECT body FROM events WHERE object_id = $1", payment.payment_id))
        failure = body["data"]["failure"]
        assert failure["limit"] == {"kind": "single_limit", "limit": 900, "left": 900, "in_flight": 0}
        assert (failure["max_amount_now"], failure["advice"]) == (900, "change_amount")

    async def test_other_failures_tell_no_limit(self, process: Process) -> None:
        payment = await process.open_one()
        await process.heard(payment, Declined(FailureCode.CHANNEL_LIMIT_EXCEEDED))
        failed = await process.read(payment)
        assert (refusal(failed).limit, refusal(failed).max_amount_now) == (None, None)
        process.catalogue = catalogue((replace(TL, on=False),), (rule("tl", single_limit=1),))
        assert told(await process.open_one()) == (None, None, Advice.RETRY_LATER)
        process.catalogue = catalogue((TL,), ())
        assert told(await process.open_one()) == (None, None, Advice.NONE)


class TestLimitsOverAll:
    async def test_what_all_users_have_in_flight_is_told(self, process: Process, other: Process) -> None:
        process.catalogue = other.catalogue = catalogue((channel("tl", daily_total=1500),), (rule("tl"),))
        paid = await other.open_one(user_id="u2", amount=700)
        await other.heard(await other.open_one(user_id="u3", amount=500), SHORT)
        assert await refused(process) == (ToldLimit("daily_total", 1500, 800, 700), 800, Advice.RETRY_LATER)
        await other.heard(paid, Succeeded(700, "theirs"))
        assert await refused(process) == (ToldLimit("daily_total", 1500, 800, 0), 800, Advice.RETRY_TOMORROW)

    async def test_what_a_card_number_has_in_flight_is_told_and_another_card_helps(
        self, process: Process, other: Process
    ) -> None:
        process.catalogue = other.catalogue = only(card_daily_limit=1500)
        paid = await other.open_one(user_id="u2", amount=700, card=OTHER_PHONE)
        await other.open_one(user_id="u3", amount=300, card=card_elements(2))
        limit = ToldLimit("card_daily_limit", 1500, 800, 700)
        assert await refused(process, card=CARD) == (limit, 800, Advice.RETRY_LATER)
        await other.heard(paid, Succeeded(700, "theirs"))
        limit = replace(limit, in_flight=0)
        assert await refused(process, card=CARD) == (limit, 800, Advice.CHANGE_CARD)
        assert (await process.open_one(user_id="u1", card=card_elements(3))).failure is None

    async def test_orders_of_one_flush_count_in_flight_there_too(self, process: Process) -> None:
        limited = (channel("tl", daily_total=2500),), (rule("tl", card_daily_limit=1500),)
        process.catalogue = catalogue(*limited)
        orders = [order("o1", user_id="u1"), order("o2", user_id="u2"), order("o3", user_id="u3", amount=1600)]
        _, by_card, by_total = await process.opened(*orders)
        assert told(by_card)[0] == ToldLimit("card_daily_limit", 1500, 500, 1000)
        assert told(by_total)[0] == ToldLimit("daily_total", 2500, 1500, 1000)

    async def test_every_card_has_the_same_single_limit_every_day(self, process: Process) -> None:
        process.catalogue = only(card_single_limit=900)
        assert await refused(process) == (ToldLimit("card_single_limit", 900, 900, 0), 900, Advice.CHANGE_AMOUNT)

    async def test_what_is_in_flight_is_not_read_as_long_as_no_limit_is_in_reach(self, process: Process) -> None:
        process.catalogue = catalogue((channel("tl", daily_total=10_000),), (rule("tl", card_daily_limit=10_000),))
        await process.open_one(amount=100)
        near = await process.open_one(amount=9901)
        far = await process.open_one(amount=100)
        facts = [await _facts_of(process, payment) for payment in (near, far)]
        assert facts[0] | {"channel_in_flight_today": 100, "card_in_flight_today": 100} == facts[0]
        assert not {"channel_in_flight_today", "card_in_flight_today"} & facts[1].keys()

    async def test_a_question_about_the_route_sees_the_same(self, process: Process) -> None:
        process.catalogue = catalogue((channel("tl", daily_total=1500),), (rule("tl", card_daily_limit=1500),))
        await process.open_one(user_id="u2", amount=700, card=CARD)
        facts = (await reader(process).facts(MERCHANT_ID, "u1", OTHER_PHONE, None, NOW)).channels["tl"]
        assert (facts.channel_in_flight_today, facts.card_in_flight_today, facts.in_flight_today) == (700, 700, None)


class TestNoMoreToday:
    """A PSP says that the day's tries for want of balance are used up."""

    @pytest.mark.parametrize("by", ["user", "card"])
    async def test_it_is_as_if_there_had_been_as_many_as_any_limit(
        self, engine: AsyncEngine, process: Process, other: Process, by: Literal["user", "card"]
    ) -> None:
        process.catalogue = other.catalogue = only(daily_insufficient_limit=50, daily_insufficient_by=by)
        await process.heard(await process.open_one(card=CARD), replace(SHORT, no_more_today=True))
        refusal_now = refusal(await process.open_one(card=CARD))
        assert refusal_now.code is FailureCode.DAILY_INSUFFICIENT_BALANCE_EXCEEDED
        assert refusal_now.limit == ToldLimit("daily_insufficient_limit", 50, 0, 0)
        assert (await other.open_one(card=CARD)).failure == refusal_now, "a process that starts finds it so"
        assert await examine(engine, NOW) == []
        assert (await process.open_one(card=CARD, now=later(days=1))).failure is None

    async def test_that_is_no_part_of_what_is_kept_of_the_failure(self, process: Process) -> None:
        payment = await process.open_one()
        await process.heard(payment, replace(SHORT, no_more_today=True))
        assert refusal(await process.read(payment)).no_more_today is False


class TestInsufficientByCard:
    async def fails(self, process: Process, user_id: str, card: Any) -> None:
        await process.heard(await process.open_one(user_id=user_id, card=card), SHORT)

    async def test_each_card_number_counts_for_itself_whoever_uses_it(self, process: Process, other: Process) -> None:
        process.catalogue = other.catalogue = only(**TWICE)
        await self.fails(process, "u1", CARD)
        await self.fails(process, "u1", card_elements(2))
        await self.fails(other, "u2", OTHER_PHONE)
        limit = ToldLimit("daily_insufficient_limit", 2, 0, 0)
        for user_id, card in (("u1", CARD), ("u3", replace(CARD, holder_name="李四"))):
            payment = await process.open_one(user_id=user_id, card=card)
            assert refusal(payment).code is FailureCode.DAILY_INSUFFICIENT_BALANCE_EXCEEDED
            assert told(payment) == (limit, 0, Advice.CHANGE_CARD)
        assert (await process.open_one(user_id="u1", card=card_elements(2))).failure is None

    async def test_it_begins_anew_each_day(self, process: Process) -> None:
        process.catalogue = only(**TWICE)
        for _ in range(2):
            await self.fails(process, "u1", CARD)
        assert (await process.open_one(user_id="u1", card=CARD)).failure is not None
        assert (await process.open_one(user_id="u1", card=CARD, now=later(days=1))).failure is None

    async def test_a_rule_that_says_so_in_the_middle_of_a_day_counts_what_was_before(self, process: Process) -> None:
        for _ in range(2):
            await self.fails(process, "u1", CARD)
        await process.heard(
            await process.open_one(user_id="u1", card=card_elements(2)), Declined(FailureCode.CARD_LOST)
        )
        process.catalogue = only(**TWICE)
        assert refusal(await process.open_one(user_id="u2", card=OTHER_PHONE)).advice is Advice.CHANGE_CARD
        assert (await process.open_one(user_id="u1", card=card_elements(2))).failure is None

    async def test_a_question_about_the_route_sees_the_same(self, process: Process) -> None:
        process.catalogue = only(**TWICE)
        await self.fails(process, "u1", CARD)
        facts = (await reader(process).facts(MERCHANT_ID, "u2", OTHER_PHONE, None, NOW)).channels["tl"]
        assert (facts.card_insufficient_today, facts.insufficient_today) == (1, 0)

    async def test_without_such_a_rule_nothing_is_counted(self, process: Process) -> None:
        process.catalogue = only(daily_insufficient_limit=2)
        await self.fails(process, "u1", CARD)
        assert await process.count("card_totals") == 0


class TestUnresolved:
    """Two channels, the cheaper one is `tl`; an attempt without a result counts as failed after ten minutes."""

    AFTER = timedelta(minutes=10)

    def two(self, after: timedelta | None = AFTER) -> Catalogue:
        both = catalogue((TL, ZZ), (rule("tl", fee=50), rule("zz", fee=90)))
        merchant = Merchant(MERCHANT_ID, "acme", "Acme", unresolved_counts_after=after)
        rules = [each for rules in both.rules.values() for each in rules]
        return Catalogue(8, (merchant,), accounts=tuple(both.accounts.values()), channels=(TL, ZZ), rules=rules)

    async def test_a_channel_that_does_not_answer_is_avoided_until_it_does(self, process: Process) -> None:
        process.catalogue = self.two()
        stuck = await process.open_one()
        assert (await process.open_one(now=NOW + self.AFTER)).channel == "tl", "not longer than that"
        at = NOW + self.AFTER + timedelta(microseconds=1)
        avoiding = await process.open_one(now=at)
        assert avoiding.channel == "zz"
        assert (await _facts_of(process, avoiding))["last_attempt"] == {
            "status": "failed",
            "blame": "channel",
            "unresolved_since": NOW.isoformat(),
        }
        assert (await process.open_one(user_id="u2", now=at)).channel == "tl", "another user's is not theirs"
        await process.heard(stuck, Succeeded(1000, "theirs"), at=at)
        assert (await process.open_one(now=at)).channel == "tl", "the other one is not old enough"

    async def test_what_ended_after_it_was_recorded_counts_instead(self, process: Process) -> None:
        process.catalogue = self.two()
        await process.open_one()
        quick = await process.open_one()
        await process.heard(quick, Succeeded(1000, "theirs"), at=later(seconds=1))
        assert (await process.open_one(now=later(minutes=30))).channel == "tl"

    async def test_it_counts_on_the_days_after_too(self, process: Process) -> None:
        process.catalogue = self.two()
        await process.open_one()
        assert (await process.open_one(now=later(days=3))).channel == "zz"

    async def test_nobody_avoids_a_channel_unless_the_merchant_says_so(self, process: Process) -> None:
        process.catalogue = self.two(after=None)
        await process.open_one()
        assert (await process.open_one(now=later(days=3))).channel == "tl"

    async def test_what_waits_for_the_payer_or_was_never_sent_does_not_count(self, process: Process) -> None:
        process.catalogue = self.two()
        waits, unsent = await process.opened(order("o1"), order("o2"))
        async with process.database.transaction() as connection:
            status = "UPDATE payments SET status = 'requires_action' WHERE payment_id = $1"
            await connection.execute(status, waits.payment_id)
            await connection.execute("DELETE FROM intents WHERE object_id = $1", unsent.payment_id)
        assert (await process.open_one(now=later(minutes=30))).channel == "tl"

    async def test_a_question_about_the_route_sees_the_same(self, process: Process) -> None:
        process.catalogue = self.two()
        await process.open_one()
        asked = reader(process, unresolved_after=lambda _merchant_id: self.AFTER)
        facts = await asked.facts(MERCHANT_ID, "u1", CARD, None, later(minutes=11))
        assert facts.channels["tl"].last_attempt == LastAttempt("failed", "channel", unresolved_since=NOW)
        facts = await asked.facts(MERCHANT_ID, "u1", CARD, None, later(minutes=9))
        assert facts.channels["tl"].last_attempt is None


def reader(process: Process, **known: Any) -> Reader:
    return Reader(process.engine, process.database, process.keys, TIMEZONE, **known)


async def _facts_of(process: Process, payment: Payment) -> dict[str, Any]:
    record = orjson.loads(await process.one("SELECT decision FROM decisions WHERE object_id = $1", payment.payment_id))
    facts: dict[str, Any] = record["facts"]["tl"]
    return facts
