"""CPCN's net-bank over sockets: a payer's browser opens the mock bank's page, and our addresses hear of it, or not.

The browser is `tests.browsing`. Not tested here: cards (`test_cpcn_on_sandbox`), the flows, and a real browser.
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
from gateway.domain.outcomes import NotFound, Outcome, Processing, Succeeded
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Callback,
    CallbackRejectedError,
    CallbackRequest,
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
SENDS = 5
PAGE = Scene.NETBANK_CHARGE
UNPAID = Processing("10", unpaid=True)


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
    another: Provider
    """Of another institution, with the same keys."""
    browser: Browser
    heard: "asyncio.Queue[Heard]"

    def redirect(self, amount: int = AMOUNT, **changed: Any) -> Redirect:
        told_at = now()
        urls = ("https://nobody.example.com/c/a", f"{self.ours}/return/a")
        until = told_at + timedelta(minutes=15)
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

    async def fault(self, fault: str, **params: object) -> None:
        async with self.browser.session.post(
            f"{self.address}/_sandbox/cpcn/faults", json={"fault": fault, "times": 1, **params}
        ) as answer:
            assert answer.status == 201, await answer.text()

    async def notify(self, command: Redirect) -> list[int]:
        """Have the server's copy sent now: the statuses that it was answered with."""
        url = f"{self.address}/_sandbox/cpcn/callbacks"
        async with self.browser.session.post(url, json={"order_no": command.number}) as answer:
            statuses: list[int] = (await answer.json())["statuses"]
            return statuses

    async def next(self) -> Heard:
        return await asyncio.wait_for(self.heard.get(), IN_TIME_S)

    async def books(self, command: Redirect) -> dict[str, Any]:
        url = f"{self.address}/_sandbox/cpcn/transactions"
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
    folder = keys / "cpcn"
    settings = {**json.loads((folder / "account.json").read_text()), "base_url": f"{address}/cpcn"}
    pems = {"merchant_private_key": "merchant.key.pem", "psp_certificate": "psp.cert.pem"}
    secrets = {name: (folder / file).read_text() for name, file in pems.items()}
    account = AccountSettings("net", "cpcn", {**settings, "assumed": ["page_states"]}, secrets)
    elsewhere = replace(account, settings={**account.settings, "institution_id": "000000"})
    async with AiohttpTransport() as transport, aiohttp.ClientSession() as session:
        async with session.post(f"{address}/_sandbox/cpcn/notice_url", json={"url": f"{ours}/c/a"}) as answer:
            assert answer.status == 200
        adapter = build(account, transport)
        yield World(address, ours, adapter, build(elsewhere, transport), Browser(session), heard)
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
    for text in ("工商银行", "中金支付", "1,234.56", command.number, "三月还款"):
        assert text in page.text
    assert await world.ask(command) == UNPAID
    ending = await world.browser.press(page, "pay")
    server = await world.next()
    await world.browser.press(ending, "back")
    browser = await world.next()
    assert (server.place, server.request.method) == ("/c/a", "POST")
    assert (browser.place, browser.request.method) == ("/return/a", "POST")
    assert server.callback == browser.callback is not None
    assert browser.callback.number == command.number
    answer = await world.ask(command)
    assert isinstance(answer, Succeeded)
    assert answer == browser.callback.outcome
    assert answer.amount == AMOUNT
    assert answer.channel_finished_at is not None
    assert abs(answer.channel_finished_at - now()) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "description", ['测试 "A&B" 𠮷', '"><img src=x onerror=alert(1)>', "</script><b>", "]]></Remark>", "a=1&b=2#c"]
)
async def test_whatever_stands_in_a_text_is_shown_as_text_and_both_copies_come(world: World, description: str) -> None:
    page = await world.open(world.redirect(description=description))
    assert description in page.text
    assert not {*page.root.iter("img"), *page.root.iter("b"), *page.root.iter("script")}
    await world.browser.press(await world.browser.press(page, "pay"), "back")
    assert [(await world.next()).callback is None for _ in range(2)] == [False, False]


@pytest.mark.parametrize("amount", [1, 29, 820, 100_000_000])
async def test_an_amount_comes_back_to_the_last_fen(world: World, amount: int) -> None:
    command = world.redirect(amount)
    await world.browser.press(await world.paid(command), "back")
    told = [(await world.next()).callback for _ in range(2)]
    for outcome in (*(callback and callback.outcome for callback in told), await world.ask(command)):
        assert isinstance(outcome, Succeeded)
        assert outcome.amount == amount == (await world.books(command))["amount"]


@pytest.mark.parametrize("choice", ["cancel", "insufficient"])
async def test_who_does_not_pay_may_pay_later_on_the_same_page(world: World, choice: str) -> None:
    command = world.redirect()
    page = await world.open(command)
    ending = await world.browser.press(page, choice)
    assert (ending.links(), ending.buttons()) == ([page.url], [])
    assert await world.ask(command) == UNPAID
    assert world.heard.empty()
    await world.browser.press(await world.browser.open(page.url), "pay")
    assert isinstance(await world.ask(command), Succeeded)


