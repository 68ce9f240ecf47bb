"""CPCN's statements: what is read of 1811's pages, of 1810 and of GzipData, what is refused, and how pages are fetched.

Not tested here: the same over a socket (`test_cpcn_and_baofoo_statements_on_sandbox`), and amounts in general
(`test_statement_files`).
"""

import base64
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from adapters.account import AccountError
from adapters.cpcn import statement_pages
from adapters.cpcn.statement import CpcnStatements
from gateway.domain.statements import LineKind, StatementLine
from gateway.ports.statements import (
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
    statements_of,
)
from tests.adapters.case import Wire
from tests.adapters.cpcn_case import PSP, STRANGER, CpcnCase, signature
from tests.examples import examples

CASE = CpcnCase()
DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)
NUMBER = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"
COLUMNS = (
    "TxType", "TxSn", "TxAmount", "InstitutionAmount", "PaymentAmount", "PayerFee", "InstitutionFee", "Remark",
    "BankNotificationTime", "MarketOrderNo", "SettlementFlag", "SplitType", "SplitResult", "BizType",
    "InstitutionRefundFee",
)  # fmt: skip

Row = Mapping[str, str]


def row(tx_type: str = "2511", number: str = NUMBER, amount: str = "12345", **more: str) -> Row:
    known = {"InstitutionFee": "20", "BankNotificationTime": "20260302103015", **more}
    return {"TxType": tx_type, "TxSn": number, "TxAmount": amount, **known}


def xml(
    rows: Sequence[Row], total: int | str | None = None, head: str = "2000", body: str = "", said: str = "OK."
) -> bytes:
    """An answer; `total` None: as many as there are, "": none is stated."""
    count = len(rows) if total is None else total
    told = "" if count == "" else f"<TotalCount>{count}</TotalCount>"
    listed = "".join("<Tx>" + "".join(f"<{k}>{v}</{k}>" for k, v in each.items()) + "</Tx>" for each in rows)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Response version="2.0">'
        f"<Head><Code>{head}</Code><Message>{said}</Message></Head>"
        f"<Body><InstitutionID>900001</InstitutionID>{told}{listed}{body}</Body></Response>"
    ).encode()


def answer(text: bytes, by: Any = PSP) -> bytes:
    return base64.b64encode(text) + b"," + signature(text, by).encode()


def text_of(rows: Sequence[Row], columns: int = 15) -> bytes:
    lines = [",".join(each.get(name, "") for name in COLUMNS[:columns]) + "\r\n" for each in rows]
    return "".join(lines).encode()


def of(account_settings: Mapping[str, object] | None = None) -> CpcnStatements:
    account = CASE.account()
    settings = {**account.settings, **(account_settings or {})}
    found = statements_of(CASE.build(replace(account, settings=settings), Wire(CASE.processing)))
    assert isinstance(found, CpcnStatements)
    return found


def read(tmp_path: Path, *contents: bytes, day: date = DAY, **settings: object) -> list[StatementLine]:
    files = []
    for number, content in enumerate(contents):
        path = tmp_path / f"day-{number}"
        path.write_bytes(content)
        files.append(StatementFile(path.name, path))
    return list(of(settings).read(files, day))


def refused(tmp_path: Path, *contents: bytes, **more: Any) -> str:
    with pytest.raises(StatementRefusedError) as refusal:
        read(tmp_path, *contents, **more)
    return str(refusal.value)


def zipped(content: bytes, name: str = "day.xml") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def gzip_data(packed: bytes) -> bytes:
    return xml([], "", body=f"<GzipData>{base64.b64encode(packed).decode()}</GzipData>")


# What a transaction is


@pytest.mark.parametrize(
    ("tx_type", "kind"),
    [
        *((tx_type, LineKind.PAYMENT) for tx_type in ("2511", "2541", "2542", "2011", "1111")),
        *((tx_type, LineKind.REFUND) for tx_type in ("2521", "1131", "1133")),
        ("1341", LineKind.PAYOUT),
        ("1348", LineKind.RETURN),
    ],
)
def test_the_tx_type_tells_what_it_is(tmp_path: Path, tx_type: str, kind: LineKind) -> None:
    [line] = read(tmp_path, xml([row(tx_type)]))
    at = datetime(2026, 3, 2, 2, 30, 15, tzinfo=UTC)
    assert line == StatementLine(1, kind, NUMBER, 12_345, True, 20, None, at)


