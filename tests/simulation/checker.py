"""Looks at a history and says what must not be. It shares no rule with the gateway: each is written here again.

Money is counted at the PSPs, whose books are the sandbox's. An order is known there by its amount, since no two of one
play have the same; so what the gateway says of numbers is not needed to find what was charged for whom.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tests.simulation.history import History, Row
from tests.simulation.play import Asked

__all__ = ["Found", "Rules", "check"]

FINAL: Final = {"succeeded", "failed", "closed", "returned"}
OPEN: Final = {"processing", "requires_action"}
CHARGES: Final = {"consume", "withhold", "collect"}
PROOF_MARGIN_S: Final = 10.0


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
    not_found_codes: frozenset[str] = frozenset({"34", "1002"})
    """How the mock PSPs say that they have no such order."""


@dataclass(slots=True)
class Found:
    """What a check found: sentences of what must not be, and how much stays open for want of any question."""

    wrong: list[str] = field(default_factory=list)
    open: int = 0


def check(history: History, rules: Rules) -> Found:
    """Everything that is wrong in a history."""
    found = Found()
    for one in CHECKS:
        found.wrong += one(history, rules)
    found.open = sum(row["status"] in OPEN for row in [*history.payments, *history.refunds])
    return found


# Money


def nothing_is_submitted_twice(history: History, _: Rules) -> Iterator[str]:
    """Each order was sent to its PSP at most once."""
    for row in history.at_psps:
        if row["submissions"] != 1:
            yield f"{row['kind']} {row['order_no']} was submitted {row['submissions']} times"


def one_effective_charge(history: History, _: Rules) -> Iterator[str]:
    """What the PSPs took is what was asked for, once, and the books say so."""
    expected = {asked.amount: asked for asked in history.asked.values() if asked.kind == "payment"}
    for row in _charges(history):
        if row["amount"] not in expected:
            yield f"{row['provider']} has a charge of {row['amount']} that nobody asked for"
    for asked in expected.values():
        charges = [row for row in _charges(history) if row["amount"] == asked.amount]
        effective = [row for row in charges if row["state"] != "failed"]
        if len(effective) > 1:
            yield f"{asked.number} was charged {len(effective)} times"
        yield from _agrees(history, asked, history.payments, effective)


def one_effective_refund(history: History, _: Rules) -> Iterator[str]:
    """Of each refund at most one went out, and no more than came in; the books say so."""
    expected = {asked.amount: asked for asked in history.asked.values() if asked.kind == "refund"}
    refunds = [row for row in history.at_psps if row["kind"] == "refund"]
    for row in refunds:
        if row["amount"] not in expected:
            yield f"{row['provider']} gave back {row['amount']}, for which nobody asked"
    for asked in expected.values():
        effective = [row for row in refunds if row["amount"] == asked.amount and row["state"] != "failed"]
        if len(effective) > 1:
            yield f"{asked.number} was given back {len(effective)} times"
        yield from _agrees(history, asked, history.refunds, effective)
    for payment in history.payments:
        of_it = [row for row in history.refunds if row["payment_id"] == payment["payment_id"]]
        back = sum(row["amount"] for row in of_it if row["status"] in {"processing", "succeeded"})
        said = [row["refunded"] for row in history.outflows if row["payment_id"] == payment["payment_id"]]
        if back != sum(said):
            yield f"{payment['merchant_order_no']} says that {said} went back, its refunds say {back}"
        if back > payment["amount"]:
            yield f"more went back of {payment['merchant_order_no']} than came in"


def _agrees(history: History, asked: Asked, rows: list[Row], effective: list[Row]) -> Iterator[str]:
    """Whether the one row of an order says what its PSP did."""
    ours = [row for row in rows if row["merchant_order_no"] == asked.number]
    if not ours and _was_turned_away(history, asked.number):
        if effective:
            yield f"{asked.number} was turned away, and its PSP did it"
        return
    if len(ours) != 1:
        yield f"{asked.number} is {len(ours)} objects"
        return
    status, done = ours[0]["status"], [row for row in effective if row["state"] == "succeeded"]
    kinds = {row["kind"] for row in history.anomalies if row["object_id"] == _id(ours[0])}
    if status in {"succeeded", "returned"} and not done:
        yield f"{asked.number} is {status}, and its PSP did nothing"
    if status in {"failed", "closed"} and effective and "late_success" not in kinds:
        yield f"{asked.number} is {status}, and its PSP did it, or will"


def nothing_fails_without_proof(history: History, rules: Rules) -> Iterator[str]:
    """What failed was refused by its PSP, never sent, or asked about until the rule proved that it is not there."""
    for row in [*history.payments, *history.refunds]:
        if row["status"] not in {"failed", "closed"}:
            continue
        number = row["merchant_order_no"]
        intents = [each for each in history.intents if each["object_id"] == _id(row) and each["verb"] in _MONEY]
        if not intents:
            yield from _failed_before_money(history, row)
        for intent in intents:
            if not _is_proved(history, intent["number"], row, rules):
                yield f"{number} failed ({row['failure_code']}) without proof"


_MONEY: Final = {"pay", "refund"}


def _failed_before_money(history: History, row: Row) -> Iterator[str]:
    """Nothing of it was to be sent: then nothing of it may have been."""
    mentions = [each for each in history.psp_requests if (row.get("channel_order_no") or "no number") in each.body]
    if row["failure_code"] == "authentication_rejected" and not _was_refused(history, row["channel_code"]):
        yield f"{row['merchant_order_no']} failed as if its card had been refused, and no PSP refused it"
    if mentions:
        yield f"{row['merchant_order_no']} failed before anything was sent, and its PSP was sent {len(mentions)}"


def _was_refused(history: History, code: str | None) -> bool:
    if any(row["kind"] == "open_card" and row["state"] == "failed" for row in history.at_psps):
        return True
    return code is not None and any(code in each.answer for each in history.psp_requests)


def _is_proved(history: History, number: str, row: Row, rules: Rules) -> bool:
    mentions = [each for each in history.psp_requests if number in each.body]
    theirs = [each for each in history.at_psps if each["order_no"] == number]
    if any(each["state"] == "failed" for each in theirs):
        return True
    if not mentions:
        return False  # nobody asked, and whoever recorded it cannot tell that it was not sent
    code = row["channel_code"]
    if code and code not in rules.not_found_codes and code in mentions[0].answer:
        return True  # refused at once: such an order does not stand in every PSP's books
    # Those of before the end are the questions, and perhaps the order itself, whose answer was lost.
    asked = [each for each in mentions if each.at <= row["finished_at"] and each.answer]
    over_s = (asked[-1].at - asked[0].at).total_seconds() if asked else 0.0
    long_enough = over_s >= rules.over_s + PROOF_MARGIN_S - 1.0
    return not rules.never_proof and (rules.lies or not theirs) and len(asked) >= rules.answers and long_enough


# States


def no_final_state_changes(history: History, _: Rules) -> Iterator[str]:
    """Whoever looked, whenever: what was final stays what it was."""
    last: dict[Any, str] = {}
    for seen in history.seen:
        before = last.get(seen.id)
        if before in FINAL and seen.status != before and (before, seen.status) != ("succeeded", "returned"):
            yield f"{seen.object} {seen.id} was {before} and became {seen.status}"
        last[seen.id] = seen.status
    told: dict[str, str] = {}
    for answer in history.answered:
        status = answer.body.get("status") if answer.status in {200, 201} else None
        before = told.get(answer.number)
        if status is not None and before in FINAL and status != before and (before, status) != _RETURN:
            yield f"{answer.number} was answered {before}, and later {status}"
        if status is not None:
            told[answer.number] = str(status)
    for row in [*history.payments, *history.refunds]:
        said = told.get(row["merchant_order_no"])
        if said in FINAL and said != row["status"] and (said, row["status"]) != _RETURN:
            yield f"{row['merchant_order_no']} was answered {said} and is {row['status']}"


_RETURN: Final = ("succeeded", "returned")


def everything_comes_to_an_end(history: History, rules: Rules) -> Iterator[str]:
    """All is final, and nothing is due: but what its terms can never prove."""
    if not history.rests and not rules.never_proof:
        yield "there was no rest: something is due again and again"
    for row in [*history.payments, *history.refunds]:
        if row["status"] in OPEN and not rules.never_proof:
            yield f"{row['merchant_order_no']} stays {row['status']}"
    for row in history.authentications:
        if row["status"] in OPEN:
            yield f"authentication {row['authentication_id']} stays {row['status']}"


def the_same_number_is_the_same_order(history: History, _: Rules) -> Iterator[str]:
    """An app that sends its order again gets the same object, and never another."""
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for answer in history.answered:
        if answer.status in {200, 201}:
            ids[answer.number].add(answer.body["id"])
        elif answer.status not in {None, 503} and not _was_turned_away(history, answer.number):
            yield f"{answer.number} was answered {answer.status}: {answer.body.get('code')}"
    for number in history.asked:
        here = 0 if _was_turned_away(history, number) else 1
        if len(ids[number]) != here:
            yield f"{number} was answered as {len(ids[number])} objects"
        if sum(row["merchant_order_no"] == number for row in history.orders) != here:
            yield f"{number} stands in the orders {'though it was turned away' if not here else 'not once'}"


def _was_turned_away(history: History, number: str) -> bool:
    """Whether every answer to an order was that there is not so much left: then nothing of it is recorded."""
    said = [each for each in history.answered if each.number == number and each.status not in {None, 503}]
    return all(each.body.get("code") == "amount_exceeds_rest" for each in said)


def objects_agree_with_what_was_sent(history: History, _: Rules) -> Iterator[str]:
    """One intent of each verb, and its end is its object's."""
    of = Counter((each["object_id"], each["verb"]) for each in history.intents)
    for (object_id, verb), count in of.items():
        if count > 1:
            yield f"{object_id} has {count} intents to {verb}"
    for row in [*history.payments, *history.refunds, *history.authentications]:
        states = {each["state"] for each in history.intents if each["object_id"] == _id(row)}
        if states and (states == {"open"}) != (row["status"] in OPEN):
            yield f"{_id(row)} is {row['status']}, and what was sent is {states}"
        if row["status"] == "succeeded" and states != {"done"}:
            yield f"{_id(row)} succeeded, and what was sent is {states or 'nothing'}"


