"""Baofoo protocol pay: `adapter` is its commands, `letter` and `seal` how messages are written, `codes` the table.

Nothing here is used by another adapter.
"""

from adapters.baofoo.adapter import Baofoo
from adapters.baofoo.declaration import DECLARATION

__all__ = ["DECLARATION", "Baofoo"]
