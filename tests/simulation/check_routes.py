"""Recorded routes: they are what their app said first, nothing of them is sent, and each oddity is told once."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tests.simulation.asked import Said
from tests.simulation.history import History, Row
from tests.simulation.rules import Rules

__all__ = [
    "a_route_is_what_its_app_said",
    "each_oddity_of_a_route_is_told_once",
    "holds",
    "no_route_is_sent",
]

ZONE: Final = ZoneInfo("Asia/Shanghai")


def holds(route: Row, now: datetime) -> set[int]:
    """What a route may have reserved: all of it until it is reported; when its day is over, and its time, nothing, once
    that is noticed."""
    if route["status"] != "open":
        return {0}
    day_ends_at = datetime.combine(route["business_day"] + timedelta(days=1), time(), ZONE)
    is_over = now >= max(day_ends_at, route["report_before"])
    if is_over and route["until_at"] is None:
        return {0}
    return {route["amount"], 0} if is_over else {route["amount"]}


def a_route_is_what_its_app_said(history: History, _: Rules) -> Iterator[str]:
    """Its first word counts; without one it waits, and holds nothing when its day is over."""
    for row in history.routes:
        number = row["merchant_order_no"]
        said = _said_of(history, row)
        expected = said[0].status if said else "open" if row["channel"] else "failed"
        if row["status"] != expected:
            yield f"the route {number} is {row['status']}, by its app it is {expected}"
        if history.rests and row["status"] == "open" and row["until_at"] is not None:
            yield f"the route {number} still waits for its report, which is overdue"
        conflicts = {each.status for each in said[1:]} - {expected}
        for answer in history.answered:
            if answer.number == number and answer.status == 409 and not conflicts:
                yield f"the route {number} was answered {answer.body.get('code')}, and nobody contradicted it"


def no_route_is_sent(history: History, _: Rules) -> Iterator[str]:
    """Somebody else executes it: no intent, no payment of its number, and no PSP has heard of it."""
    amounts = {row["amount"] for row in history.at_psps}
    for row in history.routes:
        number = row["merchant_order_no"]
        if any(each["object_id"] == row["route_id"] for each in history.intents):
            yield f"the route {number} has an intent"
        if any(each["merchant_order_no"] == number for each in history.payments):
            yield f"the route {number} is a payment, too"
        if row["amount"] in amounts:
            yield f"the route {number} was sent to a PSP"


def each_oddity_of_a_route_is_told_once(history: History, _: Rules) -> Iterator[str]:
    """A report that is overdue, and a word against what was said before: an anomaly and an event each, no others."""
    for row in history.routes:
        said = _said_of(history, row)
        expected = {"unreported"} if row["channel"] and not said else set()
        if any(each.status != said[0].status for each in said):
            expected |= {"late_success" if said[0].status == "failed" else "late_failure"}
        found = Counter(each["kind"] for each in history.anomalies if each["object_id"] == row["route_id"])
        if said and said[0].at > row["report_before"] and found["unreported"]:
            expected.add("unreported")  # by nobody missed, if it came before the gateway looked
        if found != Counter(expected):
            yield f"the route {row['merchant_order_no']} has the anomalies {dict(found)}, and it is odd by {expected}"
        types = Counter(each["type"] for each in history.events if each["object_id"] == row["route_id"])
        if +types != +Counter({"route.anomaly": len(expected)}):
            yield f"the route {row['merchant_order_no']} was told as {dict(types)}"


def _said_of(history: History, route: Row) -> list[Said]:
    return [each for each in history.said if each.number == route["merchant_order_no"]]
