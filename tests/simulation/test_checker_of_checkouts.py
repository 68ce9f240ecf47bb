"""Each rule of checkouts can be broken: a history that is well is changed in one place, and that is found."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.simulation.checker import check
from tests.simulation.flows import SCRIPTS
from tests.simulation.history import History, Row, history_of
from tests.simulation.stage import Stage
from tests.simulation.test_checker import MUCH_LATER, RULES, Change, each_with, rows

LIES = replace(RULES, lies=True)


@pytest.fixture(scope="session")
async def twice(stage: Stage) -> History:
    """The history of a checkout whose first try failed, whose second paid, and whose first was paid after all."""
    script = next(each for each in SCRIPTS if each.name == "a checkout that is paid twice")
    return await history_of(await script.play(stage))


def of_try(ordinal: int, **changed: object) -> Change:
    """A history with another try."""

    def change(found: list[Row]) -> list[Row]:
        return [row | changed if row["merchant_order_no"].endswith(f"~{ordinal}") else row for row in found]

    return rows("payments", change)


def began_too_soon(history: History) -> History:
    first = next(row for row in history.payments if row["merchant_order_no"].endswith("~1"))
    return of_try(2, created_at=first["finished_at"] - timedelta(seconds=1))(history)


def took_nothing(history: History) -> History:
    won = next(row["channel_order_no"] for row in history.payments if row["status"] == "succeeded")
    return rows("at_psps", lambda found: [row for row in found if row["order_no"] != won])(history)


CHANGES: dict[str, tuple[Change, str]] = {
    "not told": (rows("anomalies", lambda _: []), "was paid by 1 more than one, and told to be by 0"),
    "told twice": (rows("anomalies", lambda found: found * 2), "more often than it was"),
    "told, and not so": (rows("at_psps", each_with(state="failed")), "was paid by 0 more than one"),
    "charged beside it": (
        rows("at_psps", lambda found: [*found, found[-1] | {"order_no": "another"}]),
        "which is none of its tries",
    ),
    "paid with nothing": (took_nothing, "succeeded, and its PSP did nothing"),
    "two that succeeded": (of_try(1, status="succeeded"), "and its tries are"),
    "another number": (of_try(2, merchant_order_no="checkout~3"), "the tries of"),
    "miscounted": (rows("checkouts", each_with(tries=1)), "says that it was tried 1 times"),
    "at once": (began_too_soon, "had ended"),
    "after its end": (of_try(2, created_at=MUCH_LATER), "began after"),
    "open for ever": (rows("checkouts", each_with(status="open", won_by=None)), "stays open"),
    "expired though paid": (rows("checkouts", each_with(status="expired", won_by=None)), "expired, and its tries are"),
    "canceled though paid": (rows("checkouts", each_with(status="canceled", won_by=None)), "was canceled, and its"),
    "not counted": (rows("checkouts", each_with(sequence=1)), "has had 1 events; there are [1, 2]"),
    "end not told": (
        rows("events", lambda found: [row for row in found if row["type"] != "checkout.succeeded"]),
        "the events tell []",
    ),
}


def test_a_checkout_that_is_well_is_found_so(twice: History) -> None:
    assert check(twice, LIES).wrong == []


@pytest.mark.parametrize("change", CHANGES)
def test_one_thing_that_is_wrong_with_a_checkout_is_found(twice: History, change: str) -> None:
    wrongly, says = CHANGES[change]
    found = check(wrongly(twice), LIES).wrong
    assert any(says in sentence for sentence in found), found
