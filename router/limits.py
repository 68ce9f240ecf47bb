"""The limits of a rule and of a channel, each said once. They are carried whole from the catalogue file to the router.

To add one: a field here, a row in the table of `router.rules` (where it is routed), a line in docs/catalogue.md. Files,
the database, the admin API, `sluice catalogue show`, dry runs and decision records take their names from these fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, Self

from router.fees import MAX_FEN

Unit = Literal["fen", "times", "calls"]
MOST: Final[Mapping[Unit, int]] = {"fen": MAX_FEN, "times": 2**31 - 1, "calls": 10_000}
"""The largest limit that is taken, by its unit."""


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one limit.

    `shared`: it counts what other users did too, which is read only where it is set. `routed`: the router chooses by
    it; the others are carried along, and kept where calls are made.
    """

    name: str
    unit: Unit
    text: str
    shared: bool
    routed: bool

    @property
    def most(self) -> int:
        return MOST[self.unit]


def _limit(unit: Unit, text: str, *, shared: bool = False, routed: bool = True) -> Any:
    return field(default=None, metadata={"unit": unit, "text": text, "shared": shared, "routed": routed})


class Limits:
    """What both kinds of limits can do. None is no limit; limits are inclusive."""

    __slots__ = ()

    @classmethod
    def each(cls) -> tuple[About, ...]:
        """Every limit of this kind, in order."""
        return _EACH[cls]

    @classmethod
    def from_json(cls, told: Mapping[str, int]) -> Self:
        """Read what `to_json` wrote. Raises ValueError for a limit that this program does not know, or is no amount."""
        unknown = sorted(set(told).difference(_NAMES[cls]))
        if unknown:
            raise ValueError(f"there is no limit {unknown[0]} here")
        for about in cls.each():
            limit = told.get(about.name)
            if limit is not None and not (type(limit) is int and 0 <= limit <= about.most):
                raise ValueError(f"{about.name} must be a whole number from 0 to {about.most}")
        return cls(**told)

    def to_json(self) -> dict[str, int]:
        """Only what is set."""
        return {name: limit for name in _NAMES[type(self)] if (limit := getattr(self, name)) is not None}

    def shown(self) -> dict[str, int | None]:
        """Every limit by its name, as answers show them."""
        return {name: getattr(self, name) for name in _NAMES[type(self)]}

    @property
    def any_shared(self) -> bool:
        """Whether one is set that counts what other users did too."""
        return any(about.shared and getattr(self, about.name) is not None for about in self.each())


@dataclass(frozen=True, slots=True)
class RuleLimits(Limits):
    """The limits of one rule (channel, scene, bank), for each user."""

    single_limit: int | None = _limit("fen", "the most of one payment")
    daily_limit: int | None = _limit("fen", "the most of one user on the channel in one business day")
    daily_insufficient_limit: int | None = _limit("times", "failures for want of balance of one user in one day")
    card_single_limit: int | None = _limit("fen", "the most of one payment of one card number, whoever uses it")
    card_daily_limit: int | None = _limit("fen", "the most of one card number in one day, whoever uses it", shared=True)


@dataclass(frozen=True, slots=True)
class ChannelLimits(Limits):
    """The limits of one channel."""

    daily_total: int | None = _limit("fen", "the most of all users together in one business day", shared=True)
    calls_at_once: int | None = _limit("calls", "the most calls to the PSP at once", routed=False)
    calls_per_second: int | None = _limit("calls", "the most calls to the PSP in one second", routed=False)


NO_RULE_LIMITS: Final = RuleLimits()
NO_CHANNEL_LIMITS: Final = ChannelLimits()

_EACH: Final[Mapping[type[Limits], tuple[About, ...]]] = {
    kind: tuple(About(name=limit.name, **limit.metadata) for limit in fields(kind))
    for kind in (RuleLimits, ChannelLimits)
}
_NAMES: Final = {kind: tuple(about.name for about in each) for kind, each in _EACH.items()}
