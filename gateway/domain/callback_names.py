"""How accounts are named in addresses that PSPs call: `merchant.account`, or eight letters where that is too long."""

from hashlib import sha256
from string import ascii_lowercase
from typing import Final

__all__ = ["short_name"]

LETTERS: Final = 8


def short_name(merchant: str, account: str) -> str:
    """Eight letters that stand for `merchant.account`: the same for ever, and no secret.

    That two of ten thousand accounts have the same ones happens once in four thousand times: then neither is called by
    them, and both are found by asking.
    """
    rest = int.from_bytes(sha256(f"{merchant}.{account}".encode()).digest())
    letters = []
    for _ in range(LETTERS):
        rest, letter = divmod(rest, len(ascii_lowercase))
        letters.append(ascii_lowercase[letter])
    return "".join(letters)
