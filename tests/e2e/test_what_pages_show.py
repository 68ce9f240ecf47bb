"""What payers are shown and their browsers handed: charsets, texts of others of which nothing runs, addresses."""

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from gateway.domain.catalogue_content import MerchantContent
from tests.browsing import Browser
from tests.e2e.business import App
from tests.e2e.on_pages import OFTEN, WAYS, Way, asked_for, follow, open_page, paged_app, run_out
from tests.e2e.world import World

EACH = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
NETBANK = WAYS["netbank"]
MARKUP = "\"><img src=x onerror=alert(1)></script><b>x</b>';alert(1)//{{7*7}}${7*7}"


async def test_what_the_browser_posts_to_yeepay_is_what_was_signed(world: World, patient: App) -> None:
    """In GBK, which lacks the last character: it was replaced before it was signed."""
    visit = await open_page(world, patient, NETBANK, description='测试 "A&B" 𠮷')
    form = visit.payment["next_action"]["form"]
    assert (form["charset"], form["method"], form["fields"]["p5_Pid"]) == ("gbk", "POST", '测试 "A&B" ?')
    ours = await visit.browser.open(visit.payment["next_action"]["url"])
    assert (ours.charset, next(ours.root.iter("meta")).get("charset")) == ("gbk", "gbk")
    [body] = [body for method, url, body in visit.browser.sent if method == "POST"]
    posted = parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding="gbk", errors="strict")
    # An app that posts the form itself posts the same.
    assert posted == list(form["fields"].items())
    assert '测试 "A&B" ?' in visit.bill.text


@EACH
async def test_a_page_is_the_same_however_often_it_is_opened(world: World, patient: App, way: Way) -> None:
    payment = await asked_for(world, patient, way)
    url = payment["next_action"]["url"]
    first, second = [await Browser(world.session).open(url) for _ in range(2)]
    assert first.content == second.content
    [form] = first.root.forms
    shown = {each.get("name"): each.get("value") for each in form.iter("input")}
    again = (await patient.payment(payment["id"]))["next_action"]["form"]
    assert again == payment["next_action"]["form"]
    assert (shown, form.get("action")) == (again["fields"], again["action"])
    bills = [await follow(world, way, payment) for _ in range(2)]
    assert bills[0].bill.url == bills[1].bill.url


@EACH
async def test_texts_of_others_are_shown_as_they_are_and_nothing_of_them_runs(
    world: World, marked_up: App, way: Way
) -> None:
    user = f"{MARKUP[:30]} {world.number()}"
    visit = await open_page(world, marked_up, way, description=MARKUP, user_id=user)
    ours = await visit.browser.open(visit.payment["next_action"]["url"])
    assert MARKUP in ours.text
    told = user if way.provider == "lanmao" else MARKUP[:20]
    assert told in visit.bill.text
    for page in (ours, visit.bill):
        assert not list(page.root.iter("img", "b"))
        assert len(list(page.root.iter("script"))) == (1 if page is ours else 0)
    await visit.browser.press(visit.bill, "pay")
    assert (await marked_up.final(visit.payment["id"]))["status"] == "succeeded"


@pytest.fixture(scope="session")
async def marked_up(world: World) -> App:
    """A merchant whose name is markup; it asks often."""
    return await paged_app(world, asks=OFTEN, name=MARKUP)


async def test_only_the_page_that_brings_there_may_post_elsewhere(world: World, patient: App) -> None:
    payment = await asked_for(world, patient, NETBANK, return_url=None)
    url = payment["next_action"]["url"]
    going = (await world.call("GET", url)).headers
    origin = "/".join(payment["next_action"]["form"]["action"].split("/")[:3])
    assert going["Content-Security-Policy"].endswith(f"form-action https: {origin}")
    await run_out(world, patient, payment)
    await patient.final(payment["id"])
    for other in (url, f"{world.gateway}/return/nobody.x"):
        told = (await world.call("GET", other)).headers
        assert told["Content-Security-Policy"].endswith("form-action 'self'")
        assert "'unsafe" not in told["Content-Security-Policy"]
        assert (told["Referrer-Policy"], told["Cache-Control"]) == ("no-referrer", "no-store")


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://shop.example/b?o=7", True),
        ("HTTPS://SHOP.EXAMPLE./b", True),
        ("https://shop.example:443/b", True),
        ("https://ｓｈｏｐ.example/b", False),  # in addresses it is written as it is sent
        ("https://shop.example.evil.test/", False),
        ("https://shop.example@evil.test/", False),
        ("https://evil.test/?https://shop.example/", False),
        ("https://shop.example:8443/", False),
        ("https://evilshop.example/", False),
        ("//evil.test", False),
        ("/b", False),
        ("http://shop.example/", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https:\\\\evil.test/", False),
        ("https://evil.test\\@shop.example/", False),
        ("https://shop.example/\r\nSet-Cookie: a=b", False),
        ("", False),
    ],
)
async def test_payers_are_sent_back_to_hosts_of_the_app_alone(
    world: World, shop: App, url: str, is_taken: bool
) -> None:
    order = world.order(scene="netbank_charge", bank="ICBC", card=None, return_url=url)
    answer = await shop.call("POST", "/v1/charges", order)
    if is_taken:
        assert answer.status == 201, answer.raw
        return
    assert answer.status == 422, answer.raw
    assert [error["field"] for error in answer.body["errors"]] == ["return_url"]


@pytest.fixture(scope="session")
async def shop(world: World) -> App:
    """Its payers may be sent to shop.example."""

    def change(merchant: MerchantContent) -> MerchantContent:
        return replace(merchant, apps=tuple(replace(app, return_hosts=("shop.example",)) for app in merchant.apps))

    return await world.merchant(change)
