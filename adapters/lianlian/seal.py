"""Signing and encrypting as the merchant, and believing what LianLian signed (its demo; H).

Signatures are MD5withRSA in base64. What holds card data goes as a `pay_load`: AES-256-CTR and an HMAC, their keys
under LianLian's RSA key. LianLian signs what it answers with 0000 and 8888; its refusals have no signature (H).
"""

import base64
import secrets
import string
from typing import Final

from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm

from adapters.account import private_key, public_key
from adapters.lianlian.letter import Fields, UnbelievableError, UnwritableError, signed_text, written
from adapters.signing import rsa_sign, rsa_verify
from gateway.ports import AccountSettings

__all__ = ["Seal"]

MD5_OF_THE_PROTOCOL: Final[HashAlgorithm] = MD5()  # noqa: S303  LianLian signs with nothing else
SHA1_OF_THE_PADDING: Final[HashAlgorithm] = SHA1()  # noqa: S303  nor pads otherwise
VERSION: Final = "lianpay1_0_1"
KEY_CHARACTERS: Final = 32
NONCE_CHARACTERS: Final = 8
FIRST_COUNTER: Final = (1).to_bytes(8)
LETTERS: Final = string.digits + string.ascii_uppercase
"""Of which the demo makes its keys: whoever reads them as text gets the same bytes."""

UNSIGNED: Final = frozenset({"bank_name", "card_no", "memo"})
"""Fields that the handbook says are not in the signature of a question's answer."""


class Seal:
    """The keys of one account. Raises AccountError."""

    def __init__(self, account: AccountSettings) -> None:
        self._key = private_key(account, "merchant_private_key")
        self._psp_key = public_key(account, "psp_public_key")

    def signed(self, fields: Fields) -> dict[str, str]:
        """The fields with their signature. Raises UnwritableError."""
        signature = rsa_sign(self._key, signed_text(fields), MD5_OF_THE_PROTOCOL)
        return {**fields, "sign": base64.b64encode(signature).decode()}

    def verify(self, fields: Fields) -> Fields:
        """The fields that LianLian signed. Raises UnbelievableError.

        Fields that may stand outside the signature are believed where it covers them; `memo`, which is words for
        people, is kept in any case.
        """
        inside = {name: value for name, value in fields.items() if name not in UNSIGNED}
        for covered in (fields, inside) if len(inside) < len(fields) else (fields,):
            if self._is_signed(covered, fields.get("sign", "")):
                return {**covered, "memo": fields.get("memo", "")}
        raise UnbelievableError("the signature is wrong")

    def _is_signed(self, fields: Fields, signature: str) -> bool:
        try:
            return rsa_verify(
                self._psp_key, base64.b64decode(signature, validate=True), signed_text(fields), MD5_OF_THE_PROTOCOL
            )
        except (ValueError, UnwritableError):
            return False

    def pay_load(self, fields: Fields) -> str:
        """The fields so that LianLian alone can read them, by keys that are new each time. Raises UnwritableError."""
        mac_key, key, nonce = (_random(count) for count in (KEY_CHARACTERS, KEY_CHARACTERS, NONCE_CHARACTERS))
        encryptor = Cipher(AES256(key), CTR(nonce + FIRST_COUNTER)).encryptor()
        said = b"$".join((_base64(nonce), _base64(encryptor.update(written(fields)) + encryptor.finalize())))
        mac = hmac.HMAC(mac_key, SHA256())
        mac.update(said)
        pieces = (VERSION.encode(), self._encrypted(mac_key), self._encrypted(key), said, _base64(mac.finalize()))
        return b"$".join(pieces).decode()

    def _encrypted(self, key: bytes) -> bytes:
        padding = OAEP(MGF1(SHA1_OF_THE_PADDING), SHA1_OF_THE_PADDING, None)
        return _base64(self._psp_key.encrypt(key, padding))


def _random(count: int) -> bytes:
    return "".join(secrets.choice(LETTERS) for _ in range(count)).encode()


def _base64(raw: bytes) -> bytes:
    return base64.b64encode(raw)
