"""The process that reconciles a day by itself (`gateway.run.apart`). It is nice to others, and logs as its parent does.

python -m gateway.run.statement_child MERCHANT_ID ACCOUNT DAY BY MORE

MORE is a JSON object: `files` (null, or pairs of a name and a path), `replaces` (null, or why) and `so_far`.
"""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson

from gateway import logs
from gateway.ports.statements import StatementFile
from gateway.run.apart import refused, told
from gateway.run.serving import run_async
from gateway.run.wiring import system
from gateway.settings import Settings

__all__ = ["main"]

NICE: Final = 10

log = logs.get(__name__)


async def _work(settings: Settings, merchant_id: UUID, account: str, day: date, by: str, more: Any) -> dict[str, Any]:
    files = None if more["files"] is None else [StatementFile(name, Path(path)) for name, path in more["files"]]
    async with system(settings, workers=False, api=False, shares=False) as running:
        try:
            return told(
                await running.reconciler.run(
                    merchant_id, account, day, by, files, more["replaces"], so_far=more["so_far"]
                )
            )
        except Exception as error:
            said = refused(error)
            if said is None:
                log.error("a day was not reconciled", account=account, day=day.isoformat(), exc_info=error)
                said = {"kind": "unreachable", "reason": type(error).__name__}
            return said


def main() -> None:
    """The child."""
    os.nice(NICE)
    settings = Settings()
    logs.configure(settings.log_level, console={"auto": None, "console": True, "json": False}[settings.log_format])
    merchant_id, account, day, by, more = sys.argv[1:]

    async def work() -> None:
        said = await _work(settings, UUID(merchant_id), account, date.fromisoformat(day), by, orjson.loads(more))
        sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
        sys.stdout.buffer.flush()

    run_async(work())


if __name__ == "__main__":
    main()
