"""Telling: one event for each end, and everybody gets it."""

from collections import Counter
from collections.abc import Iterator

import orjson

from tests.simulation.history import History, Row
from tests.simulation.rules import FINAL, Rules, id_of, kind_of, told_by_themselves

__all__ = ["every_psp_is_heard", "everybody_is_told", "one_event_for_each_end"]


def every_psp_is_heard(history: History, _: Rules) -> Iterator[str]:
    """What a PSP truly says of an order is acknowledged, sooner or later."""
    for number in history.refused_callbacks:
        yield f"the callback about {number} was never acknowledged"


def one_event_for_each_end(history: History, _: Rules) -> Iterator[str]:
    """One event per state that has a type, numbered without a gap, and none without a change."""
    told_of = [*history.payments, *history.refunds, *history.payouts, *history.routes, *history.checkouts]
    for row in [*told_of, *told_by_themselves(history)]:
        name = row["merchant_order_no"]
        events = sorted((each for each in history.events if each["object_id"] == id_of(row)), key=_sequence)
        if [each["sequence"] for each in events] != list(range(1, row["sequence"] + 1)):
            yield f"{name} has had {row['sequence']} events; there are {[each['sequence'] for each in events]}"
        kind = kind_of(row)
        types = Counter(each["type"] for each in events)
        for event_type, count in types.items():
            if count > 1 and not event_type.endswith((".anomaly", ".requires_action")):
                yield f"{name} was told {event_type} {count} times"
        ends = [event_type for event_type in types if event_type.rpartition(".")[2] in FINAL]
        wanted = [f"{kind}.succeeded", f"{kind}.returned"] if row["status"] == "returned" else None
        wanted = wanted or ([f"{kind}.{row['status']}"] if row["status"] in FINAL else [])
        wanted = [] if kind == "route" else wanted  # its app knows how it ended: only what is odd is told
        if ends != wanted:  # in turn
            yield f"{name} is {row['status']}, and the events tell {ends}"


def everybody_is_told(history: History, _: Rules) -> Iterator[str]:
    """Each event arrived, byte for byte, and nothing arrived that is no event."""
    if history.refused_notifications:
        yield f"{history.refused_notifications} notifications were not signed as they should be"
    bodies = {each["body"]: each for each in history.events}
    arrived = set(history.told)
    for body, event in bodies.items():
        if body not in arrived:
            yield f"{event['type']} of {event['object_id']} never arrived"
    for body in arrived - bodies.keys():
        yield f"{orjson.loads(body)['type']} arrived, and is no event of the books"
    for row in history.deliveries:
        if row["status"] != "delivered":
            yield f"the delivery of {row['event_id']} is {row['status']}"
    sent = Counter(row["event_id"] for row in history.deliveries)
    for event in history.events:
        if sent[event["event_id"]] != event["deliveries"]:
            yield f"{event['type']} has {sent[event['event_id']]} deliveries of {event['deliveries']}"


def _sequence(event: Row) -> int:
    return int(event["sequence"])
