"""Gateways forked from one process that has imported all of it: to start `sluice serve` anew takes seconds of CPU.

What is forked gets an environment and an output of its own, and is from there on what `sluice serve` is. As programs of
their own, gateways are started by test_run, test_ends and the tests of the command line.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NoReturn

from gateway.lifeline import die_with_parent, tied

__all__ = ["Forked", "ended"]

LOOK_EVERY_S: Final = 0.01
TELLS_STATUS: Final = "TESTS_TELL_STATUS"
"""With this variable a command says last how it ended, in a line of its own."""
PART: Final = 65_536


class Forked:
    """`sluice` with these words. It ends with the stem, and the stem with this process."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        reading, writing = os.pipe()
        self._said, self._say = os.fdopen(reading, errors="replace"), say
        try:
            self.pid = _stem().fork(words, {**os.environ, **environment}, writing)
        finally:
            os.close(writing)
        self._reader = threading.Thread(target=self._read, name=f"output of {self.pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._said as lines:
            for line in lines:
                self._say(line.rstrip())

    @property
    def lives(self) -> bool:
        """Whether it has not ended; when it has, all that it had is closed, sockets too."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:  # the stem buries at once
            return False
        return True

    def signal(self, sign: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, sign)

    def end(self, within_s: float) -> None:
        """Wait for its end, and kill it when that takes too long. All that it said is read then."""
        give_up_at = time.monotonic() + within_s
        while self.lives:
            if time.monotonic() > give_up_at:
                self.signal(signal.SIGKILL)
            time.sleep(LOOK_EVERY_S)
        self._reader.join(within_s)


class _Stem:
    """The stem, as this process knows it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._one_at_a_time = threading.Lock()
        with theirs:
            command = tied([sys.executable, "-m", __name__, str(theirs.fileno())], sign=signal.SIGKILL)
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        atexit.register(self._end)

    def _end(self) -> None:
        self._line.close()
        self._process.wait()

    def fork(self, words: Sequence[str], environment: Mapping[str, str], output: int) -> int:
        request = json.dumps({"words": list(words), "environment": dict(environment)}) + "\n"
        with self._one_at_a_time:
            socket.send_fds(self._line, [request.encode()], [output])
            return int(self._line.recv(PART))


def ended(words: Sequence[str], environment: Mapping[str, str], within_s: float = 60.0) -> tuple[int, str]:
    """Run a command to its end, on paper of 80 columns: its exit status, and all that it said."""
    said: list[str] = []
    Forked(words, {**environment, TELLS_STATUS: "1", "COLUMNS": "80"}, said.append).end(within_s)
    assert said, "it was killed"
    return int(said[-1]), "\n".join(said[:-2])


@cache
def _the_stem() -> _Stem:
    return _Stem()


_first = threading.Lock()


def _stem() -> _Stem:
    with _first:  # threads that come at once share one
        return _the_stem()


def _be_the_stem(line: socket.socket) -> None:
    # All that `serve` imports.
    import gateway.run.cli
    import gateway.run.local
    import gateway.run.reconciling
    import gateway.run.serving
    import gateway.storage.server.migrate  # noqa: F401
    from tests.known_keys import check_each_private_key_once

    check_each_private_key_once()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _bury)
    gc.collect()
    gc.freeze()
    stem = os.getpid()
    while True:
        request, outputs, _, _ = socket.recv_fds(line, PART, 1)
        if not request:
            return
        while not request.endswith(b"\n"):
            request += line.recv(PART)
        if (pid := os.fork()) == 0:
            line.close()
            _become(stem, json.loads(request), outputs[0])
        os.close(outputs[0])
        line.sendall(str(pid).encode())


def _bury(*_: object) -> None:
    """Take leave of those that ended, at once: until then they count as living."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(stem: int, request: Any, output: int) -> NoReturn:
    """Be the program that was asked for, to its end."""
    from gateway.run.cli import app

    die_with_parent(stem, signal.SIGKILL)
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"])
    try:
        app(request["words"], prog_name="sluice")
    except SystemExit as end:
        if TELLS_STATUS in request["environment"]:
            sys.stderr.flush()
            sys.stdout.write(f"\n{end.code or 0}\n")
            sys.stdout.flush()
        raise
    raise AssertionError("a command ends by SystemExit")


if __name__ == "__main__":
    _be_the_stem(socket.socket(fileno=int(sys.argv[1])))
