"""What an error of the database means: it is away, it is busy, or it refused what it was told."""

from asyncpg import InterfaceError
from sqlalchemy import exc

__all__ = ["is_away", "is_busy", "is_cut"]

AWAY_STATES = ("08", "53", "57P")
"""SQLSTATEs of a lost connection, of missing resources, and of a server that stops or starts."""
CUT_STATE = "57014"
BUSY_STATES = ("55P03", "57014", "40P01", "40001", "25P03")
"""Waits that were cut: for a lock, for a statement, by a deadlock or a conflict, or of an idle transaction."""


def is_away(error: BaseException) -> bool:
    """Whether the database could not be reached, or went away, rather than refused what it was told."""
    lost = (OSError, TimeoutError, InterfaceError, exc.InterfaceError, exc.TimeoutError)
    return isinstance(error, lost) or _state_of(error).startswith(AWAY_STATES)


def is_busy(error: BaseException) -> bool:
    """Whether the database cut a wait short: the same again later may well go through."""
    return _state_of(error) in BUSY_STATES


def is_cut(error: BaseException) -> bool:
    """Whether a statement took longer than it may."""
    return _state_of(error) == CUT_STATE


def _state_of(error: BaseException) -> str:
    """The SQLSTATE of asyncpg's error, or of the one that SQLAlchemy wrapped."""
    found = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(getattr(found, "sqlstate", None) or "")
