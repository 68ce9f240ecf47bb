"""What the forms of a checkout's pages do: each is one act of the flow, or a page that says what is wrong.

A browser without script fills them, as they stand on the page. Not here: whose form it is in every case
(tests/unit/api/test_page_forms), the flow behind it (tests/e2e).
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.application import build_app
from gateway.domain.cards import CardElements
from gateway.domain.checkouts import Method, TryRefusal
from gateway.domain.identities import IdType
from gateway.domain.scenes import Scene
from gateway.flows.cashier import BankChoice, BankNeededError, CardChoice, NewCard, NotOfThisCheckoutError
from gateway.flows.payer import ActRefusedError
from gateway.ports import ActRefusal, CardNotFoundError, CheckoutRefusedError, OverloadedError
from tests.api.cashiers import TOKEN, FakeCashier, checkout, failed, in_state, of, signing
from tests.api.fakes import FakeGateway
from tests.browsing import Browser, Page
from tests.unit.domain.samples import CARD_ID

CARD = {
    "card_no": "6222020000000001230",
    "holder_name": "张三",
    "id_type": "id_card",
    "id_no": "11010519491231002X",
    "phone": "13800138000",
}
ELEMENTS = CardElements("6222020000000001230", "张三", "11010519491231002X", "13800138000")


class Visitor:
    """A payer at the page of a checkout."""

    def __init__(self, http: TestClient[Any, Any]) -> None:
        self.browser = Browser(cast("Any", http.session))
        self.base = str(http.make_url("/")).rstrip("/")

    @property
    def url(self) -> str:
        return f"{self.base}/checkout/{TOKEN}"

    async def open(self, query: str = "") -> Page:
        return await self.browser.open(self.url + query)

    async def press(self, button: str, typed: Mapping[str, str] | None = None, nth: int = 0, query: str = "") -> Page:
        return await self.browser.press(await self.open(query), button, typed, nth)


@pytest.fixture
def cashier() -> FakeCashier:
    return FakeCashier(in_state("choose"))


@pytest.fixture
async def http(cashier: FakeCashier) -> AsyncIterator[TestClient[Any, Any]]:
    app = build_app(replace(FakeGateway().api(), cashier=cast("Any", cashier)))
    async with TestClient(TestServer(app)) as http:
        cashier.public_base = str(http.make_url("/")).rstrip("/")
        yield http


@pytest.fixture
def payer(http: TestClient[Any, Any]) -> Visitor:
    return Visitor(http)


# What is asked of the flow


async def test_a_card_of_the_payers_is_paid_by_one_press(payer: Visitor, cashier: FakeCashier) -> None:
    page = await payer.press("Pay")
    assert cashier.done == [("pay 1", CardChoice(CARD_ID))]
    assert (page.status, page.url) == (200, payer.url), "303 back to the page"


async def test_a_new_card_is_paid_and_stands_nowhere_afterwards(payer: Visitor, cashier: FakeCashier) -> None:
    page = await payer.press("Pay", CARD, nth=1)
    assert cashier.done == [("pay 1", NewCard(ELEMENTS))]
    assert not any(value in page.content.decode() for value in CARD.values() if value != "id_card")
    assert not any(value in url for _, url, _ in payer.browser.sent for value in CARD.values())


@pytest.mark.parametrize(
    ("nth", "choice"),
    [
        (0, BankChoice(Method.NETBANK, "ABC")),
        (1, BankChoice(Method.CUSTODY_QUICK, "ICBC")),
        (2, BankChoice(Method.CUSTODY_NETBANK, "ANY")),
    ],
)
async def test_banks_are_chosen_by_their_method(
    payer: Visitor, cashier: FakeCashier, nth: int, choice: BankChoice
) -> None:
    await payer.press("Go on", nth=nth)
    assert cashier.done == [("pay 1", choice)]


async def test_a_card_is_added(payer: Visitor, cashier: FakeCashier) -> None:
    cashier.shown = of(signing())
    await payer.press("Add this card", CARD)
    assert cashier.done == [("sign 1", NewCard(ELEMENTS))]


@pytest.mark.parametrize("state", ["failed: channel_unavailable", "card refused"])
async def test_try_again_takes_the_same_card(payer: Visitor, cashier: FakeCashier, state: str) -> None:
    cashier.shown = in_state(state)
    await payer.press("Try again")
    what = "sign 2" if state == "card refused" else "pay 2"
    assert cashier.done == [(what, CardChoice(CARD_ID))]


async def test_try_again_takes_the_same_bank(payer: Visitor, cashier: FakeCashier) -> None:
    cashier.shown = of(checkout(), failed(scene=Scene.CUSTODY_NETBANK_CHARGE, card=None, bank="ANY"))
    await payer.press("Try again")
    assert cashier.done == [("pay 2", BankChoice(Method.CUSTODY_NETBANK, "ANY"))]


# What people type


FULL_WIDTH = "".join(chr(ord(digit) + 0xFEE0) for digit in CARD["card_no"])
SPACES = "6222 0200\N{NO-BREAK SPACE}0000-0001\N{IDEOGRAPHIC SPACE}230\u200b"


@pytest.mark.parametrize(
    ("typed", "is_read_as"),
    [
        ({"card_no": SPACES}, {}),
        ({"card_no": FULL_WIDTH}, {}),
        ({"card_no": " 6222 0210 0111 2222 335 "}, {"card_no": "6222021001112222335"}),
        ({"phone": "+86 138-0013-8000"}, {}),
        ({"phone": "86 138 0013 8000"}, {}),
        ({"phone": "１３８００１３８０００"}, {}),
        ({"phone": "（+86）138 0013 8000"}, {}),
        ({"phone": "\u202a+86 13800138000\u202c"}, {}),  # as address books have it copied
        ({"card_no": "\u20666222020000000001230\u2069", "id_no": "\u200e11010519491231002X\u00ad"}, {}),
        ({"holder_name": "\u200b张三\ufeff"}, {}),
        ({"holder_name": "\u202a 张三\u202c"}, {}),
        ({"id_no": "110105 19491231 002x"}, {}),
        ({"holder_name": " 张 三 "}, {"holder_name": "张 三"}),  # its one form is the flow's
        ({"id_type": "passport", "id_no": "g 1234567"}, {"id_type": IdType.PASSPORT, "id_no": "G1234567"}),
    ],
)
async def test_blanks_dashes_and_full_width_digits_do_not_matter(
    payer: Visitor, cashier: FakeCashier, typed: dict[str, str], is_read_as: dict[str, Any]
) -> None:
    await payer.press("Pay", CARD | typed, nth=1)
    assert cashier.done == [("pay 1", NewCard(replace(ELEMENTS, **is_read_as)))]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("card_no", ""),
        ("card_no", "62220200000"),
        ("card_no", "6" * 20),
        ("card_no", "6222020000000001230 x"),
        ("holder_name", ""),
        ("holder_name", "   "),
        ("holder_name", "张\u202e三"),
        ("holder_name", "张" * 65),
        ("id_no", "110105194912310021"[:17]),
        ("id_no", "99010519491231002X" * 2),
        ("id_type", "driving_licence"),
        ("phone", "23800138000"),
        ("phone", "1380013800"),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field_and_what_was_typed_stands_there(
    payer: Visitor, cashier: FakeCashier, field: str, value: str
) -> None:
    page = await payer.press("Pay", CARD | {field: value}, nth=1)
    assert (page.status, cashier.done) == (422, [])
    boxes = {each.get("name"): each for each in page.root.iter("input", "select") if each.get("id")}
    wrong = {name for name, box in boxes.items() if box.get("aria-invalid")}
    assert field in wrong
    assert wrong <= {field, "id_no"}, "the number is checked by its kind"
    [error] = [each for each in page.root.iter("p") if each.get("id") == f"{field}-error"]
    assert error.text
    assert f"{field}-error" in boxes[field].get("aria-describedby")
    if field != "id_type":
        assert boxes[field].get("value") == value
    assert boxes["phone"].get("value") == (value if field == "phone" else CARD["phone"])
    [way] = [each for each in page.root.iter("details") if each.get("name") == "way" and each.get("open") is not None]
    assert "new card" in way.text_content()


async def test_a_card_whose_bank_its_number_does_not_tell_asks_for_the_bank(
    payer: Visitor, cashier: FakeCashier
) -> None:
    cashier.raises = BankNeededError()
    page = await payer.press("Pay", CARD, nth=1)
    assert page.status == 422
    [select] = [each for each in page.root.iter("select") if each.get("name") == "bank"]
    assert [option.get("value") for option in select.iter("option")] == ["", "ABC", "ICBC"]
    cashier.raises = None
    await payer.browser.press(page, "Pay", {"bank": "ICBC"}, nth=1)
    assert cashier.done[-1] == ("pay 1", NewCard(ELEMENTS, "ICBC"))
    again = await payer.browser.press(page, "Pay", {"bank": "SPDB"}, nth=1)
    assert (again.status, len(cashier.done)) == (422, 2)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("123456", "123456"),
        (" １２３ ４５６", "123456"),
        ("1 2 3 4", "1234"),
        ("123-456", "123456"),
        ("【银行】您的验证码是123456，5分钟内有效。", "123456"),
        ("Your code is 87654321. Do not tell anyone.", "87654321"),
        ("尾号1234的卡，验证码：567890，支付1,234.56元", "567890"),
        ("验证码8765，尾号1230", "8765"),
        ("金额1234.56元，验证码 998877", "998877"),
        ("\u202a123456\u202c", "123456"),
        ("您的验证码是 123 456，请勿泄露", "123456"),
        ("您尾号9801的卡，验证码 871 030，5分钟内有效", "871030"),
        ("【银行】123456是您的验证码，尾号9801的卡正在支付600.00元", "123456"),
        ("123456为您的验证码，如有疑问请致电95588", "123456"),
        ("验证码1234，如有疑问请致电95588", "1234"),
        ("123456 is your verification code for card 9801", "123456"),
        ("1234 is your code. Card ending in 9801, CNY 1,234.56", "1234"),
    ],
)
async def test_a_code_is_found_in_what_was_typed_or_pasted(
    payer: Visitor, cashier: FakeCashier, typed: str, code: str
) -> None:
    cashier.shown = in_state("code")
    await payer.press("Confirm", {"sms_code": typed})
    assert cashier.done == [("confirm", code)]


@pytest.mark.parametrize(
    "typed", ["", "123", "123456789", "abc", "1234 or 5678?", "x" * 600 + "123456", "尾号9801的卡", "1234.56"]
)
async def test_what_is_no_code_is_not_sent(payer: Visitor, cashier: FakeCashier, typed: str) -> None:
    cashier.shown = in_state("code")
    page = await payer.press("Confirm", {"sms_code": typed})
    assert (page.status, cashier.done) == (422, [])
    assert "4 to 8 digits" in page.text


# What is not done


async def test_a_form_of_an_older_page_begins_nothing(payer: Visitor, cashier: FakeCashier) -> None:
    old = await payer.open()
    cashier.shown = of(checkout(), failed())
    page = await payer.browser.press(old, "Pay")
    assert (page.status, cashier.done) == (200, [])
    assert "Not paid" in page.text
    for state in ("waiting", "paid", "code", "bank", "expired", "canceled", "paid late"):
        cashier.shown = in_state(state)
        assert (await payer.browser.press(old, "Pay")).status == 200
        assert (await payer.browser.press(old, "Go on")).status == 200
    assert cashier.done == []


@pytest.mark.parametrize("button", ["Confirm", "Send another SMS", "Pay in another way"])
async def test_what_is_about_another_try_does_nothing(payer: Visitor, cashier: FakeCashier, button: str) -> None:
    cashier.shown = in_state("code")
    old = await payer.open()
    cashier.shown = replace(cashier.shown, checkout=replace(cashier.shown.checkout, tries=2))
    await payer.browser.press(old, button, {"sms_code": "123456"})
    for state in ("paid", "failed: card_lost"):
        cashier.shown = in_state(state)
        await payer.browser.press(old, button, {"sms_code": "123456"})
    assert cashier.done == []


async def test_a_robot_is_noted_and_told_nothing(payer: Visitor, cashier: FakeCashier) -> None:
    page = await payer.press("Pay", {"note_2": "http://spam.example"})
    assert (page.status, page.url, cashier.done, cashier.robots) == (200, payer.url, [], 1)
    for state, button in (("code", "Confirm"), ("code", "Send another SMS"), ("bank", "I did not pay")):
        cashier.shown = in_state(state)
        await payer.press(button, {"note_2": "x", "sms_code": "123456"})
    assert (cashier.done, cashier.robots) == ([], 4)


@pytest.mark.parametrize("name", ["pay", "sign", "code", "resend", "leave"])
async def test_a_form_without_its_token_or_from_elsewhere_does_nothing(
    payer: Visitor, http: TestClient[Any, Any], cashier: FakeCashier, name: str
) -> None:
    cashier.shown = in_state("code")
    url, right = f"{payer.url}/{name}", {"form_token": "form-token", "turn": "1", "sms_code": "123456"}
    for fields, headers in (
        ({**right, "form_token": "x"}, {}),
        ({"turn": "1"}, {"Origin": "null"}),
        (right, {"Origin": "https://evil.example"}),
        (right, {"Sec-Fetch-Site": "cross-site"}),
    ):
        async with http.session.post(url, data=fields, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (403, "text/html")
            assert f'href="/checkout/{TOKEN}"' in await answer.text()
    assert cashier.done == []
    async with http.session.post(url, data=b"x" * 70_000, headers={"Content-Type": "text/plain"}) as answer:
        assert (answer.status, answer.content_type) == (413, "text/html")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"method": "quick"},
        {"method": "quick", "card_id": ""},
        {"method": "quick", "card_id": "card_nothing"},
        {"method": "quick", "card_id": "pay_01h2xcejqtf2nbrexx3vqjhp41"},
        {"method": "netbank"},
        {"method": "bitcoin", "bank": "ICBC"},
    ],
)
async def test_a_form_in_which_nothing_was_chosen_says_so(
    payer: Visitor, cashier: FakeCashier, fields: dict[str, str]
) -> None:
    page = await payer.browser.submit(f"{payer.url}/pay", {"form_token": "form-token", "turn": "1", **fields})
    assert (page.status, cashier.done) == (422, [])
    assert "Please choose" in page.text


@pytest.mark.parametrize(
    ("raises", "status", "says"),
    [
        (CardNotFoundError(), 422, "not known any more"),
        (NotOfThisCheckoutError(), 422, "choose one of the ways"),
        (CheckoutRefusedError(TryRefusal.TOO_MANY_TRIES), 409, "too many tries"),
        (CheckoutRefusedError(TryRefusal.TOO_MANY_CARDS), 409, "Too many new cards"),
        (CheckoutRefusedError(TryRefusal.IN_PROGRESS), 200, "How would you like to pay?"),
        (CheckoutRefusedError(TryRefusal.OUT_OF_TURN), 200, "How would you like to pay?"),
        (OverloadedError(2), 503, "One moment, please"),
    ],
)
async def test_what_the_flow_refuses_is_told_on_the_page(
    payer: Visitor, cashier: FakeCashier, raises: Exception, status: int, says: str
) -> None:
    cashier.raises = raises
    page = await payer.press("Pay")
    assert page.status == status
    assert says in page.text


@pytest.mark.parametrize("why", ActRefusal)
async def test_what_cannot_be_done_now_is_told_or_the_page_shows_why(
    payer: Visitor, cashier: FakeCashier, why: ActRefusal
) -> None:
    cashier.shown, cashier.raises = in_state("code"), ActRefusedError(why)
    page = await payer.press("Send another SMS")
    assert page.status in {200, 409}
    assert (page.status == 200) == (why in {ActRefusal.NOT_WAITING, ActRefusal.CONFIRMATION_IN_PROGRESS})


async def test_who_asks_for_an_sms_too_soon_reads_how_long_to_wait(payer: Visitor, cashier: FakeCashier) -> None:
    cashier.shown, cashier.raises = in_state("code"), ActRefusedError(ActRefusal.RESEND_TOO_SOON, wait_s=41)
    page = await payer.press("Send another SMS")
    assert (page.status, "41 seconds" in page.text) == (409, True)


async def test_who_did_not_pay_chooses_anew(payer: Visitor, cashier: FakeCashier) -> None:
    cashier.shown = in_state("bank")
    page = await payer.press("I did not pay")
    assert cashier.done == [("leave", None)]
    assert page.url == f"{payer.url}?other=1"


async def test_the_language_that_was_chosen_stays_after_a_form(payer: Visitor, cashier: FakeCashier) -> None:
    cashier.shown = in_state("code")
    page = await payer.press("确认", {"sms_code": "123456"}, query="?lang=zh")
    assert page.url == f"{payer.url}?lang=zh"
    wrong = await payer.press("确认", {"sms_code": "x"}, query="?lang=zh")
    assert "请填写短信中的" in wrong.text


async def test_the_answer_to_a_form_that_is_loaded_again_is_the_page(payer: Visitor) -> None:
    for name in ("pay", "sign", "code", "resend", "leave"):
        page = await payer.browser.open(f"{payer.url}/{name}?lang=zh")
        assert (page.status, page.url) == (200, f"{payer.url}?lang=zh")
