"""How a time is shown."""

from datetime import UTC, datetime

__all__ = ["timestamp"]


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
