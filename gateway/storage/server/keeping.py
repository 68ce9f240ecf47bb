"""An embedded server that ends by itself (killed, out of memory) is started again; if that cannot be, it is said.

The program that owns it goes on meanwhile as with any database that is away. When the server cannot be had again the
program ends: one that answers 503 for ever helps nobody, and nobody would look why.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence

from gateway.logs import get
from gateway.storage.server.embedded import DataFolderError, EmbeddedPostgres

__all__ = ["kept"]

log = get(__name__)

PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Before each start of a server that ends again and again; after the last one it is given up."""
STEADY_S = 60.0
"""A server that ran so long did not end at once: its next end is the first again."""


@contextlib.contextmanager
def kept(server: EmbeddedPostgres, pauses_s: Sequence[float] = PAUSES_S) -> Iterator[None]:
    """Keep a started server running until the context ends.

    Raises DataFolderError at the end of the context when the server is not running then. One that cannot be started
    again sends this process SIGTERM, so that the context ends.
    """
    keeper = _Keeper(server, pauses_s)
    # It lives as long as the server that it starts: see `gateway.lifeline`.
    thread = threading.Thread(target=keeper.run, name="keeps the embedded PostgreSQL", daemon=True)
    thread.start()
    try:
        yield
    finally:
        running = server.is_ready  # asked of the server: its keeper notices a moment later
        keeper.ending.set()
        server.give_up_starting()
        thread.join()
        if not running:
            raise DataFolderError(keeper.why)


class _Keeper:
    """Looks after one server, in a thread of its own."""

    def __init__(self, server: EmbeddedPostgres, pauses_s: Sequence[float]) -> None:
        self._server = server
        self._pauses_s = pauses_s
        self.ending = threading.Event()
        self.why = (
            f"PostgreSQL in {server.folder} had ended by itself (see postgres.log there), and was not running again "
            "when sluice ended; nothing that was answered is lost"
        )

    def run(self) -> None:
        """Start the server whenever it has ended, until told to end."""
        ends = 0
        started = time.monotonic()
        while (status := self._server.wait_ended(self.ending)) is not None:
            ends = 1 if time.monotonic() - started >= STEADY_S else ends + 1
            while True:
                if ends > len(self._pauses_s):
                    self._give_up()
                    return
                pause_s = self._pauses_s[ends - 1]
                log.error("the embedded PostgreSQL ended, and is started again", status=status, pause_s=pause_s)
                if self.ending.wait(pause_s):
                    return
                try:
                    self._server.start_again()
                except DataFolderError as error:
                    self.why = str(error)
                    ends += 1
                    continue
                break
            if self.ending.is_set():
                return
            started = time.monotonic()
            log.warning("the embedded PostgreSQL runs again", pid=self._server.pid)

    def _give_up(self) -> None:
        self.why = f"PostgreSQL ended again and again, and is given up; {self.why}"
        log.error("the embedded PostgreSQL is given up, and this process ends", folder=str(self._server.folder))
        self._server.give_up_starting()
        os.kill(os.getpid(), signal.SIGTERM)
        self.ending.wait()
