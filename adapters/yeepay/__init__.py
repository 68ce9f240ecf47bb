"""YeePay net-bank: `adapter` is its commands, `form` what a browser brings, `letter` the fields and their signatures.

`answers` are the readings, `notices` the two copies of a callback, `codes` the tables. Nothing here is used by another
adapter.
"""

from adapters.yeepay.adapter import YeePay

__all__ = ["YeePay"]
