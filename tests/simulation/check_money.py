"""Money: what the PSPs took and gave back is what was asked for, once; nothing fails without proof.

An order is known at a PSP by its amount, since no two of one play have the same: what the gateway says of numbers is
not needed to find what was charged for whom.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tests.simulation.asked import Asked, Opened
from tests.simulation.history import History, Row
from tests.simulation.rules import (
    ENDS_AT_EXPIRY,
    ON_PAGES,
    PAGE_SCENES,
    PROOF_MARGIN_S,
    Rules,
    charges_of,
    expires_at,
    id_of,
    is_effective,
    was_turned_away,
)

__all__ = [
    "a_page_is_opened_with_the_same_form",
    "agrees",
    "nothing_fails_without_proof",
    "nothing_is_submitted_twice",
    "one_effective_charge",
    "one_effective_refund",
]


def nothing_is_submitted_twice(history: History, _: Rules) -> Iterator[str]:
    """Each order was sent to its PSP at most once; one on a page as often as its payer opened it, and not besides."""
    for row in history.at_psps:
        opened = sum(form.is_about(row["order_no"]) for form in history.forms)
        if row["submissions"] != (opened if row["kind"] in ON_PAGES else 1):
            yield f"{row['kind']} {row['order_no']} was submitted {row['submissions']} times"


def one_effective_charge(history: History, _: Rules) -> Iterator[str]:
    """What the PSPs took is what was asked for, once, and the books say so."""
    expected = {asked.amount: asked for asked in history.asked.values() if asked.kind == "payment"}
    of_checkouts = {asked.amount for asked in history.asked.values() if asked.kind == "checkout"}
    for row in charges_of(history):
        if row["amount"] not in expected.keys() | of_checkouts:
            yield f"{row['provider']} has a charge of {row['amount']} that nobody asked for"
    for asked in expected.values():
        charges = [row for row in charges_of(history) if row["amount"] == asked.amount]
        effective = [row for row in charges if is_effective(row)]
        if len(effective) > 1:
            yield f"{asked.number} was charged {len(effective)} times"
        if sum(row["kind"] in ON_PAGES for row in charges) > 1:
            yield f"{asked.number} can be paid on {len(charges)} pages"
        yield from agrees(history, asked, history.payments, effective)


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
        yield from agrees(history, asked, history.refunds, effective)


def agrees(history: History, asked: Asked, rows: list[Row], effective: list[Row]) -> Iterator[str]:
    """Whether the one row of an order says what its PSP did."""
    ours = [row for row in rows if row["merchant_order_no"] == asked.number]
    if not ours and (asked.by_operator or was_turned_away(history, asked.number)):
        if effective:
            yield f"{asked.number} was turned away, and its PSP did it"
        return
    if len(ours) != 1:
        yield f"{asked.number} is {len(ours)} objects"
        return
    status, done = ours[0]["status"], [row for row in effective if row["state"] in {"succeeded", "returned"}]
    kinds = {row["kind"] for row in history.anomalies if row["object_id"] == id_of(ours[0])}
    if status in {"succeeded", "returned"} and not done:
        yield f"{asked.number} is {status}, and its PSP did nothing"
    if status in {"failed", "closed"} and effective and "late_success" not in kinds:
        yield f"{asked.number} is {status}, and its PSP did it, or will"


def a_page_is_opened_with_the_same_form(history: History, _: Rules) -> Iterator[str]:
    """However often a payer goes there, and whoever builds it: another form would be another order."""
    first: dict[str, Opened] = {}
    for form in history.forms:
        before = first.setdefault(form.number, form)
        if (before.url, before.fields) != (form.url, form.fields):
            yield f"the page of {form.number} was opened with another form"


def nothing_fails_without_proof(history: History, rules: Rules) -> Iterator[str]:
    """What failed was refused by its PSP, never sent, or asked about until the rule proved that it is not there."""
    for row in [*history.payments, *history.refunds, *history.payouts]:
        if row["status"] not in {"failed", "closed"} or row["failure_code"] == NOT_CONFIRMED:
            continue
        number = row["merchant_order_no"]
        intents = [each for each in history.intents if each["object_id"] == id_of(row) and each["verb"] in MONEY]
        if not intents:
            yield from _failed_before_money(history, row)
        for intent in intents:
            proved = _is_proved_unpaid if row.get("scene") in PAGE_SCENES else _is_proved
            if not proved(history, intent, row, rules):
                yield f"{number} failed ({row['failure_code']}) without proof"


MONEY: Final = {"pay", "payout", "refund"}
NOT_CONFIRMED: Final = "not_confirmed"
"""By our clock, or an operator's word: the checks of payouts look after it."""


