"""A payout at Allinpay succeeds and comes back three days later: by a clock that is moved, whoever asks on that day.

Not here: returns at the other companies, and deaths at every action (test_crashes).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson
import pytest

from tests.e2e.business import Shown
from tests.simulation.checker import check
from tests.simulation.flows import SCRIPTS
from tests.simulation.history import History, history_of
from tests.simulation.outside import Death
from tests.simulation.stage import Stage
from tests.simulation.test_checker import RULES

COMES_BACK = "a payout that comes back after three days, and what it settled is given back"
THREE_DAYS = timedelta(days=3)
BETWEEN: Death = ("a statement writes deliveries", "after")
"""When its success was told, and nothing is to be done for an hour."""
ASKING: Death = ("ask_payout to allinpay_main is sent", "after")
"""When Allinpay has said that it came back, and nobody has written it down."""


@pytest.mark.parametrize(
    "deaths", [[], [BETWEEN], [ASKING]], ids=["one worker", "restarted between", "dies as it asks"]
)
async def test_a_payout_comes_back_three_days_later_with_its_reason_and_what_it_settled_is_free(
    stage: Stage, deaths: Sequence[Death]
) -> None:
    script = next(each for each in SCRIPTS if each.name == COMES_BACK)
    play = await script.play(stage, deaths)
    history = await history_of(play)
    assert (play.died, check(history, RULES).wrong) == (len(deaths), [])
    (payout,) = history.payouts
    assert (payout["status"], payout["returned"]) == ("returned", "payee_name_mismatch")
    succeeded, returned = _told(history, "payout.succeeded"), _told(history, "payout.returned")
    assert (succeeded["sequence"], returned["sequence"]) == (1, 2)
    assert (succeeded["data"]["returned"], returned["data"]["returned"]) == (None, "payee_name_mismatch")
    assert _at(returned) - _at(succeeded) >= THREE_DAYS
    # Free: one of the payments that it settled was given back whole afterwards.
    assert {row["settled"] for row in history.outflows} == {0}
    assert [row["counted"] for row in history.settles] == [0, 0]
    (refund,) = history.refunds
    whole = {payment["payment_id"]: payment["amount"] for payment in history.payments}
    assert (refund["status"], refund["amount"]) == ("succeeded", whole[refund["payment_id"]])


def _told(history: History, kind: str) -> Shown:
    """The notification of this type, however often it came."""
    bodies = {body for body in history.told if orjson.loads(body)["type"] == kind}
    (body,) = bodies
    return dict(orjson.loads(body))


def _at(event: Shown) -> datetime:
    return datetime.fromisoformat(event["created_at"])
