"""YeePay net-bank over sockets: a payer's browser opens the mock bank's page, and our addresses hear of it, or not.

The browser is `tests.browsing`. Not tested here: the flows, and pages in a real browser.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import (
    Closed,
    Declined,
    NotFound,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    Succeeded,
    Unknown,
)
from gateway.ports import AccountSettings, AskRefund, Redirect, Refund
from tests.adapters.contract import do, is_unknown
from tests.adapters.pages_on_sandbox import AMOUNT, IN_TIME_S, LATE_S, PAGE, PagesOnSandbox, World, fresh, new_world
from tests.adapters.test_on_sandbox import now


@pytest.fixture(scope="module")
async def everything(keys: Path) -> AsyncIterator[World]:
    def account_at(address: str) -> AccountSettings:
        base = f"{address}/yeepay/app-merchant-proxy"
        settings = {
            "node_url": f"{base}/node",
            "command_url": f"{base}/command",
            "mer_id": shared["mer_id"],
            "assumed": ["cancelled_stays_unpaid"],
        }
        return AccountSettings("net", "yeepay", settings, {"key": shared["key"]})

    shared = json.loads((keys / "yeepay" / "account.json").read_text())
    async with new_world(keys, account_at, {"mer_id": "10000000001"}) as world:
        yield world


@pytest.fixture
async def world(everything: World) -> World:
    return await fresh(everything)


class TestYeePayPages(PagesOnSandbox):
    sends = 3


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


# Where copies come, and what is none


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


# Refunds


async def a_refund(world: World, amount: int = AMOUNT, payment: Redirect | None = None) -> Refund:
    """Of a payment that was just made."""
    if payment is None:
        payment = world.redirect()
        await world.paid(payment)
    paid = await world.ask(payment)
    assert isinstance(paid, Succeeded)
    original = (payment.number, payment.told_at, paid.channel_transaction_no, payment.amount)
    return Refund(uuid4().hex, now(), PAGE, amount, *original, f"{world.ours}/c/a", "多收")


async def becomes(world: World, refund: Refund, *kinds: type) -> Outcome:
    """Ask until it is said to be one of these."""
    question = AskRefund(
        refund.number, refund.told_at, PAGE, refund.amount, original_transaction_no=refund.original_transaction_no
    )
    async with asyncio.timeout(IN_TIME_S):
        for _ in range(10_000):
            if isinstance(outcome := await do(world.adapter, question), kinds):
                return outcome
            await asyncio.sleep(0.01)
    raise AssertionError


async def refund_row(world: World, refund: Refund) -> dict[str, Any]:
    url = f"{world.address}/_sandbox/yeepay/transactions"
    async with world.browser.session.get(url, params={"order_no": refund.number}) as answer:
        [row] = (await answer.json())["transactions"]
        return dict(row)


async def test_a_refund_is_taken_on_with_the_fee_and_paid_out_whole_or_in_parts(world: World) -> None:
    whole = await a_refund(world)
    for amount in (1, AMOUNT - 1):
        part = replace(whole, number=uuid4().hex, amount=amount)
        fee = (amount + 250) // 500
        taken = await do(world.adapter, part)
        assert taken == Processing("1", channel_transaction_no=whole.original_transaction_no, fee_returned=fee)
        done = await becomes(world, part, Succeeded)
        assert done == Succeeded(None, whole.original_transaction_no, channel_code="2")
        row = await refund_row(world, part)
        assert (row["kind"], row["amount"], row["original"], row["submissions"]) == (
            "refund", amount, whole.original_number, 1,
        )  # fmt: skip
    spent = await do(world.adapter, replace(whole, number=uuid4().hex, amount=1))
    assert spent == Declined(FailureCode.CHANNEL_REFUSED, "10")


async def test_what_is_not_there_or_not_paid_is_not_given_back(world: World) -> None:
    refund = await a_refund(world)
    unknown = await do(world.adapter, replace(refund, original_transaction_no="000000000000000I"))
    assert unknown == Declined(FailureCode.CHANNEL_REFUSED, "32")
    working = world.redirect()
    await world.fault("late_final", seconds=60, match={"operation": "pay"})
    await world.paid(working)
    asked = await world.ask(working)
    assert isinstance(asked, Processing)
    not_paid = await do(world.adapter, replace(refund, original_transaction_no=asked.channel_transaction_no))
    assert not_paid == Declined(FailureCode.CHANNEL_REFUSED, "526")


@pytest.mark.parametrize("fault", ["reset_after", "error_after", "wrong_signature", "garbage"])
async def test_a_refund_whose_answer_is_lost_is_unknown_and_found_by_asking_with_our_number_alone(
    world: World, fault: str
) -> None:
    refund = await a_refund(world)
    await world.fault(fault, match={"operation": "refund"})
    assert is_unknown(await do(world.adapter, refund), received=False)
    done = await becomes(world, refund, Succeeded)
    assert isinstance(done, Succeeded)
    assert done.channel_transaction_no == refund.original_transaction_no
    assert (await refund_row(world, refund))["submissions"] == 1


async def test_a_refund_that_never_arrived_is_not_found(world: World) -> None:
    refund = await a_refund(world)
    await world.fault("reset_before", match={"operation": "refund"})
    assert is_unknown(await do(world.adapter, refund), received=False)
    assert await becomes(world, refund, NotFound) == NotFound("-3")


async def test_a_refund_may_fail_later_and_one_that_was_paid_out_may_be_returned(world: World) -> None:
    refund = await a_refund(world)
    await world.fault("decline", code="18", when="final", match={"operation": "refund"})
    assert isinstance(await do(world.adapter, refund), Processing)
    failed = await becomes(world, refund, Declined)
    assert isinstance(failed, Declined)
    assert (failed.code, failed.channel_code) == (FailureCode.CHANNEL_REFUSED, "3")
    again = replace(refund, number=uuid4().hex)
    await do(world.adapter, again)
    await becomes(world, again, Succeeded)
    await world.control("returns", {"order_no": again.number})
    assert await becomes(world, again, Returned) == Returned(ReturnReason.BANK_REJECTED, "4")
    assert isinstance(await do(world.adapter, replace(refund, number=uuid4().hex)), Processing)


async def test_the_same_refund_twice_is_one_order(world: World) -> None:
    refund = await a_refund(world, 400)
    await do(world.adapter, refund)
    assert is_unknown(await do(world.adapter, refund), received=True)
    await becomes(world, refund, Succeeded)
    assert (await refund_row(world, refund))["submissions"] == 2
