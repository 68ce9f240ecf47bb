"""What the checks have in common: the terms of a play, and words for what stands in a history."""

from dataclasses import dataclass
from typing import Any, Final

from tests.simulation.history import History, Row

__all__ = [
    "CHARGES",
    "FINAL",
    "OPEN",
    "PROOF_MARGIN_S",
    "TURNED_AWAY",
    "Rules",
    "charges_of",
    "id_of",
    "told_by_themselves",
    "was_turned_away",
]

FINAL: Final = {"succeeded", "failed", "closed", "returned"}
OPEN: Final = {"processing", "requires_action"}
CHARGES: Final = {"consume", "withhold", "collect"}
PROOF_MARGIN_S: Final = 10.0
TURNED_AWAY: Final = "amount_exceeds_rest"
"""Nothing of such an order is recorded: it may be asked for again, and be taken then."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the terms of the play say. `answers` "not found" over `over_s` prove that a PSP never had an order."""

    answers: int
    over_s: float
    never_proof: bool = False
    lies: bool = False
    """Whether a PSP said "not found" of what it has."""
    daily_limit: int | None = None
    authentication_fee: int = 100
    not_found_codes: frozenset[str] = frozenset({"34", "1002", "8901"})
    """How the mock PSPs say that they have no such order."""
    codes_refused: tuple[str, ...] = ("respCode=69", "respCode=71", '"1900"', '"1901"')
    """How the mock PSPs say that a code is too old, or wrong."""


def charges_of(history: History) -> list[Row]:
    """What the PSPs have of payments."""
    return [row for row in history.at_psps if row["kind"] in CHARGES]


def id_of(row: Row) -> Any:
    """The id of a payment, a refund or an authentication."""
    if "refund_id" in row:
        return row["refund_id"]
    return row["payment_id"] if "scene" in row else row["authentication_id"]


def told_by_themselves(history: History) -> list[Row]:
    """The authentications that an app asked for."""
    return [row for row in history.authentications if row["merchant_order_no"] is not None]


def was_turned_away(history: History, number: str) -> bool:
    """Whether every answer to an order was that there is not so much left: then nothing of it is recorded."""
    said = [each for each in history.answered if each.number == number and each.status not in {None, 503}]
    return bool(said) and all(each.body.get("code") == TURNED_AWAY for each in said)
