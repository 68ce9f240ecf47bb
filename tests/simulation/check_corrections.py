"""Corrections: money that moved late goes back once or is kept once, and what keeps it is told."""

from collections.abc import Iterator

from tests.simulation.history import History
from tests.simulation.rules import Rules

__all__ = ["late_money_goes_one_way", "what_takes_money_as_paid_is_told_once"]


def late_money_goes_one_way(history: History, _: Rules) -> Iterator[str]:
    """What gives money back and what keeps it: never both, and each as its anomaly says."""
    for row in history.anomalies:
        refunds = [each for each in history.refunds if each["anomaly_id"] == row["anomaly_id"]]
        back = [each for each in refunds if each["status"] in {"processing", "succeeded"}]
        kept = [each for each in history.corrections if each["corrects"] == (row["payment_id"] or row["object_id"])]
        if len(back) + len(kept) > 1:
            yield f"the money of {row['kind']} goes {len(back) + len(kept)} ways"
        said = {"refunded": bool(back), "taken_as_paid": bool(kept)}.get(row["resolution"] or "", not back and not kept)
        if not said:
            yield f"{row['kind']} is {row['resolution']}, with {len(back)} refunds and {len(kept)} payments"


def what_takes_money_as_paid_is_told_once(history: History, _: Rules) -> Iterator[str]:
    """A payment that corrects one that failed, of the same amount and under its number, and one event of it."""
    for row in history.corrections:
        of = [each for each in history.payments if each["payment_id"] == row["corrects"]]
        if [(each["amount"], f"{each['merchant_order_no']}~c") for each in of] != [
            (row["amount"], row["merchant_order_no"])
        ]:
            yield f"{row['merchant_order_no']} corrects what it does not fit"
        told = [each["type"] for each in history.events if each["object_id"] == row["payment_id"]]
        if (row["status"], told) != ("succeeded", ["payment.succeeded"]):
            yield f"{row['merchant_order_no']} is {row['status']}, and the events tell {told}"
