"""Private keys are checked once in a process: to see whether its numbers are primes takes 50 ms for each key."""

from functools import cache

from adapters import account
from adapters.signing import load_private_key

__all__ = ["check_each_private_key_once"]

_checked = cache(load_private_key)


def check_each_private_key_once() -> None:
    """Have this process, and all that are forked from it, keep the private keys that accounts are built with."""
    vars(account)["load_private_key"] = _checked
