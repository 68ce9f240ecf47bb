"""Templates of this folder as pages. No script runs in them, wherever it may come from."""

from pathlib import Path
from typing import Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["page", "yuan"]

TEMPLATES: Final = Path(__file__).parent / "templates"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def yuan(fen: int) -> str:
    """`1,234.50`: as banks show it."""
    return f"{fen // 100:,}.{fen % 100:02}"


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_TEMPLATES.filters["yuan"] = yuan


def page(template: str, status: int = 200, **values: object) -> web.Response:
    """A page from a template, every value escaped."""
    text = _TEMPLATES.get_template(template).render(**values)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=HEADERS)
