"""YeePay net-bank over sockets: a payer's browser opens the mock bank's page, and our addresses hear of it, or not.

The browser is `tests.browsing`. Not tested here: the flows, and pages in a real browser.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from adapters.http import AiohttpTransport
from adapters.registry import build
from gateway.domain.outcomes import Closed, NotFound, Outcome, Processing, Succeeded, Unknown
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
from tests.adapters.contract import callbacks_of, do, is_unknown
from tests.adapters.test_on_sandbox import now, serve
from tests.browsing import Browser, Page

AMOUNT = 123_456
IN_TIME_S = 10.0
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
    """A sandbox, an adapter, a payer's browser, and our addresses for notices and for browsers that come back."""

    address: str
    ours: str
    adapter: Provider
    browser: Browser
    heard: "asyncio.Queue[Heard]"

    def redirect(self, amount: int = AMOUNT, **changed: Any) -> Redirect:
        told_at = now()
        return replace(
            Redirect(
                uuid4().hex,
                told_at,
                PAGE,
                amount,
                "ICBC",
                "user-1",
                "三月还款",
                f"{self.ours}/c/a",
                f"{self.ours}/return/a",
                told_at + timedelta(minutes=15),
            ),
            **changed,
        )

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

    async def fault(self, fault: str, **params: object) -> None:
        async with self.browser.session.post(
            f"{self.address}/_sandbox/yeepay/faults", json={"fault": fault, "times": 1, **params}
        ) as answer:
            assert answer.status == 201, await answer.text()

    async def notify(self, command: Redirect, count: int = 1) -> list[int]:
        """Have the server's copy sent now: the statuses that it was answered with."""
        body = {"order_no": command.number, "count": count}
        async with self.browser.session.post(f"{self.address}/_sandbox/yeepay/callbacks", json=body) as answer:
            statuses: list[int] = (await answer.json())["statuses"]
            return statuses

    async def next(self) -> Heard:
        return await asyncio.wait_for(self.heard.get(), IN_TIME_S)

    async def books(self, command: Redirect) -> dict[str, Any]:
        url = f"{self.address}/_sandbox/yeepay/transactions"
        async with self.browser.session.get(url, params={"order_no": command.number}) as answer:
            (order,) = (await answer.json())["transactions"]
            return dict(order)


@pytest.fixture(scope="module")
async def everything(keys: Path) -> AsyncIterator[World]:
    heard: asyncio.Queue[Heard] = asyncio.Queue()

    async def arrived(asked: web.Request) -> web.Response:
        request = CallbackRequest(asked.method, asked.rel_url.raw_query_string, dict(asked.headers), await asked.read())
        reader = callbacks_of(adapter)
        try:
            callback = reader.read(request)
        except CallbackRejectedError:
            callback = None
        heard.put_nowait(Heard(asked.path, request, callback))
        answer = reader.answer(accepted=callback is not None)
        return web.Response(status=answer.status, body=answer.body)

    config = SandboxConfig(
        keys_dir=keys, callback_delay_s=0.0, late_s=LATE_S, callback_time_scale=0.0001, callback_timeout_s=5.0
    )
    app = web.Application()
    app.router.add_route("*", "/{kind}/a", arrived)
    sandbox, address = await serve(build_app(config))
    receiver, ours = await serve(app)
    shared = json.loads((keys / "yeepay" / "account.json").read_text())
    base = f"{address}/yeepay/app-merchant-proxy"
    settings = {
        "node_url": f"{base}/node",
        "command_url": f"{base}/command",
        "mer_id": shared["mer_id"],
        "assumed": ["cancelled_stays_unpaid"],
    }
    async with AiohttpTransport() as transport, aiohttp.ClientSession() as session:
        adapter = build(AccountSettings("net", "yeepay", settings, {"key": shared["key"]}), transport)
        yield World(address, ours, adapter, Browser(session), heard)
    await sandbox.cleanup()
    await receiver.cleanup()


@pytest.fixture
async def world(everything: World) -> World:
    """With empty books, and nothing heard yet."""
    async with everything.browser.session.post(f"{everything.address}/_sandbox/reset") as answer:
        assert answer.status == 200
    while not everything.heard.empty():
        everything.heard.get_nowait()
    everything.browser.sent.clear()
    return everything