@pytest.mark.parametrize("tx_type", ["2501", "2503", "2531", "2532", "2310", "2320", "2330", "2340", "2341", "2342"])
def test_what_moves_no_money_of_orders_is_passed_over_and_still_counted(tmp_path: Path, tx_type: str) -> None:
    lines = read(tmp_path, xml([row(tx_type, amount="0"), row()], 2))
    assert [(line.line, line.number) for line in lines] == [(2, NUMBER)]


def test_a_type_that_nobody_knows_is_refused_by_name_if_it_moved_money_until_the_account_says_what_it_is(
    tmp_path: Path,
) -> None:
    content = xml([row(), row("1361")])
    reason = refused(tmp_path, content)
    assert reason.startswith("day-0, line 2, column TxType: is 1361")
    assert "statement_types" in reason
    assert [line.kind for line in read(tmp_path, content, statement_types={"1361": "payment"})] == [
        LineKind.PAYMENT
    ] * 2
    assert len(read(tmp_path, content, statement_types={"1361": "none"})) == 1
    assert read(tmp_path, xml([row("1361", amount="0")])) == []


@pytest.mark.parametrize(
    ("fees", "fee"),
    [
        ({"InstitutionFee": "", "InstitutionRefundFee": ""}, None),
        ({"InstitutionFee": "0"}, 0),
        ({"InstitutionFee": "30", "PayerFee": "500"}, 30),
        ({"InstitutionFee": "0", "InstitutionRefundFee": "30"}, -30),
        ({"InstitutionFee": "", "InstitutionRefundFee": "-30"}, -30),
        ({"InstitutionFee": "5", "InstitutionRefundFee": "30"}, -25),
    ],
)
def test_the_fee_is_what_the_institution_pays_less_what_it_gets_back(
    tmp_path: Path, fees: dict[str, str], fee: int | None
) -> None:
    assert read(tmp_path, xml([row("2521", **fees)]))[0].fee == fee


def test_money_that_goes_out_may_be_written_with_a_minus_and_money_that_comes_in_may_not(tmp_path: Path) -> None:
    assert [line.amount for line in read(tmp_path, xml([row("2521", amount="-50"), row("1341", amount="-7")]))] == [
        50,
        7,
    ]
    assert "line 1, column TxAmount: is below zero" in refused(tmp_path, xml([row(amount="-50")]))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"TxAmount": "12.50"}, "line 2, column TxAmount"),
        ({"TxAmount": "1e3"}, "line 2, column TxAmount"),
        ({"TxAmount": ""}, "line 2, column TxAmount"),
        ({"TxSn": ""}, "line 2, column TxSn"),
        ({"TxType": "二五"}, "line 2, column TxType"),
        ({"TxType": ""}, "line 2, column TxType"),
        ({"InstitutionFee": "0.2"}, "line 2, column InstitutionFee"),
        ({"InstitutionRefundFee": "x"}, "line 2, column InstitutionRefundFee"),
        ({"BankNotificationTime": "2026-03-02 10:30"}, "line 2, column BankNotificationTime"),
        ({"BankNotificationTime": "20261302103015"}, "line 2, column BankNotificationTime"),
    ],
)
@pytest.mark.parametrize("form", [xml, text_of])
def test_a_transaction_that_cannot_be_read_refuses_the_day_and_says_where(
    tmp_path: Path, wrong: dict[str, str], where: str, form: Callable[[Sequence[Row]], bytes]
) -> None:
    if form is text_of and "TxType" in wrong and wrong["TxType"] == "":
        wrong = {"TxType": "x"}
    assert where in refused(tmp_path, form([row(), {**row(), **wrong}, row()]))


# Whole or not at all


