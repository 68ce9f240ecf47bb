"""Signing as the merchant, and believing only what UnionPay signed (ACP 5.1.0, signMethod 01; H)."""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Final

from adapters.account import AccountError, certificate, private_key, secret, setting
from adapters.signing import SHA256, PinnedChain, SigningError, rsa_sign, rsa_verify
from adapters.unionpay.letter import Fields, UnbelievableError, digest
from gateway.ports import AccountSettings

__all__ = ["Seal"]

SIGNER_CN: Final = "中国银联股份有限公司"
"""UnionPay's name in its production certificate, as its published verifier compares it; its test system has another."""


class Seal:
    """The keys of one account. `clock` tells when certificates must be valid. Raises AccountError.

    The whole CN of UnionPay's certificate, or one whole part of it between `@`, must equal the setting `signer_cn`.
    """

    def __init__(self, account: AccountSettings, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._key = private_key(account, "merchant_private_key")
        own = certificate(account, "merchant_certificate")
        if own.public_key() != self._key.public_key():
            raise AccountError(account, "merchant_certificate", "does not belong to merchant_private_key")
        self.cert_id = str(own.serial_number)
        self._chain = _chain(account)

    def signed(self, fields: Fields) -> dict[str, str]:
        """The fields with their signature."""
        signature = rsa_sign(self._key, digest(fields, "utf-8"), SHA256)
        return {**fields, "signature": base64.b64encode(signature).decode()}

    def verify(self, fields: Fields, charset: str) -> None:
        """Raises UnbelievableError for what UnionPay did not sign."""
        self.verify_digest(fields, digest(fields, charset))

    def verify_digest(self, fields: Fields, told: bytes) -> None:
        """The same of an answer whose digest was made elsewhere, since it is too big for `fields`."""
        try:
            signature = base64.b64decode(fields.get("signature", ""), validate=True)
            key = self._chain.public_key(fields.get("signPubKeyCert", ""), self._clock())
        except ValueError:  # SigningError is one, and what is no base64
            raise UnbelievableError("the signature or its certificate is not UnionPay's") from None
        if not rsa_verify(key, signature, told, SHA256):
            raise UnbelievableError("the signature is wrong")


def _chain(account: AccountSettings) -> PinnedChain:
    root, middle = secret(account, "root_certificate"), secret(account, "middle_certificate")
    try:
        return PinnedChain(root, middle, setting(account, "signer_cn", SIGNER_CN))
    except SigningError as error:
        raise AccountError(account, "root_certificate and middle_certificate", f"are wrong: {error}") from None