# Limits


def usage_is_what_is_open_and_what_succeeded(history: History, _: Rules) -> Iterator[str]:
    """What is reserved of a limit is what is in flight, and what is used is what succeeded."""
    late = {row["object_id"] for row in history.anomalies if row["kind"] == "late_success"}
    expected: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    for row in history.payments:
        if row["channel"] is None:
            continue
        of = expected[row["user_id"], row["channel"], row["business_day"]]
        of["reserved"] += row["amount"] if row["status"] in OPEN else 0
        of["succeeded"] += row["amount"] if row["status"] == "succeeded" or row["payment_id"] in late else 0
        of["insufficient"] += row["failure_code"] == "insufficient_balance"
    for row in history.usage:
        of = expected.pop((row["user_id"], row["channel"], row["business_day"]), Counter())
        for what in ("reserved", "succeeded", "insufficient"):
            if row[what] != of[what]:
                yield f"usage of {row['user_id']} on {row['channel']}: {what} {row[what]}, the payments say {of[what]}"
    for key, of in expected.items():
        if +of:
            yield f"usage of {key} is nowhere"


def the_last_attempt_is_the_last(history: History, _: Rules) -> Iterator[str]:
    """What switches channels is the attempt that ended last, of those that we did not keep from being sent."""
    last: dict[Any, Row] = {}
    for row in history.payments:
        if row["channel"] and row["status"] in {"succeeded", "failed"} and row["failure_blame"] != "platform":
            key = row["user_id"], row["channel"]
            last[key] = max(row, last.get(key, row), key=lambda each: (each["finished_at"], each["payment_id"]))
    said = {(row["user_id"], row["channel"]): row for row in history.last_attempts}
    for key in last.keys() | said.keys():
        ours, theirs = (each and (each["payment_id"], each["status"]) for each in (last.get(key), said.get(key)))
        if ours != theirs:
            yield f"the last attempt of {key} is {theirs}, by the payments it is {ours}"


