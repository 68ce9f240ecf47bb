"""What the pages of a checkout show, in each state and language: whole, escaped, and in the payer's words.

Not here: what its forms do (test_cashier_forms), how it looks (tests/pages), the flow behind it (tests/e2e).
"""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient, TestServer
from lxml import html

from gateway.api.application import build_app
from gateway.domain.failures import FailureCode
from gateway.domain.statuses import Status
from tests.api.cashiers import (
    STATES,
    TOKEN,
    FakeCashier,
    checkout,
    failed,
    in_state,
    of,
    offers,
    refused,
    waits_on_page,
)
from tests.api.client import Client, Got
from tests.api.fakes import FakeGateway
from tests.unit.domain.samples import PAYMENT_ID

AT = f"/checkout/{TOKEN}"
ZH, EN = {"Accept-Language": "zh-CN"}, {"Accept-Language": "en"}
MARKUP = '"><img src=x onerror=alert(1)></script><b>x</b>{{7*7}}'
ALLOWED_WORDS = {"English"}
"""Words in Latin letters that stand on Chinese pages."""


@pytest.fixture
def cashier() -> FakeCashier:
    return FakeCashier(in_state("choose"))


@pytest.fixture
async def client(cashier: FakeCashier) -> AsyncIterator[Client]:
    app = build_app(replace(FakeGateway().api(), cashier=cast("Any", cashier)))
    async with TestClient(TestServer(app)) as http:
        yield Client(http)


def root(page: Got) -> html.HtmlElement:
    return html.fromstring(page.body.decode())


def words(page: Got) -> str:
    """What a person reads on it or is read to, attributes included."""
    top = root(page)
    said = [
        *top.itertext(),
        *(value for each in top.iter() for name, value in each.items() if name in {"aria-label", "title"}),
    ]
    return " ".join(" ".join(said).split())


async def seen(client: Client, language: dict[str, str] = EN, query: str = "", agent: str = "") -> Got:
    headers = language | ({"User-Agent": agent} if agent else {})
    return await client.send("GET", AT + query, key=None, headers=headers)


@pytest.mark.parametrize("state", STATES)
async def test_each_page_is_whole_in_both_languages(client: Client, cashier: FakeCashier, state: str) -> None:
    cashier.shown = in_state(state)
    for language, tag in ((ZH, "zh-CN"), (EN, "en")):
        page = await seen(client, language)
        top = root(page)
        assert (page.status, top.get("lang")) == (200, tag)
        assert len(top.findall(".//h1")) == len(top.findall(".//main")) == 1
        [title] = [each.text for each in top.iter("title")]
        assert "上海示例科技" in title
        ids = [each.get("id") for each in top.iter() if each.get("id")]
        assert len(ids) == len(set(ids)), ids
        named = {each.get("for") for each in top.iter("label") if each.get("for")}
        assert named <= set(ids)
        for box in top.iter("input", "select"):
            hidden = box.get("type") == "hidden" or box.get("name") == "note_2"
            assert hidden or box.get("id") in named, box.items()
        for form in top.iter("form"):
            assert (form.get("method"), form.get("action", "").startswith(f"{AT}/")) == ("post", True)
            assert {"form_token", "turn", "note_2"} <= {each.get("name") for each in form.iter("input")}
        for name in ("Cache-Control", "Referrer-Policy", "Content-Security-Policy"):
            assert page.headers[name]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("in_app", [False, True], ids=["browser", "in an app"])
async def test_a_chinese_page_has_no_english_word(
    client: Client, cashier: FakeCashier, state: str, in_app: bool
) -> None:
    cashier.shown = in_state(state)
    text = words(await seen(client, ZH, agent="MicroMessenger" if in_app else ""))
    assert set(re.findall(r"[A-Za-z]{2,}", text)) <= ALLOWED_WORDS
    assert not re.search(r"%\(|None|\{\{", text)


