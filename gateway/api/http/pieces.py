"""Answers that are sent in pieces as they come, such as a table of any length: never whole in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

from aiohttp import hdrs, web

from gateway.api.http.request_log import REQUEST_ID_KEY
from gateway.api.http.routing import Reply

__all__ = ["PIECE_WITHIN_S", "sent_in_pieces"]

REQUEST_ID: Final = "X-Request-Id"
PIECE_WITHIN_S: Final = 30.0
"""A caller who takes no piece for so long is left: what the pieces are read from is not held for ever."""


async def sent_in_pieces(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Send a reply whose body is an asynchronous generator of bytes.

    What goes wrong before the first piece is answered as ever. After it the answer has begun: it is cut off, so that
    nobody takes a part for the whole. A caller who goes away ends it, and is no error.
    """
    # What stands around every answer names it too late for one that has begun.
    headers = {hdrs.CONTENT_TYPE: reply.content_type, REQUEST_ID: request[REQUEST_ID_KEY], **reply.headers}
    async with aclosing(cast("Any", reply.body)) as pieces:
        first = await anext(pieces, b"")
        response = web.StreamResponse(status=reply.status, headers=headers)
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            await _send(response, first, pieces)
        except (ConnectionError, TimeoutError):
            _cut(request)
        except BaseException:
            _cut(request)
            raise
    return response


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _send(response: web.StreamResponse, first: bytes, pieces: AsyncIterator[bytes]) -> None:
    await _write(response, first)
    async for piece in pieces:
        await _write(response, piece)
    async with asyncio.timeout(PIECE_WITHIN_S):
        await response.write_eof()


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(PIECE_WITHIN_S):
        await response.write(piece)
