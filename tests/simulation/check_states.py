"""States, limits and cards: what is final stays, all comes to an end, and each user and card is counted right."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from tests.simulation.asked import Standing
from tests.simulation.check_routes import holds
from tests.simulation.history import History, Row
from tests.simulation.rules import (
    FINAL,
    OPEN,
    PAGE_SCENES,
    PROOF_MARGIN_S,
    TURNED_AWAY,
    Rules,
    charges_of,
    expires_at,
    id_of,
    is_effective,
    moved_late,
    told_by_themselves,
    was_turned_away,
)

__all__ = [
    "a_card_is_asked_for_once",
    "codes_come_from_one_channel",
    "everything_comes_to_an_end",
    "no_final_state_changes",
    "no_limit_is_passed",
    "nothing_is_offered_beyond_its_time",
    "objects_agree_with_what_was_sent",
    "the_last_attempt_is_the_last",
    "the_same_number_is_the_same_order",
    "usage_is_what_is_open_and_what_succeeded",
    "what_is_bound_is_known",
    "what_is_given_up_ends",
]


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
    objects = [*history.payments, *history.refunds, *history.payouts, *history.routes, *history.checkouts]
    for row in [*objects, *told_by_themselves(history)]:
        said = told.get(row["merchant_order_no"])
        if said in FINAL and said != row["status"] and (said, row["status"]) != _RETURN:
            yield f"{row['merchant_order_no']} was answered {said} and is {row['status']}"


_RETURN: Final = ("succeeded", "returned")


def everything_comes_to_an_end(history: History, rules: Rules) -> Iterator[str]:
    """All is final, and nothing is due: but what its terms can never prove."""
    if not history.rests and not rules.never_proof:
        yield "there was no rest: something is due again and again"
    for row in [*history.payments, *history.refunds, *history.payouts]:
        if row["status"] in OPEN and not rules.never_proof:
            yield f"{row['merchant_order_no']} stays {row['status']}"
    for row in history.authentications:
        if row["status"] in OPEN:
            yield f"authentication {row['authentication_id']} stays {row['status']}"


def nothing_is_offered_beyond_its_time(history: History, rules: Rules) -> Iterator[str]:
    """What is still open on a page long after its time, since nothing proves its end, says that it has expired; what
    was paid there is not open."""
    over = timedelta(seconds=rules.grace_s + PROOF_MARGIN_S)
    paid = {row["order_no"] for row in history.at_psps if row["state"] == "succeeded"}
    for row in history.payments:
        if row["scene"] not in PAGE_SCENES or row["status"] not in OPEN or history.now < expires_at(row) + over:
            continue
        last = [each.body for each in history.answered if each.number == row["merchant_order_no"] and each.body][-1]
        if not (last.get("next_action") or {}).get("expired"):
            yield f"{row['merchant_order_no']} is still open, and does not say that its time is over"
        if row["channel_order_no"] in paid:
            yield f"{row['merchant_order_no']} stays {row['status']}, and is paid"


NOT_NOW: Final = {
    "confirmation_in_progress",
    "cannot_be_confirmed",
    "may_be_paid",
    "no_resends_left",
    "not_waiting",
    "payout_not_held",
    "resend_too_soon",
    "result_conflict",
    "sms_in_progress",
}
"""Why a wish is not granted: what the payer did before is still in hand, or was enough."""


def the_same_number_is_the_same_order(history: History, _: Rules) -> Iterator[str]:
    """An app that sends its order again gets the same object, and never another."""
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for answer in history.answered:
        if answer.status in {200, 201}:
            ids[answer.number].add(answer.body["id"])
        elif answer.wish and answer.status == 409 and answer.body.get("code") in NOT_NOW:
            continue
        elif answer.status not in {None, 503} and answer.body.get("code") != TURNED_AWAY:
            yield f"{answer.number} was answered {answer.status}: {answer.body.get('code')}"
    for number in (asked.number for asked in history.asked.values() if not asked.by_operator):
        here = 0 if was_turned_away(history, number) else 1
        if len(ids[number]) != here:
            yield f"{number} was answered as {len(ids[number])} objects"
        if sum(row["merchant_order_no"] == number for row in history.orders) != here:
            yield f"{number} stands in the orders {'though it was turned away' if not here else 'not once'}"


DOING: Final = {"authenticate", "pay", "payout", "refund"}
ENDS_AS: Final = {"succeeded": "done", "returned": "returned"}
TOOK_NOTHING: Final = {"declined", "not_sent"}


def objects_agree_with_what_was_sent(history: History, _: Rules) -> Iterator[str]:
    """Of the intents of each verb all but the last took nothing, and the end of the last is its object's."""
    for row in [*history.payments, *history.refunds, *history.payouts, *history.authentications]:
        of_it = [each for each in history.intents if each["object_id"] == id_of(row) and each["verb"] in DOING]
        of_it.sort(key=lambda each: each["ordinal"])
        if any(each["state"] not in TOOK_NOTHING for each in of_it[:-1]):
            yield f"{id_of(row)} has {len(of_it)} intents, of which an early one may have done it"
        states = {each["state"] for each in of_it[-1:]}
        # Asked to pay without a code, such a PSP pays nothing: the payer is to type one.
        asks = row["status"] == "requires_action" and {each["account"] for each in of_it} <= SENDING_BY_PAYING
        if states and not asks and (states == {"open"}) != (row["status"] in OPEN):
            yield f"{id_of(row)} is {row['status']}, and what was sent is {states}"
        if (end := ENDS_AS.get(row["status"])) is not None and states != {end}:
            yield f"{id_of(row)} {row['status']}, and what was sent is {states or 'nothing'}"


