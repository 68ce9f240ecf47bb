"""JD / ChinaBank express: `adapter` is its commands, `answers` the readings, `envelope` the letter, `codes` the tables.

Nothing here is used by another adapter.
"""

from adapters.jd.adapter import Jd

__all__ = ["Jd"]
