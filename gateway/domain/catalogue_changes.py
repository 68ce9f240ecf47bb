"""What putting a catalogue file in force does to each row, for people: a plan before it, or a report after it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

__all__ = ["RowChange"]

NAMED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "merchant": (),
    "app": ("code",),
    "key": ("app", "label"),
    "endpoint": ("code",),
    "account": ("code",),
    "channel": ("code",),
    "window": ("channel", "starts_at"),
    "rule": ("channel", "scene", "bank"),
    "payout rule": ("channel", "payee", "bank"),
    "transaction rule": ("code",),
    "block": ("kind", "masked"),
}
"""What a row is → the columns that name it beside its merchant."""
OURS: Final = frozenset(
    {"merchant_id", "window_id", "key_id", "endpoint_id", "key_hash", "created_at"}
    | {"block_id", "print", "by_file", "added_at", "added_by"}
)
"""Columns that say nothing to people."""
SECRET: Final = frozenset({"secrets"})


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that was added (nothing before), removed (nothing after) or changed. Its secrets are never told."""

    what: str
    merchant: str
    before: Mapping[str, Any] | None = field(repr=False)
    after: Mapping[str, Any] | None = field(repr=False)

    def lines(self) -> Iterator[str]:
        """`+ rule demo: unionpay withhold ICBC`, and below it what it says or what changes."""
        sign = "+" if self.before is None else "-" if self.after is None else "~"
        row = self.after or self.before or {}
        named_by = NAMED_BY[self.what]
        name = " ".join(_told(row[column]) for column in named_by)
        yield f"{sign} {self.what} {self.merchant}{': ' if name else ''}{name}"
        if self.after is None:
            return
        before = self.before
        for column, value in self.after.items():
            if column in OURS or (before is None and (column in named_by or value is None)):
                continue
            if before is None:
                yield f"    {column}: {'set' if column in SECRET else _told(value)}"
            elif before[column] != value and column in SECRET:
                yield f"    {column}: others than before"
            elif before[column] != value:
                yield f"    {column}: {_told(before[column])} -> {_told(value)}"


def _told(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="seconds")
        case list():
            return ", ".join(map(_told, value))
        case dict():
            return ", ".join(f"{name} {_told(part)}" for name, part in value.items()) or "none"
    return str(value)