def test_a_day_without_transactions_is_an_empty_statement(tmp_path: Path) -> None:
    assert read(tmp_path, answer(xml([]))) == []
    assert "is empty" in refused(tmp_path, b"")
    assert "no file was given" in refused(tmp_path)


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([xml([row()], 2)], "column TotalCount: has 1 transactions, and says 2"),
        ([xml([row(), row()], 1)], "column TotalCount: has 2 transactions, and says 1"),
        ([xml([row(number="a")], 2), xml([row(number="b")], 3)], "page 2 says another total"),
        ([xml([row(number="a")], 2), xml([row(number="b")], "")], "page 2 says another total"),
        ([xml([row()], 2), xml([row()], 2)], "page 2 was there before"),
        ([xml([row()], 1, body="<PageNO>2</PageNO>")], "page 1 says that it is page 2"),
        ([xml([row()], "1,0")], "column TotalCount: is no number"),
        ([xml([row()], 1, body="<TotalCount>1</TotalCount>")], "column TotalCount: is there twice"),
        ([xml([], head="2001")], "is an answer with Code 2001"),
        ([xml([]).replace(b"900001", b"900002")], "column InstitutionID: is another institution's"),
        ([xml([row()], 1, body="<Date>20260301</Date>")], "column Date: is of another day than 2026-03-02"),
        ([xml([{**row(), "TxSn": "a</TxSn><TxSn>b"}])], "line 1: names an element twice"),
        ([xml([row()])[:-20]], "is broken XML, or cut off"),
        ([xml([row()]).replace(b"<Code>2000</Code>", b"")], "has no Code"),
        ([xml([row(Remark="\u6d4b")]).decode().encode("gbk")], "broken XML"),
        ([b"<html><body>502</body></html>"], "is XML or HTML, and no Response"),
        ([b'<!DOCTYPE r [<!ENTITY a "b">]>' + b"<Response/>"], "a DOCTYPE"),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_pages_that_do_not_agree_or_are_none_are_refused_whole(
    tmp_path: Path, pages: list[bytes], reason: str, signed: bool
) -> None:
    contents = [b"\n".join(answer(page) for page in pages)] if signed else pages
    assert reason in refused(tmp_path, *contents)


def test_pages_with_the_time_of_another_day_alone_are_refused_and_one_that_was_told_at_midnight_is_not(
    tmp_path: Path,
) -> None:
    def at(*times: str) -> bytes:
        return xml([row(BankNotificationTime=each) for each in times])

    assert "line 1, column BankNotificationTime: is of another day" in refused(tmp_path, at("20260301103000"))
    assert len(read(tmp_path, at("20260301103000", "20260302000000"))) == 2
    assert len(read(tmp_path, at("20260301235900"))) == 1
    assert len(read(tmp_path, at("20260303001000"))) == 1
    assert len(read(tmp_path, at(""))) == 1
    assert len(read(tmp_path, at("20260301200000"), day_cut="20:00")) == 1


def test_what_cpcn_signed_is_believed_and_what_a_stranger_signed_or_altered_is_not(tmp_path: Path) -> None:
    good = answer(xml([row()]))
    assert len(read(tmp_path, good)) == len(read(tmp_path, good + b"\r\n")) == 1
    assert "the signature is wrong" in refused(tmp_path, answer(xml([row()]), STRANGER))
    for altered in (b"A" + good[1:], good[:-2] + b"00", good.partition(b",")[0], good[:-3]):
        assert "no answer of CPCN's" in refused(tmp_path, altered)


def test_two_identical_transactions_are_two_lines(tmp_path: Path) -> None:
    assert [line.line for line in read(tmp_path, xml([row(), row()]))] == [1, 2]


def test_a_file_of_ours_says_which_day_it_was_asked_for_as_and_is_believed_about_that(tmp_path: Path) -> None:
    yesterday = answer(xml([row(BankNotificationTime="20260301103000")]))
    assert len(read(tmp_path, b"#1811 900001 20260302\n" + yesterday)) == 1
    for title in (b"#1811 900001 20260301", b"#1811 900002 20260302", b"#1811 ", b"#1811 " + b"9" * 1000):
        assert "another day's, or another institution's" in refused(tmp_path, title + b"\n" + answer(xml([])))
    assert "has no answer that states a total" in refused(tmp_path, b"#1811 900001 20260302\n")


# Files that a person gives


