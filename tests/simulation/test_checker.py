"""Each rule of the checker can be broken: a history that is well is changed in one place, and that is found."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.simulation.asked import Answered, Seen
from tests.simulation.checker import Rules, check
from tests.simulation.flows import SCRIPTS
from tests.simulation.history import History, Row, history_of
from tests.simulation.script import Script
from tests.simulation.stage import GRACE_S, NOT_FOUND, Stage

RULES = Rules(NOT_FOUND.answers, NOT_FOUND.over_s, grace_s=GRACE_S)
Change = Callable[[History], History]


@pytest.fixture(scope="session")
async def well(stage: Stage) -> History:
    """The history of a refund by which nobody died: a card that was opened, a charge, and half of it back."""
    return await history_of(await _script("a refund").play(stage))


@pytest.fixture(scope="session")
async def left(stage: Stage) -> History:
    """The history of a page of YeePay's that was opened and left, and closed when its time was over."""
    return await history_of(await _script("a page that is left, after a lie").play(stage))


@pytest.fixture(scope="session")
async def expired(stage: Stage) -> History:
    """The history of a custody bank's page that was opened and left: nothing proves that it is over."""
    return await history_of(await _script("a recharge that is left on the custody bank's page").play(stage))


@pytest.fixture(scope="session")
async def routes(stage: Stage) -> History:
    """The history of recorded routes that were reported too late, or never."""
    return await history_of(await _script("recorded routes that are reported late, or never").play(stage))


def _script(name: str) -> Script:
    return next(each for each in SCRIPTS if each.name == name)


def rows(where: str, change: Callable[[list[Row]], list[Row]]) -> Change:
    """A history with other rows in one place."""

    def changed(history: History) -> History:
        found: dict[str, Any] = {where: change([dict(row) for row in getattr(history, where)])}
        return replace(history, **found)

    return changed


def each_with(**changed: Any) -> Callable[[list[Row]], list[Row]]:
    return lambda found: [row | changed for row in found]


def twice(kind: str) -> Callable[[list[Row]], list[Row]]:
    """The orders at the PSPs, one kind of them twice, under other numbers."""
    return lambda found: [*found, *(row | {"order_no": uuid4().hex} for row in found if row["kind"] == kind)]


def undone(kind: str) -> Callable[[list[Row]], list[Row]]:
    return lambda found: [row for row in found if row["kind"] != kind]


def told_again(history: History) -> History:
    last = history.answered[-1]
    body = last.body | {"id": "another", "status": "failed"}
    return replace(history, answered=[*history.answered, Answered(last.number, 200, body)])


def changed_its_mind(history: History) -> History:
    return replace(history, seen=[*history.seen, replace(history.seen[-1], status="failed"), Seen("x", uuid4(), "x")])


def code_from(provider: str) -> Row:
    return {"purpose": "sign", "provider": provider, "order_no": "1"}


