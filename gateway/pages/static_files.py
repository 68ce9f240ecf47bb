"""The files that pages load: named with a hash of what is in them, so that browsers keep them for good."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

__all__ = ["STATIC", "StaticFile", "address_of", "static_file"]

STATIC: Final = frozenset({"go.js", "htmx.min.js", "page.css", "page.js"})
"""By name. One that is not here is not served."""
_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent. `version` changes with what is in it."""

    content: bytes
    compressed: bytes
    content_type: str
    version: str


@cache
def static_file(name: str) -> StaticFile:
    """A file of `STATIC`."""
    content = resources.files("gateway.pages").joinpath("static", name).read_bytes()
    version = hashlib.sha256(content).hexdigest()[:12]
    return StaticFile(content, gzip.compress(content, mtime=0), _TYPES[name.rpartition(".")[2]], version)


def address_of(name: str) -> str:
    """Where a page loads it from."""
    return f"/pages/{name}?v={static_file(name).version}"
