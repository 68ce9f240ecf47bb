"""Keys of tests: never real ones."""

import base64
import os

from gateway.storage.keys import Keys

__all__ = ["ORDER_KEY", "key", "keys", "new_keys"]


def key(fill: int) -> str:
    """32 equal bytes in base64."""
    return base64.b64encode(bytes([fill]) * 32).decode()


ORDER_KEY = key(200)


def keys(*numbers: int, primary: int | None = None, order_key: str = ORDER_KEY) -> Keys:
    """A ring with these keys, the same ones every time, and the order key of all tests."""
    return Keys.parse(",".join(f"{number}:{key(number)}" for number in numbers), primary, order_key)


def new_keys() -> Keys:
    """Keys that nobody else has."""
    ring, order_key = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    return Keys.parse(f"1:{ring}", None, order_key)