async def test_a_payer_pays_and_both_copies_and_the_question_say_so(world: World) -> None:
    command = world.redirect()
    assert isinstance(await world.ask(command), NotFound)  # nobody has opened the form
    page = await world.open(command)
    for text in ("工商银行", "易宝支付", "1,234.56", command.number, "三月还款"):
        assert text in page.text
    assert isinstance(await world.ask(command), Processing)
    ending = await world.browser.press(page, "pay")
    server = await world.next()
    await world.browser.press(ending, "back")
    browser = await world.next()
    assert (server.place, server.request.method) == ("/c/a", "GET")
    assert (browser.place, browser.request.method) == ("/return/a", "POST")
    assert server.callback == browser.callback is not None
    assert isinstance(browser.callback.outcome, Succeeded)
    assert (browser.callback.number, browser.callback.outcome.amount) == (command.number, AMOUNT)
    answer = await world.ask(command)
    assert isinstance(answer, Succeeded)
    assert (answer.amount, answer.channel_transaction_no) == (AMOUNT, browser.callback.outcome.channel_transaction_no)
    assert answer.channel_finished_at is not None
    assert abs(answer.channel_finished_at - now()) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "description", ['测试 "A&B" 𠮷', '"><img src=x onerror=alert(1)>', "</script><b>", "a=1&b=2#c"]
)
async def test_the_bytes_that_the_browser_posts_are_the_text_that_was_signed(world: World, description: str) -> None:
    command = world.redirect(description=description)
    form = await world.form(command)
    page = await world.open(command)
    posted = dict(pair.split("=", 1) for pair in world.browser.sent[0][2].decode("ascii").split("&"))
    assert posted["p5_Pid"].encode() == _posted(form.fields["p5_Pid"].encode("gbk"))
    assert form.fields["p5_Pid"] in page.text  # the mock has checked both signatures over it
    assert not {*page.root.iter("img"), *page.root.iter("b"), *page.root.iter("script")}
    await world.browser.press(await world.browser.press(page, "pay"), "back")
    assert [(await world.next()).callback is None for _ in range(2)] == [False, False]


def _posted(text: bytes) -> bytes:
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789*-._"
    return b"".join(bytes([each]) if each in plain else b"+" if each == 32 else b"%%%02X" % each for each in text)


@pytest.mark.parametrize("amount", [1, 29, 820, 100_000_000])
async def test_an_amount_comes_back_to_the_last_fen(world: World, amount: int) -> None:
    command = world.redirect(amount)
    await world.paid(command)
    heard, answer = await world.next(), await world.ask(command)
    assert heard.callback is not None
    assert isinstance(heard.callback.outcome, Succeeded)
    assert isinstance(answer, Succeeded)
    assert heard.callback.outcome.amount == answer.amount == amount == (await world.books(command))["amount"]


@pytest.mark.parametrize("choice", ["cancel", "insufficient"])
async def test_who_does_not_pay_may_pay_later_on_the_same_page(world: World, choice: str) -> None:
    command = world.redirect()
    page = await world.open(command)
    ending = await world.browser.press(page, choice)
    assert ending.links() == [page.url]
    assert isinstance(await world.ask(command), Processing)
    assert world.heard.empty()
    await world.browser.press(await world.browser.open(page.url), "pay")
    assert isinstance(await world.ask(command), Succeeded)


async def test_a_form_that_is_opened_twice_is_one_order_on_one_page(world: World) -> None:
    command = world.redirect()
    assert (await world.open(command)).url == (await world.open(command)).url
    await world.paid(command)
    again = await world.open(command)
    assert ("已支付" in again.text, again.buttons()) == (True, ["back"])
    order = await world.books(command)
    assert (order["kind"], order["state"], order["submissions"]) == ("netbank", "succeeded", 4)


async def test_a_form_that_was_altered_opens_no_page(world: World) -> None:
    command = world.redirect()
    form = await world.form(command)
    for name, value in (("p3_Amt", "0.01"), ("p5_Pid", "别的"), ("p8_Url", "https://evil.example.com/"), ("hmac", "0")):
        page = await world.browser.submit(form.url, {**form.fields, name: value}, charset="gbk")
        assert ("签名无效" in page.text, page.buttons()) == (True, [])
    assert isinstance(await world.ask(command), NotFound)


