"""Allinpay TLT: `adapter` is its commands and readings, `envelope` the signed GBK XML, `codes` the tables.

Nothing here is used by another adapter.
"""

from adapters.allinpay.adapter import Allinpay

__all__ = ["Allinpay"]
