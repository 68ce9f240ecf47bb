"""Each rule of the checker can be broken: a history that is well is changed in one place, and that is found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tests.simulation.asked import Answered, Seen
from tests.simulation.checker import Rules, check
from tests.simulation.flows import SCRIPTS
from tests.simulation.history import History, Row, history_of
from tests.simulation.stage import NOT_FOUND, Stage

RULES = Rules(NOT_FOUND.answers, NOT_FOUND.over_s)
Change = Callable[[History], History]


@pytest.fixture(scope="session")
async def well(stage: Stage) -> History:
    """The history of a refund by which nobody died: a card that was opened, a charge, and half of it back."""
    return await history_of(await next(each for each in SCRIPTS if each.name == "a refund").play(stage))


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
