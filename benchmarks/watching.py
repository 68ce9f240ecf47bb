"""`python -m benchmarks.watching`: what it costs payments that channels, alerts and six transaction rules are watched.

Two worlds side by side, each with a server, a gateway, a PSP and a load of its own: one gateway watches, one does not,
and then the other way round. Whatever else the machine does, it does to both, and what one world is slower than the
other falls out. Measured are whole numbers of the watches' periods. CPU is counted beside payments per second: on a
machine that others use it is the steadier figure.
"""

import argparse
import asyncio
import math
import statistics
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.server import Server
from benchmarks.stage import Stage, gateway_of, staged
from gateway.catalogue_file.shape import TransactionRuleShape
from gateway.domain.transaction_rules import TransactionRule
from gateway.run.supervising import interruptible
from gateway.storage.server.embedded import EmbeddedPostgres

__all__ = ["AIM", "Compared", "Round", "compared", "sample_rules"]

AIM: Final = 0.97
"""Of the payments per second without watching."""
PERIOD_S: Final = 30.0
"""In which every watch looks a whole number of times: channels three times, the others once."""
USERS: Final = 20_000
"""Each has a card, and pays again and again."""
FILL_S: Final = 20.0
SIDE_BY_SIDE: Final = 2
LOOKED: Final = """
SELECT (SELECT max(looked_at) FROM watches WHERE watch = 'channels') AS channels,
    (SELECT max(looked_to) FROM transaction_looks) AS transactions,
    (SELECT count(*) FROM alerts) AS alerts, (SELECT count(*) FROM payments) AS payments
"""


@dataclass(frozen=True, slots=True)
class Round:
    """What one gateway did. CPU in ms per payment."""

    watching: bool
    per_s: float
    gateway_ms: float
    postgres_ms: float

    @property
    def cpu_ms(self) -> float:
        """Of both."""
        return self.gateway_ms + self.postgres_ms


@dataclass(frozen=True, slots=True)
class Compared:
    """What is left with watching: the median of all pairs, and the middle half and the ends of them."""

    median: float
    low: float
    high: float
    least: float
    most: float

    def __str__(self) -> str:
        spread = f"half of them {self.low:.3f} to {self.high:.3f}, all {self.least:.3f} to {self.most:.3f}"
        return f"{self.median:.3f} ({spread})"


def compared(rounds: Sequence[Round], figure: Callable[[Round], float]) -> Compared:
    """On to off, of rounds that come by fours: the first world without and the second with watching, side by side, and
    then the first one with and the second without."""
    ratios = []
    for number in range(0, len(rounds), SIDE_BY_SIDE * 2):
        off_1, on_2, on_1, off_2 = map(figure, rounds[number : number + SIDE_BY_SIDE * 2])
        ratios.append(math.sqrt(on_1 / off_2 * on_2 / off_1))
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Compared(statistics.median(ratios), low, high, min(ratios), max(ratios))


def sample_rules() -> tuple[TransactionRule, ...]:
    """The rules of the sample catalogue."""
    told = tomllib.loads(files("gateway.samples").joinpath("catalogue.toml").read_text("utf-8"))
    return tuple(TransactionRuleShape.model_validate(each).rule for each in told["merchants"][0]["transaction_rules"])


async def measure(stages: Sequence[Stage], plan: argparse.Namespace, tell: Console) -> list[Round]:
    """Rounds by fours, as they are compared. Raises SystemExit where a gateway watched that should not, or did not."""
    with gateway_of(stages[0], watching=False), gateway_of(stages[1], watching=False):
        await _loads(stages, 0.0, FILL_S, plan.at)
    rounds: list[Round] = []
    for number in range(plan.swaps):
        halves = [await _half(stages, watching, plan, tell) for watching in ((False, True), (True, False))]
        for first, second in zip(*halves, strict=True):
            rounds += (*first, *second)
        tell.print(f"{number + 1} of {plan.swaps}: {compared(rounds, _per_cpu)} for the same CPU", highlight=False)
    return rounds


async def _half(
    stages: Sequence[Stage], watching: tuple[bool, bool], plan: argparse.Namespace, tell: Console
) -> list[tuple[Round, ...]]:
    """Rounds of both worlds side by side, after what each gateway does first."""
    for stage in stages:
        await stage.analyze()
    before = [await _looked(stage) for stage in stages]
    halves = []
    with gateway_of(stages[0], watching=watching[0]), gateway_of(stages[1], watching=watching[1]):
        for number in range(plan.rounds):
            loads = await _loads(stages, 1.0 if number else plan.warm_up, plan.periods * PERIOD_S, plan.at)
            halves.append(tuple(_round(told, on) for told, on in zip(loads, watching, strict=True)))
            for each in halves[-1]:
                tell.print(
                    f"{'on ' if each.watching else 'off'}: {each.per_s:6.1f} payments a second, each"
                    f" {each.gateway_ms:.3f} + {each.postgres_ms:.3f} ms of CPU",
                    highlight=False,
                )
        after = [await _looked(stage) for stage in stages]
    for was, now, on in zip(before, after, watching, strict=True):
        _require(was, now, watching=on)
    return halves


