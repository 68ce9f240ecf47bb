"""Payments on a mock bank's page, over sockets: what each test of an adapter and its mock needs, and what all have.

A payer's browser (`tests.browsing`) opens the page, and our addresses for notices and for browsers that come back hear
of it, or not. A module of tests makes a `world` and takes `PagesOnSandbox` for what is the same at every provider.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from adapters.http import AiohttpTransport
from adapters.registry import build
from gateway.domain.outcomes import Outcome, Succeeded
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Callback,
    CallbackRejectedError,
    CallbackRequest,
    Cancel,
    Provider,
    Redirect,
)
from sandbox.app import SandboxConfig, build_app
from tests.adapters.contract import callbacks_of, do
from tests.adapters.test_on_sandbox import now, serve
from tests.browsing import Browser, Page

__all__ = ["AMOUNT", "IN_TIME_S", "LATE_S", "PAGE", "Heard", "PagesOnSandbox", "World", "fresh", "new_world"]

AMOUNT = 123_456
IN_TIME_S = 30.0
LATE_S = 0.3
PAGE = Scene.NETBANK_CHARGE


@dataclass
class Heard:
    """What came to one of our addresses, and what its adapter made of it; None: rejected."""

    place: str
    request: CallbackRequest
    callback: Callback | None


@dataclass
class World:
    """A sandbox, an account's adapter, a payer's browser, and our addresses."""

    provider: str
    address: str
    ours: str
    adapter: Provider
    neighbour: Provider
    """Of another account, with the same keys."""
    browser: Browser
    heard: "asyncio.Queue[Heard]" = field(default_factory=asyncio.Queue)

    def redirect(self, amount: int = AMOUNT, **changed: Any) -> Redirect:
        told_at = now()
        urls = (f"{self.ours}/c/a", f"{self.ours}/return/a")
        until = told_at + timedelta(minutes=9)
        command = Redirect(uuid4().hex, told_at, PAGE, amount, "ICBC", "user-1", "三月还款", *urls, until)
        return replace(command, **changed)

    async def form(self, command: Redirect) -> Form:
        return await do(self.adapter, command)

    async def open(self, command: Redirect) -> Page:
        form = await self.form(command)
        return await self.browser.submit(form.url, form.fields, form.method, form.charset)

    async def paid(self, command: Redirect) -> Page:
        """What the payer sees after paying."""
        return await self.browser.press(await self.open(command), "pay")

    async def ask(self, command: Redirect) -> Outcome:
        return await do(self.adapter, AskPayment(command.number, command.told_at, PAGE, command.amount))

    async def cancel(self, command: Redirect) -> Outcome:
        return await do(self.adapter, Cancel(command.number, command.told_at, PAGE, command.amount))

    # The sandbox

    async def control(self, path: str, body: object) -> Any:
        url = f"{self.address}/_sandbox/{self.provider}/{path}"
        async with self.browser.session.post(url, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def fault(self, fault: str, **params: object) -> None:
        await self.control("faults", {"fault": fault, "times": 1, **params})

    async def notify(self, command: Redirect, count: int = 1) -> list[int]:
        """Have the server's copy sent now: the statuses that it was answered with."""
        said = await self.control("callbacks", {"order_no": command.number, "count": count})
        statuses: list[int] = said["statuses"]
        return statuses

    async def books(self, command: Redirect) -> dict[str, Any]:
        url = f"{self.address}/_sandbox/{self.provider}/transactions"
        async with self.browser.session.get(url, params={"order_no": command.number}) as answer:
            (order,) = (await answer.json())["transactions"]
            return dict(order)

    # Our addresses

    async def next(self) -> Heard:
        return await asyncio.wait_for(self.heard.get(), IN_TIME_S)

    async def told(self) -> Outcome:
        """What is told to our addresses next, under a true signature."""
        callback = (await self.next()).callback
        assert callback is not None
        return callback.outcome

    async def arrived(self, asked: web.Request) -> web.Response:
        request = CallbackRequest(asked.method, asked.rel_url.raw_query_string, dict(asked.headers), await asked.read())
        reader = callbacks_of(self.adapter)
        try:
            callback = reader.read(request)
        except CallbackRejectedError:
            callback = None
        with pytest.raises(CallbackRejectedError):  # nobody but the account that it is for
            callbacks_of(self.neighbour).read(request)
        self.heard.put_nowait(Heard(asked.path, request, callback))
        answer = reader.answer(accepted=callback is not None)
        return web.Response(status=answer.status, body=answer.body)


