"""UnionPay's page over sockets: a payer's browser opens it at the mock, and our addresses hear of it, or not.

The browser is `tests.browsing`. Not tested here: the flows, pages in a real browser, and what a page does at every
provider (tests/sandbox/test_pages.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.domain.outcomes import Closed, NotFound, Processing, Succeeded
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, AskPayment, AskRefund, Redirect, Refund
from tests.adapters.contract import do, is_unknown
from tests.adapters.pages_on_sandbox import AMOUNT, IN_TIME_S, PAGE, PagesOnSandbox, World, fresh, new_world
from tests.adapters.test_on_sandbox import now
from tests.browsing import Page


@pytest.fixture(scope="module")
async def everything(keys: Path) -> AsyncIterator[World]:
    def account_at(address: str) -> AccountSettings:
        settings = {
            "base_url": f"{address}/unionpay",
            "mer_id": shared["mer_id"],
            "tr_id": shared["tr_id"],
            "signer_cn": "00040000:SIGN",
            "assumed": ["form_again"],
            "bank_pages": {"ICBC": "ICBC"},
        }
        return AccountSettings("gateway", "unionpay", settings, secrets)

    folder = keys / "unionpay"
    shared = json.loads((folder / "account.json").read_text())
    pems = {
        "merchant_private_key": "merchant.key.pem",
        "merchant_certificate": "merchant.cert.pem",
        "root_certificate": "root.pem",
        "middle_certificate": "middle.pem",
    }
    secrets = {name: (folder / file).read_text() for name, file in pems.items()}
    async with new_world(keys, account_at, {"mer_id": "777290058110099"}) as world:
        yield world


@pytest.fixture
async def world(everything: World) -> World:
    return await fresh(everything)


class TestUnionPayPages(PagesOnSandbox):
    sends = 5


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
    places = [(each.place, each.request.method) for each in (server, browser)]
    assert places == [("/c/a", "POST"), ("/return/a", "POST")]
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


@pytest.mark.parametrize(("choice", "code"), [("cancel", "05"), ("insufficient", "64")])
async def test_who_does_not_pay_goes_back_without_a_word_and_may_pay_later(
    world: World, choice: str, code: str
) -> None:
    command = world.redirect()
    page = await world.open(command)
    ending = await world.browser.press(page, choice)
    await world.browser.press(ending, "back")
    back = await world.next()
    assert (back.place, back.request.method, back.callback) == ("/return/a", "GET", None)
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


# Where copies come, and what is none


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