async def test_an_order_whose_payer_went_away_is_unpaid_for_ever_and_can_be_paid_long_after_it_expired_here(
    world: World,
) -> None:
    command = world.redirect()
    command = replace(command, expires_at=command.told_at - timedelta(hours=1))
    page = await world.open(command)  # the tab stays open
    for _ in range(3):
        assert await world.ask(command) == UNPAID
    assert world.heard.empty()
    ending = await world.browser.press(page, "pay")
    late = await world.next()
    await world.browser.press(ending, "back")
    back = await world.next()
    assert late.callback == back.callback is not None
    assert isinstance(back.callback.outcome, Succeeded)
    assert isinstance(await world.ask(command), Succeeded)


async def test_a_form_that_is_opened_twice_is_one_order_on_one_page(world: World) -> None:
    command = world.redirect()
    assert (await world.open(command)).url == (await world.open(command)).url
    await world.paid(command)
    again = await world.open(command)
    assert ("已支付" in again.text, again.buttons()) == (True, ["back"])
    order = await world.books(command)
    assert (order["kind"], order["state"], order["submissions"]) == ("netbank", "succeeded", 4)


async def test_two_tabs_that_pay_at_once_pay_once(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    endings = await asyncio.gather(*(world.browser.submit(page.url, {"choice": "pay"}) for _ in range(5)))
    assert {ending.buttons()[0] for ending in endings} == {"back"}
    assert (await world.next()).callback is not None
    assert isinstance(await world.ask(command), Succeeded)
    assert world.heard.empty()


async def test_a_form_that_was_altered_or_is_anothers_opens_no_page(world: World) -> None:
    command, other = world.redirect(), world.redirect(1)
    form, cheaper = await world.form(command), await world.form(other)
    for fields in (
        {**form.fields, "message": cheaper.fields["message"]},
        {**form.fields, "signature": "00" * 256},
        {"message": form.fields["message"]},
        dict((await do(world.another, command)).fields),
    ):
        page = await world.browser.submit(form.url, fields)
        assert ("Refused" in page.text, page.buttons()) == (True, [])
    assert isinstance(await world.ask(command), NotFound)
    assert isinstance(await world.ask(other), NotFound)


async def test_a_number_stands_for_one_order(world: World) -> None:
    command = world.redirect()
    await world.open(command)
    assert "重复交易请求" in (await world.open(replace(command, amount=1))).text
    assert (await world.books(command))["amount"] == AMOUNT


async def test_while_the_bank_is_working_the_order_waits(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    await world.fault("late_final", seconds=LATE_S)
    assert "处理中" in (await world.browser.press(page, "pay")).text
    assert "处理中" in (await world.browser.press(page, "cancel")).text
    heard = await world.next()
    assert heard.callback is not None
    assert isinstance(await world.ask(command), Succeeded)


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
async def test_a_notice_that_was_altered_is_not_believed_and_comes_until_it_is(world: World, fault: str) -> None:
    command = world.redirect()
    await world.fault(fault)
    await world.paid(command)
    assert [(await world.next()).callback for _ in range(SENDS)] == [None] * SENDS
    assert await world.notify(command) == [200]
    assert (await world.next()).callback is not None


async def test_a_browser_that_comes_back_with_nothing_is_no_notice(world: World) -> None:
    command = world.redirect()
    await world.open(command)
    for method in ("GET", "POST"):
        await world.browser.submit(command.return_url, {"message": "", "signature": ""}, method)
        assert (await world.next()).callback is None


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


async def test_neither_copy_is_believed_by_an_account_of_another_institution(world: World) -> None:
    await world.browser.press(await world.paid(world.redirect()), "back")
    for _ in range(2):
        request = (await world.next()).request
        with pytest.raises(CallbackRejectedError):
            callbacks_of(world.another).read(request)


# Magic amounts


async def test_a_magic_amount_is_paid_late(world: World) -> None:
    command = world.redirect(980_001)
    assert "处理中" in (await world.paid(command)).text
    await world.next()
    assert isinstance(await world.ask(command), Succeeded)


@pytest.mark.parametrize(("amount", "says"), [(980_003, "余额不足"), (996_051, "余额不足"), (996_005, "发卡行拒绝")])
async def test_a_magic_amount_is_refused_by_the_bank_and_the_order_waits(world: World, amount: int, says: str) -> None:
    command = world.redirect(amount)
    assert says in (await world.paid(command)).text
    assert await world.ask(command) == UNPAID


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


# What goes wrong


async def test_during_maintenance_nothing_is_opened_paid_or_told(world: World) -> None:
    command, other = world.redirect(), world.redirect()
    page = await world.open(command)
    for _ in range(3):
        await world.fault("maintenance")
    assert (await world.open(other)).buttons() == []
    assert "维护" in (await world.browser.press(page, "pay")).text
    assert is_unknown(await world.ask(command), received=False)
    assert isinstance(await world.ask(other), NotFound)
    assert await world.ask(command) == UNPAID


@pytest.mark.parametrize("fault", ["reset_after", "error_after", "garbage", "wrong_signature"])
async def test_a_question_whose_answer_is_lost_says_nothing(world: World, fault: str) -> None:
    command = world.redirect()
    await world.open(command)
    await world.fault(fault, match={"operation": "query"})
    assert is_unknown(await world.ask(command), received=False)
    assert await world.ask(command) == UNPAID


async def test_a_payer_whose_page_broke_has_paid_all_the_same(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    await world.fault("reset_after")
    with pytest.raises(aiohttp.ClientError):
        await world.browser.press(page, "pay")
    assert (await world.next()).place == "/c/a"
    assert isinstance(await world.ask(command), Succeeded)