def usage_is_what_is_open_and_what_succeeded(history: History, _: Rules) -> Iterator[str]:
    """What is reserved of a limit is what is in flight, and what is used is what succeeded: in the end, and whenever
    somebody looked."""
    at_last = Standing(history.now, history.payments, history.routes, moved_late(history), history.usage)
    yield from dict.fromkeys(each for standing in (*history.standings, at_last) for each in _miscounted(standing))


def _miscounted(now: Standing) -> Iterator[str]:
    expected: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    noticed: Counter[Any] = Counter()
    """What of reservations may be free already: their day is over."""
    for row in [*now.payments, *now.routes]:
        if row["channel"] is None:
            continue
        key = row["user_id"], row["channel"], row["business_day"]
        held = holds(row, now.at) if "route_id" in row else {row["amount"] if row["status"] in OPEN else 0}
        expected[key]["reserved"] += max(held)
        noticed[key] += max(held) - min(held)
        expected[key]["succeeded"] += row["amount"] if row["status"] == "succeeded" or id_of(row) in now.late else 0
        expected[key]["insufficient"] += row["failure_code"] == "insufficient_balance"
    for row in now.usage:
        key = row["user_id"], row["channel"], row["business_day"]
        of, free = expected.pop(key, Counter()), noticed[key]
        for what in ("reserved", "succeeded", "insufficient"):
            least = of[what] - free if what == "reserved" else of[what]
            if not least <= row[what] <= of[what]:
                yield f"usage of {row['user_id']} on {row['channel']}: {what} {row[what]}, the payments say {of[what]}"
    for key, of in expected.items():
        if +of:
            yield f"usage of {key} is nowhere"


def the_last_attempt_is_the_last(history: History, _: Rules) -> Iterator[str]:
    """What switches channels is the attempt that ended last, of those that we did not keep from being sent."""
    last: dict[Any, Row] = {}
    for row in [*history.payments, *history.routes]:
        if row["channel"] and row["status"] in {"succeeded", "failed"} and row["failure_blame"] != "platform":
            key = row["user_id"], row["channel"]
            last[key] = max(row, last.get(key, row), key=lambda each: (each["finished_at"], id_of(each)))
    said = {(row["user_id"], row["channel"]): row for row in history.last_attempts}
    for key in last.keys() | said.keys():
        ours = (id_of(last[key]), last[key]["status"]) if key in last else None
        theirs = (said[key]["payment_id"], said[key]["status"]) if key in said else None
        if ours != theirs:
            yield f"the last attempt of {key} is {theirs}, by the payments it is {ours}"


