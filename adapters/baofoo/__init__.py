"""Baofoo protocol pay: `adapter` is its commands, `letter` and `seal` how messages are written, `codes` the table.

Nothing here is used by another adapter.
"""

from adapters.baofoo.adapter import Baofoo

__all__ = ["Baofoo"]
