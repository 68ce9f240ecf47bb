"""The letter of payouts and refunds: JSON in base64 under the sender's private key, block by block, in hex (H)."""

import base64
import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

__all__ = ["opened", "sealed", "spoiled"]

BLOCK: Final = 117


def sealed(content: Any, key: RSAPrivateKey) -> str:
    """What is written with a private key."""
    text = base64.b64encode(json.dumps(content, ensure_ascii=False).encode())
    blocks = (text[at : at + BLOCK] for at in range(0, len(text), BLOCK))
    return b"".join(key.sign(block, PKCS1v15(), NoDigestInfo()) for block in blocks).hex()


def opened(hexadecimal: str, key: RSAPublicKey) -> str:
    """The text that was written with it. Raises InvalidSignature, ValueError."""
    raw, size = bytes.fromhex(hexadecimal), key.key_size // 8
    blocks = (raw[at : at + size] for at in range(0, len(raw), size))
    text = b"".join(key.recover_data_from_signature(block, PKCS1v15(), None) for block in blocks)
    return base64.b64decode(text, validate=True).decode()


def spoiled(hexadecimal: str) -> str:
    """The same with another digit in its middle."""
    half = len(hexadecimal) // 2
    return hexadecimal[:half] + ("1" if hexadecimal[half] == "0" else "0") + hexadecimal[half + 1 :]
