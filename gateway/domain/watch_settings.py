"""How a merchant's channels are watched: what is counted apart, over how long, and when somebody is told. Pure.

The same words stand in the catalogue file, in its table and in the API; what is not said is as SPEC's defaults are.
Shares are whole percents: a threshold is never above 100, and no comparison is one of floats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

__all__ = [
    "ANY",
    "DIMENSIONS",
    "LONGEST_WINDOW_S",
    "OwnWatch",
    "WatchRule",
    "WatchSettings",
    "WatchSettingsError",
    "watch_from_json",
    "watch_to_json",
]

DIMENSIONS: Final = ("scene", "bank", "channel")
LONGEST_WINDOW_S: Final = 4 * 3600
"""A longer window would see an ailing channel hours late, and costs memory in the process that watches."""
SHORTEST_WINDOW_S: Final = 60
MAX_AT_LEAST: Final = 100_000
MAX_OWN: Final = 1_000
MAX_LET_THROUGH: Final = 1_000
"""Of more payments than so many, one would come too seldom to show that a channel is well again."""
SHORTEST_REST_S: Final = 10
LONGEST_REST_S: Final = 86_400
MAX_TRIES: Final = 1_000
MAX_NAME: Final = 40
ANY: Final = "*"
"""In place of what is not counted apart."""


class WatchSettingsError(ValueError):
    """Settings that cannot be. `field` is the path below `watch`, `problem` says what it should be."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field, self.problem = field, problem


@dataclass(frozen=True, slots=True)
class WatchRule:
    """When somebody is told of a channel. Raises WatchSettingsError."""

    window_s: int = 15 * 60
    at_least: int = 20
    """With fewer attempts in the window nothing is told."""
    unresolved_after_s: int = 60
    """An attempt without a result for longer counts as not succeeded until it has one."""
    below_percent: int = 60
    """A lower share of successes is told."""
    back_at_percent: int = 75
    """From this share on it is well again: apart from the one above, so that a rate between both rings once."""
    hide: bool = False
    """While it is degraded, step 1 of the router leaves it out."""
    let_through: int = 10
    """One payment in so many goes there all the same."""
    switch_off: bool = False
    """While it is degraded it is switched off, and comes back by half-open tries (`gateway.domain.switches`)."""
    rest_s: int = 300
    """So long no payment goes to what is switched off."""
    tries: int = 5
    """When so many payments that were let through have ended, `back_at_percent` says whether it is on again."""

    def __post_init__(self) -> None:
        for field, least, most in (
            ("window_s", SHORTEST_WINDOW_S, LONGEST_WINDOW_S),
            ("at_least", 1, MAX_AT_LEAST),
            ("unresolved_after_s", 1, LONGEST_WINDOW_S),
            ("below_percent", 1, 100),
            ("back_at_percent", 1, 100),
            ("let_through", 2, MAX_LET_THROUGH),
            ("rest_s", SHORTEST_REST_S, LONGEST_REST_S),
            ("tries", 1, MAX_TRIES),
        ):
            value = getattr(self, field)
            if type(value) is not int or not least <= value <= most:
                raise WatchSettingsError(field, f"must be a whole number from {least} to {most}")
        for field in ("hide", "switch_off"):
            if type(getattr(self, field)) is not bool:
                raise WatchSettingsError(field, "must be true or false")
        if self.back_at_percent < self.below_percent:
            raise WatchSettingsError("back_at_percent", "must not be less than below_percent")
        if self.unresolved_after_s >= self.window_s:
            raise WatchSettingsError("unresolved_after_s", "must be less than window_s")


DEFAULT: Final = WatchRule()
NAMES: Final = tuple(asdict(DEFAULT))


