"""Each rule of payouts can be broken: a history that is well is changed in one place, and that is found."""

from dataclasses import replace

import pytest

from tests.simulation.checker import check
from tests.simulation.flows import SCRIPTS
from tests.simulation.history import History, Row, history_of
from tests.simulation.script import Script
from tests.simulation.stage import PspRequest, Stage
from tests.simulation.test_checker import MUCH_LATER, RULES, Change, each_with, rows, twice, undone


@pytest.fixture(scope="session")
async def back(stage: Stage) -> History:
    """The history of a payout that came back, and of a refund of one of the two payments that it settled."""
    return await history_of(await _script("a payout that comes back after three days").play(stage))


@pytest.fixture(scope="session")
async def settled(stage: Stage) -> History:
    """The history of a payout that settles two payments by parts."""
    return await history_of(await _script("a payout that is held, settles two payments").play(stage))


@pytest.fixture(scope="session")
async def refused(stage: Stage) -> History:
    """The history of a payout that was suspected, and refused by an operator."""
    return await history_of(await _script("a payout that is suspected and refused").play(stage))


def _script(name: str) -> Script:
    return next(each for each in SCRIPTS if each.name.startswith(name))


def of_payouts(**changed: object) -> Change:
    """A history in which the PSPs' payouts are otherwise."""
    return rows("at_psps", lambda found: [row | (changed if row["kind"] == "payout" else {}) for row in found])


def one_fen_more(where: str, column: str) -> Change:
    def change(found: list[Row]) -> list[Row]:
        return [row | {column: row[column] + (number == 0)} for number, row in enumerate(found)]

    return rows(where, change)


def in_the_other_turn(history: History) -> History:
    """The return was told first."""
    of_payout = [each for each in history.events if each["type"].startswith("payout.")]
    turned = {each["event_id"]: {"sequence": 3 - each["sequence"]} for each in of_payout}
    return rows("events", lambda found: [row | turned.get(row["event_id"], {}) for row in found])(history)


def told_again(history: History) -> History:
    again = PspRequest(history.now, "", "", "/lianlian/paymentapi/confirmPayment.htm")
    return replace(history, psp_requests=[*history.psp_requests, again])


def nobody_refused(history: History) -> History:
    return replace(history, answered=[each for each in history.answered if not each.wish])


OF_RETURNED: dict[str, tuple[Change, str]] = {
    "submitted twice": (of_payouts(submissions=2), "was submitted 2 times"),
    "paid twice": (rows("at_psps", twice("payout")), "was paid out 2 times"),
    "never paid": (rows("at_psps", undone("payout")), "its PSP did nothing"),
    "of nobody": (of_payouts(amount=1), "for which nobody asked"),
    "kept": (of_payouts(state="succeeded"), "is returned, and no bank gave it back"),
    "not known": (rows("payouts", each_with(status="succeeded")), "is succeeded, and came back"),
    "still taken": (rows("outflows", each_with(settled=1)), "says that 1 was paid on, its payouts say 0"),
    "refunded more": (one_fen_more("outflows", "refunded"), "went back, its refunds say"),
    "counted for ever": (rows("settles", each_with(counted=1)), "is returned, and 2 of its parts are counted"),
    "of a day for ever": (rows("payout_days", each_with(used=1)), "payouts take 1 of allinpay"),
    "held though over": (rows("payouts", each_with(held_for="app")), "is returned, and held for app"),
    "an event too few": (rows("events", lambda found: found[:-1]), "events; there are"),
    "another turn": (in_the_other_turn, "the events tell ['payout.returned', 'payout.succeeded']"),
    "another end of what was sent": (rows("intents", each_with(state="done")), "returned, and what was sent is"),
    "a doctor's word": (lambda history: replace(history, doctor=["it is ill"]), "the doctor says: it is ill"),
}
OF_SETTLED: dict[str, tuple[Change, str]] = {
    "too much": (
        lambda history: rows("payments", each_with(amount=history.settles[0]["amount"] - 1))(history),
        "more left",
    ),
    "a part lost": (rows("settles", lambda found: found[1:]), "settles"),
    "not taken": (rows("outflows", lambda _: []), "says that 0 was paid on"),
    "free": (rows("settles", each_with(counted=0)), "is succeeded, and 0 of its parts are counted"),
    "used by nobody": (rows("payout_days", lambda _: []), "payouts take 0 of allinpay"),
    "left open": (rows("payouts", each_with(status="processing")), "stays processing"),
}
OF_REFUSED: dict[str, tuple[Change, str]] = {
    "by nobody": (nobody_refused, "and nobody refused it"),
    "paid all the same": (of_payouts(state="succeeded", code="0000"), "and its PSP does not hold it"),
    "failed and done": (of_payouts(state="succeeded", code="0000"), "its PSP did it, or will"),
    "said to be right": (told_again, "was said to be right 1 times, and 0 were recorded"),
    "waits for ever": (rows("payouts", each_with(until_at=MUCH_LATER)), "is failed, and held for"),
}


@pytest.mark.parametrize("change", OF_RETURNED)
def test_one_thing_that_is_wrong_with_a_payout_that_came_back_is_found(back: History, change: str) -> None:
    found_in(back, *OF_RETURNED[change])


@pytest.mark.parametrize("change", OF_SETTLED)
def test_one_thing_that_is_wrong_with_a_settlement_is_found(settled: History, change: str) -> None:
    found_in(settled, *OF_SETTLED[change])


@pytest.mark.parametrize("change", OF_REFUSED)
def test_one_thing_that_is_wrong_with_a_refused_payout_is_found(refused: History, change: str) -> None:
    found_in(refused, *OF_REFUSED[change])


def found_in(history: History, wrongly: Change, says: str) -> None:
    found = check(wrongly(history), RULES).wrong
    assert any(says in sentence for sentence in found), found


def test_payouts_that_are_well_are_found_so(back: History, settled: History, refused: History) -> None:
    for history in (back, settled, refused):
        assert check(history, RULES).wrong == []
