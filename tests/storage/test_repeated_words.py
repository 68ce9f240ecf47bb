"""A PSP's word that says nothing new is counted where it stands, and not kept once more.

Not tested here: what a word does to a state (tests/unit/domain), how a count is shown (tests/unit/objects).
"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source
from gateway.domain.outcomes import Authenticated, Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.storage.keys import Keys
from tests.keys import new_keys
from tests.storage.gateway_process import Process, observation, payment_in
from tests.storage.test_recording import AUTHENTICATES, PAYS
from tests.unit.domain.samples import NOW, later

PAID = Succeeded(1000, "theirs-1", later(seconds=3), channel_code="00")
TIMES = 200


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> Process:
    return Process(engine, own_keys, PAYS)


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys) -> Process:
    """A second gateway process on the same database."""
    return Process(other_engine, own_keys, PAYS)


async def kept(process: Process) -> list[Any]:
    """What is kept of what was heard, and how often it was."""
    return list(
        await process.rows("SELECT source, says, coalesce(times, 1) FROM observations ORDER BY observed_at, 1, 2")
    )


async def test_a_true_callback_sent_again_two_hundred_times_is_one_row_that_tells_how_often(process: Process) -> None:
    opened = await process.open_one()
    await process.heard(opened, PAID, Source.ANSWER, at=later(seconds=1))
    for n in range(TIMES):
        await process.heard(opened, PAID, Source.CALLBACK, at=later(seconds=2 + n))
    assert await kept(process) == [("answer", "succeeded", 1), ("callback", "succeeded", TIMES)]
    first_and_last = "SELECT observed_at, last_at FROM observations WHERE source = 'callback'"
    assert await process.one(first_and_last) == (later(seconds=2), later(seconds=1 + TIMES))
    assert await process.count("events") == 1
    assert await process.usage() == (0, 1000, 0)


async def test_copies_that_come_at_once_to_two_processes_are_counted_to_the_last_one(
    process: Process, other: Process
) -> None:
    opened = await process.open_one()
    recorded = await asyncio.gather(
        *(each.heard(opened, PAID, Source.CALLBACK) for each in (process, other) for _ in range(TIMES // 2))
    )
    assert {payment_in(each).status for each in recorded} == {"succeeded"}
    assert await kept(process) == [("callback", "succeeded", TIMES)]
    assert await process.count("events") == 1


@pytest.mark.parametrize(
    "says", [Processing("05"), Unknown("timeout"), Declined(FailureCode.CARD_LOST, "41")], ids=repr
)
async def test_an_answer_to_a_question_that_says_the_same_again_is_counted(process: Process, says: Outcome) -> None:
    opened = await process.open_one()
    for n in range(20):
        await process.heard(opened, says, at=later(minutes=n))
    assert [row[2] for row in await kept(process)] == [20]
    # The plan of questions goes on all the same.
    asked = await process.one("SELECT questions FROM intents")
    assert asked == (0 if isinstance(says, Declined) else 20)


async def test_each_not_found_that_a_proof_may_rest_on_is_kept_with_its_time(process: Process) -> None:
    opened = await process.open_one()
    at = [later(minutes=n) for n in range(3)]
    for moment in at:
        await process.heard(opened, NotFound("34"), at=moment)
    heard = await process.rows("SELECT observed_at FROM observations WHERE says = 'not_found' ORDER BY 1")
    assert heard == [(moment,) for moment in at]
    assert await process.one("SELECT not_found, not_found_since FROM intents") == (3, at[0])


async def test_not_found_that_proves_nothing_is_counted(process: Process) -> None:
    opened = await process.open_one()
    await process.heard(opened, Processing("05"), at=later(minutes=1))
    for n in range(2, 12):
        await process.heard(opened, NotFound("34"), at=later(minutes=n))
    assert await kept(process) == [("poll", "processing", 1), ("poll", "not_found", 10)]


async def test_a_word_that_says_something_else_is_kept_beside(process: Process) -> None:
    opened = await process.open_one()
    words: list[Outcome] = [
        Processing("05"),
        Processing("05"),
        Processing("06"),
        Unknown("timeout"),
        Processing("05"),
        PAID,
        PAID,
    ]
    for n, word in enumerate(words):
        await process.heard(opened, word, at=later(seconds=n))
    assert await kept(process) == [
        ("poll", "processing", 3),
        ("poll", "processing", 1),
        ("poll", "unknown", 1),
        ("poll", "succeeded", 2),
    ]


async def test_words_that_differ_only_in_their_figures_are_the_same(process: Process) -> None:
    opened = await process.open_one()
    for n in range(30):
        message = f"order {n} is under way since 10:{n:02}"
        await process.heard(opened, Processing("05", message), at=later(seconds=n))
    assert await process.one("SELECT times, channel_message FROM observations") == (
        30,
        "order 0 is under way since 10:00",
    )


async def test_an_anomaly_is_kept_with_the_word_that_showed_it_and_told_once(process: Process) -> None:
    opened = await process.open_one()
    await process.heard(opened, Declined(FailureCode.CARD_LOST, "41"), at=later(seconds=1))
    for n in range(50):
        await process.heard(opened, PAID, Source.CALLBACK, at=later(seconds=2 + n))
    assert await kept(process) == [("poll", "declined", 1), ("callback", "succeeded", 50)]
    assert await process.count("anomalies") == 1
    assert await process.rows("SELECT type FROM events ORDER BY sequence") == [
        ("payment.failed",),
        ("payment.anomaly",),
    ]


async def test_what_was_kept_two_hundred_times_before_is_counted_at_the_last_of_them(process: Process) -> None:
    opened = await process.open_one()
    await process.heard(opened, PAID, Source.CALLBACK, at=later(seconds=1))
    copy = """
