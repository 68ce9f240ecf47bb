"""`python -m benchmarks.waiting`: 20,000 withholds in line beside charges, on a channel that carries 20 calls a second.

The clock is moved, so that two hours pass in minutes. Every `--every-s` of it the same charges are measured for a
moment, the clock going as clocks do: in the process with the line, in two without any (the difference between those two
is the machine's noise), and in one to which as many withholds come as the line sends, each with a place at once.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.server import named, new_database
from benchmarks.waiting_world import BEGINNING, BESIDE, LINE, PER_SECOND, SEND_BEFORE, World
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.migrate import upgrade
from gateway.workers.schedule import TICK_S

__all__ = ["PER_SECOND", "SEND_WITHIN_S", "Plan", "Seen", "scene"]

SEND_WITHIN_S: Final = (SEND_BEFORE - BEGINNING).total_seconds()
STEP_S: Final = TICK_S
WARM_UP_S: Final = 10.0
"""Charges come for so long before there is a line, by the clock that is moved."""
LINE_SENDS: Final = 9.0
"""Withholds a second, about: what charges leave."""
PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens, by the clock that is moved."""

    withholds: int
    hand_in_s: float
    seconds: float
    """That charges come for at least."""
    charges_per_second: float
    """To each of the two channels."""
    every_s: float = 60.0
    """The charges are measured every so often."""
    measured_s: float = 0.0
    """So long each time, in each process."""
    psp_ms: float = 0.0
    """How long PSPs take meanwhile."""


@dataclass(slots=True)
class Seen:
    """What the process with the line showed."""

    seconds: float = 0.0
    """That passed until everything was done, by the clock that was moved."""
    sent: int = 0
    never_sent: int = 0
    last_sent_s: float = 0.0
    """When the last one was sent."""
    most_in_a_second: int = 0
    """Calls, questions apart, that the channel with the line had in any one second."""
    by_age: float = 1.0
    """How many of those that were sent were handed in before those that were sent a second later."""
    charges: dict[str, int] = field(default_factory=dict)
    """By channel."""
    refused: dict[str, int] = field(default_factory=dict)
    """Charges for which there was no place."""


async def scene(url: str, plan: Plan, others: Sequence[tuple[World, float]] = ()) -> tuple[Seen, World]:
    """Hand in withholds with two hours to send, while charges come by chance, until all are sent.

    `url`: a database of its own, with the tables. `others`: processes that the charges are measured in as well, in
    turns, with the withholds a second that come to them meanwhile.
    """
    world, dice = World(url, plan.charges_per_second, plan.psp_ms / 1e3), random.Random(1)
    all_worlds = [(world, 0.0), *others]
    left, owed, per_step = plan.withholds, 0.0, plan.withholds * STEP_S / plan.hand_in_s
    measure_at = WARM_UP_S + plan.hand_in_s
    try:
        if plan.measured_s:
            for each, per_second in all_worlds:
                await each.lives(WARM_UP_S, per_second, measured=False)
        while world.passed_s < plan.seconds or left or await world.stands():
            owed = min(left, owed + per_step) if world.passed_s >= WARM_UP_S else 0.0
            await world.pass_s(STEP_S, int(owed))
            left, owed = left - int(owed), owed - int(owed)
            if plan.measured_s and not left and world.passed_s >= measure_at and await world.stands():
                measure_at = world.passed_s + plan.every_s
                for each, per_second in dice.sample(all_worlds, len(all_worlds)):
                    await each.lives(plan.measured_s, per_second)
        return await _told(world), world
    finally:
        await world.close()


async def _told(world: World) -> Seen:
    counts = await world.withholds()
    seen = Seen(world.passed_s, counts.pop("succeeded", 0), sum(counts.values()))
    seen.charges = {channel: charges.came for channel, charges in world.charges.items()}
    seen.refused = {channel: charges.refused for channel, charges in world.charges.items()}
    times = [at for at, _ in world.called]
    first = 0
    for last, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        seen.most_in_a_second = max(seen.most_in_a_second, last - first + 1)
    ages = [(at, int(name[1:])) for at, name in world.called if name.startswith("w")]
    seen.last_sent_s = max((at for at, _ in ages), default=0.0)
    later, in_order, compared = 0, 0, 0
    for at, number in ages:
        while later < len(ages) and ages[later][0] < at + 1.0:
            later += 1
        if later < len(ages):
            compared, in_order = compared + 1, in_order + (number < ages[later][1])
    if compared:
        seen.by_age = in_order / compared
    return seen


