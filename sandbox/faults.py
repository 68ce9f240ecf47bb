"""Faults that a test or a demo asks a provider to commit: what there is, how one is checked, when one applies."""

import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

__all__ = ["CALLBACK_FAULTS", "PAGE_FAULTS", "Fault", "FaultRefusedError", "Faults", "Occasion", "Operation"]

Operation = Literal[
    "pay",
    "authenticate",
    "send_code",
    "unbind",
    "refund",
    "payout",
    "open_page",
    "cancel",
    "query",
    "query_authentication",
    "query_balance",
    "statement",
]
RETURN_REASONS: Final = (
    "payee_name_mismatch",
    "payee_account_invalid",
    "payee_account_abnormal",
    "bank_rejected",
    "other",
)
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
WORKING_OPERATIONS: Final = ("pay", "authenticate")
MAX_SECONDS: Final = 3600.0
MAX_FAULTS: Final = 1000
MAX_COPIES: Final = 100
DEFAULT_ERROR_STATUS: Final = 502


class FaultRefusedError(ValueError):
    """The fault that was asked for does not exist or is not well described; the message says why."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is about to happen, in the terms that a fault can be matched by."""

    operation: Operation
    order_no: str
    card_tail: str = ""
    amount: int = 0
    day: str = ""
    """Of a statement: YYYY-MM-DD."""


@dataclass(slots=True)
class Fault:
    """One fault. `times` is how often it will still apply, None for always."""

    id: str
    name: str
    times: int | None
    match: dict[str, Any]
    params: dict[str, Any]
    created_at: float

    def applies_to(self, occasion: Occasion, now: float) -> bool:
        """Whether this fault is alive and means this occasion."""
        if self.times == 0 or (self.name in TIMED_FAULTS and now > self.created_at + self.seconds):
            return False
        operation = self.match.get("operation")
        if operation is None:
            if self.name not in OF_ALL_OPERATIONS and occasion.operation not in WORKING_OPERATIONS:
                return False
        elif operation != occasion.operation:
            return False
        return all(getattr(occasion, key) == wanted for key, wanted in self.match.items() if key != "operation")

    @property
    def seconds(self) -> float:
        """The parameter `seconds`; without one there is no end."""
        value = self.params.get("seconds")
        return float("inf") if value is None else float(value)

    def shown(self) -> dict[str, Any]:
        """The fault as the control API shows it: `times` is what is left."""
        return {"id": self.id, "fault": self.name, "times": self.times, "match": self.match, **self.params}


Check = Callable[[Any], bool]


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS


def _is_whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_one_of(*allowed: str) -> Check:
    return lambda value: value in allowed


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64


def _is_day(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII) is not None


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a fault: what it must be, in words and as a check; `default` None means it must be given."""

    must_be: str
    check: Check
    default: Any = None
    required: bool = False


SECONDS: Final = Param(f"a number of seconds from 0 to {MAX_SECONDS:.0f}", _is_seconds, required=True)
STATUS: Final = Param("an HTTP status from 500 to 599", _is_whole(500, 599), default=DEFAULT_ERROR_STATUS)

CALLBACK_FAULTS: Final[Mapping[str, Mapping[str, Param]]] = {
    "lose_callback": {},
    "duplicate_callback": {
        "copies": Param(f"a whole number from 1 to {MAX_COPIES}", _is_whole(1, MAX_COPIES), default=1)
    },
    "delay_callback": {"seconds": SECONDS},
    "corrupt_callback": {},
    "forge_callback": {},
    "wrong_amount_callback": {},
}
PAGE_FAULTS: Final[Mapping[str, Mapping[str, Param]]] = {
    "lose_return": {},
    "corrupt_return": {},
    "forge_return": {},
    "wrong_amount_return": {},
    "pay_closed": {},
}
"""Of providers whose pages a payer's browser opens; a return is that browser coming back."""
FAULTS: Final[Mapping[str, Mapping[str, Param]]] = {
    "decline": {
        "code": Param("a code of this provider that is not its success code", _is_text, required=True),
        "when": Param('"sync" or "final"', _is_one_of("sync", "final"), default="sync"),
    },
    "delay": {"seconds": SECONDS},
    "reset_before": {},
    "reset_after": {},
    "error_before": {"status": STATUS},
    "error_after": {"status": STATUS},
    "garbage": {
        "body": Param(
            '"html", "truncated", "empty" or "wrong_charset"',
            _is_one_of("html", "truncated", "empty", "wrong_charset"),
            default="html",
        )
    },
    "wrong_signature": {},
    "not_found": {"seconds": SECONDS},
    "late_final": {"seconds": SECONDS},
    "maintenance": {"seconds": Param(SECONDS.must_be, _is_seconds)},
    "sms_needed": {},
    "return_payout": {
        "seconds": SECONDS,
        "reason": Param(f"one of {', '.join(RETURN_REASONS)}", _is_one_of(*RETURN_REASONS), default=RETURN_REASONS[0]),
    },
    "lose_sms": {},
    "expire_code": {},
    "late_statement": {"seconds": Param(SECONDS.must_be, _is_seconds)},
    "broken_statement": {"cut": Param('"byte" or "line"', _is_one_of("byte", "line"), default="byte")},
    **CALLBACK_FAULTS,
    **PAGE_FAULTS,
}
TIMED_FAULTS: Final = frozenset({"maintenance", "late_statement"})
OF_ALL_OPERATIONS: Final = frozenset(
    {"maintenance", "lose_sms", "expire_code", "return_payout", "late_statement", "broken_statement"}
)
"""Faults that need no operation to say what they mean."""

