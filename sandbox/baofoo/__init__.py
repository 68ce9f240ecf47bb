"""Baofoo protocol pay as a mock: form in, `k=v&k=v` out, encrypted fields, RSA signatures, signed notifications."""

from sandbox.baofoo.provider import Baofoo

__all__ = ["Baofoo"]
