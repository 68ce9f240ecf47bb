"""Baofoo's open service: BF0001 tells what a merchant has, to an MD5 signature, and signs nothing itself (M)."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import BaofooKeys
from sandbox.provider import Provider

__all__ = ["BalanceDesk"]

PATH: Final = "/baofoo/open-service/query/service.do"
SIGNED: Final = ("member_id", "terminal_id", "return_type", "trans_code", "version", "account_type")
"""In this order, the key after them."""
# Which code refuses what is not public: the payouts' are the nearest.
DONE, PARAMETERS, SIGNATURE, NO_MERCHANT, BUSY = "0000", "0001", "0002", "0202", "0999"
MESSAGES: Final = {
    DONE: "查询成功",
    PARAMETERS: "参数错误",
    SIGNATURE: "签名错误",
    NO_MERCHANT: "商户不存在",
    BUSY: "系统繁忙",
}
BASIC: Final = "1"


class BalanceDesk:
    """The questions about one merchant's balance."""

    def __init__(self, provider: Provider, keys: BaofooKeys) -> None:
        self._provider, self._keys = provider, keys

    def routes(self) -> Iterable[web.RouteDef]:
        """The address of the service."""
        yield web.post(PATH, self._handle)

    async def _handle(self, request: web.Request) -> web.Response:
        refusal = self._refusal(await request.read())
        if refusal is not None:
            return _told(refusal)
        occasion = Occasion("query_balance", "")
        if self._provider.faults.take("maintenance", occasion):
            return _told(BUSY)
        return await exchange(
            request, self._provider.faults, occasion, lambda: self._work(occasion), lambda answer, _: _told(*answer)
        )

    def _refusal(self, raw: bytes) -> str | None:
        try:
            form = dict(parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=10))
        except ValueError:
            return PARAMETERS
        if (form.get("return_type"), form.get("trans_code"), form.get("version"), form.get("account_type")) != (
            "json", "BF0001", "4.0.0", BASIC,
        ):  # fmt: skip
            return PARAMETERS
        if form.get("member_id") != self._keys.member_id:
            return NO_MERCHANT
        text = "&".join([*(f"{name}={form.get(name, '')}" for name in SIGNED), f"key={self._keys.balance_key}"])
        right = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()
        return None if hmac.compare_digest(form.get("sign", ""), right) else SIGNATURE

    def _work(self, occasion: Occasion) -> tuple[str, int | None]:
        if decline := self._provider.faults.take("decline", occasion):
            return str(decline.params["code"]), None
        return DONE, self._provider.balance.now[0]


def _told(code: str, has: int | None = None) -> web.Response:
    content: dict[str, object] = {"trans_head": {"return_code": code, "return_msg": MESSAGES.get(code, "其他")}}
    if has is not None:
        item = {"account_type": BASIC, "balance": f"{has // 100}.{has % 100:02d}"}
        content["trans_reqDatas"] = {"trans_reqData": item}
    text = json.dumps({"trans_content": content}, ensure_ascii=False)
    return web.Response(text=text, content_type="text/html", charset="utf-8")
