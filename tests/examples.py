"""How many examples hypothesis draws: few in the suite, since each run draws others, and many by `make examples`."""

import os
from typing import Any, Final

from hypothesis import settings

__all__ = ["VARIABLE", "examples"]

VARIABLE: Final = "SLUICE_HUNT_EXAMPLES"
"""Names how many times as many are drawn."""
_TIMES: Final = int(os.environ.get(VARIABLE, "1"))


def examples(count: int, **more: Any) -> settings:
    """`count` examples in the suite; no example has a deadline, since a busy machine is slow."""
    return settings(max_examples=count * _TIMES, deadline=None, **more)
