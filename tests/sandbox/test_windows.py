"""The sandbox's pages for people: which companies there are, every SMS, and what each company really did.

Not tested here: the JSON of the control API, and how the pages look (`test_sites.py`).
"""

import pytest

from sandbox import windows
from sandbox.windows import NAMES
from tests.browsing import Page
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, PHONE, Sandbox, codes

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OTHER_PHONE = "13900002222"


@pytest.fixture(scope="module")
async def sandbox(start_shared: Start) -> Sandbox:
    """Whose orders stay in process: pages that are compared show the same."""
    return await start_shared(processing_delay_s=600.0)


@pytest.fixture
async def unused(start: Start) -> Sandbox:
    return await start()


async def page(sandbox: Sandbox, path: str, **headers: str) -> Page:
    async with sandbox.session.get(f"{sandbox.address}{path}", headers={**HTML, **headers}) as answer:
        assert answer.content_type == "text/html"
        return Page(str(answer.url), answer.status, await answer.read())


def rows(shown: Page) -> list[list[str]]:
    """What stands in the table of a page, row by row."""
    return [
        [" ".join(" ".join(cell.itertext()).split()) for cell in row.iter("td")]
        for row in shown.root.xpath("//tbody/tr")
    ]


async def test_the_first_page_names_every_company_and_leads_to_its_books(unused: Sandbox) -> None:
    assert "1 笔" not in (await page(unused, "/")).text
    await unused.unionpay.open()
    first = await page(unused, "/_sandbox")
    assert "1 笔" in first.text
    assert {chinese for chinese, _ in NAMES.values()} <= set(first.text.replace("有付款页面", "").split())
    links = [link for link in first.links() if "provider=" in link]
    _, health = await unused.control("GET", "health")
    assert [link.rpartition("=")[2] for link in links] == list(health["orders"])
    assert NAMES.keys() <= health["orders"].keys()
    [opened] = [link for link in links if link.endswith("=unionpay")]
    assert len(rows(await page(unused, opened.removeprefix(unused.address)))) == 1


async def test_every_sms_is_shown_newest_first_with_a_code_to_type(sandbox: Sandbox) -> None:
    bank, tlt = sandbox.unionpay, sandbox.allinpay
    opening, signing = bank.number(), tlt.number()
    await bank.send(bank.opening_sms(opening))
    await tlt.send(tlt.signing_sms(signing, phone=OTHER_PHONE))
    sent = {sms["order_no"]: sms["code"] for sms in [*await sandbox.inbox(), *await sandbox.inbox(OTHER_PHONE)]}
    shown = rows(await page(sandbox, "/_sandbox/sms"))
    assert [[*row[:4], row[5]] for row in shown[:2]] == [
        [sent[signing], "签约", OTHER_PHONE, "通联", signing],
        [sent[opening], "签约", PHONE, "银联", opening],
    ]
    of_one = await page(sandbox, f"/_sandbox/sms?phone=%20{PHONE}%20")
    assert {row[2] for row in rows(of_one)} == {PHONE}
    assert of_one.root.get_element_by_id("phone").get("value") == PHONE


async def test_programs_that_ask_for_the_sms_get_json_as_ever(sandbox: Sandbox) -> None:
    for accepted in ("*/*", "application/json"):
        async with sandbox.session.get(f"{sandbox.address}/_sandbox/sms", headers={"Accept": accepted}) as answer:
            assert answer.content_type == "application/json"
            assert set(await answer.json()) == {"sms"}


async def test_the_books_show_what_was_done_and_how_often_it_was_asked_for(sandbox: Sandbox) -> None:
    bank, tlt = sandbox.unionpay, sandbox.allinpay
    await bank.open()
    once, twice = tlt.number(), bank.number()
    assert codes(await tlt.send(tlt.collecting(once, 123_456))) == ["0000", "0000"]
    for _ in range(2):
        await bank.send(bank.withholding(twice, 980_100))
    everything = rows(await page(sandbox, "/_sandbox/books"))
    assert [row[6].split()[0] for row in everything[:2]] == [twice, once]
    [of_bank] = [row for row in rows(await page(sandbox, "/_sandbox/books?provider=unionpay")) if twice in row[6]]
    assert of_bank[1:4] == ["银联", "代扣", "9,801.00"]
    assert of_bank[4].startswith("处理中")
    assert of_bank[5] == "2"
    [of_tlt] = [row for row in rows(await page(sandbox, "/_sandbox/books?provider=allinpay")) if once in row[6]]
    assert of_tlt[1:6] == ["通联", "代收", "1,234.56", "成功", "1"]
    assert CARD not in (await page(sandbox, "/_sandbox/books")).text


async def test_a_company_that_there_is_not_means_all_of_them(sandbox: Sandbox) -> None:
    async def shown(path: str) -> Page:
        return await page(sandbox, f"/_sandbox/books{path}")

    nobody = await shown("?provider=%3Cimg%20src%3Dx%3E")
    assert rows(nobody) == rows(await shown(""))
    assert not [*nobody.root.iter("img")]
    assert [link.get("aria-current") for link in nobody.root.xpath("//ul/li/a")].count("true") == 1


async def test_what_is_asked_for_is_shown_as_text(unused: Sandbox) -> None:
    shown = await page(unused, "/_sandbox/sms?phone=%22%3E%3Cimg%20src%3Dx%3E&lang=%22%3E%3Cimg%3E")
    assert shown.root.get_element_by_id("phone").get("value") == '"><img src=x>'
    assert not [*shown.root.iter("img")]
    assert "这个手机没有收到短信" in shown.text


async def test_where_there_is_nothing_yet_a_page_says_what_to_do(unused: Sandbox) -> None:
    assert "还没有短信" in (await page(unused, "/_sandbox/sms")).text
    assert "付一笔款" in (await page(unused, "/_sandbox/books")).text


async def test_a_long_list_says_what_it_leaves_out(unused: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MOST_SHOWN", 2)
    tlt = unused.allinpay
    for _ in range(3):
        await tlt.send(tlt.signing_sms(tlt.number()))
        await tlt.collect(tlt.number())
    for path, says in (("sms", "更早的 1 条没有显示"), ("books", "更早的 1 笔没有显示")):
        shown = await page(unused, f"/_sandbox/{path}")
        assert (len(rows(shown)), says in shown.text) == (2, True)
