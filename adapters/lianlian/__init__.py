"""LianLian quick pay: `adapter` is its commands, `requests` what they say, `answers` and `notices` what is heard.

`declaration` holds what it can do, `codes` the tables, `letter` and `seal` the signed JSON. Nothing here is used by
another adapter.
"""

from adapters.lianlian.adapter import LianLian

__all__ = ["LianLian"]
