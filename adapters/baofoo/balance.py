"""What a merchant has at Baofoo (BF0001 of its open service), in yuan: the basic account.

Sources: clients that follow Baofoo's demo and agree with each other (M). The question is signed with an MD5 key of its
own, which belongs to a terminal of net-bank payments. The answer has no signature: it is believed on the connection
that it came on, and moves nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from adapters.account import base_url, secret, setting
from adapters.baofoo.payout_letter import fen, head_of, items_of
from gateway.domain.outcomes import BalanceOutcome, BalanceStated, NotSent, Unknown
from gateway.domain.terms import Terms
from gateway.ports import AccountSettings, NotSentError, Transport, TransportError

__all__ = ["Balances"]

CONNECT_TIMEOUT_S: Final = 5.0
PATH: Final = "/open-service/query/service.do"
MAX_ANSWER_BYTES: Final = 64 * 1024
DONE: Final = "0000"
BASIC: Final = "1"


class Balances:
    """The balance of one merchant. Settings: `balance_url` and `balance_terminal_id`, where they are others than those
    of payments. Secret: `balance_key`. Raises AccountError.
    """

    def __init__(self, account: AccountSettings, transport: Transport, terms: Terms) -> None:
        self._transport, self._terms = transport, terms
        self._url = base_url(account, "balance_url" if "balance_url" in account.settings else "base_url") + PATH
        self._member_id = setting(account, "member_id")
        self._terminal_id = setting(account, "balance_terminal_id", setting(account, "terminal_id"))
        self._key = secret(account, "balance_key").strip()

    async def ask(self) -> BalanceOutcome:
        """Ask once (BF0001)."""
        told = {
            "member_id": self._member_id, "terminal_id": self._terminal_id, "return_type": "json",
            "trans_code": "BF0001", "version": "4.0.0", "account_type": BASIC,
        }  # fmt: skip
        # In the order in which they stand, the key last.
        text = "&".join(f"{name}={value}" for name, value in {**told, "key": self._key}.items())
        sign = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()
        timeout = httpx.Timeout(self._terms.answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        request = httpx.Request(
            "POST",
            self._url,
            content=urlencode({**told, "sign": sign}).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            response = await self._transport(request)
        except NotSentError as error:
            return NotSent(str(error))
        except TransportError as error:
            return Unknown(str(error))
        if response.status_code != httpx.codes.OK:
            return Unknown(f"HTTP {response.status_code}")
        return self._read(response.content)

    def _read(self, content: bytes) -> BalanceOutcome:
        answer = _opened(content)
        if answer is None:
            return Unknown("not an answer of Baofoo's about a balance")
        code, message = head_of(answer)
        if code != DONE:
            return Unknown("the question about the balance failed", code, message)
        items = items_of(answer) or []
        mine = {("member_id", self._member_id), ("account_type", BASIC)}
        if len(items) != 1 or any(items[0].get(name, value) != value for name, value in mine):
            return Unknown("no word about this account alone", code, message)
        amount = fen(items[0].get("balance", ""))
        if amount is None:
            return Unknown("a balance that is no amount", code, message)
        return BalanceStated(for_payouts=amount, channel_code=code)


def _opened(content: bytes) -> Mapping[str, Any] | None:
    if len(content) > MAX_ANSWER_BYTES:
        return None
    try:
        read = json.loads(content.decode(), parse_int=str, parse_float=str)["trans_content"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return read if isinstance(read, dict) else None
