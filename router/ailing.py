"""Channels on which too few payments succeed: what is known of one, whom step 1 leaves out for it, and how it is told.

Step 1 leaves such a channel out but for one payment in n, so that its coming back is seen, and never the last one: a
channel that half of the payers can pay on is better than none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from router.reasons import Hidden

__all__ = ["Ailing", "ailing_from_json", "ailing_to_json", "hides_ailing"]


@dataclass(frozen=True, slots=True)
class Ailing:
    """Of `attempts` payments of the last `window_s` seconds so many `succeeded`; what failed by the payer's fault is
    not among them.

    One payment in `let_through` goes there all the same, None: none does now; `passes`: this is such a one.
    `switched_off`: it is closed until it is seen to work again, not only to be avoided. Raises ValueError for numbers
    that cannot be.
    """

    succeeded: int
    attempts: int
    window_s: int
    let_through: int | None = None
    passes: bool = False
    switched_off: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.succeeded <= self.attempts:
            raise ValueError("of so many attempts no more can have succeeded")
        if self.let_through is not None and self.let_through < 1:
            raise ValueError("one payment in n goes there, n a positive number")

    @property
    def rate_percent(self) -> int | None:
        """Rounded down, for people; None: there were no attempts."""
        return self.succeeded * 100 // self.attempts if self.attempts else None

    @property
    def reason(self) -> Hidden:
        return Hidden.CHANNEL_SWITCHED_OFF if self.switched_off else Hidden.CHANNEL_AILING

    def says(self) -> str:
        """For whoever asks why: what is known, and of how many payments one goes there."""
        rate = f"{self.succeeded} of {self.attempts} payments succeeded in {self.window_s} s"
        if self.rate_percent is not None:
            rate += f" ({self.rate_percent} %)"
        lets = "no payment" if self.let_through is None else f"one payment in {self.let_through}"
        return f"{rate}, {lets} is let through"


class _MayAil(Protocol):
    """A candidate."""

    @property
    def channel(self) -> str: ...

    @property
    def ailing(self) -> Ailing | None: ...


def hides_ailing(available: Sequence[_MayAil]) -> dict[str, Hidden]:
    """Those of the available channels that are left out because they ail, and by which word.

    First what is switched off, unless that is all there is; then what ails, unless of the rest nothing is well.
    """
    hidden: dict[str, Hidden] = {}
    off = [each for each in available if each.ailing is not None and each.ailing.switched_off]
    if len(off) < len(available):
        hidden |= {each.channel: Hidden.CHANNEL_SWITCHED_OFF for each in off if not _passes(each)}
    left = [each for each in available if each.channel not in hidden]
    if any(each.ailing is None for each in left):
        ails = [each for each in left if each.ailing is not None and not each.ailing.switched_off]
        hidden |= {each.channel: Hidden.CHANNEL_AILING for each in ails if not _passes(each)}
    return hidden


def _passes(each: _MayAil) -> bool:
    return each.ailing is not None and each.ailing.passes


def ailing_to_json(ailing: Ailing) -> dict[str, object]:
    """As a record keeps it: what is at its default is left out."""
    told: dict[str, object] = {
        "succeeded": ailing.succeeded, "attempts": ailing.attempts, "window_s": ailing.window_s,
    }  # fmt: skip
    if ailing.let_through is not None:
        told["let_through"] = ailing.let_through
    if ailing.passes:
        told["passes"] = True
    if ailing.switched_off:
        told["switched_off"] = True
    return told


def ailing_from_json(told: Mapping[str, Any] | None) -> Ailing | None:
    """Raises TypeError or ValueError for what is none."""
    return None if told is None else Ailing(**told)