@pytest.mark.parametrize("columns", [13, 15])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_the_same_day_is_read_as_xml_as_gzip_data_as_its_text_and_in_a_zip(
    tmp_path: Path, columns: int, pack: Callable[[bytes], bytes]
) -> None:
    rows = [row(number="first-1"), row("1341", "second-2", "7", InstitutionFee="")]
    plain, expected = text_of(rows, columns), read(tmp_path, xml(rows))
    forms = (plain, b"\xef\xbb\xbf" + plain, plain.replace(b"\r\n", b"\n"), plain + b"\r\n", zipped(plain))
    for content in (*forms, zipped(xml(rows)), gzip_data(pack(plain)), answer(gzip_data(pack(plain)))):
        assert read(tmp_path, content) == expected
    for content in (plain, xml(rows), answer(xml(rows)), gzip_data(pack(plain))):
        assert read(tmp_path, gzip.compress(content)) == read(tmp_path, zipped(gzip.compress(content))) == expected
    for nothing in (b"", b"\r\n"):
        assert "is empty" in refused(tmp_path, nothing)
        assert "is empty" in refused(tmp_path, gzip.compress(nothing))
        assert "is empty" in refused(tmp_path, zipped(nothing))
    assert read(tmp_path, gzip_data(pack(b""))) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (text_of([row(), row(Remark="a,b")]), "line 2: has 16 columns, and should have 15"),
        (text_of([row()], 13) + text_of([row()], 15), "line 2: has 15 columns, and should have 13"),
        (text_of([row()], 12), "line 1: has 12 columns, and should have 13"),
        (text_of([row()]) + b"\r\n" + text_of([row()]), "line 2: is blank"),
        (text_of([row(Remark="\u6d4b")]).decode().encode("gbk"), "line 1: is not UTF-8"),
        (gzip.compress(text_of([row()]), mtime=0)[:-9], "ends too early"),
        (gzip.compress(text_of([row()]), mtime=0) + b"more", "has more after"),
        (gzip_data(b"no such thing"), "is not compressed"),
        (xml([], "", body="<GzipData>%%%%</GzipData>"), "is no base64"),
        (zipped(xml([row()]))[:-30], "is no whole zip"),
        (zipped(xml([row()]), "../day.xml"), "leads out of it"),
    ],
)
def test_a_file_that_is_not_what_it_must_be_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refused(tmp_path, content)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_pages, "FREE_BYTES", 100_000)
    bomb = gzip.compress(text_of([row()]) * 20_000, 9)
    assert "would unpack to more" in refused(tmp_path, bomb)
    assert "would unpack to more" in refused(tmp_path, gzip_data(bomb))


texts = st.text(st.characters(codec="utf-8", exclude_characters=",<>&\r\n\ufeff", exclude_categories=["C", "Z"]))
numbers = st.text("0123456789abcdef", min_size=1, max_size=32)
a_row = st.builds(
    row,
    st.sampled_from(["2511", "2011", "2521", "1341", "1348", "2501"]),
    numbers,
    st.integers(0, 10**12).map(str),
    InstitutionFee=st.one_of(st.just(""), st.integers(-100, 10_000).map(str)),
    Remark=texts,
)


@examples(30)
@given(st.lists(a_row, max_size=12), st.integers(1, 5))
def test_every_form_of_the_same_rows_reads_to_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], size: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    kept = [each for each in rows if each["TxType"] != "2501"]
    lines = read(folder, xml(rows))
    assert [(each.number, each.amount) for each in lines] == [(each["TxSn"], int(each["TxAmount"])) for each in kept]
    assert [each.fee for each in lines] == [
        int(each["InstitutionFee"]) if each["InstitutionFee"] else None for each in kept
    ]
    assert read(folder, gzip_data(gzip.compress(text_of(rows)))) == lines
    pages = [rows[start : start + size] for start in range(0, len(rows), size)] or [[]]
    if len({repr(page) for page in pages}) == len(pages):
        assert read(folder, b"\n".join(answer(xml(page, len(rows))) for page in pages)) == lines


# Fetching


