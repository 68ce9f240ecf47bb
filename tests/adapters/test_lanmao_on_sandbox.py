"""Custody recharges over real sockets: the adapter, the sandbox's bank with its pages, and a payer's browser.

Not tested here: what the flows make of it, and a real browser. One sandbox serves all tests: each has payers and orders
of its own.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from adapters.http import AiohttpTransport
from adapters.lanmao.letter import signed, written
from adapters.registry import build, offer_of
from adapters.signing import load_private_key
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Callback,
    CallbackRejectedError,
    CallbackRequest,
    Pay,
    Provider,
    Redirect,
)
from sandbox.app import SandboxConfig, build_app
from tests.adapters.contract import callbacks_of, do, is_unknown
from tests.adapters.test_on_sandbox import IN_TIME_S, serve
from tests.browsing import Browser, Page

QUICK, NETBANK, WITHHOLD = Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE, Scene.CUSTODY_WITHHOLD
AMOUNT = 12_345
LATE_SUCCESS = 980_001
DECLINES = {
    "100004": "custody_not_bound",
    "100006": "custody_not_bound",
    "P51": "insufficient_balance",
    "P82": "authentication_rejected",
}


@dataclass
class Bank:
    """A running sandbox, the adapter of its platform, and the platform's addresses: what came there stays by number."""

    address: str
    account: AccountSettings
    adapter: Provider
    transport: AiohttpTransport
    session: aiohttp.ClientSession
    ours: str
    notices: dict[str, list[CallbackRequest]] = field(default_factory=dict)
    returns: dict[str, list[CallbackRequest]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    # What the bank does and knows

    async def control(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        async with self.session.request(method, f"{self.address}/_sandbox/lanmao/{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def user(self, tail: str = "1234", **more: object) -> str:
        """A payer whose card is bound, and who authorised withholds."""
        user_no = f"U{uuid4().hex[:12]}"
        body = {"user_no": user_no, "card_no": f"622202020009876{tail}", "authorised": ["RECHARGE"], **more}
        status, said = await self.control("POST", "users", body)
        assert status == 201, said
        return user_no

    async def fault(self, name: str, number: str, operation: str = "pay", **params: object) -> None:
        body = {"fault": name, "times": 1, "match": {"order_no": number, "operation": operation}, **params}
        status, said = await self.control("POST", "faults", body)
        assert status == 201, said

    async def books(self, number: str) -> dict[str, Any]:
        [order] = (await self.control("GET", f"transactions?order_no={number}"))[1]["transactions"]
        return dict(order)

    # What the platform asks for

    def wish(self, scene: Scene = QUICK, user_no: str = "", amount: int = AMOUNT, **more: Any) -> Redirect:
        number = uuid4().hex
        told_at = datetime.now(UTC)
        return replace(
            Redirect(
                number, told_at, scene, amount, "ICBC", "user-1", "充值", f"{self.ours}/callbacks",
                f"{self.ours}/return/{number}", told_at + timedelta(minutes=15), "YEEPAY", user_no,
            ),
            **more,
        )  # fmt: skip

    async def form(self, wish: Redirect) -> Form:
        form: Form = await self.adapter.commands[Redirect](wish)
        return form

    async def opened(self, wish: Redirect) -> tuple[Browser, Page]:
        """The bank's page in the payer's browser."""
        browser = Browser(self.session)
        form = await self.form(wish)
        return browser, await browser.submit(form.url, form.fields, form.method, form.charset)

    async def paid(self, wish: Redirect) -> Page:
        """The page after the payer paid."""
        browser, page = await self.opened(wish)
        return await browser.press(page, "pay")

    def charge(self, user_no: str, amount: int = AMOUNT, psp_code: str = "YEEPAY") -> Pay:
        return Pay(
            uuid4().hex, datetime.now(UTC), WITHHOLD, amount, "ICBC", None, None, "user-1", "还款", f"{self.ours}/n",
            psp_code=psp_code, custody_user_no=user_no,
        )  # fmt: skip

    async def asked(self, wish: Redirect | Pay) -> Outcome:
        return await do(self.adapter, AskPayment(wish.number, wish.told_at, wish.scene, wish.amount))

    async def final(self, wish: Redirect | Pay) -> Outcome:
        """Ask until the order is final."""
        async with asyncio.timeout(IN_TIME_S):
            for _ in range(10_000):
                outcome = await self.asked(wish)
                if isinstance(outcome, (Succeeded, Declined)):
                    return outcome
                await asyncio.sleep(0.02)
        raise AssertionError

    # What comes to the platform

    def read(self, request: CallbackRequest) -> Callback:
        return callbacks_of(self.adapter).read(request)

    async def noticed(self, number: str, count: int = 1) -> Callback:
        """The newest notice about an order, once so many of them came."""
        async with asyncio.timeout(IN_TIME_S):
            while len(self.notices.get(number, ())) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.read(self.notices[number][-1])

    def returned(self, number: str) -> Callback:
        """What the payer's browser brought back."""
        [request] = self.returns[number]
        return self.read(request)


@pytest.fixture(scope="module")
async def bank(keys: Path) -> AsyncIterator[Bank]:
    config = SandboxConfig(keys_dir=keys, processing_delay_s=0.02, callback_delay_s=0.0, late_s=0.1)
    sandbox, address = await serve(build_app(config))

    def as_it_came(asked: web.Request, body: bytes) -> CallbackRequest:
        return CallbackRequest(asked.method, asked.query_string, dict(asked.headers), body)

    async def called(asked: web.Request) -> web.Response:
        request = as_it_came(asked, await asked.read())
        try:
            number = running.read(request).number
        except CallbackRejectedError:
            number = "rejected"
        running.notices.setdefault(number, []).append(request)
        running.arrived.set()
        answer = callbacks_of(running.adapter).answer(accepted=True)
        return web.Response(body=answer.body, status=answer.status)

    async def came_back(asked: web.Request) -> web.Response:
        returned = as_it_came(asked, await asked.read())
        running.returns.setdefault(asked.match_info["number"], []).append(returned)
        return web.Response(text="<p>back</p>", content_type="text/html")

    ours = web.Application()
    ours.router.add_post("/callbacks", called)
    ours.router.add_route("*", "/return/{number}", came_back)
    receiver, our_address = await serve(ours)
    merchant = json.loads((keys / "lanmao" / "account.json").read_text())
    files = {name: (keys / "lanmao" / f"{name}.pem").read_text() for name in ("merchant.key", "psp.cert")}
    settings = {
        "base_url": f"{address}/lanmao",
        **merchant,
        "declines": DECLINES,
        "number_used": ["100007"],
        "no_record": ["100009"],
        "assumed": [each.name for each in offer_of("lanmao").declaration.assumptions],
    }
    secrets = {"merchant_private_key": files["merchant.key"], "psp_public_key": files["psp.cert"]}
    terms = {product: OwnTerms(answer_timeout_s=5.0) for product in offer_of("lanmao").declaration.terms}
    account = AccountSettings("sandbox-lanmao", "lanmao", settings, secrets, terms)
    async with AiohttpTransport() as transport, aiohttp.ClientSession() as session:
        running = Bank(address, account, build(account, transport), transport, session, our_address)
        status, _ = await running.control("POST", "notice_url", {"url": f"{our_address}/callbacks"})
        assert status == 200
        yield running
    await sandbox.cleanup()
    await receiver.cleanup()


def amount_of(outcome: Outcome) -> int | None:
    assert isinstance(outcome, Succeeded), outcome
    return outcome.amount


def why(outcome: Outcome) -> F:
    assert isinstance(outcome, Declined), outcome
    return outcome.code


# Pages: paid


@pytest.mark.parametrize(("scene", "card_bank"), [(QUICK, "ICBC"), (NETBANK, "ICBC"), (NETBANK, "ANY")])
async def test_a_payer_pays_on_the_banks_page_and_browser_notice_and_question_say_the_same(
    bank: Bank, scene: Scene, card_bank: str
) -> None:
    wish = bank.wish(scene, await bank.user(), bank=card_bank)
    browser, page = await bank.opened(wish)
    assert "¥ 123.45" in page.text
    assert "YEEPAY" in page.text
    assert isinstance(await bank.asked(wish), Processing)
    page = await browser.press(page, "pay")
    assert "Paid" in page.text
    await browser.press(page, "back")
    told = [bank.returned(wish.number), await bank.noticed(wish.number)]
    assert told[0] == told[1]
    assert (told[0].number, told[0].verb, amount_of(told[0].outcome)) == (wish.number, Verb.PAY, AMOUNT)
    assert await bank.asked(wish) == told[0].outcome
    order = await bank.books(wish.number)
    assert (order["kind"], order["amount"], order["state"], order["submissions"]) == (
        "recharge",
        AMOUNT,
        "succeeded",
        1,
    )


async def test_the_notice_may_come_alone_or_the_browser_or_neither(bank: Bank) -> None:
    user_no = await bank.user()
    alone, by_browser, neither = (bank.wish(user_no=user_no) for _ in range(3))
    await bank.fault("lose_return", alone.number)
    assert (await bank.paid(alone)).buttons() == []
    assert amount_of((await bank.noticed(alone.number)).outcome) == AMOUNT
    await bank.fault("lose_callback", by_browser.number)
    await bank.fault("lose_callback", neither.number)
    browser, page = await bank.opened(by_browser)
    await browser.press(await browser.press(page, "pay"), "back")
    await bank.paid(neither)
    assert amount_of(bank.returned(by_browser.number).outcome) == AMOUNT
    for wish in (by_browser, neither):
        assert amount_of(await bank.asked(wish)) == AMOUNT
        assert wish.number not in bank.notices
    assert alone.number not in bank.returns


async def test_what_is_cancelled_in_one_tab_may_be_paid_in_another(bank: Bank) -> None:
    wish = bank.wish(user_no=await bank.user())
    browser, page = await bank.opened(wish)
    await browser.press(await browser.press(page, "cancel"), "back")
    with pytest.raises(CallbackRejectedError):
        bank.returned(wish.number)  # his browser came with empty hands
    assert isinstance(await bank.asked(wish), Processing)
    assert "Paid" in (await bank.paid(wish)).text
    assert amount_of(await bank.asked(wish)) == AMOUNT
    assert "Paid" in (await browser.press(page, "cancel")).text
    assert (await bank.books(wish.number))["submissions"] == 2


async def test_a_form_that_is_opened_again_is_the_same_order_and_another_amount_is_refused(bank: Bank) -> None:
    wish = bank.wish(user_no=await bank.user())
    pages = [(await bank.opened(wish))[1].url for _ in range(2)]
    assert pages[0] == pages[1]
    _, refused = await bank.opened(replace(wish, amount=1))
    assert (refused.status, "100007" in refused.text) == (400, True)
    assert (await bank.books(wish.number))["amount"] == AMOUNT


async def test_a_form_that_was_altered_opens_nothing(bank: Bank) -> None:
    wish = bank.wish(user_no=await bank.user())
    form = await bank.form(wish)
    altered = {**form.fields, "reqData": form.fields["reqData"].replace("123.45", "0.01")}
    page = await Browser(bank.session).submit(form.url, altered)
    assert (page.status, "100002" in page.text) == (400, True)
    assert isinstance(await bank.asked(wish), NotFound)


async def test_markup_in_a_payers_number_is_shown_as_text(bank: Bank) -> None:
    user_no = f'"><script>alert(1)</script><b>{uuid4().hex[:6]}'
    _, page = await bank.opened(bank.wish(NETBANK, await bank.user(), custody_user_no=user_no))
    assert b"<script" not in page.content
    await bank.control("POST", "users", {"user_no": user_no})
    _, page = await bank.opened(bank.wish(NETBANK, user_no))
    assert (b"<script" in page.content, user_no in page.text) == (False, True)


# Pages: not paid


async def test_a_quick_payment_without_money_fails_and_everybody_says_so(bank: Bank) -> None:
    wish = bank.wish(user_no=await bank.user())
    browser, page = await bank.opened(wish)
    await browser.press(await browser.press(page, "insufficient"), "back")
    for outcome in (
        bank.returned(wish.number).outcome,
        (await bank.noticed(wish.number)).outcome,
        await bank.asked(wish),
    ):
        assert outcome == Declined(F.INSUFFICIENT_BALANCE, "P51", "余额不足")


async def test_a_net_bank_page_says_that_there_is_no_money_and_takes_it_from_elsewhere(bank: Bank) -> None:
    wish = bank.wish(NETBANK, await bank.user())
    browser, page = await bank.opened(wish)
    refused = await browser.press(page, "insufficient")
    assert isinstance(await bank.asked(wish), Processing)
    page = await browser.open(refused.links()[0])
    await browser.press(page, "pay")
    assert amount_of((await bank.noticed(wish.number)).outcome) == AMOUNT


async def test_an_expired_page_takes_nothing_and_proves_nothing(bank: Bank) -> None:
    user_no = await bank.user()
    abandoned, late = (bank.wish(user_no=user_no, expires_at=datetime.now(UTC) - timedelta(seconds=2)) for _ in "12")
    _, page = await bank.opened(abandoned)
    assert ("expired" in page.text, page.buttons()) == (True, ["back"])
    status, _ = await bank.control("POST", "pages", {"order_no": abandoned.number, "choice": "pay"})
    assert status == 200
    assert isinstance(await bank.asked(abandoned), Processing)
    await bank.fault("pay_closed", late.number)
    assert "Paid" in (await bank.paid(late)).text
    assert amount_of((await bank.noticed(late.number)).outcome) == AMOUNT


async def test_what_was_begun_in_time_may_end_after_the_page_expired(bank: Bank) -> None:
    wish = bank.wish(user_no=await bank.user(), amount=LATE_SUCCESS)
    browser, page = await bank.opened(wish)
    await browser.press(await browser.press(page, "pay"), "back")
    assert isinstance(bank.returned(wish.number).outcome, Processing)
    assert isinstance(await bank.asked(wish), Processing)
    assert amount_of((await bank.noticed(wish.number)).outcome) == LATE_SUCCESS


@pytest.mark.parametrize("fault", ["corrupt_return", "forge_return", "corrupt_callback", "forge_callback"])
async def test_what_is_altered_or_forged_is_rejected_wherever_it_comes(bank: Bank, fault: str) -> None:
    wish = bank.wish(user_no=await bank.user())
    await bank.fault(fault, wish.number)
    bank.notices.pop("rejected", None)
    browser, page = await bank.opened(wish)
    await browser.press(await browser.press(page, "pay"), "back")
    if fault.endswith("return"):
        with pytest.raises(CallbackRejectedError):
            bank.returned(wish.number)
        await bank.noticed(wish.number)
    else:
        with pytest.raises(CallbackRejectedError):
            await bank.noticed("rejected")
        assert amount_of(bank.returned(wish.number).outcome) == AMOUNT


async def test_another_amount_is_reported_as_it_was_stated(bank: Bank) -> None:
    wish = bank.wish(user_no=await bank.user())
    await bank.fault("wrong_amount_return", wish.number)
    await bank.fault("wrong_amount_callback", wish.number)
    browser, page = await bank.opened(wish)
    await browser.press(await browser.press(page, "pay"), "back")
    told = [bank.returned(wish.number), await bank.noticed(wish.number)]
    assert [amount_of(each.outcome) for each in told] == [AMOUNT + 1] * 2


# Who is bound where


@pytest.mark.parametrize("scene", [QUICK, NETBANK, WITHHOLD])
async def test_a_payer_whom_the_bank_does_not_know_is_not_bound(bank: Bank, scene: Scene) -> None:
    if scene is WITHHOLD:
        assert why(await do(bank.adapter, bank.charge("nobody"))) is F.CUSTODY_NOT_BOUND
        return
    wish = bank.wish(scene, "nobody")
    _, page = await bank.opened(wish)
    assert "用户不存在" in page.text
    assert why(await bank.asked(wish)) is F.CUSTODY_NOT_BOUND


async def test_a_payer_must_bind_for_quick_payments_and_authorise_for_withholds(bank: Bank) -> None:
    user_no = await bank.user(authorised=[])
    assert why(await do(bank.adapter, bank.charge(user_no))) is F.CUSTODY_NOT_BOUND
    await bank.control("POST", "users", {"user_no": user_no, "authorised": ["RECHARGE"]})
    assert amount_of(await do(bank.adapter, bank.charge(user_no))) == AMOUNT
    await bank.control("DELETE", f"users/{user_no}/card")
    assert why(await do(bank.adapter, bank.charge(user_no))) is F.CUSTODY_NOT_BOUND
    unbound = bank.wish(user_no=user_no)
    await bank.opened(unbound)
    assert why(await bank.asked(unbound)) is F.CUSTODY_NOT_BOUND
    by_netbank = bank.wish(NETBANK, user_no)
    await bank.paid(by_netbank)
    assert amount_of(await bank.asked(by_netbank)) == AMOUNT


@pytest.mark.parametrize("scene", [QUICK, WITHHOLD])
async def test_a_card_that_is_bound_at_the_bank_may_be_refused_by_one_psp_and_taken_by_another(
    bank: Bank, scene: Scene
) -> None:
    user_no = await bank.user("9821")
    [user] = [each for each in (await bank.control("GET", "users"))[1]["users"] if each["user_no"] == user_no]
    assert user["tries"] == [{"company": "YEEPAY", "passed": False}, {"company": "FUIOU", "passed": True}]
    outcomes = []
    for psp_code in ("YEEPAY", "FUIOU"):
        if scene is WITHHOLD:
            outcomes.append(await do(bank.adapter, bank.charge(user_no, psp_code=psp_code)))
        else:
            wish = bank.wish(user_no=user_no, psp_code=psp_code)
            await bank.paid(wish)
            outcomes.append(await bank.asked(wish))
    assert why(outcomes[0]) is F.AUTHENTICATION_REJECTED
    assert amount_of(outcomes[1]) == AMOUNT


async def test_a_card_that_no_authenticator_passes_is_not_bound(bank: Bank) -> None:
    user_no = f"U{uuid4().hex[:12]}"
    status, user = await bank.control("POST", "users", {"user_no": user_no, "card_no": "6222020200098769825"})
    assert (status, user["card"], len(user["tries"])) == (409, "", 3)
    assert why(await do(bank.adapter, bank.charge(user_no))) is F.CUSTODY_NOT_BOUND


async def test_accounts_are_opened_authorised_and_unbound_on_pages_and_the_platform_hears_of_it(bank: Bank) -> None:
    user_no, url = f"U{uuid4().hex[:12]}", f"{bank.ours}/return/accounts-{uuid4().hex}"
    card = {"bankcardNo": "6222020200098769824", "mobile": "13812340077", "bankcode": "PCBC", "realName": "张三"}

    async def confirmed(service: str, **more: str) -> tuple[Page, str]:
        browser, number = Browser(bank.session), uuid4().hex
        fields = {"platformUserNo": user_no, "requestNo": number, "redirectUrl": url, "timestamp": "20260302003015"}
        page = await browser.submit(f"{bank.address}/lanmao/gateway", by_platform(bank, service, fields | more))
        return await browser.press(page, "confirm"), number

    page, number = await confirmed("PERSONAL_REGISTER_EXPAND", **card)
    assert "YEEPAY 未通过 → FUIOU 未通过 → ALLINPAY 通过" in page.text
    assert page.buttons() == ["back"]
    notice = await bank.noticed(number)
    assert (notice.verb is Verb.PAY, is_unknown(notice.outcome, received=False)) == (False, True)
    assert why(await do(bank.adapter, bank.charge(user_no))) is F.CUSTODY_NOT_BOUND
    await confirmed("USER_AUTHORIZATION", authList="TENDER,RECHARGE")
    assert amount_of(await do(bank.adapter, bank.charge(user_no, psp_code="ALLINPAY"))) == AMOUNT
    await confirmed("UNBIND_BANKCARD")
    assert why(await do(bank.adapter, bank.charge(user_no))) is F.CUSTODY_NOT_BOUND
    await confirmed("PERSONAL_BIND_BANKCARD_EXPAND", **card | {"bankcardNo": "6222020200098761234"})
    assert amount_of(await do(bank.adapter, bank.charge(user_no))) == AMOUNT


async def test_a_payer_may_do_the_same_at_the_banks_own_counter(bank: Bank) -> None:
    browser, user_no = Browser(bank.session), f"U{uuid4().hex[:12]}"
    page = await browser.open(f"{bank.address}/lanmao/counter")
    assert page.buttons() == ["bind", "authorise"]
    told = {"user_no": user_no, "card_no": "6222020200098761234", "phone": "13812340077", "bankcode": "CMBC"}
    done = await browser.submit(page.url, told | {"choice": "authorise"})
    assert "Done (YEEPAY 通过)" in done.text
    assert amount_of(await do(bank.adapter, bank.charge(user_no))) == AMOUNT
    assert (await browser.submit(page.url, {"user_no": user_no, "card_no": "12"})).status == 422


def by_platform(bank: Bank, service: str, fields: dict[str, str]) -> dict[str, str]:
    """A form of a service that the adapter has no part in, signed by the platform's key."""
    text = written(fields)
    key = load_private_key(bank.account.secrets["merchant_private_key"])
    platform_no = str(bank.account.settings["platform_no"])
    sent = {"serviceName": service, "platformNo": platform_no, "keySerial": "1", "reqData": text}
    return sent | {"sign": signed(text, key)}


# Withholds


async def test_a_withhold_is_charged_at_once_noticed_and_counts_in_the_payers_balance(bank: Bank) -> None:
    user_no = await bank.user()
    charge = bank.charge(user_no)
    assert amount_of(await do(bank.adapter, charge)) == AMOUNT
    assert amount_of((await bank.noticed(charge.number)).outcome) == AMOUNT
    [user] = [each for each in (await bank.control("GET", "users"))[1]["users"] if each["user_no"] == user_no]
    assert user["balance"] == AMOUNT
    again = await do(bank.adapter, charge)
    assert is_unknown(again, received=True)
    assert (await bank.books(charge.number))["submissions"] == 2


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("reset_after", {}),
        ("error_after", {"status": 500}),
        ("wrong_signature", {}),
        ("garbage", {"body": "html"}),
        ("garbage", {"body": "truncated"}),
    ],
)
async def test_a_withhold_whose_answer_is_lost_is_unknown_sent_once_and_found_by_asking(
    bank: Bank, fault: str, params: dict[str, Any]
) -> None:
    charge = bank.charge(await bank.user())
    await bank.fault(fault, charge.number, **params)
    assert is_unknown(await do(bank.adapter, charge), received=False)
    assert amount_of(await bank.final(charge)) == AMOUNT
    assert (await bank.books(charge.number))["submissions"] == 1


async def test_a_withhold_that_never_arrived_is_not_found(bank: Bank) -> None:
    charge = bank.charge(await bank.user())
    await bank.fault("reset_before", charge.number)
    assert isinstance(await do(bank.adapter, charge), Unknown)
    assert isinstance(await bank.asked(charge), NotFound)
    await bank.fault("decline", charge.number, "query", code="100001")
    assert is_unknown(await bank.asked(charge), received=False)


async def test_in_maintenance_the_bank_takes_neither_pages_nor_withholds(bank: Bank) -> None:
    user_no = await bank.user()
    wish, charge = bank.wish(user_no=user_no), bank.charge(user_no)
    await bank.fault("maintenance", wish.number, "open_page")
    _, page = await bank.opened(wish)
    assert (page.status, "100001" in page.text) == (400, True)
    assert isinstance(await bank.asked(wish), NotFound)
    await bank.fault("maintenance", charge.number)
    assert why(await do(bank.adapter, charge)) is F.CHANNEL_REFUSED
    assert isinstance(await bank.asked(charge), NotFound)
    _, page = await bank.opened(wish)
    assert page.status == 200


async def test_a_withhold_may_be_refused_at_once_or_later_and_be_late(bank: Bank) -> None:
    at_once, later, late = (bank.charge(user) for user in (await bank.user("7051"), *[await bank.user()] * 2))
    assert why(await do(bank.adapter, at_once)) is F.INSUFFICIENT_BALANCE
    await bank.fault("decline", later.number, code="P61", when="final")
    assert isinstance(await do(bank.adapter, later), Processing)
    assert why(await bank.final(later)) is F.CHANNEL_REFUSED
    assert why((await bank.noticed(later.number)).outcome) is F.CHANNEL_REFUSED
    await bank.fault("late_final", late.number, seconds=0.1)
    assert isinstance(await do(bank.adapter, late), Processing)
    assert amount_of((await bank.noticed(late.number)).outcome) == AMOUNT


ORDER = {
    "requestNo": "r1", "timestamp": "20260302003015", "platformUserNo": "nobody", "amount": "1.00",
    "expectPayCompany": "YEEPAY", "rechargeWay": "PROXY", "bankcode": "ICBK",
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "fields", "code"),
    [
        ({"sign": "!"}, {}, "100003"),
        ({"sign": "AAAA"}, {}, "100002"),
        ({"platformNo": "1"}, {}, "100002"),
        ({"reqData": "{}"}, {}, "100002"),
        ({"serviceName": "WITHDRAW"}, {}, "100003"),
        ({}, {"amount": "1.001"}, "100003"),
        ({}, {"amount": "0.00"}, "100003"),
        ({}, {"requestNo": "x" * 51}, "100003"),
        ({}, {"timestamp": "yesterday"}, "100003"),
        ({}, {"bankcode": "ICBC"}, "100003"),
        ({}, {"rechargeWay": "SWIFT"}, "100003"),
        ({}, {"platformUserNo": ""}, "100003"),
        ({}, {"expectPayCompany": "UNIONPAY"}, "100010"),
        ({}, {}, "100004"),
    ],
)
async def test_the_bank_refuses_what_is_not_right_with_its_own_codes(
    bank: Bank, form: dict[str, str], fields: dict[str, str], code: str
) -> None:
    sent = by_platform(bank, "DIRECT_RECHARGE", ORDER | fields) | form
    async with bank.session.post(f"{bank.address}/lanmao/service", data=sent) as answer:
        said = await answer.json()
    assert (said["code"], said["status"], said["errorCode"]) == ("1", "INIT", code)


