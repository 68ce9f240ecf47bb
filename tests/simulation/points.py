"""Where the suite has processes die: at every kind of action of any flow, before and after it, once.

`points.txt` names them; it is written anew by

    SLUICE_WRITE_POINTS=1 .venv/bin/python -m pytest tests/simulation/test_crashes.py -k written
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.simulation.play import Death

__all__ = ["SIDES", "Death", "choose", "is_sent", "kind", "pairs_of", "read", "write"]

FILE: Final = Path(__file__).with_name("points.txt")
HEAD: Final = """\
# Where the suite has a process die: every kind of action, before and after it, in one of the flows that have it.
# Written by SLUICE_WRITE_POINTS=1 pytest tests/simulation/test_crashes.py -k written
"""
SIDES: Final = ("before", "after")
SECONDS: Final = 3
"""Of the second process: it asks, and records what it heard."""


def is_sent(action: str) -> bool:
    """Whether it is a request to a PSP."""
    return action.endswith(" is sent") and action != "a notification is sent"


def kind(action: str, side: str = "after") -> str:
    """What an action is of: a question changes nothing, and before it goes out nothing did, whoever was to get it; all
    else is its own kind."""
    for_anybody = action.startswith("ask_") or (side == "before" and is_sent(action))
    return action.partition(" to ")[0] if for_anybody else action


def choose(flows: Mapping[str, Sequence[str]], races: Collection[str] = ()) -> dict[str, list[Death]]:
    """For each kind of action the flow that has fewest points yet. `flows`: each with its actions, in turn; `races`:
    those in which things run beside each other.

    An answer that was given is the next action's "before", so it has no "after"; what is committed has none, either,
    where the next thing that is done has a "before". A flow that is left with nothing dies after its last request to a
    PSP, or after the last thing that it does.
    """
    having: defaultdict[str, list[str]] = defaultdict(list)
    for flow, actions in flows.items():
        for action in dict.fromkeys(actions):
            having[action].append(flow)
    chosen: dict[str, list[Death]] = {flow: [] for flow in flows}
    in_turn = sorted(having, key=lambda each: (len(having[each]), each))
    done: set[Death] = {(action, "after") for action in in_turn if action.startswith("answer ")}
    for side in SIDES:
        for action in list({kind(each, side): each for each in reversed(in_turn)}.values())[::-1]:
            if (action, side) in done:
                continue
            also = {flow: set() if flow in races else _committed(flows[flow], action, side) for flow in having[action]}
            flow = min(having[action], key=lambda each: (not also[each] - done, len(chosen[each]), len(flows[each])))
            chosen[flow].append((action, side))
            done |= {(action, side)} | also[flow]
    for flow, deaths in chosen.items():
        if not deaths:
            sent = [action for action in flows[flow] if is_sent(action)] or flows[flow]
            deaths.append((sent[-1], "after"))
    return chosen


def _committed(actions: Sequence[str], action: str, side: str) -> set[Death]:
    """What dies before an action has just committed, if it does either for the first time: to die there is to die after
    that."""
    place = actions.index(action)
    before = actions[place - 1] if place and side == "before" else ""
    return {(before, "after")} if before.startswith("COMMIT ") and actions.index(before) == place - 1 else set()


def pairs_of(actions: Iterable[str]) -> list[list[Death]]:
    """Pairs of deaths: the first after each kind of request to a PSP, the second soon after it has started.

    In a flow that sends nothing the first process dies after the first thing that it does.
    """
    kinds = list(dict.fromkeys(actions))
    sent = [action for action in kinds if is_sent(action)] or kinds[:1]
    return [[(action, "after"), (1 + place % SECONDS, "before")] for place, action in enumerate(sent)]


def read() -> dict[str, list[Death]]:
    """The points of each flow, by its name."""
    points: dict[str, list[Death]] = {}
    flow = ""
    for line in FILE.read_text().splitlines():
        if line.startswith("    "):
            side, _, action = line.strip().partition(" ")
            points[flow].append((action, side))
        elif line and not line.startswith("#"):
            flow = line
            points[flow] = []
    return points


def write(points: Mapping[str, Sequence[Death]]) -> None:
    """Keep them."""
    lines = [HEAD]
    for flow, deaths in points.items():
        lines += [flow, *(f"    {side} {action}" for action, side in deaths), ""]
    FILE.write_text("\n".join(lines))
