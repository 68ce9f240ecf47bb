"""A session of a server on this machine takes the processor as modestly as the process that it works for.

Work that nobody waits for (`nice`) is done mostly by the server's process, which has a priority of its own: payments
would have to make room for it.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from gateway.storage.server.database import Connection
from gateway.storage.server.postmaster import serves

__all__ = ["as_nice_as_we", "be_nice"]

WHO: Final = """SELECT pg_backend_pid() AS pid, CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE')
    THEN current_setting('data_directory') END AS cluster"""


async def as_nice_as_we(connection: Connection) -> None:
    """Give the session's process our own niceness for the rest of its life, where we may (`be_nice`)."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    if ours > 0:
        await be_nice(connection, ours)


async def be_nice(connection: Connection, nice: int) -> None:
    """Give the session's process this niceness for the rest of its life.

    On this machine, under our system user or as root, and with no pooler between, which would give the session to
    others afterwards. Elsewhere nothing happens.
    """
    pid, cluster = await connection.fetchrow(WHO)
    if cluster is None or pid != connection.get_server_pid():
        return
    # Another machine, or a container, may have a process of this number, too.
    if serves(pid, Path(cluster)):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, nice)
