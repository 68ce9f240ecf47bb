"""`python -m benchmarks.watching`: what it costs payments that channels, alerts and six transaction rules are watched.

One server, one database, one load; a gateway that watches and one that does not, in turns: off on on off. Each round
has a gateway of its own, which catches up with what it missed before it is measured. Measured is a whole number of the
watches' periods. The machine may be shared: rates are compared pair by pair, and CPU is counted, which is steadier.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
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
    """By pairs that follow each other, one with watching and one without: on to off."""
    pairs = [rounds[number : number + 2] for number in range(0, len(rounds) - 1, 2)]
    ratios = []
    for pair in pairs:
        by_kind = {each.watching: figure(each) for each in pair}
        ratios.append(by_kind[True] / by_kind[False])
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Compared(statistics.median(ratios), low, high, min(ratios), max(ratios))


def sample_rules() -> tuple[TransactionRule, ...]:
    """The rules of the sample catalogue."""
    told = tomllib.loads(files("gateway.samples").joinpath("catalogue.toml").read_text("utf-8"))
    return tuple(TransactionRuleShape.model_validate(each).rule for each in told["merchants"][0]["transaction_rules"])


async def measure(
    stage: Stage, pairs: int, warm_up_s: float, seconds: float, at_once: int, tell: Console
) -> list[Round]:
    """So many pairs of rounds. Raises SystemExit where a gateway watched that should not, or the other way round."""
    with gateway_of(stage, watching=False):
        _load(stage, 0.0, FILL_S, at_once)
    rounds: list[Round] = []
    for number in range(pairs):
        # Every other pair the other way round: neither is always the first, on the smaller tables.
        for watching in (False, True) if number % 2 == 0 else (True, False):
            await stage.analyze()
            before = await _looked(stage)
            with gateway_of(stage, watching=watching):
                told = _load(stage, warm_up_s, seconds, at_once)
                after = await _looked(stage)
            _require(before, after, watching=watching)
            payments = len(told["latencies_ms"])
            cpu = {name: 1000 * told["cpu_s"][name] / payments for name in ("gateway", "postgres")}
            rounds.append(Round(watching, payments / told["seconds"], cpu["gateway"], cpu["postgres"]))
            tell.print(
                f"pair {number + 1}, {'on ' if watching else 'off'}: {rounds[-1].per_s:6.1f} payments a second,"
                f" {cpu['gateway']:.3f} + {cpu['postgres']:.3f} ms of CPU each; {after['payments']:,} in the books",
                highlight=False,
                soft_wrap=True,
            )
    return rounds


def _load(stage: Stage, warm_up_s: float, seconds: float, at_once: int) -> dict[str, Any]:
    told = stage.load(at_once, warm_up_s, seconds, range(USERS))
    if told["problems"]:
        raise SystemExit(f"benchmarks: {'; '.join(told['problems'])}")
    return told


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
    rate, cpu = compared(rounds, lambda each: each.per_s), compared(rounds, lambda each: 1 / each.cpu_ms)
    out.print(f"payments a second, on / off: {rate}", highlight=False)
    out.print(f"payments for the same CPU of both, on / off: {cpu}", highlight=False)
    out.print(f"the aim is {AIM}: {'held' if rate.median >= AIM else 'missed'}", highlight=False)


_FIGURES: Final = ("per_s", "gateway_ms", "postgres_ms", "cpu_ms")


async def _run(chosen: argparse.Namespace, server: Server, folder: Path) -> list[str]:
    tell, out = Console(stderr=True), Console(width=120)
    async with staged(
        server, folder, "hmac", processes=0, profile=False, name="watching", rules=sample_rules()
    ) as stage:
        rounds = await measure(stage, chosen.pairs, chosen.warm_up, chosen.periods * PERIOD_S, chosen.at, tell)
        with gateway_of(stage, watching=True):
            problems = await stage.problems()
    show(rounds, out)
    if chosen.json is not None:
        chosen.json.write_bytes(orjson.dumps([asdict(each) for each in rounds]))
    return problems


def main() -> int:
    """Measure and show; the exit status tells whether the books were whole afterwards."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.watching", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10, help="of rounds, one on and one off (default %(default)s)")
    parser.add_argument("--periods", type=int, default=1, help="of 30 s that a round is measured (default %(default)s)")
    parser.add_argument("--warm-up", type=float, default=8.0, metavar="S", help="before each (default %(default)s)")
    parser.add_argument("--at", type=int, default=32, metavar="N", help="at once (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there too")
    chosen = parser.parse_args()
    with interruptible(), tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the database's own user passes through it
        with EmbeddedPostgres(folder / "postgres") as server:
            problems = asyncio.run(_run(chosen, server, folder))
    for problem in problems:
        sys.stderr.write(f"benchmarks: FAILED: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
