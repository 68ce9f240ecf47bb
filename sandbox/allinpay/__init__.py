"""Allinpay TLT as a mock: GBK XML in and out, signed over its own text; results are found out by query only."""

from sandbox.allinpay.provider import Allinpay

__all__ = ["Allinpay"]
