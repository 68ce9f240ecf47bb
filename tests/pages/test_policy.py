"""A payer whom our page brings to a PSP is followed when that sends them on to the bank, whatever our policy says."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser

from tests.adapters.certificates import identity
from tests.e2e.on_pages import WAYS, asked_for, paged_app
from tests.e2e.world import World
from tests.pages.chromium import payer

NETBANK = WAYS["netbank"]


@contextlib.asynccontextmanager
async def gateway_of_a_bank(folder: Path) -> AsyncIterator[int]:
    """Whatever is posted to it as psp.test is sent on to bank.test, both over TLS: its port."""
    server = identity("psp.test", bits=2048)
    for name, pem in (("key", server.key_pem), ("cert", server.pem)):
        (folder / name).write_text(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")

    async def on(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"https://bank.test:{request.url.port}/there"})

    async def there(_: web.Request) -> web.Response:
        return web.Response(text="<html lang=zh><link rel=icon href=data:,><h1>银行</h1>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.post("/node", on), web.get("/there", there)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
async def test_a_psp_that_sends_the_payer_on_to_the_bank_is_followed(
    browser: Browser, world: World, tmp_path: Path, script: bool
) -> None:
    async with gateway_of_a_bank(tmp_path) as port:
        app = await paged_app(world, settings={"yeepay": {"node_url": f"https://psp.test:{port}/node"}})
        payment = await asked_for(world, app, NETBANK)
        async with payer(browser, java_script_enabled=script, ignore_https_errors=True) as one:
            await one.goes(payment["next_action"]["url"])
            if not script:
                await one.page.locator("#go button").click()
            await one.is_at(f"https://bank.test:{port}/there")
            assert await one.page.locator("h1").inner_text() == "银行"
