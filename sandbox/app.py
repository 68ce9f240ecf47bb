"""The sandbox as one aiohttp application: every provider, the control API over them, and pages for people."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

from sandbox.config import SandboxConfig
from sandbox.control import Control
from sandbox.mocks import mocks, prepare_keys
from sandbox.timers import Timers
from sandbox.windows import Windows

__all__ = ["SandboxConfig", "build_app", "keys_folder"]

MAX_BODY_BYTES: Final = 64 * 1024
MAX_CALLBACK_CONNECTIONS: Final = 100


def keys_folder(config: SandboxConfig) -> Path | None:
    """Where the keys of this configuration stay, None when they are temporary."""
    if config.keys_dir is not None:
        return config.keys_dir
    return None if config.data_dir is None else config.data_dir / "keys"


def build_app(config: SandboxConfig) -> web.Application:
    """A whole sandbox, ready to be served. Makes the keys that are not there yet.

    Raises KeysUnreadableError and JournalUnreadableError for files that it cannot use.
    """
    folder = keys_folder(config)
    temporary = None if folder is not None else tempfile.TemporaryDirectory(prefix="sandbox-keys-")
    keys_dir = folder if folder is not None else Path(temporary.name if temporary else "")
    keys = prepare_keys(keys_dir)
    timers = Timers()
    providers = {name: mock(config, timers, keys[name]) for name, mock in mocks().items()}

    async def running(_: web.Application) -> AsyncIterator[None]:
        connector = TCPConnector(limit=MAX_CALLBACK_CONNECTIONS)
        async with ClientSession(connector=connector, cookie_jar=DummyCookieJar()) as session:
            for provider in providers.values():
                provider.session = session
                provider.resume()
            yield
            await timers.close()
        for provider in providers.values():
            provider.books.close()
        if temporary is not None:
            temporary.cleanup()

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.cleanup_ctx.append(running)
    for provider in providers.values():
        app.add_routes(provider.routes())
    windows = Windows(providers)
    app.add_routes([*windows.routes(), *Control(providers, str(keys_dir), windows.inbox).routes()])
    return app
