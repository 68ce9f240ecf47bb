"""The letter of Baofoo's payouts: what stands in their `blocks`, below `trans_content`.

Sources: Baofoo's document of payouts (V4.1.11) and the clients that follow it (H). What Baofoo answers in plain text,
to a head that it does not know, nobody signed. JSON is read, and not the XML that Baofoo also speaks.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.baofoo import blocks
from adapters.baofoo.letter import UnbelievableError

__all__ = ["Item", "fen", "head_of", "items_of", "opened", "sealed"]

Item = Mapping[str, str]
"""What is said of one payout."""

MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256

_YUAN = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,2})?")


def sealed(content: Mapping[str, Any], key: rsa.RSAPrivateKey) -> str:
    """The text of `data_content`."""
    return blocks.sealed({"trans_content": content}, key)


def opened(content: bytes, key: rsa.RSAPublicKey) -> Mapping[str, Any]:
    """What Baofoo wrote, below `trans_content`. Raises UnbelievableError."""
    read = blocks.opened(content, key)
    told = read.get("trans_content") if isinstance(read, dict) else None
    if not isinstance(told, dict):
        raise UnbelievableError("not JSON of payouts")
    return told


def head_of(content: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """return_code and return_msg of the call, cut to sizes that can be kept. Neither says how a payout stands."""
    head = content.get("trans_head")
    told = head if isinstance(head, dict) else {}
    code, message = (str(told.get(name) or "").strip() for name in ("return_code", "return_msg"))
    return code[:MAX_CODE_CHARS] or None, message[:MAX_MESSAGE_CHARS] or None


def items_of(content: Mapping[str, Any]) -> list[Item] | None:
    """The payouts that are spoken of; one alone may stand outside of a list. None: it cannot be read."""
    found: list[Item] = []
    for group in _listed(content.get("trans_reqDatas")):
        if not isinstance(group, dict):
            return None
        for item in _listed(group.get("trans_reqData")):
            if not isinstance(item, dict):
                return None
            found.append({name: str(value).strip() for name, value in item.items() if value is not None})
    return found


def fen(text: str) -> int | None:
    """Yuan as fen, exactly; None for what is no amount."""
    return int(Decimal(text) * 100) if _YUAN.fullmatch(text) else None


def _listed(value: object) -> list[object]:
    if value in (None, ""):
        return []
    return value if isinstance(value, list) else [value]
