"""Payouts and settlements: paid out once, what came back is known, and no payment gives more than came in."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from tests.simulation.check_money import agrees
from tests.simulation.history import History, Row
from tests.simulation.rules import Rules

__all__ = [
    "no_more_leaves_a_payment_than_came_in",
    "nobody_else_ends_a_hold",
    "one_effective_payout",
    "payouts_take_of_their_day_what_they_are",
    "settles_count_while_their_payout_does",
    "the_doctor_finds_nothing",
    "what_came_back_is_known",
]

HELD: Final = {"4002", "4003", "4004"}
"""How the mock PSPs' books say that a payout waits for a word that it is right."""
HELD_FOR_AT_MOST: Final = timedelta(days=7)
CONFIRMING: Final = "/confirmPayment.htm"


def one_effective_payout(history: History, _: Rules) -> Iterator[str]:
    """What the PSPs paid out is what was asked for, once, and the books say so."""
    expected = {asked.amount: asked for asked in history.asked.values() if asked.kind == "payout"}
    paid = _at_psps(history)
    for row in paid:
        if row["amount"] not in expected:
            yield f"{row['provider']} paid out {row['amount']}, for which nobody asked"
    for asked in expected.values():
        effective = [row for row in paid if row["amount"] == asked.amount and _is_paid(row)]
        if len(effective) > 1:
            yield f"{asked.number} was paid out {len(effective)} times"
        yield from agrees(history, asked, history.payouts, effective)


def what_came_back_is_known(history: History, rules: Rules) -> Iterator[str]:
    """What the banks gave back is returned here, and nothing else is."""
    theirs = {row["order_no"]: row["state"] for row in _at_psps(history)}
    numbers = {each["object_id"]: each["number"] for each in history.intents if each["verb"] == "payout"}
    for row in history.payouts:
        back = theirs.get(numbers.get(row["payout_id"], "")) == "returned"
        if row["status"] == "returned" and not back:
            yield f"{row['merchant_order_no']} is returned, and no bank gave it back"
        if row["status"] in {"succeeded", "processing"} and back and not rules.never_proof:
            yield f"{row['merchant_order_no']} is {row['status']}, and came back"


def no_more_leaves_a_payment_than_came_in(history: History, _: Rules) -> Iterator[str]:
    """Refunds and parts of payouts that did not fail or come back are what a payment's row says, and not too much."""
    said = {row["payment_id"]: row for row in history.outflows}
    takes = _taking(history)
    for payment in history.payments:
        name, key = payment["merchant_order_no"], payment["payment_id"]
        refunds = [row for row in history.refunds if row["payment_id"] == key and row["status"] in TAKES]
        back = sum(row["amount"] for row in refunds)
        on = sum(row["amount"] for row in history.settles if row["payment_id"] == key and row["payout_id"] in takes)
        found = said.get(key, {"refunded": 0, "settled": 0})
        if back != found["refunded"]:
            yield f"{name} says that {found['refunded']} went back, its refunds say {back}"
        if on != found["settled"]:
            yield f"{name} says that {found['settled']} was paid on, its payouts say {on}"
        if back + on > payment["amount"]:
            yield f"more left {name} than came in: {back} went back, and {on} was paid on"


TAKES: Final = {"processing", "succeeded"}


def settles_count_while_their_payout_does(history: History, _: Rules) -> Iterator[str]:
    """The parts of a payout are what it says; they count as long as it may be paid or is, and are free afterwards."""
    takes = _taking(history)
    for row in history.payouts:
        parts = [each for each in history.settles if each["payout_id"] == row["payout_id"]]
        summed = sum(each["amount"] for each in parts)
        if (row["parts"], row["settles"]) != (len(parts), summed):
            yield f"{row['merchant_order_no']} settles {row['settles']} by {row['parts']}, its parts are {summed}"
        counted = sum(each["counted"] for each in parts)
        if counted != (summed if row["payout_id"] in takes else 0):
            yield f"{row['merchant_order_no']} is {row['status']}, and {counted} of its parts are counted"


def payouts_take_of_their_day_what_they_are(history: History, _: Rules) -> Iterator[str]:
    """What a channel's day says that payouts take is the sum of those that were sent and did not fail or come back."""
    sent = {each["object_id"] for each in history.intents if each["verb"] == "payout"}
    takes, expected = _taking(history), Counter[Any]()
    for row in history.payouts:
        if row["payout_id"] in takes & sent:
            expected[row["channel"], row["business_day"]] += row["amount"]
    said = {(row["channel"], row["business_day"]): row["used"] for row in history.payout_days}
    for key in said.keys() | expected.keys():
        if said.get(key, 0) != expected[key]:
            yield f"payouts take {said.get(key, 0)} of {key[0]} on {key[1]}, they are {expected[key]}"


def nobody_else_ends_a_hold(history: History, _: Rules) -> Iterator[str]:
    """What is over is not held. What nobody confirmed was refused by an operator, or waited long enough, and was never
    paid; and a PSP is told that one is right no more often than operators said so."""
    refused = {each.number for each in history.answered if each.wish and each.body.get("status") == "failed"}
    theirs = {row["order_no"]: row for row in _at_psps(history)}
    for row in history.payouts:
        name = row["merchant_order_no"]
        if row["status"] != "processing" and (row["held_for"] or row["until_at"]):
            yield f"{name} is {row['status']}, and held for {row['held_for']}"
        if row["failure_code"] != "not_confirmed":
            continue
        waited = row["finished_at"] - row["created_at"]
        if name not in refused and waited < HELD_FOR_AT_MOST:
            yield f"{name} failed after {waited}, and nobody refused it"
        numbers = [each["number"] for each in history.intents if each["object_id"] == row["payout_id"]]
        if any(number in theirs and theirs[number]["code"] not in HELD for number in numbers):
            yield f"{name} was not confirmed, and its PSP does not hold it"
    again = sum(each["verb"] == "payout" and each["ordinal"] > 1 for each in history.intents)
    told = sum(each.path.endswith(CONFIRMING) for each in history.psp_requests)
    if told > again:
        yield f"a payout was said to be right {told} times, and {again} were recorded"


def the_doctor_finds_nothing(history: History, rules: Rules) -> Iterator[str]:
    """The program's own examination of its books."""
    if not rules.never_proof:  # what stays open is late by then
        yield from (f"the doctor says: {sentence}" for sentence in history.doctor)


def _at_psps(history: History) -> list[Row]:
    return [row for row in history.at_psps if row["kind"] == "payout"]


def _is_paid(row: Row) -> bool:
    """Whether the PSP paid it out, or will by itself."""
    return row["state"] != "failed" and row["code"] not in HELD


def _taking(history: History) -> set[Any]:
    """The payouts whose money is out, or may go out."""
    late = {each["object_id"] for each in history.intents if each["verb"] == "payout" and each["late_success"]}
    return {row["payout_id"] for row in history.payouts if row["status"] in TAKES or row["payout_id"] in late}
