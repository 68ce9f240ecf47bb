"""Templates to bytes, and what a page may load and post to."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.domain.redirects import Form
from gateway.domain.return_urls import origin_of

__all__ = ["STATIC", "Language", "page_headers", "rendered", "static_file"]

Language = Literal["zh", "en"]

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
STATIC: Final = frozenset({"page.css", "go.js"})
"""The files that pages load, by name."""

_OWN: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "frame-ancestors 'none'; form-action "
)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gateway.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rendered(template: str, language: Language, *, charset: str = "utf-8", **values: Any) -> bytes:
    """A page in a charset; what that lacks of our own words goes as a character reference."""
    text = _environment().get_template(template).render(language=language, charset=charset, **values)
    return text.encode(charset, "xmlcharrefreplace")


def page_headers(charset: str = "utf-8", form: Form | None = None) -> Mapping[str, str]:
    """What a page says of itself. Only one that brings its payer to a PSP posts elsewhere: `form`."""
    # Browsers apply it to the redirects behind a form, too: a bank's page stands at the end of them.
    target = "'self'" if form is None else f"https: {origin_of(form.url)}"
    return {
        "Content-Type": f"text/html; charset={charset}",
        "Content-Security-Policy": f"{_OWN}{target}",
    }


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """A file of `STATIC`, and its type."""
    data = resources.files("gateway.pages").joinpath("static", name).read_bytes()
    return data, _TYPES[name.rpartition(".")[2]]