@pytest.mark.parametrize("state", ["choose", "sign", "code", "bank", "waiting", "paid", "failed: blocked"])
async def test_texts_of_others_are_shown_as_they_are_and_nothing_of_them_runs(
    client: Client, cashier: FakeCashier, state: str
) -> None:
    shown = in_state(state)
    told = [
        replace(each, failure=replace(each.failure, channel_message=MARKUP)) if each.failure else each
        for each in shown.tries
    ]
    cashier.shown = replace(shown, checkout=replace(shown.checkout, description=MARKUP), tries=told)
    cashier.name = MARKUP
    page = await seen(client)
    top = root(page)
    assert words(page).count(" ".join(MARKUP.split())) >= 2
    assert not list(top.iter("img", "b"))
    assert all(each.get("src", "").startswith("/pages/") and not each.text for each in top.iter("script"))


async def test_what_cannot_carry_the_amount_is_shown_with_the_reason_and_cannot_be_chosen(client: Client) -> None:
    top = root(await seen(client))
    rows = {row.find("input").get("value"): row for row in top.iter("li") if row.find("input") is not None}
    off = {
        value: " ".join(row.text_content().split())
        for value, row in rows.items()
        if row.find("input").get("disabled") is not None
    }
    assert {text.split(" ")[0] for text in off.values()} == {"Ping", "China", "Shanghai"}
    reasons = " ".join(off.values())
    for reason in ("At most ¥ 1,000.00 now", "The limit of today is used up", "Not available now"):
        assert reason in reasons
    assert "Up to ¥ 5,000.00 at once" in " ".join(rows["ABC"].text_content().split())
    chosen = [row.find("input") for row in rows.values() if row.find("input").get("checked") is not None]
    assert len(chosen) == 4, "of each list the first that can be chosen"


async def test_where_no_new_card_can_carry_the_amount_its_banks_and_reasons_show_at_once(
    client: Client, cashier: FakeCashier
) -> None:
    banks = [replace(each, offer=refused(FailureCode.DAILY_LIMIT_EXCEEDED)) for each in offers().card_banks]
    for taken, shows in ((offers().card_banks, False), (banks, True)):
        cashier.offered = offers(cards=(), card_banks=taken)
        [inner] = [each for each in root(await seen(client)).iter("details") if each.get("class") == "plain"]
        assert (inner.get("open") is not None, "The limit of today is used up" in inner.text_content()) == (
            shows,
            shows,
        )


async def test_only_the_ways_of_the_checkout_show(client: Client, cashier: FakeCashier) -> None:
    cashier.offered = offers(cards=(), new_card=False, card_banks=(), banks=offers().banks[:1])
    page = await seen(client)
    top = root(page)
    assert "new card" not in words(page)
    [way] = top.iter("details")
    assert way.get("open") is not None, "the only way is open"
    cashier.offered = offers(cards=(), new_card=False, card_banks=(), banks=())
    assert "no way to pay" in words(await seen(client))


@pytest.mark.parametrize("code", FailureCode)
async def test_after_a_failure_the_same_again_comes_first_only_where_that_helps(
    client: Client, cashier: FakeCashier, code: FailureCode
) -> None:
    cashier.shown = of(checkout(), failed(code))
    page = await seen(client)
    top = root(page)
    buttons = [" ".join(each.text_content().split()) for each in top.iter("button", "a")]
    retries = cashier.shown.newest is not None and cashier.shown.newest.failure is not None
    assert retries
    advice = cashier.shown.newest.failure.advice  # type: ignore[union-attr]
    assert ("Try again" in buttons) == (advice == "retry_now")
    assert "Pay in another way" in buttons
    if advice == "retry_now":
        assert buttons.index("Try again") < buttons.index("Pay in another way")
        form = next(top.iter("form"))
        values = {each.get("name"): each.get("value") for each in form.iter("input")}
        assert (values["method"], values["turn"]) == ("quick", "2")
        assert values["card_id"].startswith("card_")


