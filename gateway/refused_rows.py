"""What PostgreSQL quotes of a row that it refused is taken out of the error before anybody can log it.

DETAIL quotes the whole row, CONTEXT the JSON that it was read from, and some messages the value that did not fit.
Errors are told by what they have, not by their classes, so that nothing here needs a database's library.
"""

import re
from typing import Any

__all__ = ["forget_row", "said_by", "without_row"]

QUOTING_FIELDS = ("detail", "hint", "where", "context", "query", "internal_query")
VALUES_REFUSED = "22"
"""The class of SQLSTATEs whose messages quote a value."""
MOST_ERRORS = 1000
SAID_MAX = 200

_QUOTED = re.compile(r"\n?\b(?:DETAIL|HINT|CONTEXT|QUERY): .*?(?=\n\n|\n +File |\n +\||\nTraceback |\Z)", re.DOTALL)
"""To its end, or to where a stack that it stands in goes on: a quoted value may have lines of its own."""
_VALUE = re.compile(r": .*|\".*\"|'.*'", re.DOTALL)


def forget_row(error: BaseException) -> None:
    """Leave of an error, and of those that it came from, what happened and where, and nothing of the row."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo and len(seen) < MOST_ERRORS:
        found = todo.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        todo += [found.__cause__, found.__context__, getattr(found, "orig", None)]
        if isinstance(found, BaseExceptionGroup):
            todo += found.exceptions
        _forget(found)


def said_by(error: BaseException) -> str:
    """What an error says, in one bounded line for the log."""
    forget_row(error)
    return without_row(f"{type(error).__name__}: {error}")[:SAID_MAX]


def without_row(text: str) -> str:
    """A text that perhaps holds what PostgreSQL quoted, without it."""
    return _QUOTED.sub("", text) if ": " in text else text


def _forget(error: Any) -> None:
    if not _is_theirs(error):
        return
    for name in QUOTING_FIELDS:
        if isinstance(getattr(error, name, None), str):
            setattr(error, name, None)
    of_values = _is_of_values(error) or _is_of_values(getattr(error, "orig", None))
    if of_values and not _is_theirs(error.__cause__ or error.__context__):
        error.__cause__ = None  # what read the value, and names it: `invalid UUID …`
    error.args = tuple(_told(each, of_values) if isinstance(each, str) else each for each in error.args)


def _is_theirs(error: Any) -> bool:
    library = type(error).__module__.partition(".")[0]
    return library in {"asyncpg", "sqlalchemy"} or bool(getattr(error, "sqlstate", None))


def _is_of_values(error: Any) -> bool:
    return str(getattr(error, "sqlstate", None) or "").startswith(VALUES_REFUSED) or isinstance(error, ValueError)


def _told(said: str, of_values: bool) -> str:
    said = without_row(said)
    if not of_values:
        return said
    head, mark, rest = said.partition("'>: ")  # SQLAlchemy puts the class before it
    return head + mark + _VALUE.sub(": …", rest, count=1) if mark else _VALUE.sub(": …", said, count=1)
