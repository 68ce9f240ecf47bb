"""What the checks have in common: the terms of a play, and words for what stands in a history."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tests.simulation.history import History, Row

__all__ = [
    "CHARGES",
    "ENDS_AT_EXPIRY",
    "FINAL",
    "ON_PAGES",
    "OPEN",
    "PAGE_SCENES",
    "PROOF_MARGIN_S",
    "TURNED_AWAY",
    "Rules",
    "charges_of",
    "expires_at",
    "id_of",
    "is_effective",
    "kind_of",
    "moved_late",
    "told_by_themselves",
    "was_turned_away",
]

FINAL: Final = {"succeeded", "failed", "closed", "returned", "expired", "canceled"}
OPEN: Final = {"processing", "requires_action"}
ON_PAGES: Final = {"netbank", "recharge"}
"""Kinds of orders that a payer's browser brings to a PSP, and that are paid on its page, or not."""
CHARGES: Final = {"consume", "withhold", "collect"} | ON_PAGES
UNPAID: Final = {"INIT", "OPEN", "05", "PR"}
"""How the mock PSPs' books say that nobody paid an order on its page yet."""
PAGE_SCENES: Final = {"netbank_charge", "custody_quick_charge", "custody_netbank_charge"}
ENDS_AT_EXPIRY: Final = {"yeepay_main", "unionpay_main"}
"""Accounts whose PSP is sent the expiry, and takes nothing after it."""
PAGE_LIFE_S: Final = 900
"""What is promised where the app says nothing."""
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
    grace_s: float = 0.0
    """After a page has expired, before its PSP's silence proves anything."""
    daily_limit: int | None = None
    authentication_fee: int = 100
    not_found_codes: frozenset[str] = frozenset({"34", "1002", "8901", "0401", "240005"})
    """How the mock PSPs say that they have no such order."""
    codes_refused: tuple[str, ...] = ("respCode=69", "respCode=71", '"1900"', '"1901"')
    """How the mock PSPs say that a code is too old, or wrong."""


def charges_of(history: History) -> list[Row]:
    """What the PSPs have of payments."""
    return [row for row in history.at_psps if row["kind"] in CHARGES]


def is_effective(row: Row) -> bool:
    """Whether an order at a PSP took money, or may still do so by itself. One that waits for its payer does not."""
    waits = row["kind"] in ON_PAGES and row["state"] == "processing" and row["code"] in UNPAID
    return row["state"] != "failed" and not waits


def expires_at(row: Row) -> datetime:
    """Until when the payer of a payment may open its page."""
    at: datetime = row["created_at"] + timedelta(seconds=row["expires_in_s"] or PAGE_LIFE_S)
    return at


def moved_late(history: History) -> set[Any]:
    """The payments whose money moved after they had ended without it, as their anomalies say."""
    kinds = {"late_success", "paid_twice"}
    return {row["payment_id"] or row["object_id"] for row in history.anomalies if row["kind"] in kinds}


def kind_of(row: Row) -> str:
    """Whether a row is of a payment, a refund, a payout, an authentication, a recorded route or a checkout."""
    if "won_by" in row:
        return "checkout"
    of_its_own = next((each for each in ("refund", "payout", "route") if f"{each}_id" in row), None)
    return of_its_own or ("payment" if "scene" in row else "authentication")


def id_of(row: Row) -> Any:
    """The id of a payment, a refund, a payout, an authentication, a recorded route or a checkout."""
    return row[f"{kind_of(row)}_id"]


def told_by_themselves(history: History) -> list[Row]:
    """The authentications that an app asked for."""
    return [row for row in history.authentications if row["merchant_order_no"] is not None]


def was_turned_away(history: History, number: str) -> bool:
    """Whether every answer to an order was that there is not so much left: then nothing of it is recorded."""
    said = [each for each in history.answered if each.number == number and each.status not in {None, 503}]
    return bool(said) and all(each.body.get("code") == TURNED_AWAY for each in said)
