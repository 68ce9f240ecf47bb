"""Answers that people see: pages in their language, and what a page says in place of a problem."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import hdrs, web

from gateway.api.http.language import Language, preferred_language
from gateway.api.http.problems import Problem
from gateway.api.http.routing import Reply
from gateway.pages.refusals import refusal_words
from gateway.pages.rendering import page_headers, rendered
from gateway.pages.wording import other_language, said

__all__ = ["HTML", "LANGUAGE", "is_page", "page", "page_language", "refusal_page", "switch_of"]

HTML: Final = "text/html; charset=utf-8"
LANGUAGE: Final = "lang"
"""The parameter by which a page keeps the language that somebody chose."""
_PLACES: Final = frozenset({"checkout", "pay", "return"})
"""Below these addresses everything is for people, also what is not there."""
_KEPT: Final = ("back", "other", "stay")
"""Parameters that say which page shows: it is the same one in the other language."""
_OPENS_AGAIN: Final = frozenset({"checkout", "pay"})


def chosen_language(request: web.BaseRequest) -> Language | None:
    """The language that the address names."""
    match request.query.getall(LANGUAGE, []):
        case ["zh"]:
            return "zh"
        case ["en"]:
            return "en"
    return None


def page_language(request: web.BaseRequest) -> Language:
    """The language that was chosen, else what the browser wishes."""
    return chosen_language(request) or preferred_language(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))


def in_language(address: str, request: web.BaseRequest) -> str:
    """An address of ours that keeps the language which was chosen."""
    chosen = chosen_language(request)
    if chosen is None:
        return address
    return f"{address}{'&' if '?' in address else '?'}{LANGUAGE}={chosen}"


def switch_of(request: web.BaseRequest, language: Language, address: str | None = None) -> str:
    """This page, or the one at an address, in the other language."""
    kept = "".join(f"{name}&" for name in _KEPT if name in request.query)
    return f"{address or request.rel_url.raw_path}?{kept}{LANGUAGE}={other_language(language)}"


def page(
    template: str,
    request: web.BaseRequest,
    language: Language,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Reply:
    """A page in UTF-8."""
    values.setdefault("switch", switch_of(request, language))
    body = rendered(template, language, **values)
    return Reply(body, status, HTML, {**page_headers(), **(headers or {})})


def is_page(request: web.BaseRequest) -> bool:
    """Whether it is a person who sees the answer."""
    first, _, rest = request.rel_url.raw_path.removeprefix("/").partition("/")
    return first in _PLACES and rest != ""


def refusal_page(problem: Problem, request: web.BaseRequest) -> web.Response:
    """A problem, as people are told it."""
    language = page_language(request)
    first, name, *_ = request.rel_url.raw_path.removeprefix("/").split("/")
    again = f"/{first}/{quote(name, safe='%')}" if first in _OPENS_AGAIN and problem.status != 404 else None
    title, text = (said(each, language) for each in refusal_words(problem.status))
    body = rendered("told.html", language, title=title, text=text, merchant=None, amount=None, back=None,
                    again=in_language(again, request) if again else None,
                    switch=switch_of(request, language, again))  # fmt: skip
    return web.Response(status=problem.status, body=body, headers={**problem.headers, **page_headers()})
