"""`python -m benchmarks.gateway`: the gateway as `sluice serve` runs it, with the bench-only PSP besides.

Settings come by environment as for `sluice serve`. Logs go to a file. SIGUSR1 starts a profile, SIGUSR2 writes it.
With `--watch FOLDER` its collector can be tuned while it runs (benchmarks/tuning.py). With `--unwatched` it looks at no
channel and no transaction (benchmarks/watching.py).
"""

import argparse
import asyncio
import signal
from pathlib import Path

from adapters.registry import build
from benchmarks.hmac_psp import DECLARATION, HmacPsp
from benchmarks.sampling import Sampler
from benchmarks.tuning import watch
from gateway import logs
from gateway.ports import AccountSettings, Provider, Transport
from gateway.run.serving import run_async, serve
from gateway.settings import Settings


def build_provider(account: AccountSettings, transport: Transport) -> Provider:
    """The adapter of an account."""
    if account.provider == DECLARATION.provider:
        return HmacPsp(account, transport)
    return build(account, transport)


async def _serve(
    settings: Settings, *, reuse_port: bool, profile: Path | None, watched: Path | None, watching: bool
) -> None:
    if profile is not None:
        _profile_when_told(asyncio.get_running_loop(), profile)
    looking = asyncio.create_task(watch(watched)) if watched is not None else None
    try:
        await serve(settings, workers=True, reuse_port=reuse_port, build_provider=build_provider, watching=watching)
    finally:
        if looking is not None:
            looking.cancel()


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
    parser.add_argument("--watch", type=Path, metavar="FOLDER")
    parser.add_argument("--unwatched", action="store_true")
    chosen = parser.parse_args()
    settings = Settings()
    with chosen.log.open("a", buffering=1) as log:
        logs.configure(settings.log_level, console=False, stream=log)
        run_async(
            _serve(
                settings,
                reuse_port=chosen.reuse_port,
                profile=chosen.profile,
                watched=chosen.watch,
                watching=not chosen.unwatched,
            )
        )


if __name__ == "__main__":
    main()
