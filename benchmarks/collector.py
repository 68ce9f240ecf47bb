"""`python -m benchmarks.collector`: what tunings of Python's collector cost and give (docs/benchmarks.md).

cpu       CPU and pauses per tuning, in turns on one gateway process
memory    a fresh gateway per tuning: its memory after 10,000 and after 100,000 payments
reloads   a catalogue of 38,400 rules changes under load, per tuning: pauses and memory
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.catalogues import other_merchants
from benchmarks.figures import percentile
from benchmarks.stage import HOST, Stage, apply, staged
from benchmarks.tuning import AS_SERVED, GENERATIONS, PYTHONS, Look, Tuning, ask_for, looks
from gateway.run.supervising import interruptible
from gateway.storage.server.embedded import EmbeddedPostgres

PARTS: Final = ("cpu", "memory", "strangers", "reloads")
CANDIDATES: Final = (PYTHONS, AS_SERVED, Tuning(True, (50_000, 20, 100)), Tuning(True, (10_000, 50, 1000)))
AT_ONCE: Final = 128
WARM_UP_S: Final = 2.0
NEW_USERS: Final = 1_000_000
FEW_PAYMENTS, MANY_PAYMENTS = 10_000, 100_000
MEMORY_LOAD_S: Final = 8.0
SETTLED_S: Final = 1.0
"""After a load, for what is still in hand."""
FEW_STRANGERS, MANY_STRANGERS, STRANGERS_AT_ONCE = 20_000, 100_000, 32
NOT_AN_ORDER: Final = (
    b"POST /v1/withholds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
    b'Content-Length: 14\r\n\r\n{"amount":"x"}'
)
OTHER_MERCHANTS, CHANNELS_EACH = 40, 80
RELOADS: Final = 6
RELOAD_EVERY_S: Final = 8.0
RELOAD_AT_ONCE: Final = 32
MIB: Final = 2**20

Row = dict[str, float]


async def cpu(stage: Stage, candidates: tuple[Tuning, ...], rounds: int, seconds: float, tell: Console) -> list[Row]:
    """CPU of the gateway per payment, and its pauses, of each candidate in turn, `rounds` times."""
    rows: list[Row] = []
    stage.load(AT_ONCE, 0.0, 4.0, range(NEW_USERS))
    for number in range(rounds):
        # Every other round backwards: none is always the first, on the smallest tables.
        for tuning in candidates if number % 2 == 0 else reversed(candidates):
            await stage.analyze()
            ask_for(stage.folder, tuning)
            since = time.monotonic()
            told = stage.load(AT_ONCE, WARM_UP_S, seconds, range(NEW_USERS))
            payments = len(told["latencies_ms"])
            row: Row = {
                "cpu ms per payment": 1000 * told["cpu_s"]["gateway"] / payments,
                "payments per s": payments / told["seconds"],
                "p50 ms": percentile(told["latencies_ms"], 0.5),
                "p99 ms": percentile(told["latencies_ms"], 0.99),
                **pauses_of(looks(stage.folder, since), told["sent"]),
            }
            rows.append({"tuning": candidates.index(tuning), **row})
            tell.print(f"round {number + 1}, {tuning}: {row['cpu ms per payment']:.3f} ms", highlight=False)
    return rows


def pauses_of(seen: list[Look], payments: int) -> Row:
    """What the collector did in these looks, for this many payments."""
    row: Row = {f"longest pause of {g}, ms": 1000 * max(s.longest_pause_s[g] for s in seen) for g in range(GENERATIONS)}
    row |= {f"looks at {g}": sum(s.collections[g] for s in seen) for g in range(GENERATIONS)}
    row["pauses us per payment"] = 1e6 * sum(sum(s.pause_s) for s in seen) / payments
    row["collected per payment"] = sum(s.collected for s in seen) / payments
    row["longest lag ms"] = 1000 * max(s.lag_s for s in seen)
    return row


async def memory(stage: Stage, tuning: Tuning, tell: Console) -> Row:
    """The memory of a gateway that begins with this tuning."""
    ask_for(stage.folder, tuning)
    rss: Row = {"MiB at the start": looks(stage.folder)[-1].rss_bytes / MIB}
    since, sent = time.monotonic(), 0
    for goal in (FEW_PAYMENTS, MANY_PAYMENTS // 2, MANY_PAYMENTS):
        while stage.expected.payments < goal:
            sent += stage.load(AT_ONCE, 0.0, MEMORY_LOAD_S, range(NEW_USERS))["sent"]
            await stage.analyze()
        await asyncio.sleep(SETTLED_S)
        rss[f"MiB after {goal}"] = looks(stage.folder)[-1].rss_bytes / MIB
        tell.print(f"{tuning}: {rss[f'MiB after {goal}']:.1f} MiB after {stage.expected.payments}", highlight=False)
    seen = looks(stage.folder, since)
    return rss | {"most MiB": max(s.rss_bytes for s in seen) / MIB} | pauses_of(seen, sent)


async def strangers(stage: Stage, tuning: Tuning, tell: Console) -> Row:
    """The memory of a gateway that never gets a good request, nor two on one connection: what errors leave behind."""
    ask_for(stage.folder, tuning)
    rss: Row = {"MiB at the start": looks(stage.folder)[-1].rss_bytes / MIB}
    since, sent = time.monotonic(), 0
    request = NOT_AN_ORDER % stage.api_key.encode()

    async def come_and_go(times: int) -> None:
        for _ in range(times):
            reader, writer = await asyncio.open_connection(HOST, stage.port)
            writer.write(request)
            answer = await reader.readuntil(b"\r\n")
            if not answer.startswith(b"HTTP/1.1 422"):
                raise SystemExit(f"benchmarks: answered {answer!r}")
            writer.close()

    for goal in (FEW_STRANGERS, MANY_STRANGERS):
        each = (goal - sent) // STRANGERS_AT_ONCE
        await asyncio.gather(*(come_and_go(each) for _ in range(STRANGERS_AT_ONCE)))
        sent += each * STRANGERS_AT_ONCE
        await asyncio.sleep(SETTLED_S)
        rss[f"MiB after {goal}"] = looks(stage.folder)[-1].rss_bytes / MIB
        tell.print(f"{tuning}: {rss[f'MiB after {goal}']:.1f} MiB after {sent}", highlight=False)
    seen = looks(stage.folder, since)
    return rss | {"most MiB": max(s.rss_bytes for s in seen) / MIB} | pauses_of(seen, sent)


async def reloads(stage: Stage, tuning: Tuning, tell: Console) -> Row:
    """What changes of a large catalogue do to the payments that run beside them."""
    ask_for(stage.folder, tuning)
    quiet = time.monotonic()
    first = stage.load(RELOAD_AT_ONCE, 0.0, MEMORY_LOAD_S, range(NEW_USERS))
    before = looks(stage.folder, quiet)
    busy = time.monotonic()
    loading = asyncio.create_task(
        asyncio.to_thread(stage.load, RELOAD_AT_ONCE, 0.0, RELOADS * RELOAD_EVERY_S, range(NEW_USERS))
    )
    rss: list[float] = []
    for number in range(RELOADS):
        began = time.monotonic()
        # One merchant's fees: whatever changes, every process reads the whole catalogue again.
        changed = other_merchants(1, CHANNELS_EACH, 200 + number)
        merchants = (stage.content.merchants[0], *changed, *stage.content.merchants[2:])
        await apply(stage.url, stage.ring, replace(stage.content, merchants=merchants))
        await asyncio.sleep(max(0.0, RELOAD_EVERY_S - (time.monotonic() - began)))
        rss.append(looks(stage.folder)[-1].rss_bytes / MIB)
    told = await loading
    during = looks(stage.folder, busy)
    tell.print(f"{tuning}: {', '.join(f'{mib:.0f}' for mib in rss)} MiB after each change", highlight=False)
    return {
        "p99 ms before": percentile(first["latencies_ms"], 0.99),
        "longest ms before": max(first["latencies_ms"]),
        "p99 ms during": percentile(told["latencies_ms"], 0.99),
        "longest ms during": max(told["latencies_ms"]),
        "longest lag ms before": 1000 * max(s.lag_s for s in before),
        "MiB before": before[-1].rss_bytes / MIB,
        "MiB after the first": rss[0],
        "MiB after the last": rss[-1],
        **pauses_of(during, told["sent"]),
    }


def medians(rows: list[Row], candidates: tuple[Tuning, ...]) -> list[Row]:
    """The median of every figure, by candidate."""
    found = []
    for number in range(len(candidates)):
        own = [row for row in rows if row["tuning"] == number]
        found.append({name: statistics.median(row[name] for row in own) for name in own[0]})
    return found


def table(title: str, rows: list[Row], candidates: tuple[Tuning, ...]) -> Table:
    """Figures down, candidates across."""
    shown = Table("", *map(str, candidates), title=title)
    for name in rows[0]:
        if name != "tuning":
            shown.add_row(name, *(f"{row[name]:.3g}" if row[name] < 100 else f"{row[name]:.0f}" for row in rows))
    return shown


@asynccontextmanager
async def _watched(server: EmbeddedPostgres, folder: Path, name: str, *, large: bool = False) -> AsyncIterator[Stage]:
    others = other_merchants(OTHER_MERCHANTS, CHANNELS_EACH, 100) if large else ()
    async with staged(
        server, folder, "hmac", processes=1, profile=False, name=name, others=others, watch=True
    ) as stage:
        yield stage
        problems = await stage.problems() if stage.expected.payments else []
        if problems:
            raise SystemExit(f"benchmarks: {'; '.join(problems)}")


async def _measure(chosen: argparse.Namespace, server: EmbeddedPostgres, folder: Path, out: Console) -> None:
    tell, candidates = Console(stderr=True), tuple(chosen.tuning or CANDIDATES)
    results: dict[str, list[Row]] = {}
    for part in chosen.part or PARTS:
        if part == "cpu":
            async with _watched(server, folder, "cpu") as stage:
                results[part] = await cpu(stage, candidates, chosen.rounds, chosen.seconds, tell)
            out.print(table(f"CPU, medians of {chosen.rounds}", medians(results[part], candidates), candidates))
            continue
        results[part], measure = [], {"memory": memory, "strangers": strangers, "reloads": reloads}[part]
        for number, tuning in enumerate(candidates):
            async with _watched(server, folder, f"{part}_{number}", large=part == "reloads") as stage:
                results[part].append(await measure(stage, tuning, tell))
        out.print(table(part, results[part], candidates))
    if chosen.json is not None:
        chosen.json.write_bytes(orjson.dumps({"tunings": list(map(str, candidates)), **results}))


def main() -> int:
    """Measure and show."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.collector", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one; may be given several times")
    parser.add_argument(
        "--tuning", type=Tuning.parse, action="append", metavar="[frozen ]A/B/C", help="instead of the usual candidates"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of the CPU part (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="per point of the CPU part (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    chosen = parser.parse_args()
    with interruptible(), tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder / "postgres") as server:
            asyncio.run(_measure(chosen, server, folder, Console(width=120)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