async def _loads(stages: Sequence[Stage], warm_up_s: float, seconds: float, at_once: int) -> list[dict[str, Any]]:
    users = range(USERS)
    loads = [asyncio.to_thread(stage.load, at_once, warm_up_s, seconds, users) for stage in stages]
    told = await asyncio.gather(*loads)
    if problems := [problem for each in told for problem in each["problems"]]:
        raise SystemExit(f"benchmarks: {'; '.join(problems)}")
    return list(told)


def _round(told: dict[str, Any], watching: bool) -> Round:
    payments = len(told["latencies_ms"])
    gateway, postgres = (1000 * told["cpu_s"][name] / payments for name in ("gateway", "postgres"))
    return Round(watching, payments / told["seconds"], gateway, postgres)


def _per_cpu(each: Round) -> float:
    return 1 / each.cpu_ms


async def _looked(stage: Stage) -> dict[str, Any]:
    connection = await asyncpg.connect(stage.dsn)
    try:
        return dict(await connection.fetchrow(LOOKED))
    finally:
        await connection.close()


def _require(before: dict[str, Any], after: dict[str, Any], *, watching: bool) -> None:
    """Both watches looked, or neither did. An alert would say that a rule is too wide here: then it would rest."""
    for watch in ("channels", "transactions"):
        was, now = before[watch], after[watch]
        moved = isinstance(now, datetime) and (was is None or now > was)
        if moved != watching:
            raise SystemExit(f"benchmarks: {watch} {'were' if moved else 'were not'} looked at")
    if after["alerts"]:
        raise SystemExit("benchmarks: something was told of the load: see the alerts of the gateway's log")


def show(rounds: Sequence[Round], out: Console) -> None:
    """The medians of both, and what is left."""
    table = Table("", "payments a second", "gateway, CPU ms per payment", "PostgreSQL", "both")
    for watching in (False, True):
        own = [each for each in rounds if each.watching == watching]
        figures = [statistics.median(getattr(each, name) for each in own) for name in _FIGURES]
        table.add_row("on" if watching else "off", f"{figures[0]:.1f}", *(f"{each:.3f}" for each in figures[1:]))
    out.print(table)
    rate, cpu = compared(rounds, lambda each: each.per_s), compared(rounds, _per_cpu)
    out.print(f"payments a second, on / off: {rate}", highlight=False)
    out.print(f"payments for the same CPU of both, on / off: {cpu}", highlight=False)
    held = min(rate.median, cpu.median) >= AIM
    out.print(f"the aim is {AIM} of either: {'held' if held else 'missed'}", highlight=False)


_FIGURES: Final = ("per_s", "gateway_ms", "postgres_ms", "cpu_ms")


async def _run(chosen: argparse.Namespace, servers: Sequence[Server], folder: Path) -> list[str]:
    async with AsyncExitStack() as stack:
        stages = [
            await stack.enter_async_context(
                staged(server, folder, "hmac", processes=0, profile=False, name=f"world_{number}", rules=sample_rules())
            )
            for number, server in enumerate(servers)
        ]
        rounds = await measure(stages, chosen, Console(stderr=True))
        problems = []
        for stage in stages:
            with gateway_of(stage, watching=True):
                problems += await stage.problems()
    show(rounds, Console(width=120))
    if chosen.json is not None:
        chosen.json.write_bytes(orjson.dumps([asdict(each) for each in rounds]))
    return problems


def main() -> int:
    """Measure and show; the exit status tells whether the books were whole afterwards."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.watching", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--swaps", type=int, default=5, help="of who watches, and back (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="side by side between them (default %(default)s)")
    parser.add_argument("--periods", type=int, default=1, help="of 30 s that a round is measured (default %(default)s)")
    parser.add_argument("--warm-up", type=float, default=8.0, metavar="S", help="before each (default %(default)s)")
    parser.add_argument("--at", type=int, default=32, metavar="N", help="at once, of each (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there too")
    chosen = parser.parse_args()
    with interruptible(), tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the database's own user passes through it
        with EmbeddedPostgres(folder / "one") as one, EmbeddedPostgres(folder / "two") as two:
            problems = asyncio.run(_run(chosen, (one, two), folder))
    for problem in problems:
        sys.stderr.write(f"benchmarks: FAILED: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
