"""The document at /openapi.json and the page that shows it at /docs: Swagger UI from an installed package, no CDN."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import orjson

from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route

__all__ = ["DocsCalls"]

TAGS = ("documentation",)
_CACHED = {"Cache-Control": "public, max-age=3600"}
_POLICY = {
    # The page runs its own scripts only; Swagger UI sets styles inline and draws with data: images.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = b"""window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
_JAVASCRIPT, _CSS, _HTML = "text/javascript; charset=utf-8", "text/css; charset=utf-8", "text/html; charset=utf-8"
_SHIPPED = {"swagger-ui-bundle.js": _JAVASCRIPT, "swagger-ui.css": _CSS}


@dataclass(frozen=True, slots=True)
class DocsCalls:
    """The calls of the documentation. `openapi` is asked once, at the first request."""

    openapi: Callable[[], dict[str, object]]
    _written: list[bytes] = field(default_factory=list)

    def routes(self) -> list[Route]:
        """The routes of the documentation."""
        return [
            Route("GET", "/openapi.json", self.document, "This document", TAGS, scope="none", answers={
                200: Answer(None, "OpenAPI 3.1.", content_type="application/json"),
            }),
            Route("GET", "/docs", self.page, "This document for people", TAGS, scope="none", answers={
                200: Answer(None, "A page.", content_type="text/html"),
            }),
            Route("GET", "/docs/{file}", self.file, "What the page is made of", TAGS, scope="none", answers={
                200: Answer(None, "A script or a style sheet.", content_type="*/*"),
            }, path_about={"file": "its name"}),
        ]  # fmt: skip

    async def document(self, _call: Call) -> Reply:
        if not self._written:
            self._written.append(orjson.dumps(self.openapi()))
        return Reply(self._written[0], headers={"Cache-Control": "no-cache"})

    async def page(self, _call: Call) -> Reply:
        return Reply(_PAGE, content_type=_HTML, headers=_POLICY)

    async def file(self, call: Call) -> Reply:
        name = call.path["file"]
        if name == "start.js":
            return Reply(_START, content_type=_JAVASCRIPT, headers=_CACHED)
        if name not in _SHIPPED:
            raise not_found("file")
        return Reply(await asyncio.to_thread(_shipped, name), content_type=_SHIPPED[name], headers=_CACHED)


@cache
def _shipped(name: str) -> bytes:
    # Found without being imported: the package would bring a template engine along.
    package = find_spec("swagger_ui")
    if package is None or package.origin is None:
        raise not_found("file")
    return (Path(package.origin).parent / "static" / name).read_bytes()
