"""How a day that is run in a process of its own is refused: as it would be here, with every word.

Not tested here: the process itself (tests/e2e/test_reconciling_by_http.py).
"""

from datetime import UTC, date, datetime

import orjson
import pytest

from gateway.domain.reconciled import OtherStatementError
from gateway.ports.statements import StatementNotReadyError, StatementRefusedError
from gateway.run.apart import heard, refused
from reconciliation.running import DayNotOverError, NoStatementsError


@pytest.mark.parametrize(
    "error",
    [
        NoStatementsError("yp", "yeepay states nothing: describe the file that it gives (setting statement)"),
        NoStatementsError("yp"),
        StatementRefusedError("is no amount", "day.csv", 3, "金额"),
        OtherStatementError("up", date(2026, 3, 5), 2, datetime(2026, 3, 6, 1, tzinfo=UTC)),
        StatementNotReadyError("E2002"),
        DayNotOverError("up: the day 2026-03-05 ends at 2026-03-05 23:00 in Beijing"),
    ],
)
def test_a_refusal_is_heard_as_it_was_said(error: Exception) -> None:
    with pytest.raises(type(error)) as told:
        heard(orjson.loads(orjson.dumps(refused(error))))
    assert str(told.value) == str(error)


def test_what_nobody_expects_is_no_refusal() -> None:
    assert refused(ZeroDivisionError()) is None
