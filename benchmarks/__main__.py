"""`python -m benchmarks`, also `make bench`: docs/benchmarks.md."""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.measure import PARTS, Plan, measure
from benchmarks.pgbench import PgbenchError
from benchmarks.report import Results, show
from benchmarks.server import GivenServer, Server, drop_all
from gateway.database_url import DatabaseUrlError, where
from gateway.run.supervising import ChildEndedError, Interrupted, interruptible
from gateway.storage.server.data_folder import DataFolderError
from gateway.storage.server.embedded import SETTINGS, EmbeddedPostgres

EXIT_FAILED, EXIT_UNUSABLE = 1, 2
SPARE_CONNECTIONS = 72
"""For the gateway and the looks at its books, beside pgbench's connections."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="pgbench and Sluice on the same server, in one run; proves after each load that nothing was lost.",
        epilog="How to read it: docs/benchmarks.md. Exit status 1: a proof failed; 2: something is in the way.",
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="measured per point (default %(default)s)")
    parser.add_argument(
        "--warm-up", type=float, default=3.0, metavar="S", help="before each point (default %(default)s)"
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be given several times")
    parser.add_argument("--at", type=int, action="append", metavar="N", help="at once (default 32 and 128)")
    parser.add_argument("--processes", type=int, default=1, help="of the gateway, on one port (default %(default)s)")
    parser.add_argument("--profile", action="store_true", help="and where the gateway's CPU goes, at the last --at")
    parser.add_argument("--cold", action="store_true", help="without ANALYZE: on a database that is minutes old")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="for the database: empty or new, removed at the end"
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="a server that runs, instead of one of our own: in databases of its own, dropped at the end",
    )
    return parser


@contextmanager
def _server(given: str | None, folder: Path) -> Iterator[Server]:
    """The server that is measured. Raises DatabaseUrlError, DataFolderError."""
    if given is None:
        with EmbeddedPostgres(folder / "postgres") as embedded:
            yield embedded
        return
    server = GivenServer(given)
    try:
        yield server
    finally:
        asyncio.run(drop_all(server))


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """A folder that the server's system user can pass; on the disk that is to be measured."""
    if wanted is not None and wanted.exists() and any(wanted.iterdir()):
        raise DataFolderError(f"{wanted} is not empty: name a folder that the benchmark may empty")
    folder = wanted or Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Measure, show, and tell by the exit status whether the proofs held."""
    chosen = _parser().parse_args()
    plan = Plan(
        seconds=chosen.seconds,
        warm_up_s=chosen.warm_up,
        parts=tuple(chosen.only or PARTS),
        concurrencies=tuple(chosen.at or (32, 128)),
        processes=chosen.processes,
        profile=chosen.profile,
        cold=chosen.cold,
    )
    # pgbench has a connection for each client, which is more than a gateway ever asks the server for.
    SETTINGS["max_connections"] = str(max(plan.concurrencies) + SPARE_CONNECTIONS)
    results, out = Results(plan.seconds, plan.processes), Console()
    try:
        with interruptible(), _folder(chosen.data_dir) as folder, _server(chosen.database, folder) as server:
            profile = asyncio.run(measure(plan, server, folder, results, Console(stderr=True)))
    except Interrupted:
        return EXIT_FAILED
    except OSError as error:
        if chosen.database is None:
            raise
        sys.stderr.write(f"benchmarks: the server at {where(chosen.database)} cannot be reached: {error}\n")
        return EXIT_UNUSABLE
    except (DatabaseUrlError, DataFolderError, ChildEndedError, PgbenchError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return EXIT_UNUSABLE
    for line in profile:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    show(results, out)
    if chosen.json is not None:
        results.write(chosen.json)
    return EXIT_FAILED if results.problems else 0


if __name__ == "__main__":
    sys.exit(main())
