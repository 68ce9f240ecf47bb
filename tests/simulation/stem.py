"""The stem: a process forked from the tests' own, from which every gateway is forked.

A gateway that starts from nothing takes seconds to import; one that is forked takes a hundredth of one, and when it is
ended by `os._exit` it is as dead as by kill -9. The stem has no threads, no sockets of the tests, no event loop.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from gateway import logs
from gateway.settings import Settings
from tests.simulation.process import Spec, run
from tests.simulation.warm import keep_what_is_learnt

__all__ = ["Stem", "stem"]

FIRST_FD = 3


class Stem:
    """Starts gateways; each of them connects to `control` and says its name."""

    def __init__(self, line: socket.socket, control: Path, log: Path) -> None:
        self._line = line
        self.control = control
        self.log = log

    def start(self, spec: Spec) -> None:
        """Fork one gateway."""
        self._line.sendall(spec.line().encode() + b"\n")


@contextmanager
def stem(settings: Settings, folder: Path) -> Iterator[Stem]:
    """A stem for gateways with these settings. It ends with the context, or with this process.

    `folder`: short enough for the address of a socket.
    """
    control, log = folder / "control", folder / "gateways.log"
    ours, theirs = socket.socketpair()
    with warnings.catch_warnings():
        # Python warns of forking beside threads: the child touches nothing that they may have held.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        stream = log.open("a", buffering=1)
        try:
            _be_the_stem(settings, control, stream, theirs)
        finally:
            _leave(stream)
    theirs.close()
    try:
        yield Stem(ours, control, log)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _be_the_stem(settings: Settings, control: Path, stream: TextIO, line: socket.socket) -> None:
    asyncio.events._set_running_loop(None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    _close_all_but({stream.fileno(), line.fileno()})
    sys.stdout = sys.stderr = stream
    logging.getLogger().handlers[:] = []
    logs.configure("warning", console=False, stream=stream)
    keep_what_is_learnt()
    for told in line.makefile("r"):
        spec = Spec.of_line(told)
        _bury()
        if spec.rehearses:
            run(spec, settings, control)
            assert threading.active_count() == 1, "threads are not forked"
            gc.collect()
            gc.freeze()
        elif os.fork() == 0:
            try:
                run(spec, settings, control)
            finally:
                _leave(stream)
    _bury(os.WEXITED)
    os._exit(0)


def _bury(how: int = os.WNOHANG | os.WEXITED) -> None:
    """Take leave of the gateways that ended; at the end, of all."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_ALL, 0, how) is not None:
            pass


def _close_all_but(kept: set[int]) -> None:
    """The sockets of the tests must end when the tests close them, and not with the last gateway."""
    first = FIRST_FD
    for number in sorted(kept):
        os.closerange(first, number)
        first = number + 1
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _leave(stream: TextIO) -> NoReturn:
    """End at once, and say in the log why, if there is a reason."""
    if sys.exc_info()[0] is not None:
        traceback.print_exc(file=stream)
    stream.flush()
    os._exit(1)
