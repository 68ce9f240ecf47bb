"""Answers that are sent piece by piece, as they are made."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, cast

from aiohttp import hdrs, web

from gateway.api.http.request_log import REQUEST_ID_KEY
from gateway.api.http.routing import Reply
from gateway.logs import get

__all__ = ["SENT_WITHIN_S", "sent_in_pieces"]

SENT_WITHIN_S: Final = 1800.0
"""How long a client may take to read all of it."""

_log = get(__name__)


async def sent_in_pieces(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Send an answer whose body is an iterator of bytes. What is raised before its first piece is a problem as any;
    after that the connection is cut, so that nobody takes a part for the whole."""
    pieces = cast("AsyncIterator[bytes]", reply.body)
    headers = {hdrs.CONTENT_TYPE: reply.content_type, "X-Request-Id": request[REQUEST_ID_KEY], **reply.headers}
    if request.method == hdrs.METH_HEAD:
        return web.Response(status=reply.status, headers=headers)
    first = await anext(pieces, b"")
    response = web.StreamResponse(status=reply.status, headers=headers)
    await response.prepare(request)
    try:
        async with asyncio.timeout(SENT_WITHIN_S):
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
    except Exception as error:  # noqa: BLE001 -- whatever it is, the answer has begun and cannot become another one
        if not isinstance(error, ConnectionError):
            _log.warning("an answer was cut in the middle", error_type=type(error).__name__, exc_info=error)
        if request.transport is not None:
            request.transport.abort()
    return response
