"""Comparing two sides' books of the same payments. Pure; `sluice demo` and the end-to-end tests ask it."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Difference", "Entry", "compare"]


_TOOK_NOTHING = frozenset({"failed", "closed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A payment as one side has it: our number at the PSP, fen, and its status; only we have `closed`."""

    number: str
    amount: int
    state: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What two sides have differently."""

    number: str
    ours: Entry | None
    theirs: Entry | None

    def __str__(self) -> str:
        return f"{self.number}: we have {_told(self.ours)}, they have {_told(self.theirs)}"


def compare(ours: Iterable[Entry], theirs: Iterable[Entry]) -> list[Difference]:
    """Every payment on which the sides do not agree, by number.

    One that took nothing with us need not be known to them: it may have ended before anything was sent.
    """
    mine, other = _by_number(ours), _by_number(theirs)
    return [
        Difference(number, mine.get(number), other.get(number))
        for number in sorted(mine.keys() | other.keys())
        if not _agree(mine.get(number), other.get(number))
    ]


def _by_number(entries: Iterable[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        assert entry.number not in found, f"{entry.number} stands twice on one side"
        found[entry.number] = entry
    return found


def _agree(ours: Entry | None, theirs: Entry | None) -> bool:
    if ours is None:
        return False
    if theirs is None or (ours.state == "closed" and theirs.state == "failed"):
        return ours.state in _TOOK_NOTHING and (theirs is None or ours.amount == theirs.amount)
    return ours == theirs


def _told(entry: Entry | None) -> str:
    return "nothing" if entry is None else f"{entry.amount} fen {entry.state}"
