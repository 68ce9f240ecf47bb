"""How endpoints stop and start, as changes of their rows: by their file, by an operator, by answering 410.

`started_at` is when it got its present URL or was started; what was sent before then says nothing about it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.domain.catalogue_content import CatalogueRefusedError

__all__ = ["ANSWERED_410", "LEFT_THE_FILE", "is_removed", "left", "listed", "started", "stopped", "stopped_as_gone"]

ANSWERED_410 = "it answered 410"
LEFT_THE_FILE = "not in the catalogue file"
RUNNING: Mapping[str, Any] = {"stopped_at": None, "stopped_because": None, "removed_at": None}

Row = Mapping[Any, Any]
Change = dict[str, Any]


def is_removed(row: Row) -> bool:
    """Whether it left the file. Programs of the version before know only `stopped_at` and `stopped_because`."""
    return row["stopped_at"] is not None and (row["removed_at"] is not None or row["stopped_because"] == LEFT_THE_FILE)


def listed(existing: Row | None, url: str, now: datetime) -> Change:
    """An endpoint that stands in the file with this URL. Another URL starts it, and so does coming back; one that was
    stopped otherwise stays so."""
    if existing is None:
        return {**RUNNING, "started_at": None}
    if existing["url"] != url:
        return {**RUNNING, "started_at": now}
    if existing["stopped_at"] is None:
        return {**RUNNING, "started_at": existing["started_at"]}
    if existing["stopped_because"] == LEFT_THE_FILE:
        return {**RUNNING, "started_at": now}
    kept = ("stopped_at", "stopped_because", "started_at")
    return {name: existing[name] for name in kept} | {"removed_at": None}


def left(existing: Row, now: datetime) -> Change:
    """An endpoint that the file does not name any more; one that was stopped keeps its reason."""
    if is_removed(existing):
        return {}
    if existing["stopped_at"] is not None:
        return {"removed_at": now}
    return {"removed_at": now, "stopped_at": now, "stopped_because": LEFT_THE_FILE}


def stopped(existing: Row, because: str, now: datetime) -> Change:
    """Stopped by somebody's word; one that is stopped already keeps its reason."""
    return {} if existing["stopped_at"] is not None else {"stopped_at": now, "stopped_because": because}


def stopped_as_gone(existing: Row, url: str, sent_at: datetime, now: datetime) -> Change:
    """Stopped by a 410 to what was sent to this URL then, unless it has another URL or was started since."""
    if existing["url"] != url or (existing["started_at"] is not None and existing["started_at"] > sent_at):
        return {}
    return stopped(existing, ANSWERED_410, now)


def started(existing: Row, now: datetime) -> Change:
    """Started by an operator's word. Raises CatalogueRefusedError for one that left the file."""
    if existing["stopped_at"] is None:
        return {}
    if is_removed(existing):
        raise CatalogueRefusedError("the endpoint is not in the catalogue file any more: put it back there")
    return {**RUNNING, "started_at": now}