@dataclass(frozen=True, slots=True)
class OwnWatch:
    """What is otherwise for some: where it names a scene, a bank or a channel, for these alone."""

    says: Mapping[str, int | bool]
    scene: str | None = None
    bank: str | None = None
    channel: str | None = None

    def is_about(self, scene: str, bank: str, channel: str) -> bool:
        """Whether it is for this. What is counted together for all (`*`) has only what names none."""
        wanted = ((self.scene, scene), (self.bank, bank), (self.channel, channel))
        return all(mine is None or mine == theirs for mine, theirs in wanted)

    @property
    def names(self) -> int:
        """How much it names: the more, the later it has its word."""
        return sum(each is not None for each in (self.scene, self.bank, self.channel))


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """`by`: what is counted apart; the rest is counted together. `own`: what is otherwise for some."""

    by: tuple[str, ...] = DIMENSIONS
    rule: WatchRule = DEFAULT
    own: tuple[OwnWatch, ...] = ()

    def rule_of(self, scene: str, bank: str, channel: str) -> WatchRule:
        """The rule of what is counted so: of two that say something of it, what names more has the last word, then
        the later one."""
        said: dict[str, Any] = {}
        for own in sorted((each for each in self.own if each.is_about(scene, bank, channel)), key=lambda o: o.names):
            said |= own.says
        return replace(self.rule, **said) if said else self.rule

    @property
    def longest_window_s(self) -> int:
        """Of all rules."""
        return max(self.rule.window_s, *(own.says.get("window_s", 0) for own in self.own), 0)

    @property
    def avoids(self) -> bool:
        """Whether payments avoid anything that ails."""
        if self.rule.hide or self.rule.switch_off:
            return True
        return any(own.says.get("hide") or own.says.get("switch_off") for own in self.own)


def watch_from_json(told: object) -> WatchSettings:
    """Read what a file, a row or a request says. Raises WatchSettingsError."""
    if not isinstance(told, Mapping):
        raise WatchSettingsError("", "must be a table")
    _only(told, ("by", "own", *NAMES), "")
    rule = WatchRule(**{name: told[name] for name in NAMES if name in told})
    by = _dimensions(told.get("by", DIMENSIONS))
    listed = told.get("own", ())
    if not _is_list(listed) or len(listed) > MAX_OWN:
        raise WatchSettingsError("own", f"must be a list of at most {MAX_OWN}")
    return WatchSettings(by, rule, tuple(_own(each, f"own[{number}]", rule) for number, each in enumerate(listed)))


def watch_to_json(settings: WatchSettings) -> dict[str, Any]:
    """Only what is not as the defaults are."""
    rule = asdict(settings.rule)
    said: dict[str, Any] = {} if settings.by == DIMENSIONS else {"by": list(settings.by)}
    said |= {name: value for name, value in rule.items() if value != getattr(DEFAULT, name)}
    own = [
        {name: getattr(each, name) for name in DIMENSIONS if getattr(each, name) is not None} | dict(each.says)
        for each in settings.own
    ]
    return said | ({"own": own} if own else {})


def _own(told: object, path: str, rule: WatchRule) -> OwnWatch:
    if not isinstance(told, Mapping):
        raise WatchSettingsError(path, "must be a table")
    _only(told, (*DIMENSIONS, *NAMES), path)
    names = {name: told[name] for name in DIMENSIONS if name in told}
    for name, value in names.items():
        if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
            raise WatchSettingsError(f"{path}.{name}", "must name one")
    says = {name: told[name] for name in NAMES if name in told}
    if not names:
        raise WatchSettingsError(path, "must name a scene, a bank or a channel: what is for all stands above it")
    if not says:
        raise WatchSettingsError(path, f"must say at least one of {', '.join(NAMES)}")
    try:
        replace(rule, **says)
    except WatchSettingsError as error:
        raise WatchSettingsError(f"{path}.{error.field}", error.problem) from None
    return OwnWatch(says, **names)


def _dimensions(told: object) -> tuple[str, ...]:
    found = tuple(name for name in DIMENSIONS if _is_list(told) and name in told)  # type: ignore[operator]
    if not _is_list(told) or len(found) != len(told) or "channel" not in found:  # type: ignore[arg-type]
        raise WatchSettingsError("by", f"must be some of {', '.join(DIMENSIONS)}, each once, channel among them")
    return found


def _is_list(told: object) -> bool:
    return isinstance(told, Sequence) and not isinstance(told, str | bytes)


def _only(told: Mapping[Any, Any], known: Sequence[str], path: str) -> None:
    for name in told:
        if name not in known:
            shown = f".{name}" if isinstance(name, str) and name.isidentifier() and name.isascii() else ""
            raise WatchSettingsError(f"{path}{shown}".lstrip("."), f"is not known here: {', '.join(known)} are")
