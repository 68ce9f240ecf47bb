"""JSON in base64, "encrypted" with the sender's private key, block by block, in hex: the letter of payouts and refunds.

Source: Baofoo's documents of both and the clients that follow them (H). Whoever has the certificate can read it: it
says who wrote it, and hides nothing. What it answers, the words inside alone say.
"""

import base64
import json
import re
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

from adapters.baofoo.letter import UnbelievableError

__all__ = ["opened", "sealed"]

MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
"""A day's list may be long: about a kilobyte for each payout."""
PADDING_BYTES: Final = 11

_HEX = re.compile(rb"(?:[0-9a-fA-F]{2})+")


def sealed(content: Any, key: rsa.RSAPrivateKey) -> str:
    """The text of `data_content`. Blocks are as long as the key allows: readers take any length (H)."""
    text = base64.b64encode(json.dumps(content, ensure_ascii=False).encode())
    size = key.key_size // 8 - PADDING_BYTES
    blocks = (text[at : at + size] for at in range(0, len(text), size))
    return b"".join(key.sign(block, padding.PKCS1v15(), NoDigestInfo()) for block in blocks).hex()


def opened(content: bytes, key: rsa.RSAPublicKey) -> Any:
    """What Baofoo wrote, its numbers as texts. Raises UnbelievableError."""
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
        return json.loads(base64.b64decode(text, validate=True).decode(), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise UnbelievableError("not JSON") from None
