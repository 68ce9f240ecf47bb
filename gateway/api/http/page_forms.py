"""Forms that our own pages post: whose they are, and what stands in them.

Pages whose address is a secret send no referrer, so browsers post their forms with `Origin: null`, and some in-app
browsers without any: what such a form must have is its token. A page of somebody else cannot know that; and a foreign
origin is refused with a right token, too. https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
"""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs

from gateway.api.http.problems import of_status
from gateway.api.http.routing import Call
from gateway.domain.return_urls import origin_of

__all__ = ["FORM_TOKEN", "checked_form"]

FORM_TOKEN: Final = "form_token"  # noqa: S105 -- the name of a field
URLENCODED: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 64
_SITE: Final = "Sec-Fetch-Site"
_HIDDEN: Final = "null"


def checked_form(call: Call, expected_token: str, own_base: str) -> Mapping[str, str]:
    """The fields of a form of ours. `own_base`: an address of ours, as browsers reach us.

    Raises a 403 problem for a form that is not ours, 415 for another type, 400 for what cannot be read.
    """
    if not _may_be_ours(call, own_base):
        raise of_status(403)
    fields = _read(call)
    if not hmac.compare_digest(fields.get(FORM_TOKEN, "").encode(), expected_token.encode()):
        raise of_status(403)
    return fields


def _may_be_ours(call: Call, own_base: str) -> bool:
    headers = call.request.headers
    if "cross-site" in headers.getall(_SITE, []):
        return False
    origins = headers.getall(hdrs.ORIGIN, [])
    if origins in ([], [_HIDDEN]):
        return True
    return len(origins) == 1 and _is_own(origins[0], call.request.host, own_base)


def _is_own(origin: str, host: str, own_base: str) -> bool:
    """The public address, or the one that this very request was sent to (a proxy may have another scheme)."""
    try:
        if origin_of(origin) == origin_of(own_base):
            return True
        scheme, _, _ = origin.partition("://")
        return scheme in {"http", "https"} and origin_of(origin) == origin_of(f"{scheme}://{host}")
    except ValueError:
        return False


def _read(call: Call) -> Mapping[str, str]:
    request = call.request
    if request.content_type != URLENCODED or (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise of_status(415)
    try:
        pairs = parse_qsl(call.raw.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict",
                          max_num_fields=MAX_FIELDS)  # fmt: skip
    except ValueError:  # not ASCII, not UTF-8, too many fields
        raise of_status(400) from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise of_status(400)
    return fields
