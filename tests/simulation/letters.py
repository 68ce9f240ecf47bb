"""What is said to PSPs and by them, made readable: in Base64, sealed by Baofoo or for it, encrypted for LianLian."""

import base64
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox.lianlian.wire import RefusedError, open_pay_load
from tests.simulation.asked import opened

__all__ = ["Letters"]

_SEALED: Final = re.compile(r"(?:data_content=|^)((?:[0-9a-f]{2}){128,})")
"""How Baofoo's letters of payouts are sent: blocks in hexadecimal, in a form, or as an answer."""
_PAY_LOAD: Final = re.compile(r'"pay_load": ?"([^"]+)"')
"""How LianLian is told of payouts: encrypted for its key."""


class Letters:
    """Opens what goes between a merchant and the mock PSPs. `keys`: the folder of the sandbox's keys."""

    def __init__(self, keys: Path) -> None:
        names = ("merchant", "psp")
        certificates = [(keys / "baofoo" / f"{name}.cert.pem").read_bytes() for name in names]
        self._baofoo: list[Any] = [x509.load_pem_x509_certificate(each).public_key() for each in certificates]
        pem = (keys / "lianlian" / "psp.key.pem").read_bytes()
        self._lianlian: Any = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)

    def opened(self, said: str) -> str:
        """What is said, with what stands in it under seal."""
        text = opened(said)
        if found := _SEALED.search(text):
            return text + self._of_baofoo(bytes.fromhex(found[1]))
        if found := _PAY_LOAD.search(text):
            with suppress(RefusedError):
                return text + json.dumps(open_pay_load(found[1].replace("\\/", "/"), self._lianlian))
        return text

    def _of_baofoo(self, raw: bytes) -> str:
        for key in self._baofoo:
            size = key.key_size // 8
            blocks = (raw[at : at + size] for at in range(0, len(raw), size))
            with suppress(InvalidSignature, ValueError):
                text = b"".join(key.recover_data_from_signature(block, PKCS1v15(), None) for block in blocks)
                return base64.b64decode(text).decode()
        return ""