INSERT INTO observations (merchant_id, observation_id, object_id, verb, source, says, channel_code, observed_at)
SELECT merchant_id, gen_random_uuid(), object_id, verb, source, says, channel_code, observed_at + n * interval '1 s'
FROM observations, generate_series(1, 199) n"""
    async with process.database.connection() as connection:
        await connection.execute(copy)
    await process.heard(opened, PAID, Source.CALLBACK, at=later(hours=1))
    assert await process.count("observations") == 200
    assert await process.one("SELECT count(*) FROM observations WHERE times = 2") == 1


async def test_a_word_of_a_binding_and_of_a_refund_is_counted_too(engine: AsyncEngine, own_keys: Keys) -> None:
    process = Process(engine, own_keys, AUTHENTICATES)
    binding = await process.open_one()
    for _ in range(5):
        await process.heard_of_card(binding, Authenticated("token"), Source.CALLBACK)
    assert await kept(process) == [("callback", "authenticated", 5)]

    paid = await process.open_one(user_id="u2")
    process.catalogue = PAYS
    paid = await process.open_one(user_id="u3")
    await process.heard(paid, PAID)
    refund = (await process.refund(paid, 400)).refund
    for n in range(5):
        await process.heard_of_refund(refund, Succeeded(400, "back-1"), Source.CALLBACK, at=later(seconds=9 + n))
    told = "SELECT coalesce(times, 1) FROM observations WHERE verb = 'refund'"
    assert await process.one(told) == 5


@pytest.mark.parametrize("copies", [1, 5])
async def test_a_copy_whose_commit_was_not_answered_is_counted_once(
    engine: AsyncEngine, own_keys: Keys, copies: int
) -> None:
    process = Process(engine, own_keys, PAYS)
    opened = await process.open_one()
    await process.heard(opened, Processing("05"), at=NOW)
    process = Process(engine, own_keys, PAYS, lost_commits=1)
    same = [observation(opened, Processing("05"), at=NOW + timedelta(seconds=n)) for n in range(copies)]
    await asyncio.gather(*map(process.books.record, same))
    assert process.database.times == 0  # type: ignore[attr-defined]
    assert await kept(process) == [("poll", "processing", 1 + copies)]
    assert await process.one("SELECT questions FROM intents") == 1 + copies


@pytest.mark.parametrize("says", [Processing("05"), PAID], ids=repr)
async def test_a_first_word_whose_commit_was_not_answered_was_heard_once(
    engine: AsyncEngine, own_keys: Keys, says: Outcome
) -> None:
    process = Process(engine, own_keys, PAYS)
    opened = await process.open_one()
    process = Process(engine, own_keys, PAYS, lost_commits=1)
    await process.books.record(observation(opened, says, at=later(seconds=1)))
    assert process.database.times == 0  # type: ignore[attr-defined]
    assert [row[2] for row in await kept(process)] == [1]
    assert await process.one("SELECT questions FROM intents") == (0 if says is PAID else 1)