MATCH_KEYS: Final[Mapping[str, Param]] = {
    "order_no": Param("a text", _is_text),
    "card_tail": Param("the last four digits", lambda v: isinstance(v, str) and len(v) == 4 and v.isdecimal()),
    "amount": Param("a whole number of fen", _is_whole(0, 10**12)),
    "day": Param("a day of statements, YYYY-MM-DD", _is_day),
    "operation": Param("one of " + ", ".join(OPERATIONS), _is_one_of(*OPERATIONS)),
}


class Faults:
    """The faults of one provider, in the order they were asked for.

    `known` names the faults that this provider can commit; `is_code` tells which codes it can decline with.
    """

    def __init__(self, known: frozenset[str], is_code: Callable[[str], bool]) -> None:
        self._known = known
        self._is_code = is_code
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, asked: Any) -> Fault:
        """Take a fault as the control API receives it. Raises FaultRefusedError."""
        if not isinstance(asked, dict):
            raise FaultRefusedError("the body must be a JSON object")
        name = asked.get("fault")
        if not isinstance(name, str) or name not in FAULTS:
            raise FaultRefusedError(f"fault must be one of: {', '.join(sorted(self._known))}")
        if name not in self._known:
            raise FaultRefusedError(f"this provider cannot commit {name}: its protocol has no such message")
        if len(self._faults) >= MAX_FAULTS:
            raise FaultRefusedError(f"there are {MAX_FAULTS} faults already; delete some")
        params = _params(name, {k: v for k, v in asked.items() if k not in ("fault", "times", "match")})
        if "code" in params and not self._is_code(params["code"]):
            raise FaultRefusedError(f"code must be {FAULTS['decline']['code'].must_be}")
        fault = Fault(
            id=f"fault_{next(self._numbers)}",
            name=name,
            times=_times(asked.get("times")),
            match=_match(asked.get("match")),
            params=params,
            created_at=time.time(),
        )
        self._faults.append(fault)
        return fault

    def take(self, name: str, occasion: Occasion) -> Fault | None:
        """The first fault of this name that applies to the occasion; it is used up by one."""
        if not self._faults:
            return None
        now = time.time()
        for fault in self._faults:
            if fault.name == name and fault.applies_to(occasion, now):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def all(self) -> list[Fault]:
        """Every fault, the used up ones too."""
        return list(self._faults)

    def remove(self, fault_id: str) -> bool:
        """Take one away; False when there is none of this id."""
        left = [fault for fault in self._faults if fault.id != fault_id]
        removed = len(left) < len(self._faults)
        self._faults = left
        return removed

    def clear(self) -> None:
        """Take all away."""
        self._faults = []


def _params(name: str, given: dict[str, Any]) -> dict[str, Any]:
    allowed = FAULTS[name]
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise FaultRefusedError(f"{name} takes no {', '.join(unknown)}; it takes: {', '.join(allowed) or 'nothing'}")
    params: dict[str, Any] = {}
    for key, param in allowed.items():
        value = given.get(key, param.default)
        if value is None and not param.required:
            continue
        if value is None or not param.check(value):
            raise FaultRefusedError(f"{name}: {key} must be {param.must_be}")
        params[key] = value
    return params


def _times(value: Any) -> int | None:
    if value is None or _is_whole(1, 1_000_000)(value):
        return value if value is None else int(value)
    raise FaultRefusedError("times must be a whole number from 1, or null for always")


def _match(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FaultRefusedError("match must be an object")
    for key, wanted in value.items():
        if key not in MATCH_KEYS:
            raise FaultRefusedError(f"match knows no {key}; it knows: {', '.join(MATCH_KEYS)}")
        if not MATCH_KEYS[key].check(wanted):
            raise FaultRefusedError(f"match: {key} must be {MATCH_KEYS[key].must_be}")
    return dict(value)
