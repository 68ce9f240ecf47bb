"""The course of a run: pgbench, our loads on each PSP, pgbench again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import pgbench
from benchmarks.figures import LoadFigures, Overhead, Pgbench, percentile
from benchmarks.proof import get_json
from benchmarks.report import Results
from benchmarks.sampling import top_lines
from benchmarks.server import Server, named, new_database
from benchmarks.stage import Psp, Stage, staged
from gateway.run.supervising import ChildEndedError

__all__ = ["PARTS", "Plan", "measure"]

PARTS: Final = ("pgbench", "hmac", "unionpay", "overhead")
STEADY_PER_S: Final = 20.0
STEADY_PSP_S: Final = 0.05
STEADY_POINTS: Final = 2.0
"""The steady rate is measured for so many times the seconds of a point: a p99 of 160 requests is its second worst."""
FILL_S: Final = 3.0
NEW_USERS: Final = 1_000_000
"""More than any load here can use up."""
PGBENCH_DATABASE: Final = "bench_pgbench"
TOP: Final = 25


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    seconds: float
    warm_up_s: float
    parts: tuple[str, ...]
    concurrencies: tuple[int, ...]
    processes: int
    profile: bool
    cold: bool
    """Without the ANALYZE between the points: how the planner fares on a database that is minutes old."""


async def measure(plan: Plan, server: Server, folder: Path, results: Results, tell: Console) -> list[str]:
    """Fill `results`; the lines of the profile, where one was asked for."""
    profile: list[str] = []
    if "pgbench" in plan.parts:
        await new_database(server, PGBENCH_DATABASE)
        new_id = await pgbench.prepare(named(server, PGBENCH_DATABASE))
        before = _pgbench(plan, server, folder, new_id, tell)
    if {"hmac", "overhead"} & set(plan.parts):
        async with staged(server, folder, "hmac", processes=plan.processes, profile=plan.profile) as stage:
            if "hmac" in plan.parts:
                profile += await _loads(plan, stage, results, tell)
            if "overhead" in plan.parts:
                results.overhead = await _overhead(plan, stage, tell)
    if "unionpay" in plan.parts:
        profiled = plan.profile and "hmac" not in plan.parts
        async with staged(server, folder, "unionpay", processes=plan.processes, profile=profiled) as stage:
            profile += await _loads(plan, stage, results, tell)
    if "pgbench" in plan.parts:
        # Others may use the machine: what it gave before and after tells how far the ratios can be trusted.
        after = _pgbench(plan, server, folder, new_id, tell)
        results.pgbench = [Pgbench(n, (before[n], after[n])) for n in plan.concurrencies]
    return profile


def _pgbench(plan: Plan, server: Server, folder: Path, new_id: str, tell: Console) -> dict[int, float]:
    found = {}
    for clients in plan.concurrencies:
        tell.print(f"pgbench, {clients} clients", highlight=False)
        found[clients] = pgbench.run(named(server, PGBENCH_DATABASE), folder, clients, plan.seconds, new_id)
    return found


async def _loads(plan: Plan, stage: Stage, results: Results, tell: Console) -> list[str]:
    """New users first, at the highest concurrency; they are the known ones of the loads after it."""
    most = max(plan.concurrencies)
    await _fill(plan, stage, tell)
    new = await _point(plan, stage, "new", most, range(stage.expected.payments, NEW_USERS), tell)
    known = range(stage.expected.payments)
    if not plan.cold:
        await stage.analyze()
    profile: list[str] = []
    for concurrency in plan.concurrencies:
        with _profiled(stage, profile, wanted=stage.profile is not None and concurrency == plan.concurrencies[-1]):
            results.loads.append(await _point(plan, stage, "known", concurrency, known, tell))
    results.loads.append(new)
    return profile


async def _fill(plan: Plan, stage: Stage, tell: Console) -> None:
    """A few seconds of payments that are not measured, so that the tables are none of an empty database."""
    tell.print(f"{stage.psp}, filling", highlight=False)
    problems = stage.load(max(plan.concurrencies), 0.0, FILL_S, range(NEW_USERS))["problems"]
    if problems:
        raise ChildEndedError("the gateway takes no payments: " + "; ".join(problems))
    await stage.problems()
    if not plan.cold:
        await stage.analyze()


async def _point(plan: Plan, stage: Stage, users: str, concurrency: int, of: range, tell: Console) -> LoadFigures:
    tell.print(f"{stage.psp}, {users} users, {concurrency} at once", highlight=False)
    told = stage.load(concurrency, plan.warm_up_s, plan.seconds, of)
    problems = [*told["problems"], *await stage.problems()]
    return figures_of(stage.psp, users, concurrency, told, problems)


def figures_of(psp: Psp, users: str, concurrency: int, told: dict[str, Any], problems: list[str]) -> LoadFigures:
    """The figures of one load from what its generator told."""
    latencies, payments = told["latencies_ms"], len(told["latencies_ms"])
    return LoadFigures(
        psp=psp,
        users=users,
        concurrency=concurrency,
        seconds=told["seconds"],
        payments=payments,
        per_s=payments / told["seconds"],
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
        cpu_ms={name: 1000 * seconds / max(payments, 1) for name, seconds in told["cpu_s"].items()},
        problems=problems,
    )


async def _overhead(plan: Plan, stage: Stage, tell: Console) -> Overhead:
    tell.print(f"overhead at {STEADY_PER_S:g} payments per second", highlight=False)
    if not stage.loads:
        await _fill(plan, stage, tell)
    stage.delay_psp(STEADY_PSP_S)
    users = range(stage.expected.payments)
    told = stage.load(1, plan.warm_up_s, STEADY_POINTS * plan.seconds, users, STEADY_PER_S)
    stage.delay_psp(0)
    spent_s = get_json(f"{stage.counterparts}/books")["psp"]["seconds"]
    latencies: dict[str, float] = told["by_number_ms"]
    own = [latency - 1000 * spent_s[number] for number, latency in latencies.items() if number in spent_s]
    problems = [*told["problems"], *await stage.problems()]
    if len(own) != len(latencies):
        problems.append(f"the mock PSP measured only {len(own)} of {len(latencies)} payments")
    return Overhead(
        per_s=STEADY_PER_S,
        psp_ms=1000 * STEADY_PSP_S,
        payments=len(own),
        latency_p50_ms=percentile(list(latencies.values()), 0.5),
        latency_p99_ms=percentile(list(latencies.values()), 0.99),
        p50_ms=percentile(own, 0.5),
        p99_ms=percentile(own, 0.99),
        problems=problems,
    )


@contextmanager
def _profiled(stage: Stage, lines: list[str], *, wanted: bool) -> Iterator[None]:
    if wanted:
        stage.start_profile()
    yield
    if wanted:
        lines += top_lines(stage.end_profile(), TOP)
