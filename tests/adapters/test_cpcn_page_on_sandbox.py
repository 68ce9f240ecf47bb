"""CPCN's net-bank over sockets: a payer's browser opens the mock bank's page, and our addresses hear of it, or not.

The browser is `tests.browsing`. Not tested here: cards (`test_cpcn_on_sandbox`), the flows, and a real browser.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, AskRefund, Redirect, Refund
from tests.adapters.contract import do, is_unknown
from tests.adapters.pages_on_sandbox import AMOUNT, IN_TIME_S, LATE_S, PagesOnSandbox, World, fresh, new_world
from tests.adapters.test_on_sandbox import now

UNPAID = Processing("10", unpaid=True)


@pytest.fixture(scope="module")
async def everything(keys: Path) -> AsyncIterator[World]:
    def account_at(address: str) -> AccountSettings:
        settings = {**json.loads((folder / "account.json").read_text()), "base_url": f"{address}/cpcn"}
        return AccountSettings("net", "cpcn", {**settings, "assumed": ["page_states", "refund_states"]}, secrets)

    folder = keys / "cpcn"
    pems = {"merchant_private_key": "merchant.key.pem", "psp_certificate": "psp.cert.pem"}
    secrets = {name: (folder / file).read_text() for name, file in pems.items()}
    async with new_world(keys, account_at, {"institution_id": "000000"}) as world:
        await world.control("notice_url", {"url": f"{world.ours}/c/a"})
        yield world


@pytest.fixture
async def world(everything: World) -> World:
    return await fresh(everything)


class TestCpcnPages(PagesOnSandbox):
    sends = 5


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
        dict((await do(world.neighbour, command)).fields),
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


# Where copies come, and what is none


async def test_a_browser_that_comes_back_with_nothing_is_no_notice(world: World) -> None:
    command = world.redirect()
    await world.open(command)
    for method in ("GET", "POST"):
        await world.browser.submit(command.return_url, {"message": "", "signature": ""}, method)
        assert (await world.next()).callback is None


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


# Giving back (1133, 1132, 1138)


async def a_refund(world: World, amount: int, payment: Redirect | None = None) -> Refund:
    """Of a payment that was made on a page, and told; its notices are out of the way."""
    if payment is None:
        payment = world.redirect()
        await world.paid(payment)
        assert isinstance(await world.told(), Succeeded)
    number, scene = uuid4().hex, Scene.NETBANK_CHARGE
    return Refund(number, now(), scene, amount, payment.number, payment.told_at, None, AMOUNT, payment.notify_url)


async def asked(world: World, refund: Refund) -> Outcome:
    return await do(world.adapter, AskRefund(refund.number, refund.told_at, refund.scene, refund.amount))


async def in_the_books(world: World, number: str) -> dict[str, object]:
    url = f"{world.address}/_sandbox/cpcn/transactions"
    async with world.browser.session.get(url, params={"order_no": number}) as answer:
        [order] = (await answer.json())["transactions"]
        return dict(order)


async def test_what_was_paid_on_a_page_is_given_back_in_parts_until_nothing_is_left(world: World) -> None:
    payment = world.redirect()
    await world.paid(payment)
    assert isinstance(await world.told(), Succeeded)
    for amount, code in ((100_000, None), (23_457, "2016"), (23_456, None), (1, "2016")):
        refund = await a_refund(world, amount, payment)
        outcome = await do(world.adapter, refund)
        if code is not None:
            assert isinstance(outcome, Declined)
            assert (outcome.code, outcome.channel_code) == (FailureCode.CHANNEL_REFUSED, code)
            continue
        assert outcome == Processing("2000", "OK.")
        heard = (await world.next()).callback
        assert heard is not None
        assert (heard.number, heard.verb) == (refund.number, Verb.REFUND)
        assert isinstance(heard.outcome, Succeeded)
        assert heard.outcome.channel_finished_at is not None
        assert await asked(world, refund) == Succeeded(amount, channel_code="40")  # 1132 has no time
        assert heard.outcome.amount == amount
        assert is_unknown(await do(world.adapter, refund), received=True)  # its number was used
        order = await in_the_books(world, refund.number)
        assert (order["kind"], order["original"], order["submissions"]) == ("refund", payment.number, 2)


async def test_a_refund_that_fails_days_later_leaves_its_payment_paid_and_its_sum_free(world: World) -> None:
    payment = world.redirect()
    await world.paid(payment)
    assert isinstance(await world.told(), Succeeded)
    refund = await a_refund(world, AMOUNT, payment)
    await world.fault("decline", code="91", when="final", match={"operation": "refund"})
    assert isinstance(await do(world.adapter, refund), Processing)
    heard = (await world.next()).callback
    assert heard is not None
    # It carries the payment's number and a Status that would mean "paid" there.
    assert (heard.number, heard.verb) == (refund.number, Verb.REFUND)
    assert heard.outcome == await asked(world, refund) == Declined(FailureCode.CHANNEL_REFUSED, "20")
    assert isinstance(await world.ask(payment), Succeeded)
    anew = await a_refund(world, AMOUNT, payment)
    assert isinstance(await do(world.adapter, anew), Processing)
    assert isinstance(await world.told(), Succeeded)


@pytest.mark.parametrize("fault", ["reset_after", "error_after", "wrong_signature"])
async def test_a_refund_whose_answer_is_lost_is_unknown_sent_once_and_found(world: World, fault: str) -> None:
    refund = await a_refund(world, 500)
    await world.fault(fault, match={"operation": "refund"})
    assert isinstance(await do(world.adapter, refund), Unknown)
    assert isinstance(await world.told(), Succeeded)
    assert isinstance(await asked(world, refund), Succeeded)
    assert (await in_the_books(world, refund.number))["submissions"] == 1


async def test_a_refund_that_never_arrived_is_not_found_and_one_of_no_payment_is_declined(world: World) -> None:
    refund = await a_refund(world, 500)
    await world.fault("reset_before", match={"operation": "refund"})
    assert isinstance(await do(world.adapter, refund), Unknown)
    assert isinstance(await asked(world, refund), NotFound)
    unpaid = world.redirect()
    await world.open(unpaid)
    for original, code in ((uuid4().hex, "240005"), (unpaid.number, "2016")):
        outcome = await do(world.adapter, replace(refund, number=uuid4().hex, original_number=original))
        assert isinstance(outcome, Declined)
        assert outcome.channel_code == code


@pytest.mark.parametrize("fault", ["forge_callback", "corrupt_callback"])
async def test_a_refunds_notice_that_was_altered_is_not_believed(world: World, fault: str) -> None:
    refund = await a_refund(world, 500)
    await world.fault(fault, match={"operation": "refund"})
    await do(world.adapter, refund)
    assert [(await world.next()).callback for _ in range(TestCpcnPages.sends)] == [None] * TestCpcnPages.sends
    assert (await world.control("callbacks", {"order_no": refund.number}))["statuses"] == [200]
    heard = (await world.next()).callback
    assert heard is not None
    assert (heard.number, heard.verb) == (refund.number, Verb.REFUND)