OTHERS: Final = {"without": 0.0, "without again": 0.0, "without, as busy": LINE_SENDS}
"""Withholds a second that come to the processes without a line."""


async def _show(plan: Plan) -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, EmbeddedPostgres(_within(folder)) as server:
        for place in range(len(OTHERS) + 1):
            await new_database(server, f"w{place}")
            await upgrade(named(server, f"w{place}"))
        async with contextlib.AsyncExitStack() as stack:
            others = {}
            for place, name in enumerate(OTHERS, 1):
                url = named(server, f"w{place}")
                others[name] = World(url, plan.charges_per_second, plan.psp_ms / 1e3, seed=place + 1)
                stack.push_async_callback(others[name].close)
            began = time.perf_counter()
            pairs = [(others[name], per_second) for name, per_second in OTHERS.items()]
            seen, world = await scene(named(server, "w0"), plan, pairs)
        print(
            f"{seen.sent} withholds sent and {seen.never_sent} never sent, of {plan.withholds}; the last"
            f" {seen.last_sent_s:.0f} s after the beginning, of {SEND_WITHIN_S:.0f}; at most {seen.most_in_a_second}"
            f" calls in a second; {seen.by_age:.1%} by age\n"
            f"{seen.seconds:.0f} s passed in {time.perf_counter() - began:.0f} s; charges refused for want of a place:"
            f" {seen.refused[LINE]} of {seen.charges[LINE]} beside the line,"
            f" {seen.refused[BESIDE]} of {seen.charges[BESIDE]} on the other channel"
        )
        for channel, where in ((LINE, "beside the line"), (BESIDE, "on the other channel")):
            ms = {"with a line": world.charges[channel].ms}
            ms |= {name: other.charges[channel].ms for name, other in others.items()}
            plain = (ms["without"], ms["without again"])
            print(f"\ncharges {where}, p50 in ms (how many):")
            print("; ".join(f"{name} {statistics.median(each):.1f} ({len(each)})" for name, each in ms.items()))
            print(f"with a line / without: {_ratio(ms['with a line'], *plain)}")
            print(f"without again / without, the noise: {_ratio(ms['without again'], ms['without'])}")
            print(f"as busy / without: {_ratio(ms['without, as busy'], *plain)}")
            print(f"with a line / as busy: {_ratio(ms['with a line'], ms['without, as busy'])}", flush=True)


def _ratio(some: Sequence[float], *others: Sequence[float]) -> str:
    """That of the medians, and the least and most of it over parts of the run."""

    def of(place: int, parts: int) -> float:
        those = [value for each in others for value in _part(each, place, parts)]
        return statistics.median(_part(some, place, parts)) / statistics.median(those)

    by_part = [of(place, PARTS) for place in range(PARTS)]
    return f"{of(0, 1):.2f} ({min(by_part):.2f} to {max(by_part):.2f})"


def _part(values: Sequence[float], place: int, parts: int) -> Sequence[float]:
    return values[len(values) * place // parts : len(values) * (place + 1) // parts]


def _within(folder: str) -> Path:
    Path(folder).chmod(0o711)  # the database's own user passes through it
    return Path(folder) / "postgres"


def main() -> None:
    """Run the scene, and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--withholds", type=int, default=20_000)
    parser.add_argument("--hand-in-s", type=float, default=600.0)
    parser.add_argument("--seconds", type=float, default=1800.0, help="that charges come for, by the clock moved")
    parser.add_argument("--charges-per-second", type=float, default=2.0, help="to each of the two channels")
    parser.add_argument("--every-s", type=float, default=30.0, help="by the clock moved: charges are measured")
    parser.add_argument("--measured-s", type=float, default=3.0, help="each time, in each process")
    parser.add_argument("--psp-ms", type=float, default=50.0, help="that a PSP takes while charges are measured")
    args = parser.parse_args()
    asyncio.run(_show(Plan(**vars(args))))


if __name__ == "__main__":
    main()
