"""What comes back from the bank: the payer's browser and the bank's notice, in any order, altered, twice, of others.

Whatever a browser brings, it is led to where its payer belongs; only what its PSP signed for this account changes
anything. Until the payer's time is over nothing is asked here, so that each word is heard by the way under test.
"""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree
from yarl import URL

from gateway.domain.callback_names import short_name
from sandbox.lanmao.notices import form_of as custody_form
from sandbox.mocks import prepare_keys
from sandbox.yeepay.wire import sealed
from tests.browsing import FORM, Page
from tests.e2e.business import Answer, App, Shown
from tests.e2e.on_pages import OFTEN, WAYS, Visit, Way, asked_for, back_of, open_page, paged_app
from tests.e2e.world import World

EACH = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
NETBANK, QUICK = WAYS["netbank"], WAYS["custody quick"]
Fields = dict[str, str]
AllKeys = dict[str, Any]
SEE_OTHER = 303


@pytest.fixture(scope="session")
def keys(psp_keys: Any) -> AllKeys:
    """Those of the mocks, to write what they would."""
    return prepare_keys(psp_keys)


def brought(ending: Page) -> tuple[str, Fields]:
    """What the browser brings when its payer presses the button: the address, and the fields."""
    [form] = ending.root.forms
    return str(form.get("action")), {each.get("name", ""): each.get("value", "") for each in form.iter("input")}


def return_of(payment: Shown) -> str:
    """The address that the PSP was told to send the payer's browser to."""
    fields = payment["next_action"]["form"]["fields"]
    if "message" in fields:  # the whole letter
        return str(etree.fromstring(base64.b64decode(fields["message"])).findtext(".//NotificationURL"))
    for name in ("p8_Url", "frontUrl"):
        if name in fields:
            return str(fields[name])
    return str(json.loads(fields["reqData"])["redirectUrl"])


async def come_back(world: World, method: str, url: str, said: Fields | bytes = b"") -> Answer:
    """A browser without a cookie comes from another site."""
    body = said if isinstance(said, bytes) else urlencode(said, encoding="gbk" if "p1_MerId" in said else "utf-8")
    text = body.decode("latin-1") if isinstance(body, bytes) else body
    address, headers = url, {"Origin": "https://bank.example", "Sec-Fetch-Site": "cross-site"}
    if method == "GET" and text:
        address = f"{url}?{text}"
    data = text.encode("latin-1") if method == "POST" else None
    more = FORM if data else {}
    async with world.session.request(
        method, URL(address, encoded=True), data=data, headers={**headers, **more}, allow_redirects=False
    ) as answer:
        return Answer(answer.status, dict(answer.headers), await answer.read(), None)


async def paid_quietly(world: World, app: App, way: Way, **changed: Any) -> tuple[Visit, Page]:
    """Paid at the bank, whose notice is lost: only the browser knows."""
    visit = await open_page(world, app, way, **changed)
    await world.fault(way.provider, "lose_callback", visit.amount, times=1)
    return visit, await visit.browser.press(visit.bill, "pay")


async def told(app: App, payment: Shown, count: int) -> list[str]:
    return [event["type"].removeprefix("payment.") for event in await app.told(payment["id"], count)]


async def status_of(app: App, payment: Shown) -> str:
    return str((await app.payment(payment["id"]))["status"])


def belongs(world: World, payment: Shown) -> str:
    return back_of(world).replace("payment=x", f"payment={payment['id']}")


# In any order


@EACH
async def test_the_notice_alone(world: World, patient: App, way: Way) -> None:
    visit = await open_page(world, patient, way)
    await world.fault(way.provider, "lose_return", visit.amount)
    ending = await visit.browser.press(visit.bill, "pay")
    assert ending.buttons() == []
    assert (await patient.final(visit.payment["id"]))["status"] == "succeeded"
    assert await told(patient, visit.payment, 2) == ["requires_action", "succeeded"]


@EACH
async def test_the_browser_alone(world: World, patient: App, way: Way) -> None:
    visit, ending = await paid_quietly(world, patient, way)
    assert await status_of(patient, visit.payment) == "requires_action"
    assert (await visit.browser.press(ending, "back")).url == belongs(world, visit.payment)
    # It is known before the payer is back.
    assert await status_of(patient, visit.payment) == "succeeded"
    assert await told(patient, visit.payment, 2) == ["requires_action", "succeeded"]


