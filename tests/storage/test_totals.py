"""Totals: of a channel over all users, and of a card number whoever uses it; counted only where a limit asks.

Usage is the truth that they are held against. Not tested here: what the router makes of a total (tests/unit/router),
and that reading it does not grow with what lies in the tables (test_plans).
"""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.cards import CardElements
from gateway.domain.catalogue import Counted
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, NotFound, Outcome, Succeeded
from gateway.domain.payments import Payment, Status
from gateway.storage.keys import Keys
from gateway.storage.reading.reader import Reader
from gateway.storage.server import database as database_module
from gateway.storage.server.database import Database
from gateway.storage.writing import making_good, totals
from gateway.storage.writing.erasing import erase_card
from router.limits import ChannelLimits
from tests.keys import keys as known_keys
from tests.keys import new_keys
from tests.storage.first_version_rows import first_version_card
from tests.storage.gateway_process import TIMEZONE, Process, payment_in
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, catalogue, channel, later, order, rule

TL = channel("tl")
PLAIN = catalogue((TL,), (rule("tl"),))
CARD = card_elements(1)
OTHER_PHONE = replace(CARD, phone="13900000000")
REFUSED = FailureCode.INSUFFICIENT_BALANCE


def of_all(most: int, others: tuple[str, ...] = ()) -> Any:
    """Channel `tl` takes so much a day from all users; `others` have no limit, and cost more."""
    limited = (replace(TL, limits=ChannelLimits(daily_total=most)), *(channel(code) for code in others))
    return catalogue(limited, (rule("tl"), *(rule(code, fee=90) for code in others)))


def of_card(**limits: int) -> Any:
    return catalogue((TL,), (rule("tl", **limits),))


@pytest.fixture
def keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, keys: Keys) -> Process:
    return Process(engine, keys, PLAIN)


@pytest.fixture
async def other(other_engine: AsyncEngine, keys: Keys) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, keys, PLAIN)


def why(payment: Payment) -> FailureCode | None:
    return payment.failure.code if payment.failure else None


async def takes(
    process: Process, amount: int, user_id: str = "u99", card: CardElements | None = None, **at: Any
) -> Any:
    """Why a payment is refused; None: it is taken."""
    return why(await process.open_one(user_id=user_id, amount=amount, card=card or card_elements(99), **at))


async def counted(process: Process) -> int:
    return int(await process.one("SELECT coalesce(sum(used), 0)::bigint FROM channel_totals"))


# --- a channel's total ---


