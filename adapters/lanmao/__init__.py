"""Custody banks of the lanmao family: `adapter` is its commands, `answers` and `notices` what is heard.

`declaration` holds what it can do, `codes` the tables, `letter` the signed JSON. Nothing here is used by another
adapter.
"""

from adapters.lanmao.adapter import Lanmao

__all__ = ["Lanmao"]
