"""A payer's browser, as far as a demonstration needs one: it brings forms, presses buttons and follows where they lead.

It does what the HTML standard says of forms without script; pages are read with the standard library.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote_plus, urljoin

import aiohttp
from yarl import URL

__all__ = ["Page", "form_body", "open_page", "press"]

MAX_STEPS: Final = 10
BY_GET: Final = frozenset({301, 302, 303})
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(slots=True)
class _Form:
    action: str
    method: str
    charset: str | None
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, str] = field(default_factory=dict)
    """What each is called here → the field that it is sent as, or ""."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser shows: where it is, and the forms that stand there."""

    url: str
    charset: str
    forms: tuple[_Form, ...]

    def offers(self, button: str) -> bool:
        """Whether there is such a button: it is called by its value, its id, or "" where it has neither."""
        return any(button in form.buttons for form in self.forms)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            form = _Form(told.get("action", ""), told.get("method", "get").upper(), told.get("accept-charset"))
            self.forms.append(form)
        elif self.forms and tag == "input" and "name" in told:
            self.forms[-1].fields[told["name"]] = told.get("value", "")
        elif self.forms and tag == "button":
            self.forms[-1].buttons[told.get("value") or told.get("id", "")] = told.get("name", "")


async def open_page(session: aiohttp.ClientSession, url: str) -> Page:
    """The page at an address."""
    return await _go(session, "GET", url, b"")


async def press(session: aiohttp.ClientSession, page: Page, button: str) -> Page:
    """Press a button that the page offers: its form goes out in its charset."""
    form = next(each for each in page.forms if button in each.buttons)
    charset, name = form.charset or page.charset, form.buttons[button]
    fields = form.fields | ({name: button} if name else {})
    said = form_body(fields, charset)
    url = urljoin(page.url, form.action)
    if form.method == "GET":
        return await _go(session, "GET", str(URL(url, encoded=True).with_query(None)) + "?" + said, b"")
    return await _go(session, "POST", url, said.encode("ascii"))


def form_body(fields: Mapping[str, str], charset: str) -> str:
    """A form as browsers send it: what the charset lacks is written as `&#…;`, the end of a line as CR LF."""

    def written(text: str) -> str:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        return quote_plus(lines.encode(charset, "xmlcharrefreplace"), safe="*")

    return "&".join(f"{written(name)}={written(value)}" for name, value in fields.items())


async def _go(session: aiohttp.ClientSession, method: str, url: str, body: bytes) -> Page:
    for _ in range(MAX_STEPS):
        headers = FORM if body else {}
        to = URL(url, encoded=True)
        async with session.request(method, to, data=body or None, headers=headers, allow_redirects=False) as answer:
            content, charset = await answer.read(), answer.charset or "utf-8"
            where = answer.headers.get("Location")
        if where is None:
            reader = _Reader()
            reader.feed(content.decode(charset, "replace"))
            return Page(url, charset, tuple(reader.forms))
        url = urljoin(url, where)
        if answer.status in BY_GET:
            method, body = "GET", b""
    raise aiohttp.TooManyRedirects(answer.request_info, ())
