"""What happens where a process lacks a key: that order or observation stands back, and the log says what is missing.

Another process may have the key, and the app sends the order again; to go on without it would make a second card.
"""

import time

from gateway.logs import get
from gateway.ports import OverloadedError
from gateway.storage.keys.ring import DecryptionError, UnknownKeyError

__all__ = ["RETRY_AFTER_S", "stand_back"]

RETRY_AFTER_S = 5
SAY_EVERY_S = 5.0
"""Between two lines of the log that tell of the same key."""

log = get(__name__)
_said_at: dict[int | None, float] = {}


def stand_back(error: DecryptionError) -> OverloadedError:
    """The refusal of one order or observation whose card does not open here, told to the log every few seconds."""
    number = error.number if isinstance(error, UnknownKeyError) else None
    now = time.monotonic()
    if now - _said_at.get(number, -SAY_EVERY_S) >= SAY_EVERY_S:
        _said_at[number] = now
        log.error("a card does not open in this process", reason=str(error), cure=_cure(number))
    return OverloadedError(RETRY_AFTER_S)


def _cure(number: int | None) -> str:
    if number is None:
        return "compare SLUICE_CARD_KEYS with that of the other processes: the same number must be the same key"
    return (
        f"put key {number} back into SLUICE_CARD_KEYS of every process; it may leave when `sluice cards rewrap` says so"
    )
