"""A payer's browser without a browser: opens forms and pages over HTTP, presses buttons, follows where they lead.

It sends what a browser would by the HTML and URL standards: hidden fields and the pressed button, in the form's
charset, and GET after 302 and 303. No script runs, and nothing is remembered between pages but the address.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
from lxml import html
from yarl import URL

from gateway.run.demo.browser import form_body

__all__ = ["Browser", "Page", "fields_of"]

MAX_STEPS: Final = 10
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser shows: where it is, and what stands there."""

    url: str
    status: int
    content: bytes
    charset: str = "utf-8"

    @property
    def root(self) -> html.HtmlElement:
        return html.fromstring(self.content.decode(self.charset) or "<html></html>")

    @property
    def text(self) -> str:
        """What a person reads, blanks run together."""
        return " ".join("".join(self.root.itertext()).split())

    def buttons(self) -> list[str]:
        """What can be pressed: the value of each button, or its id, or what stands on it."""
        return [_name_of(button) for button in self.root.iter("button")]

    def links(self) -> list[str]:
        return [urljoin(self.url, link.get("href", "")) for link in self.root.iter("a")]


@dataclass(slots=True)
class Browser:
    """Goes through pages one after the other. `sent` keeps each request: method, address, body."""

    session: aiohttp.ClientSession
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def open(self, url: str) -> Page:
        return await self._go("GET", url, b"")

    async def submit(self, url: str, fields: Mapping[str, str], method: str = "POST", charset: str = "utf-8") -> Page:
        """A form: what the charset lacks is written as `&#…;`, a line's end as CR LF."""
        said = form_body(fields, charset)
        if method == "GET":
            return await self._go("GET", urlunsplit((*urlsplit(url)[:3], said, "")), b"")
        return await self._go("POST", url, said.encode("ascii"))

    async def press(self, page: Page, name: str, typed: Mapping[str, str] | None = None, nth: int = 0) -> Page:
        """Press a button of a page, the nth of that name (`buttons`), having typed or chosen something."""
        button = [each for each in page.root.iter("button") if _name_of(each) == name][nth]
        form = next(each for each in button.iterancestors("form"))
        fields = fields_of(form) | dict(typed or {})
        if button.get("name"):
            fields[button.get("name", "")] = button.get("value", "")
        action = urljoin(page.url, form.get("action", ""))
        charset = form.get("accept-charset", page.charset)
        return await self.submit(action, fields, form.get("method", "get").upper(), charset)

    async def _go(self, method: str, url: str, body: bytes) -> Page:
        for _ in range(MAX_STEPS):
            self.sent.append((method, url, body))
            async with self.session.request(
                method, URL(url, encoded=True), data=body or None, headers=FORM if body else {}, allow_redirects=False
            ) as answer:
                content, charset = await answer.read(), answer.charset or "utf-8"
            if answer.status not in {301, 302, 303, 307, 308}:
                return Page(url, answer.status, content, charset)
            url = urljoin(url, answer.headers["Location"])
            if answer.status in {301, 302, 303}:
                method, body = "GET", b""
        raise AssertionError("a chain of redirects without end")


def fields_of(form: html.HtmlElement) -> dict[str, str]:
    """What a browser sends of a form as it stands there."""
    fields = {}
    for each in form.iter("input", "select"):
        name, off = each.get("name"), each.get("disabled") is not None
        if not name or off or (each.get("type") == "radio" and each.get("checked") is None):
            continue
        fields[name] = each.value if each.tag == "select" else each.get("value", "")
    return fields


def _name_of(button: html.HtmlElement) -> str:
    return str(button.get("value") or button.get("id") or " ".join(button.itertext()).strip())
