"""The letter of Baofoo's payouts: JSON in base64, "encrypted" with the sender's private key, block by block, in hex.

Sources: Baofoo's document of payouts (V4.1.11) and the clients that follow it (H). Whoever has the certificate can read
it: it says who wrote it, and hides nothing. What Baofoo answers in plain text, to a head that it does not know, nobody
signed. JSON is read, and not the XML that Baofoo also speaks.
"""

import base64
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

from adapters.baofoo.letter import UnbelievableError

__all__ = ["Item", "fen", "head_of", "items_of", "opened", "sealed"]

Item = Mapping[str, str]
"""What is said of one payout."""

MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
"""A day's list may be long: about a kilobyte for each payout."""
PADDING_BYTES: Final = 11
MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256

_HEX = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_YUAN = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,2})?")


def sealed(content: Mapping[str, Any], key: rsa.RSAPrivateKey) -> str:
    """The text of `data_content`. Blocks are as long as the key allows: readers take any length (H)."""
    text = base64.b64encode(json.dumps({"trans_content": content}, ensure_ascii=False).encode())
    size = key.key_size // 8 - PADDING_BYTES
    blocks = (text[at : at + size] for at in range(0, len(text), size))
    return b"".join(key.sign(block, padding.PKCS1v15(), NoDigestInfo()) for block in blocks).hex()


def opened(content: bytes, key: rsa.RSAPublicKey) -> Mapping[str, Any]:
    """What Baofoo wrote, below `trans_content`. Raises UnbelievableError."""
    content, size = content.strip(), key.key_size // 8
    if len(content) > MAX_ANSWER_BYTES or not _HEX.fullmatch(content) or len(content) % (2 * size):
        raise UnbelievableError("not a letter of Baofoo's")
    raw = bytes.fromhex(content.decode("ascii"))
    try:
        blocks = (raw[at : at + size] for at in range(0, len(raw), size))
        text = b"".join(key.recover_data_from_signature(block, padding.PKCS1v15(), None) for block in blocks)
    except (InvalidSignature, ValueError):
        raise UnbelievableError("the signature is wrong") from None
    try:
        read = json.loads(base64.b64decode(text, validate=True).decode(), parse_int=str, parse_float=str)
        content_read = read["trans_content"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnbelievableError("not JSON of payouts") from None
    if not isinstance(content_read, dict):
        raise UnbelievableError("not JSON of payouts")
    return content_read


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
