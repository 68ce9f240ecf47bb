"""Allinpay TLT: `adapter` is its commands, `bodies` what they say, `answers` what they hear, `envelope` the signed GBK
XML, `codes` the tables, `declaration` what is assumed.

Nothing here is used by another adapter.
"""

from adapters.allinpay.adapter import Allinpay

__all__ = ["Allinpay"]