async def test_who_ended_a_payment_is_told(client: Client, cashier: FakeCashier) -> None:
    for state, says in (
        ("given up", "You did not go on with this."),
        ("ended by the app", "The merchant ended this."),
        ("too late", "The time for this was over."),
    ):
        cashier.shown = in_state(state)
        page = words(await seen(client))
        assert says in page
        assert "in another way" in page


async def test_a_failure_tells_what_still_goes(client: Client, cashier: FakeCashier) -> None:
    cashier.shown = of(checkout(), failed(FailureCode.SINGLE_LIMIT_EXCEEDED, limit={"max_amount_now": 100_000}))
    assert "At most ¥ 1,000.00 can be paid in this way now." in words(await seen(client)).replace(
        "\N{NO-BREAK SPACE}", " "
    )


async def test_nothing_more_can_be_begun_once_its_time_is_over(client: Client, cashier: FakeCashier) -> None:
    cashier.shown = of(checkout(), failed())
    cashier.now += timedelta(minutes=30)
    for query in ("", "?other=1"):
        page = await seen(client, query=query)
        assert not list(root(page).iter("form"))
        assert "time for this is over" in words(page)


@pytest.mark.parametrize("query", ["", "?other=1"])
@pytest.mark.parametrize("state", ["failed: channel_unavailable", "failed: card_invalid", "given up", "card refused"])
async def test_after_the_last_try_no_other_is_offered(
    client: Client, cashier: FakeCashier, state: str, query: str
) -> None:
    cashier.shown = replace(in_state(state), max_tries=1)
    page = await seen(client, query=query)
    assert not list(root(page).iter("form"))
    assert "in another way" not in words(page)
    assert "another card" not in words(page)
    assert "There were too many tries. Please go back to the merchant." in words(page)
    cashier.shown = replace(in_state(state), max_tries=2)
    assert "too many tries" not in words(await seen(client, query=query))


@pytest.mark.parametrize("state", ["paid late", "paid late, and tried again"])
async def test_nobody_pays_again_once_a_payment_arrived_late(client: Client, cashier: FakeCashier, state: str) -> None:
    cashier.shown = in_state(state)
    for query in ("", "?other=1", "?back=1"):
        page = await seen(client, query=query)
        assert not list(root(page).iter("form"))
        assert "do not pay again" in words(page)


async def test_who_comes_back_from_the_bank_before_any_word_waits_and_sees_no_second_button_to_pay(
    client: Client, cashier: FakeCashier
) -> None:
    cashier.shown = of(checkout(), waits_on_page())
    page = await seen(client, query="?back=1")
    assert "being confirmed" in words(page)
    assert not list(root(page).iter("form"))
    links = [each.get("href") for each in root(page).iter("a")]
    assert not any("/pay/" in link for link in links)
    assert AT in links, "and back to the step before, where they did not pay"
    assert "Go to the bank's page" in words(await seen(client))


@pytest.mark.parametrize("cancels", [True, False])
async def test_i_did_not_pay_is_offered_where_the_psp_can_be_told(
    client: Client, cashier: FakeCashier, cancels: bool
) -> None:
    cashier.shown, cashier.cancels = of(checkout(), waits_on_page()), cancels
    page = await seen(client)
    assert ("I did not pay" in words(page)) == cancels
    assert ("you can go to the same page again" in words(page)) != cancels


async def test_inside_of_an_app_the_way_out_comes_first(client: Client, cashier: FakeCashier) -> None:
    cashier.shown = of(checkout(), waits_on_page())
    top = root(await seen(client, agent="Mozilla/5.0 MicroMessenger/8.0"))
    [address] = [each for each in top.iter("input") if each.get("readonly") is not None]
    assert address.get("value") == f"https://pay.example{AT}"
    [copies] = [each for each in top.iter("button") if each.get("data-copy")]
    assert copies.get("hidden") is not None, "only a script shows it"
    assert not [each for each in root(await seen(client)).iter("input") if each.get("readonly") is not None]


