"""Files that a person gets from a PSP, read by the mapping in the account's settings; and mappings that are wrong.

Not here: amounts, charsets and zips as such (`test_statement_files`), and files of the sandbox.
"""

import csv
import io
import re
import tomllib
import tracemalloc
import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.account import AccountError
from adapters.statement_mapping import mapped
from gateway.domain.statements import PSP_ZONE, LineKind, StatementLine
from gateway.ports import AccountSettings
from gateway.ports.statements import StatementFile, StatementNotReadyError, StatementRefusedError

DAY = date(2026, 11, 25)
WECHAT: dict[str, Any] = {
    "guards": ["`"],
    "unit": "yuan",
    "day_by": "time",
    "columns": {
        "at": "交易时间",
        "merchant": "商户号",
        "transaction_no": "微信订单号",
        "number": "商户订单号",
        "kind": "交易状态",
        "amount": "订单金额",
        "fee": "手续费",
    },
    "columns_of": {
        "refund": {
            "number": "商户退款单号",
            "amount": "申请退款金额",
            "original": "商户订单号",
            "transaction_no": "微信退款单号",
        }
    },
    "kinds": {"SUCCESS": "payment", "REFUND": "refund", "REVOKED": "ignored"},
    "merchant": "mch_id",
    "total": {
        "begins_with": "总交易单数",
        "names": True,
        "count": "总交易单数",
        "fee": "手续费总金额",
        "amount_of": {"payment": "订单总金额", "refund": "申请退款总金额"},
    },
}
WECHAT_FILE = """\ufeff交易时间,商户号,微信订单号,商户订单号,交易状态,微信退款单号,商户退款单号,商品名称,\
手续费,订单金额,申请退款金额
`2026-11-25 09:30:01,`1900000109,`4200000001,`o-1,`SUCCESS,`0,`0,"`还款,三月",`0.61,`101.50,`0.00
`2026-11-25 09:31:02,`1900000109,`4200000002,`o-2,`SUCCESS,`0,`0,`还款,`0.01,`0.29,`0.00
`2026-11-25 21:00:00,`1900000109,`4200000001,`o-1,`REFUND,`5000001,`r-1,`还款,`-0.05,`0.00,`8.20
总交易单数,订单总金额,申请退款总金额,手续费总金额
`3,`101.79,`8.20,`0.57
"""
GBK: dict[str, Any] = {
    "encoding": "gb18030",
    "separator": "|",
    "quote": "",
    "header": False,
    "column_count": 7,
    "skip_lines": 1,
    "unit": "yuan",
    "columns": {"number": 1, "kind": 2, "amount": 3, "fee": 4, "status": 5, "day": 6, "at": [6, 7]},
    "kinds": {"收入": "payment", "支出": "out", "服务费": "ignored"},
    "signed": True,
    "paid": ["交易成功"],
    "not_paid": ["交易失败"],
    "fee_sign": "given",
    "time_layout": "%Y%m%d %H:%M:%S",
    "total": {"begins_with": "总笔数", "at_top": True, "count": 1, "net": 2, "counts_unpaid": False},
}
GBK_FILE = """总笔数：3笔|总金额：1,180.00元
a-1|收入|1,234.56|-1.23|交易成功|20261125|08:00:00
a-2|支出|-50.00|-|交易成功|20261125|08:00:01
a-3|收入|7.00||交易失败|20261125|08:00:02
|服务费|-4.56|-|交易成功|20261125|23:59:59
"""
PLAIN: dict[str, Any] = {
    "unit": "fen",
    "columns": {"number": "no", "amount": "amount", "day": "day"},
    "positive": "payment",
    "negative": "refund",
    "total": "none",
}
PLAIN_FILE = "no,amount,day\no-1,100,20261125\nr-1,-50,20261125\n"


def an_account(statement: object, **more: object) -> AccountSettings:
    return AccountSettings("acc_1", "yeepay", {"mch_id": "1900000109", "statement": statement, **more}, {})


