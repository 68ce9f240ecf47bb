"""An answer that many want to know is asked for once, and again when it is old."""

import asyncio

import pytest

from gateway.run.remembering import Remembered


async def test_many_who_ask_at_once_and_soon_after_are_told_the_same() -> None:
    asked, now, may_answer = 0, 0.0, asyncio.Event()

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        return asked

    remembered = Remembered(ask, 1.0, lambda: now)
    first = [asyncio.create_task(remembered()) for _ in range(50)]
    await asyncio.sleep(0)
    first[0].cancel()  # it goes away; the others are answered all the same
    now = 5.0  # it takes long, and its answer is good for a second after it came
    may_answer.set()
    assert await asyncio.gather(*first[1:]) == [1] * 49
    now = 5.9
    assert await remembered() == 1
    now = 6.0
    assert (await remembered(), asked) == (2, 2)


async def test_a_failure_is_told_and_asked_again_later() -> None:
    now, fails = 0.0, True

    async def ask() -> str:
        if fails:
            raise OSError("away")
        return "here"

    remembered = Remembered(ask, 1.0, lambda: now)
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await remembered()
    fails, now = False, 1.0
    assert await remembered() == "here"