def _failed_before_money(history: History, row: Row) -> Iterator[str]:
    """Nothing of it was to be sent: then nothing of it may have been."""
    mentions = [each for each in history.psp_requests if (row.get("channel_order_no") or "no number") in each.body]
    if row["failure_code"] == "authentication_rejected" and not _was_refused(history, row["channel_code"]):
        yield f"{row['merchant_order_no']} failed as if its card had been refused, and no PSP refused it"
    of_it = [each["verb"] for each in history.intents if each["object_id"] == id_of(row)]
    if len(mentions) > of_it.count("send_payment_code"):
        yield f"{row['merchant_order_no']} failed before anything was sent, and its PSP was sent {len(mentions)}"


def _was_refused(history: History, code: str | None) -> bool:
    if any(row["kind"] == "open_card" and row["state"] == "failed" for row in history.at_psps):
        return True
    return code is not None and any(code in each.answer for each in history.psp_requests)


def _is_proved(history: History, intent: Row, row: Row, rules: Rules) -> bool:
    number = intent["number"]
    mentions = [each for each in history.psp_requests if number in each.body]
    theirs = [each for each in history.at_psps if each["order_no"] == number]
    if any(each["state"] == "failed" for each in theirs):
        return True
    if not mentions:
        return False  # nobody asked, and whoever recorded it cannot tell that it was not sent
    if intent["state"] == "declined" and any(said in each.answer for each in mentions for said in rules.codes_refused):
        return True  # what the payer typed was wrong, or too late
    code = row["channel_code"]
    if code and code not in rules.not_found_codes and code in mentions[0].answer:
        return True  # refused at once: such an order does not stand in every PSP's books
    # Those of before the end are the questions, and perhaps the order itself, whose answer was lost.
    asked = [each for each in mentions if each.at <= row["finished_at"] and each.answer]
    over_s = (asked[-1].at - asked[0].at).total_seconds() if asked else 0.0
    long_enough = over_s >= rules.over_s + PROOF_MARGIN_S - 1.0
    return not rules.never_proof and (rules.lies or not theirs) and len(asked) >= rules.answers and long_enough


def _is_proved_unpaid(history: History, intent: Row, row: Row, rules: Rules) -> bool:
    """What was to be paid on a page: its PSP refused it, gave it up, or showed no payment when its time was over."""
    number, is_known = intent["number"], [each for each in history.at_psps if each["order_no"] == intent["number"]]
    if any(each["state"] == "failed" for each in is_known):
        return True
    said = [each for each in history.psp_requests if number in each.body and each.at <= row["finished_at"]]
    if any("CancelOrd" in each.body and "r1_Code=1\n" in each.answer for each in said):
        return True
    if any(row["finished_at"] < until for until in _payable_until(history, number)):
        return False
    over = expires_at(row) + timedelta(seconds=rules.grace_s)
    late = [each for each in said if QUESTIONS.search(each.body) and each.answer and each.at >= over]
    if intent["account"] in ENDS_AT_EXPIRY:
        return bool(late)
    over_s = (late[-1].at - late[0].at).total_seconds() if late else 0.0
    long_enough = over_s >= rules.over_s + PROOF_MARGIN_S - 1.0
    return not rules.never_proof and not is_known and len(late) >= rules.answers and long_enough


def _payable_until(history: History, number: str) -> Iterator[datetime]:
    """Until when a PSP takes an order, by what it was told, or as it counts its life from the opening of the page."""
    for form in history.forms:
        told = dict(form.fields)
        if told.get("p2_Order") == number:
            yield form.at + timedelta(seconds=int(told["pm_Period"]))
            return  # to open it again makes it no younger
        if told.get("orderId") == number:
            yield datetime.strptime(told["payTimeout"], "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)


BEIJING: Final = ZoneInfo("Asia/Shanghai")
QUESTIONS: Final = re.compile("QueryOrdDetail|QUERY_TRANSACTION|txnType=00|<TxCode>1120<")
"""How the mock PSPs of pages are asked about an order."""
