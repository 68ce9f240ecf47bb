"""The pace of a channel: how many calls it carries in a second.

A bucket of tokens, one for each call; a token is back a second after its call was made. So no second, wherever it
begins, has more calls than there are tokens. Nothing ticks: who wants one looks at the times of the calls before.
"""

import math
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Final

__all__ = ["SECOND_S", "Monotonic", "Pace"]

SECOND_S: Final = 1.0

Monotonic = Callable[[], float]
"""A clock that nobody can set, in seconds."""


class Pace:
    """So many calls a second, or no limit (None). A share may be a fraction: then its tokens are back a bit later.

    A token is `taken` before its call, and `spent` when the call is made, or `returned`.
    """

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._per_second: Fraction | None = None
        self._tokens = 0
        self._back_after_s = SECOND_S
        self._taken = 0
        self._spent_at: deque[float] = deque()

    @property
    def tokens(self) -> int | None:
        """How many calls may come together; None: any number."""
        return None if self._per_second is None else self._tokens

    @property
    def per_second(self) -> Fraction | None:
        """The limit; None: there is none."""
        return self._per_second

    @property
    def left(self) -> int | None:
        """How many tokens may be taken now; None: any number."""
        if self._per_second is None:
            return None
        self._forget()
        return max(0, self._tokens - self._taken - len(self._spent_at))

    @property
    def is_free(self) -> bool:
        """Whether a call may be made now."""
        return self.left != 0

    @property
    def wait_s(self) -> float | None:
        """In how long the next token is back; None: it depends on those who have taken one."""
        self._forget()
        if not self._spent_at:
            return None
        return max(0.0, self._spent_at[0] + self._back_after_s - self._clock())

    def set(self, per_second: Fraction | None) -> None:
        """Keep another limit from now on; does nothing when it is the same."""
        if per_second == self._per_second:
            return
        self._per_second = per_second
        if per_second is None:
            self._spent_at.clear()
            return
        self._tokens = math.ceil(per_second)
        self._back_after_s = float(self._tokens / per_second) * SECOND_S

    def take(self) -> None:
        """Take a token. The caller knows that there is one."""
        self._taken += 1

    def spend(self) -> None:
        """Its call is made now."""
        self._taken -= 1
        if self._per_second is not None:
            self._spent_at.append(self._clock())

    def give_back(self) -> None:
        """Its call is not made after all."""
        self._taken -= 1

    def _forget(self) -> None:
        gone = self._clock() - self._back_after_s
        while self._spent_at and self._spent_at[0] <= gone:
            self._spent_at.popleft()
