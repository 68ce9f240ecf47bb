"""What an error of the database means, decided here and nowhere else.

| trouble | what happened | a flush is | an order | an observation |
|---|---|---|---|---|
| away | the connection is lost or silent; the server stops, or only reads | tried once more | 503 | comes again |
| short | the server lacks memory, disk or connections | tried once more | 503 | comes again |
| busy | a wait was cut: a lock, a deadlock, a conflict, a limit of time | tried once more | 503 | comes again |
| stale | the schema changed under a prepared statement | tried once more | 503 | comes again |
| odd | anything else that the server says | halved | 500 | comes again |
| refused | it refused what it was told, or it is no error of the database | halved | as it says | is given up |

Away ends the session, and the idle ones with it: the second try must not take another dead one.
Halving finds a culprit, so it is for what one row can cause. A statement that ran into its limit of time is not tried a
second time: that would be as long again.
"""

from enum import StrEnum

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import exc

__all__ = [
    "Trouble",
    "comes_again",
    "condemns",
    "is_away",
    "is_busy",
    "is_cut",
    "may_be_one_rows",
    "trouble_of",
]


class Trouble(StrEnum):
    """Kinds of errors, by what is to be done about them."""

    AWAY = "away"
    SHORT = "short"
    BUSY = "busy"
    STALE = "stale"
    ODD = "odd"
    REFUSED = "refused"


TROUBLE_OF_STATE: dict[str, Trouble] = {
    "08": Trouble.AWAY,  # the connection
    "28": Trouble.AWAY,  # nobody is let in, perhaps not yet: a server that is only being made
    "3D": Trouble.AWAY,  # a server without this database: not ours, or not yet
    "57P": Trouble.AWAY,  # the server stops, has crashed, starts, or has ended this session
    "25006": Trouble.AWAY,  # only reading: this server is not, or no longer, the primary
    "53": Trouble.SHORT,  # memory, disk, connections
    "58": Trouble.SHORT,  # what is below it: a disk that fails
    "40": Trouble.BUSY,  # rolled back: a deadlock, a conflict
    "55P03": Trouble.BUSY,  # lock_timeout, NOWAIT
    "55006": Trouble.BUSY,  # an object in use
    "57": Trouble.BUSY,  # statement_timeout, or somebody canceled it
    "25P03": Trouble.AWAY,  # idle in a transaction for too long: this process stood still, and the session was ended
    "25P04": Trouble.AWAY,  # a transaction for too long: likewise
    "72": Trouble.BUSY,  # its snapshot is too old
    "0A": Trouble.STALE,  # a cached plan must not change its result type
    "26": Trouble.STALE,  # no such prepared statement: a pooler gave us another session
    "21": Trouble.REFUSED,  # one row, found twice
    "22": Trouble.REFUSED,  # values
    "23": Trouble.REFUSED,  # constraints
    "54": Trouble.REFUSED,  # too large a row, too long a key
}
"""By the first characters of an SQLSTATE; the longest that fits decides, and what fits none is odd."""
TIME_RAN_OUT = "57014"

_AGAIN = frozenset({Trouble.AWAY, Trouble.SHORT, Trouble.BUSY, Trouble.STALE, Trouble.ODD})


def trouble_of(error: BaseException) -> Trouble:
    """What kind of trouble an error is: asyncpg's, SQLAlchemy's around one, or that of a socket."""
    found = _drivers(error)
    if state := str(getattr(found, "sqlstate", None) or ""):
        return next((TROUBLE_OF_STATE[state[:n]] for n in (5, 3, 2) if state[:n] in TROUBLE_OF_STATE), Trouble.ODD)
    if isinstance(found, PostgresError):
        return Trouble.ODD
    lost = (OSError, TimeoutError, InterfaceError, InternalClientError, exc.InterfaceError, exc.TimeoutError)
    # asyncpg refuses a value by an InterfaceError that is a ValueError, too.
    return Trouble.AWAY if isinstance(found, lost) and not isinstance(found, ValueError) else Trouble.REFUSED


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be reached, went away, or has no room, rather than refused what it was told."""
    return trouble_of(error) in {Trouble.AWAY, Trouble.SHORT}


def is_busy(error: BaseException) -> bool:
    """Whether the database did nothing for now: the same again later may well go through."""
    return trouble_of(error) in {Trouble.BUSY, Trouble.STALE}


def condemns(error: BaseException) -> bool:
    """Whether the session is of no use any more, and so perhaps all that were opened before it."""
    return trouble_of(error) is Trouble.AWAY


def may_be_one_rows(error: BaseException) -> bool:
    """Whether one row of many may have caused it, so that halving finds the culprit."""
    return trouble_of(error) in {Trouble.REFUSED, Trouble.ODD}


def is_cut(error: BaseException) -> bool:
    """Whether a statement took longer than it may: the same at once would take as long again."""
    return str(getattr(_drivers(error), "sqlstate", None) or "") == TIME_RAN_OUT


def comes_again(error: BaseException) -> bool:
    """Whether what money depends on comes again after this error, until it is written."""
    return trouble_of(error) in _AGAIN


def _drivers(error: BaseException) -> BaseException:
    """asyncpg's error, or the socket's, in the one that SQLAlchemy made of it."""
    if not isinstance(error, exc.StatementError) or error.orig is None:
        return error
    cause = error.orig.__cause__
    told = (PostgresError, InterfaceError, InternalClientError, OSError)
    return cause if isinstance(cause, told) else error.orig
