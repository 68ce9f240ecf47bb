"""What a provider charges for a payment: fixed, a percentage, or tiers of these.

A fee that exists is valid: the constructors refuse what cannot be a fee. Amounts are integer fen, rates are exact
decimal fractions (0.002 is 0.2 %). All of it is hashable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

MAX_FEN: Final = 2**63 - 1
"""The largest amount a fee may name: what a bigint column holds."""
MAX_RATE_DECIMAL_PLACES: Final = 12
MAX_RATE_CHARACTERS: Final = 40
MAX_TIERS: Final = 100

_KINDS: Final = ("fixed", "percent", "tiered")
_TAGS: Final = ("type", "kind")
_RATE_TEXT: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


class FeeError(ValueError):
    """A fee that cannot be. `path` names the field (`fee.tiers[1].up_to`), `problem` says what it should be."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem

    def under(self, parent: str) -> "FeeError":
        return FeeError(".".join(part for part in (parent, self.path) if part), self.problem)


@dataclass(frozen=True, slots=True)
class FixedFee:
    """The same number of fen for every payment."""

    amount: int

    def __post_init__(self) -> None:
        _require_fen(self.amount, "amount")


@dataclass(frozen=True, slots=True)
class PercentFee:
    """A fraction of the amount, at least `min` and at most `max` fen."""

    rate: Decimal
    min: int | None = None
    max: int | None = None
    # The rate as a ratio of integers: exact whatever the decimal context of the thread, and quick on the hot path.
    _numerator: int = field(init=False, repr=False, compare=False)
    _denominator: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require_rate(self.rate)
        if self.min is not None:
            _require_fen(self.min, "min")
        if self.max is not None:
            _require_fen(self.max, "max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise FeeError("min", "must not be greater than max")
        numerator, denominator = self.rate.as_integer_ratio()
        object.__setattr__(self, "_numerator", numerator)
        object.__setattr__(self, "_denominator", denominator)

    def exact(self, amount: int) -> tuple[int, int]:
        """Within its bounds and not rounded: a numerator and a denominator."""
        exact = amount * self._numerator
        if self.min is not None and exact < self.min * self._denominator:
            return self.min, 1
        if self.max is not None and exact > self.max * self._denominator:
            return self.max, 1
        return exact, self._denominator

    def of(self, amount: int) -> int:
        """Rounded half up once. The bounds are integers, so it is the same to apply them after rounding."""
        fee = (2 * amount * self._numerator + self._denominator) // (2 * self._denominator)
        if self.min is not None and fee < self.min:
            return self.min
        if self.max is not None and fee > self.max:
            return self.max
        return fee


@dataclass(frozen=True, slots=True)
class Tier:
    """The fee for amounts up to and including `up_to` fen; None has no upper end."""

    up_to: int | None
    fee: FixedFee | PercentFee

    def __post_init__(self) -> None:
        if self.up_to is not None:
            _require_fen(self.up_to, "up_to")


@dataclass(frozen=True, slots=True)
class TieredFee:
    """The fee of the first tier that reaches the amount; above the last bounded tier, the last tier's fee."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.tiers) <= MAX_TIERS:
            raise FeeError("tiers", f"must have 1 to {MAX_TIERS} tiers")
        reached = 0
        for number, tier in enumerate(self.tiers):
            if tier.up_to is None:
                if number < len(self.tiers) - 1:
                    raise FeeError(f"tiers[{number}].up_to", "only the last tier may go without")
            elif tier.up_to <= reached:
                raise FeeError(f"tiers[{number}].up_to", f"must be greater than {reached}")
            else:
                reached = tier.up_to

    def at(self, amount: int) -> FixedFee | PercentFee:
        for tier in self.tiers:
            if tier.up_to is None or amount <= tier.up_to:
                return tier.fee
        return self.tiers[-1].fee


Fee = FixedFee | PercentFee | TieredFee


def fee_for(fee: Fee, amount: int) -> int:
    """The fee in fen for a payment of `amount` fen."""
    flat = fee.at(amount) if isinstance(fee, TieredFee) else fee
    return flat.amount if isinstance(flat, FixedFee) else flat.of(amount)


def compared_fee(fee: Fee, amount: int, authentication_fee: int, spread: int) -> int:
    """The fee for a payment with 1/`spread` of the fee of an authentication: added exactly, rounded half up once."""
    flat = fee.at(amount) if isinstance(fee, TieredFee) else fee
    exact, parts = (flat.amount, 1) if isinstance(flat, FixedFee) else flat.exact(amount)
    exact, parts = exact * spread + authentication_fee * parts, parts * spread
    return (2 * exact + parts) // (2 * parts)


def parse_fee(value: object, path: str = "fee") -> Fee:
    """Read a fee from JSON or YAML: a bare integer (fixed), `{"type" or "kind": ...}`, or `{"percent": {...}}`.

    Raises FeeError, whose path starts with `path`, for anything that is not wholly understood.
    """
    try:
        return _parse(value, _KINDS)
    except FeeError as error:
        raise error.under(path) from None


def fee_to_json(fee: Fee) -> dict[str, object]:
    """The canonical form, `{"type": ...}` with the rate as a string; `parse_fee` gives the same fee back."""
    if isinstance(fee, FixedFee):
        return {"type": "fixed", "amount": fee.amount}
    if isinstance(fee, PercentFee):
        percent: dict[str, object] = {"type": "percent", "rate": _rate_to_text(fee.rate)}
        if fee.min is not None:
            percent["min"] = fee.min
        if fee.max is not None:
            percent["max"] = fee.max
        return percent
    return {"type": "tiered", "tiers": [_tier_to_json(tier) for tier in fee.tiers]}


def _rate_to_text(rate: Decimal) -> str:
    """Equal rates are equal texts: without zeros at the end."""
    text = format(rate, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _tier_to_json(tier: Tier) -> dict[str, object]:
    fee = fee_to_json(tier.fee)
    return {"fee": fee} if tier.up_to is None else {"up_to": tier.up_to, "fee": fee}


def _require_fen(value: object, path: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_FEN:
        raise FeeError(path, f"must be a whole number of fen from 0 to {MAX_FEN}, written as digits alone: 100")
    return value


def _require_rate(rate: object) -> None:
    if not isinstance(rate, Decimal) or not rate.is_finite() or rate.is_signed() or rate > 1:
        raise FeeError("rate", "must be a fraction from 0 to 1")
    exponent = rate.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_RATE_DECIMAL_PLACES:
        raise FeeError("rate", f"must have at most {MAX_RATE_DECIMAL_PLACES} decimal places")


def _parse(value: object, kinds: tuple[str, ...]) -> Fee:
    if not isinstance(value, Mapping):
        return FixedFee(_require_fen(value, ""))
    tags = [tag for tag in _TAGS if tag in value]
    if len(tags) > 1:
        raise FeeError(tags[1], f"stands beside {tags[0]}: give one of them")
    if tags:
        kind = value[tags[0]]
        if kind not in kinds:
            raise FeeError(tags[0], f"must be one of {', '.join(kinds)}")
        return _parse_kind(kind, {key: part for key, part in value.items() if key != tags[0]})
    return _parse_keyed(value, kinds)


def _parse_keyed(value: Mapping[object, object], kinds: tuple[str, ...]) -> Fee:
    kind = next(iter(value), None)
    if len(value) != 1 or kind not in kinds:
        raise FeeError("type", f"must be one of {', '.join(kinds)}")
    name = str(kind)
    body = value[kind]
    if not isinstance(body, Mapping):
        raise FeeError(name, "must be an object")
    try:
        return _parse_kind(name, body)
    except FeeError as error:
        raise error.under(name) from None


def _parse_kind(kind: str, body: Mapping[object, object]) -> Fee:
    if kind == "fixed":
        _require_keys(body, required=("amount",))
        return FixedFee(_require_fen(body["amount"], "amount"))
    if kind == "percent":
        _require_keys(body, required=("rate",), optional=("min", "max"))
        return PercentFee(_parse_rate(body["rate"]), _fen_or_none(body, "min"), _fen_or_none(body, "max"))
    _require_keys(body, required=("tiers",))
    return TieredFee(_parse_tiers(body["tiers"]))


def _require_keys(body: Mapping[object, object], required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    for key in required:
        if key not in body:
            raise FeeError(key, "is missing")
    for found in body:
        if found not in required and found not in optional:
            raise FeeError(str(found), "is not known here")


def _fen_or_none(body: Mapping[object, object], key: str) -> int | None:
    value = body.get(key)
    return None if value is None else _require_fen(value, key)


def _parse_rate(value: object) -> Decimal:
    # A float goes through its text: 0.002 means 0.002, not the binary fraction next to it.
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise FeeError("rate", "must be a fraction as a string or a number")
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not 0 <= value <= 1:
        raise FeeError("rate", "must be a fraction from 0 to 1")
    text = str(value)
    if len(text) > MAX_RATE_CHARACTERS:
        raise FeeError("rate", f"must have at most {MAX_RATE_CHARACTERS} characters")
    if isinstance(value, str) and not _RATE_TEXT.fullmatch(text):
        raise FeeError("rate", "must be a fraction from 0 to 1, written as digits with a decimal point: 0.002")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise FeeError("rate", "must be a fraction from 0 to 1") from None


def _parse_tiers(value: object) -> tuple[Tier, ...]:
    if not isinstance(value, list | tuple):
        raise FeeError("tiers", "must be a list")
    if len(value) > MAX_TIERS:
        raise FeeError("tiers", f"must have 1 to {MAX_TIERS} tiers")
    return tuple(_parse_tier(tier, f"tiers[{number}]") for number, tier in enumerate(value))


def _parse_tier(value: object, path: str) -> Tier:
    if not isinstance(value, Mapping):
        raise FeeError(path, "must be an object")
    try:
        _require_keys(value, required=("fee",), optional=("up_to",))
        up_to = _fen_or_none(value, "up_to")
    except FeeError as error:
        raise error.under(path) from None
    try:
        # Tiers in tiers are refused before they are read, which also bounds the depth of what is read.
        fee = _parse(value["fee"], ("fixed", "percent"))
    except FeeError as error:
        raise error.under(f"{path}.fee") from None
    assert not isinstance(fee, TieredFee)
    return Tier(up_to, fee)
