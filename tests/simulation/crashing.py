"""Plays a script with a crash at outside actions, or with two in a row, and has each history checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.checker import Rules, check
from tests.simulation.history import History, history_of
from tests.simulation.play import Death, Play
from tests.simulation.points import pairs_of
from tests.simulation.script import Script
from tests.simulation.stage import GRACE_S, NOT_FOUND, Stage

__all__ = ["Tally", "crash_at_each", "crash_at_pairs", "crash_at_some", "play_and_check"]

MOST_ACTIONS = 200


@dataclass(slots=True)
class Tally:
    """What was played: points and pairs at which processes died, what stayed open, and what must not have been."""

    points: int = 0
    pairs: int = 0
    open: int = 0
    wrong: list[str] = field(default_factory=list)
    shown: bool = False
    """Whether one of them ended as the script says, whoever died."""
    does: set[str] = field(default_factory=set)
    """All actions of the processes that died, or did not."""


async def crash_at_some(stage: Stage, script: Script, deaths: Sequence[Death]) -> Tally:
    """Play it with each of these deaths; to its end, if none of them ends as it is to end; and with some pairs."""
    tally = Tally()
    for death in deaths:
        await play_and_check(stage, script, [death], tally)
    if script.pairs or not tally.shown:
        whole = await play_and_check(stage, script, [], tally)
        for pair in pairs_of(whole.gateways[0].does) if script.pairs else []:
            await play_and_check(stage, script, pair, tally)
    return tally


async def crash_at_each(stage: Stage, script: Script, side: str) -> Tally:
    """Play it once for each of its actions: the process dies before it, or after it; and once to its end."""
    tally = Tally()
    for number in range(1, MOST_ACTIONS):
        play = await play_and_check(stage, script, [(number, side)], tally)
        if number > len(play.gateways[0].does):
            break
    return tally


async def crash_at_pairs(stage: Stage, script: Script, part: int, parts: int) -> Tally:
    """The second process dies, too: for each action of the first at every one of the second. One part of it all."""
    tally = Tally()
    for first in range(1 + part, MOST_ACTIONS, parts):
        for second in range(1, MOST_ACTIONS):
            play = await play_and_check(stage, script, [(first, "before"), (second, "before")], tally)
            if play.died < 2:
                break
        if first > len(play.gateways[0].does):
            break
    return tally


async def play_and_check(
    stage: Stage, script: Script, deaths: Sequence[Death], tally: Tally, bug: str | None = None
) -> Play:
    """Play it once and add what was found."""
    play = await script.play(stage, deaths, bug)
    rules = Rules(
        NOT_FOUND.answers,
        NOT_FOUND.over_s,
        script.never_proof,
        script.lies,
        grace_s=GRACE_S,
        daily_limit=script.daily_limit,
    )
    history = await history_of(play)
    found = check(history, rules)
    tally.points += play.died == 1 == len(deaths)
    tally.pairs += play.died == 2
    tally.open += found.open
    tally.does.update(*(gateway.does for gateway in play.gateways))
    unlike = _shows_what_it_is_for(script, history)
    tally.shown |= not unlike
    if bug is None and (script.steady or not play.died):
        found.wrong += unlike
    where = ", then ".join(died for gateway in play.gateways if (died := gateway.died_where())) or "nobody died"
    tally.wrong += [f"{script.name}, {where}: {sentence}" for sentence in found.wrong]
    return play


def _shows_what_it_is_for(script: Script, history: History) -> list[str]:
    wrong = []
    if script.ends is not None and history.ends() != script.ends:
        wrong.append(f"it ends otherwise than it is to show: {history.ends()}")
    if script.codes is not None and len(history.codes_to_sign()) != script.codes:
        wrong.append(f"{len(history.codes_to_sign())} codes were sent, and it is to show {script.codes}")
    return wrong
