"""The letter of LianLian's MPAY: JSON, MD5withRSA over its fields, `pay_load` for card data, yuan with two decimals.

Source: LianLian's own handbook and demo (H).
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

__all__ = ["Fields", "RefusedError", "fen_of", "open_pay_load", "parse", "render", "sign", "verifies", "yuan_of"]

Fields = Mapping[str, str]

PIECES: Final = 6
AMOUNT: Final = re.compile(r"([0-9]{1,9})\.([0-9]{2})")


class RefusedError(Exception):
    """The request is refused with this ret_code; nothing was done."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".rstrip())
        self.code = code
        self.detail = detail


def parse(body: bytes) -> dict[str, str]:
    """The fields of a request. Raises RefusedError with 1012."""
    try:
        read: Any = json.loads(body.decode("utf-8"))
    except ValueError:
        raise RefusedError("1012", "JSON") from None
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise RefusedError("1012", "texts")
    return dict(read)


def render(fields: Fields) -> bytes:
    """The body of an answer or a notice."""
    return json.dumps(fields, ensure_ascii=False).encode("utf-8")


def _text(fields: Fields, outside: frozenset[str]) -> bytes:
    names = sorted(name for name in fields if name != "sign" and name not in outside and fields[name])
    return "&".join(f"{name}={fields[name]}" for name in names).encode("utf-8")


def sign(fields: Fields, key: RSAPrivateKey, outside: frozenset[str] = frozenset()) -> dict[str, str]:
    """The fields with their signature, which leaves out those that stand `outside`."""
    signature = key.sign(_text(fields, outside), PKCS1v15(), hashes.MD5())  # noqa: S303
    return {**fields, "sign": base64.b64encode(signature).decode("ascii")}


def verifies(fields: Fields, key: RSAPublicKey) -> bool:
    """Whether `sign` was made over the other fields by this key."""
    try:
        signature = base64.b64decode(fields.get("sign", ""), validate=True)
        key.verify(signature, _text(fields, frozenset()), PKCS1v15(), hashes.MD5())  # noqa: S303
    except (InvalidSignature, binascii.Error, UnicodeEncodeError):
        return False
    return True


def open_pay_load(sealed: str, key: RSAPrivateKey) -> dict[str, str]:
    """The fields inside of a `pay_load`. Raises RefusedError: 4007 for what does not open, 1012 for what is no JSON."""
    pieces = sealed.split("$")
    if len(pieces) != PIECES or pieces[0] != "lianpay1_0_1":
        raise RefusedError("4007", "pay_load")
    padding = OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    try:
        mac_key, aes_key = (key.decrypt(base64.b64decode(piece, validate=True), padding) for piece in pieces[1:3])
        nonce, secret, mac = (base64.b64decode(piece, validate=True) for piece in pieces[3:])
        if not hmac.compare_digest(hmac.digest(mac_key, f"{pieces[3]}${pieces[4]}".encode(), "sha256"), mac):
            raise RefusedError("4007", "HMAC")
        decryptor = Cipher(AES(aes_key), CTR(nonce + (1).to_bytes(8, "big"))).decryptor()
        return parse(decryptor.update(secret) + decryptor.finalize())
    except ValueError:
        raise RefusedError("4007", "pay_load") from None


def fen_of(money: str) -> int:
    """Yuan with two decimals as fen. Raises RefusedError with 1004."""
    read = AMOUNT.fullmatch(money)
    fen = 0 if read is None else int(read[1]) * 100 + int(read[2])
    if fen <= 0:
        raise RefusedError("1004", "money_order")
    return fen


def yuan_of(fen: int) -> str:
    """Fen as yuan with two decimals."""
    return f"{fen // 100}.{fen % 100:02d}"
