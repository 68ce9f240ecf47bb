"""A site of several pages for people: a language, one look for light and dark, and what a page may load.

A page is whole without script. With it, `live.js` keeps the part marked `data-live` as it is now.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final, Literal

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from yarl import URL

from sandbox.pages.render import TEMPLATES, yuan

__all__ = ["Language", "Site", "language_of", "wants_page"]

Language = Literal["zh", "en"]

STATIC: Final = {"site.css": "text/css", "live.js": "text/javascript"}
FOLDER: Final = Path(__file__).parent / "static"
BEIJING: Final = timezone(timedelta(hours=8))
MAX_HEADER: Final = 500
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)


def language_of(request: web.Request) -> Language:
    """What the address asks for (`lang`), else what the browser prefers, else Chinese."""
    asked = request.query.get("lang")
    if asked is not None:
        return "en" if asked == "en" else "zh"
    best: tuple[float, Language] = (0.0, "zh")
    for wish in request.headers.get("Accept-Language", "")[:MAX_HEADER].split(","):
        name, _, quality = wish.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        tag = name.strip().lower()[:2]
        if weight > best[0] and tag in {"zh", "en"}:
            best = weight, "en" if tag == "en" else "zh"
    return best[1]


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks, and not a program: those that take anything get JSON."""
    return "text/html" in request.headers.get("Accept", "")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(BEIJING).strftime("%m-%d %H:%M:%S")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(BEIJING).strftime("%Y-%m-%d")


class Site:
    """Pages of one program, by its templates, which extend `site.html`. `static`: where the look is served.

    `posts_to`: origins beside its own that answers to its forms may lead to.
    """

    def __init__(self, templates: Path, static: str, posts_to: Iterable[str] = ()) -> None:
        self._static = static
        self._headers = {
            "Content-Security-Policy": " ".join([POLICY, *posts_to]),
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept, Accept-Language",
        }
        self._templates = Environment(
            loader=FileSystemLoader([templates, TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(yuan=yuan, clock=_clock, day=_day)

    def routes(self) -> Iterable[web.RouteDef]:
        """Where the look is served."""
        return [web.get(f"{self._static}/{name}", self._look) for name in STATIC]

    def page(self, request: web.Request, template: str, status: int = 200, **values: object) -> web.Response:
        """A page in the visitor's language, every value escaped.

        In templates `t(chinese, english)` is a text, `to(path, name=value)` an address of this site.
        """
        language = language_of(request)
        chosen = {"lang": language} if "lang" in request.query else {}
        # What a form was answered with stands at no address of its own.
        here = request.rel_url if request.method in {"GET", "HEAD"} else URL("/").with_query(chosen)
        text = self._templates.get_template(template).render(
            t=lambda chinese, english: chinese if language == "zh" else english,
            to=lambda path, **query: str(URL(path).update_query({**chosen, **query})),
            language=language,
            here=str(here),
            in_chinese=str(here.update_query(lang="zh")),
            in_english=str(here.update_query(lang="en")),
            static=self._static,
            **values,
        )
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=self._headers)

    async def _look(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        return web.Response(
            body=(FOLDER / name).read_bytes(),
            content_type=STATIC[name],
            charset="utf-8",
            headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"},
        )
