"""Sessions that do not outlive their use: a silent or lost one is noticed soon, and it takes the idle ones with it.

After a failover by address every connection of a pool is dead at once, and none of them says so: nothing is answered,
nothing is reset. Whoever finds the first has found all.
"""

import socket
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event, exc
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.refused_rows import forget_row
from gateway.storage.server.troubles import condemns

__all__ = ["end_idle", "end_when_silent", "watch"]

SOCKET_OPTIONS = {
    "SO_KEEPALIVE": 1,
    "TCP_KEEPIDLE": 5,  # seconds
    "TCP_KEEPINTVL": 2,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 5_000,  # milliseconds that what was sent may stay unacknowledged
}
"""An idle connection whose other end is gone is found within 11 s, one that was written to within 5 s."""

_idle: WeakKeyDictionary[Engine, set[Any]] = WeakKeyDictionary()


def end_when_silent(connection: Any) -> None:
    """Have the system end an asyncpg connection whose other end acknowledges nothing any more."""
    found = connection._transport.get_extra_info("socket")
    if found is None or found.family == getattr(socket, "AF_UNIX", None):
        return
    for name, value in SOCKET_OPTIONS.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
            found.setsockopt(socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP, option, value)


def watch(engine: AsyncEngine) -> AsyncEngine:
    """Have an engine end lost sessions, use only open ones, and tell nothing of rows in its errors."""
    idle: set[Any] = set()
    _idle[engine.sync_engine] = idle

    def on(name: str, listener: Callable[..., None]) -> None:
        event.listen(engine.sync_engine, name, listener)

    def opened(dbapi: Any, _: Any) -> None:
        end_when_silent(dbapi.driver_connection)

    def taken(dbapi: Any, _: Any, __: Any) -> None:
        idle.discard(dbapi.driver_connection)
        if dbapi.driver_connection.is_closed():
            raise exc.DisconnectionError  # the pool opens another one

    def given_back(dbapi: Any, _: Any) -> None:
        if dbapi is not None:
            idle.add(dbapi.driver_connection)

    def closed(dbapi: Any, _: Any) -> None:
        idle.discard(dbapi.driver_connection)

    def failed(context: Any) -> None:
        if condemns(context.original_exception):
            context.is_disconnect = True
            # At once: saying goodbye to a dead one would wait.
            if context.connection is not None and not context.connection.invalidated:
                context.connection.connection.driver_connection.terminate()
            end_idle(engine)
        forget_row(context.original_exception)
        if context.sqlalchemy_exception is not None:
            forget_row(context.sqlalchemy_exception)

    on("connect", opened)
    on("checkout", taken)
    on("checkin", given_back)
    on("close", closed)
    on("handle_error", failed)
    return engine


def end_idle(engine: AsyncEngine) -> None:
    """End the sessions of a watched engine that nobody uses now; whoever comes next opens new ones."""
    idle = _idle.get(engine.sync_engine, set())
    while idle:
        idle.pop().terminate()