def no_limit_is_passed(history: History, rules: Rules) -> Iterator[str]:
    """What a user paid on the day of the play is within the limit, by the PSPs' own books."""
    paid: Counter[str] = Counter()
    users = {asked.amount: asked.user_id for asked in history.asked.values() if asked.kind == "payment"}
    for row in _charges(history):
        if row["state"] != "failed":
            paid[users.get(row["amount"], "nobody")] += row["amount"]
    for user, amount in paid.items():
        if rules.daily_limit is not None and amount > rules.daily_limit:
            yield f"{user} paid {amount}, and the limit is {rules.daily_limit}"


# Telling


def one_event_for_each_end(history: History, _: Rules) -> Iterator[str]:
    """One event per state that has a type, numbered without a gap, and none without a change."""
    for row in [*history.payments, *history.refunds]:
        name = row["merchant_order_no"]
        events = sorted((each for each in history.events if each["object_id"] == _id(row)), key=_sequence)
        if [each["sequence"] for each in events] != list(range(1, row["sequence"] + 1)):
            yield f"{name} has had {row['sequence']} events; there are {[each['sequence'] for each in events]}"
        kind = "refund" if "refund_id" in row else "payment"
        types = Counter(each["type"] for each in events)
        for event_type, count in types.items():
            if count > 1 and not event_type.endswith((".anomaly", ".requires_action")):
                yield f"{name} was told {event_type} {count} times"
        ends = [event_type for event_type in types if event_type.rpartition(".")[2] in FINAL]
        wanted = [f"{kind}.succeeded", f"{kind}.returned"] if row["status"] == "returned" else None
        wanted = wanted or ([f"{kind}.{row['status']}"] if row["status"] in FINAL else [])
        if sorted(ends) != sorted(wanted):
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


