"""Serve an application until SIGTERM or Ctrl-C, and end quickly."""

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

from aiohttp import web

__all__ = ["EXIT_UNUSABLE", "serve"]

EXIT_UNUSABLE: Final = 2
SHUTDOWN_TIMEOUT_S: Final = 1.0
BACKLOG: Final = 1024


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # there is no uvloop for Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def serve(build: Callable[[], web.Application], host: str, port: int, *, name: str, port_variable: str) -> int:
    """Bind, build, serve; the exit status.

    The port is taken first, so that a second copy never touches the first's files.
    """
    try:
        listening = socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        return _complain(name, host, port, port_variable, error)
    with contextlib.closing(listening), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(build, listening, name))
    return 0


def _complain(name: str, host: str, port: int, port_variable: str, error: OSError) -> int:
    if error.errno == errno.EADDRINUSE:
        reason = (
            f"port {port} is in use; stop the program that has it, or choose another with --port or {port_variable}"
        )
    else:
        reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
    sys.stderr.write(f"{name}: {reason}\n")
    return EXIT_UNUSABLE


async def _serve(build: Callable[[], web.Application], listening: socket.socket, name: str) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    runner = web.AppRunner(build(), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        host, port = listening.getsockname()[:2]
        sys.stdout.write(f"{name}: listening on http://{host}:{port}\n")
        sys.stdout.flush()
        await ended.wait()
    finally:
        await runner.cleanup()
