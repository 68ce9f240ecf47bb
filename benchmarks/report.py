"""The results for people (a table) and for machines (JSON)."""

import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from benchmarks.figures import LoadFigures, Overhead, Pgbench

__all__ = ["Results", "show"]


@dataclass(slots=True)
class Results:
    """Everything one run measured."""

    seconds: float
    processes: int
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    cores: int = field(default_factory=lambda: psutil.cpu_count() or 0)
    machine: str = field(default_factory=lambda: f"{platform.system()} {platform.machine()}")
    python: str = field(default_factory=platform.python_version)
    pgbench: list[Pgbench] = field(default_factory=list)
    loads: list[LoadFigures] = field(default_factory=list)
    overhead: Overhead | None = None

    @property
    def problems(self) -> list[str]:
        """Everything the proofs found wrong."""
        told = [
            f"{load.psp}, {load.users} users at {load.concurrency}: {p}" for load in self.loads for p in load.problems
        ]
        return told + [f"overhead: {problem}" for problem in (self.overhead.problems if self.overhead else [])]

    def ratio(self, load: LoadFigures) -> float | None:
        """Our payments per second over pgbench's at the same concurrency."""
        base = next((bench.mean_per_s for bench in self.pgbench if bench.clients == load.concurrency), None)
        return load.per_s / base if base else None

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        content: dict[str, Any] = asdict(self)
        for told, load in zip(content["loads"], self.loads, strict=True):
            told["ratio"] = self.ratio(load)
        for told, bench in zip(content["pgbench"], self.pgbench, strict=True):
            told["mean_per_s"] = bench.mean_per_s
        content["problems"] = self.problems
        path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


def show(results: Results, out: Console) -> None:
    """Print everything."""
    out.print(
        f"{results.cores} cores, {results.machine}, Python {results.python}, gateway processes: {results.processes};"
        f" {results.seconds:g} s per point",
        highlight=False,
    )
    out.print(_speeds(results))
    if results.loads:
        out.print(_cpu(results))
    if results.overhead:
        over = results.overhead
        out.print(
            f"overhead at {over.per_s:g} payments/s ({over.payments} payments, the PSP takes {over.psp_ms:.0f} ms): "
            f"p50 {over.p50_ms:.1f} ms, p99 {over.p99_ms:.1f} ms (whole request: p50 {over.latency_p50_ms:.1f} ms, "
            f"p99 {over.latency_p99_ms:.1f} ms)",
            highlight=False,
        )
    for problem in results.problems:
        out.print(f"  - {problem}", highlight=False, markup=False)
    out.print("[bold red]FAILED" if results.problems else "[bold green]nothing lost, nothing done twice")


def _speeds(results: Results) -> Table:
    table = Table(title="payments per second")
    table.add_column("what")
    for column in ("at once", "per second", "of pgbench", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for bench in results.pgbench:
        each = " and ".join(f"{value:.0f}" for value in bench.per_s)
        table.add_row(f"pgbench, two transactions ({each})", str(bench.clients), f"{bench.mean_per_s:.0f}", "", "", "")
    for load in results.loads:
        ratio = results.ratio(load)
        table.add_row(
            f"Sluice, {load.psp}, {load.users} users",
            str(load.concurrency),
            f"{load.per_s:.0f}",
            f"{ratio:.2f}" if ratio is not None else "",
            f"{load.p50_ms:.0f}",
            f"{load.p99_ms:.0f}",
        )
    return table


def _cpu(results: Results) -> Table:
    programs = list(dict.fromkeys(name for load in results.loads for name in load.cpu_ms))
    table = Table("what", title="CPU per payment, ms")
    for name in ("at once", *programs, "all"):
        table.add_column(name, justify="right")
    for load in results.loads:
        each = [load.cpu_ms.get(name, 0.0) for name in programs]
        figures = (f"{value:.2f}" for value in (*each, sum(each)))
        table.add_row(f"{load.psp}, {load.users} users", str(load.concurrency), *figures)
    return table
