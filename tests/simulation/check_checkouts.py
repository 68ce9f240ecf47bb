"""Checkouts: one of their tries is paid, or it is told; they end as their tries and the clock say, and once."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from tests.simulation.history import History, Row
from tests.simulation.rules import OPEN, Rules, charges_of, id_of, is_effective

__all__ = ["a_checkout_ends_as_its_tries_do", "one_try_of_a_checkout_is_paid", "tries_come_one_after_the_other"]


A_MOMENT: Final = timedelta(milliseconds=10)
"""By which clocks of processes differ here: each begins with that of the stage, and moves by its own looks."""


def tries_of(history: History, checkout: Row) -> list[Row]:
    """What its payer tried, by their numbers: those are what we promise."""
    tries = [
        row for row in [*history.payments, *history.authentications] if row["checkout_id"] == checkout["checkout_id"]
    ]
    return sorted(tries, key=lambda row: int(row["merchant_order_no"].rpartition("~")[2]))


def one_try_of_a_checkout_is_paid(history: History, _: Rules) -> Iterator[str]:
    """Its payer paid once, by the PSPs' own books; where twice, that is told, once for each payment."""
    for checkout in history.checkouts:
        number, tries = checkout["merchant_order_no"], tries_of(history, checkout)
        if checkout["amount"] is None:
            continue
        charges = {row["order_no"]: row for row in charges_of(history) if row["amount"] == checkout["amount"]}
        for stray in charges.keys() - {row["channel_order_no"] for row in tries}:
            yield f"{number} was charged as {stray}, which is none of its tries"
        took = {id_of(row) for row in tries if is_effective(charges.get(row["channel_order_no"], NOTHING))}
        twice = _payments_of(history, checkout["checkout_id"], "paid_twice")
        late = {key for row in tries for key in _payments_of(history, id_of(row), "late_success")}
        for row in tries:
            took_it, name = id_of(row) in took, row["merchant_order_no"]
            if row["status"] == "succeeded" and not took_it:
                yield f"{name} succeeded, and its PSP did nothing"
            if row["status"] in {"failed", "closed"} and took_it and id_of(row) not in late.union(twice):
                yield f"{name} is {row['status']}, and its PSP did it, or will"
        if any(count > 1 for count in Counter(twice).values()):
            yield f"{number} was told to be paid twice more often than it was"
        paid = took - {checkout["won_by"]}
        if checkout["status"] == "succeeded" and set(twice) != paid:
            yield f"{number} was paid by {len(paid)} more than one, and told to be by {len(twice)}"
        if checkout["status"] != "succeeded" and twice:
            yield f"{number} is {checkout['status']}, and was told to be paid twice"


NOTHING: Row = {"kind": "consume", "state": "failed", "code": ""}


def tries_come_one_after_the_other(history: History, _: Rules) -> Iterator[str]:
    """Numbered without a gap; each begins when the one before has ended without success, and none after the end."""
    for checkout in history.checkouts:
        number, tries = checkout["merchant_order_no"], tries_of(history, checkout)
        numbers = [row["merchant_order_no"] for row in tries]
        if numbers != [f"{number}~{place}" for place in range(1, len(tries) + 1)]:
            yield f"the tries of {number} are {numbers}"
        if checkout["tries"] != len(tries):
            yield f"{number} says that it was tried {checkout['tries']} times, and there are {len(tries)}"
        for before, after in pairwise(tries):
            if before["finished_at"] is None or after["created_at"] < before["finished_at"] - A_MOMENT:
                yield f"{after['merchant_order_no']} began before {before['merchant_order_no']} had ended"
            if before["status"] == "succeeded":
                yield f"{after['merchant_order_no']} began after {before['merchant_order_no']} was paid"
        for row in tries:
            if checkout["finished_at"] is not None and row["created_at"] > checkout["finished_at"] + A_MOMENT:
                yield f"{row['merchant_order_no']} began after {number} had ended"


def a_checkout_ends_as_its_tries_do(history: History, _: Rules) -> Iterator[str]:
    """It succeeds with the one that did, is given up by its app alone, and expires when nothing of it is open."""
    canceled = {each.number for each in history.answered if each.wish and each.body.get("status") == "canceled"}
    for checkout in history.checkouts:
        number, tries = checkout["merchant_order_no"], tries_of(history, checkout)
        done = [row for row in tries if row["status"] == "succeeded"]
        is_open = any(row["status"] in OPEN for row in tries)
        match checkout["status"]:
            case "open" if not is_open and history.rests:
                yield f"{number} stays open, and nothing of it is"
            case "succeeded" if [id_of(row) for row in done] != [checkout["won_by"]]:
                yield f"{number} succeeded, and its tries are {[row['status'] for row in tries]}"
            case "expired" if done or is_open or checkout["finished_at"] < checkout["expires_at"]:
                yield f"{number} expired, and its tries are {[row['status'] for row in tries]}"
            case "canceled" if done or is_open:
                yield f"{number} was canceled, and its tries are {[row['status'] for row in tries]}"
        if number in canceled and checkout["status"] != "canceled":
            yield f"{number} was answered canceled, and is {checkout['status']}"
        if checkout["status"] != "succeeded" and done:
            yield f"{number} is {checkout['status']}, and {done[0]['merchant_order_no']} was paid"


def _payments_of(history: History, object_id: Any, kind: str) -> list[Any]:
    return [
        row["payment_id"] or row["object_id"]
        for row in history.anomalies
        if row["object_id"] == object_id and row["kind"] == kind
    ]
