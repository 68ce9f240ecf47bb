"""Allinpay TLT: `adapter` is its commands, `bodies` what they say, `answers` what they hear, `envelope` the signed GBK
XML, `codes` the tables, `declaration` what is assumed; `statement` asks for statements, `statement_answer` believes
what comes, `statement_reader` reads it.

Nothing here is used by another adapter.
"""

from adapters.allinpay.adapter import Allinpay

__all__ = ["Allinpay"]