CHANGES: dict[str, tuple[Change, str]] = {
    "submitted twice": (rows("at_psps", each_with(submissions=2)), "was submitted 2 times"),
    "charged twice": (rows("at_psps", twice("withhold")), "was charged 2 times"),
    "never charged": (rows("at_psps", undone("withhold")), "its PSP did nothing"),
    "given back twice": (rows("at_psps", twice("refund")), "was given back 2 times"),
    "never given back": (rows("at_psps", undone("refund")), "its PSP did nothing"),
    "refunded more than its refunds": (rows("outflows", each_with(refunded=1)), "its refunds say"),
    "failed and done": (rows("refunds", each_with(status="failed")), "its PSP did it, or will"),
    "failed without proof": (
        lambda history: replace(
            rows("refunds", each_with(status="failed", failure_code="channel_unavailable"))(history), psp_requests=[]
        ),
        "without proof",
    ),
    "another object": (told_again, "was answered as 2 objects"),
    "another end": (told_again, "was answered succeeded, and later failed"),
    "a final state that changed": (changed_its_mind, "and became failed"),
    "left open": (rows("refunds", each_with(status="processing")), "stays processing"),
    "no rest": (lambda history: replace(history, rests=False), "there was no rest"),
    "no intent": (rows("intents", lambda _: []), "succeeded, and what was sent is nothing"),
    "reserved for ever": (rows("usage", each_with(reserved=1)), "reserved 1, the payments say 0"),
    "no usage": (rows("usage", lambda _: []), "is nowhere"),
    "no last attempt": (rows("last_attempts", lambda _: []), "the last attempt"),
    "an event too few": (rows("events", lambda found: found[1:]), "there are []"),
    "an event too many": (rows("events", lambda found: [*found, found[0]]), "there are [1, 1]"),
    "told nobody": (lambda history: replace(history, told=[]), "never arrived"),
    "told what is not so": (lambda history: replace(history, told=[*history.told, b'{"type":"x"}']), "x arrived"),
    "never heard": (lambda history: replace(history, refused_callbacks=["1"]), "callback about 1 was never"),
    "signed wrongly": (lambda history: replace(history, refused_notifications=1), "were not signed"),
    "a delivery left": (rows("deliveries", each_with(status="pending")), "is pending"),
    "a card opened twice": (rows("at_psps", twice("open_card")), "was opened 2 times"),
    "a fee forgotten": (rows("payments", each_with(authentication_fee=None)), "says that this cost"),
    "a fee of nothing": (rows("authentications", lambda _: []), "that it did not start"),
    "codes of two channels": (
        lambda history: replace(history, sms=[code_from(each) for each in "ab"]),
        "came from ['a', 'b']",
    ),
    "a code that nobody asked for": (
        lambda history: replace(history, sms=[code_from("a")]),
        "1 codes were sent, and 0 asked for",
    ),
    "a code that nobody recorded": (lambda history: replace(history, sms=[code_from("a")]), "and 0 were recorded"),
    "an agreement forgotten": (rows("agreements", lambda _: []), "no agreement is known"),
    "an agreement that goes on": (
        lambda history: replace(history, unbindings=[row | {"ended": None} for row in history.agreements]),
        "still to be ended",
    ),
    "a PSP that was not told": (
        lambda history: replace(history, unbindings=[row | {"ended": "unbound"} for row in history.agreements]),
        "its PSP was not told",
    ),
}


def test_a_history_that_is_well_is_found_so(well: History) -> None:
    assert check(well, RULES).wrong == []


@pytest.mark.parametrize("change", CHANGES)
def test_one_thing_that_is_wrong_is_found(well: History, change: str) -> None:
    wrongly, says = CHANGES[change]
    found = check(wrongly(well), RULES).wrong
    assert any(says in sentence for sentence in found), found


def test_a_limit_that_is_passed_is_found(well: History) -> None:
    assert any("and the limit is 1" in sentence for sentence in check(well, replace(RULES, daily_limit=1)).wrong)


def all_said(**changed: Any) -> Change:
    """A history with other answers to the app."""
    return lambda history: replace(
        history, answered=[replace(each, body=each.body | changed) for each in history.answered]
    )


def opened(**changed: Any) -> Change:
    """A history in which the payer opened the page otherwise the last time."""
    return lambda history: replace(history, forms=[*history.forms, replace(history.forms[-1], **changed)])


def asked_too_early(history: History) -> History:
    early = history.forms[0].at
    return replace(history, psp_requests=[replace(each, at=early) for each in history.psp_requests])


MUCH_LATER = datetime.max.replace(tzinfo=UTC)
CLOSED = {"status": "closed", "finished_at": MUCH_LATER}
FAILED, SUCCEEDED = ({"status": each, "finished_at": MUCH_LATER} for each in ("failed", "succeeded"))
OF_EXPIRED: dict[str, tuple[Change, str]] = {
    "no word of its time": (all_said(next_action=None), "does not say that its time is over"),
    "paid and not heard of": (rows("at_psps", each_with(state="succeeded")), "stays requires_action, and is paid"),
    "another form": (opened(fields=()), "was opened with another form"),
    "opened by somebody else": (lambda history: replace(history, forms=[]), "was submitted 1 times"),
    "two pages": (rows("at_psps", twice("recharge")), "can be paid on 2 pages"),
    "freed at its expiry": (rows("usage", each_with(reserved=0)), "reserved 0, the payments say"),
    "closed without proof": (rows("payments", each_with(**CLOSED)), "without proof"),
}
OF_LEFT: dict[str, tuple[Change, str]] = {
    "nobody asked": (lambda history: replace(history, psp_requests=[]), "without proof"),
    "asked too early": (asked_too_early, "without proof"),
    "opened late": (
        lambda history: replace(history, forms=[replace(each, at=history.now) for each in history.forms]),
        "without proof",
    ),
    "paid": (rows("at_psps", each_with(state="succeeded")), "is closed, and its PSP did it"),
}


