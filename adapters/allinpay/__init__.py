"""Allinpay TLT: `adapter` is the port's verbs and readings, `envelope` the signed GBK XML, `codes` the tables.

Nothing here is used by another adapter.
"""

from adapters.allinpay.adapter import Allinpay

__all__ = ["Allinpay"]