async def test_what_two_processes_take_counts_together(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = of_all(2500)
    assert await takes(process, 1000, "u1") is None
    assert await takes(other, 1000, "u2") is None
    assert await takes(process, 501, "u3") is FailureCode.CHANNEL_TOTAL_EXCEEDED
    assert await takes(other, 500, "u4") is None
    assert await takes(process, 1, "u5") is FailureCode.CHANNEL_TOTAL_EXCEEDED


async def test_what_fails_is_free_again_and_what_succeeds_is_not(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = of_all(1000)
    failed = await process.open_one()
    await other.heard(failed, Declined(REFUSED))
    succeeded = await process.open_one()
    assert why(succeeded) is None
    await other.heard(succeeded, Succeeded(1000, "theirs"))
    assert await takes(process, 1) is FailureCode.CHANNEL_TOTAL_EXCEEDED


async def test_a_late_success_counts_again_beyond_the_limit(process: Process) -> None:
    process.catalogue = of_all(1000)
    late = await process.open_one()
    await process.heard(late, Declined(REFUSED))
    await process.open_one()
    await process.heard(late, Succeeded(1000, "theirs"))
    await process.heard(late, Succeeded(1000, "theirs"))
    assert await counted(process) == 2000
    assert await takes(process, 1) is FailureCode.CHANNEL_TOTAL_EXCEEDED


async def test_a_limit_that_is_switched_on_in_the_middle_of_a_day_counts_what_was_before(process: Process) -> None:
    before = await process.open_one(amount=700)
    await process.heard(await process.open_one(), Declined(REFUSED))
    assert await counted(process) == 0, "nobody asks"
    process.catalogue = of_all(1000)
    assert await takes(process, 301) is FailureCode.CHANNEL_TOTAL_EXCEEDED
    assert await takes(process, 300) is None
    await process.heard(before, Declined(REFUSED))
    assert await takes(process, 700) is None
    assert await takes(process, 1) is FailureCode.CHANNEL_TOTAL_EXCEEDED


async def test_a_limit_that_is_switched_off_for_a_while_misses_nothing(process: Process) -> None:
    process.catalogue = of_all(1000)
    assert await takes(process, 100) is None
    process.catalogue = PLAIN
    assert await takes(process, 600) is None
    process.catalogue = of_all(1000)
    assert await takes(process, 301) is FailureCode.CHANNEL_TOTAL_EXCEEDED
    assert await takes(process, 300) is None


async def test_what_a_process_took_before_it_knew_of_the_limit_is_made_good(process: Process, other: Process) -> None:
    process.catalogue = of_all(1000)
    assert await takes(process, 100) is None
    assert await takes(other, 600) is None, "it has not heard of the limit yet"
    soon = NOW + making_good.AGAIN_AFTER
    assert await takes(process, 1, now=soon) is None
    await process.opening._totals.making_good.idle()
    assert await takes(process, 300, now=soon) is FailureCode.CHANNEL_TOTAL_EXCEEDED
    other.catalogue = process.catalogue
    assert await takes(other, 300, now=soon) is FailureCode.CHANNEL_TOTAL_EXCEEDED
    assert await takes(process, 299, now=soon) is None
    assert await counted(process) == 1000


async def test_processes_that_begin_at_once_make_good_once(process: Process, other: Process) -> None:
    assert await takes(process, 600) is None
    process.catalogue = other.catalogue = of_all(10_000)
    first, second = await asyncio.gather(takes(process, 100, "u1"), takes(other, 100, "u2"))
    assert (first, second) == (None, None)
    assert await counted(process) == 800


async def test_orders_go_on_while_what_was_missed_cannot_be_made_good(process: Process) -> None:
    process.catalogue = of_all(1000)
    lock = "LOCK TABLE card_totals IN SHARE MODE; LOCK TABLE channel_usage IN ROW SHARE MODE; "
    hold = f"{lock} INSERT INTO channel_totals SELECT '{MERCHANT_ID}', '2026-03-05', '{making_good.THE_LOCK}', '', 0"
    assert await process.count("channel_totals") == 0
    async with process.database.transaction() as connection:
        await connection.execute(hold)
        assert await takes(process, 400) is None
    assert await takes(process, 601) is FailureCode.CHANNEL_TOTAL_EXCEEDED


async def test_what_was_missed_may_take_longer_than_a_payment_may(
    process: Process, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a million rows of usage it takes many seconds; here each row takes some."""
    process.catalogue = PLAIN
    for user_id in ("u1", "u2"):
        assert await takes(process, 100, user_id) is None
    monkeypatch.setattr(database_module, "HOT_TRANSACTION_MS", 500)
    for name in ("FILL_CHANNELS", "MISSING_OF_CARDS"):
        slow = getattr(making_good, name).replace(
            "AS missing GROUP", "AS missing WHERE pg_sleep(0.7) IS NOT NULL GROUP"
        )
        monkeypatch.setattr(making_good, name, slow)
    database = Database(database_url, 2, statement_timeout_ms=600)
    fills, everything = making_good.MakingGood(database), Counted(frozenset({"tl"}), frozenset({"tl"}))
    await fills.ready(MERCHANT_ID, everything, NOW.astimezone(TIMEZONE).date(), NOW)
    await fills.idle()
    await database.close()
    assert await counted(process) == 200
    assert await process.one("SELECT sum(used) FROM card_totals") == 200


async def test_a_total_counts_the_day_and_not_the_day_before(process: Process) -> None:
    process.catalogue = of_all(1000)
    assert await takes(process, 1000) is None
    assert await takes(process, 1000, now=later(days=1)) is None
    assert await takes(process, 1, now=later(days=1)) is FailureCode.CHANNEL_TOTAL_EXCEEDED


async def test_a_payment_that_fails_after_midnight_frees_the_day_before(process: Process) -> None:
    process.catalogue = of_all(1000)
    yesterdays = await process.open_one()
    assert await takes(process, 1000, now=later(days=1)) is None
    await process.heard(yesterdays, Declined(REFUSED), at=later(days=1))
    assert await takes(process, 1, now=later(days=1)) is FailureCode.CHANNEL_TOTAL_EXCEEDED


async def test_only_the_channels_that_ask_are_counted(process: Process) -> None:
    process.catalogue = of_all(1000, others=("zz",))
    assert [p.channel for p in await process.opened(*(order(f"o{n}", user_id=f"u{n}") for n in range(3)))] == [
        "tl",
        "zz",
        "zz",
    ]
    assert await process.rows("SELECT channel, used FROM channel_totals WHERE channel <> ''") == [("tl", 1000)]


async def test_old_parts_are_added_up_once_and_remembered(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = of_all(1000)
    for minute in range(9):
        assert await takes(process, 100, now=later(minutes=minute)) is None
    assert await process.one("SELECT count(*) FROM channel_totals WHERE channel <> ''") == 9, "one for each minute"
    # What is remembered is not read again: it may as well be gone.
    async with process.database.transaction() as connection:
        await connection.execute("DELETE FROM channel_totals WHERE used <> 0 AND part < $1", _part_at(minutes=4))
    assert await takes(process, 101, now=later(minutes=9)) is FailureCode.CHANNEL_TOTAL_EXCEEDED
    assert await takes(process, 100, now=later(minutes=9)) is None


def _part_at(**duration: float) -> Any:
    return making_good.begins_with(NOW + timedelta(**duration))


async def test_totals_are_the_sum_of_usage_whatever_happens(process: Process, other: Process) -> None:
    drawn = random.Random(7)
    process.catalogue = other.catalogue = catalogue(
        (replace(TL, limits=ChannelLimits(daily_total=10**9)),), (rule("tl", card_daily_limit=10**9),)
    )
    opened: list[Payment] = []
    for number in range(60):
        one = drawn.choice((process, other))
        at = later(seconds=20 * number)
        who = drawn.randint(1, 5)
        opened.append(await one.open_one(user_id=f"u{who}", card=card_elements(who % 3), now=at))
        about = drawn.choice(opened)
        words: list[Outcome] = [Declined(REFUSED), Succeeded(1000, "theirs"), NotFound("no such order")]
        word = drawn.choice(words)
        await drawn.choice((process, other)).heard(about, word, at=at)
    used = await process.one("SELECT sum(reserved + succeeded)::bigint FROM channel_usage")
    assert await counted(process) == used
    assert await process.one("SELECT sum(used)::bigint FROM card_totals") == used
    async with process.database.connection() as connection:
        read = await totals.Totals(process.database).read(
            connection, MERCHANT_ID, NOW.date(), await _prints(process), NOW
        )
    assert read.channels["tl"] == sum(of_card["tl"].used for of_card in read.cards.values()) == used
    failed = await process.one("SELECT sum(insufficient)::bigint FROM channel_usage")
    assert sum(of_card["tl"].insufficient for of_card in read.cards.values()) == failed > 0


async def _prints(process: Process) -> list[bytes]:
    return [bytes(row[0]) for row in await process.rows("SELECT DISTINCT number_print FROM cards")]


async def test_concurrent_processes_pass_a_total_by_one_flush_at_most(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = of_all(10_000)
    assert await takes(process, 1000) is None
    asked = [[order(f"{who}-{n}", user_id=f"{who}-{n}") for n in range(20)] for who in "ab"]
    first, second = await asyncio.gather(process.opened(*asked[0]), other.opened(*asked[1]))
    taken = [sum(payment.status is Status.PROCESSING for payment in payments) for payments in (first, second)]
    assert max(taken) <= 9
    assert await takes(process, 1000) is FailureCode.CHANNEL_TOTAL_EXCEEDED


# --- a card number's ---


async def test_a_card_number_counts_together_whoever_uses_it_and_with_whatever_phone(
    process: Process, other: Process
) -> None:
    process.catalogue = other.catalogue = of_card(card_daily_limit=2000)
    assert await takes(process, 1000, "u1", CARD) is None
    assert await takes(other, 500, "u1", OTHER_PHONE) is None
    assert await takes(process, 501, "u2", CARD) is FailureCode.CARD_LIMIT_EXCEEDED
    assert await takes(process, 500, "u2", replace(OTHER_PHONE, holder_name="李四")) is None
    assert await takes(other, 1, "u1", CARD) is FailureCode.CARD_LIMIT_EXCEEDED
    assert await takes(other, 2000, "u1", card_elements(2)) is None


async def test_orders_of_one_flush_count_a_card_number_together(process: Process) -> None:
    process.catalogue = of_card(card_daily_limit=2000)
    cards = (CARD, OTHER_PHONE, replace(CARD, holder_name="李四"))
    payments = await process.opened(*(order(f"o{n}", user_id=f"u{n}", card=card) for n, card in enumerate(cards)))
    assert [why(payment) for payment in payments] == [None, None, FailureCode.CARD_LIMIT_EXCEEDED]


async def test_a_card_that_is_named_by_its_id_counts_by_its_number(process: Process) -> None:
    process.catalogue = of_card(card_daily_limit=2000)
    first = await process.open_one(user_id="u1", card=CARD)
    assert first.card is not None
    named = await process.open_one(user_id="u1", card=CARD, card_id=first.card.card_id)
    assert why(named) is None
    assert await takes(process, 1, "u2", OTHER_PHONE) is FailureCode.CARD_LIMIT_EXCEEDED


async def test_what_fails_frees_the_card_number(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = of_card(card_daily_limit=1000)
    await other.heard(await process.open_one(user_id="u1", card=CARD), Declined(REFUSED))
    assert await takes(process, 1000, "u2", OTHER_PHONE) is None
    assert await takes(process, 1, "u1", CARD) is FailureCode.CARD_LIMIT_EXCEEDED


async def test_a_card_limit_that_is_switched_on_in_the_middle_of_a_day_counts_what_was_before(process: Process) -> None:
    assert await takes(process, 700, "u1", CARD) is None
    assert await takes(process, 200, "u2", OTHER_PHONE) is None
    process.catalogue = of_card(card_daily_limit=1000)
    assert await takes(process, 101, "u3", CARD) is FailureCode.CARD_LIMIT_EXCEEDED
    assert await takes(process, 100, "u3", CARD) is None


async def test_what_an_erased_card_used_stays_used(process: Process, other: Process) -> None:
    process.catalogue = other.catalogue = of_card(card_daily_limit=1000)
    paid = await process.open_one(user_id="u1", amount=700, card=CARD)
    assert paid.card is not None
    await process.heard(paid, Succeeded(700, "theirs"))
    assert await takes(process, 100, "u2", OTHER_PHONE) is None
    await erase_card(process.database, MERCHANT_ID, paid.card.card_id, NOW)
    assert await takes(other, 201, "u3", CARD) is FailureCode.CARD_LIMIT_EXCEEDED, "also for one that begins now"
    assert await takes(process, 200, "u1", CARD) is None


async def test_a_single_limit_of_a_card_number_refuses_by_its_own_code(process: Process) -> None:
    process.catalogue = of_card(card_single_limit=1000)
    assert await takes(process, 1001, "u1", CARD) is FailureCode.CARD_LIMIT_EXCEEDED
    assert [await takes(process, 1000, "u1", CARD) for _ in range(3)] == [None, None, None]
    assert await process.count("card_totals") == 0, "nothing needs to be counted for it"


async def test_a_card_of_the_first_version_is_counted_from_its_first_use_under_the_limit(engine: AsyncEngine) -> None:
    process = Process(engine, known_keys(1), of_card(card_daily_limit=1000))
    card_id = await first_version_card(process, CARD)
    first = await process.open_one(user_id="u1", card=CARD)
    assert (why(first), first.card and first.card.card_id) == (None, card_id)
    assert await takes(process, 1, "u2", OTHER_PHONE) is FailureCode.CARD_LIMIT_EXCEEDED
    await process.heard(first, Declined(REFUSED))
    assert await takes(process, 1000, "u2", OTHER_PHONE) is None


async def test_users_of_one_card_number_in_two_processes_do_not_hold_each_other_up(
    process: Process, other: Process
) -> None:
    process.catalogue = other.catalogue = of_card(card_daily_limit=10**9)

    async def work(one: Process, who: str) -> None:
        for number in range(15):
            cards = [card_elements(n) for n in random.Random(number).sample(range(4), 4)]
            paid = await one.opened(
                *(order(f"{who}-{number}-{n}", user_id=f"{who}{n}", card=card) for n, card in enumerate(cards))
            )
            words = [one.heard(payment, Declined(REFUSED)) for payment in reversed(paid)]
            assert [payment_in(heard).status for heard in await asyncio.gather(*words)] == [Status.FAILED] * 4

    await asyncio.gather(work(process, "a"), work(other, "b"))
    assert await process.rows("SELECT DISTINCT used FROM card_totals") == [(0,)]


async def test_a_question_about_the_route_sees_the_same_totals(process: Process) -> None:
    process.catalogue = of_card(card_daily_limit=2000)
    payment = await process.open_one(user_id="u1", card=CARD)
    assert payment.card is not None
    reader = Reader(process.engine, process.database, process.keys, TIMEZONE)
    typed = await reader.facts(MERCHANT_ID, "u2", OTHER_PHONE, None, NOW)
    named = await reader.facts(MERCHANT_ID, "u1", None, payment.card.card_id, NOW)
    assert typed.channels["tl"].card_used_today == named.channels["tl"].card_used_today == 1000