def sent_to_a_psp(history: History) -> History:
    theirs = {"kind": "x", "order_no": "1", "submissions": 1, "state": "failed", "amount": history.routes[0]["amount"]}
    return replace(history, at_psps=[theirs])


def freed_meanwhile(history: History) -> History:
    before = [replace(each, usage=[row | {"reserved": 0} for row in each.usage]) for each in history.standings]
    return replace(history, standings=before)


def refused_a_report(history: History) -> History:
    last = history.answered[-1]
    said = Answered(last.number, 409, {"code": "result_conflict"}, wish=True)
    return replace(history, answered=[*history.answered, said])


def with_intents(history: History) -> History:
    of_route = {"object_id": history.routes[0]["route_id"], "verb": "pay", "number": "1", "ordinal": 1}
    return replace(history, intents=[of_route | {"state": "open", "account": "a"}])


OF_ROUTES: dict[str, tuple[Change, str]] = {
    "another end": (
        rows("routes", each_with(**FAILED)),
        "is failed, by its app it is succeeded",
    ),
    "an end that nobody told": (
        rows("routes", each_with(**SUCCEEDED)),
        "is succeeded, by its app it is open",
    ),
    "an intent": (with_intents, "has an intent"),
    "a PSP": (sent_to_a_psp, "was sent to a PSP"),
    "no anomaly": (rows("anomalies", lambda _: []), "and it is odd by {'unreported'}"),
    "another anomaly": (rows("anomalies", each_with(kind="late_success")), "the anomalies {'late_success': 1}"),
    "an anomaly twice": (rows("anomalies", lambda found: found * 2), "the anomalies {'unreported': 2}"),
    "a contradiction of nobody's": (refused_a_report, "and nobody contradicted it"),
    "waiting for ever": (rows("routes", each_with(until_at=MUCH_LATER)), "still waits for its report"),
    "reserved after its day": (rows("usage", each_with(reserved=1)), "reserved 1, the payments say 0"),
    "freed before its day was over": (freed_meanwhile, "reserved 0, the payments say"),
    "used by nobody": (rows("routes", lambda _: []), "the payments say 0"),
    "no last attempt": (rows("last_attempts", lambda _: []), "the last attempt"),
}


def test_routes_that_are_well_are_found_so(routes: History) -> None:
    assert check(routes, RULES).wrong == []


@pytest.mark.parametrize("change", OF_ROUTES)
def test_one_thing_that_is_wrong_with_a_route_is_found(routes: History, change: str) -> None:
    wrongly, says = OF_ROUTES[change]
    found = check(wrongly(routes), RULES).wrong
    assert any(says in sentence for sentence in found), found


def test_a_limit_that_routes_pass_is_found(routes: History) -> None:
    assert any("and the limit is 1" in sentence for sentence in check(routes, replace(RULES, daily_limit=1)).wrong)


def test_pages_that_are_well_are_found_so(left: History, expired: History) -> None:
    assert check(left, RULES).wrong == []
    assert check(expired, replace(RULES, never_proof=True)).wrong == []


@pytest.mark.parametrize("change", OF_EXPIRED)
def test_one_thing_that_is_wrong_on_an_expired_page_is_found(expired: History, change: str) -> None:
    wrongly, says = OF_EXPIRED[change]
    found = check(wrongly(expired), replace(RULES, never_proof=True)).wrong
    assert any(says in sentence for sentence in found), found


@pytest.mark.parametrize("change", OF_LEFT)
def test_one_thing_that_is_wrong_on_a_closed_page_is_found(left: History, change: str) -> None:
    wrongly, says = OF_LEFT[change]
    found = check(wrongly(left), RULES).wrong
    assert any(says in sentence for sentence in found), found