@EACH
async def test_neither_is_found_by_asking(world: World, asking: App, way: Way) -> None:
    visit = await open_page(world, asking, way)
    await world.fault(way.provider, "lose_callback", visit.amount)
    await world.fault(way.provider, "lose_return", visit.amount)
    await visit.browser.press(visit.bill, "pay")
    final = await asking.final(visit.payment["id"])
    assert final["status"] == "succeeded"
    assert [each["source"] for each in await asking.said(final["id"], "channel_said")][-1] == "poll"


@pytest.fixture(scope="session")
async def asking(world: World) -> App:
    """Asks its PSPs often."""
    return await paged_app(world, asks=OFTEN)


@EACH
@pytest.mark.parametrize("order", ["the browser first", "the notice first", "all at once"])
async def test_both_and_each_of_them_twice(world: World, patient: App, way: Way, order: str) -> None:
    visit, ending = await paid_quietly(world, patient, way)

    async def notice() -> None:
        sent = await world.control("POST", f"{way.provider}/callbacks", {"order_no": visit.number, "count": 2})
        assert sent["statuses"] == [200, 200]

    async def browser() -> None:
        for _ in range(2):
            landed = await visit.browser.press(ending, "back")
            assert landed.url == belongs(world, visit.payment)

    match order:
        case "the browser first":
            await browser()
            await notice()
        case "the notice first":
            await notice()
            await browser()
        case _:
            await asyncio.gather(browser(), notice(), browser(), notice())
    final = await patient.payment(visit.payment["id"])
    assert final["status"] == "succeeded"
    assert await told(patient, final, 2) == ["requires_action", "succeeded"]


# What is not believed


@EACH
@pytest.mark.parametrize("fault", ["corrupt_return", "forge_return", "wrong_amount_return"])
async def test_a_return_that_is_not_the_whole_truth_changes_no_state(
    world: World, patient: App, way: Way, fault: str
) -> None:
    visit = await open_page(world, patient, way)
    await world.fault(way.provider, "lose_callback", visit.amount, times=1)
    await world.fault(way.provider, fault, visit.amount, times=1)
    wrong = await visit.browser.press(visit.bill, "pay")
    assert (await visit.browser.press(wrong, "back")).url == belongs(world, visit.payment)
    assert await status_of(patient, visit.payment) == "requires_action"
    expected = ["requires_action", *(["anomaly"] if fault == "wrong_amount_return" else [])]
    assert await told(patient, visit.payment, len(expected)) == expected
    right = await visit.browser.open(visit.bill.url)
    assert (await visit.browser.press(right, "back")).url == belongs(world, visit.payment)
    assert await status_of(patient, visit.payment) == "succeeded"


@EACH
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_browser_that_brings_nothing_or_rubbish_is_led_on(
    world: World, patient: App, way: Way, method: str
) -> None:
    visit = await open_page(world, patient, way)
    url = return_of(await patient.payment(visit.payment["id"]))
    rubbish = (b"", b"a=b", b"%ff%fe=%00", b"respData={}&sign=x", b"hmac=&hmac_safe=", b"\xff\xfe{")
    for said in rubbish if method == "POST" else rubbish[:-1]:
        answer = await come_back(world, method, url, said)
        assert (answer.status, answer.headers["Location"]) == (SEE_OTHER, belongs(world, visit.payment)), said
    assert await status_of(patient, visit.payment) == "requires_action"


