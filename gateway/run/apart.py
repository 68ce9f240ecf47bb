"""A day that is due is reconciled in a process of its own: reading a million lines takes no time from payments.

The child (`gateway.run.statement_child`) says how it ended as one JSON object. One whose parent dies goes on to its
end: a day is loaded whole or not at all, and once.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.domain.reconciled import DayClosedError, OtherStatementError, ReconciledDay, Totals
from gateway.ports import AnswerLostError, TransportError, UnusableAccountError
from gateway.ports.statements import StatementFile, StatementNotReadyError, StatementRefusedError
from gateway.run.keys import key_environment
from gateway.settings import Settings
from reconciliation.running import DayNotOverError, NoStatementsError

__all__ = ["ReconciledApart", "heard", "refused", "told"]

MAX_SAID_BYTES: Final = 1024 * 1024
ENDS_WITHIN_S: Final = 5.0

Raised = Callable[[str], Exception]
_ERRORS: Final[dict[str, Raised]] = {
    "closed": DayClosedError,
    "not_ready": StatementNotReadyError,
    "not_over": DayNotOverError,
    "unusable": UnusableAccountError,
    "unreachable": AnswerLostError,
}


class ReconciledApart:
    """Runs a day in a child process. Called as `reconciliation.running.Reconciler.run` is, and raises the same."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        self._environment = {"SLUICE_DATABASE_URL": settings.database_url, **key_environment(settings)}

    async def __call__(
        self,
        merchant_id: UUID,
        account: str,
        day: date,
        by: str,
        files: Sequence[StatementFile] | None = None,
        replaces: str | None = None,
        *,
        so_far: bool = False,
    ) -> ReconciledDay:
        """The day as it was compared."""
        given = None if files is None else [[file.name, str(file.path)] for file in files]
        more = orjson.dumps({"files": given, "replaces": replaces, "so_far": so_far}).decode()
        words = [str(merchant_id), account, day.isoformat(), by, more]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.run.statement_child", *words, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, env=os.environ | self._environment, limit=MAX_SAID_BYTES,
        )  # fmt: skip
        assert child.stdout is not None
        try:
            said = await child.stdout.readline()
            await child.wait()
        except BaseException:
            if child.returncode is None:
                child.terminate()
                await asyncio.wait_for(child.wait(), ENDS_WITHIN_S)
            raise
        if not said:
            raise AnswerLostError(f"the process that was to load it ended with {child.returncode}")
        return heard(orjson.loads(said))


def heard(said: dict[str, Any]) -> ReconciledDay:
    """What the child said: the day, or raises what it was refused by."""
    if "done" in said:
        done = said["done"]
        closed_at = done["closed_at"]
        return ReconciledDay(
            account=done["account"],
            day=date.fromisoformat(done["day"]),
            statement_id=UUID(done["statement_id"]),
            version=done["version"],
            totals=Totals.from_json(done["totals"]),
            balanced=done["balanced"],
            ran_at=datetime.fromisoformat(done["ran_at"]),
            ran_by=done["ran_by"],
            closed_at=None if closed_at is None else datetime.fromisoformat(closed_at),
            closed_by=done["closed_by"],
            is_new=done["is_new"],
        )
    if said["kind"] == "refused":
        raise StatementRefusedError(said["reason"], said["file"], said["line"], said["column"])
    if said["kind"] == "other":
        loaded_at = datetime.fromisoformat(said["loaded_at"])
        raise OtherStatementError(said["account"], date.fromisoformat(said["day"]), said["version"], loaded_at)
    if said["kind"] == "none":
        raise NoStatementsError(said["account"], said["why"])
    raise _ERRORS[said["kind"]](said["reason"])


def told(done: ReconciledDay) -> dict[str, Any]:
    """A day as the child says it."""
    shown = {name: getattr(done, name) for name in ReconciledDay.__dataclass_fields__}
    # The database driver has ids of its own class, which JSON does not know.
    shown["statement_id"] = str(done.statement_id)
    return {"done": shown | {"totals": done.totals.to_json()}}


def refused(error: Exception) -> dict[str, Any] | None:
    """How a run was refused, as the child says it; None: it is none that anybody expects."""
    match error:
        case StatementRefusedError():
            place = {"file": error.file, "line": error.line, "column": error.column}
            return {"kind": "refused", "reason": error.reason, **place}
        case OtherStatementError():
            about = {"account": error.account, "day": error.day, "version": error.version}
            return {"kind": "other", "loaded_at": error.loaded_at, **about}
        case NoStatementsError():
            return {"kind": "none", "account": error.account, "why": error.why}
        case StatementNotReadyError():
            return {"kind": "not_ready", "reason": str(error)}
        case DayNotOverError():
            return {"kind": "not_over", "reason": str(error)}
        case DayClosedError():
            return {"kind": "closed", "reason": str(error)}
        case UnusableAccountError():
            return {"kind": "unusable", "reason": error.account}
        case TransportError():
            return {"kind": "unreachable", "reason": str(error)}
    return None