def a_file(folder: Path, content: bytes | str, name: str = "bill.csv") -> StatementFile:
    path = folder / "given"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return StatementFile(name, path)


def read(mapping: Mapping[str, Any], *files: StatementFile, **more: object) -> list[StatementLine]:
    statements = mapped(an_account(mapping, **more))
    assert statements is not None
    return list(statements.read(files, DAY))


def beijing(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 11, 25, hour, minute, second, tzinfo=PSP_ZONE)


def zipped(path: Path, **entries: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


# Two real shapes, end to end


def test_a_bill_with_backticks_a_comma_in_a_text_and_a_total_of_its_own_names_is_read(tmp_path: Path) -> None:
    assert read(WECHAT, a_file(tmp_path, WECHAT_FILE)) == [
        StatementLine(2, LineKind.PAYMENT, "o-1", 10150, True, 61, "4200000001", beijing(9, 30, 1)),
        StatementLine(3, LineKind.PAYMENT, "o-2", 29, True, 1, "4200000002", beijing(9, 31, 2)),
        StatementLine(4, LineKind.REFUND, "r-1", 820, True, -5, "5000001", beijing(21, 0), "o-1"),
    ]


def test_a_gbk_file_with_direction_words_a_total_at_the_top_and_signed_amounts_is_read(tmp_path: Path) -> None:
    assert read(GBK, a_file(tmp_path, GBK_FILE.encode("gb18030"))) == [
        StatementLine(2, LineKind.PAYMENT, "a-1", 123456, True, 123, None, beijing(8, 0)),
        StatementLine(3, LineKind.OUT, "a-2", 5000, True, None, None, beijing(8, 0, 1)),
        StatementLine(4, LineKind.PAYMENT, "a-3", 700, False, None, None, beijing(8, 0, 2)),
    ]


def test_the_example_of_the_document_is_read_as_it_says(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "statement-mapping.md").read_text()
    [table, told] = re.findall(r"```(?:toml)?\n(.*?)```", text, re.DOTALL)
    mapping = tomllib.loads(told)["merchants"]["accounts"]["settings"]["statement"]
    lines = read(mapping, a_file(tmp_path, table), mer_id="1000000001")
    assert [(line.kind, line.number, line.amount, line.fee, line.original) for line in lines] == [
        (LineKind.PAYMENT, "o-1", 10150, 61, None),
        (LineKind.REFUND, "r-1", 820, -5, "o-1"),
    ]


def test_the_sign_alone_tells_a_refund(tmp_path: Path) -> None:
    lines = read(PLAIN, a_file(tmp_path, PLAIN_FILE))
    assert [(line.kind, line.number, line.amount) for line in lines] == [
        (LineKind.PAYMENT, "o-1", 100),
        (LineKind.REFUND, "r-1", 50),
    ]


@pytest.mark.parametrize("change", ["\r\n", "mark", "blank lines", "no end"])
def test_what_is_around_the_lines_changes_nothing(tmp_path: Path, change: str) -> None:
    text = {
        "\r\n": PLAIN_FILE.replace("\n", "\r\n"),
        "mark": f"\ufeff{PLAIN_FILE}",
        "blank lines": f"{PLAIN_FILE}\n  \n",
        "no end": PLAIN_FILE.rstrip(),
    }[change]
    assert read(PLAIN, a_file(tmp_path, text)) == read(PLAIN, a_file(tmp_path, PLAIN_FILE))


def test_two_equal_lines_stay_two(tmp_path: Path) -> None:
    lines = read(PLAIN, a_file(tmp_path, PLAIN_FILE + "o-1,100,20261125\n"))
    assert [line.number for line in lines] == ["o-1", "r-1", "o-1"]


def test_formulas_and_tabs_that_excel_wants_are_taken_off(tmp_path: Path) -> None:
    text = 'no,amount,day\n="0012",100,20261125\n\t0013\t,100,20261125\n\'0014,7,20261125\n'
    lines = read({**PLAIN, "guards": ["=", "'", "\t"]}, a_file(tmp_path, text))
    assert [line.number for line in lines] == ["0012", "0013", "0014"]


def test_a_refund_that_names_the_payment_alone_has_no_number_of_its_own(tmp_path: Path) -> None:
    mapping = {**PLAIN, "columns_of": {"refund": {"number": "", "original": "no"}}}
    line = read(mapping, a_file(tmp_path, PLAIN_FILE))[1]
    assert (line.number, line.original) == (None, "r-1")


def test_a_day_without_orders_is_an_empty_statement(tmp_path: Path) -> None:
    head, total = WECHAT_FILE.splitlines()[0], WECHAT_FILE.splitlines()[4]
    assert read(WECHAT, a_file(tmp_path, f"{head}\n{total}\n`0,`0.00,`0.00,`0.00\n")) == []
    assert read(PLAIN, a_file(tmp_path, PLAIN_FILE.splitlines()[0])) == []


def test_a_file_that_is_zipped_is_read_by_the_name_of_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "given"
    zipped(path, **{"明细.csv": PLAIN_FILE.encode(), "汇总.csv": b"other"})
    file = StatementFile("bill.zip", path)
    assert len(read({**PLAIN, "entry": "明细"}, file)) == 2
    with pytest.raises(StatementRefusedError, match=r"bill\.zip: must hold a file alone; it holds 2"):
        read(PLAIN, file)
    with pytest.raises(StatementRefusedError, match="whose name has '退款'"):
        read({**PLAIN, "entry": "退款"}, file)


def test_an_end_that_is_marked_must_come_and_nothing_may_follow_it_but_comments(tmp_path: Path) -> None:
    mapping = {**PLAIN, "comment": "#", "end": "#---- 结束", "skip_lines": 1}
    whole = f"#账单\n{PLAIN_FILE}#---- 结束 ----\n#导出时间\n"
    assert len(read(mapping, a_file(tmp_path, whole))) == 2
    with pytest.raises(StatementRefusedError, match="does not have the line that ends it"):
        read(mapping, a_file(tmp_path, f"#账单\n{PLAIN_FILE}"))
    with pytest.raises(StatementRefusedError, match="line 6: stands after the end"):
        read(mapping, a_file(tmp_path, whole.replace("#导出时间", "o-9,1,20261125")))


# What is refused, and where


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("`o-2,`SUCCESS", "`o-2,`FROZEN", r"line 3, column 5: has 'FROZEN', which the mapping does not explain"),
        ("`o-2,`SUCCESS", "`o-2,`6222020200098761", r"line 3, column 5: has another word"),
        ("`0.01,`0.29", "`0.01,`0.2９", r"line 3, column 10: is no amount in yuan"),
        ("`0.01,`0.29", "`0.01,`1e3", r"line 3, column 10: is no amount"),
        ("`0.01,`0.29", "`0.01,`0.291", r"line 3, column 10: is no amount"),
        ("`0.01,`0.29", "`0.01,`-0.29", r"line 3, column 10: is below zero"),
        ("`0.01,`0.29", "`0.01,`", r"line 3, column 10: is no amount"),
        ("`0.01,`0.29,`0.00", "`0.01,`0.29", r"line 3: has 10 columns where there must be 11"),
        ('"`还款,三月"', "`还款,三月", r"line 2: has 12 columns"),
        ('"`还款,三月"', '"`还款,三月', r"line 2: has quotes that do not fit"),
        ("31:02,`1900000109", "31:02,`1900000108", r"line 3, column 2: is another merchant's"),
        ("2026-11-25 09:31:02", "2026-11-26 00:00:00", r"line 3, column 1: is not of 2026-11-25"),
        ("2026-11-25 09:31:02", "2026-11-25", r"line 3, column 1: is no time"),
        ("2026-11-25 09:31:02", "-", r"line 3, column 1: has no time"),
        ("`o-2", f"`{'9' * 129}", r"line 3, column 4: is longer than 128"),
        ("订单金额,", "金额,", r"line 1, column 订单金额: has no columns of this name"),
        ("商品名称", "商户号", r"line 1, column 商户号: has 2 columns"),
        ("\n`3,", "\n`4,", r"line 6, column 总交易单数: the total says 4, its lines come to 3"),
        ("\n`3,", "\n`三,", r"line 6, column 总交易单数: is no number of lines"),
        ("101.79", "101.80", r"line 6, column 订单总金额: the total says 10180, its lines come to 10179"),
        ("`0.57", "`0.67", r"line 6, column 手续费总金额: the total says 67, its lines come to 57"),
        ("申请退款总金额", "退款总金额", r"line 6, column 申请退款总金额: has no columns"),
        ("\n`3,`101.79,`8.20,`0.57\n", "\n", r"bill\.csv: ends within its total: it is cut"),
        (
            "\n总交易单数,订单总金额,申请退款总金额,手续费总金额\n`3,`101.79,`8.20,`0.57\n",
            "\n",
            r"bill\.csv: has no total: it is cut",
        ),
    ],
)
def test_a_bill_that_is_not_what_it_must_be_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(StatementRefusedError, match=said):
        read(WECHAT, a_file(tmp_path, changed(WECHAT_FILE, old, new)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("|-50.00|", "|50.00|", r"line 3, column 3: has a sign that no out has"),
        ("|1,234.56|", "|-1,234.56|", r"line 2, column 3: has a sign that no payment has"),
        ("交易失败", "处理中", r"line 4, column 5: has '处理中'"),
        ("7.00||交易失败|20261125", "7.00||交易失败|20261126", r"line 4, column 6: is not of 2026-11-25"),
        ("1,180.00", "1,180.01", r"line 1, column 2: the total says 118001, its lines come to 118000"),
        ("3笔", "4笔", r"line 1, column 1: the total says 4, its lines come to 3"),
    ],
)
def test_a_gbk_file_that_is_not_what_it_must_be_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(StatementRefusedError, match=said):
        read(GBK, a_file(tmp_path, changed(GBK_FILE, old, new).encode("gb18030")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "bill.csv: has no header line"),
        (b"\xef\xbb\xbf", "bill.csv"),
        (b"<html><body>502 Bad Gateway</body></html>", "has no columns of this name"),
        (PLAIN_FILE.encode("utf-16"), "is UTF-16"),
        ("no,amount,day\n订单,1,20261125\n".encode("gbk"), "line 2: is not UTF-8"),
        (b"no,amount,day\n\no-1,1,20261125\n", "line 2: is blank"),
        (b"PK\x03\x04 and no more", "is no whole zip"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(StatementRefusedError, match=said):
        read(PLAIN, a_file(tmp_path, content))


def test_a_file_without_a_header_may_be_empty_only_where_the_mapping_says_so(tmp_path: Path) -> None:
    mapping = {**PLAIN, "header": False, "column_count": 3, "columns": {"number": 1, "amount": 2, "day": 3}}
    with pytest.raises(StatementRefusedError, match="is empty"):
        read(mapping, a_file(tmp_path, b""))
    assert read({**mapping, "may_be_empty": True}, a_file(tmp_path, b"")) == []


def test_the_name_tells_the_day_where_the_lines_do_not(tmp_path: Path) -> None:
    mapping = {**PLAIN, "columns": {"number": "no", "amount": "amount"}, "day_by": "name"}
    assert len(read(mapping, a_file(tmp_path, PLAIN_FILE, "bill_20261125.csv"))) == 2
    with pytest.raises(StatementRefusedError, match="its name does not say 20261125"):
        read(mapping, a_file(tmp_path, PLAIN_FILE, "bill_20261124.csv"))


def test_a_day_that_ends_before_midnight_is_told_by_the_accounts_day_cut(tmp_path: Path) -> None:
    late = changed(WECHAT_FILE, "2026-11-25 09:30:01", "2026-11-24 23:55:00")
    assert len(read(WECHAT, a_file(tmp_path, late), day_cut="23:50")) == 3
    with pytest.raises(StatementRefusedError, match="is not of 2026-11-25"):
        read(WECHAT, a_file(tmp_path, late))


# Whatever people write into a table


TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)


@given(rows=st.lists(st.tuples(st.integers(-(10**9), 10**9), TEXTS), max_size=20))
def test_any_table_that_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(["no", "amount", "text", "day"])
    for index, (amount, text) in enumerate(rows):
        table.writerow([f"n{index}", amount, text, "20261125"])
    table.writerow(["合计", len(rows), sum(amount for amount, _ in rows), ""])
    mapping = {**PLAIN, "total": {"begins_with": "合计", "count": 2, "net": 3}}
    lines = read(mapping, a_file(tmp_path_factory.mktemp("table"), written.getvalue()))
    signed = [line.amount if line.kind is LineKind.PAYMENT else -line.amount for line in lines]
    assert signed == [amount for amount, _ in rows]
    assert [line.line for line in lines] == list(range(2, len(rows) + 2))


@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for mapping in (PLAIN, WECHAT, GBK):
        try:
            read(mapping, a_file(tmp_path_factory.mktemp("bytes"), content))
        except StatementRefusedError:
            continue


def test_a_long_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "given"
    with path.open("w") as file:
        file.write("no,amount,day\n")
        file.writelines(f"o-{number},{number},20261125\n" for number in range(20_000))
    statements = mapped(an_account(PLAIN))
    assert statements is not None
    tracemalloc.start()
    try:
        count = sum(1 for _ in statements.read([StatementFile("long.csv", path)], DAY))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 2 * 1024 * 1024


# The mapping itself


def without(mapping: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: told for name, told in mapping.items() if name not in names}


def in_columns(mapping: Mapping[str, Any], **more: object) -> dict[str, Any]:
    return {**mapping, "columns": {**mapping["columns"], **more}}


def in_total(**more: object) -> dict[str, Any]:
    return {**WECHAT, "total": {**WECHAT["total"], **more}}


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ("a table", "statement"),
        ({**PLAIN, "colums": {}}, "statement.colums"),
        (without(PLAIN, "columns"), "statement.columns"),
        (without(PLAIN, "unit"), "statement.unit"),
        ({**PLAIN, "unit": "dollar"}, "statement.unit"),
        (without(PLAIN, "total"), "statement.total"),
        ({**PLAIN, "total": "no"}, "statement.total"),
        ({**PLAIN, "total": {"begins_with": "合计"}}, "statement.total"),
        (in_total(begins_with=""), "statement.total.begins_with"),
        (in_total(count=1), "statement.total.count"),
        (in_total(sum="x"), "statement.total.sum"),
        (in_total(at_top=True), "statement.total.at_top"),
        (in_total(names="yes"), "statement.total.names"),
        (in_total(amount_of={"fee": "x"}), "statement.total.amount_of"),
        ({**PLAIN, "columns": {"number": "no", "day": "day"}}, "statement.columns.amount"),
        (in_columns(PLAIN, amount=2), "statement.columns.amount"),
        (in_columns(PLAIN, betrag="amount"), "statement.columns.betrag"),
        (in_columns(PLAIN, at=["a", "b", "c"]), "statement.columns.at"),
        (in_columns(GBK, amount=8), "statement.columns.amount"),
        (in_columns(GBK, amount="金额"), "statement.columns.amount"),
        (without(GBK, "column_count"), "statement.column_count"),
        ({**PLAIN, "column_count": 3}, "statement.column_count"),
        ({**PLAIN, "encoding": "latin-1"}, "statement.encoding"),
        ({**PLAIN, "separator": ", "}, "statement.separator"),
        ({**PLAIN, "separator": []}, "statement.separator"),
        ({**PLAIN, "quote": "|"}, "statement.quote"),
        ({**PLAIN, "guards": ["-"]}, "statement.guards"),
        ({**PLAIN, "guards": "`"}, "statement.guards"),
        ({**PLAIN, "skip_lines": -1}, "statement.skip_lines"),
        ({**PLAIN, "skip_lines": True}, "statement.skip_lines"),
        ({**PLAIN, "header": "yes"}, "statement.header"),
        ({**PLAIN, "kind": "payment"}, "statement.kinds"),
        (without(PLAIN, "positive"), "statement.kinds"),
        (without(PLAIN, "negative"), "statement.negative"),
        ({**PLAIN, "negative": "minus"}, "statement.negative"),
        ({**PLAIN, "signed": True}, "statement.signed"),
        ({**without(PLAIN, "positive", "negative"), "kind": "ignored"}, "statement.kind"),
        ({**WECHAT, "kinds": {"SUCCESS": "paid"}}, "statement.kinds"),
        ({**WECHAT, "kinds": {"SUCCESS": ["payment"]}}, "statement.kinds"),
        ({**WECHAT, "kinds": {"SUCCESS": "ignored"}, "columns_of": {}}, "statement.kinds"),
        (without(WECHAT, "kinds"), "statement.kinds"),
        (in_columns(PLAIN, status="state"), "statement.paid"),
        ({**PLAIN, "paid": ["OK"]}, "statement.paid"),
        ({**GBK, "paid": "交易成功"}, "statement.paid"),
        ({**GBK, "not_paid": ["交易成功"]}, "statement.not_paid"),
        ({**PLAIN, "not_paid": ["交易失败"]}, "statement.not_paid"),
        ({**GBK, "fee_sign": "-"}, "statement.fee_sign"),
        ({**GBK, "time_layout": "%Y%m%d"}, "statement.time_layout"),
        ({**GBK, "time_layout": "%Y%m%d %H:%M:%S%z"}, "statement.time_layout"),
        ({**GBK, "day_layout": "%d"}, "statement.day_layout"),
        ({**PLAIN, "columns": {"number": "no", "amount": "amount"}}, "statement.day_by"),
        ({**PLAIN, "columns": {"number": "no", "amount": "amount"}, "day_by": "time"}, "statement.day_by"),
        ({**PLAIN, "day_by": "name"}, "statement.day_by"),
        (without(WECHAT, "merchant"), "statement.merchant"),
        ({**WECHAT, "merchant": "mer_id"}, "mer_id"),
        ({**PLAIN, "columns_of": {"payout": {"number": "no"}}}, "statement.columns_of.payout"),
        ({**PLAIN, "columns_of": {"refund": "no"}}, "statement.columns_of.refund"),
        ({**PLAIN, "columns_of": {"refund": {"day": "no"}}}, "statement.columns_of.refund.day"),
        ({**PLAIN, "columns_of": {"refund": {"amount": ""}}}, "statement.columns_of.refund.amount"),
        ({**PLAIN, "may_be_empty": 1}, "statement.may_be_empty"),
        ({**PLAIN, "entry": 1}, "statement.entry"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_by_the_field(mapping: object, field: str) -> None:
    with pytest.raises(AccountError) as refused:
        mapped(an_account(mapping))
    assert refused.value.field == field


def test_an_account_without_a_mapping_has_no_such_statements() -> None:
    assert mapped(AccountSettings("acc_1", "yeepay", {}, {})) is None


async def test_no_request_brings_what_a_person_gives(tmp_path: Path) -> None:
    async def never(request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        raise AssertionError(request, to, max_bytes)

    statements = mapped(an_account(PLAIN, day_cut="23:00"))
    assert statements is not None
    assert (statements.rules.fetched, statements.rules.day_cut.hour) == (False, 23)
    with pytest.raises(StatementNotReadyError, match="a person gives the file"):
        await statements.fetch(DAY, tmp_path, never, beijing(9, 0))
    await statements.confirm(DAY, never, tmp_path, beijing(9, 0))
