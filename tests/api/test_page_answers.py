"""Where people look, a problem is a page: in their language, saying what to do. And what pages load is kept for good.

Not here: single payers' pages (tests/unit/api), how they look (tests/pages).
"""

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.application import build_app
from gateway.pages.static_files import STATIC, address_of, static_file
from tests.api.client import Client
from tests.api.fakes import FakeGateway

ZH = {"Accept-Language": "zh-TW,zh;q=0.9"}


class NoPages:
    """Knows no page."""

    async def of_token(self, _: str) -> None:
        return None


@pytest.fixture
async def client(gateway: FakeGateway) -> AsyncIterator[Client]:
    app = build_app(replace(gateway.api(), redirects=cast("Any", NoPages())))
    async with TestClient(TestServer(app)) as http:
        yield Client(http)


@pytest.mark.parametrize("path", ["/pay/nobody", "/pay/nobody/more", "/checkout/x/y/z", "/return/"])
async def test_what_is_not_there_is_a_page_for_people(client: Client, path: str) -> None:
    english, chinese = await client.get(path, key=None), await client.send("GET", path, key=None, headers=ZH)
    if path == "/return/":
        assert english.problem["code"] == "not_found"
        return
    for page, language, words in ((english, b'lang="en"', "merchant"), (chinese, b'lang="zh-CN"', "商户")):
        assert page.status == 404
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Request-Id"]
        assert language in page.body
        assert words in page.body.decode()


async def test_the_language_that_was_chosen_goes_before_the_browsers(client: Client) -> None:
    page = (await client.send("GET", "/pay/nobody?stay=1&lang=en", key=None, headers=ZH)).body.decode()
    assert '<html lang="en">' in page
    assert 'href="/pay/nobody?stay&amp;lang=zh"' in page
    for odd in ("lang=fr", "lang=zh&lang=en", "lang=", "lang=%22%3E"):
        page = (await client.send("GET", f"/pay/nobody?{odd}", key=None, headers=ZH)).body.decode()
        assert '<html lang="zh-CN">' in page
        assert 'href="/pay/nobody?lang=en"' in page


async def test_a_method_that_a_page_does_not_take_is_refused_by_a_page(client: Client) -> None:
    answer = await client.send("DELETE", "/pay/nobody", key=None)
    assert (answer.status, answer.headers["Content-Type"]) == (405, "text/html; charset=utf-8")
    assert 'href="/pay/nobody"' in answer.body.decode()


async def test_apps_are_still_told_problems(client: Client) -> None:
    for path in ("/v1/nothing", "/pages/nothing.js", "/pay", "/checkout"):
        assert (await client.get(path)).problem["code"] == "not_found"


async def test_files_are_kept_for_good_under_the_name_of_what_is_in_them(client: Client) -> None:
    for name in sorted(STATIC):
        plain = await client.send("GET", address_of(name), key=None, headers={"Accept-Encoding": "identity"})
        assert plain.status == 200
        assert plain.body == static_file(name).content
        assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert plain.headers["Vary"] == "Accept-Encoding"
        assert plain.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_page_of_another_version_gets_the_file_and_does_not_keep_it(client: Client) -> None:
    for asked in ("/pages/page.css", "/pages/page.css?v=0123456789ab"):
        answer = await client.get(asked, key=None)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")


async def test_files_are_sent_compressed_to_who_takes_that(client: Client) -> None:
    address = address_of("page.css")
    async with client.http.request("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert await answer.read() == static_file("page.css").content
    assert len(gzip.compress(static_file("page.css").content)) < 5000
