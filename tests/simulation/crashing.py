"""Plays a script with a crash at every outside action, or with two in a row, and has each history checked."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.checker import Rules, check
from tests.simulation.history import history_of
from tests.simulation.play import Death, Play
from tests.simulation.script import Script
from tests.simulation.stage import NOT_FOUND, Stage

__all__ = ["Tally", "crash_at_each", "crash_at_pairs", "crash_at_some", "crash_at_some_pairs", "play_and_check"]

MOST_ACTIONS = 200
SECOND_WITHIN = 5
"""Actions of the second process among which one is drawn: nearly all of them have so many."""


@dataclass(slots=True)
class Tally:
    """What was played: points and pairs at which processes died, what stayed open, and what must not have been."""

    points: int = 0
    pairs: int = 0
    open: int = 0
    wrong: list[str] = field(default_factory=list)


async def crash_at_each(stage: Stage, script: Script, when: Sequence[str], bug: str | None = None) -> Tally:
    """Play it once for each of its actions: the process dies before it, or after it; and once to its end.

    With a bug it stops at the first thing that is wrong.
    """
    tally = Tally()
    for side in when:
        for number in range(1, MOST_ACTIONS):
            play = await play_and_check(stage, script, [(number, side)], tally, bug)
            tally.points += play.died
            if number > len(play.gateways[0].does) or (bug and tally.wrong):
                break
    return tally


async def crash_at_some(stage: Stage, script: Script, count: int, seed: int) -> Tally:
    """Play it to its end, and with a crash before so many of its actions; `seed` draws them."""
    tally = Tally()
    for first in await _drawn(stage, script, tally, count, random.Random(f"{seed} {script.name}")):
        tally.points += (await play_and_check(stage, script, [(first, "before")], tally)).died
    return tally


async def crash_at_pairs(stage: Stage, script: Script) -> Tally:
    """The second process dies, too: for each action of the first at every one of the second."""
    tally = Tally()
    for first in range(1, MOST_ACTIONS):
        for second in range(1, MOST_ACTIONS):
            play = await play_and_check(stage, script, [(first, "before"), (second, "before")], tally)
            tally.pairs += play.died == 2
            if play.died < 2:
                break
        if first > len(play.gateways[0].does):
            break
    return tally


async def crash_at_some_pairs(stage: Stage, script: Script, count: int, seed: int) -> Tally:
    """The same of so many pairs; `seed` draws them."""
    tally, random_one = Tally(), random.Random(f"{seed} {script.name}")
    for first in await _drawn(stage, script, tally, count, random_one):
        deaths = [(first, "before"), (random_one.randint(1, SECOND_WITHIN), "before")]
        tally.pairs += (await play_and_check(stage, script, deaths, tally)).died == 2
    return tally


async def _drawn(stage: Stage, script: Script, tally: Tally, count: int, random_one: random.Random) -> list[int]:
    """Some of its actions. They are known when it was played to its end."""
    does = len((await play_and_check(stage, script, [], tally)).gateways[0].does)
    return sorted(random_one.sample(range(1, does + 1), min(count, does)))


async def play_and_check(
    stage: Stage, script: Script, deaths: Sequence[Death], tally: Tally, bug: str | None = None
) -> Play:
    """Play it once and add what was found."""
    play = await script.play(stage, deaths, bug)
    rules = Rules(NOT_FOUND.answers, NOT_FOUND.over_s, script.never_proof, script.lies, script.daily_limit)
    history = await history_of(play)
    found = check(history, rules)
    tally.open += found.open
    if bug is None and not play.died:
        shows = {"ends": history.ends(), "codes": len(history.codes_to_sign())}
        wanted = {"ends": script.ends, "codes": script.codes}
        found.wrong += [
            f"it shows something else than it is for: {what} {shows[what]}"
            for what in shows
            if wanted[what] is not None and shows[what] != wanted[what]
        ]
    if found.wrong:
        tally.wrong += [f"{script.name}, {_where(play)}: {sentence}" for sentence in found.wrong]
    return play


def _where(play: Play) -> str:
    """Where each process died."""
    died = [
        f"died {gateway.spec.dies_at[1]} {gateway.spec.dies_at[0]} ({gateway.does[gateway.spec.dies_at[0] - 1]})"
        for gateway in play.gateways
        if gateway.spec.dies_at is not None and gateway.died_on_purpose
    ]
    return ", then ".join(died) or "nobody died"
