"""Children that do not outlive their parent, whatever ended it (`kill -9` included).

Run as a program it ties itself to its parent, drops to another user where told, and becomes the command it was given.
It is a program of its own because the tie is lost when a process changes its user, and because Python code between
fork and exec is not safe in a process with threads. Only Linux knows the tie (PR_SET_PDEATHSIG); elsewhere the
supervisor's stop on its way out is all there is. The signal also comes when the *thread* that started the child ends:
start children from a thread that lives as long as they do.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, sign: signal.Signals) -> None:
    """Have the kernel send this process `sign` when its parent ends; leave at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def tied(command: Sequence[str], *, sign: signal.Signals, uid: int = -1, gid: int = -1) -> list[str]:
    """`command`, to be started so that it gets `sign` when the calling process ends; a uid needs root."""
    told = [str(os.getpid()), str(int(sign)), str(uid), str(gid)]
    return [sys.executable, "-I", "-S", __file__, *told, *command]


def _become(parent: int, sign: signal.Signals, uid: int, gid: int, command: list[str]) -> None:
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(parent, sign)
    os.execvp(command[0], command)  # noqa: S606 -- the command comes from this program, no shell reads it


if __name__ == "__main__":
    _become(int(sys.argv[1]), signal.Signals(int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