async def test_a_number_stands_for_one_order(world: World) -> None:
    command = world.redirect()
    await world.open(command)
    assert "The number is in use" in (await world.open(replace(command, amount=1))).text
    assert (await world.books(command))["amount"] == AMOUNT


async def test_an_order_that_nobody_pays_expires_stays_unpaid_and_is_given_up(world: World) -> None:
    command = world.redirect()
    command = replace(command, expires_at=command.told_at + timedelta(seconds=1))
    page = await world.open(command)
    async with asyncio.timeout(IN_TIME_S):
        for _ in range(10_000):
            if "过期" in (await world.browser.open(page.url)).text:
                break
            await asyncio.sleep(0.05)
    # The tab was still open.
    assert "过期" in (await world.browser.submit(page.url, {"choice": "pay"})).text
    asked = await world.ask(command)
    assert isinstance(asked, Processing)
    assert asked.unpaid, "so that its time being over is proof"
    assert await world.cancel(command) == Closed("1")
    assert await world.ask(command) == Closed("CANCELED")
    assert world.heard.empty()


async def test_what_was_given_up_cannot_be_paid_in_another_tab(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    assert await world.cancel(command) == Closed("1")
    assert await world.cancel(command) == Closed("1")
    assert "撤销" in (await world.browser.press(page, "pay")).text
    assert "撤销" in (await world.open(command)).text
    assert await world.ask(command) == Closed("CANCELED")


async def test_what_is_paid_cannot_be_given_up(world: World) -> None:
    command = world.redirect()
    await world.paid(command)
    outcome = await world.cancel(command)
    assert is_unknown(outcome, received=True)
    assert isinstance(outcome, Unknown)
    assert outcome.channel_code == "53"
    assert isinstance(await world.ask(command), Succeeded)


async def test_what_could_not_be_given_up_may_still_be_paid(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    await world.fault("decline", code="53", match={"operation": "cancel"})
    assert is_unknown(await world.cancel(command), received=True)
    assert isinstance(await world.ask(command), Processing)
    await world.browser.press(page, "pay")
    assert isinstance(await world.ask(command), Succeeded)


async def test_a_bank_that_takes_what_was_given_up_is_heard_of(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    assert isinstance(await world.cancel(command), Closed)
    await world.fault("pay_closed")
    await world.browser.press(page, "pay")
    heard = await world.next()
    assert heard.callback is not None
    assert isinstance(heard.callback.outcome, Succeeded)
    assert isinstance(await world.ask(command), Succeeded)


async def test_while_the_bank_is_working_the_order_is_open_and_cannot_be_given_up(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    await world.fault("late_final", seconds=0.3)
    assert "处理中" in (await world.browser.press(page, "pay")).text
    assert is_unknown(await world.cancel(command), received=True)
    heard = await world.next()
    assert heard.callback is not None
    assert isinstance(await world.ask(command), Succeeded)


async def test_an_order_that_nobody_opened_is_not_there_to_be_given_up(world: World) -> None:
    assert isinstance(await world.cancel(world.redirect()), NotFound)


async def test_a_magic_amount_is_paid_late(world: World) -> None:
    command = world.redirect(980_001)
    assert "处理中" in (await world.paid(command)).text
    await world.next()
    assert isinstance(await world.ask(command), Succeeded)


async def test_a_magic_amount_is_more_than_the_payer_has(world: World) -> None:
    command = world.redirect(980_003)
    assert "余额不足" in (await world.paid(command)).text
    assert isinstance(await world.ask(command), Processing)


async def test_a_magic_amount_is_not_found_at_first(world: World) -> None:
    command, began = world.redirect(980_005), time.monotonic()
    page = await world.open(command)
    early = await world.ask(command)
    assert isinstance(early, NotFound) or time.monotonic() - began >= LATE_S
    assert (await world.browser.press(page, "pay")).status == 502
    await world.next()
    async with asyncio.timeout(IN_TIME_S):
        for _ in range(10_000):
            if isinstance(await world.ask(command), Succeeded):
                return
            await asyncio.sleep(0.02)
    raise AssertionError


# Which copies come, and when


async def test_the_browser_may_be_first(world: World) -> None:
    command = world.redirect()
    await world.fault("lose_callback")
    ending = await world.paid(command)
    await world.browser.press(ending, "back")
    first = await world.next()
    assert await world.notify(command) == [200]
    second = await world.next()
    assert (first.place, second.place) == ("/return/a", "/c/a")
    assert first.callback == second.callback is not None


async def test_each_copy_may_come_alone_and_again(world: World) -> None:
    command = world.redirect()
    await world.fault("lose_callback")
    ending = await world.paid(command)
    for _ in range(2):
        await world.browser.press(ending, "back")
    assert [(await world.next()).place for _ in range(2)] == ["/return/a"] * 2
    other = world.redirect()
    await world.fault("lose_return")
    await world.fault("duplicate_callback", copies=2)
    assert (await world.paid(other)).buttons() == []
    assert [(await world.next()).place for _ in range(3)] == ["/c/a"] * 3


async def test_when_no_copy_comes_the_question_tells(world: World) -> None:
    command = world.redirect()
    await world.fault("lose_callback")
    await world.fault("lose_return")
    assert (await world.paid(command)).buttons() == []
    assert isinstance(await world.ask(command), Succeeded)
    assert world.heard.empty()


@pytest.mark.parametrize("fault", ["corrupt_return", "forge_return"])
async def test_a_return_that_was_altered_is_not_believed(world: World, fault: str) -> None:
    await world.fault("lose_callback")
    await world.fault(fault)
    await world.browser.press(await world.paid(world.redirect()), "back")
    assert (await world.next()).callback is None


@pytest.mark.parametrize("fault", ["corrupt_callback", "forge_callback"])
async def test_a_notice_that_was_altered_is_not_believed_and_comes_three_times(world: World, fault: str) -> None:
    command = world.redirect()
    await world.fault(fault)
    await world.paid(command)
    assert [(await world.next()).callback for _ in range(3)] == [None] * 3
    assert await world.notify(command) == [200]
    assert (await world.next()).callback is not None


@pytest.mark.parametrize("fault", ["wrong_amount_return", "wrong_amount_callback"])
async def test_another_amount_under_a_true_signature_is_told_as_it_is(world: World, fault: str) -> None:
    await world.fault(fault)
    await world.browser.press(await world.paid(world.redirect()), "back")
    amounts = set()
    for _ in range(2):
        heard = await world.next()
        assert heard.callback is not None
        assert isinstance(heard.callback.outcome, Succeeded)
        amounts.add(heard.callback.outcome.amount)
    assert amounts == {AMOUNT, AMOUNT + 1}


async def test_without_an_address_that_fits_the_server_tells_where_the_browser_goes(world: World) -> None:
    await world.paid(world.redirect(notify_url=f"{world.ours}/c/a?{'x' * 50}"))
    heard = await world.next()
    assert (heard.place, heard.request.method) == ("/return/a", "GET")
    assert heard.callback is not None


# Questions that go wrong


async def test_during_maintenance_nothing_is_opened_paid_or_told(world: World) -> None:
    command, other = world.redirect(), world.redirect()
    page = await world.open(command)
    for _ in range(4):
        await world.fault("maintenance")
    assert (await world.open(other)).buttons() == []
    assert "维护" in (await world.browser.press(page, "pay")).text
    assert is_unknown(await world.ask(command), received=False)
    assert is_unknown(await world.cancel(command), received=False)
    assert isinstance(await world.ask(other), NotFound)
    assert isinstance(await world.ask(command), Processing)


@pytest.mark.parametrize("fault", ["reset_after", "error_after", "garbage", "wrong_signature"])
async def test_a_question_or_a_giving_up_whose_answer_is_lost_is_unknown(world: World, fault: str) -> None:
    command = world.redirect()
    await world.open(command)
    await world.fault(fault, match={"operation": "query"})
    assert is_unknown(await world.ask(command), received=False)
    await world.fault(fault, match={"operation": "cancel"})
    assert is_unknown(await world.cancel(command), received=False)
    assert await world.ask(command) == Closed("CANCELED")  # it was done all the same
