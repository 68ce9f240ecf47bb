"""LianLian's files, line by line: what each says, and what is refused with its place."""

from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.lianlian.statement import RULES, LianLianStatements
from gateway.domain.statements import PSP_ZONE, LineKind, StatementLine
from gateway.ports.statements import StatementFile, StatementRefusedError

DAY = date(2026, 11, 25)
PARTNER = "201408071000001543"
HEADER = "商户订单号,商户号,时间,业务,连连单号,账务日期,金额,收付,状态,更新时间,手续费,产品,方式,订单信息\n"
AT = "20261125 09:30:05"
PAID = f"o-1,{PARTNER},20261125 09:30:00,1,2026112500000001,20261125,101.50,0,0,{AT},0.20,认证,借记,还款\n"
REFUND = f"r-1,{PARTNER},20261125 10:00:00,109001,o-1,20261125,-8.20,0,5,20261125 10:00:01,-0.01,认证,借记,\n"
PAYOUT = f"p-1,{PARTNER},20261125 11:00:00,109001,2026112500000009,20261125,50.00,1,0,,,付款,,提现\n"


def files(folder: Path, *texts: str) -> list[StatementFile]:
    found = []
    for number, text in enumerate(texts, start=1):
        path = folder / f"given{number}"
        path.write_bytes(text.encode())
        found.append(StatementFile(f"file{number}.txt", path))
    return found


def read(folder: Path, *texts: str) -> list[StatementLine]:
    return list(LianLianStatements(PARTNER, RULES).read(files(folder, *texts), DAY))


def test_receipts_refunds_and_payouts_are_what_their_lines_say(tmp_path: Path) -> None:
    def beijing(hour: int, minute: int, second: int) -> datetime:
        return datetime(2026, 11, 25, hour, minute, second, tzinfo=PSP_ZONE)

    assert read(tmp_path, HEADER + PAID + REFUND, HEADER + PAYOUT) == [
        StatementLine(2, LineKind.PAYMENT, "o-1", 10_150, True, 20, "2026112500000001", beijing(9, 30, 5)),
        StatementLine(3, LineKind.REFUND, "r-1", 820, True, -1, None, beijing(10, 0, 1), "o-1"),
        StatementLine(2, LineKind.PAYOUT, "p-1", 5_000, True, None, "2026112500000009"),
    ]


def test_a_payout_of_state_5_came_back(tmp_path: Path) -> None:
    [line] = read(tmp_path, HEADER + PAYOUT.replace(",1,0,", ",1,5,"))
    assert line.kind is LineKind.RETURN


def test_two_equal_lines_stay_two_and_a_day_without_orders_is_empty(tmp_path: Path) -> None:
    assert [line.number for line in read(tmp_path, HEADER + PAID + PAID)] == ["o-1", "o-1"]
    assert read(tmp_path, HEADER, HEADER) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (HEADER, "", "line 1: is no header line"),
        ("20261125,101.50", "20261124,101.50", "line 2, column 6: is not of 2026-11-25"),
        ("20261125,101.50", "x,101.50", "line 2, column 6: is no time"),
        (f"o-1,{PARTNER}", "o-1,201408071000001544", "line 2, column 2: is another merchant's"),
        ("o-1,2014", ",2014", "line 2, column 1: names no order"),
        ("101.50", "101.505", "line 2, column 7: is no amount"),
        ("101.50", "1e3", "line 2, column 7: is no amount"),
        ("101.50,0,0", "101.50,2,0", "line 2, column 8: is neither 0"),
        ("101.50,0,0", "101.50,0,1", "line 2, column 9: is neither 0"),
        ("101.50,0,0", "101.50,0,5", "line 2, column 9: is 5"),
        ("0.20,认证", "?,认证", "line 2, column 11: is no amount"),
        ("还款", "还款,三月", "line 2: has 15 columns"),
        (",0.20,认证,借记,还款", "", "line 2: has 10 columns"),
        ("-8.20,0,5", "-8.20,1,5", "line 3, column 8: has another direction"),
    ],
)
def test_a_line_that_is_not_what_it_must_be_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    whole = HEADER + PAID + REFUND
    assert old in whole
    with pytest.raises(StatementRefusedError, match=said):
        read(tmp_path, whole.replace(old, new, 1))


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        StatementRefusedError, match=r"file2\.txt, line 2, column 8: has the direction that file1\.txt has"
    ):
        read(tmp_path, HEADER + PAID, HEADER + PAID)


def test_a_payout_below_zero_that_did_not_come_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StatementRefusedError, match="is below zero, and did not come back"):
        read(tmp_path, HEADER + PAYOUT.replace("50.00", "-50.00"))


@pytest.mark.parametrize("text", ["", "\ufeff", "<html>502</html>"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StatementRefusedError):
        read(tmp_path, text)


@given(amounts=st.lists(st.integers(1, 10**11), max_size=20))
def test_any_amount_is_read_to_the_fen(tmp_path_factory: pytest.TempPathFactory, amounts: list[int]) -> None:
    lines = "".join(PAID.replace("101.50", f"{amount // 100}.{amount % 100:02d}") for amount in amounts)
    assert [line.amount for line in read(tmp_path_factory.mktemp("files"), HEADER + lines)] == amounts
