"""Programs that run together: started one by one, watched or started again, and ended together whatever happens."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from gateway.lifeline import tied
from gateway.logs import get

__all__ = ["ChildEndedError", "Family", "Interrupted", "PortInUseError", "free_port", "interruptible", "require_port"]

log = get(__name__)

LAST_LINES = 20
LOOK_EVERY_S = 0.05
HEALTHY_WITHIN_S = 60.0
ANSWER_WITHIN_S = 2.0
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each start of a child that ends again and again; after the last one all of them end."""
STEADY_S = 30.0
"""A child that ran so long did not end at once: its next end is the first again."""
UNUSABLE, DATABASE_AWAY = 2, os.EX_TEMPFAIL
"""Statuses of a child that an operator must help, and of one that found no database, which is no fault of its own."""
END_WITHIN_S = 60.0
"""How long a child may take after SIGTERM before it is killed; running requests are finished in that time."""


_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxy that the environment may name: everything asked here is on this machine."""


class Interrupted(BaseException):
    """SIGTERM, SIGINT or SIGHUP: end now, in good order."""


class ChildEndedError(Exception):
    """A program of the family ended, or never became healthy. The message has its last lines."""


class PortInUseError(Exception):
    """A port is taken. The message says which, and what to set."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first signal to end into Interrupted in the main thread; those after it change nothing.

    A child that is being ended well must not be left half way by a second Ctrl-C (terminals and make send several).
    """

    def end(number: int, _: FrameType | None) -> None:
        for sign in signs:
            signal.signal(sign, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    signs = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(sign, end) for sign in signs]
    try:
        yield
    finally:
        for sign, handler in zip(signs, before, strict=True):
            signal.signal(sign, handler)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has at this moment."""
    with socket.create_server((host, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def require_port(host: str, port: int, variable: str) -> None:
    """Raises PortInUseError when nothing can be bound there; `variable` is what chooses another."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise port_error(host, port, variable, error) from None


def port_error(host: str, port: int, variable: str, error: OSError) -> PortInUseError:
    """What to tell when listening failed."""
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"port {port} is in use: stop the program that has it, or choose another with {variable}={port + 1}"
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return PortInUseError(f"{host}:{port} cannot be listened on ({reason}): choose another with {variable}")


class Child:
    """A program of the family, its output passed on line by line and its last lines kept."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], say: Callable[[str, str], None]
    ) -> None:
        self.name = name
        self.started = time.monotonic()
        self.is_first = True
        self.ends = 0
        """How often it has ended at once, one time after the other."""
        self.again_at: float | None = None
        """When it is to be started again, once it has ended."""
        self._command, self._env = command, env
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._say = say
        self.process = subprocess.Popen(  # noqa: S603 -- our own programs
            # Killed when we are: what we would have told it, it could only tell to a closed pipe.
            tied(command, sign=signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C in a terminal goes to us, and we end the family in order
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.last_lines.append(line.rstrip())
                self._say(self.name, line.rstrip())

    def again(self) -> "Child":
        """The same program, started once more."""
        child = Child(self.name, self._command, self._env, self._say)
        child.is_first, child.ends = False, self.ends
        return child

    def require_alive(self) -> None:
        status = self.process.poll()
        if status is None:
            return
        self._reader.join(ANSWER_WITHIN_S)
        said = "\n".join(f"  {line}" for line in self.last_lines) or "  (nothing)"
        raise ChildEndedError(f"{self.name} ended with status {status}; its last words:\n{said}")

    def end(self, within_s: float) -> None:
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(ANSWER_WITHIN_S)


class Family:
    """The programs that one command runs. Leaving the context ends all of them, the youngest first or `at_once`."""

    def __init__(self, say: Callable[[str, str], None], *, at_once: bool = False) -> None:
        self._say = say
        self._at_once = at_once
        self._children: list[Child] = []

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *_: object) -> None:
        if self._at_once:
            for child in self._children:
                child.process.terminate()
        for child in reversed(self._children):
            child.process.terminate()
            child.end(END_WITHIN_S)

    @property
    def pids(self) -> list[int]:
        """Of all programs, in the order they were started."""
        return [child.process.pid for child in self._children]

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start a program."""
        self._children.append(Child(name, command, env or {}, self._say))

    def start_python(self, name: str, words: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start a Python program with this interpreter: `["-m", "sandbox"]`."""
        self.start(name, [sys.executable, *words], env)

    def check(self) -> None:
        """Raises ChildEndedError when one has ended."""
        for child in self._children:
            child.require_alive()

    def wait_healthy(self, url: str) -> None:
        """Wait until `url` answers 200. Raises ChildEndedError when a program ends meanwhile, or it takes too long."""
        give_up_at = time.monotonic() + HEALTHY_WITHIN_S
        while not answers(url):
            self.check()
            if time.monotonic() > give_up_at:
                raise ChildEndedError(f"{url} does not answer after {HEALTHY_WITHIN_S:.0f} s: {why_not(url)}")
            time.sleep(LOOK_EVERY_S)

    def keep(self, ended: Callable[[int], None]) -> None:
        """Wait for ever, and start a program again that ends, while the others go on. `ended` is told its process.

        Raises ChildEndedError when one ends at once again and again, when one cannot even begin, and in place of
        Interrupted while one is not running.
        """
        try:
            while True:
                for place, child in enumerate(self._children):
                    if child.process.poll() is not None:
                        self._children[place] = self._started_again(child, ended)
                time.sleep(LOOK_EVERY_S * 4)
        except Interrupted:
            self.check()
            raise

    def _started_again(self, child: Child, ended: Callable[[int], None]) -> Child:
        now, status = time.monotonic(), child.process.returncode
        if child.again_at is None:
            ended(child.process.pid)
            if now - child.started >= STEADY_S:
                child.ends = 0
            elif child.is_first and status in {UNUSABLE, DATABASE_AWAY}:
                child.require_alive()
            if status != DATABASE_AWAY:
                child.ends += 1
            if child.ends > len(PAUSES_S):
                child.require_alive()
            pause_s = PAUSES_S[max(child.ends, 1) - 1]
            child.again_at = now + pause_s
            log.error("a process ended, and is started again", name=child.name, status=status, pause_s=pause_s)
        return child.again() if now >= child.again_at else child

    def watch(self) -> None:
        """Wait for ever; raises ChildEndedError when a program ends."""
        while True:
            self.check()
            time.sleep(LOOK_EVERY_S * 4)


def answers(url: str) -> bool:
    """Whether a GET gives 200."""
    return why_not(url) is None


def why_not(url: str) -> str | None:
    """Why a GET gives no 200, or None when it does."""
    try:
        with _DIRECTLY.open(url, timeout=ANSWER_WITHIN_S) as answer:
            return None if answer.status == 200 else f"status {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            return f"status {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def console(name: str, line: str) -> None:
    """Pass a child's line on, with its name before it."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"{name:>9} │ {line}\n")
        sys.stderr.flush()
