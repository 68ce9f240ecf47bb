"""Serving: the gateway's processes, in this one or as several behind one port."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import uvloop
from aiohttp import web

from gateway import logs, metrics
from gateway.api.http.runner import ProblemRunner
from gateway.run import collector
from gateway.run.keys import key_environment, keys_of
from gateway.run.providers import Build
from gateway.run.supervising import Family, port_error, require_port
from gateway.run.wiring import system
from gateway.settings import Settings
from gateway.storage.server.bounds import require_bounds
from gateway.storage.server.embedded import is_embedded
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import require_current

__all__ = ["run_async", "run_processes", "run_server", "run_worker", "serve"]

FINISH_REQUESTS_WITHIN_S = 10.0
BACKLOG = 2048
OPEN_FILES = 65_536


def run_async(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop until done."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def run_server(settings: Settings, *, workers: bool, reuse_port: bool) -> None:
    """Serve in this process until a signal to end. Raises PortInUseError, MigrationsPendingError."""
    run_async(serve(settings, workers=workers, reuse_port=reuse_port))


def run_worker(settings: Settings, metrics_port: int | None) -> None:
    """Work in this process until a signal to end."""
    run_async(_work(settings, metrics_port))


def run_processes(settings: Settings, count: int, *, workers: bool) -> None:
    """Serve in `count` processes that share the port, until a signal ends this one.

    One that ends by itself is started again, and the others go on. Raises ChildEndedError when that does not help, and
    KeyRingError for keys that cannot be used.

    Their metrics go through files, so that whichever process is asked answers for all.
    """
    require_port(settings.host, settings.port, "SLUICE_PORT")
    keys_of(settings)  # refused once, and not by each child
    assert settings.database_url is not None
    words = ["-m", "gateway.run.cli", "serve", "--child"] + ([] if workers else ["--no-workers"])
    with tempfile.TemporaryDirectory(prefix="sluice-metrics-") as folder, Family(_pass_on, at_once=True) as family:
        env = {"SLUICE_DATABASE_URL": settings.database_url, metrics.DIRECTORY_VARIABLE: folder}
        env |= key_environment(settings)
        for number in range(1, count + 1):
            family.start_python(f"serve {number}", words, env)
        family.keep(lambda pid: metrics.forget_process(pid, folder))


def _pass_on(_: str, line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


async def serve(
    settings: Settings,
    *,
    workers: bool,
    reuse_port: bool,
    build_provider: Build | None = None,
    settle: Callable[[], None] = collector.settle,
    watching: bool = True,
) -> None:
    """Serve until a signal to end. Raises PortInUseError, MigrationsPendingError.

    `build_provider` makes the adapters, where not the ones that are known; `settle` tunes the collector at the start;
    without `watching` nothing is watched (`gateway.run.wiring.system`).
    """
    log = logs.get(__name__)
    _allow_connections()
    await _require_current(settings)
    async with (
        _until_told() as ended,
        system(settings, workers=workers, api=True, build_provider=build_provider, watching=watching) as gateway,
        collector.watched(),
    ):
        assert gateway.app is not None
        runner = ProblemRunner(
            gateway.app, access_log=None, handle_signals=False, shutdown_timeout=FINISH_REQUESTS_WITHIN_S
        )
        await runner.setup()
        try:
            settle()  # before the first request: what is in hand must not be taken for what stays
            await _listen(runner, settings.host, settings.port, "SLUICE_PORT", reuse_port=reuse_port)
            log.info("serving", host=settings.host, port=settings.port, workers=workers, pid=os.getpid())
            await ended.wait()
            log.info("ending: finishing the requests that run", pid=os.getpid())
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, variable: str, *, reuse_port: bool) -> None:
    site = web.TCPSite(runner, host, port, backlog=BACKLOG, reuse_port=reuse_port or None)
    try:
        await site.start()
    except OSError as error:
        raise port_error(host, port, variable, error) from None


async def _work(settings: Settings, metrics_port: int | None) -> None:
    await _require_current(settings)
    async with _until_told() as ended, system(settings, workers=True, api=False), collector.watched():
        runner = web.AppRunner(_worker_app(), access_log=None, handle_signals=False)
        await runner.setup()
        try:
            collector.settle()
            if metrics_port is not None:
                await _listen(runner, settings.host, metrics_port, "SLUICE_METRICS_PORT", reuse_port=False)
            logs.get(__name__).info("working", metrics_port=metrics_port, pid=os.getpid())
            await ended.wait()
        finally:
            await runner.cleanup()


def _worker_app() -> web.Application:
    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def healthy(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.add_routes([web.get("/metrics", show_metrics), web.get("/healthz", healthy)])
    return app


@contextlib.asynccontextmanager
async def _until_told() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, ended.set)
    try:
        yield ended
    finally:
        for sign in (signal.SIGTERM, signal.SIGINT):
            # Until this process is gone, a second Ctrl-C must not break what is being ended.
            loop.remove_signal_handler(sign)
            signal.signal(sign, signal.SIG_IGN)


def _allow_connections() -> None:
    """As many open files as the system allows: each order in hand has two connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _require_current(settings: Settings) -> None:
    """Refuse a database whose schema is another program's, or whose waits have no end.

    Raises MigrationsPendingError, PoolerError.
    """
    assert settings.database_url is not None
    metrics.EMBEDDED_DATABASE.set(is_embedded(settings.database_url))
    engine = create_engine(settings.database_url, 2)
    try:
        await require_bounds(engine)
        await require_current(engine)
    finally:
        await engine.dispose()
