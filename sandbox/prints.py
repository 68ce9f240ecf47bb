"""Card numbers as keyed fingerprints: what journals may hold of a card that is bound."""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from sandbox.magic import TWO_PHONES

__all__ = ["CardPrinter"]

PRINT_KEY_BYTES: Final = 32


class CardPrinter:
    """Turns a card number into a keyed fingerprint, so that no file holds the number or a guessable hash of it."""

    def __init__(self, key_file: Path | None) -> None:
        if key_file is None:
            self._key = secrets.token_bytes(PRINT_KEY_BYTES)
            return
        if not key_file.exists():
            key_file.parent.mkdir(parents=True, exist_ok=True)
            key_file.touch(mode=0o600)
            key_file.write_bytes(secrets.token_bytes(PRINT_KEY_BYTES))
        self._key = key_file.read_bytes()

    def of(self, card_no: str) -> str:
        """The fingerprint in hex."""
        return hmac.new(self._key, card_no.encode(), hashlib.sha256).hexdigest()

    def of_binding(self, card_no: str, phone: str) -> str:
        """The fingerprint that a binding is found by: a card with two phones is bound once for each."""
        return self.of(f"{card_no}/{phone}" if card_no.endswith(TWO_PHONES) else card_no)