class Psp:
    """Pages that are there, by number; remembers what was asked."""

    def __init__(self, *pages: bytes, status: int = 200) -> None:
        self.pages, self.status = pages, status
        self.asked: list[dict[str, str]] = []

    async def __call__(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        assert max_bytes == 32 * 1024 * 1024
        assert request.extensions["timeout"]["read"] > 0
        form = parse_qs(request.content.decode())
        root = etree.fromstring(base64.b64decode(form["message"][0]))
        self.asked.append({str(leaf.tag): leaf.text or "" for leaf in root.iter() if not len(leaf)})
        to.write_bytes(self.pages[len(self.asked) - 1])  # noqa: ASYNC240
        return httpx.Response(self.status, request=request)


async def fetched(tmp_path: Path, psp: Psp, **settings: object) -> list[StatementFile]:
    return await of(settings).fetch(DAY, tmp_path, psp, NOW)


async def test_pages_are_asked_for_until_all_transactions_are_there_and_kept_as_they_came(tmp_path: Path) -> None:
    rows = [row(number=f"order-{number}") for number in range(5)]
    pages = [answer(xml(rows[start : start + 2], 5)) for start in (0, 2, 4)]
    psp = Psp(*pages)
    [file] = await fetched(tmp_path, psp, statement_page_rows=2)
    known = {"TxCode": "1811", "InstitutionID": "900001", "Date": "20260302", "CountPerPage": "2"}
    assert psp.asked == [{**known, "PageNO": str(number)} for number in (1, 2, 3)]
    assert gzip.decompress(file.path.read_bytes()) == b"#1811 900001 20260302\n" + b"\n".join(pages) + b"\n"
    assert list(tmp_path.iterdir()) == [file.path]  # noqa: ASYNC240
    lines = list(of().read([file], DAY))
    assert [(line.line, line.number) for line in lines] == [(n + 1, f"order-{n}") for n in range(5)]


async def test_an_empty_day_and_a_last_page_that_is_full_need_no_page_more(tmp_path: Path) -> None:
    for rows in ([], [row(number="a"), row(number="b")]):
        psp = Psp(answer(xml(rows)))
        [file] = await fetched(tmp_path, psp, statement_page_rows=2)
        assert len(psp.asked) == 1
        assert len(list(of().read([file], DAY))) == len(rows)


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([xml([row()], 3)], "page 1 has 1 transactions, 2 are still to come"),
        ([xml([row(number="a"), row(number="b")], 3), xml([], 3)], "page 2 has 0 transactions, 1 are still to come"),
        ([xml([row(number="a"), row(number="b")], 4)] * 2, "page 2 was there before"),
        ([xml([row(number="a"), row(number="b")], 3), xml([row(number="c")], 4)], "page 2 says another total"),
        (
            [xml([row(number="a"), row(number="b")], 3), xml([row(), row(number="d")], 3)],
            "has 4 transactions, and says 3",
        ),
        ([xml([row()] * 3, 3)], "page 1 has more than 2 transactions"),
        ([xml([row()], "")], "page 1 states no total"),
        ([xml([row(), row()], 1001)], "would take more than 500 pages"),
        ([xml([], head="2016", said="参数不正确")], "page 1 is refused by CPCN: 2016 参数不正确"),
        ([xml([], body="<Date>20260301</Date>")], "is of another day"),
    ],
)
async def test_pages_that_do_not_add_up_are_not_kept(tmp_path: Path, pages: list[bytes], reason: str) -> None:
    with pytest.raises(StatementRefusedError, match=reason):
        await fetched(tmp_path, Psp(*map(answer, pages)), statement_page_rows=2)


async def test_an_answer_that_is_none_is_refused_and_one_that_says_later_is_asked_for_later(tmp_path: Path) -> None:
    for psp in (Psp(b"<html>502</html>", status=502), Psp(b"<html/>"), Psp(b""), Psp(answer(xml([]), STRANGER))):
        with pytest.raises(StatementRefusedError):
            await fetched(tmp_path, psp)
    with pytest.raises(StatementNotReadyError, match="2001 对账单尚未生成"):
        await fetched(tmp_path, Psp(answer(xml([], head="2001", said="对账单尚未生成"))))
    late = Psp(*[answer(xml([], head="280100", said="稍有"))] * 2)
    with pytest.raises(StatementRefusedError):
        await fetched(tmp_path, late)
    with pytest.raises(StatementNotReadyError):
        await fetched(tmp_path, late, statement_not_ready=["280100"])


# Settings


def test_the_day_ends_at_midnight_unless_the_account_says_otherwise() -> None:
    assert of().rules.day_cut == time(0)
    assert of({"day_cut": "23:00", "statement_ready_at": "10:30"}).rules.ready_at == time(10, 30)


def test_without_the_accounts_word_there_are_no_statements() -> None:
    account = CASE.account()
    settings = {**account.settings, "assumed": ["payout_states"]}
    assert statements_of(CASE.build(replace(account, settings=settings), Wire(CASE.processing))) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_types", ["1361"]),
        ("statement_types", {"1361": "income"}),
        ("statement_types", {"13611": "payment"}),
        ("statement_page_rows", 0),
        ("statement_page_rows", 10_001),
        ("statement_page_rows", "100"),
        ("statement_page_rows", True),
        ("statement_not_ready", "2001"),
        ("statement_not_ready", ["x"]),
        ("day_cut", "24:00"),
    ],
)
def test_settings_that_are_none_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(AccountError, match=name):
        of({name: value})
