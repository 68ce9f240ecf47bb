"""A real Prometheus for tests: Debian's, on a port of its own, with the rules of deploy/, scraping every second."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from gateway.run.supervising import free_port
from tests.deployed import RULES_FOLDER
from tests.e2e.waiting import until

__all__ = ["MISSING", "NEEDED", "PROGRAM", "Prometheus", "prometheus"]

PROGRAM: Final = shutil.which("prometheus")
MISSING: Final = "no Prometheus: install Debian's (apt-get install --no-install-recommends prometheus)"
NEEDED: Final = "SLUICE_NEEDS_PROMETHEUS"
"""With it a missing program fails, where it would skip."""
EVERY: Final = "1s"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs. `address`: of its API."""

    address: str
    session: aiohttp.ClientSession

    async def asked(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        async with self.session.get(f"{self.address}/api/v1/{path}", params=parameters) as answer:
            body = await answer.json()
            assert body["status"] == "success", body
            return body["data"]

    async def values(self, expr: str) -> list[float]:
        """What an expression gives now, series by series."""
        result = (await self.asked("query", query=expr))["result"]
        return [float(series["value"][1]) for series in result]

    async def has_seen(self, since_s: float) -> None:
        """Wait until it has scraped, and applied its rules, after this moment."""

        async def look() -> bool | None:
            found = [await self.values(f"timestamp({name})") for name in ("up", "sluice:http_errors:ratio_rate5m")]
            return all(times and min(times) > since_s for times in found) or None

        await until(look, "scrape by Prometheus")


@contextlib.asynccontextmanager
async def prometheus(folder: Path, target: str, session: aiohttp.ClientSession) -> AsyncIterator[Prometheus]:
    """One that scrapes this address (`host:port`) as the job `sluice`."""
    assert PROGRAM is not None or not os.environ.get(NEEDED), MISSING
    assert PROGRAM is not None
    config = {
        "global": {"scrape_interval": EVERY, "evaluation_interval": EVERY},
        "rule_files": [str(RULES_FOLDER / "rules.yml")],
        "scrape_configs": [
            {"job_name": "sluice", "static_configs": [{"targets": [target], "labels": {"role": "all"}}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    program = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        env={"GOMAXPROCS": "1", "PATH": os.environ["PATH"]},
    )
    try:
        running = Prometheus(f"http://127.0.0.1:{port}", session)

        async def look() -> bool | None:
            assert program.returncode is None, "Prometheus ended at once"
            with contextlib.suppress(aiohttp.ClientError):
                return await running.values("up") == [1.0] or None
            return None

        await until(look, "first scrape by Prometheus")
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.terminate()
        await program.wait()