# Cards


def a_card_is_asked_for_once(history: History, rules: Rules) -> Iterator[str]:
    """What was authenticated costs its fee once; of what stands open or is bound nothing was opened again."""
    openings = [row for row in history.at_psps if row["kind"] == "open_card"]
    numbers = {each["number"]: each["object_id"] for each in history.intents if each["verb"] == "authenticate"}
    bound: Counter[Any] = Counter()
    for row in openings:
        if row["order_no"] not in numbers:
            yield f"a card was opened as {row['order_no']}, which is no authentication of ours"
        if row["state"] == "succeeded":
            bound[row["provider"], row["card"]] += 1
    for (provider, card), count in bound.items():
        if count > 1:
            yield f"card {card} was opened {count} times at {provider}"
    for row in history.authentications:
        starters = [each for each in history.payments if each["payment_id"] == row["payment_id"]]
        sent = any(numbers.get(each["order_no"]) == row["authentication_id"] for each in openings)
        fees = [each["authentication_fee"] for each in starters]
        if sent and fees != [rules.authentication_fee]:
            yield f"a card was opened, and its payment says that this cost {fees}"
    started = {row["payment_id"] for row in history.authentications}
    for row in history.payments:
        if row["authentication_fee"] is not None and row["payment_id"] not in started:
            yield f"{row['merchant_order_no']} pays for an authentication that it did not start"


def codes_come_from_one_channel(history: History, _: Rules) -> Iterator[str]:
    """The payer gets codes for signing from one channel only, and no more than were asked for."""
    signing = [row for row in history.sms if row["purpose"] == "open_card"]
    if len({row["provider"] for row in signing}) > 1:
        yield f"codes for signing came from {sorted({row['provider'] for row in signing})}"
    if len(signing) > history.codes_asked:
        yield f"{len(signing)} codes were sent, and {history.codes_asked} asked for"


CHECKS: Final[tuple[Callable[[History, Rules], Iterator[str]], ...]] = (
    nothing_is_submitted_twice,
    one_effective_charge,
    one_effective_refund,
    nothing_fails_without_proof,
    no_final_state_changes,
    everything_comes_to_an_end,
    the_same_number_is_the_same_order,
    objects_agree_with_what_was_sent,
    usage_is_what_is_open_and_what_succeeded,
    the_last_attempt_is_the_last,
    no_limit_is_passed,
    one_event_for_each_end,
    everybody_is_told,
    a_card_is_asked_for_once,
    codes_come_from_one_channel,
)


def _charges(history: History) -> list[Row]:
    return [row for row in history.at_psps if row["kind"] in CHARGES]


def _id(row: Row) -> Any:
    if "refund_id" in row:
        return row["refund_id"]
    return row["payment_id"] if "merchant_order_no" in row else row["authentication_id"]


def _sequence(event: Row) -> int:
    return int(event["sequence"])