async def test_the_way_back_names_what_the_payer_did_last(client: Client, cashier: FakeCashier) -> None:
    paid = cashier.shown = in_state("paid")
    back = [each.get("href") for each in root(await seen(client)).iter("a") if "shop.example" in each.get("href", "")]
    assert len(back) == 1
    assert re.fullmatch(r"https://shop\.example/b\?o=7&payment=pay_\w{26}#/done", back[0])
    cashier.shown = in_state("choose")
    back = [each.get("href") for each in root(await seen(client)).iter("a") if "shop.example" in each.get("href", "")]
    assert re.fullmatch(r"https://shop\.example/b\?o=7&payment=x&checkout=co_\w{26}#/done", back[0])
    assert paid.tries[0].payment_id == PAYMENT_ID


async def test_a_language_that_was_chosen_stays_in_every_form_and_link(client: Client, cashier: FakeCashier) -> None:
    for state in ("choose", "code", "bank", "waiting", "failed: channel_unavailable"):
        cashier.shown = in_state(state)
        top = root(await seen(client, ZH, query="?lang=en"))
        assert top.get("lang") == "en"
        ours = [form.get("action") for form in top.iter("form")]
        ours += [link.get("href") for link in top.iter("a") if link.get("href").startswith("/checkout/")]
        assert all("lang=en" in each for each in ours if not each.endswith("lang=zh")), ours
        assert [each for each in ours if each.endswith("lang=zh")] == [f"{AT}?lang=zh"]


async def test_the_other_language_shows_the_same_page(client: Client, cashier: FakeCashier) -> None:
    for state, query, says in (("bank", "?back=1", "确认中"), ("given up", "?other=1", "选择支付方式")):
        cashier.shown = in_state(state)
        links = root(await seen(client, query=query)).iter("a")
        [switch] = [each.get("href") for each in links if each.get("hreflang")]
        assert says in words(await seen(client, query=switch.removeprefix(AT)))


async def test_the_state_changes_with_everything_that_a_page_shows(client: Client, cashier: FakeCashier) -> None:
    words_of_states = {}
    for state in STATES:
        cashier.shown = in_state(state)
        answer = await client.get(f"{AT}/state", key=None)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        words_of_states[state] = answer.body.decode()
        again = await client.get(f"{AT}/state", key=None)
        assert again.body == answer.body
    shown = ["choose", "code", "code is being sent", "code was wrong", "bank", "waiting", "paid", "expired"]
    assert len({words_of_states[state] for state in shown}) == len(shown)
    cashier.shown = in_state("waiting")
    [mark] = [each for each in root(await seen(client)).iter("div") if each.get("data-live")]
    assert (mark.get("data-live"), mark.get("data-state")) == (f"{AT}/state", words_of_states["waiting"])


@pytest.mark.parametrize("path", ["", "/state", "/pay"])
async def test_guessed_and_broken_links_are_answered_alike(client: Client, path: str) -> None:
    bodies = set()
    for token in ("x", "a" * 43, "..%2f", "%E5%BC%A0", "tok%00", "tok%0D%0ASet-Cookie:a=b"):
        answer = await client.get(f"/checkout/{token}{path}", key=None)
        assert answer.status == 404
        bodies.add(words(answer))
    assert len(bodies) <= 1


async def test_one_that_has_succeeded_says_so_whoever_opens_it(client: Client, cashier: FakeCashier) -> None:
    for state in ("paid", "card added"):
        cashier.shown = in_state(state)
        for query in ("", "?other=1", "?back=1"):
            page = await seen(client, query=query)
            assert not list(root(page).iter("form"))
    cashier.shown = of(checkout(Status.OPEN), failed())
    assert "How would you like to pay?" in words(await seen(client, query="?other=1"))
