"""UnionPay's page over sockets: a payer's browser opens it at the mock, and our addresses hear of it, or not.

The browser is `tests.browsing`. Not tested here: the flows, pages in a real browser, and what a page does at every
provider (tests/sandbox/test_pages.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
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
from gateway.domain.outcomes import Closed, NotFound, Outcome, Processing, Succeeded
from gateway.domain.scenes import Scene
from gateway.ports import (
    AccountSettings,
    AskPayment,
    AskRefund,
    Callback,
    CallbackRejectedError,
    CallbackRequest,
    Provider,
    Redirect,
    Refund,
)
from sandbox.app import SandboxConfig, build_app
from tests.adapters.contract import callbacks_of, do, is_unknown
from tests.adapters.test_on_sandbox import now, serve
from tests.browsing import Browser, Page

AMOUNT = 123_456
IN_TIME_S = 30.0
PAGE = Scene.NETBANK_CHARGE


@dataclass
class Heard:
    """What came to one of our addresses, by which method, and what its adapter made of it; None: rejected."""

    place: str
    method: str
    callback: Callback | None


@dataclass
class World:
    """A sandbox, its merchant's adapter and a neighbour's, a payer's browser, and our addresses."""

    address: str
    ours: str
    adapter: Provider
    neighbour: Provider
    browser: Browser
    heard: "asyncio.Queue[Heard]"

    def redirect(self, amount: int = AMOUNT, **changed: Any) -> Redirect:
        told_at = now()
        notify_url, return_url, expires_at = f"{self.ours}/c/a", f"{self.ours}/return/a", told_at + timedelta(minutes=9)
        return replace(
            Redirect(
                uuid4().hex, told_at, PAGE, amount, "ICBC", "user-1", "三月还款", notify_url, return_url, expires_at
            ),
            **changed,
        )

    async def open(self, command: Redirect) -> Page:
        form = await do(self.adapter, command)
        return await self.browser.submit(form.url, form.fields, form.method, form.charset)

    async def paid(self, command: Redirect) -> Page:
        """What the payer sees after paying."""
        return await self.browser.press(await self.open(command), "pay")

    async def ask(self, command: Redirect) -> Outcome:
        return await do(self.adapter, AskPayment(command.number, command.told_at, PAGE, command.amount))

    async def fault(self, fault: str, **params: object) -> None:
        body = {"fault": fault, "times": 1, **params}
        async with self.browser.session.post(f"{self.address}/_sandbox/unionpay/faults", json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def notify(self, command: Redirect) -> list[int]:
        """Have the server's notification sent now: the statuses that it was answered with."""
        body = {"order_no": command.number}
        async with self.browser.session.post(f"{self.address}/_sandbox/unionpay/callbacks", json=body) as answer:
            statuses: list[int] = (await answer.json())["statuses"]
            return statuses

    async def next(self) -> Heard:
        return await asyncio.wait_for(self.heard.get(), IN_TIME_S)

    async def told(self) -> Outcome:
        """What is told to our addresses next, by a signature that is UnionPay's."""
        callback = (await self.next()).callback
        assert callback is not None
        return callback.outcome

    async def books(self, command: Redirect) -> dict[str, Any]:
        url = f"{self.address}/_sandbox/unionpay/transactions"
        async with self.browser.session.get(url, params={"order_no": command.number}) as answer:
            (order,) = (await answer.json())["transactions"]
            return dict(order)


@pytest.fixture(scope="module")
async def everything(keys: Path) -> AsyncIterator[World]:
    heard: asyncio.Queue[Heard] = asyncio.Queue()

    async def arrived(asked: web.Request) -> web.Response:
        request = CallbackRequest(asked.method, asked.rel_url.raw_query_string, dict(asked.headers), await asked.read())
        reader, callback = callbacks_of(adapter), None
        with suppress(CallbackRejectedError):
            callback = reader.read(request)
        with pytest.raises(CallbackRejectedError):  # nobody but the account that it is for
            callbacks_of(neighbour).read(request)
        heard.put_nowait(Heard(asked.path, asked.method, callback))
        answer = reader.answer(accepted=callback is not None)
        return web.Response(status=answer.status, body=answer.body)

    config = SandboxConfig(
        keys_dir=keys, processing_delay_s=0.0, callback_delay_s=0.0, late_s=0.3, callback_time_scale=0.0001
    )
    app = web.Application()
    app.router.add_route("*", "/{kind}/a", arrived)
    sandbox, address = await serve(build_app(config))
    receiver, ours = await serve(app)
    folder = keys / "unionpay"
    shared = json.loads((folder / "account.json").read_text())
    settings = {
        "base_url": f"{address}/unionpay",
        "mer_id": shared["mer_id"],
        "tr_id": shared["tr_id"],
        "signer_cn": "00040000:SIGN",
        "assumed": ["form_again"],
        "bank_pages": {"ICBC": "ICBC"},
    }
    secrets = {
        "merchant_private_key": (folder / "merchant.key.pem").read_text(),
        "merchant_certificate": (folder / "merchant.cert.pem").read_text(),
        "root_certificate": (folder / "root.pem").read_text(),
        "middle_certificate": (folder / "middle.pem").read_text(),
    }
    async with AiohttpTransport() as transport, aiohttp.ClientSession() as session:
        adapter = build(AccountSettings("gateway", "unionpay", settings, secrets), transport)
        other = {**settings, "mer_id": "777290058110099"}
        neighbour = build(AccountSettings("neighbour", "unionpay", other, secrets), transport)
        yield World(address, ours, adapter, neighbour, Browser(session), heard)
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


async def test_a_payer_pays_and_the_server_the_browser_and_the_question_say_so(world: World) -> None:
    command = world.redirect()
    assert isinstance(await world.ask(command), NotFound)  # nobody has opened the form
    page = await world.open(command)
    for text in ("工商银行", "中国银联", "1,234.56", command.number, "三月还款"):
        assert text in page.text
    waits = await world.ask(command)
    assert isinstance(waits, Processing)
    assert waits.unpaid
    ending = await world.browser.press(page, "pay")
    server = await world.next()
    await world.browser.press(ending, "back")
    browser = await world.next()
    assert [(each.place, each.method) for each in (server, browser)] == [("/c/a", "POST"), ("/return/a", "POST")]
    assert server.callback == browser.callback is not None
    assert browser.callback.number == command.number
    assert browser.callback.outcome == await world.ask(command)
    assert isinstance(browser.callback.outcome, Succeeded)
    assert browser.callback.outcome.amount == AMOUNT


@pytest.mark.parametrize(
    "description", ['测试 "A&B" 𠮷', '"><img src=x onerror=alert(1)>', "</script><b>", "{a=1&b=2}#c[d]", "还款" * 50]
)
async def test_any_description_is_signed_as_it_is_posted_and_shown_as_text(world: World, description: str) -> None:
    page = await world.open(world.redirect(description=description))
    assert "pay" in page.buttons()  # the mock has checked the signature over it
    assert not {*page.root.iter("img"), *page.root.iter("b"), *page.root.iter("script")}
    shown = page.text.translate(str.maketrans("＆＝｛｝【】“‘", "&={}[]\"'"))
    assert description[:20] in shown


@pytest.mark.parametrize("amount", [1, 29, 820, 100_000_000])
async def test_an_amount_comes_back_to_the_last_fen(world: World, amount: int) -> None:
    command = world.redirect(amount)
    await world.browser.press(await world.paid(command), "back")
    said = [await world.told(), await world.told(), await world.ask(command)]
    assert [isinstance(each, Succeeded) and each.amount for each in said] == [amount] * 3
    assert (await world.books(command))["amount"] == amount


@pytest.mark.parametrize(("choice", "code"), [("cancel", "05"), ("insufficient", "64")])
async def test_who_does_not_pay_goes_back_without_a_word_and_may_pay_later(
    world: World, choice: str, code: str
) -> None:
    command = world.redirect()
    page = await world.open(command)
    ending = await world.browser.press(page, choice)
    await world.browser.press(ending, "back")
    back = await world.next()
    assert (back.place, back.method, back.callback) == ("/return/a", "GET", None)
    waits = await world.ask(command)
    assert isinstance(waits, Processing)
    assert (waits.unpaid, waits.channel_code) == (True, code)
    (again,) = ending.links()
    await world.browser.press(await world.browser.open(again), "pay")
    assert isinstance(await world.told(), Succeeded)


async def test_a_form_that_is_opened_twice_is_one_order_on_one_page(world: World) -> None:
    command = world.redirect()
    assert (await world.open(command)).url == (await world.open(command)).url
    await world.paid(command)
    again = await world.open(command)
    assert ("支付成功" in again.text, again.buttons()) == (True, ["back"])
    order = await world.books(command)
    assert (order["kind"], order["state"], order["submissions"]) == ("netbank", "succeeded", 4)


async def test_a_form_that_was_altered_opens_no_page(world: World) -> None:
    command = world.redirect()
    form = await do(world.adapter, command)
    for name, value in (("txnAmt", "1"), ("payTimeout", "20990101000000"), ("frontUrl", "https://evil.example.com/")):
        page = await world.browser.submit(form.url, {**form.fields, name: value})
        assert ("(11)" in page.text, page.buttons()) == (True, [])
    assert isinstance(await world.ask(command), NotFound)


async def test_a_number_stands_for_one_order(world: World) -> None:
    command = world.redirect()
    await world.open(command)
    assert "(12)" in (await world.open(replace(command, amount=1))).text
    assert (await world.books(command))["amount"] == AMOUNT


async def expired(world: World) -> tuple[Redirect, Page]:
    """An order whose time is over, and its page in a tab that was left open."""
    for life_s in (2, 8, 30):
        command = world.redirect()
        command = replace(command, expires_at=command.told_at + timedelta(seconds=life_s))
        if (page := await world.open(command)).buttons():
            break  # it was opened in time
    async with asyncio.timeout(2 * IN_TIME_S):
        for _ in range(10_000):
            if "超时" in (await world.browser.open(page.url)).text:
                break
            await asyncio.sleep(0.05)
    return command, page


async def test_an_order_that_nobody_pays_expires_and_takes_nothing_any_more(world: World) -> None:
    command, page = await expired(world)
    for choice in ("pay", "cancel", "insufficient"):
        assert "超时" in (await world.browser.submit(page.url, {"choice": choice})).text
    left = await world.ask(command)
    assert isinstance(left, Processing)
    assert left.unpaid
    assert world.heard.empty()
    late = replace(command, number=uuid4().hex)
    assert "(69 payTimeout)" in (await world.open(late)).text
    assert isinstance(await world.ask(late), NotFound)
    # What a bank's page takes all the same UnionPay gives back, and tells nobody of (42).
    await world.fault("pay_closed")
    await world.fault("decline", code="42")
    assert "退回" in (await world.browser.submit(page.url, {"choice": "pay"})).text
    assert await world.ask(command) == Closed("42", "扣款成功但交易超过规定支付时间")
    assert world.heard.empty()


async def test_a_success_that_comes_after_the_expiry_is_heard_of(world: World) -> None:
    command, page = await expired(world)
    await world.fault("pay_closed")
    await world.browser.submit(page.url, {"choice": "pay"})
    assert isinstance(await world.told(), Succeeded)
    assert isinstance(await world.ask(command), Succeeded)


async def test_while_the_bank_is_working_the_order_is_open_and_then_it_is_paid(world: World) -> None:
    command = world.redirect()
    page = await world.open(command)
    await world.fault("late_final", seconds=0.3)
    assert "处理中" in (await world.browser.press(page, "pay")).text
    assert isinstance(await world.told(), Succeeded)
    assert isinstance(await world.ask(command), Succeeded)


@pytest.mark.parametrize(
    ("amount", "says", "final"),
    [(980_001, "处理中", True), (980_003, "余额不足", False), (990_061, "(61)", False), (990_004, "处理中", True)],
)
async def test_a_magic_amount_is_paid_late_or_not_at_all(world: World, amount: int, says: str, final: bool) -> None:
    command = world.redirect(amount)
    assert says in (await world.paid(command)).text
    if final:
        assert isinstance(await world.told(), Succeeded)
    assert isinstance(await world.ask(command), Succeeded if final else Processing)


# Which copies come, and when


async def test_the_browser_may_be_first(world: World) -> None:
    command = world.redirect()
    await world.fault("lose_callback")
    await world.browser.press(await world.paid(command), "back")
    first = await world.next()
    assert await world.notify(command) == [200]
    second = await world.next()
    assert (first.place, second.place) == ("/return/a", "/c/a")
    assert first.callback == second.callback is not None


async def test_each_copy_may_come_alone_and_again_or_none_at_all(world: World) -> None:
    await world.fault("lose_callback")
    ending = await world.paid(world.redirect())
    for _ in range(2):
        await world.browser.press(ending, "back")
    assert [(await world.next()).place for _ in range(2)] == ["/return/a"] * 2
    await world.fault("lose_return")
    await world.fault("duplicate_callback", copies=2)
    assert (await world.paid(world.redirect())).buttons() == []
    assert [(await world.next()).place for _ in range(3)] == ["/c/a"] * 3
    command = world.redirect()
    await world.fault("lose_callback")
    await world.fault("lose_return")
    assert (await world.paid(command)).buttons() == []
    assert isinstance(await world.ask(command), Succeeded)
    assert world.heard.empty()


@pytest.mark.parametrize("fault", ["corrupt", "forge"])
async def test_what_was_altered_or_forged_is_not_believed(world: World, fault: str) -> None:
    command = world.redirect()
    await world.fault(f"{fault}_callback")
    await world.fault(f"{fault}_return")
    await world.browser.press(await world.paid(command), "back")
    assert [(await world.next()).callback for _ in range(6)] == [None] * 6  # the server sends five times
    assert await world.notify(command) == [200]
    assert isinstance(await world.told(), Succeeded)


@pytest.mark.parametrize("fault", ["wrong_amount_return", "wrong_amount_callback"])
async def test_another_amount_under_a_true_signature_is_told_as_it_is(world: World, fault: str) -> None:
    await world.fault(fault)
    await world.browser.press(await world.paid(world.redirect()), "back")
    said = [await world.told(), await world.told()]
    assert {each.amount for each in said if isinstance(each, Succeeded)} == {AMOUNT, AMOUNT + 1}


# Questions that go wrong, and money back


@pytest.mark.parametrize("fault", ["reset_after", "error_after", "garbage", "wrong_signature"])
async def test_a_question_whose_answer_is_lost_is_unknown(world: World, fault: str) -> None:
    command = world.redirect()
    await world.open(command)
    await world.fault(fault, match={"operation": "query"})
    assert is_unknown(await world.ask(command), received=False)
    assert isinstance(await world.ask(command), Processing)


async def test_during_maintenance_nothing_is_opened_paid_or_told(world: World) -> None:
    command, other = world.redirect(), world.redirect()
    page = await world.open(command)
    for _ in range(3):
        await world.fault("maintenance")
    assert (await world.open(other)).buttons() == []
    assert "维护" in (await world.browser.press(page, "pay")).text
    assert is_unknown(await world.ask(command), received=False)
    assert isinstance(await world.ask(other), NotFound)
    assert isinstance(await world.ask(command), Processing)


async def test_a_question_about_another_business_does_not_find_the_order(world: World) -> None:
    command = world.redirect()
    await world.paid(command)
    for scene in (Scene.WITHHOLD, Scene.QUICK_CHARGE):
        question = AskPayment(command.number, command.told_at, scene, AMOUNT)
        assert isinstance(await do(world.adapter, question), NotFound)
    assert isinstance(await world.ask(command), Succeeded)


async def test_what_was_paid_on_a_page_is_given_back_in_parts(world: World) -> None:
    command = world.redirect()
    await world.paid(command)
    paid = await world.told()
    assert isinstance(paid, Succeeded)
    for amount, code in ((100_000, "00"), (23_457, "36"), (23_456, "00")):
        refund = Refund(
            uuid4().hex, now(), PAGE, amount, command.number, command.told_at, paid.channel_transaction_no, AMOUNT,
            command.notify_url,
        )  # fmt: skip
        outcome = await do(world.adapter, refund)
        assert getattr(outcome, "channel_code", None) == code
        if code == "00":
            assert isinstance(await world.told(), Succeeded)
            asked = await do(world.adapter, AskRefund(refund.number, refund.told_at, PAGE, amount))
            assert isinstance(asked, Succeeded)
            assert asked.amount == amount