def no_limit_is_passed(history: History, rules: Rules) -> Iterator[str]:
    """What a user paid on the day of the play is within the limit, by the PSPs' own books, with what is said to have
    been paid elsewhere, or may be."""
    paid: Counter[str] = Counter()
    users = {asked.amount: asked.user_id for asked in history.asked.values() if asked.kind == "payment"}
    for row in charges_of(history):
        if is_effective(row):
            paid[users.get(row["amount"], "nobody")] += row["amount"]
    for row in history.routes:
        paid[row["user_id"]] += row["amount"] if row["status"] != "failed" else 0
    for user, amount in paid.items():
        if rules.daily_limit is not None and amount > rules.daily_limit:
            yield f"{user} paid {amount}, and the limit is {rules.daily_limit}"


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
        fees = fees if row["merchant_order_no"] is None else [row["fee"]]
        if sent and fees != [rules.authentication_fee]:
            yield f"a card was opened, and its payment says that this cost {fees}"
    started = {row["payment_id"] for row in history.authentications}
    for row in history.payments:
        if row["authentication_fee"] is not None and row["payment_id"] not in started:
            yield f"{row['merchant_order_no']} pays for an authentication that it did not start"


def codes_come_from_one_channel(history: History, _: Rules) -> Iterator[str]:
    """The payer gets codes for signing from one channel only, and no more codes than were asked for."""
    signing = history.codes_to_sign()
    if len({row["provider"] for row in signing}) > 1:
        yield f"codes for signing came from {sorted({row['provider'] for row in signing})}"
    if len(signing) > history.codes_asked:
        yield f"{len(signing)} codes were sent, and {history.codes_asked} asked for"
    recorded = Counter((each["number"], each["verb"]) for each in history.intents)
    for (provider, number), count in Counter((row["provider"], row["order_no"]) for row in history.sms).items():
        verbs = {"pay", *SENDING} if provider in SENDS_BY_PAYING else SENDING
        asked_for = sum(recorded[number, verb] for verb in verbs)
        if count > asked_for:
            yield f"{count} codes were sent for {number}, and {asked_for} were recorded"


SENDING: Final = {"send_signing_code", "send_payment_code"}
SENDS_BY_PAYING: Final = {"lianlian"}
"""PSPs that send a code when they are asked to pay without one."""
SENDING_BY_PAYING: Final = {f"{provider}_main" for provider in SENDS_BY_PAYING}
"""Their accounts."""


def what_is_bound_is_known(history: History, _: Rules) -> Iterator[str]:
    """A card that its PSP bound has its agreement here, however late that was heard."""
    cards = {row["authentication_id"]: row["card_id"] for row in history.authentications}
    of_number = {each["number"]: cards.get(each["object_id"]) for each in history.intents if each["verb"] in DOING}
    known = {row["card_id"] for row in history.agreements}
    for row in history.at_psps:
        if row["kind"] == "open_card" and row["state"] == "succeeded" and of_number.get(row["order_no"]) not in known:
            yield f"a card was bound as {row['order_no']}, and no agreement is known"


def what_is_given_up_ends(history: History, _: Rules) -> Iterator[str]:
    """An agreement that its user gave up is void, and its PSP was told."""
    states = {(row["card_id"], row["account"]): row["status"] for row in history.agreements}
    for row in history.unbindings:
        if row["ended"] != "unbound" or states.get((row["card_id"], row["account"])) != "void":
            yield f"the agreement of {row['card_id']} was given up, and is {row['ended'] or 'still to be ended'}"
        if not any("txnType=74" in each.body for each in history.psp_requests):
            yield f"the agreement of {row['card_id']} was given up, and its PSP was not told"
