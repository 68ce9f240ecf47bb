"""Templates to bytes, and what a page may load and post to."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.domain.redirects import Form
from gateway.domain.return_urls import origin_of
from gateway.pages.static_files import address_of
from gateway.pages.wording import HTML_LANGUAGES, Language, translator, yuan

__all__ = ["Language", "environment", "page_headers", "rendered"]

_OWN: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action "
)
_CAREFUL: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def environment(language: Language) -> Environment:
    """The templates of a language. What they are given is escaped; what they are not given is an error."""
    made = Environment(
        loader=PackageLoader("gateway.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    said = translator(language)
    made.install_gettext_callables(  # type: ignore[attr-defined]  # of the extension
        said, lambda one, many, count: said(one if count == 1 else many), newstyle=True
    )
    made.filters["yuan"] = yuan
    made.globals |= {"static": address_of, "language": language, "html_language": HTML_LANGUAGES[language]}
    return made


def rendered(template: str, language: Language, *, charset: str = "utf-8", **values: Any) -> bytes:
    """A page in a charset; what that lacks of our own words goes as a character reference."""
    text = environment(language).get_template(template).render(charset=charset, **values)
    return text.encode(charset, "xmlcharrefreplace")


def page_headers(charset: str = "utf-8", form: Form | None = None) -> Mapping[str, str]:
    """What a page says of itself. Only one that brings its payer to a PSP posts elsewhere: `form`."""
    # Browsers apply it to the redirects behind a form, too: a bank's page stands at the end of them.
    target = "'self'" if form is None else f"https: {origin_of(form.url)}"
    return {
        **_CAREFUL,
        "Content-Type": f"text/html; charset={charset}",
        "Content-Security-Policy": f"{_OWN}{target}",
    }
