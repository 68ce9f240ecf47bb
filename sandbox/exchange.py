"""One call of a merchant, answered with whatever faults were asked for: hang-ups, errors, unreadable answers."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final, TypeVar

from aiohttp import web

from sandbox.faults import DEFAULT_ERROR_STATUS, Faults, Occasion
from sandbox.magic import ERROR_AFTER, NOT_FOUND_FIRST, RESET_AFTER

__all__ = ["exchange", "reset_connection"]

MAINTENANCE_PAGE: Final = (
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
)
RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)

Answer = TypeVar("Answer")


def reset_connection(request: web.Request) -> web.Response:
    """Close the caller's TCP connection with a reset; nothing more reaches it."""
    transport = request.transport
    if transport is not None:
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        transport.abort()
    return web.Response(status=DEFAULT_ERROR_STATUS)


async def exchange(
    request: web.Request,
    faults: Faults,
    occasion: Occasion,
    work: Callable[[], Answer],
    render: Callable[[Answer, bool], web.Response],
) -> web.Response:
    """Do the work once and answer it; `render` is told whether to sign wrongly.

    The `_before` faults keep the work from being done, all others leave it done.
    """
    if faults.take("reset_before", occasion):
        return reset_connection(request)
    if error := faults.take("error_before", occasion):
        return _page(error.params["status"])
    answer = work()
    if delay := faults.take("delay", occasion):
        await asyncio.sleep(delay.seconds)
    paying = occasion.operation in ("pay", "refund", "payout")
    if faults.take("reset_after", occasion) or (paying and occasion.amount == RESET_AFTER):
        return reset_connection(request)
    if error := faults.take("error_after", occasion):
        return _page(error.params["status"])
    if paying and occasion.amount in (ERROR_AFTER, NOT_FOUND_FIRST):
        return _page(DEFAULT_ERROR_STATUS)
    response = render(answer, faults.take("wrong_signature", occasion) is not None)
    if garbage := faults.take("garbage", occasion):
        return _spoil(response, garbage.params["body"])
    return response


def _page(status: int) -> web.Response:
    return web.Response(status=status, body=MAINTENANCE_PAGE, content_type="text/html")


def _spoil(response: web.Response, how: str) -> web.Response:
    if how == "html":
        return web.Response(body=MAINTENANCE_PAGE, content_type="text/html")
    body = response.body
    assert isinstance(body, bytes)
    if how == "empty":
        body = b""
    elif how == "truncated":
        body = body[: len(body) // 2]
    else:
        body = b"\xff\xfe" + body.decode(response.charset or "utf-8").encode("utf-16-le")
    return web.Response(body=body, headers={"Content-Type": response.headers["Content-Type"]})