async def test_the_bank_tells_a_payers_account_and_balance(bank: Bank) -> None:
    user_no = await bank.user()
    await do(bank.adapter, bank.charge(user_no))
    asked = {"requestNo": uuid4().hex, "timestamp": "20260302003015", "platformUserNo": user_no}
    sent = by_platform(bank, "QUERY_USER_INFORMATION", asked)
    async with bank.session.post(f"{bank.address}/lanmao/service", data=sent) as answer:
        said = await answer.json()
    assert (said["balance"], said["bankcardNo"], said["authlist"]) == ("123.45", "622202******1234", "RECHARGE")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("users", {}, 422),
        ("users", {"user_no": "u", "card_no": "12"}, 422),
        ("users", {"user_no": "u", "bankcode": "ICBC"}, 422),
        ("users", {"user_no": "u", "refused_by": ["NOBODY"]}, 422),
        ("users", {"user_no": "u", "authorised": "RECHARGE"}, 422),
        ("users", {"user_no": "u", "odd": 1}, 422),
        ("users", [], 422),
        ("pages", {"order_no": "none", "choice": "pay"}, 404),
        ("pages", {"order_no": "none", "choice": "leave"}, 422),
    ],
)
async def test_the_control_api_refuses_what_it_does_not_take(bank: Bank, path: str, body: object, status: int) -> None:
    answered, said = await bank.control("POST", path, body)
    assert (answered, bool(said["error"])) == (status, True)


# What is kept


async def test_accounts_and_open_pages_orders_are_there_after_a_restart(bank: Bank, keys: Path, tmp_path: Path) -> None:
    config = SandboxConfig(keys_dir=keys, data_dir=tmp_path, callback_delay_s=0.0)
    user_no, card = f"U{uuid4().hex[:12]}", "6222020200098761234"
    for is_restarted in (False, True):
        runner, address = await serve(build_app(config))
        moved = replace(bank, address=address)
        settings = {**bank.account.settings, "base_url": f"{address}/lanmao"}
        moved.adapter = build(replace(bank.account, settings=settings), bank.transport)
        if not is_restarted:
            await moved.control("POST", "users", {"user_no": user_no, "card_no": card, "phone": "13812340077"})
            wish = moved.wish(user_no=user_no)
            await moved.opened(wish)
        else:
            await moved.paid(wish)
            assert amount_of(await moved.asked(wish)) == AMOUNT
        await runner.cleanup()
    kept = (tmp_path / "lanmao.jsonl").read_text()
    assert not [secret for secret in (card, "13812340077") if secret in kept]
