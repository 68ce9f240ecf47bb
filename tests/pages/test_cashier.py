"""Payers at the cashier, in a real browser over the real system: by card, with and without a code, and at banks.

Each story ends with one payment at the sandbox, whatever was pressed, reloaded and gone back to. What pages look like
is in test_cashier_looks, single forms in tests/api, the books in tests/storage.
"""

import pytest
from playwright.async_api import Browser

from tests.e2e.business import App
from tests.e2e.on_pages import WAYS, follow
from tests.e2e.world import World
from tests.pages.at_the_cashier import BANKS_PAGE, CITIC, ICBC, SPDB, Visit, new_card, new_phone, open_checkout, visit
from tests.pages.chromium import payer

NETBANK = {"turn": "1", "method": "netbank", "bank": "ABC"}
PASTES = """(field, text) => {
  const data = new DataTransfer();
  data.setData("text", text);
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
POSTS = """([url, fields]) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: url });
  for (const [name, value] of Object.entries(fields)) {
    form.append(Object.assign(document.createElement("input"), { name, value }));
  }
  document.body.append(form);
  form.submit();
}"""
SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])


async def bound(world: World, app: App) -> str:
    """A user with a card that is bound already."""
    user = world.user()
    card = world.card() | {"phone": new_phone(world)}
    paid = await app.pay_to_the_end(world.order(30_000, scene="quick_charge", card=card, user_id=user))
    assert paid["status"] == "succeeded"
    return user


@SCRIPT
async def test_a_new_card_pays_with_a_code_and_reload_and_back_do_nothing_twice(
    browser: Browser, world: World, patient: App, script: bool
) -> None:
    phone = new_phone(world)
    async with payer(browser, java_script_enabled=script) as one:
        at = await visit(world, patient, one)
        await at.pays_with_new_card(new_card(world, CITIC), phone)
        await at.reads("输入短信验证码")
        assert f"137****{phone[-4:]}" in await at.text()
        await one.page.reload()
        await one.page.go_back()
        await at.reads("输入短信验证码")  # the page of before shows how it stands now
        [code] = await at.sms(phone)
        await one.page.locator("#sms_code").fill(f"【银行】验证码 {code}，5分钟内有效")
        await at.presses("确认")
        await at.reads("支付成功")
        await one.page.go_back()
        await one.page.reload()
        await at.reads("支付成功")
        assert not await one.page.locator("form").count()
        await at.back_at_the_shop()
        await one.page.go_back()
        await at.reads("支付成功")
    paid = await at.ends("succeeded")
    assert [(each["merchant_order_no"], each["status"]) for each in paid["payments"]] == [
        (f"{paid['merchant_order_no']}~1", "succeeded")
    ]
    [order] = await at.orders_at("cpcn")
    assert (order["state"], order["submissions"]) == ("succeeded", 1)
    assert len(await at.sms(phone)) == 1


async def test_a_bound_card_pays_in_two_actions(browser: Browser, world: World, patient: App) -> None:
    user = await bound(world, patient)
    async with payer(browser) as one:
        at = await visit(world, patient, one, user_id=user, amount=60_001 + world.number())
        await one.page.locator("label[for=card-1]").click()
        await at.presses("立即支付")
        await at.reads("支付成功")
        await at.back_at_the_shop()
    paid = await at.ends("succeeded")
    [order] = await at.orders_at("unionpay")
    assert (order["state"], order["submissions"], len(paid["payments"])) == ("succeeded", 1, 1)


async def test_a_form_that_is_pressed_twice_or_in_two_tabs_is_one_payment(
    browser: Browser, world: World, patient: App
) -> None:
    user = await bound(world, patient)
    async with payer(browser) as one:
        at = await visit(world, patient, one, user_id=user, amount=60_001 + world.number())
        other = await one.page.context.new_page()
        await other.goto(at.url)
        await one.page.get_by_role("button", name="立即支付").first.dblclick()
        await other.get_by_role("button", name="立即支付").first.click()
        await at.reads("支付成功")
        await other.locator("h1", has_text="支付成功").wait_for()
    paid = await at.ends("succeeded")
    assert len(paid["payments"]) == len(await at.orders_at("unionpay")) == 1


async def test_wrong_codes_are_counted_and_the_third_ends_it(browser: Browser, world: World, patient: App) -> None:
    async with payer(browser) as one:
        at = await visit(world, patient, one)
        await at.pays_with_new_card(new_card(world, CITIC), new_phone(world))
        await at.reads("输入短信验证码")
        for left in (2, 1):
            await one.page.locator("#sms_code").fill("000000")
            await at.presses("确认")
            await one.page.locator("[role=alert]", has_text=f"还可尝试 {left} 次").wait_for()
        await one.page.locator("#sms_code").fill("000000")
        await at.presses("确认")
        await at.reads("支付未成功")
        assert "没有扣款" in await at.text()
        assert (await at.now())["status"] == "open"
        await at.presses("重试")
        await at.reads("输入短信验证码")
    assert [each["status"] for each in (await at.now())["payments"]] == ["failed", "requires_action"]


async def test_after_a_failure_of_the_channel_the_same_card_is_tried_again_through_another(
    browser: Browser, world: World, patient: App
) -> None:
    phone = new_phone(world)
    async with payer(browser) as one:
        at = await visit(world, patient, one, amount=995_136)  # Baofoo is out of order
        await at.pays_with_new_card(new_card(world, SPDB), phone)
        await at.reads("输入短信验证码")
        [code] = await at.sms(phone)
        await one.page.locator("#sms_code").fill(code)
        await at.presses("确认")
        await at.reads("支付未成功")
        await at.presses("重试")
        await at.reads("支付成功")
    paid = await at.ends("succeeded")
    assert [(each["channel"], each["status"]) for each in paid["payments"]] == [
        ("baofoo", "failed"), ("unionpay", "succeeded"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "lost"),
    [(True, None), (False, None), (True, "lose_callback"), (True, "lose_return")],
    ids=["with script", "without script", "by the return alone", "by the notice alone"],
)
async def test_a_banks_page_there_and_back(
    browser: Browser, world: World, patient: App, script: bool, lost: str | None
) -> None:
    async with payer(browser, java_script_enabled=script) as one:
        at = await visit(world, patient, one)
        if lost is not None:
            await world.fault("yeepay", lost, at.checkout["amount"])
        await at.chooses_bank("网上银行", "netbank", "ABC")
        await at.reads("前往银行支付")
        await at.follows("前往银行页面")
        if not script:
            await one.page.locator("#go button").click()
        await one.is_at(BANKS_PAGE)
        await one.page.go_back()
        if not script:  # the page that is sent on by hand stands between
            await one.page.go_back()
        await at.reads("前往银行支付")  # a usable page, in today's state
        await at.follows("前往银行页面")
        if not script:
            await one.page.locator("#go button").click()
        await one.is_at(BANKS_PAGE)
        await one.presses("pay")
        if lost == "lose_return":
            await one.page.locator("[role=status]").wait_for()
            await one.goes(at.url)
        else:
            await one.goes_back()
        await at.reads("支付成功")
        await at.back_at_the_shop()
    await at.ends("succeeded")
    [order] = await at.orders_at("yeepay")
    assert order["state"] == "succeeded"


async def test_custody_there_and_back_and_refused_through_one_company_again_through_another(
    browser: Browser, world: World, patient: App
) -> None:
    user = world.user()
    card = {"user_no": user, "card_no": f"622202020{world.number():06d}1234", "refused_by": ["YEEPAY"]}
    await world.control("POST", "lanmao/users", card)
    async with payer(browser) as one:
        at = await visit(world, patient, one, user_id=user)
        await at.chooses_bank("存管账户快捷支付", "custody_quick", "ICBC")
        await at.follows("前往银行页面")
        await one.is_at(BANKS_PAGE)
        await one.presses("pay")
        await one.goes_back()
        await at.reads("支付未成功")
        await at.presses("重试")
        await at.reads("前往银行支付")
        await at.follows("前往银行页面")
        await one.is_at(BANKS_PAGE)
        await one.presses("pay")
        await one.goes_back()
        await at.reads("支付成功")
    paid = await at.ends("succeeded")
    assert [each["channel"] for each in paid["payments"]] == ["custody_yeepay", "custody_fuiou"]


async def test_who_cancels_at_the_bank_says_so_and_pays_in_another_way(
    browser: Browser, world: World, patient: App
) -> None:
    user = await bound(world, patient)
    async with payer(browser) as one:
        at = await visit(world, patient, one, user_id=user, amount=60_001 + world.number())
        await at.chooses_bank("网上银行", "netbank", "ABC")
        await at.follows("前往银行页面")
        await one.is_at(BANKS_PAGE)
        await one.presses("cancel")
        await one.goes(at.url + "?back=1")
        await at.reads("支付结果确认中")
        assert not await one.page.locator("form").count()
        await at.follows("返回银行支付步骤")
        await at.reads("前往银行支付")
        await at.presses("我没有支付")
        await at.reads("选择支付方式")
        await at.presses("立即支付")
        await at.reads("支付成功")
    paid = await at.ends("succeeded")
    assert [each["status"] for each in paid["payments"]] == ["closed", "succeeded"]
    assert paid["payments"][0]["closed_reason"] == "by_payer"


async def test_a_card_is_added(browser: Browser, world: World, patient: App) -> None:
    nothing = dict.fromkeys(("amount", "currency", "description"))
    async with payer(browser) as one:
        at = await visit(world, patient, one, purpose="sign", **nothing)
        await at.types_card(new_card(world, ICBC), new_phone(world))
        await at.presses("确认签约")
        await at.reads("签约成功")
        await at.follows("返回商户")
        back = at.checkout["return_url"].replace("#", f"&checkout={at.checkout['id']}#")
        await one.is_at(back)
    signed = await at.ends("succeeded")
    assert [each["status"] for each in signed["authentications"]] == ["succeeded"]


@pytest.mark.parametrize("away", [False, True], ids=["online", "offline meanwhile"])
async def test_what_happens_while_the_page_is_open_is_shown_by_itself(
    browser: Browser, world: World, patient: App, away: bool
) -> None:
    async with payer(browser) as one:
        at = await visit(world, patient, one)
        await at.chooses_bank("网上银行", "netbank", "ABC")
        await at.reads("前往银行支付")
        await one.page.context.set_offline(away)
        elsewhere = await follow(world, WAYS["netbank"], (await at.now())["payments"][0])
        await elsewhere.browser.press(elsewhere.bill, "pay")
        await at.ends("succeeded")
        await one.page.context.set_offline(False)
        await at.reads("支付成功")
        one.complaints = [each for each in one.complaints if not (away and "ERR_INTERNET_DISCONNECTED" in each)]


async def test_a_whole_sms_that_is_pasted_leaves_its_code(browser: Browser, world: World, patient: App) -> None:
    async with payer(browser) as one:
        at = await visit(world, patient, one)
        await at.pays_with_new_card("6205 2700\N{NO-BREAK SPACE}" + new_card(world, CITIC)[8:], new_phone(world))
        await at.reads("输入短信验证码")
        await one.page.locator("#sms_code").evaluate(PASTES, "您的验证码是１２３４５６，请勿告诉他人")
        assert await one.page.locator("#sms_code").input_value() == "123456"
        await one.page.locator("#sms_code").evaluate(PASTES, "您尾号9801的卡，验证码 871 030")
        assert await one.page.locator("#sms_code").input_value() != "9801", "whose code it is, nobody can say here"


async def test_back_to_a_form_that_was_wrong_is_the_page_and_asks_nothing_of_the_browser(
    browser: Browser, world: World, patient: App
) -> None:
    async with payer(browser) as one:
        at = await visit(world, patient, one)
        await at.pays_with_new_card("6222", new_phone(world))
        await one.page.locator("[role=alert]").wait_for()
        await one.page.locator("footer a").click()
        await at.reads("How would you like to pay?")
        await one.page.go_back()
        await at.reads("选择支付方式")
        await one.page.reload()
        await at.reads("选择支付方式")
        assert not (await at.now())["payments"]
        assert all("status of 422" in each for each in one.complaints)
        one.complaints.clear()


async def test_no_frame_and_no_foreign_page_posts_our_forms(browser: Browser, world: World, patient: App) -> None:
    checkout = await open_checkout(world, patient)
    async with payer(browser) as one:
        at = Visit(world, patient, checkout, one)
        await at.opens()
        token = await one.page.locator("input[name=form_token]").first.get_attribute("value")
        elsewhere = world.sandbox.replace("127.0.0.1", "localhost")
        await one.goes(f"{elsewhere}/lanmao/counter")
        await one.page.evaluate(POSTS, [f"{at.url}/pay", {"form_token": token, **NETBANK}])
        await at.reads("本次操作未提交")
        one.complaints.clear()  # the browser tells of the status, which is meant
    assert (await at.now())["payments"] == []
