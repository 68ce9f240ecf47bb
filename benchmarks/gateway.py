"""`python -m benchmarks.gateway`: the gateway as `sluice serve` runs it, with the bench-only PSP besides.

Settings come by environment as for `sluice serve`. Logs go to a file. SIGUSR1 starts a profile, SIGUSR2 writes it.
"""

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Final

from aiohttp import web

from adapters.registry import build
from benchmarks.hmac_psp import DECLARATION, HmacPsp
from benchmarks.sampling import Sampler
from gateway import logs
from gateway.ports import AccountSettings, Provider, Transport
from gateway.run.serving import run_async
from gateway.run.wiring import system
from gateway.settings import Settings

BACKLOG: Final = 2048


def build_provider(account: AccountSettings, transport: Transport) -> Provider:
    """The adapter of an account."""
    if account.provider == DECLARATION.provider:
        return HmacPsp(account, transport)
    return build(account, transport)


async def _serve(settings: Settings, *, reuse_port: bool, profile: Path | None) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, ended.set)
    if profile is not None:
        _profile_when_told(loop, profile)
    async with system(settings, workers=True, api=True, build_provider=build_provider) as gateway:
        assert gateway.app is not None
        runner = web.AppRunner(gateway.app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.host, settings.port, backlog=BACKLOG, reuse_port=reuse_port or None)
            await site.start()
            await ended.wait()
        finally:
            await runner.cleanup()


def _profile_when_told(loop: asyncio.AbstractEventLoop, path: Path) -> None:
    sampler = Sampler()

    def stop() -> None:
        sampler.stop()
        unfinished = path.with_suffix(".new")
        sampler.write(unfinished)
        unfinished.rename(path)

    loop.add_signal_handler(signal.SIGUSR1, sampler.start)
    loop.add_signal_handler(signal.SIGUSR2, stop)


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--reuse-port", action="store_true")
    parser.add_argument("--profile", type=Path)
    chosen = parser.parse_args()
    settings = Settings()
    with chosen.log.open("a", buffering=1) as log:
        logs.configure(settings.log_level, console=False, stream=log)
        run_async(_serve(settings, reuse_port=chosen.reuse_port, profile=chosen.profile))


if __name__ == "__main__":
    main()
