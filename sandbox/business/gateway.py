"""Calls of the gateway's API: one, that asks for a checkout."""

from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.business.orders import Order

__all__ = ["Access", "Gateway", "Opened", "Refused", "read_address"]

TIMEOUT: Final = ClientTimeout(total=10.0, connect=3.0)
MAX_ANSWER_BYTES: Final = 256 * 1024
MAX_DETAIL: Final = 300
MAX_WAIT_S: Final = 3600

Reason = Literal["away", "busy", "key", "conflict", "refused", "no_checkouts"]


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """Where the gateway is, without a slash at the end, and the app's key."""

    address: str
    key: str

    @property
    def origin(self) -> str:
        """Its scheme, host and port."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"


def read_address(text: str) -> str:
    """A gateway's address in one form. Raises ValueError."""
    parts = urlsplit(text)
    is_plain = not (parts.query or parts.fragment or parts.username) and text.isascii() and text.isprintable()
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0 or not is_plain or " " in text:
        raise ValueError("must be an http(s) address: http://127.0.0.1:8080")
    return text.rstrip("/")


@dataclass(frozen=True, slots=True)
class Opened:
    """The order's page at the gateway: whoever has the address may pay, so it is kept nowhere."""

    url: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no page. `away`: it did not answer, or not readably; the order may or may not be known there.

    `detail`: what the gateway said. `wait_s`: after how many seconds it wants to be asked again.
    """

    reason: Reason
    detail: str = ""
    wait_s: int | None = None


class Gateway:
    """Asks for checkouts. Asking again for the same order gives the same one."""

    def __init__(self, access: Access, session: ClientSession) -> None:
        self._url = f"{access.address}/v1/checkouts"
        self._key, self._session = access.key, session

    async def open(self, order: Order, language: str) -> Opened | Refused:
        """The page where this order is paid, or its card signed. `language` is that of what it refuses with."""
        headers = {"Authorization": f"Bearer {self._key}", "Accept-Language": language}
        try:
            async with self._session.post(
                self._url, json=_asked(order), headers=headers, timeout=TIMEOUT, allow_redirects=False
            ) as answer:
                said = await answer.content.read(MAX_ANSWER_BYTES)
                while not answer.content.at_eof() and len(said) < MAX_ANSWER_BYTES:
                    said += await answer.content.read(MAX_ANSWER_BYTES - len(said))
                return _read(answer.status, answer.headers.get("Retry-After", ""), said)
        except (ClientError, TimeoutError, OSError):
            return Refused("away")


def _asked(order: Order) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "merchant_order_no": order.order_no,
        "user_id": order.user_id,
        "purpose": "sign" if order.kind == "sign" else "pay",
        "description": order.description,
        "return_url": order.return_url,
    }
    if order.amount is not None:
        asked |= {"amount": order.amount, "currency": "CNY"}
    return asked


def _read(status: int, retry_after: str, said: bytes) -> Opened | Refused:
    try:
        body = orjson.loads(said)
    except orjson.JSONDecodeError:
        body = None
    told = body if isinstance(body, dict) else {}
    if status in {200, 201}:
        url = told.get("url")
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            return Opened(url)
        return Refused("away")
    detail = str(told.get("detail") or told.get("title") or "")[:MAX_DETAIL]
    wait_s = min(int(retry_after), MAX_WAIT_S) if retry_after.isdecimal() else None
    if status in {429, 503}:
        return Refused("busy", detail, wait_s)
    reasons: dict[int, Reason] = {401: "key", 403: "key", 404: "no_checkouts", 405: "no_checkouts", 409: "conflict"}
    if status in reasons:
        return Refused(reasons[status], detail)
    return Refused("refused", detail) if 400 <= status < 500 else Refused("away", detail)
