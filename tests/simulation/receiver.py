"""A business system that takes notifications, and believes only what is signed and of this time."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from aiohttp import web

__all__ = ["Receiver"]

MAX_AGE_S: Final = 300
"""By Standard Webhooks; it has no clock of its own, but the stage's."""


@dataclass
class Receiver:
    """What arrived, in turn."""

    secret: str
    now: Callable[[], datetime]
    address: str = ""
    arrived: list[bytes] = field(default_factory=list)
    refused: int = 0
    """What it did not believe."""
    fails: int = 0
    """How many it will answer as if it were broken."""

    def app(self) -> web.Application:
        """It, as an application."""
        app = web.Application()
        app.router.add_post("/notifications", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._is_genuine(request, body):
            self.refused += 1
            return web.Response(status=401)
        if self.fails:
            self.fails -= 1
            return web.Response(status=500)
        self.arrived.append(body)
        return web.Response(status=204)

    def _is_genuine(self, request: web.Request, body: bytes) -> bool:
        """Whether it is signed as Standard Webhooks 1.0.0 says: HMAC-SHA256 over id, time and body."""
        name, sent_at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        right = hmac.new(key, f"{name}.{sent_at}.".encode() + body, hashlib.sha256).digest()
        given = [part.partition(",")[2] for part in request.headers["webhook-signature"].split()]
        try:
            signed = any(hmac.compare_digest(base64.b64decode(each), right) for each in given)
        except binascii.Error:
            return False
        return signed and abs(self.now().timestamp() - int(sent_at)) < MAX_AGE_S
