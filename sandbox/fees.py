"""What a provider takes for the rows of its statements: nothing, until the control API says what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.books import Order

__all__ = ["FEE_KINDS", "Fee", "FeeRefusedError", "Fees", "Schedule"]

MILLION: Final = 1_000_000
MAX_FEN: Final = 10**12
MAX_SCHEDULES: Final = 100
MAX_TIERS: Final = 20
MAX_NAMES: Final = 1000
MAX_CHARS: Final = 64
FEE_KINDS: Final = ("payment", "refund", "payout", "return")
AMOUNTS: Final = ("rate_ppm", "minimum", "maximum", "fixed")
FILTERS: Final = ("kinds", "cards", "order_nos", "echo")


class FeeRefusedError(ValueError):
    """Not a fee; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Fee:
    """A part of the amount in millionths, rounded half up to fen, within its bounds; and `fixed` fen on top of it."""

    rate_ppm: int = 0
    minimum: int = 0
    maximum: int | None = None
    fixed: int = 0

    def of(self, amount: int) -> int:
        """In fen."""
        share = max((2 * amount * self.rate_ppm + MILLION) // (2 * MILLION), self.minimum)
        return self.fixed + (share if self.maximum is None else min(share, self.maximum))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Fees by amount, and for whom: of each filter that is given one must fit."""

    tiers: tuple[tuple[int | None, Fee], ...]
    """Up to and including which amount, and its fee; the last one is for all above, too."""
    gives_back: bool = False
    """The fee is given back and stands below zero."""
    kinds: frozenset[str] = frozenset()
    """Kinds of orders: `withhold`, `consume`, `netbank`, …"""
    cards: tuple[str, ...] = ()
    """How the masked card begins."""
    order_nos: frozenset[str] = frozenset()
    echo: Mapping[str, str] = field(default_factory=dict)
    """What the order says of itself; by what name, each mock has chosen."""

    def fits(self, order: Order) -> bool:
        """Whether it is for this order."""
        if self.kinds and order.kind not in self.kinds:
            return False
        if self.cards and not order.card.startswith(self.cards):
            return False
        if self.order_nos and order.order_no not in self.order_nos:
            return False
        return all(order.echo.get(name) == wanted for name, wanted in self.echo.items())

    def of(self, amount: int) -> int:
        """In fen; below zero when it is given back."""
        fee = next((fee for up_to, fee in self.tiers if up_to is None or amount <= up_to), self.tiers[-1][1])
        return -fee.of(amount) if self.gives_back else fee.of(amount)


class Fees:
    """The schedules of one provider, for each kind of row. The first that fits counts; without one it takes nothing."""

    def __init__(self) -> None:
        self._schedules: dict[str, tuple[Schedule, ...]] = {}
        self._said: dict[str, Any] = {}

    def say(self, asked: Mapping[str, Any]) -> None:
        """From now on these, for the kinds that are named; the others stay. Raises FeeRefusedError."""
        if not asked or not asked.keys() <= set(FEE_KINDS):
            raise FeeRefusedError(f"the body must be an object of {', '.join(FEE_KINDS)}")
        read = {kind: _schedules(said, kind) for kind, said in asked.items()}
        self._schedules |= read
        self._said |= asked

    def shown(self) -> dict[str, Any]:
        """As they were said."""
        return {kind: self._said[kind] for kind in FEE_KINDS if kind in self._said}

    def of(self, kind: str, order: Order) -> int:
        """What is taken for a row of this kind and order, in fen."""
        for schedule in self._schedules.get(kind, ()):
            if schedule.fits(order):
                return schedule.of(order.amount)
        return 0

    def clear(self) -> None:
        """Nothing is taken."""
        self._schedules, self._said = {}, {}


def _schedules(said: Any, kind: str) -> tuple[Schedule, ...]:
    listed = said if isinstance(said, list) else [said]
    if len(listed) > MAX_SCHEDULES:
        raise FeeRefusedError(f"{kind}: at most {MAX_SCHEDULES} schedules")
    return tuple(_schedule(one, kind) for one in listed)


def _schedule(said: Any, where: str) -> Schedule:
    told = _object(said, where, {*AMOUNTS, *FILTERS, "tiers", "gives_back"})
    if "tiers" in told and told.keys() & set(AMOUNTS):
        raise FeeRefusedError(f"{where}: either tiers, or {', '.join(AMOUNTS)}")
    echo = _object(told.get("echo", {}), f"{where}: echo", None)
    if not all(isinstance(value, str) for value in echo.values()) or len(echo) > MAX_TIERS:
        raise FeeRefusedError(f"{where}: echo must be an object of texts")
    gives_back = told.get("gives_back", False)
    if not isinstance(gives_back, bool):
        raise FeeRefusedError(f"{where}: gives_back must be true or false")
    return Schedule(
        tiers=_tiers(told["tiers"], where) if "tiers" in told else ((None, _fee(told, where)),),
        gives_back=gives_back,
        kinds=frozenset(_texts(told, "kinds", where)),
        cards=_texts(told, "cards", where),
        order_nos=frozenset(_texts(told, "order_nos", where)),
        echo=echo,
    )


def _tiers(said: Any, where: str) -> tuple[tuple[int | None, Fee], ...]:
    if not isinstance(said, list) or not 1 <= len(said) <= MAX_TIERS:
        raise FeeRefusedError(f"{where}: tiers must be a list of 1 to {MAX_TIERS}")
    tiers: list[tuple[int | None, Fee]] = []
    for number, tier in enumerate(said):
        at = f"{where}: tiers[{number}]"
        told = _object(tier, at, {*AMOUNTS, "up_to"})
        up_to = None if told.get("up_to") is None else _whole(told, "up_to", at, MAX_FEN)
        below = tiers[-1][0] if tiers else 0
        if below is None or (up_to is not None and up_to <= below):
            raise FeeRefusedError(f"{at}: up_to must rise, and only the last one goes without")
        tiers.append((up_to, _fee(told, at)))
    return tuple(tiers)


def _fee(told: Mapping[str, Any], where: str) -> Fee:
    maximum = None if told.get("maximum") is None else _whole(told, "maximum", where, MAX_FEN)
    minimum = _whole(told, "minimum", where, MAX_FEN)
    if maximum is not None and maximum < minimum:
        raise FeeRefusedError(f"{where}: maximum is below minimum")
    return Fee(_whole(told, "rate_ppm", where, MILLION), minimum, maximum, fixed=_whole(told, "fixed", where, MAX_FEN))


def _object(said: Any, where: str, names: set[str] | None) -> dict[str, Any]:
    if not isinstance(said, dict) or (names is not None and not said.keys() <= names):
        known = "an object" if names is None else f"an object of {', '.join(sorted(names))}"
        raise FeeRefusedError(f"{where} must be {known}")
    return said


def _whole(told: Mapping[str, Any], name: str, where: str, highest: int) -> int:
    value = told.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= highest:
        raise FeeRefusedError(f"{where}: {name} must be a whole number from 0 to {highest}")
    return value


def _texts(told: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    texts = told.get(name, [])
    if (
        not isinstance(texts, list)
        or len(texts) > MAX_NAMES
        or not all(isinstance(text, str) and 0 < len(text) <= MAX_CHARS for text in texts)
    ):
        raise FeeRefusedError(f"{where}: {name} must be a list of at most {MAX_NAMES} texts")
    return tuple(texts)