@pytest.mark.parametrize("way", [NETBANK, QUICK], ids=["netbank", "custody"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_was_signed_may_come_by_either_method(world: World, patient: App, way: Way, method: str) -> None:
    visit, ending = await paid_quietly(world, patient, way)
    url, fields = brought(ending)
    for _ in range(2):
        answer = await come_back(world, method, url, fields)
        assert (answer.status, answer.headers["Location"]) == (SEE_OTHER, belongs(world, visit.payment))
        assert await status_of(patient, visit.payment) == "succeeded"


@pytest.mark.parametrize("way", [NETBANK, QUICK], ids=["netbank", "custody"])
async def test_a_return_of_another_account_tells_nothing_there(
    world: World, patient: App, asking: App, way: Way
) -> None:
    """All merchants of the tests have one number and one key at a mock: only the account tells them apart."""
    visit, ending = await paid_quietly(world, patient, way)
    _, fields = brought(ending)
    other = await asked_for(world, asking, way)
    answer = await come_back(world, "POST", return_of(other), fields)
    assert (answer.status, answer.headers["Location"]) == (SEE_OTHER, belongs(world, other))
    assert await status_of(patient, visit.payment) == "requires_action"
    assert await status_of(asking, other) == "requires_action"
    # At the right account, with the token of another payment there: what was signed says whose payer it is.
    third = await asked_for(world, patient, way)
    answer = await come_back(world, "POST", return_of(third), fields)
    assert answer.headers["Location"] == belongs(world, visit.payment)
    assert (await status_of(patient, visit.payment), await status_of(patient, third)) == (
        "succeeded",
        "requires_action",
    )


async def test_who_belongs_nowhere_is_told_so_in_his_language(world: World, patient: App, asking: App) -> None:
    payment, other = await asked_for(world, patient, NETBANK), await asked_for(world, asking, NETBANK)
    mine, token = return_of(payment).rsplit("/", 1)
    theirs = return_of(other).rsplit("/", 1)[0]
    nowhere = (mine, f"{mine}/{token[:-2]}xx", f"{mine}/-", f"{theirs}/{token}", f"{world.gateway}/return/nobody.x")
    for url in nowhere:
        for language, words in (("zh-CN,zh;q=0.9", "请返回商户"), ("en", "go back to the merchant"), ("", "go back")):
            page = await world.call("GET", url, headers={"Accept-Language": language} if language else None)
            assert (page.status, words in page.raw.decode()) == (200, True), url
            assert payment["id"].encode() not in page.raw
    answer = await world.call("GET", f"{world.gateway}/pay/{token[:-2]}xx")
    assert answer.status == 404


# Notices


def notice_of(visit: Visit, keys: AllKeys, **changed: str) -> Fields:
    """The server's copy of YeePay's notice."""
    fields = {
        "p1_MerId": keys["yeepay"].mer_id,
        "r0_Cmd": "Buy",
        "r1_Code": "1",
        "r2_TrxId": f"{visit.number[:14]}I",
        "r3_Amt": f"{visit.amount // 100}.{visit.amount % 100:02d}",
        "r4_Cur": "RMB",
        "r5_Pid": "",
        "r6_Order": visit.number,
        "r7_Uid": "",
        "r8_MP": "",
        "r9_BType": "2",
    }
    return sealed(fields | changed, keys["yeepay"].key)


def custody_notice(visit: Visit, keys: AllKeys, service: str = "RECHARGE", **changed: Any) -> Fields:
    said = {
        "requestNo": visit.number,
        "code": "0",
        "status": "SUCCESS",
        "rechargeStatus": "SUCCESS",
        "platformUserNo": visit.payment["user_id"],
        "amount": f"{visit.amount // 100}.{visit.amount % 100:02d}",
        "payCompany": "YEEPAY",
        "rechargeWay": "SWIFT",
    }
    left = {name: text for name, text in (said | changed).items() if text is not None}
    return custody_form(left, service, "NOTIFY", keys["lanmao"].platform_no, keys["lanmao"].psp)


async def notify(world: World, app: App, visit: Visit, fields: Fields) -> Answer:
    """As the PSP does."""
    url = f"{app.gateway}/callbacks/{await world.code_of(app)}.{visit.way.account}"
    return await come_back(world, "GET" if visit.way is NETBANK else "POST", url, fields)


ODD = ["1.005", "1e2", "-1.00", "+1.00", "１.00", "1,000.00", "0x10", "NaN", "", "1. 00", "1.00元", "9" * 30]


@pytest.mark.parametrize("way", [NETBANK, QUICK], ids=["netbank", "custody"])
async def test_odd_amounts_pay_nothing_and_other_amounts_are_told(
    world: World, patient: App, keys: AllKeys, way: Way
) -> None:
    visit = await open_page(world, patient, way)

    def said(amount: str) -> Fields:
        if way is NETBANK:
            return notice_of(visit, keys, r3_Amt=amount)
        return custody_notice(visit, keys, amount=amount)

    for amount in ODD:
        assert (await notify(world, patient, visit, said(amount))).status == 200, amount
        assert await status_of(patient, visit.payment) == "requires_action", amount
    assert await told(patient, visit.payment, 1) == ["requires_action"]
    for _ in range(2):  # another amount, twice: one anomaly
        more = visit.amount + 1
        await notify(world, patient, visit, said(f"{more // 100}.{more % 100:02d}"))
    assert await told(patient, visit.payment, 2) == ["requires_action", "anomaly"]
    await notify(world, patient, visit, said(f"{visit.amount // 100}.{visit.amount % 100:02d}"))
    assert await told(patient, visit.payment, 3) == ["requires_action", "anomaly", "succeeded"]


async def test_a_notice_comes_by_get_to_an_address_of_eight_letters(world: World, patient: App, keys: AllKeys) -> None:
    visit = await open_page(world, patient, NETBANK)
    base, name = f"{world.gateway}/c", short_name(await world.code_of(patient), "yeepay_main")
    short = f"{base}/{name}"
    wrong = await come_back(
        world, "GET", f"{base}/{name[:-1]}{'a' if name[-1] != 'a' else 'b'}", notice_of(visit, keys)
    )
    assert wrong.status == 404
    altered = notice_of(visit, keys) | {"r3_Amt": "1.00"}
    assert (await come_back(world, "GET", short, altered)).status == 400
    assert await status_of(patient, visit.payment) == "requires_action"
    for method in ("GET", "POST"):
        answer = await come_back(world, method, short, notice_of(visit, keys))
        assert (answer.status, answer.raw) == (200, b"SUCCESS")
    assert await status_of(patient, visit.payment) == "succeeded"


@pytest.mark.parametrize(
    ("service", "changed"),
    [
        ("PERSONAL_REGISTER_EXPAND", {"rechargeStatus": None, "rechargeWay": None, "auditStatus": "PASSED"}),
        ("WITHDRAW", {"withdrawRequestNo": "w-1", "withdrawStatus": "SUCCESS"}),
        ("SOMETHING_NEW", {"rechargeStatus": None, "amount": "1.00"}),
    ],
)
async def test_a_custody_notice_of_another_kind_is_thanked_for_kept_and_changes_no_payment(
    world: World, patient: App, keys: AllKeys, service: str, changed: dict[str, Any]
) -> None:
    visit = await open_page(world, patient, QUICK)

    async def kept() -> int:
        [row] = await world.sql("SELECT count(*) AS n FROM strays WHERE number = $1", visit.number)
        return int(row["n"])

    for _ in range(2):
        answer = await notify(world, patient, visit, custody_notice(visit, keys, service, **changed))
        assert (answer.status, answer.raw) == (200, b"SUCCESS")
    assert await kept() == 1
    assert await status_of(patient, visit.payment) == "requires_action"
    assert await told(patient, visit.payment, 1) == ["requires_action"]


async def test_a_payment_that_nobody_here_asked_for_is_not_thanked_for(
    world: World, patient: App, keys: AllKeys
) -> None:
    visit = await open_page(world, patient, NETBANK)
    answer = await notify(world, patient, visit, notice_of(visit, keys, r6_Order="0" * 20))
    assert (answer.status, answer.raw) == (400, b"FAIL")


async def test_a_payer_without_a_place_to_go_back_to_is_not_sent_to_the_bank_again(world: World, patient: App) -> None:
    visit = await open_page(world, patient, WAYS["netbank at unionpay"], return_url=None)
    ending = await visit.browser.press(visit.bill, "cancel")
    landed = await visit.browser.press(ending, "back")
    assert landed.url == f"{visit.payment['next_action']['url']}?stay=1"
    assert b"<script" not in landed.content
    # Whoever wishes to may still go on.
    bill = await visit.browser.press(landed, landed.buttons()[0])
    ending = await visit.browser.press(bill, "pay")
    landed = await visit.browser.press(ending, "back")
    assert "Paid" in landed.text
    assert await status_of(patient, visit.payment) == "succeeded"