@asynccontextmanager
async def new_world(
    keys: Path, account_at: Callable[[str], AccountSettings], elsewhere: Mapping[str, object]
) -> AsyncIterator[World]:
    """`account_at`: the account of a sandbox at this address. `elsewhere`: settings of a neighbour's."""
    config = SandboxConfig(
        keys_dir=keys, processing_delay_s=0.0, callback_delay_s=0.0, late_s=LATE_S, callback_time_scale=0.0001
    )
    sandbox, address = await serve(build_app(config))
    account = account_at(address)
    neighbour = replace(account, settings={**account.settings, **elsewhere})
    async with AiohttpTransport() as transport, aiohttp.ClientSession() as session:
        adapters = build(account, transport), build(neighbour, transport)
        world = World(account.provider, address, "", *adapters, Browser(session))
        app = web.Application()
        app.router.add_route("*", "/{kind}/a", world.arrived)
        receiver, world.ours = await serve(app)
        yield world
        await sandbox.cleanup()
        await receiver.cleanup()


async def fresh(world: World) -> World:
    """The world with empty books, and nothing heard yet."""
    async with world.browser.session.post(f"{world.address}/_sandbox/reset") as answer:
        assert answer.status == 200
    while not world.heard.empty():
        world.heard.get_nowait()
    world.browser.sent.clear()
    return world


class PagesOnSandbox:
    """Which copies come, and when; what each must say: the same at every provider."""

    sends: ClassVar[int]
    """How often a notice comes that is never taken."""

    @pytest.mark.parametrize("amount", [1, 29, 820, 100_000_000])
    async def test_an_amount_comes_back_to_the_last_fen(self, world: World, amount: int) -> None:
        command = world.redirect(amount)
        await world.browser.press(await world.paid(command), "back")
        said = [await world.told(), await world.told(), await world.ask(command)]
        assert [isinstance(each, Succeeded) and each.amount for each in said] == [amount] * 3
        assert (await world.books(command))["amount"] == amount

    async def test_the_browser_may_be_first(self, world: World) -> None:
        command = world.redirect()
        await world.fault("lose_callback")
        await world.browser.press(await world.paid(command), "back")
        first = await world.next()
        assert await world.notify(command) == [200]
        second = await world.next()
        assert (first.place, second.place) == ("/return/a", "/c/a")
        assert first.callback == second.callback is not None

    async def test_each_copy_may_come_alone_and_again(self, world: World) -> None:
        await world.fault("lose_callback")
        ending = await world.paid(world.redirect())
        for _ in range(2):
            await world.browser.press(ending, "back")
        assert [(await world.next()).place for _ in range(2)] == ["/return/a"] * 2
        await world.fault("lose_return")
        await world.fault("duplicate_callback", copies=2)
        assert (await world.paid(world.redirect())).buttons() == []
        assert [(await world.next()).place for _ in range(3)] == ["/c/a"] * 3

    async def test_when_no_copy_comes_the_question_tells(self, world: World) -> None:
        command = world.redirect()
        await world.fault("lose_callback")
        await world.fault("lose_return")
        assert (await world.paid(command)).buttons() == []
        assert isinstance(await world.ask(command), Succeeded)
        assert world.heard.empty()

    @pytest.mark.parametrize("fault", ["corrupt_return", "forge_return"])
    async def test_a_return_that_was_altered_is_not_believed(self, world: World, fault: str) -> None:
        await world.fault("lose_callback")
        await world.fault(fault)
        await world.browser.press(await world.paid(world.redirect()), "back")
        assert (await world.next()).callback is None

    @pytest.mark.parametrize("fault", ["corrupt_callback", "forge_callback"])
    async def test_a_notice_that_was_altered_is_not_believed_and_comes_again(self, world: World, fault: str) -> None:
        command = world.redirect()
        await world.fault(fault)
        await world.paid(command)
        assert [(await world.next()).callback for _ in range(self.sends)] == [None] * self.sends
        assert await world.notify(command) == [200]
        assert (await world.next()).callback is not None

    @pytest.mark.parametrize("fault", ["wrong_amount_return", "wrong_amount_callback"])
    async def test_another_amount_under_a_true_signature_is_told_as_it_is(self, world: World, fault: str) -> None:
        await world.fault(fault)
        await world.browser.press(await world.paid(world.redirect()), "back")
        said = [await world.told(), await world.told()]
        assert {each.amount for each in said if isinstance(each, Succeeded)} == {AMOUNT, AMOUNT + 1}
